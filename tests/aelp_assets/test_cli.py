"""Commands without the graph behind them: where the demo writes, and what a failed run still tells."""

from __future__ import annotations

import os
from contextlib import nullcontext
from datetime import date
from typing import get_args
from unittest import mock

import pytest
import typer

from aelp_assets import cli
from resources.sandbox.catalogue import SCALES
from resources.warehouse import open_warehouse
from resources.warehouse.interface import Append
from resources.warehouse.tables import FILE_LANDINGS, OPS_TABLES
from tests.aelp_assets.test_file_report import frame, landed


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
