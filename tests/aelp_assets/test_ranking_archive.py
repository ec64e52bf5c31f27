"""What split tests of the real archive teach: valid ones alone, and something of later headlines."""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aelp_assets.experiments import judge_split_tests
from models.ranking.ad_scores import ScoringRules, ad_scores
from models.ranking.candidates import CANDIDATES, TEXT
from models.ranking.split_tests import TEST, teaching_arms
from models.ranking.splits import near_duplicate_clusters

pytestmark = pytest.mark.real_data
ARCHIVE = "upworthy/upworthy_tests_to_201452.parquet"
ARMS = 1_200
"""Of the newest tests; the whole archive takes minutes."""


@pytest.fixture(scope="module")
def archive(shared_data: Path) -> pl.DataFrame:
    path = shared_data / ARCHIVE
    if not path.exists():
        pytest.skip(f"no {path}: the archive is not among the exports")
    monday = (pl.col("test_week").cast(pl.String) + " 1").str.to_date("%Y%W %w")
    weeks = pl.col("test_week") % 100 > 0  # week 00 has no Monday of its year
    return (
        pl.read_parquet(path)
        .filter(weeks)
        .select(
            platform=pl.lit("upworthy"),
            account_id=pl.lit("upworthy"),
            test_id="clickability_test_id",
            arm=pl.col("index").cast(pl.String),
            period_start=monday,
            headline="headline",
            description="lede",
            image_id="eyecatcher_id",
            impressions="impressions",
            link_clicks="clicks",
        )
    )


@pytest.fixture(scope="module")
def every_arm(archive: pl.DataFrame) -> pl.DataFrame:
    words = ("hour", "segment", "test_name", "track")
    counts = (
        *("planned_share", "users", "conversions_click", "conversions_view", "orders"),
        *("positive_answers", "answers", "spend"),
    )
    cells = archive.with_columns(
        period_end=pl.col("period_start") + pl.duration(days=6),
        kind=pl.lit("creative"),
        primary_metric=pl.lit("link_ctr"),
        is_control=pl.lit(False),
        **{name: pl.lit(None, pl.String) for name in words},
        **{name: pl.lit(None, pl.Float64) for name in counts},
    )
    experiments, _ = judge_split_tests(cells, date(2015, 2, 1))
    shown = archive.with_columns(
        **{name: pl.lit(None, pl.String) for name in ("body", "call_to_action", "creative_id")},
        content_sha256=pl.lit(None, pl.String),
        content_hash=pl.col("headline"),
    )
    return teaching_arms(experiments, cells, shown)


def test_no_week_of_broken_randomisation_teaches(every_arm: pl.DataFrame) -> None:
    assert every_arm.height > 5_000
    assert not every_arm["first_day"].is_between(date(2013, 6, 24), date(2014, 1, 12)).any()
    assert (every_arm.group_by("part").len()["len"] > 1).all()


def test_headlines_of_later_tests_are_ranked_better_than_by_a_coin(every_arm: pl.DataFrame) -> None:
    from resources.embedders import open_text_embedder

    arms = every_arm.sort("first_day", "part").tail(ARMS)
    text = open_text_embedder().embed(arms["headline"].to_list()).astype(float)
    test = arms.select(pl.struct(TEST).rank("dense")).to_series().to_numpy().astype(np.int64)
    found = ad_scores(
        pl.DataFrame(schema={"track": pl.String, "platform": pl.String}),
        {TEXT: text},
        near_duplicate_clusters(text, [test]),
        _nothing_delivered(),
        arms.with_columns(creative=pl.int_range(pl.len(), dtype=pl.Int64)),
        champions={},
        rules=ScoringRules(),
        generator=np.random.default_rng(1),
        candidates={"ridge": CANDIDATES["ridge"]},
    )
    assert found.click.judged_on == "split_tests"
    assert found.click.promotion is not None
    judged = found.click.promotion.judged["ridge_of_tests"]
    assert judged.figures.significant_pairs > 0.55
    assert found.scores.is_empty()


def _nothing_delivered() -> pl.DataFrame:
    names = ("track", "platform", "account_id", "campaign_id", "placement")
    counts = ("creative", "impressions", "clicks", "matured_clicks")
    return pl.DataFrame(
        schema={
            **dict.fromkeys(names, pl.String),
            **dict.fromkeys(counts, pl.Int64),
            "conversions": pl.Float64,
            **dict.fromkeys(("first_day", "last_day", "last_matured_day"), pl.Date),
        }
    )
