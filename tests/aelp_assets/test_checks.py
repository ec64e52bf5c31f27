"""Blocking checks of a morning's input, over a file another program holds at first."""

from __future__ import annotations

import dagster as dg
import duckdb
import pytest

from aelp_assets.checks import every_account_is_audited, someone_may_be_decided_on
from aelp_assets.runs import PARTITION_TAG
from resources.warehouse import retrying
from resources.warehouse.interface import WarehouseLocked
from resources.warehouse.tables import ACCOUNT_AUDITS, ACCOUNTS, DECISION_ACCOUNTS


class HeldAtFirst:
    """A warehouse whose first query finds the file held."""

    def __init__(self, warehouse):
        self._warehouse = warehouse
        self.tries = 0

    def query(self, *question):
        self.tries += 1
        if self.tries == 1:
            raise WarehouseLocked("in use by a notebook (waited 10 s)")
        return self._warehouse.query(*question)


@pytest.mark.parametrize("check", [every_account_is_audited, someone_may_be_decided_on])
def test_a_file_held_by_a_reader_is_waited_for_by_the_gates_of_a_morning(
    check, duckdb_warehouse, tmp_environment, monkeypatch
):
    monkeypatch.setattr(retrying, "LOCK_WAIT_SECONDS", 0.05)
    duckdb_warehouse.ensure_tables([ACCOUNTS, ACCOUNT_AUDITS, DECISION_ACCOUNTS])
    with duckdb.connect(tmp_environment.duckdb_path) as made_by_dbt:
        made_by_dbt.execute("create schema if not exists intermediate")
        made_by_dbt.execute(
            "create table intermediate.int_account_days (platform text, account_id text, date date)"
        )
    held = HeldAtFirst(duckdb_warehouse)
    (key,) = check.check_keys
    job = dg.define_asset_job("gate", dg.AssetSelection.checks(key))
    defs = dg.Definitions(
        [dg.AssetSpec(key.asset_key)], asset_checks=[check], jobs=[job], resources={"warehouse": held}
    )
    with dg.DagsterInstance.ephemeral() as instance:
        run = defs.resolve_job_def("gate").execute_in_process(
            instance=instance, tags={PARTITION_TAG: "2026-07-01"}, raise_on_error=False
        )
    (verdict,) = run.get_asset_check_evaluations()
    assert verdict.description
    assert held.tries == 2
