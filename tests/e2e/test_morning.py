"""A whole morning on the tiny sandbox: what is built, what is reused, and what must not go through."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import duckdb
import polars as pl
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from aelp_assets.artifacts import load_frames
from aelp_assets.bandits import run_decision
from aelp_assets.definitions import build_defs
from aelp_assets.metadata import asset_key
from aelp_assets.transform import VERSIONED
from resources.warehouse.content import content_version
from resources.warehouse.schema import TableName
from resources.warehouse.tables import (
    BANDIT_DECISIONS,
    CREATIVES,
    EXPERIMENT_ARMS,
    EXPERIMENT_TABLES,
    GOOGLE_ADS_AD_PERFORMANCE,
    LEVERS,
    LINKEDIN_AD_ANALYTICS,
    MEDIA_HISTORY,
    MEDIA_MIX_TABLES,
    META_ADS_INSIGHTS,
    META_ADS_INSIGHTS_BY_PLACEMENT,
    MODEL_TABLES,
    MONITORING_TABLES,
    ORDERS,
    PYTHON_TABLES,
    RANKING_TABLES,
    TIKTOK_ADS_REPORT,
)
from tests.declared_columns import DeclaredColumnsOnly
from tests.e2e import homes
from tests.e2e.homes import SETTINGS, TODAY, TOMORROW, Home, assert_same_tables

pytestmark = [pytest.mark.e2e, pytest.mark.dbt]

# The sandbox's export files.
EXPORTED = (
    META_ADS_INSIGHTS,
    META_ADS_INSIGHTS_BY_PLACEMENT,
    GOOGLE_ADS_AD_PERFORMANCE,
    TIKTOK_ADS_REPORT,
    LINKEDIN_AD_ANALYTICS,
    MEDIA_HISTORY,
    EXPERIMENT_ARMS,
    ORDERS,
    CREATIVES,
    LEVERS,
)
DECIDE = {"dagster/partition": TODAY.isoformat()}
# A morning's own tables, without the reporting views (dbt again) and the published copy.
DECIDED = [
    asset_key(name)
    for name in (
        "ops.account_audits",
        "ops.decision_accounts",
        "ops.pacing",
        "ops.spend_alarms",
        "gaelp_training.placement_baselines",
        "gaelp_training.creative_rates",
        "gaelp_training.context_rates",
        "gaelp_training.lever_clusters",
        "gaelp_training.response_curves",
        "gaelp_training.forecast_results",
        "gaelp_training.forecast_outlook",
        "gaelp_training.bandit_posteriors",
        "ops.lever_states",
        "gaelp_training.bandit_decisions",
        "gaelp_training.policy_runs",
        "gaelp_training.slates",
        "gaelp_training.apply_hold_lift",
        "gaelp_training.policy_reviews",
        "gaelp_training.launch_plans",
        "gaelp_training.arm_decisions",
    )
]
# The weekly backtest's, media mix's and split tests', and the review's.
LATER = {"gaelp_training/forecast_accuracy", "ops/notifications"} | {
    str(table.name).replace(".", "/")
    for table in (*MONITORING_TABLES, *MEDIA_MIX_TABLES, *EXPERIMENT_TABLES, *RANKING_TABLES)
}
MORNINGS_TABLES = {str(table.name).replace(".", "/") for table in MODEL_TABLES} - LATER


def materialised(home: Home) -> set[str]:
    found = homes.events_of(home, lambda entry: _is(entry, dg.DagsterEventType.ASSET_MATERIALIZATION))
    return {entry.dagster_event.asset_key.to_user_string() for entry in found}


def _is(entry, kind: dg.DagsterEventType) -> bool:
    return entry.is_dagster_event and entry.dagster_event_type == kind


def steps_that_ran(outcome: dg.ExecuteInProcessResult) -> set[str]:
    return {event.step_key for event in outcome.all_events if event.is_step_success}


def failed_checks(outcome: dg.ExecuteInProcessResult) -> set[str]:
    return {e.check_name for e in outcome.get_asset_check_evaluations() if not e.passed}


def test_one_command_materialises_the_whole_graph(finished):
    home, morning = finished
    assert morning.decided == [TODAY]
    with home.entered(TODAY):
        executable = {
            spec.key.to_user_string()
            for asset in build_defs().assets
            if isinstance(asset, dg.AssetsDefinition) and asset.is_executable
            for spec in asset.specs
        }
    # This home has files and no credentials: no source is pulled. What is weekly, and the review, run apart.
    idle = {
        f"ops/{kind}/{name}" for kind in ("source_pulls", "source_backfills") for name in SETTINGS.sources
    }
    idle |= LATER
    landed = {str(table.name).replace(".", "/") for table in EXPORTED}
    # Nothing was refused, so the landing left ops.quarantine alone.
    landed |= {"ops/ingest_slices", "ops/accounts", "ops/track_rules", "ops/reward_definitions"}
    landed |= {"ops/channel_rules", "ops/media_weeks"}
    assert materialised(home) == (executable | landed) - idle


def test_every_report_day_is_marked_in_raw_and_marts_and_only_the_morning_in_models(finished):
    home, _ = finished
    days: dict[str, set[str]] = {}
    for entry in homes.events_of(home, lambda entry: _is(entry, dg.DagsterEventType.ASSET_MATERIALIZATION)):
        key = entry.dagster_event.asset_key.to_user_string()
        days.setdefault(key, set()).add(entry.dagster_event.partition)
    history = {str(TODAY - timedelta(days=age)) for age in range(1, homes.HISTORY_DAYS + 1)}
    assert days["raw/meta_ads_insights"] == history
    assert days["gaelp_training/ads_ad_daily"] == history
    assert days["gaelp_training/bandit_decisions"] == {str(TODAY)}


def test_every_model_asset_shows_rows_a_preview_and_its_columns(finished):
    home, _ = finished
    entries = homes.events_of(home, lambda entry: _is(entry, dg.DagsterEventType.ASSET_MATERIALIZATION))
    shown = {
        entry.dagster_event.asset_key.to_user_string(): entry.asset_materialization.metadata
        for entry in entries
    }
    for key in MORNINGS_TABLES:
        # Exports bring no videos.
        assert shown[key]["dagster/row_count"].value > 0 or key == "gaelp_training/creative_video_features", (
            key
        )
        assert "preview" in shown[key], key
    plotted = {"placement_baselines", "forecast_outlook", "bandit_posteriors", "bandit_decisions"}
    plotted |= {"apply_hold_lift", "context_rates"}
    for name in plotted:
        assert "data:image/png" in shown[f"gaelp_training/{name}"]["plot"].value
    assert "dagster/column_lineage" in shown["gaelp_training/ads_campaign_daily"]


def test_a_second_run_reuses_everything(home):
    morning = home.run(TODAY)
    assert morning.reused == [TODAY]
    assert not morning.transformed
    assert not morning.decided


def test_a_new_day_rebuilds_only_what_it_touches(next_day):
    _, morning = next_day
    ((first, last),) = morning.transformed
    assert last == TODAY
    assert first >= TODAY - timedelta(days=homes.RESTATED_DAYS)
    assert morning.decided == [TOMORROW]


def test_single_days_one_range_and_a_full_refresh_give_the_same_marts(finished, next_day, tmp_path):
    whole, morning = next_day
    ((first, last),) = morning.transformed
    days = [first + timedelta(days=step) for step in range((last - first).days + 1)]
    assert len(days) == homes.RESTATED_DAYS
    expected = _marts(whole)

    by_day = finished[0].copy(tmp_path / "by_day")
    by_day.drop_tomorrow()
    assert by_day.execute("land_files", TOMORROW, {}).success
    stale = _marts(by_day)["gaelp_training.ads_ad_daily"]
    assert not stale.equals(expected["gaelp_training.ads_ad_daily"]), "there is something to build"
    for day in reversed(days):  # in any order
        by_day.transform(day, day, TOMORROW)
    assert_same_tables(expected, _marts(by_day))

    by_day.sql("delete from gaelp_training.ads_ad_daily")
    by_day.transform(first, last, TOMORROW, full_refresh=True)
    assert_same_tables(expected, _marts(by_day))


@pytest.mark.parametrize("days", [1, 3], ids=["a day", "a range"])
def test_tables_of_no_day_tell_by_their_rows_whether_a_build_changed_them(finished, tmp_path, days):
    home, newest = finished[0].copy(tmp_path / "again"), TODAY - timedelta(days=1)
    result = home.transform(newest - timedelta(days=days - 1), newest, TODAY)
    told = {
        (event.asset_key, event.partition): event.step_materialization_data.materialization.tags[
            DATA_VERSION_TAG
        ]
        for event in result.get_asset_materialization_events()
    }
    of_the_newest = {"partition": "date", "first": newest, "last": newest}
    for key in VERSIONED:
        has_days = key.path[-1] == "budget_levers"
        rows = home.warehouse().read(TableName(*key.path), **(of_the_newest if has_days else {}))
        assert told[key, newest.isoformat() if has_days else None] == content_version(rows), key


def _marts(home: Home) -> dict[str, pl.DataFrame]:
    """What dbt built of days: the tables without a morning."""
    found = home.tables(schemas=("gaelp_training", "intermediate"))
    return {
        name: rows
        for name, rows in found.items()
        if name not in PYTHON_TABLES and "as_of_date" not in rows.columns
    }


def test_two_fresh_homes_decide_the_same(finished, tmp_path):
    home, _ = finished
    other = Home(tmp_path / "other")
    homes.build_sandbox(other.drop, homes.SCALE, SETTINGS.seed, TODAY, images=other.path / "creative_images")
    other.run(TODAY)
    assert_same_tables(home.tables(schemas=("gaelp_training",)), other.tables(schemas=("gaelp_training",)))


def test_a_decision_is_replayed_bit_for_bit_from_its_stored_inputs(finished):
    home, _ = finished
    stored = home.warehouse().read(BANDIT_DECISIONS.name)
    (input_hash,) = stored["input_hash"].unique()
    frames = load_frames(home.path / "artifacts" / "decisions", input_hash)
    replayed = run_decision(frames, SETTINGS, TODAY).decisions
    columns = replayed.columns
    keys = ["platform", "account_id", "lever_id"]
    assert replayed.sort(keys).equals(stored.select(columns).sort(keys).cast(dict(replayed.schema)))


def test_a_review_of_the_morning_fills_its_tables_and_tells_each_event_once(home):
    declared = DeclaredColumnsOnly(home.warehouse())
    assert home.execute("review", TODAY, DECIDE, io_manager=declared).success
    seen = {str(t.name): home.warehouse().read(t.name) for t in MONITORING_TABLES}
    # A month of history leaves no matured day that was forecast from a month before it.
    unfilled = {name for name, rows in seen.items() if rows.is_empty()}
    # Nothing was put before anybody before this morning, so nobody chose otherwise.
    assert unfilled == {"gaelp_training.fidelity_evaluations", "gaelp_training.override_outcomes"}
    assert not seen["gaelp_training.override_learnings"]["is_enough"].any()
    assert set(seen["gaelp_training.forecast_reviews"]["basis"]) == {"hindcast"}  # no morning before this one
    verdicts = seen["gaelp_training.readiness"]
    assert not verdicts.filter(pl.col("criterion") == "all_criteria")["passed"].any()
    told = home.sql("select event_id, status, attempts from ops.notifications order by event_id")
    events = seen["gaelp_training.safety_events"]
    assert told.rows() == [(event, "sent", 1) for event in sorted(events["event_id"])]
    for later in ("watch", "guard_spend"):
        assert home.execute(later, TODAY, DECIDE).success
    assert home.sql("select max(attempts) as n from ops.notifications")["n"][0] == 1


def test_an_implausible_account_is_left_out_and_the_others_proceed(home):
    home.sql(
        "update gaelp_training.ads_ad_daily set cost = hash(ad_id || date) % 1000 where platform = 'tiktok'"
    )
    assert home.execute("decide", TODAY, DECIDE, selection=DECIDED).success
    verdicts = dict(home.sql("select platform, eligible from ops.decision_accounts").iter_rows())
    assert verdicts == {"meta": True, "google_ads": True, "linkedin": True, "tiktok": False}
    decided = home.sql("select distinct platform from gaelp_training.bandit_decisions")["platform"].to_list()
    assert "tiktok" not in decided
    assert "meta" in decided


def test_a_stale_account_is_left_out_and_the_others_proceed(home):
    oldest = TODAY - timedelta(days=SETTINGS.max_data_age_days)
    home.sql(f"delete from gaelp_training.ads_ad_daily where platform = 'linkedin' and date >= '{oldest}'")
    kept = [key for key in DECIDED if key.path[-1] != "slates"]
    assert home.execute("decide", TODAY, DECIDE, selection=kept).success
    verdicts = dict(home.sql("select platform, reason from ops.decision_accounts").iter_rows())
    assert verdicts["linkedin"].startswith("stale")
    decided = home.sql("select distinct platform from gaelp_training.bandit_decisions")["platform"].to_list()
    assert sorted(decided) == ["google_ads", "meta", "tiktok"]


def test_nothing_is_decided_on_stale_data(home):
    late = TODAY + timedelta(days=SETTINGS.max_data_age_days + 1)
    outcome = home.execute("decide", late, {"dagster/partition": late.isoformat()})
    assert not outcome.success
    assert "someone_may_be_decided_on" in failed_checks(outcome)
    assert not {"bandit", "gaelp_training__slates"} & steps_that_ran(outcome)


def test_a_broken_grain_in_the_marts_fails_the_run_before_anything_is_decided(home):
    home.sql("insert into raw.meta_ads_insights select * from raw.meta_ads_insights limit 200")
    home.sql("delete from ops.transformed_days")
    with pytest.raises(Exception, match="transform_days failed"):
        home.run(TODAY)


def test_analysts_read_the_published_copy_while_the_warehouse_is_written(finished):
    home, _ = finished
    copy = home.path / "analyst" / "warehouse.duckdb"
    with duckdb.connect(str(home.database)), duckdb.connect(str(copy), read_only=True) as reader:
        (rows,) = reader.execute("select count(*) from gaelp_training.decision_summary").fetchone()
    assert rows > 0


def test_undated_exports_are_audited_and_never_decided_on(tmp_path, shared_data):
    home = Home(tmp_path / "undated")
    home.drop.mkdir(parents=True)
    source = shared_data / "kag_facebook" / "KAG_conversion_data.csv"
    (home.drop / "whatever.csv").write_bytes(source.read_bytes())
    morning = home.run(TODAY)
    assert not morning.decided
    checks = dict(home.sql("select check_name, status from ops.account_audits").iter_rows())
    assert checks["spend_persists"] == "skipped"
    totals = home.sql(
        "select sum(impressions) i, sum(clicks) c, sum(cost) s from gaelp_training.ads_period_performance"
    ).row(0)
    assert [str(value) for value in totals] == ["213434828", "38165", "58705.230000000"]
