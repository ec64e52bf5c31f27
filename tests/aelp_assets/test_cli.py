"""Commands without the graph behind them: where the demo writes, and what a failed run still tells."""

from __future__ import annotations

import os
import re
import sys
from contextlib import nullcontext
from datetime import date
from decimal import Decimal
from types import SimpleNamespace
from typing import get_args
from unittest import mock

import pytest
import typer

from aelp_assets import cli
from resources.control.store import open_control_store
from resources.sandbox.catalogue import SCALES
from resources.settings import read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.interface import Append
from resources.warehouse.tables import FILE_LANDINGS, OPS_TABLES
from tests.aelp_assets.stored_figures import stored_figures
from tests.aelp_assets.test_file_report import frame, landed
from tests.resources.control.proposing import TEN, governing, lever, proposed, status_of


@pytest.fixture
def home(tmp_path):
    """This process in a home of its own; every variable is put back afterwards."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AELP_")}
    with mock.patch.dict(os.environ, {**clean, "AELP_HOME": str(tmp_path / "home")}, clear=True):
        yield tmp_path / "home"


def test_the_demo_never_writes_into_a_person_s_export_folder(home, tmp_path, monkeypatch):
    os.environ["AELP_DROP"] = str(tmp_path / "exports")
    written = []
    monkeypatch.setattr("resources.sandbox.build_sandbox", lambda folder, *_, **__: written.append(folder))
    landed_from = []
    monkeypatch.setattr(cli, "_run", lambda *_, **__: landed_from.append(os.environ["AELP_DROP"]))
    cli.demo(scale="tiny", today=date(2026, 6, 30))
    assert written == [home / "sandbox" / "drop"]
    assert landed_from == [str(home / "sandbox" / "drop")]


def test_the_demo_offers_the_scales_the_sandbox_knows():
    assert set(get_args(cli.Scale)) == set(SCALES)


def test_a_failed_run_still_tells_what_became_of_the_files(home, monkeypatch, capfd):
    from aelp_assets.runner import MorningFailed
    from resources.settings import read_environment

    home.mkdir()
    warehouse = open_warehouse(read_environment())
    warehouse.ensure_tables(list(OPS_TABLES))
    warehouse.write(Append(FILE_LANDINGS, frame(landed("earlier.csv", "refused", reason="two currencies"))))

    def fail(*_):
        now = frame(landed("june.csv", "refused", reason="no date column. Export it by day."))
        warehouse.write(Append(FILE_LANDINGS, now))
        raise MorningFailed("decide failed at a blocking check")

    monkeypatch.setattr("aelp_assets.definitions.build_defs", lambda: None)
    monkeypatch.setattr("aelp_assets.runner.open_instance", lambda _: nullcontext())
    monkeypatch.setattr("aelp_assets.runner.run_morning", fail)
    with pytest.raises(typer.Exit) as ended:
        cli.run()
    said = capfd.readouterr()
    assert ended.value.exit_code == 1
    assert "refused: june.csv: no date column. Export it by day." in said.out
    assert "earlier.csv" not in said.out
    assert "decide failed at a blocking check" in said.err


# --- another number than the proposed one ---------------------------------------------------------------


@pytest.fixture
def governance(home, monkeypatch):
    """Decisions of a home without a warehouse, at ten in the morning."""
    engine = open_control_store(f"sqlite:///{home.parent / 'control.sqlite'}")
    governance = governing(engine)
    monkeypatch.setattr(cli, "_governance", lambda: (governance, TEN))
    yield governance
    engine.dispose()


@pytest.fixture
def aelp(governance, monkeypatch, capsys):
    """`aelp` as it is typed: exit code, and all it said."""

    def typed(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["aelp", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return ended.value.code or 0, re.sub(r"[ \n]+", " ", said.out + said.err)

    return typed


def counter(about: str, budget: str, reason: str = "a launch is near", by: str = "jo") -> list[str]:
    return ["counter", about, "--budget", budget, "--reason", reason, "--by", by]


def test_another_number_is_judged_and_forecast_and_takes_the_proposal_s_place(governance, aelp):
    (old,) = proposed(governance, lever("l1", expected_loss_rate=0.01))
    os.makedirs(os.environ["AELP_HOME"])
    stored_figures(read_environment())
    code, said = aelp(*counter(old[:8], "510"))
    assert code == 0, said
    for told in (
        "security · meta · Ad set l1: 500.00 → 510.00 a day; AELP proposes 525.00",
        "Guardrails: they allow 510.00 a day, together with all that is approved.",
        "Forecast of 2026-06-30, a day",
        "in force 500.00 12.5 25.0 50.0 90 200 300 75%",
        "yours 510.00 12.8 25.5 51.0 90 200 no end 75%",
        "+0.10 signups a day, a loss beyond the cap of 36 a week (now 35).",
        "Approving it adds 10.00 a day; your signature is enough.",
    ):
        assert told in said
    (new,) = [row for row in governance.proposals(TEN) if row["status"] == "pending"]
    assert (new["proposed_by"], new["reason"], new["proposed_budget"]) == ("jo", "a launch is near", "510.00")
    assert f"Proposed by hand: {new['proposal_id']} at 510.00 a day, in the place of {old}." in said
    assert status_of(governance, old) == "superseded"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("900",), "500.00 -> 900.00 is more than 5% in one edit"),
        (("500",), "500.00 is in force; to leave it so, reject"),
        (("525",), "proposes already; approve it"),
        (("1,250",), "'1,250' is no budget; write it as 1250 or 1250.50."),
        (("510", " "), "A decision needs a reason"),
        (("510", "mine", "eve"), "eve may not decide; the settings' `approvers` name jo, robot, sam."),
    ],
)
def test_a_number_that_cannot_be_is_refused_and_nothing_is_proposed(governance, aelp, arguments, told):
    (old,) = proposed(governance, lever("l1"))
    code, said = aelp(*counter(old, *arguments))
    assert (code, told in said) == (2, True), said
    assert "Proposed by hand" not in said
    assert [(row["proposal_id"], row["status"]) for row in governance.proposals(TEN)] == [(old, "pending")]


def test_a_number_by_hand_needs_no_warehouse_and_names_the_second_approver(governance, aelp):
    budgets = ("current_budget", "midnight_budget", "budget_7_days_ago")
    larger = dict.fromkeys(budgets, Decimal(1000))
    (old,) = proposed(governance, lever("l1", **larger, thompson_budget=2000.0))
    code, said = aelp(*counter(old, "1040"))
    assert code == 0, said
    assert "Forecast: There is no warehouse here yet." in said
    assert "Approving it adds 40.00 a day; beyond your daily limit: a second approver must sign too." in said


def test_a_decided_proposal_takes_no_other_number(governance, aelp):
    (old,) = proposed(governance, lever("l1"))
    governance.reject(old, "sam", "not now", TEN)
    assert aelp(*counter(old, "510")) == (2, f"{old} is rejected; it can no longer be decided on. ")


def test_arguments_are_values_to_the_control_store(governance, aelp):
    (old,) = proposed(governance, lever("l1"))
    hostile = "x'; drop table proposals; --"
    code, said = aelp("reject", hostile, "--by", "jo", "--reason", "no")
    assert code == 2
    assert hostile in said
    assert status_of(governance, old) == "pending"
    code, said = aelp("reject", old, "--by", "jo", "--reason", "it's \"'); delete from approvals; --")
    assert code == 0, said
    assert status_of(governance, old) == "rejected"


def test_the_ui_is_opened_on_this_machine_alone(monkeypatch, tmp_path):
    import aelp_assets.runner as runner

    started = []
    monkeypatch.setenv("AELP_HOME", str(tmp_path))
    # Loading the graph is what takes long.
    graph = SimpleNamespace(decides_today=lambda *_: True)
    monkeypatch.setitem(sys.modules, "aelp_assets.definitions", graph)
    monkeypatch.setattr(runner, "open_instance", lambda environment: None)
    monkeypatch.setattr(runner, "prepare_warehouse", lambda warehouse: None)
    monkeypatch.setattr(os, "execv", lambda program, arguments: started.append(arguments))
    monkeypatch.setattr(os, "chdir", lambda folder: None)
    monkeypatch.setenv("VIRTUAL_ENV", "")
    cli.ui(port=4321)
    (arguments,) = started
    assert arguments[arguments.index("--host") + 1] == "127.0.0.1"
