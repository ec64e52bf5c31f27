"""What one run of the daily marts replaces, and what it reads to do so (DuckDB, real dbt)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from tests.parity.conftest import Build
from tests.parity.landed import LANDINGS, landed_writes
from tests.parity.landings.landing import Landing, day
from tests.parity.project import DbtProject

pytestmark = pytest.mark.dbt

TABLES = ("--select", "config.materialized:incremental", "config.materialized:table")
# Tables that grow with every day; a query over some days must not read the others.
GROWING = {
    "raw.meta_ads_insights",
    "raw.meta_ads_insights_by_placement",
    "raw.meta_hourly_spend",
    "raw.intraday_spend",
    "raw.meta_ads_insights_by_hour",
    "raw.meta_ads_insights_by_segment",
    "raw.google_ads_ad_performance",
    "raw.google_ads_campaign_performance",
    "raw.google_ads_campaign_by_hour",
    "raw.google_ads_demographics",
    "raw.google_ads_conversions",
    "raw.google_ads_keywords",
    "raw.tiktok_ads_report",
    "raw.linkedin_ad_analytics",
    "raw.file_ad_performance",
    "raw.orders",
    "raw.impact_actions",
    "raw.ga4_reports",
    "raw.ga4_events",
    "raw.levers",
    "ops.ingest_slices",
    "gaelp_training.meta_ad_performance",
    "gaelp_training.meta_ad_performance_by_place",
    "gaelp_training.ads_ad_daily",
    "gaelp_training.orders",
}


@pytest.fixture
def copied(on_duckdb: Build, tmp_path: Path) -> DbtProject:
    """The finished warehouse, in a home of this test's own."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(Path(on_duckdb.project.variables["AELP_HOME"]) / "warehouse.duckdb", home)
    return DbtProject(on_duckdb.project.variables | {"AELP_HOME": str(home)}, on_duckdb.project.folder)


def _land(project: DbtProject, *landings: Landing) -> None:
    project.warehouse.write(*landed_writes(landings))


def _restated(number: int, batch: str, spend: str, clicks: str) -> Landing:
    """Ad a1 of m1 on a day, with other spend and clicks than landed."""
    known = next(one for one in LANDINGS if one.account_id == "m1" and one.report_date == day(8) and one.rows)
    keys, payload = known.rows[0]
    changed = dict(payload) | {"spend": spend, "inline_link_clicks": clicks}
    return replace(known, step=0, batch=batch, report_date=day(number), rows=[(keys, changed)])


def _a1(project: DbtProject, table: str, column: str) -> dict[int, object]:
    rows = project.rows(table, ["date", "ad_id", column]).filter(ad_id="a1")
    return {date.day: value for date, _, value in rows.rows()}


def test_a_change_outside_the_window_waits_for_its_own_days(copied: DbtProject) -> None:
    spend = _a1(copied, "gaelp_training.meta_ad_performance", "spend")
    clicks = _a1(copied, "gaelp_training.unified_ctr", "inline_link_clicks_7d")
    _land(copied, _restated(5, "b31", "99", "1000"))

    copied.run("run", *TABLES, window=(day(13), day(13)))  # looks back to the 6th
    assert _a1(copied, "gaelp_training.meta_ad_performance", "spend") == spend

    copied.run("run", *TABLES, window=(day(5), day(5)))
    after = _a1(copied, "gaelp_training.meta_ad_performance", "spend")
    assert {number for number in spend if after[number] != spend[number]} == {5}
    # The week to the 8th, 9th and 10th holds the 5th: sums over seven days are rebuilt six days on.
    rolled = _a1(copied, "gaelp_training.unified_ctr", "inline_link_clicks_7d")
    assert {number: rolled[number] - clicks[number] for number in clicks} == dict.fromkeys(clicks, 1000 - 30)


def test_without_days_a_run_follows_the_newest_day_and_its_lookback(copied: DbtProject) -> None:
    spend = _a1(copied, "gaelp_training.meta_ad_performance", "spend")
    _land(
        copied, _restated(12, "b31", "50", "5"), _restated(5, "b31", "1", "1"), _restated(1, "b31", "1", "1")
    )
    copied.run("run", *TABLES)
    after = _a1(copied, "gaelp_training.meta_ad_performance", "spend")
    # The newest day was the 10th, so the 3rd and later are rebuilt, the 12th appears and the 1st does not.
    assert set(after) == set(spend) | {12}
    assert {number for number in spend if after[number] != spend[number]} == {5}


def test_a_table_built_before_a_column_existed_gains_it_with_the_days_of_the_run(copied: DbtProject) -> None:
    mart = "gaelp_training.meta_ad_performance"
    with duckdb.connect(str(Path(copied.variables["AELP_HOME"]) / "warehouse.duckdb")) as connection:
        connection.execute(f"alter table {mart} drop column video_3s_views")
    copied.run("run", "--select", "meta_ad_performance", window=(day(10), day(10)))
    assert _a1(copied, mart, "video_3s_views")[10] == 900


@pytest.mark.parametrize(
    ("days", "reason"),
    [
        ({"min_date": "2026-06-01"}, "both min_date and max_date"),
        ({"min_date": "2026-06-02", "max_date": "2026-06-01"}, "is after max_date"),
    ],
)
def test_half_a_window_or_one_turned_round_is_refused(
    on_duckdb: Build, days: dict[str, str], reason: str
) -> None:
    with pytest.raises(AssertionError, match=reason):
        on_duckdb.project.run("compile", "--select", "ads_ad_daily", "--vars", json.dumps(days))


def _scans(plan: object) -> Iterator[tuple[str, str]]:
    """(table, filters) of every table scan in an EXPLAIN plan."""
    if isinstance(plan, list):
        for part in plan:
            yield from _scans(part)
    elif isinstance(plan, dict):
        details = plan.get("extra_info", {})
        if isinstance(details, dict) and "Table" in details:
            table = str(details["Table"]).replace('"', "").split(".", 1)[-1]
            yield table, str(details.get("Filters", ""))
        yield from _scans(plan.get("children", []))


@pytest.mark.parametrize(
    "view",
    [
        "staging.stg_meta__insights",
        "staging.stg_meta__insights_by_placement",
        "staging.stg_google_ads__ad_performance",
        "staging.stg_meta__hourly_spend",
        "staging.stg_platforms__intraday_spend",
        "staging.stg_meta__insights_by_hour",
        "staging.stg_meta__insights_by_segment",
        "staging.stg_google_ads__campaign_performance",
        "staging.stg_google_ads__campaign_by_hour",
        "staging.stg_google_ads__demographics",
        "staging.stg_google_ads__conversions",
        "staging.stg_google_ads__keywords",
        "staging.stg_tiktok__ads_report",
        "staging.stg_linkedin__ad_analytics",
        "staging.stg_files__ad_performance",
        "staging.stg_orders__orders",
        "staging.stg_levers__levers",
        "staging.stg_impact__actions",
        "staging.stg_ga4__reports",
        "staging.stg_ga4__events",
        "staging.stg_ga4__sessions",
        "staging.stg_ga4__conversions",
        "staging.stg_ops__pulled_days",
        "staging.stg_ops__conversions_as_pulled",
        "staging.stg_ops__slices_without_breakdown",
        "intermediate.int_meta_ad_daily",
        "intermediate.int_google_ads_daily",
        "intermediate.int_creative_placement_daily",
        "intermediate.int_placement_daily",
        "intermediate.int_lever_daily",
        "intermediate.int_track_daily",
        "intermediate.int_creative_daily",
        "intermediate.int_arm_daily",
        "intermediate.int_test_lane_daily",
        "intermediate.int_account_days",
        "intermediate.int_conversion_ages",
        "gaelp_training.budget_levers",
        "gaelp_training.context_daily",
        "gaelp_training.google_ads_campaign_daily",
        "gaelp_training.google_ads_ad_daily",
    ],
)
def test_a_filter_on_days_reaches_every_growing_table(on_duckdb: Build, view: str) -> None:
    home = Path(on_duckdb.project.variables["AELP_HOME"])
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        # In tables this small, statistics show that a filter keeps every row, and it is dropped.
        connection.execute("set disabled_optimizers = 'statistics_propagation'")
        query = f"select * from {view} where date between date '2026-06-08' and date '2026-06-09'"
        plan = json.loads(connection.execute(f"explain (format json) {query}").fetchall()[0][1])
    scans = list(_scans(plan))
    assert scans
    unfiltered = [table for table, filters in scans if table in GROWING and "date" not in filters]
    assert unfiltered == []
