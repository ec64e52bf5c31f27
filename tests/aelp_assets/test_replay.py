"""Deciding again: the same bit for bit, or each difference, or plainly why not."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from aelp_assets.artifacts import load_text, store_frames, store_text
from aelp_assets.bandits import decision_rows, kill_switch_frame, reserved_launches_frame, run_decision
from aelp_assets.decision_records import Named, find_decision, keep_decisions, name_decision
from aelp_assets.replay import replay_decision, replay_lines
from resources.control.records import Record, Refused
from resources.control.store import control_url, open_control_store
from resources.settings import PROJECT_ROOT, Environment, load_settings, read_environment
from tests.resources.control.proposing import LAUNCH, TEN, governing, lever, proposed, put_launches

MORNING = date(2026, 6, 30)
SETTINGS = load_settings(PROJECT_ROOT / "aelp.yaml")
RUN = {"upstream_hash": "u", "run_id": "r"}
ACCOUNT = {"platform": "meta", "account_id": "a1"}


@pytest.fixture
def environment(tmp_path) -> Environment:
    return read_environment({"AELP_HOME": str(tmp_path / "home")})


def inputs() -> dict[str, pl.DataFrame]:
    """Two ad sets of one account with a month of snapshots and three of delivery."""
    levers, days = [], []
    for name, signups in (("l1", 4.0), ("l2", 1.0)):
        for age in range(1, 16):
            levers.append(snapshot(name, MORNING - timedelta(days=age)))
        for age in range(1, 73):
            day = MORNING - timedelta(days=age)
            days.append({"date": day, **ACCOUNT, "track": "security", "lever_id": name, **delivered(signups)})
    eligible = {**ACCOUNT, "maturity_days": 14, "eligible": True, "as_of_date": MORNING}
    return {
        "budget_levers": pl.DataFrame(levers, schema_overrides=SNAPSHOT),
        "reward_daily": pl.DataFrame(days, schema_overrides=dict.fromkeys(DELIVERED, MONEY)),
        "decision_accounts": pl.DataFrame([eligible]),
    }


def test_a_past_morning_is_planned_under_the_kill_switch_of_then(environment):
    environment.home.mkdir()
    engine = open_control_store(control_url(environment.home, {}))
    governance, later = governing(engine), TEN + timedelta(days=3)
    governance.kill(is_on=True, person="eve", reason="spend explodes", now=TEN)
    governance.kill(is_on=False, person="jo", reason="over", now=TEN + timedelta(days=1))
    engine.dispose()
    stopped = [
        kill_switch_frame(environment, SETTINGS, MORNING + timedelta(days=days), now).height
        for days, now in ((0, TEN), (0, later), (1, later), (2, later), (3, later))
    ]
    assert stopped == [0, 0, 1, 0, 0]


def test_a_morning_is_planned_beside_what_was_launched_by_then_and_so_is_its_replay(environment):
    environment.home.mkdir()
    engine = open_control_store(control_url(environment.home, {}))
    governance, later = governing(engine), TEN + timedelta(days=3)
    (launch,) = put_launches(governance, LAUNCH).new
    governance.approve(launch, "sam", "fine", TEN)
    engine.dispose()
    frames = inputs()
    seen = [
        reserved_launches_frame(environment, SETTINGS, MORNING, now, frames["budget_levers"]).rows()
        for now in (TEN, later)
    ]
    # It was approved after 09:00: a morning decided days later knows nothing of it.
    assert seen == [[("security", Decimal("120.01"))], []]
    held = pl.DataFrame(
        {"track": ["security"], "reserved": [Decimal(1_000_000)]}, schema_overrides={"reserved": MONEY}
    )
    free, full = (
        run_decision(frames | given, SETTINGS, MORNING) for given in ({}, {"reserved_launches": held})
    )
    assert "raise" in free.decisions["type"].to_list()
    assert "raise" not in full.decisions["type"].to_list()
    assert "approved launches" in " ".join(full.decisions["reason"])


MONEY = pl.Decimal(38, 9)
DELIVERED = ("cost", "conversions_click", "conversions_view")
SNAPSHOT = {
    **dict.fromkeys(("current_budget", "minimum_budget", "budget_increment"), MONEY),
    "last_edited_at": pl.Datetime("us", "UTC"),
}


def delivered(signups: float) -> dict[str, Any]:
    counted = (Decimal(500), Decimal(str(signups)), Decimal(1))
    return dict(zip(DELIVERED, counted, strict=True)) | {"is_matured": True}


def snapshot(name: str, day: date) -> dict[str, Any]:
    return {
        "date": day, **ACCOUNT, "track": "security", "lever_id": name, "lever_level": "adset",
        "lever_source": "platform", "entity_id": f"id-{name}", "entity_name": f"Ad set {name}",
        "status": "active", "learning_state": "active", "budget_type": "daily", "currency": "USD",
        "current_budget": Decimal(500), "minimum_budget": Decimal(5), "budget_increment": Decimal("0.01"),
        "is_shared": False, "has_lever": True, "last_edited_at": datetime(2026, 6, 1, tzinfo=UTC),
        "budget_id": None, "arms": 1, "shared_with": None,
    }  # fmt: skip


def curves() -> dict[str, pl.DataFrame]:
    """A cluster of its own for each ad set; of the second little is known."""
    levers = pl.DataFrame({"platform": ["meta"] * 2, "account_id": ["a1"] * 2, "lever_id": ["l1", "l2"]})
    of_clusters = {"elasticity_mean": [0.55, 0.8], "elasticity_sd": [0.05, 0.15], "may_rise": [True, True]}
    return {
        "lever_clusters": levers.with_columns(cluster=pl.Series(["one", "two"])),
        "response_curves": pl.DataFrame({"cluster": ["one", "two"], **of_clusters}),
    }


@pytest.fixture(params=["curves", "one elasticity for all"])
def decided(environment, request) -> pl.DataFrame:
    """The morning's rows, with all that was stored beside them; before there were curves, and since."""
    frames = inputs() | (curves() if request.param == "curves" else {})
    artifact = store_frames(environment.artifacts / "decisions", frames)
    settings_hash = store_text(environment.artifacts / "settings", SETTINGS.model_dump_json())
    day = run_decision(frames, SETTINGS, MORNING)
    rows = decision_rows(day, SETTINGS, MORNING, artifact.sha256, settings_hash).with_columns(
        pl.lit(value).alias(name) for name, value in RUN.items()
    )
    keep_decisions(environment, MORNING, rows, day.posteriors)
    return rows


def first(rows: pl.DataFrame, **changes: Any) -> Record:
    return rows.row(0, named=True) | changes


def test_the_same_inputs_settings_and_code_decide_the_same(environment, decided):
    outcome = replay_decision(environment, first(decided))
    assert outcome.is_same, outcome
    assert outcome.compared == decided.width - len(RUN) - 1
    assert "same" in replay_lines(first(decided), outcome)[0]


def test_a_decision_names_the_elasticity_it_was_made_with_and_older_ones_name_none(environment, decided):
    known = dict(decided.select("lever_id", "elasticity").iter_rows())
    assert known in ({"l1": 0.55, "l2": 0.8}, {"l1": None, "l2": None})
    older = {name: value for name, value in first(decided).items() if name not in ("cluster", "elasticity")}
    outcome = replay_decision(environment, older)
    assert outcome.is_same is (known["l1"] is None), "a row from before there were curves has no such columns"


def test_each_column_that_was_changed_afterwards_is_named_with_both_values(environment, decided):
    higher = first(decided)["proposed_budget"] + 1
    loss = first(decided)["expected_loss"]
    changed = first(decided, proposed_budget=higher, expected_loss=loss * (1 + 2**-52) or 5e-324)
    outcome = replay_decision(environment, changed)
    assert not outcome.is_same
    assert {found.column for found in outcome.differences} == {"proposed_budget", "expected_loss"}
    assert any(repr(higher) in line for line in replay_lines(changed, outcome))


def test_settings_are_those_of_then_and_not_of_now(environment, decided, monkeypatch):
    monkeypatch.setenv("AELP_SETTINGS", str(PROJECT_ROOT / "aelp.real.yaml"))
    assert replay_decision(environment, first(decided)).is_same
    text = load_text(environment.artifacts / "settings", first(decided)["settings_hash"])
    other = store_text(environment.artifacts / "settings", text.replace('"draws":4000', '"draws":4001'))
    assert other != first(decided)["settings_hash"]
    outcome = replay_decision(environment, first(decided, settings_hash=other))
    assert {found.column for found in outcome.differences} & {"thompson_budget", "proposed_budget"}


def test_other_code_is_named_and_is_no_difference_by_itself(environment, decided):
    outcome = replay_decision(environment, first(decided, code_version="0ther"))
    assert outcome.is_same
    assert "Decided by code 0ther" in replay_lines(first(decided), outcome)[-1]


@pytest.mark.parametrize("kind", ["decisions", "settings"])
def test_what_is_gone_is_said_and_is_not_the_same(environment, decided, kind):
    shutil.rmtree(environment.artifacts / kind)
    outcome = replay_decision(environment, first(decided))
    assert not outcome.is_same
    assert "is gone" in replay_lines(first(decided), outcome)[0]


def test_inputs_or_settings_changed_since_are_refused(environment, decided):
    settings = environment.artifacts / "settings" / f"{first(decided)['settings_hash']}.json"
    settings.write_text(settings.read_text().replace('"seed":', '"seed": '))
    outcome = replay_decision(environment, first(decided))
    assert not outcome.is_same
    assert "changed after the decision" in str(outcome.prevented)


def test_a_decision_is_found_where_it_was_kept_when_the_table_holds_a_later_one(environment, decided):
    wanted = first(decided)["decision_id"]
    found = find_decision(environment, [], Named("decision", wanted[:8], [], []))
    assert (found.decision["decision_id"], found.is_current) == (wanted, False)
    assert found.belief is not None
    assert found.belief["lever_id"] == found.decision["lever_id"]
    with pytest.raises(Refused, match="is kept here"):
        find_decision(environment, [], Named("decision", "nothing", [], []))


def test_an_id_names_a_change_a_proposal_or_a_decision(tmp_path):
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    governance = governing(engine)
    one, two = proposed(governance, lever("l1"), lever("l2"))
    governance.approve(one, "sam", "it pays", TEN)
    (change,) = governance.changes()
    by_change = name_decision(governance, change["change_id"][:12], TEN)
    assert (by_change.kind, by_change.proposals[0]["proposal_id"]) == ("change", one)
    by_proposal = name_decision(governance, two, TEN)
    assert (by_proposal.kind, by_proposal.changes) == ("proposal", [])
    by_decision = name_decision(governance, by_change.decision_id, TEN)
    assert (by_decision.kind, len(by_decision.changes)) == ("decision", 1)
    for empty in ("", " "):
        with pytest.raises(Refused, match="Name a decision"):
            name_decision(governance, empty, TEN)
    engine.dispose()
