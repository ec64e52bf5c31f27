"""What split tests teach a ranking: arms that were shown side by side, of tests that nothing speaks against.

Here: from tests' cells, contents and verdicts to comparable arms. Not here: validity (`models.experiments`),
what becomes of the arms (`ad_scores`).

Arms are compared where they differ in what is read of them alone: within a test, among those with the same
image where its bytes are not known, and the same of what is not read (an article's lede).
"""

from __future__ import annotations

import polars as pl

from models.creatives.contents import joined_text
from models.policy import TEXTS

TEST = ("platform", "account_id", "test_id")
MOST_ARMS = 20_000
"""Of the newest tests: time and memory grow with the arms, and an archive may be of any size."""
_CONTENT = [*TEXTS, "content_sha256"]
_KINDS = ("creative",)
_PART = ["description", "unread_image"]

TEACHING_ARMS_SCHEMA = pl.Schema(
    {
        **dict.fromkeys((*TEST, *TEXTS, "content_hash", "content_sha256"), pl.String()),
        "part": pl.Int64(),
        "first_day": pl.Date(),
        "last_day": pl.Date(),
        "impressions": pl.Int64(),
        "clicks": pl.Int64(),
    }
)
"""A row per test, part of it and content; arms of one part compete."""


def teaching_arms(
    experiments: pl.DataFrame, cells: pl.DataFrame, shown: pl.DataFrame, *, most: int = MOST_ARMS
) -> pl.DataFrame:
    """Arms that teach CTR, of valid tests of creatives (or of a kind not told).

    Args:
        experiments: AB_EXPERIMENTS of one morning; cells that it has not seen are left out.
        cells: rows of int_experiment_cells.
        shown: rows of int_experiment_arms.
        most: arms, whole tests, the newest first.
    Returns:
        TEACHING_ARMS_SCHEMA, in the order of tests and contents.
    """
    sound = experiments.filter("is_valid", pl.col("kind").is_in(_KINDS).fill_null(True))
    counts = ["impressions", "link_clicks"]
    counted = (
        cells.join(sound.select(*TEST, "first_day", "last_day"), on=TEST)
        .filter(pl.col("period_end") <= pl.col("last_day"))
        .group_by(*TEST, "arm", "first_day", "last_day")
        .agg(pl.col(counts).sum(), told=pl.all_horizontal(pl.col(counts).is_not_null()).all())
        .filter("told", pl.col("impressions") > 0)
    )
    known = shown.filter(joined_text().is_not_null() | pl.col("content_sha256").is_not_null()).with_columns(
        unread_image=pl.when(pl.col("content_sha256").is_null()).then("image_id")
    )
    arms = (
        counted.join(known, on=[*TEST, "arm"])
        .group_by(*TEST, *_PART, *_CONTENT, "first_day", "last_day")
        .agg(
            pl.col("content_hash").min(),
            pl.col("impressions").sum(),
            # More clicks than views are some platforms' way of counting.
            clicks=pl.min_horizontal(pl.col("link_clicks").sum(), pl.col("impressions").sum()),
        )
        .filter(pl.len().over(*TEST, *_PART) > 1)
        .with_columns(part=pl.struct(*TEST, *_PART).rank("dense").cast(pl.Int64))
        .sort("first_day", *TEST, descending=[True, *[False] * len(TEST)])
    )
    return (
        arms.with_row_index("place")
        .filter(pl.col("place").max().over(TEST) < most)
        .sort("part", *_CONTENT, nulls_last=True)
        .select(TEACHING_ARMS_SCHEMA.names())
        .cast(TEACHING_ARMS_SCHEMA)
    )
