"""From weeks by channel to decisions and experiments; a mix that is not believed stops before curves."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest

from aelp_assets import media_mix
from aelp_assets.metadata import asset_key
from tests.declared_columns import DeclaredColumnsOnly
from tests.e2e.homes import TODAY, Home
from tests.e2e.test_blocking_checks import MORNING, altered

pytestmark = [pytest.mark.e2e]

MORNINGS = {"dagster/partition": TODAY.isoformat()}
OUTCOME = ("gaelp_training.mmm_curves", "gaelp_training.mmm_channels", "gaelp_training.mmm_tests")


@pytest.fixture
def short(home: Home) -> Home:
    """Weeks enough for the fallback alone, which needs no sampler and takes a second."""
    home.sql("update gaelp_training.mmm_input_weekly set is_complete = false where trend < 80")
    return home


def verdicts(outcome: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {result.check_name: result.passed for result in outcome.get_asset_check_evaluations()}


def test_a_fit_that_may_not_be_believed_stops_before_curves_and_envelopes(
    short: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubted = pl.lit(value=False).alias("passed")
    altered(media_mix, "fit_row", lambda row: row.with_columns(doubted))(short, monkeypatch)
    outcome = short.execute("fit_media_mix", TODAY, MORNINGS)
    assert not outcome.success
    assert verdicts(outcome)["every_fit_may_be_believed"] is False
    assert not any(event.step_key == "media_mix" for event in outcome.all_events if event.is_step_success)
    assert short.sql("select count(*) as n from gaelp_training.mmm_allocations")["n"][0] == 0


def test_envelopes_reach_the_decision_of_the_morning(short: Home) -> None:
    outcome = short.execute("fit_media_mix", TODAY, MORNINGS)
    assert outcome.success
    assert all(verdicts(outcome).values()), verdicts(outcome)
    assert all(short.sql(f"select count(*) as n from {table}")["n"][0] > 0 for table in OUTCOME)
    given = short.sql(
        "select track, channel, envelope from gaelp_training.mmm_allocations where envelope is not null"
    )
    assert given.height >= 8
    raised = "select count(*) as n from gaelp_training.bandit_decisions where type = 'raise'"
    assert short.sql(raised)["n"][0] > 0
    # A mix that gives a tenth of what is in force: nothing of it may rise, and what can move comes down.
    short.sql("update gaelp_training.mmm_allocations set envelope = budget_in_force / 10")
    selection = [asset_key(table) for table in MORNING["bandit"]]
    decided = short.execute("decide", TODAY, MORNINGS, selection=selection)
    assert decided.success
    asked = short.sql(
        "select type, thompson_budget < current_budget as less from gaelp_training.bandit_decisions"
    )
    assert "raise" not in asked["type"].to_list()
    assert "cut" in asked["type"].to_list()
    assert asked["less"].all()


def test_tests_worth_running_are_registered_beside_split_tests_with_days_of_their_own(short: Home) -> None:
    declared = DeclaredColumnsOnly(short.warehouse())
    assert short.execute("fit_media_mix", TODAY, MORNINGS, io_manager=declared).success
    outcome = short.execute("judge_experiments", TODAY, MORNINGS, io_manager=declared)
    assert outcome.success
    assert verdicts(outcome)["planned_experiments_disturb_nothing"]
    rows = short.sql("select * from gaelp_training.experiments order by experiment_id")
    landed = short.sql("select count(*) as n from gaelp_training.ab_experiments")["n"][0]
    assert landed > 0
    assert rows.filter(pl.col("reference") == "gaelp_training.ab_results").height == landed
    best = short.sql("select distinct track, channel from gaelp_training.mmm_tests where worth_it")
    planned = rows.filter(pl.col("kind") == "media_mix", pl.col("status") == "planned")
    assert planned.height == best.height > 0
    assert planned["price"].null_count() == planned["power"].null_count() == 0
    assert planned["first_day"].drop_nulls().len() > 0
    assert (planned["first_day"].drop_nulls() > TODAY).all()
    asked = short.sql("select count(*) as n from gaelp_training.arm_decisions where type = 'split_test'")
    proposed = rows.filter(pl.col("kind") == "split_test", pl.col("status") == "planned")
    assert proposed.height == asked["n"][0]
