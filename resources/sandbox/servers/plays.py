"""How far people watch the simulated account's videos: one hidden truth, which each platform counts its way.

Here: which share of the impressions gets so far, and what a clip's opening does to it. Not here: any
platform's names or rows, the clips themselves (`clips`).

No random stream is drawn from: plays follow from impressions and from how the clip begins, and move no click.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from resources.sandbox.clips import Hook, hook_of
from resources.sandbox.servers.account import Served

STARTED = "started"
# Of 100 impressions of a clip that zooms, about 16 seconds long, so many play until here.
SHARES: Mapping[str, int] = {
    STARTED: 97,
    "2_seconds": 40,
    "2_seconds_half_in_view": 33,
    "3_seconds": 31,
    "p25": 22,
    "6_seconds": 18,
    "p50": 15,
    "p75": 10,
    "15_seconds": 8,
    "p100": 7,
}
# The opening keeps more or fewer people, at every later moment alike: it moves hook rates, not hold rates.
OPENINGS: Mapping[Hook, int] = {"still": 75, "zoom": 100, "cuts": 125}


def clips_of(served: Served, platform: int) -> dict[str, str]:
    """The clip each video ad of a platform shows, by ad: clips are named after their creatives."""
    videos = served.ads(platform).filter(pl.col("format") == "video")
    return dict(videos.select("ad_id", "creative_id").iter_rows())


def with_plays(rows: pl.DataFrame, ad_column: str, clips: Mapping[str, str]) -> pl.DataFrame:
    """The rows with a count per key of `SHARES`, zero where the ad shows no video.

    Args:
        rows: a report by ad, with its impressions under `Impressions` or `impressions`.
        ad_column: where its ads are named.
        clips: the name of each video ad's clip.
    """
    seen = pl.col("Impressions" if "Impressions" in rows.columns else "impressions").cast(pl.Int64)
    kept = pl.DataFrame(
        {ad_column: list(clips), "_kept": [OPENINGS[hook_of(clip)] for clip in clips.values()]},
        schema={ad_column: pl.String, "_kept": pl.Int64},
    )
    joined = rows.join(kept, on=ad_column, how="left", maintain_order="left")
    return joined.with_columns(
        (
            seen
            * share
            # Everything begins to play by itself.
            * (
                pl.when(pl.col("_kept").is_null()).then(0).otherwise(100)
                if depth == STARTED
                else pl.col("_kept")
            )
            // 10_000
        )
        .fill_null(0)
        .alias(depth)
        for depth, share in SHARES.items()
    ).drop("_kept")
