"""A day of the closed loop: decided, approved, sent to the servers, lived, pulled and decided again."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from benchmarks.closed_loop import Month, month_record

pytestmark = [pytest.mark.e2e, pytest.mark.dbt]


@pytest.fixture(scope="module")
def month(tmp_path_factory) -> Month:
    month = Month(tmp_path_factory.mktemp("closed_loop") / "home", "tiny")
    month.live(1)
    return month


def test_budgets_move_by_applied_changes_alone(month):
    (first,) = month.days
    assert first.approved == sum(first.outcomes.values()) == first.outcomes["applied"] > 2
    assert (first.in_force != month.before).sum() == first.approved
    assert month.budgets_without_a_change() == []


def test_the_next_morning_reads_what_was_written_and_does_not_ask_again(month):
    (first,) = month.days
    next_morning = month.today + timedelta(days=1)
    levers = month.account.simulated.business.levers.id
    read = dict(
        month.table("gaelp_training.budget_levers")
        .filter(pl.col("date") == next_morning)
        .select(
            "lever_id", pl.when(pl.col("status") == "active").then("current_budget").otherwise(0).cast(float)
        )
        .iter_rows()
    )
    assert {lever: read.get(lever, 0.0) for lever in levers} == dict(zip(levers, first.in_force, strict=True))
    edits = month.table("ops.proposals").filter(pl.col("type").is_in(["raise", "cut", "stop"]))
    asked = edits.select("as_of_date", "lever_id").unique().to_dicts()
    moved = {row["lever_id"] for row in asked if row["as_of_date"] == first.morning}
    assert not moved & {row["lever_id"] for row in asked if row["as_of_date"] == next_morning}


def test_outcomes_return_and_are_scored(month):
    lived = month.table("intermediate.int_lever_daily").filter(pl.col("date") == month.today)
    told = month.contribution(budgets_held=False)
    assert float(lived["cost"].sum()) == pytest.approx(told["spend"], rel=1e-6)
    figures = {figure.name: figure for figure in month_record(month).figures}
    assert figures["lever-days whose budget moved without an applied change"].meets
    assert told["spend"] < figures["spend, budgets held"].value
