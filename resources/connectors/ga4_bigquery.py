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

import grpc
from google.api_core import exceptions as google_errors
from google.api_core.client_options import ClientOptions
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.cloud import bigquery, bigquery_storage_v1
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.ga4_tables import COLUMNS, ROWS_PER_BATCH, Kind, day_and_kind, table_name

_QUOTA_REASONS = {"rateLimitExceeded", "quotaExceeded", "userRateLimitExceeded"}


@dataclass(frozen=True)
class BigQueryTables:
    """Tables where GA4 writes them, in datasets `analytics_<property id>`: read as Arrow, by no query.

    Args:
        project: the Google Cloud project the properties are linked to; it pays for reading.
        google: google-auth's credentials.
        endpoint, storage_endpoint: another REST URL and gRPC address.
        timeout_seconds: longest wait for one call.
    """

    project: str
    google: Any = field(repr=False)
    endpoint: str | None = None
    storage_endpoint: str | None = None
    timeout_seconds: float = 60.0

    def where(self, property_id: str) -> str:
        return f"{self.project}.analytics_{property_id}"

    def found(self, property_id: str) -> set[tuple[date, Kind]]:
        dataset = self.where(property_id)
        with _explained(dataset):
            # Google's own retries would sleep beside the runner's.
            listed = self._client.list_tables(dataset, retry=None, timeout=self.timeout_seconds)  # type: ignore[arg-type]
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
            rows = self._client.list_rows(
                table,
                selected_fields=[column for column in table.schema if column.name in COLUMNS],
                retry=None,  # type: ignore[arg-type]
                timeout=self.timeout_seconds,
            )
            # One session is one snapshot: an intraday table goes on growing.
            for batch in rows.to_arrow_iterable(bqstorage_client=self._storage, max_stream_count=1):
                for start in range(0, batch.num_rows, ROWS_PER_BATCH):
                    yield batch.slice(start, ROWS_PER_BATCH).to_pylist()

    @cached_property
    def _client(self) -> bigquery.Client:
        elsewhere = None if self.endpoint is None else ClientOptions(api_endpoint=self.endpoint)
        return bigquery.Client(self.project, self.google, client_options=elsewhere)

    @cached_property
    def _storage(self) -> bigquery_storage_v1.BigQueryReadClient:
        if self.endpoint is None:
            return bigquery_storage_v1.BigQueryReadClient(credentials=self.google)  # type: ignore[no-untyped-call]
        options = [("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]
        channel = grpc.insecure_channel(self.storage_endpoint or self.endpoint, options=options)
        return bigquery_storage_v1.BigQueryReadClient(  # type: ignore[no-untyped-call]
            transport=BigQueryReadGrpcTransport(channel=channel)
        )


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
    match error:
        case google_errors.NotFound():
            # A daily table replaces the others: what was listed a moment ago may be gone.
            kind = ErrorClass.TRANSIENT if "events_" in place else ErrorClass.PERMANENT
            said = f"BigQuery has no {place}. Check the property's BigQuery link and `export_project`."
        case google_errors.TooManyRequests():
            kind, said = ErrorClass.THROTTLE, f"BigQuery's quota is used up for {place}"
        case google_errors.Forbidden() if reasons & _QUOTA_REASONS:
            kind, said = ErrorClass.THROTTLE, f"BigQuery's quota is used up for {place}"
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
    return PlatformError(kind, f"GA4 export: {said}")
