"""Proposals in a terminal: names as they are, and whose number it is."""

from __future__ import annotations

from decimal import Decimal

from rich.console import Console

from aelp_assets import cli
from aelp_assets.decision_report import print_changes, print_proposals
from resources.control.counter_proposals import counter_propose
from resources.control.external_edits import withdraw_overtaken
from resources.control.holds import HoldRule
from resources.control.store import open_control_store
from tests.resources.control.paper_platform import running
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
    print_proposals(console, governance.proposals(TEN), TEN, everything=False, killed=governance.killed())
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
    print_proposals(console, governance.proposals(TEN), TEN, everything=False, killed=None)
    told = console.export_text()
    engine.dispose()
    assert (
        "meta · Ad set l1: 500.00 → 525.00 was withdrawn. The platform says 650.00 active, not 500.00" in told
    )
    assert "Nothing waits for a decision." in told
