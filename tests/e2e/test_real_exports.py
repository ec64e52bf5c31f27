"""`aelp real` on the public exports: one firm is decided on, the rest is landed, audited and left out."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from models.accuracy import METHODS
from resources.settings import PROJECT_ROOT
from tests.e2e.homes import Home

pytestmark = [pytest.mark.e2e, pytest.mark.dbt, pytest.mark.real_data]

FIRM = {"platform": "online_ad_performance", "account_id": "display_firm"}
LAST_DAY, MORNING = date(2020, 5, 31), date(2020, 6, 1)
BANNERS = {
    "160 x 600",
    "240 x 400",
    "300 x 250",
    "468 x 60",
    "580 x 400",
    "670 x 90",
    "728 x 90",
    "800 x 250",
}
# Campaign 2 last ran on 30 April: it has no budget in force that could be decided on.
ARMS = {f"{campaign}|{banner}" for campaign in ("camp 1", "camp 3") for banner in BANNERS}
UNDATED = {"kag_facebook"}


@pytest.fixture(scope="module")
def decided(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("real") / "home")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AELP_", "DAGSTER_"))}
    done = subprocess.run(
        [str(Path(sys.executable).parent / "aelp"), "real", str(shared_data)],
        cwd=PROJECT_ROOT,
        env={**clean, "AELP_HOME": str(home.path)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    home.said.append(done.stdout)
    return home


def test_the_morning_is_the_day_after_the_firms_last_report(decided):
    (last,) = decided.sql("select max(date) d from gaelp_training.ads_ad_daily")["d"]
    assert last == LAST_DAY
    for table in ("placement_baselines", "forecast_results", "bandit_decisions", "slates"):
        mornings = decided.sql(f"select distinct as_of_date from gaelp_training.{table}")["as_of_date"]
        assert mornings.to_list() == [MORNING], table


def test_every_arm_of_campaign_and_banner_is_forecast_and_decided_on(decided):
    for table in ("forecast_results", "bandit_decisions"):
        rows = decided.sql(f"select distinct platform, account_id, lever_id from gaelp_training.{table}")
        assert set(rows["lever_id"]) == ARMS, table
        assert rows.select(*FIRM).unique().rows(named=True) == [FIRM], table
    (first,) = decided.sql("select min(target_date) d from gaelp_training.forecast_results")["d"]
    assert first == MORNING


def test_every_placement_of_the_export_has_a_baseline(decided):
    known = decided.sql(
        "select distinct placement from intermediate.int_placement_daily"
        f" where platform = 'online_ad_performance' and date >= '{MORNING}'::date - 30 and impressions > 0"
    )
    baselines = decided.sql("select placement, cpm_p50 from gaelp_training.placement_baselines")
    assert set(baselines["placement"]) == {*known["placement"], "all"}
    assert baselines.height > 2
    assert baselines["cpm_p50"].null_count() == 0


def test_every_decision_is_advisory_as_the_export_declares_its_levers(decided):
    decisions = decided.sql("select advisory, lever_source, reason from gaelp_training.bandit_decisions")
    assert decisions["advisory"].all()
    assert decisions["lever_source"].unique().to_list() == ["declared"]
    assert all("advisory" in reason for reason in decisions["reason"])
    (said,) = decided.said
    assert "advisory, nothing can be written to declared levers" in said


def test_the_negative_control_is_left_out_with_reasons_and_the_firm_proceeds(decided):
    accounts = decided.sql("select platform, account_id, eligible, reason from ops.decision_accounts")
    assert accounts.filter(eligible=True).select(*FIRM).rows(named=True) == [FIRM]
    rejects = accounts.filter(platform="facebook_vs_adwords")
    assert sorted(rejects["account_id"]) == ["adwords", "facebook"]
    audits = decided.sql(
        "select source, account_id, check_name, status, decision_eligible, detail from ops.account_audits"
    )
    for account, reason in rejects.select("account_id", "reason").iter_rows():
        audit = audits.filter(source="facebook_vs_adwords", account_id=account)
        failed = audit.filter(status="failed")
        assert not audit["decision_eligible"].any()
        assert failed.height > 1
        assert all(check in reason for check in failed["check_name"])
        assert all(len(detail) > 20 for detail in failed["detail"])
    (said,) = decided.said
    assert "Account facebook_vs_adwords/adwords: decision_eligible = false (plausibility audit failed" in said


def test_sets_without_days_lie_in_the_period_table_and_in_no_daily_mart(decided):
    table = "gaelp_training.ads_period_performance"
    assert set(decided.sql(f"select distinct platform from {table}")["platform"]) == UNDATED
    for daily in ("ads_ad_daily", "ads_campaign_daily", "budget_levers"):
        found = decided.sql(f"select distinct platform from gaelp_training.{daily}")["platform"]
        assert "online_ad_performance" in found.to_list(), daily
        assert not UNDATED & set(found), daily


def test_the_apparel_brands_106_weeks_enter_the_media_mix(decided):
    weeks = decided.sql("select * from gaelp_training.mmm_input_weekly where track = 'apparel'")
    assert weeks.height == 106 * 8
    assert weeks["is_complete"].all()
    assert weeks["told_by"].unique().to_list() == ["history"]
    assert (weeks["week"].min(), weeks["week"].max()) == (date(2021, 11, 22), date(2023, 11, 27))
    assert weeks.filter(week=date(2021, 11, 22))["new_customers"].unique().to_list() == [517]
    accounts = decided.sql("select source from ops.accounts")
    assert "conjura" not in accounts["source"].to_list()


def test_the_forecaster_is_scored_on_both_horizons_beside_every_rival(decided):
    scores = decided.sql(
        "select platform, account_id, metric, horizon_days, method, forecasts, pinball, crps"
        " from gaelp_training.forecast_accuracy"
    )
    assert scores.select(*FIRM).unique().rows(named=True) == [FIRM]
    for (metric,), rows in scores.group_by("metric"):
        cells = {(days, method) for days in (7, 14) for method in METHODS}
        assert set(rows.select("horizon_days", "method").iter_rows()) == cells, metric
    assert set(scores["metric"]) == {"clicks", "conversions", "spend"}
    assert (scores["forecasts"] > 0).all()
    assert scores["pinball"].null_count() == scores["crps"].null_count() == 0
    (said,) = decided.said
    assert "Backtest display_firm" in said


def test_tests_whose_randomisation_broke_have_no_winner_and_the_others_are_judged(decided):
    verdicts = decided.sql(
        "select platform, broken_window, verdict, count(*) as tests, min(first_day) as first_day,"
        " max(last_day) as last_day, count(winner) as winners"
        " from gaelp_training.ab_experiments"
        " where as_of_date = (select max(as_of_date) from gaelp_training.ab_experiments) group by all"
    )
    (survey,) = verdicts.filter(platform="adsmart").to_dicts()
    assert (survey["verdict"], survey["tests"]) == ("invalid", 1)
    upworthy = verdicts.filter(platform="upworthy")
    assert upworthy["tests"].sum() == 4_210
    # As published, 25 June 2013 to 10 January 2014; here to the week.
    (broken,) = upworthy.filter("broken_window").to_dicts()
    assert (broken["first_day"], broken["last_day"]) == (date(2013, 6, 24), date(2014, 1, 12))
    assert broken["winners"] == 0
    assert upworthy.filter(verdict="winner")["tests"].sum() > 50


def test_rankers_learn_from_the_archives_tests_and_are_judged_on_its_later_ones(decided):
    evaluations = decided.sql("select * from gaelp_training.ranker_evaluations where rate = 'ctr'")
    assert evaluations["as_of_date"].unique().to_list() == [MORNING]
    assert set(evaluations["candidate"]) == {"kernel_of_tests", "ridge_of_tests", "trees_of_tests"}
    assert set(evaluations["judged_on"]) == {"split_tests"}
    assert evaluations["judged_arms"].min() > 1_000
    champion = evaluations.row(by_predicate=pl.col("is_champion"), named=True)
    assert champion["may_score"], champion["reasons"]
    assert champion["significant_pairs_right"] > 0.65
    # Nobody's creatives are in these exports: tests teach, and there is nothing to score.
    assert decided.sql("select count(*) as rows from gaelp_training.ad_scores")["rows"].to_list() == [0]
