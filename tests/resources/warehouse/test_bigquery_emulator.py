"""Where the emulator answers otherwise than BigQuery does.

Each test asserts BigQuery's documented answer and is expected to fail on the emulator (bqemulator 1.4.0,
itself on DuckDB). Strictly: should an upgrade mend one, its test fails here and the note can go. SQL meant
for both warehouses avoids all of these; a test of such SQL compares with a hand-written answer instead.
"""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import GoogleAPIError
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryReadClient
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

pytestmark = pytest.mark.emulator

Failed = pytest.fail.Exception
wrong_answer = pytest.mark.xfail(
    strict=True, raises=(AssertionError, GoogleAPIError, Failed), reason="emulator"
)


@pytest.fixture
def run(bigquery_client: bigquery.Client) -> Any:
    def rows(sql: str, **parameters: str) -> list[tuple[Any, ...]]:
        bound = [bigquery.ScalarQueryParameter(name, "STRING", value) for name, value in parameters.items()]
        job = bigquery_client.query(
            sql, job_config=bigquery.QueryJobConfig(query_parameters=bound), retry=None, job_retry=None
        )
        return [tuple(row.values()) for row in job.result(retry=None, timeout=30)]

    return rows


@pytest.fixture
def dataset(bigquery_client: bigquery.Client) -> str:
    name = f"aelp-test.quirks_{uuid.uuid4().hex[:12]}"
    bigquery_client.create_dataset(name)
    return name


NINE = Decimal("1.123456789")


# --- NUMERIC: nine decimals are kept in tables made through the API or by a load, and lost elsewhere ---


def test_numeric_keeps_nine_decimals_in_a_table_made_through_the_api(
    run: Any, dataset: str, bigquery_client: bigquery.Client
) -> None:
    bigquery_client.create_table(bigquery.Table(f"{dataset}.t", [bigquery.SchemaField("n", "NUMERIC")]))
    run(f"insert into `{dataset}.t` (n) values (numeric '1.123456789')")
    assert run(f"select n, sum(n) over () from `{dataset}.t`") == [(NINE, NINE)]


@pytest.mark.parametrize(
    "expression",
    ["safe_cast('1.123456789' as numeric(38, 9))", "parse_numeric('1.123456789')"],
)
def test_numeric_keeps_nine_decimals_in_these_expressions_even_in_a_view(
    run: Any, dataset: str, expression: str
) -> None:
    run(f"create view `{dataset}.v` as select {expression} as n")
    run(f"create table `{dataset}.t` as select n from `{dataset}.v`")
    assert run(f"select n from `{dataset}.t`") == [(NINE,)]


@wrong_answer
def test_a_numeric_column_made_by_ddl_keeps_nine_decimals(run: Any, dataset: str) -> None:
    run(f"create table `{dataset}.t` (n numeric)")
    run(f"insert into `{dataset}.t` (n) values (numeric '1.123456789')")
    assert run(f"select n from `{dataset}.t`") == [(NINE,)]


@wrong_answer
def test_a_cast_to_numeric_keeps_nine_decimals(run: Any) -> None:
    assert run("select cast('1.123456789' as numeric)") == [(NINE,)]


@wrong_answer
def test_a_cast_to_numeric_of_nine_decimals_keeps_them_in_a_view(run: Any, dataset: str) -> None:
    run(f"create view `{dataset}.v` as select cast('1.123456789' as numeric(38, 9)) as n")
    assert run(f"select n from `{dataset}.v`") == [(NINE,)]


# --- values ---------------------------------------------------------------------------------------------


@wrong_answer
def test_casting_a_half_to_an_integer_rounds_away_from_zero(run: Any) -> None:
    assert run("select cast(0.5 as int64), cast(2.5 as int64)") == [(1, 3)]


@wrong_answer
def test_timestamp_diff_counts_whole_hours(run: Any) -> None:
    sql = "select timestamp_diff(timestamp '2026-01-02 01:00:00', timestamp '2026-01-01 23:59:00', hour)"
    assert run(sql) == [(1,)]


@wrong_answer
def test_a_week_may_begin_on_monday(run: Any) -> None:
    assert run("select date_trunc(date '2026-06-03', week(monday))") == [(date(2026, 6, 1),)]


@wrong_answer
def test_a_parameters_name_inside_a_literal_is_text(run: Any) -> None:
    assert run("select '@x', @x", x="value") == [("@x", "value")]


# --- tables ---------------------------------------------------------------------------------------------


@wrong_answer
def test_a_required_column_refuses_null(run: Any, dataset: str, bigquery_client: bigquery.Client) -> None:
    required = bigquery.SchemaField("n", "INT64", mode="REQUIRED")
    bigquery_client.create_table(bigquery.Table(f"{dataset}.t", [required]))
    with pytest.raises(GoogleAPIError):
        run(f"insert into `{dataset}.t` (n) values (null)")


@wrong_answer
def test_a_tables_expiry_is_kept(dataset: str, bigquery_client: bigquery.Client) -> None:
    table = bigquery.Table(f"{dataset}.t", [bigquery.SchemaField("n", "INT64")])
    table.expires = datetime.now(UTC) + timedelta(hours=1)
    assert bigquery_client.create_table(table).expires is not None


@wrong_answer
def test_labels_of_a_table_made_by_ddl_are_kept(
    run: Any, dataset: str, bigquery_client: bigquery.Client
) -> None:
    run(f"create table `{dataset}.t` (n int64) options (labels = [('a', 'b')])")
    assert bigquery_client.get_table(f"{dataset}.t").labels == {"a": "b"}


@wrong_answer
def test_a_table_knows_its_number_of_rows(run: Any, dataset: str, bigquery_client: bigquery.Client) -> None:
    bigquery_client.create_table(bigquery.Table(f"{dataset}.t", [bigquery.SchemaField("n", "INT64")]))
    run(f"insert into `{dataset}.t` (n) values (1)")
    assert bigquery_client.get_table(f"{dataset}.t").num_rows == 1


@wrong_answer
def test_a_jobs_labels_can_be_looked_up(bigquery_client: bigquery.Client) -> None:
    config = bigquery.QueryJobConfig(labels={"a": "b"})
    job = bigquery_client.query("select 1 as n", job_config=config, retry=None, job_retry=None)
    assert bigquery_client.get_job(job.job_id).labels == {"a": "b"}


@wrong_answer
def test_a_large_result_can_be_read_through_the_storage_api(
    bigquery_client: bigquery.Client, bigquery_emulator: Any
) -> None:
    job = bigquery_client.query("select 1 as n", retry=None, job_retry=None)
    job.result(retry=None, timeout=30)
    transport = BigQueryReadGrpcTransport(channel=grpc.insecure_channel(bigquery_emulator.storage_endpoint))
    session = BigQueryReadClient(transport=transport).create_read_session(
        parent="projects/aelp-test",
        read_session={"table": job.destination.to_bqstorage(), "data_format": "ARROW"},
        retry=None,
    )
    assert len(session.streams) == 1


@wrong_answer
def test_listing_the_tables_of_an_absent_dataset_is_refused(bigquery_client: bigquery.Client) -> None:
    with pytest.raises(GoogleAPIError):
        list(bigquery_client.list_tables("aelp-test.no_such_dataset"))
