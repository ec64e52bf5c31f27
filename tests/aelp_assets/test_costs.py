"""What tables cost: told by dbt and by the warehouse itself, as numbers, and summed for `aelp costs`."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from rich.console import Console

from aelp_assets.costs import Cost, print_costs, read_costs
from aelp_assets.metadata import numbers
from aelp_assets.transform import model_costs
from resources.settings import read_environment
from resources.warehouse import metering
from resources.warehouse.metering import Usage

MART = dg.AssetKey(["gaelp_training", "ads_ad_daily"])


def reported(relation, seconds=1.25, **answer):
    return {
        "unique_id": "model.aelp.ads_ad_daily",
        "relation_name": relation,
        "execution_time": seconds,
        "adapter_response": answer,
    }


def test_dbt_tells_seconds_on_duckdb(tmp_path):
    here = read_environment({"AELP_HOME": str(tmp_path), "AELP_DATASET_PREFIX": "test_"})
    test = {"unique_id": "test.aelp.unique_ad", "relation_name": None, "execution_time": 9.0}
    rows = [reported('"warehouse"."test_gaelp_training"."ads_ad_daily"', _message="OK"), test]
    assert model_costs(rows, here) == {MART: {"warehouse_seconds": 1.25}}


@pytest.mark.parametrize(
    ("billed", "told"), [(10_485_760, {"bytes_billed": 10_485_760}), (0, {}), (None, {})]
)
def test_dbt_tells_bytes_on_bigquery_and_nothing_where_none_are_billed(tmp_path, billed, told):
    there = read_environment(
        {"AELP_HOME": str(tmp_path), "AELP_WAREHOUSE": "bigquery", "AELP_BIGQUERY_PROJECT": "p-1"}
    )
    rows = [reported("`p-1`.`gaelp_training`.`ads_ad_daily`", bytes_billed=billed)]
    assert model_costs(rows, there) == {MART: told}


def test_what_a_process_spends_adds_up():
    before = metering.spent()
    metering.note(seconds=0.25)
    metering.note(bytes_billed=100)
    metering.note(seconds=0.5)
    assert metering.spent() - before == Usage(0.75, 100)


def test_only_numbers_become_curves():
    told = numbers(a=1, b=2.5, c=None, d=float("nan"), e=float("inf"), f="x", g=True)
    assert told == {"a": 1, "b": 2.5}


def test_more_materialisations_than_are_read_at_once_are_all_summed(monkeypatch):
    @dg.asset
    def hourly():
        return dg.MaterializeResult(metadata={"warehouse_seconds": 1.0})

    monkeypatch.setattr("aelp_assets.costs._AT_ONCE", 2)
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(5):
            dg.materialize([hourly], instance=instance)
        found = read_costs(instance, datetime.now(UTC) - timedelta(days=1))
    assert found == [Cost("hourly", 5, 5.0, 0)]


def test_the_dearest_tables_come_first_and_all_are_summed():
    def table(name, **metadata):
        @dg.asset(name=name)
        def made():
            return dg.MaterializeResult(metadata=metadata)

        return made

    tables = [
        table("cheap", warehouse_seconds=0.5),
        table("dear", warehouse_seconds=2),
        table("billed", bytes_billed=3_000_000),
        table("silent"),
    ]
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            dg.materialize(tables, instance=instance)
        found = read_costs(instance, datetime.now(UTC) - timedelta(days=1))
        assert found == [
            Cost("billed", 2, 0.0, 6_000_000),
            Cost("dear", 2, 4.0, 0),
            Cost("cheap", 2, 1.0, 0),
        ]
        assert read_costs(instance, datetime.now(UTC) + timedelta(days=1)) == []
    out = io.StringIO()
    print_costs(Console(file=out, width=100), found, shown=2)
    assert [line.split()[0] for line in out.getvalue().splitlines()] == [
        "table",
        "billed",
        "dear",
        "1",
        "all",
    ]
    assert out.getvalue().splitlines()[-1].split()[1:] == ["6", "5.0", "6,000,000"]
