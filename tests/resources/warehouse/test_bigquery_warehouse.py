"""What only BigQuery has: jobs, labels, limits, staging tables, two ways to read. Against the emulator."""

from __future__ import annotations

import threading
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from google.cloud import bigquery
from polars.testing import assert_frame_equal

from resources.settings import Environment, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.bigquery import BigQueryWarehouse
from resources.warehouse.interface import Append, ReplaceTable, Warehouse, WarehouseError
from resources.warehouse.schema import Column, Table, TableName
from resources.warehouse.tables import FORECAST_RESULTS, INGEST_SLICES, META_ADS_INSIGHTS

pytestmark = pytest.mark.emulator

SPEND = Table(
    TableName("gaelp_training", "spend"),
    "Spend by day.",
    (
        Column("day", "DATE", "Day.", required=True),
        Column("ad_id", "STRING", "Ad.", required=True),
        Column("spend", "NUMERIC", "Dollars."),
    ),
    ("day", "ad_id"),
    partition="day",
    cluster=("ad_id",),
)


def spend(rows: int) -> pl.DataFrame:
    return pl.select(row=pl.int_range(rows)).select(
        day=pl.date(2026, 1, 1) + pl.duration(days=pl.col("row") % 100),
        ad_id=pl.col("row").cast(pl.String),
        spend=(pl.col("row").cast(pl.Decimal(38, 9)) + Decimal("0.000000001")).cast(pl.Decimal(38, 9)),
    )


@pytest.fixture
def filled(bigquery_warehouse: Warehouse) -> Warehouse:
    bigquery_warehouse.ensure_tables([SPEND])
    bigquery_warehouse.write(Append(SPEND, spend(3)))
    return bigquery_warehouse


@pytest.fixture
def dataset(bigquery_environment: Environment) -> str:
    return f"{bigquery_environment.bigquery_project}.{bigquery_environment.dataset_prefix}gaelp_training"


def test_tables_carry_partition_cluster_labels_and_descriptions(
    bigquery_warehouse: Warehouse, bigquery_environment: Environment, bigquery_client: bigquery.Client
) -> None:
    bigquery_warehouse.ensure_tables([META_ADS_INSIGHTS, INGEST_SLICES, FORECAST_RESULTS])
    prefix = bigquery_environment.dataset_prefix
    made = bigquery_client.get_table(f"aelp-test.{prefix}raw.meta_ads_insights")
    assert (made.time_partitioning.field, made.time_partitioning.type_) == ("report_date", "DAY")
    assert made.clustering_fields == ["account_id", "_batch_id"]
    assert made.labels == {"aelp_component": "warehouse"}
    assert made.description == META_ADS_INSIGHTS.description
    assert [(f.name, f.mode) for f in made.schema if f.mode == "REQUIRED"] == [
        (column.name, "REQUIRED") for column in META_ADS_INSIGHTS.columns if column.required
    ]
    assert bigquery_client.get_table(f"aelp-test.{prefix}ops.ingest_slices").time_partitioning is None
    forecast = bigquery_client.get_table(f"aelp-test.{prefix}gaelp_training.forecast_results")
    assert (forecast.time_partitioning.field, forecast.clustering_fields) == (
        "as_of_date",
        ["platform", "account_id", "lever_id"],
    )


def test_no_staging_table_is_left_behind(
    filled: Warehouse, dataset: str, bigquery_client: bigquery.Client
) -> None:
    bigquery_client.query(f"create view `{dataset}.a_view` as select * from `{dataset}.spend`").result()
    view = Table(TableName("gaelp_training", "a_view"), "A view.", SPEND.columns, SPEND.grain)
    with pytest.raises(WarehouseError):
        filled.write(Append(SPEND, spend(5)), Append(view, spend(5)))
    assert {table.table_id for table in bigquery_client.list_tables(dataset)} == {"spend", "a_view"}
    assert filled.row_counts([SPEND.name]) == {"gaelp_training.spend": 3}


def test_every_job_is_labelled_and_every_query_capped(
    filled: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bigquery.QueryJobConfig | bigquery.LoadJobConfig] = []
    for method in ("query", "load_table_from_file"):
        original = getattr(bigquery.Client, method)

        def noting(*arguments: Any, original: Any = original, **keywords: Any) -> Any:
            sent.append(keywords["job_config"])
            return original(*arguments, **keywords)

        monkeypatch.setattr(bigquery.Client, method, noting)
    filled.write(ReplaceTable(SPEND, spend(5)))
    filled.query("select sum(spend) as spend from gaelp_training.spend")
    filled.row_counts([SPEND.name])
    assert [config.labels["aelp_operation"] for config in sent] == ["load", "write", "query", "row_counts"]
    assert {config.labels["aelp_component"] for config in sent} == {"warehouse"}
    queries = [config for config in sent if isinstance(config, bigquery.QueryJobConfig)]
    assert [config.maximum_bytes_billed for config in queries] == [200 * 2**30] * 3


def test_a_read_is_the_same_with_and_without_the_storage_api(
    filled: Warehouse, bigquery_environment: Environment
) -> None:
    over_rest = open_warehouse(bigquery_environment.model_copy(update={"bigquery_storage_endpoint": None}))
    bounds = {"partition": "day", "first": date(2026, 1, 2), "last": date(2026, 1, 3)}
    for reader in (filled, over_rest):
        found = reader.read(SPEND.name, columns=["spend", "day"], **bounds).sort("day")
        assert_frame_equal(found, spend(3).tail(2).select("spend", "day"))


def test_a_large_read_and_a_large_result_are_whole_and_exact(filled: Warehouse) -> None:
    rows = spend(30_000)
    filled.write(ReplaceTable(SPEND, rows))
    assert_frame_equal(filled.read(SPEND.name).sort("spend"), rows)
    assert_frame_equal(filled.query("select * from gaelp_training.spend order by spend"), rows)


def test_a_job_that_outlasts_its_time_is_judged_by_how_it_ended(
    bigquery_environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled: list[str] = []
    cancel = bigquery.Client.cancel_job

    def noting(client: bigquery.Client, job_id: str, **keywords: Any) -> Any:
        cancelled.append(job_id)
        return cancel(client, job_id, **keywords)

    monkeypatch.setattr(bigquery.Client, "cancel_job", noting)
    hurried = BigQueryWarehouse(
        "aelp-test", endpoint=bigquery_environment.bigquery_endpoint, job_timeout=0.1, retry_timeout=0
    )
    # The emulator cannot stop a query, so the job that was given up on ends well, and its rows count.
    found = hurried.query(
        "select count(*) as n from unnest(generate_array(1, 10000)) a, unnest(generate_array(1, 2000)) b"
        " where mod(a * b, 7) = 3"
    )
    residues = [
        [sum(1 for value in range(1, last + 1) if value % 7 == residue) for residue in range(7)]
        for last in (10000, 2000)
    ]
    expected = sum(residues[0][a] * residues[1][b] for a in range(7) for b in range(7) if a * b % 7 == 3)
    assert found.item() == expected
    assert len(cancelled) == 1


def test_writers_in_two_threads_both_land(filled: Warehouse, bigquery_environment: Environment) -> None:
    def append(number: int) -> None:
        open_warehouse(bigquery_environment).write(Append(SPEND, spend(number)))

    threads = [threading.Thread(target=append, args=(number,)) for number in (10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert filled.row_counts([SPEND.name]) == {"gaelp_training.spend": 33}


# --- without any BigQuery ---------------------------------------------------------------------------


def test_an_endpoint_that_does_not_answer_is_named(tmp_path: Path) -> None:
    variables = {
        "AELP_HOME": str(tmp_path),
        "AELP_WAREHOUSE": "bigquery",
        "AELP_BIGQUERY_PROJECT": "aelp-test",
        "AELP_BIGQUERY_ENDPOINT": "http://127.0.0.1:9",
    }
    with pytest.raises(WarehouseError, match="cannot be reached"):
        open_warehouse(read_environment(variables)).columns(SPEND.name)


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def test_missing_credentials_say_how_to_get_some(no_credentials: None, tmp_path: Path) -> None:
    variables = {
        "AELP_HOME": str(tmp_path),
        "AELP_WAREHOUSE": "bigquery",
        "AELP_BIGQUERY_PROJECT": "aelp-test",
    }
    with pytest.raises(WarehouseError, match="gcloud auth application-default login"):
        open_warehouse(read_environment(variables)).columns(SPEND.name)


def test_a_project_id_can_never_become_sql() -> None:
    with pytest.raises(ValueError, match="project id"):
        BigQueryWarehouse("p`; drop table x; --")
