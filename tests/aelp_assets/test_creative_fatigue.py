"""Fatigue of creatives as an asset: rows of the table, its figure, its checks."""

from __future__ import annotations

from datetime import date, timedelta

import dagster as dg
import numpy as np
import polars as pl
import pytest

from aelp_assets.creative_fatigue import creative_fatigue
from resources.settings import PROJECT_ROOT, load_settings
from resources.warehouse.tables import CREATIVE_FATIGUE

MORNING = date(2026, 6, 30)


def days(creative: str, slope: float, count: int = 30, **values) -> pl.DataFrame:
    age = np.arange(count)
    rates = 0.02 * np.exp(slope * age)
    return pl.DataFrame(
        {
            "date": [MORNING - timedelta(int(count - day)) for day in age],
            "platform": "meta",
            "account_id": "1",
            "track": "balance",
            "campaign_id": "c",
            "creative_id": creative,
            "placement": "feed",
            "impressions": np.full(count, 50_000),
            "clicks": np.rint(50_000 * rates).astype(int),
        }
    ).with_columns(**{name: pl.lit(value) for name, value in values.items()})


def materialised(rows: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, bool], dict]:
    @dg.asset(key=["intermediate", "int_creative_placement_daily"], io_manager_key="io_manager")
    def int_creative_placement_daily():
        return rows

    with dg.DagsterInstance.ephemeral() as instance:
        ran = dg.materialize(
            [int_creative_placement_daily, creative_fatigue],
            instance=instance,
            partition_key=MORNING.isoformat(),
            resources={
                "settings": load_settings(PROJECT_ROOT / "aelp.yaml"),
                "io_manager": dg.mem_io_manager,
            },
        )
        (made,) = ran.asset_materializations_for_node("gaelp_training__creative_fatigue")[-1:]
        checks = {one.check_name: one.passed for one in ran.get_asset_check_evaluations()}
        return ran.output_for_node("gaelp_training__creative_fatigue"), checks, made.metadata


def test_a_tired_creative_is_told_from_a_fresh_one():
    rows, checks, metadata = materialised(
        pl.concat([days("tired", -0.05), days("fresh", 0.0), days("new", 0.0, count=3)])
    )
    assert rows.columns == CREATIVE_FATIGUE.column_names
    by_name = {row["creative_id"]: row for row in rows.to_dicts()}
    assert by_name["tired"]["p_fatigues"] > 0.99
    assert by_name["tired"]["days_to_half_p50"] == pytest.approx(14, abs=1)
    assert by_name["fresh"]["slope_p10"] < 0 < by_name["fresh"]["slope_p90"]
    assert by_name["new"]["slope_p50"] is None
    assert by_name["new"]["not_enough_data"] == "3 days with impressions; needs 7"
    assert set(rows["as_of_date"]) == {MORNING}
    assert checks == {"slopes_in_order": True, "clicks_fit_impressions": True}
    assert metadata["probably_tired"].value == 1
    assert "plot" in metadata


def test_odd_days_are_left_out_and_said():
    odd = days("odd", 0.0).with_columns(
        clicks=pl.when(pl.col("date") == MORNING - timedelta(3)).then(60_000).otherwise("clicks")
    )
    rows, checks, _ = materialised(odd)
    assert rows["days"].to_list() == [29]
    assert checks["clicks_fit_impressions"] is False


def test_tracks_that_are_not_configured_have_no_rows():
    rows, checks, _ = materialised(days("a", -0.1, track="unassigned"))
    assert rows.is_empty()
    assert all(checks.values())
