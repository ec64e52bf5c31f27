"""Three days that run themselves, two with something wrong, cut off once: a slice of the simulated month."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aelp_assets.definitions import build_defs
from benchmarks.month_findings import (
    rebuilt_without_change,
    refreshed_to_no_effect,
    refreshed_without_change,
    table_of_runs,
    unready_decisions,
    wrong_tables,
)
from benchmarks.simulated_month import FIRST_DAY, BadRestatement, Fault, Month, Outage

pytestmark = [pytest.mark.e2e, pytest.mark.dbt]
# Not at midnight: older days are read while Meta's clicks are wrong, the oldest of them for the last time.
_LOOKS = ("04:00", "09:00", "14:00")


class _CutOff(Fault):
    name, span = "the month is cut off in the middle of a write", ("04:00", "09:00")

    def begin(self, month: Month) -> None:
        (month.path / "warehouse.duckdb").write_bytes(b"half a block")
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def month(tmp_path_factory) -> Month:
    home = tmp_path_factory.mktemp("month") / "home"
    with pytest.raises(KeyboardInterrupt):
        Month(home, "tiny", 3, {1: _CutOff()}, _LOOKS).live()
    month = Month(home, "tiny", 3, {1: BadRestatement(), 2: Outage("tiktok")}, _LOOKS)
    month.live()
    return month


def test_every_morning_is_decided_and_nothing_fails_in_silence(month):
    decided = month.warehouse.query("select distinct as_of_date from gaelp_training.bandit_decisions")
    assert set(decided["as_of_date"]) == {FIRST_DAY + timedelta(days=day) for day in range(3)}
    assert month.memory.failed_ticks == []
    failed = [run for run in month.memory.runs if not run.succeeded]
    assert {run.job for run in failed} <= {"pull_sources"}, table_of_runs(month.memory.runs)


def test_marts_end_as_if_nothing_had_gone_wrong(month):
    assert wrong_tables(month.warehouse, month.untroubled(), FIRST_DAY - timedelta(days=20)) == {}


def test_each_partition_is_built_once_for_each_change(month):
    assert rebuilt_without_change(month.memory.runs, month.warehouse) == []
    graph = build_defs().resolve_asset_graph()
    assert refreshed_without_change(month.memory.runs, graph) == []
    assert refreshed_to_no_effect(month.memory.runs) == []


def test_nothing_is_decided_on_stale_or_refused_inputs(month):
    assert unready_decisions(month.memory.runs, month.warehouse) == []
    decisions = month.warehouse.query(
        "select distinct platform from gaelp_training.bandit_decisions where as_of_date = $morning",
        {"morning": FIRST_DAY + timedelta(days=1)},
    )["platform"]
    assert "meta" not in set(decisions), "its clicks were wrong that morning"
    assert "google_ads" in set(decisions)
