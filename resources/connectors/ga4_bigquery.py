"""The tables GA4 exports for a property, read where Google writes them in BigQuery: no copy, no query.

Here: BigQuery's metadata and Storage Read APIs, and what their errors mean. Not here: which table counts for
a day and what of an event may be kept (`ga4_export`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import grpc
import pyarrow as pa
from google.api_core import exceptions as google_errors
from google.api_core.client_options import ClientOptions
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1.services.big_query_read import BigQueryReadClient
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport
from google.cloud.bigquery_storage_v1.types import DataFormat, ReadSession

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.ga4_credentials import BIGQUERY
from resources.connectors.ga4_tables import COLUMNS, ROWS_PER_BATCH, Kind, day_and_kind, table_name
from resources.connectors.http import LOOPBACK
from resources.settings import SettingsError

_SWITCHED_OFF = {"accessNotConfigured", "SERVICE_DISABLED"}
_WHEN_REFUSED = 86_400.0  # seconds until a role may have been given; the Data API is read meanwhile
_QUOTA_REASONS = {"rateLimitExceeded", "quotaExceeded", "userRateLimitExceeded"}


@dataclass(frozen=True)
class BigQueryTables:
    """Tables where GA4 writes them, in datasets `analytics_<property id>`: read as Arrow, by no query.

    Args:
        project: the Google Cloud project the properties are linked to; it pays for reading.
        google: google-auth's credentials.
        endpoint, storage_endpoint: REST URL and gRPC address of this machine, called without TLS.
        timeout_seconds: longest wait for one call.

    Raises:
        SettingsError: an endpoint on another machine.
    """

    project: str
    google: Any = field(repr=False)
    endpoint: str | None = None
    storage_endpoint: str | None = None
    timeout_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.endpoint is not None and urlsplit(self.endpoint).hostname not in LOOPBACK:
            raise SettingsError(
                f"GA4 export: {self.endpoint} would get the access token. Only this machine may stand in for "
                "BigQuery."
            )

    def where(self, property_id: str) -> str:
        return f"{self.project}.analytics_{property_id}"

    def found(self, property_id: str) -> set[tuple[date, Kind]]:
        dataset = self.where(property_id)
        with _explained(dataset):
            listed = self._client.list_tables(
                dataset,
                page_size=1_000,  # years of tables would come by fifties
                retry=None,  # type: ignore[arg-type] # Google's own would sleep beside the runner's
                timeout=self.timeout_seconds,
            )
            tables = {day_and_kind(table.table_id) for table in listed} - {None}
        if not tables:
            raise PlatformError(
                ErrorClass.PERMANENT,
                f"GA4 export: BigQuery holds no events_* in {dataset}. A property exports from the day it is "
                "linked (Admin, BigQuery links); the first table takes a day.",
            )
        return {table for table in tables if table is not None}

    def events(self, property_id: str, day: date, kind: Kind) -> Iterator[Sequence[Mapping[str, Any]]]:
        name = f"{self.where(property_id)}.{table_name(day, kind)}"
        with _explained(name):
            table = self._client.get_table(name, retry=None, timeout=self.timeout_seconds)  # type: ignore[arg-type]
            # One session is one snapshot: an intraday table goes on growing.
            session = self._storage.create_read_session(
                parent=f"projects/{self.project}",
                read_session=ReadSession(
                    table=table.path.lstrip("/"),
                    data_format=DataFormat.ARROW,
                    read_options={
                        "selected_fields": [c.name for c in table.schema if c.name in COLUMNS],
                    },
                ),
                max_stream_count=1,
                retry=None,
                timeout=self.timeout_seconds,
            )
            schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))
            for stream in session.streams:
                for message in self._messages(stream.name):
                    batch = pa.ipc.read_record_batch(pa.py_buffer(message), schema)
                    for start in range(0, batch.num_rows, ROWS_PER_BATCH):
                        yield batch.slice(start, ROWS_PER_BATCH).to_pylist()

    def _messages(self, stream: str) -> Iterator[bytes]:
        """A stream's batches, one after another. Google's own reader would wait for a silent one for a day.

        A call has a limit, a table has none: where rows came within it, the rest is asked for by another.
        """
        rows = 0
        while True:
            before = rows
            try:
                for answer in self._storage.read_rows(
                    read_stream=stream, offset=rows, retry=None, timeout=self.timeout_seconds
                ):
                    rows += answer.row_count
                    yield answer.arrow_record_batch.serialized_record_batch
            except google_errors.DeadlineExceeded:
                if rows == before:
                    raise
            else:
                return

    @cached_property
    def _client(self) -> bigquery.Client:
        elsewhere = None if self.endpoint is None else ClientOptions(api_endpoint=self.endpoint)
        return bigquery.Client(self.project, self.google, client_options=elsewhere)

    @cached_property
    def _storage(self) -> BigQueryReadClient:
        if self.endpoint is None:
            return BigQueryReadClient(credentials=self.google)
        options = [("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]
        channel = grpc.insecure_channel(self.storage_endpoint or self.endpoint, options=options)
        return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))


@contextmanager
def _explained(place: str) -> Iterator[None]:
    """Google's errors as the runner's classes."""
    try:
        yield
        return
    except (google_errors.GoogleAPIError, GoogleAuthError, OSError) as error:
        explained = _as_platform_error(error, place)
    # Outside the handler: Google's own text may quote the key.
    raise explained


def _as_platform_error(error: Exception, place: str) -> PlatformError:
    reasons = {told.get("reason") for told in getattr(error, "errors", ()) if isinstance(told, Mapping)}
    reasons.add(getattr(error, "reason", None))
    match error:
        case google_errors.NotFound():
            # A daily table replaces the others: what was listed a moment ago may be gone.
            kind = ErrorClass.TRANSIENT if "events_" in place else ErrorClass.PERMANENT
            said = f"BigQuery has no {place}. Check the property's BigQuery link and `export_project`."
        case google_errors.TooManyRequests():
            kind, said = ErrorClass.THROTTLE, f"BigQuery's quota is used up for {place}"
        case google_errors.Forbidden() if reasons & _QUOTA_REASONS:
            kind, said = ErrorClass.THROTTLE, f"BigQuery's quota is used up for {place}"
        case google_errors.Forbidden() if reasons & _SWITCHED_OFF:
            kind = ErrorClass.AUTH
            said = (
                f"an API that is needed to read {place} is switched off in its project. Enable BigQuery API "
                "and BigQuery Storage API there."
            )
        case google_errors.Forbidden() if "ACCESS_TOKEN_SCOPE_INSUFFICIENT" in reasons:
            kind = ErrorClass.AUTH
            said = (
                f"AELP_GA4_ACCESS_TOKEN may not read {place}: it was obtained without the scope {BIGQUERY}."
            )
        case google_errors.Forbidden() | google_errors.Unauthorized() | RefreshError(retryable=False):
            kind = ErrorClass.AUTH
            said = (
                f"Google does not let these credentials read {place}. They need BigQuery Data Viewer on the "
                "dataset and BigQuery Read Session User on the project."
            )
        case google_errors.BadRequest():
            kind, said = ErrorClass.PERMANENT, f"BigQuery refuses to read {place}"
        case _:
            kind, said = ErrorClass.TRANSIENT, f"{place} cannot be read ({type(error).__name__})"
    return PlatformError(kind, f"GA4 export: {said}", _WHEN_REFUSED if kind is ErrorClass.AUTH else None)
