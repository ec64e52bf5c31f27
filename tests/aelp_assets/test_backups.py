"""`aelp backup` and `aelp restore`: what they say, and that the mirror in the warehouse follows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import dagster as dg
import polars as pl
import pytest
import sqlalchemy as sa

from aelp_assets import cli
from aelp_assets.governance import governance_mirror
from resources.clock import FixedClock
from resources.control.store import open_control_store
from resources.settings import PROJECT_ROOT, load_settings, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.io_manager import WarehouseIOManager
from resources.warehouse.tables import GOVERNANCE_TABLES
from sensors.decisions import decided_proposals
from tests.resources.control.proposing import TEN, governing, lever, proposed
from tests.resources.control.test_backups import SOON, fill

SETTINGS = load_settings(PROJECT_ROOT / "aelp.yaml")


@pytest.fixture
def home(tmp_path) -> Iterator[Path]:
    """This process in a home of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AELP_")}
    told = {**clean, "AELP_HOME": str(tmp_path / "home"), "AELP_CLOCK": SOON.isoformat()}
    with mock.patch.dict(os.environ, told, clear=True):
        yield tmp_path / "home"


def aelp(*arguments: str) -> int:
    with mock.patch("sys.argv", ["aelp", *arguments]), pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def mirrored() -> dict[str, pl.DataFrame]:
    """The mirror made from the store this process is told of."""
    environment = read_environment()
    warehouse = open_warehouse(environment)
    warehouse.ensure_tables(list(GOVERNANCE_TABLES))
    resources = {
        "settings": SETTINGS,
        "environment": environment,
        "clock": FixedClock(SOON),
        "io_manager": WarehouseIOManager(warehouse),
    }
    assert dg.materialize([governance_mirror], resources=resources).success
    return {str(table.name): warehouse.read(table.name).sort(table.grain) for table in GOVERNANCE_TABLES}


def test_a_store_moved_to_postgresql_is_mirrored_as_before(home, postgresql, capsys):
    fill(open_control_store(f"sqlite:///{home / 'control.sqlite'}"))
    before = mirrored()
    assert before["ops.approvals"].height == 2
    assert aelp("backup", str(home.parent / "noon.backup")) == 0
    said = capsys.readouterr().out
    assert "3 proposals, " in said
    assert "2 approvals, " in said
    assert str(home / "artifacts") in said

    moved = {"AELP_HOME": str(home.parent / "new"), "AELP_CONTROL_URL": postgresql.new_database()}
    with mock.patch.dict(os.environ, moved):
        assert aelp("restore", str(home.parent / "noon.backup")) == 0
        said = capsys.readouterr().out
        assert "eve stopped everything" in said
        assert "1 approved changes had not been sent then" in said
        for table, rows in mirrored().items():
            assert rows.equals(before[table]), table
        assert aelp("restore", str(home.parent / "noon.backup")) == 2
        assert "This control store is not empty: it has " in capsys.readouterr().err


def test_where_no_store_is_none_is_made_and_nothing_is_backed_up(home, capsys):
    assert aelp("backup", str(home.parent / "noon.backup")) == 2
    assert f"no control store at sqlite:///{home}/control.sqlite" in capsys.readouterr().err
    assert not (home.parent / "noon.backup").exists()
    assert not (home / "control.sqlite").exists()


def test_a_database_without_a_store_is_backed_up_no_more_than_a_home_without(home, postgresql, capsys):
    url = sa.make_url(postgresql.new_database()).set(password="hush").render_as_string(hide_password=False)
    with mock.patch.dict(os.environ, {"AELP_CONTROL_URL": url}):
        assert aelp("backup", str(home.parent / "noon.backup")) == 2
        said = capsys.readouterr().err
        assert "no control store at postgresql" in said
        assert "hush" not in said
        open_control_store(url)
        assert aelp("backup", str(home.parent / "noon.backup")) == 0


def woken(cursor: str | None) -> dg.SensorResult:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance=instance,
            cursor=cursor,
            resources={"environment": read_environment(), "settings": SETTINGS},
        )
        told = decided_proposals(context)
    assert isinstance(told, dg.SensorResult)
    return told


def test_what_a_restore_took_back_is_mirrored_though_it_was_mirrored_before(home, capsys):
    store = home / "control.sqlite"
    governance = governing(open_control_store(f"sqlite:///{store}"), mode="sandbox")
    first, second = proposed(governance, lever("l1"), lever("l2"))
    governance.approve(first, "sam", "it pays", TEN)
    at_noon = woken(None)
    assert aelp("backup", str(home.parent / "noon.backup")) == 0
    governance.approve(second, "sam", "it pays", SOON)
    lost = woken(at_noon.cursor)
    for file in home.glob("control.sqlite*"):
        file.rename(home.parent / file.name)
    assert aelp("restore", str(home.parent / "noon.backup")) == 0
    back = woken(lost.cursor)
    keys = [told.run_requests[0].run_key for told in (at_noon, lost, back) if told.run_requests]
    assert len(set(keys)) == 3
    said = capsys.readouterr().out
    assert "aelp restore stopped everything" in said
    assert "`aelp kill off --by … --reason …`" in said
    assert not woken(back.cursor).run_requests
