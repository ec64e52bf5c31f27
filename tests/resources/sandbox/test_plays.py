"""The sandbox's truth of watching: worked out by hand for a thousand impressions of each opening."""

from __future__ import annotations

import polars as pl

from resources.sandbox.clips import hook_of
from resources.sandbox.servers.plays import SHARES, with_plays

CLIPS = {hook_of(str(number)): str(number) for number in range(40)}
REPORT = pl.DataFrame({"Ad ID": ["picture", "cuts", "zoom", "still"], "Impressions": [1000] * 4})


def test_an_opening_with_cuts_keeps_more_people_and_a_picture_plays_for_nobody() -> None:
    rows = with_plays(REPORT, "Ad ID", {str(hook): clip for hook, clip in CLIPS.items()})
    assert rows.columns == [*REPORT.columns, *SHARES]
    told = rows.select("Ad ID", "started", "2_seconds", "3_seconds", "6_seconds", "p25", "p100")
    assert told.rows() == [
        ("picture", 0, 0, 0, 0, 0, 0),
        ("cuts", 970, 500, 387, 225, 275, 87),
        ("zoom", 970, 400, 310, 180, 220, 70),
        ("still", 970, 300, 232, 135, 165, 52),
    ]


def test_an_account_without_videos_has_no_plays() -> None:
    rows = with_plays(REPORT, "Ad ID", {})
    assert rows.select(pl.sum_horizontal(pl.col(*SHARES).sum())).item() == 0
    assert with_plays(REPORT.clear(), "Ad ID", {}).is_empty()
