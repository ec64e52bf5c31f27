"""A whole morning on the tiny sandbox: what is built, what is reused, and what must not go through."""

from __future__ import annotations

import socket
import subprocess
import sys
from datetime import date, timedelta

import dagster as dg
import duckdb
import polars as pl
import pytest

from aelp_assets.artifacts import load_frames
from aelp_assets.bandits import run_decision
from aelp_assets.metadata import asset_key
from resources.warehouse.tables import MODEL_TABLES
from tests.e2e import homes
from tests.e2e.homes import SETTINGS, TODAY, TOMORROW, Home, assert_same_tables

pytestmark = [pytest.mark.e2e, pytest.mark.dbt]

DECIDE = {"dagster/partition": TODAY.isoformat()}
MORNINGS_TABLES = {str(table.name).replace(".", "/") for table in MODEL_TABLES} - {
    "gaelp_training/forecast_accuracy"
}


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
        from aelp_assets.definitions import build_defs

        executable = {
            spec.key.to_user_string()
            for asset in build_defs().assets
            if isinstance(asset, dg.AssetsDefinition) and asset.is_executable
            for spec in asset.specs
        }
    built = materialised(home)
    assert executable - built == {"gaelp_training/forecast_accuracy"}
    assert {"raw/meta_ads_insights", "raw/orders", "raw/levers"} <= built


def test_every_model_asset_shows_rows_a_preview_and_its_columns(finished):
    home, _ = finished
    entries = homes.events_of(home, lambda entry: _is(entry, dg.DagsterEventType.ASSET_MATERIALIZATION))
    shown = {
        entry.dagster_event.asset_key.to_user_string(): entry.asset_materialization.metadata
        for entry in entries
    }
    for key in MORNINGS_TABLES:
        assert shown[key]["dagster/row_count"].value > 0, key
        assert "preview" in shown[key], key
    plotted = {"placement_baselines", "forecast_outlook", "bandit_posteriors", "bandit_decisions"}
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


def test_single_days_one_range_and_a_full_refresh_give_the_same_marts(next_day, tmp_path):
    whole, _ = next_day
    kept = ("gaelp_training", "intermediate")
    expected = {n: t for n, t in whole.tables(schemas=kept).items() if "as_of_date" not in t.columns}
    days = [TODAY - timedelta(days=age) for age in (2, 1, 0)]
    by_day = whole.copy(tmp_path / "by_day")
    for day in days:
        by_day.transform(day, day, TOMORROW)
    refreshed = whole.copy(tmp_path / "refreshed")
    refreshed.transform(days[0], days[-1], TOMORROW, full_refresh=True)
    for other in (by_day, refreshed):
        found = {n: t for n, t in other.tables(schemas=kept).items() if "as_of_date" not in t.columns}
        assert_same_tables(expected, found)


def test_two_fresh_homes_decide_the_same(finished, tmp_path):
    home, _ = finished
    other = Home(tmp_path / "other")
    homes.build_sandbox(other.drop, homes.SCALE, SETTINGS.seed, TODAY, images=other.path / "creative_images")
    other.run(TODAY)
    assert_same_tables(home.tables(schemas=("gaelp_training",)), other.tables(schemas=("gaelp_training",)))


def test_a_decision_is_replayed_bit_for_bit_from_its_stored_inputs(finished):
    home, _ = finished
    stored = home.warehouse().read(homes_table("bandit_decisions"))
    (input_hash,) = stored["input_hash"].unique()
    frames = load_frames(home.path / "artifacts" / "decisions", input_hash)
    replayed = run_decision(frames, SETTINGS, TODAY).decisions
    columns = replayed.columns
    keys = ["platform", "account_id", "lever_id"]
    assert replayed.sort(keys).equals(stored.select(columns).sort(keys).cast(dict(replayed.schema)))


def homes_table(name: str):
    from resources.warehouse.schema import TableName

    return TableName("gaelp_training", name)


def test_an_implausible_account_is_left_out_and_the_others_proceed(home):
    home.sql(
        "update gaelp_training.ads_ad_daily set cost = hash(ad_id || date) % 1000 where platform = 'tiktok'"
    )
    outcome = home.execute("decide", TODAY, DECIDE)
    assert outcome.success
    verdicts = dict(home.sql("select platform, eligible from ops.decision_accounts").iter_rows())
    assert verdicts == {"meta": True, "google_ads": True, "linkedin": True, "tiktok": False}
    decided = home.sql("select distinct platform from gaelp_training.bandit_decisions")["platform"].to_list()
    assert "tiktok" not in decided
    assert "meta" in decided


def test_nothing_is_decided_on_stale_data(home):
    late = TODAY + timedelta(days=SETTINGS.max_data_age_days + 1)
    outcome = home.execute("decide", late, {"dagster/partition": late.isoformat()})
    assert not outcome.success
    assert "someone_may_be_decided_on" in failed_checks(outcome)
    assert not {"bandit", "gaelp_training__slates"} & steps_that_ran(outcome)


@pytest.mark.parametrize(
    ("table", "check", "never_runs"),
    [
        ("placement_baselines", "quantiles_in_order", {"forecast", "bandit", "gaelp_training__slates"}),
        ("bandit_decisions", "money_invariants_hold", {"gaelp_training__slates"}),
    ],
)
def test_a_failed_blocking_check_stops_what_follows(home, monkeypatch, table, check, never_runs):
    if table == "placement_baselines":
        from models import baselines

        honest = baselines.placement_baselines
        monkeypatch.setattr(
            baselines,
            "placement_baselines",
            lambda *a, **k: honest(*a, **k).with_columns(cpm_p10=pl.col("cpm_p90") + 1),
        )
    else:
        from aelp_assets import bandits
        from models.bandits import DecisionDay

        honest_decision = bandits.run_decision

        def greedy(*arguments) -> DecisionDay:
            day = honest_decision(*arguments)
            raised = day.decisions.with_columns(
                proposed_budget=(pl.col("current_budget") * 3).cast(pl.Decimal(38, 9)), type=pl.lit("raise")
            )
            return DecisionDay(day.posteriors, day.tracks, day.requests, day.states, raised)

        monkeypatch.setattr(bandits, "run_decision", greedy)
    outcome = home.execute("decide", TODAY, DECIDE)
    assert check in failed_checks(outcome)
    assert not never_runs & steps_that_ran(outcome)


def test_a_broken_grain_in_the_marts_fails_the_run_before_anything_is_decided(home):
    home.sql("insert into raw.meta_ads_insights select * from raw.meta_ads_insights limit 200")
    home.sql("delete from ops.transformed_days")
    with pytest.raises(Exception, match="transform_days failed"):
        home.run(TODAY)


def test_a_held_file_is_named_in_the_error(home):
    program = (
        "import duckdb, sys, time\n"
        "c = duckdb.connect(sys.argv[1])\n"
        "print('held', flush=True)\n"
        "time.sleep(120)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(home.database)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Exception, match=str(holder.pid)):
            home.run(TODAY)
    finally:
        holder.kill()


def test_analysts_read_the_published_copy_while_the_warehouse_is_written(finished):
    home, _ = finished
    copy = home.path / "analyst" / "warehouse.duckdb"
    with duckdb.connect(str(home.database)), duckdb.connect(str(copy), read_only=True) as reader:
        (rows,) = reader.execute("select count(*) from gaelp_training.decision_summary").fetchone()
    assert rows > 0


def test_an_empty_drop_folder_ends_well(tmp_path):
    home = Home(tmp_path / "empty")
    morning = home.run(TODAY)
    assert not morning.decided
    assert any("Nothing to decide" in line for line in home.said)


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


def test_nothing_listens_and_nothing_leaves(finished):
    # pytest-socket refuses every address but loopback: a call to a platform would have failed the morning.
    with pytest.raises(Exception, match="socket"):
        socket.create_connection(("192.0.2.1", 443), timeout=0.1)
    assert asset_key("gaelp_training.slates").to_user_string() in materialised(finished[0])
    assert isinstance(TODAY, date)
