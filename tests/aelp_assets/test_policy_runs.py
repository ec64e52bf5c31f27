"""What is logged of a morning's policy: one row per track, tied to its belief and its draws."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from aelp_assets.artifacts import load_frames, store_frames
from aelp_assets.bandits import policy_runs, run_decision
from models.bandits import DecisionDay
from resources.settings import PROJECT_ROOT, Settings, load_settings
from resources.warehouse.tables import POLICY_RUNS
from tests.models.test_bandits_decisions import AS_OF, account

GLUE = {"seed", "input_hash", "settings_hash", "code_version", "run_id"}


@pytest.fixture(scope="module")
def settings() -> Settings:
    shipped = load_settings(PROJECT_ROOT / "aelp.yaml")
    return shipped.model_copy(update={"bandit": shipped.bandit.model_copy(update={"draws": 480})})


@pytest.fixture(scope="module")
def frames() -> dict[str, pl.DataFrame]:
    history, days, accounts = account(12, seed=1)
    known = days.with_columns(completion=pl.lit(1.0), completion_sd=pl.lit(0.0))
    young = known.head(12).with_columns(date=pl.lit(date(2026, 6, 27)), completion=pl.lit(0.4))
    return {
        "budget_levers": history,
        "reward_daily": pl.concat([known, young.with_columns(completion_sd=pl.lit(0.1))]),
        "decision_accounts": accounts,
    }


@pytest.fixture(scope="module")
def decided(frames: dict[str, pl.DataFrame], settings: Settings) -> DecisionDay:
    return run_decision(frames, settings, AS_OF)


def test_each_track_logs_its_draws_its_half_life_and_its_levers(decided: DecisionDay, settings: Settings):
    runs = policy_runs(decided, settings, AS_OF)
    assert set(runs.columns) == set(POLICY_RUNS.column_names) - GLUE
    assert runs.select("track", "levers", "draws").rows() == [("balance", 6, 480), ("security", 6, 480)]
    assert set(runs["half_life_days"]) == set(decided.posteriors["half_life_days"])


def test_the_posterior_hash_names_the_belief_of_its_own_track(decided: DecisionDay, settings: Settings):
    def hashes(day: DecisionDay) -> dict[str, str]:
        return dict(policy_runs(day, settings, AS_OF).select("track", "posterior_hash").iter_rows())

    moved = pl.when(pl.col("track") == "balance").then(pl.col("p_best") / 2).otherwise("p_best")
    before = hashes(decided)
    after = hashes(replace(decided, posteriors=decided.posteriors.with_columns(moved.alias("p_best"))))
    assert before["security"] == after["security"]
    assert before["balance"] != after["balance"]


def test_a_decision_with_young_cohorts_replays_bit_for_bit_from_its_stored_inputs(
    frames: dict[str, pl.DataFrame], decided: DecisionDay, settings: Settings, tmp_path: Path
):
    stored = store_frames(tmp_path, {name: rows.reverse() for name, rows in frames.items()})
    again = run_decision(load_frames(tmp_path, stored.sha256), settings, AS_OF)
    assert again.decisions.equals(decided.decisions)
    assert again.posteriors.equals(decided.posteriors)
    assert (decided.posteriors["young_exposure"] > 0).all()
