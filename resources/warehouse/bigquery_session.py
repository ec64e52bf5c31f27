"""One project of BigQuery as this project talks to it: clients, labelled and bounded jobs, Arrow reads.

Here: the client libraries, their errors and their retries. What an endpoint that imitates BigQuery needs
is done only where it is right on BigQuery too. Not here: datasets, tables and transactions (`bigquery.py`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import IO, Any

import grpc
import polars as pl
import pyarrow
import pyarrow.ipc
from google.api_core import exceptions as api_exceptions
from google.api_core.client_options import ClientOptions
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery, bigquery_storage_v1
from google.cloud.bigquery.retry import DEFAULT_RETRY
from google.cloud.bigquery_storage_v1 import types as storage_types
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

from resources.warehouse import metering
from resources.warehouse.interface import Parameter, WarehouseError
from resources.warehouse.rows import to_vocabulary
from resources.warehouse.schema import ColumnType

# The API answers with the names legacy SQL used.
_CURRENT_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
# Beyond this many rows a result is fetched as Arrow; below it, the rows came with the answer.
_SMALL_RESULT = 20_000
# Seconds to wait for a stopped job to say how it ended.
_SETTLE_TIMEOUT = 60.0


@dataclass(frozen=True)
class BigQuerySession:
    """Clients of one project, made on first use.

    Args:
        project, location: where jobs run.
        endpoint, storage_endpoint: another REST URL and gRPC address, spoken to without credentials;
            with an `endpoint` and no `storage_endpoint` everything is read over REST.
        maximum_bytes_billed: a query that would read more fails before it costs anything.
        job_timeout: seconds a load or query may take; then it is cancelled.
        retry_timeout: seconds to go on retrying what the service calls transient; 0 never retries.
    """

    project: str
    location: str
    endpoint: str | None
    storage_endpoint: str | None
    maximum_bytes_billed: int
    job_timeout: float
    retry_timeout: float

    @cached_property
    def client(self) -> bigquery.Client:
        if self.endpoint is not None:
            return bigquery.Client(
                project=self.project,
                location=self.location,
                credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
                client_options=ClientOptions(api_endpoint=self.endpoint),
            )
        from dagster_gcp import BigQueryResource  # noqa: PLC0415 - a second of imports, unused with an endpoint

        with BigQueryResource(project=self.project, location=self.location).get_client() as client:
            return client

    @cached_property
    def storage(self) -> bigquery_storage_v1.BigQueryReadClient | None:
        if self.endpoint is None:
            return bigquery_storage_v1.BigQueryReadClient()  # type: ignore[no-untyped-call]
        if self.storage_endpoint is None:
            return None
        unlimited = [("grpc.max_receive_message_length", -1)]
        channel = grpc.insecure_channel(self.storage_endpoint, options=unlimited)
        transport = BigQueryReadGrpcTransport(channel=channel)
        return bigquery_storage_v1.BigQueryReadClient(transport=transport)  # type: ignore[no-untyped-call]

    @property
    def call(self) -> dict[str, Any]:
        """Keywords of every short call: bounded in time and in retries."""
        return self._bounded(min(self.job_timeout, 60.0))

    def _bounded(self, timeout: float) -> dict[str, Any]:
        return {"retry": self._retry, "timeout": timeout}

    @property
    def _retry(self) -> Retry | None:
        return DEFAULT_RETRY.with_timeout(self.retry_timeout) if self.retry_timeout else None

    def select(self, sql: str, parameters: Mapping[str, Parameter], operation: str) -> pl.DataFrame:
        """Rows of one SELECT whose parameters are marked `@name`.

        Raises:
            WarehouseError: BigQuery refused it or could not be reached.
        """
        with explained():
            job, rows = self.run(sql, operation, parameters)
            if rows.total_rows > _SMALL_RESULT and self.storage is not None:
                # An endpoint may not keep results as tables; then they come over REST after all.
                with suppress(api_exceptions.NotFound):
                    result = self.client.get_table(job.destination, **self.call)
                    # One stream: the order of the result survives.
                    return self.read_storage(result, column_names(result), "", streams=1)
            return _frame(rows.to_arrow(create_bqstorage_client=False))

    def run(
        self, sql: str, operation: str, parameters: Mapping[str, Parameter] | None = None
    ) -> tuple[bigquery.QueryJob, Any]:
        """Run a query or script to its end: the job, and an iterator over its rows."""
        config = bigquery.QueryJobConfig(
            query_parameters=[
                bigquery.ScalarQueryParameter(name, _parameter_type(value), value)
                for name, value in (parameters or {}).items()
            ],
            maximum_bytes_billed=self.maximum_bytes_billed,
            labels=labels(operation),
        )
        job_id = new_id(operation)
        job, rows = self._complete(
            job_id,
            lambda: self.client.query(
                sql, job_config=config, job_id=job_id, job_retry=None, **self._bounded(self.job_timeout)
            ),
        )
        metering.note(bytes_billed=job.total_bytes_billed or 0)  # an emulator bills nothing
        return job, rows

    def load_parquet(self, file: IO[bytes], destination: str, schema: Sequence[bigquery.SchemaField]) -> int:
        """Load a Parquet stream into an empty table; returns its rows."""
        config = bigquery.LoadJobConfig(
            schema=schema,
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_EMPTY,
            labels=labels("load"),
        )
        job_id = new_id("load")
        job, _ = self._complete(
            job_id,
            # Without a size the client uploads in resumable chunks; the emulator knows no multipart upload.
            lambda: self.client.load_table_from_file(
                file,
                destination,
                job_config=config,
                job_id=job_id,
                timeout=self.job_timeout,
                num_retries=3 if self.retry_timeout else 0,
            ),
        )
        return int(job.output_rows or 0)

    def _complete(self, job_id: str, submit: Callable[[], Any]) -> tuple[Any, Any]:
        """A job and its result. One that takes too long is stopped, and judged by how it really ended."""
        try:
            job = submit()
            return job, job.result(**self._bounded(self.job_timeout))
        except (OSError, api_exceptions.RetryError) as error:  # timeouts and lost lines are OSErrors
            # The job may have begun, and may even have committed: BigQuery knows, the lost line does not.
            try:
                job = self.client.cancel_job(job_id, **self._bounded(_SETTLE_TIMEOUT))
                return job, job.result(**self._bounded(_SETTLE_TIMEOUT))
            except (OSError, api_exceptions.RetryError, api_exceptions.NotFound):
                raise WarehouseError(
                    f"BigQuery cannot be reached, or did not finish job {job_id} within "
                    f"{self.job_timeout:.0f} s; if it began it may still take effect, so look it up before "
                    f"trying again ({error})"
                ) from error

    def read_storage(
        self, table: bigquery.Table, names: Sequence[str], restriction: str, streams: int
    ) -> pl.DataFrame:
        """Columns of a table through the Storage Read API: no query, Arrow all the way.

        `restriction` is a WHERE clause without the word, or empty.
        """
        client = self.storage
        assert client is not None
        session = client.create_read_session(
            parent=f"projects/{self.project}",
            read_session=storage_types.ReadSession(
                table=table.reference.to_bqstorage(),
                data_format=storage_types.DataFormat.ARROW,
                read_options=storage_types.ReadSession.TableReadOptions(
                    selected_fields=list(names), row_restriction=restriction
                ),
            ),
            max_stream_count=streams,
            **self.call,
        )
        schema = pyarrow.ipc.read_schema(pyarrow.py_buffer(session.arrow_schema.serialized_schema))

        def batches_of(stream: Any) -> list[pyarrow.RecordBatch]:
            responses = client.read_rows(  # type: ignore[no-untyped-call]
                stream.name, **self._bounded(self.job_timeout)
            )
            messages = (response.arrow_record_batch.serialized_record_batch for response in responses)
            return [pyarrow.ipc.read_record_batch(pyarrow.py_buffer(m), schema) for m in messages]

        with ThreadPoolExecutor(max(len(session.streams), 1)) as pool:
            batches = [batch for part in pool.map(batches_of, session.streams) for batch in part]
        return _frame(pyarrow.Table.from_batches(batches, schema)).select(names)


@contextmanager
def explained() -> Iterator[None]:
    """Turn the client libraries' many errors into one that says what to do."""
    try:
        yield
    except api_exceptions.Forbidden as error:
        raise WarehouseError(f"BigQuery refused: {error.message}. Check the account's roles") from error
    except api_exceptions.GoogleAPIError as error:
        raise WarehouseError(f"BigQuery: {error}") from error
    except GoogleAuthError as error:
        raise WarehouseError(
            f"no usable Google credentials: {error}. Run `gcloud auth application-default login`"
        ) from error
    except OSError as error:
        raise WarehouseError(f"BigQuery cannot be reached: {error}") from error


def labels(operation: str) -> dict[str, str]:
    """Labels of a job or a passing table: who made it, and for what."""
    return {"aelp_component": "warehouse", "aelp_operation": operation}


def new_id(operation: str) -> str:
    """A name no other job or staging table has."""
    return f"aelp_{operation}_{uuid.uuid4().hex}"


def current_name(field: bigquery.SchemaField) -> ColumnType:
    """A column's type in GoogleSQL's words."""
    name: ColumnType = _CURRENT_NAMES.get(field.field_type, field.field_type)  # type: ignore[assignment]
    return name


def column_names(table: bigquery.Table) -> list[str]:
    """Columns of a table, in order."""
    return [field.name for field in table.schema]


def _frame(table: pyarrow.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    try:
        return to_vocabulary(frame)
    except pl.exceptions.PolarsError as error:
        raise WarehouseError(f"a result does not fit the warehouse's types: {error}") from error


def _parameter_type(value: Parameter) -> ColumnType:
    # bool before int and datetime before date: each is a kind of the other.
    match value:
        case bool():
            return "BOOL"
        case int():
            return "INT64"
        case float():
            return "FLOAT64"
        case datetime():
            return "TIMESTAMP"
        case date():
            return "DATE"
        case _:
            return "STRING"
