"""Proposals in a terminal: names as they are, and whose number it is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC
from decimal import Decimal

import pytest
import sqlalchemy as sa
from rich.console import Console

from aelp_assets import cli
from aelp_assets.arm_explanation import arm_lines, explain_arm
from aelp_assets.decision_records import name_decision
from aelp_assets.decision_report import print_changes, print_outcomes, print_proposals
from aelp_assets.governance import mirror, snapshots_of
from resources.control.counter_proposals import counter_propose
from resources.control.external_edits import withdraw_overtaken
from resources.control.holds import HoldRule
from resources.control.store import ARM_EVIDENCE, control_url, open_control_store
from resources.control.writer import Writer
from resources.settings import SettingsError
from resources.warehouse.tables import CANARY_BUDGETS_SNAPSHOT, PROPOSALS
from tests.aelp_assets.stored_figures import running_experiments
from tests.resources.control.arm_mornings import LOSING, arm, put_arms, put_one
from tests.resources.control.paper_platform import PaperPlatform, running
from tests.resources.control.test_governance import TEN, governing, lever, proposed


def test_names_are_no_markup_and_a_number_by_hand_says_whose_it_is(tmp_path):
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    governance = governing(engine)
    (first, second) = proposed(governance, lever("l1 [bold]"), lever("l2"))
    by_hand = counter_propose(
        governance, second, Decimal(510), person="jo", reason="a [launch]", settings_hash="s", now=TEN
    )
    governance.kill(is_on=True, person="eve", reason="[red]", now=TEN)
    console = Console(markup=False, emoji=False, highlight=False, width=200, record=True)
    print_proposals(console, governance.proposals(TEN), {}, TEN, everything=False, killed=governance.killed())
    told = console.export_text()
    engine.dispose()
    assert f"{first}  security · meta · Ad set l1 [bold]: 500.00 → 525.00 a day · until" in told
    assert f"{by_hand}  security · meta · Ad set l2: 500.00 → 510.00 a day · by jo · until" in told
    assert "a [launch]" in told
    assert "eve stopped everything at 2026-06-30 14:00 UTC: [red]. Nothing can be approved" in told
    assert "[/]" not in told
    assert second not in told


def test_a_held_raise_says_until_when_where_it_is_approved_and_in_the_feed(tmp_path, monkeypatch, capsys):
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    governance = governing(engine, hold=HoldRule(share=0.999999, days=7, seed=1))
    (held,) = proposed(governance, lever("l1"))
    monkeypatch.setattr(cli, "_governance", lambda: (governance, TEN))
    cli.approve(held, by="sam", reason="it pays")
    assert "held for measurement until 2026-07-07 14:00 UTC" in capsys.readouterr().out
    console = Console(markup=False, emoji=False, highlight=False, width=250, record=True)
    print_changes(console, governance.changes(), TEN)
    told = console.export_text()
    engine.dispose()
    assert "held for measurement until 2026-07-07 14:00 UTC" in told
    assert "held: held" not in told


def test_what_an_edit_on_the_platform_overtook_is_told_without_being_asked_for(tmp_path):
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    governance = governing(engine)
    proposed(governance, lever("l1"))
    withdraw_overtaken(engine, [], {("meta", "a1", "l1"): running("650")}, TEN)
    console = Console(markup=False, emoji=False, highlight=False, width=200, record=True)
    print_proposals(console, governance.proposals(TEN), {}, TEN, everything=False, killed=None)
    told = console.export_text()
    engine.dispose()
    assert (
        "meta · Ad set l1: 500.00 → 525.00 was withdrawn. The platform says 650.00 active, not 500.00" in told
    )
    assert "Nothing waits for a decision." in told


def test_an_arm_s_switch_is_listed_approved_and_explained_in_words(tmp_path, monkeypatch, capsys):
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    governance = governing(engine)
    design = json.dumps({"arms": ["b", "c"], "metric": "cvr", "days": 14})
    test = {"type": "split_test", "design": design, "reason": "P(best) is 50%."}
    pause, split = put_arms(governance, arm("a", **LOSING), arm("b", **test), arm("c")).new
    console = Console(markup=False, emoji=False, highlight=False, width=250, record=True)
    print_proposals(console, governance.proposals(TEN), {}, TEN, everything=False, killed=None)
    told = console.export_text()
    assert f"{pause}  security · meta · Ad a: ad active → paused · until" in told
    assert (
        f"{split}  security · meta · Ad b: ad split test of b against c, 14 days on CVR, set up by hand"
        in told
    )
    monkeypatch.setattr(cli, "_governance", lambda: (governance, TEN))
    cli.approve(pause[:8].upper(), by="sam", reason="it loses")
    assert '"status":"PAUSED"' in capsys.readouterr().out
    cli.approve(split, by="sam", reason="settle it")
    assert "a person sets it up" in capsys.readouterr().out
    print_changes(console, governance.changes(), TEN)
    assert "meta · ad:a  active  paused  sam  it loses" in console.export_text()
    named = name_decision(governance, governance.changes()[0]["change_id"], TEN)
    lines = arm_lines(explain_arm(governance, named, pause), UTC)
    assert lines[0].endswith("(shadow): active to paused, shadow, not sent, by sam")
    assert lines[1] == "Approved by sam 2026-06-30 14:00: it loses"
    assert f"Proposal {pause} of 2026-06-30: pause, active → paused, approved" in lines
    assert "  meta · a1 · ad:a of l1 · security" in lines
    assert any(line.startswith("Evidence: 2,400.00 of matured spend in 28 days") for line in lines)
    with engine.begin() as connection:
        connection.execute(sa.update(ARM_EVIDENCE).values(document=b"other evidence"))
    assert "changed since" in arm_lines(explain_arm(governance, named, pause), UTC)[-1]
    engine.dispose()


def test_what_became_of_each_call_is_told_as_it_is(tmp_path):
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    governance = governing(engine, mode="sandbox")
    (about,) = proposed(governance, lever("l1"))
    governance.approve(about, "sam", "it pays", TEN)
    outcomes = Writer(engine, governance, PaperPlatform(id_l1=running("700")), lambda: TEN).apply()
    (change,) = governance.changes()
    console = Console(markup=False, emoji=False, highlight=False, width=250, record=True)
    print_outcomes(console, [replace(outcomes[0], message="[by hand]")], governance.changes(), "sandbox")
    print_changes(console, [change | {"message": "[by hand]"}], TEN)
    told = console.export_text()
    engine.dispose()
    assert f"{change['change_id']}  meta · l1: 500.00 → 525.00 · conflict · [by hand]" in told
    assert "conflict: [by hand]" in told


def test_anybody_can_stop_everything_whatever_is_wrong_with_the_settings(
    tmp_environment, monkeypatch, capsys
):
    broken = tmp_environment.home.parent / "aelp.yaml"
    broken.write_text("governanc: {}\n")
    monkeypatch.setenv("AELP_HOME", str(tmp_environment.home))
    monkeypatch.setenv("AELP_SETTINGS", str(broken))
    monkeypatch.delenv("AELP_CLOCK", raising=False)
    cli.kill("on", by="eve", reason="spend explodes")
    assert "eve stopped everything" in capsys.readouterr().out
    with pytest.raises(SettingsError, match="governanc"):
        cli.kill("off", by="jo", reason="over")
    engine = open_control_store(control_url(tmp_environment.home, {}))
    assert "spend explodes" in str(governing(engine).killed())
    engine.dispose()


def test_a_switch_is_mirrored_with_its_statuses_and_no_budget(tmp_path):
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    governance = governing(engine)
    governance.approve(put_one(governance, arm("a", **LOSING), arm("b")), "sam", "it loses", TEN)
    moments = mirror(CANARY_BUDGETS_SNAPSHOT, snapshots_of(governance.changes()))
    assert moments.select("moment", "budget", "status").rows() == [
        ("before", Decimal(0), "active"),
        ("after", Decimal(0), "paused"),
    ]
    assert CANARY_BUDGETS_SNAPSHOT.conform(moments).height == 2
    assert mirror(PROPOSALS, governance.proposals(TEN))["current_budget"].to_list() == [Decimal(0)]
    engine.dispose()


def test_an_experiment_that_would_be_disturbed_is_named_where_proposals_are_listed(
    tmp_path, tmp_environment, monkeypatch
):
    monkeypatch.setenv("AELP_HOME", str(tmp_environment.home))
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    governance = governing(engine)
    proposed(governance, lever("l1"), lever("l2"), lever("l3", p_cac_above_cap=0.95, thompson_budget=None))
    put_arms(governance, arm("a", **LOSING), arm("b"))
    running_experiments(tmp_environment, {"hooks: 2 arms": "l1", "pages: 2 arms": "l3"})
    console = Console(markup=False, emoji=False, highlight=False, width=250, record=True)
    monkeypatch.setattr(cli, "_governance", lambda: (governance, TEN))
    monkeypatch.setattr("aelp_assets.file_report.terminal", lambda: console)
    cli.proposals()
    told = console.export_text()
    engine.dispose()
    listed = [one for one in told.split("security · ") if one.startswith("meta · ")]
    named = {one.split(": ")[0]: "would tell less: hooks: 2 arms (" in one for one in listed}
    assert named == {
        **{"meta · Ad set l1": True, "meta · Ad set l2": False, "meta · Ad set l3": False},
        "meta · Ad a": True,
    }
    assert "pages: 2 arms" not in told, "a stop is not held against"
