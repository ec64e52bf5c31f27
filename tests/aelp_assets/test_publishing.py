"""The analyst copy: published by the last step of a morning."""

from __future__ import annotations

import dagster as dg

from aelp_assets import publishing
from resources.warehouse import open_warehouse, retrying
from resources.warehouse.interface import WarehouseLocked
from resources.warehouse.tables import ACCOUNTS


def test_a_file_held_by_a_reader_is_waited_for_as_by_every_other_step(tmp_environment, monkeypatch):
    monkeypatch.setattr(retrying, "LOCK_WAIT_SECONDS", 0.05)
    open_warehouse(tmp_environment).ensure_tables([ACCOUNTS])
    publish, tries = publishing.publish_analyst_copy, []

    def held_at_first(environment):
        tries.append(environment)
        if len(tries) == 1:
            raise WarehouseLocked("in use by a notebook (waited 60 s)")
        return publish(environment)

    monkeypatch.setattr(publishing, "publish_analyst_copy", held_at_first)
    run = dg.materialize([publishing.analyst_copy], resources={"environment": tmp_environment})
    assert run.success
    assert len(tries) == 2
    assert (tmp_environment.home / "analyst" / "warehouse.duckdb").exists()
