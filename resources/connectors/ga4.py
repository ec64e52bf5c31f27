"""Google Analytics 4 through its Data API: sessions and key events by property day, channel and device.

A click here is a session that came with the channel's source and medium; a conversion is a key event,
credited by the property's attribution model (fractional, and restated for about twelve days).
Here: RunReport, its pages and quotas; the export's report beside them where there is one. Not here: how
exported files are read (`ga4_export`), retries.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import grpc
from google.analytics.data_v1beta import BetaAnalyticsDataClient
from google.analytics.data_v1beta import types as ga
from google.analytics.data_v1beta.services.beta_analytics_data.transports.grpc import (
    BetaAnalyticsDataGrpcTransport,
)
from google.api_core import exceptions as google_errors

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.ga4_credentials import Ga4Credentials
from resources.connectors.ga4_export import Ga4Export
from resources.connectors.google_login import GoogleLogin
from resources.connectors.rows import decimal_text, page_rows, text
from resources.connectors.scrubbing import Scrubber
from resources.connectors.source import Account, Page, Pull, Report
from resources.landing.streams import STREAMS

STREAM = STREAMS["ga4_reports"]
LIVE = "analyticsdata.googleapis.com"
QUOTA_ZONE = ZoneInfo("America/Los_Angeles")  # daily quotas return at its midnight
AN_HOUR = 3_600.0

_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\]):\d+")


@dataclass(frozen=True)
class Shape:
    """What one report asks for: API name to payload field."""

    dimensions: Mapping[str, str]
    metrics: Mapping[str, str]
    only_positive: str | None = None


_CHANNEL = {
    "date": "report_date",
    "sessionSource": "session_source",
    "sessionMedium": "session_medium",
    "sessionCampaignName": "session_campaign_name",
    "deviceCategory": "device_category",
}
# Each repeats the property's total, so each is a breakdown set of its own.
SHAPES: Mapping[str, Shape] = {
    "sessions": Shape(
        _CHANNEL,
        {"sessions": "sessions", "engagedSessions": "engaged_sessions", "totalUsers": "total_users"},
    ),
    "key_events": Shape(
        {**_CHANNEL, "eventName": "event_name"},
        {"keyEvents": "key_events", "purchaseRevenue": "purchase_revenue"},
        only_positive="keyEvents",
    ),
}


class Ga4Source:
    """Reports of GA4 properties.

    Args:
        property_ids: numeric ids of the properties to read.
        export: reads the properties' exported events; None: they are not exported.
        endpoint: host of the API; the connection is without TLS on loopback only.
        now: the present moment, with its zone: when the daily quota returns.
    Raises:
        MissingCredentials: the key file cannot be read.
    """

    name = "ga4"
    api_version = "v1beta"
    page_sizes: Sequence[int] = (10_000, 1_000)

    def __init__(
        self,
        credentials: Ga4Credentials,
        property_ids: Sequence[str],
        *,
        export: Ga4Export | None = None,
        endpoint: str = LIVE,
        timeout_seconds: float = 60.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        page_size: int = 100_000,
    ) -> None:
        self._property_ids = tuple(property_ids)
        self._export = export
        self._endpoint = endpoint
        self._timeout = timeout_seconds
        self._now = now
        self._page_size = page_size
        self._login = GoogleLogin(
            credentials.google(), timeout_seconds, "GA4", "Check AELP_GA4_SERVICE_ACCOUNT_FILE."
        )

    @property
    def reports(self) -> Sequence[Report]:
        asked = [
            Report(STREAM, name, lookback_days=12, longest_days=31, final_after_days=12) for name in SHAPES
        ]
        return asked if self._export is None else [*asked, self._export.report]

    @property
    def secrets(self) -> Sequence[str]:
        told = [self._login.token] if self._login.token else []
        return told if self._export is None else [*told, *self._export.secrets]

    def accounts(self) -> Sequence[Account]:
        """The properties, with currency and zone as a one-row report of each says.

        Raises:
            PlatformError: a property cannot be read.
        """
        found = []
        for property_id in self._property_ids:
            yesterday = self._now().date() - timedelta(days=1)
            shape = Shape({"date": "report_date"}, {"sessions": "sessions"})
            answer = self._run(self._request(property_id, shape, yesterday, yesterday, offset=0, limit=1))
            metadata = answer.metadata
            if not metadata.time_zone or not metadata.currency_code:
                raise PlatformError(
                    ErrorClass.TRANSIENT, f"GA4: the answer names no zone or currency of {property_id}"
                )
            found.append(Account(property_id, property_id, metadata.currency_code, metadata.time_zone))
        return found

    def elsewhere(self, account_id: str) -> str | None:
        """The property's exported events, after a look into their newest table; None where none are read.

        Raises:
            PlatformError: as the tables say.
        """
        return None if self._export is None else self._export.newest(account_id)

    def parents(self, pull: Pull) -> Sequence[str]:
        return ()

    def pages(self, pull: Pull) -> Iterator[Page]:
        """Rows of the report, page by page until `row_count` rows are read, or the exported events.

        Raises:
            PlatformError: the API refuses, its pages do not add up to one whole report, or as
                `Ga4Export.pages`.
        """
        if self._export is not None and pull.report == self._export.report:
            yield from self._export.pages(pull)
            return
        shape = SHAPES[pull.report.breakdown_set]
        limit = pull.page_size or self._page_size
        offset, expected = 0, None
        seen: set[tuple[str, ...]] = set()
        while True:
            request = self._request(pull.account.account_id, shape, pull.first, pull.last, offset, limit)
            answer = self._run(request)
            if expected is not None and answer.row_count != expected:
                raise self._broken(f"{expected} rows at first and {answer.row_count} later")
            expected = answer.row_count
            rows = self._rows(answer, shape, pull, seen)
            offset += len(rows)
            if offset > expected or (not rows and offset < expected):
                raise self._broken(f"{offset} rows read of {expected}")
            more = offset < expected
            yield Page(page_rows(rows, STREAM), self._advised_wait(answer.property_quota, more))
            if not more:
                return

    def _request(
        self, property_id: str, shape: Shape, first: date, last: date, offset: int, limit: int
    ) -> ga.RunReportRequest:
        positive = None
        if shape.only_positive is not None:
            positive = ga.FilterExpression(
                filter=ga.Filter(
                    field_name=shape.only_positive,
                    numeric_filter=ga.Filter.NumericFilter(
                        operation=ga.Filter.NumericFilter.Operation.GREATER_THAN,
                        value=ga.NumericValue(int64_value=0),
                    ),
                )
            )
        return ga.RunReportRequest(
            property=f"properties/{property_id}",
            dimensions=[ga.Dimension(name=name) for name in shape.dimensions],
            metrics=[ga.Metric(name=name) for name in shape.metrics],
            date_ranges=[ga.DateRange(start_date=first.isoformat(), end_date=last.isoformat())],
            metric_filter=positive,
            # Without an order the API may shuffle rows between the pages of one report.
            order_bys=[
                ga.OrderBy(dimension=ga.OrderBy.DimensionOrderBy(dimension_name=name))
                for name in shape.dimensions
            ],
            offset=offset,
            limit=limit,
            return_property_quota=True,
        )

    def _rows(
        self, answer: ga.RunReportResponse, shape: Shape, pull: Pull, seen: set[tuple[str, ...]]
    ) -> list[dict[str, str | date | None]]:
        # Plain protobuf: proto-plus wraps every value anew, ten times slower over a page.
        plain = ga.RunReportResponse.pb(answer)
        if not plain.rows:
            return []
        headers = [header.name for header in plain.dimension_headers]
        metrics = [header.name for header in plain.metric_headers]
        if headers != list(shape.dimensions) or metrics != list(shape.metrics):
            raise self._broken(f"columns {headers + metrics}, which is not what was asked for")
        common = self._flags(answer.metadata)
        rows: list[dict[str, str | date | None]] = []
        for row in plain.rows:
            values = tuple(value.value for value in row.dimension_values)
            numbers = [value.value for value in row.metric_values]
            if len(values) != len(headers) or len(numbers) != len(metrics):
                raise self._broken("a row that is shorter than its header")
            if values in seen:
                raise self._broken(f"the row {' / '.join(values)} twice, so a page came twice")
            seen.add(values)
            day = _day(values[0])
            if day is None or not pull.first <= day <= pull.last:
                raise self._broken(f"a row of {values[0]!r}, outside the days asked for")
            named = dict(zip(shape.dimensions.values(), map(text, values), strict=True))
            record: dict[str, str | date | None] = {
                **named,
                "report_date": day,
                "report": pull.report.breakdown_set,
                "dimensions_hash": dimensions_hash(values[1:]),
                **common,
            }
            for (name, column), value in zip(shape.metrics.items(), numbers, strict=True):
                record[column] = self._number(value, name, STREAM.fields[column])
            rows.append(record)
        return rows

    def _number(self, value: str, name: str, kind: str) -> str | None:
        number = decimal_text(value, f"GA4 {name}")
        if kind == "count" and number is not None and "." in number:
            raise self._broken(f"{name} of {value}, where a whole number must be")
        return number

    def _flags(self, metadata: ga.ResponseMetaData) -> dict[str, str | None]:
        """What the API says of the answer's quality: kept with every row, judged in staging."""
        samples = metadata.sampling_metadatas
        return {
            "currency": text(metadata.currency_code),
            "timezone": text(metadata.time_zone),
            "data_loss_from_other_row": text(bool(metadata.data_loss_from_other_row)),
            "subject_to_thresholding": text(bool(metadata.subject_to_thresholding)),
            "truncation_reasons": ",".join(sorted({str(r) for r in metadata.data_truncation_reasons}))
            or None,
            "samples_read_count": str(samples[0].samples_read_count) if samples else None,
            "sampling_space_size": str(samples[0].sampling_space_size) if samples else None,
        }

    # --- quotas and failures --------------------------------------------------------------------------

    def _advised_wait(self, quota: ga.PropertyQuota, more: bool) -> float:
        """Seconds until another such call can be paid for; defers a report the day's tokens cannot finish.

        `consumed` is what this one call cost.
        """
        day, hour = quota.tokens_per_day, quota.tokens_per_hour
        if more and day.consumed and day.remaining < day.consumed:
            raise PlatformError(
                ErrorClass.DEFER,
                f"GA4: {day.remaining} tokens are left today and a page costs {day.consumed}",
                self._until_midnight(),
            )
        if hour.consumed and hour.remaining < hour.consumed:
            return AN_HOUR
        return 10.0 if quota.concurrent_requests.consumed and not quota.concurrent_requests.remaining else 0.0

    def _until_midnight(self) -> float:
        local = self._now().astimezone(QUOTA_ZONE)
        midnight = datetime.combine(local.date() + timedelta(days=1), time(), QUOTA_ZONE)
        return (midnight.astimezone(UTC) - local.astimezone(UTC)).total_seconds()

    def _run(self, request: ga.RunReportRequest) -> ga.RunReportResponse:
        signature = self._login.signature()
        try:
            answer: ga.RunReportResponse = self._client.run_report(
                request, retry=None, timeout=self._timeout, metadata=signature
            )
            return answer
        except google_errors.GoogleAPICallError as error:
            raised = self._sorted(error)
        raise raised

    def _sorted(self, error: google_errors.GoogleAPICallError) -> PlatformError:
        said = Scrubber(self.secrets)(str(error.message))[:400]
        code = error.grpc_status_code
        kind = ErrorClass.TRANSIENT
        wait: float | None = None
        match code:
            case grpc.StatusCode.RESOURCE_EXHAUSTED:
                # One code for every quota: only the message tells which.
                if re.search(r"per day|daily", said, re.I):
                    kind, wait = ErrorClass.DEFER, self._until_midnight()
                elif re.search(r"concurrent", said, re.I):
                    kind, wait = ErrorClass.THROTTLE, 30.0
                else:
                    kind, wait = ErrorClass.THROTTLE, AN_HOUR
            case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
                kind = ErrorClass.AUTH
                said += " Check the credentials, the Viewer role on the property and that the Data API is on."
            case grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.NOT_FOUND | grpc.StatusCode.UNIMPLEMENTED:
                kind = ErrorClass.PERMANENT
            case _:
                pass
        name = code.name if code is not None else type(error).__name__
        return PlatformError(kind, f"GA4: {name}: {said}", wait)

    def _broken(self, what: str) -> PlatformError:
        return PlatformError(ErrorClass.TRANSIENT, f"GA4: the answer has {what}")

    @cached_property
    def _client(self) -> Any:
        if _LOOPBACK.fullmatch(self._endpoint) is None:
            host = self._endpoint if ":" in self._endpoint else f"{self._endpoint}:443"
            options = [("grpc.max_receive_message_length", -1)]
            channel = grpc.secure_channel(host, grpc.ssl_channel_credentials(), options=options)
        else:
            channel = grpc.insecure_channel(self._endpoint, options=[("grpc.enable_http_proxy", 0)])
        return BetaAnalyticsDataClient(transport=BetaAnalyticsDataGrpcTransport(channel=channel))


def dimensions_hash(values: Sequence[str]) -> str:
    """sha256 of the dimension values but the date, as JSON: their order is the report's."""
    return hashlib.sha256(json.dumps(list(values), ensure_ascii=False).encode()).hexdigest()


def _day(value: str) -> date | None:
    try:
        return datetime.strptime(value, "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None
