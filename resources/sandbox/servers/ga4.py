"""A loopback Google Analytics Data API over gRPC, for the simulated business's one property.

Here: RunReport, its paging, quotas and errors as Google sends them. Not here: what the property measured
(`ga4_measured`), other methods, the BigQuery export.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from types import TracebackType
from typing import ClassVar

import grpc
import polars as pl
from google.analytics.data_v1beta import types as ga

from resources.sandbox.catalogue import CURRENCY
from resources.sandbox.servers.account import ACCOUNT_ZONE, ServedAccount
from resources.sandbox.servers.faults import FaultKind, FaultScript
from resources.sandbox.servers.ga4_measured import Measured

PROPERTY_ID = "318204466"
_SERVICE = "google.analytics.data.v1beta.BetaAnalyticsData"
_REFUSALS: Mapping[FaultKind, tuple[grpc.StatusCode, str]] = {
    FaultKind.THROTTLE: (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "Exhausted property tokens per hour. These quota tokens will return in under an hour. "
        "To learn more, see https://developers.google.com/analytics/devguides/reporting/data/v1/quotas",
    ),
    FaultKind.DAILY_QUOTA: (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "Exhausted property tokens per day. These quota tokens will return in under 24 hours.",
    ),
    FaultKind.SERVER_ERROR: (grpc.StatusCode.INTERNAL, "Internal error encountered."),
    FaultKind.EXPIRED_TOKEN: (
        grpc.StatusCode.UNAUTHENTICATED,
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie "
        "or other valid authentication credential.",
    ),
    FaultKind.STREAM_BREAK: (grpc.StatusCode.UNAVAILABLE, "Connection reset by peer"),
}


@dataclass
class Tokens:
    """What is left of the property's quotas; a call costs `cost`."""

    day: int = 200_000
    hour: int = 40_000
    cost: int = 10


class Ga4Server:
    """Serves RunReport on a free port of 127.0.0.1; use as a context manager.

    Args:
        sampled: every answer says it was sampled, lost rows to (other) and was thresholded.
        stall_seconds: how long a stalled call is kept waiting.
    """

    able: ClassVar[Sequence[FaultKind]] = (
        *_REFUSALS, FaultKind.STALL, FaultKind.EMPTY_MIDDLE, FaultKind.DUPLICATE_PAGE,
    )  # fmt: skip

    def __init__(
        self,
        served: ServedAccount,
        token: str,
        faults: FaultScript | None = None,
        *,
        tokens: Tokens | None = None,
        sampled: bool = False,
        stall_seconds: float = 2.0,
    ) -> None:
        self.requests: list[ga.RunReportRequest] = []
        self.tokens = tokens or Tokens()
        self._measured, self._token = Measured(served), token
        self._faults = faults or FaultScript()
        self._sampled, self._stall = sampled, stall_seconds
        self._closing = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(max_workers=4))
        handler = grpc.unary_unary_rpc_method_handler(
            self._run_report,
            request_deserializer=ga.RunReportRequest.deserialize,
            response_serializer=ga.RunReportResponse.serialize,
        )
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(_SERVICE, {"RunReport": handler}),)
        )
        self._port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self._port}"

    def __enter__(self) -> Ga4Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.stop(grace=None).wait()

    def _run_report(
        self, request: ga.RunReportRequest, context: grpc.ServicerContext
    ) -> ga.RunReportResponse:
        self.requests.append(request)
        sent = dict(context.invocation_metadata()).get("authorization")
        fault = self._faults.due("RunReport", self.able)
        if sent != f"Bearer {self._token}":
            fault = FaultKind.EXPIRED_TOKEN
        if fault is FaultKind.STALL:
            self._closing.wait(self._stall)
        if fault is not None and fault in _REFUSALS:
            context.abort(*_REFUSALS[fault])
        if request.property != f"properties/{PROPERTY_ID}":
            context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                "User does not have sufficient permissions for this property. To learn more about Property "
                "ID, see https://developers.google.com/analytics/devguides/reporting/data/v1/property-id.",
            )
        for left, name in ((self.tokens.day, FaultKind.DAILY_QUOTA), (self.tokens.hour, FaultKind.THROTTLE)):
            if left < self.tokens.cost:
                context.abort(*_REFUSALS[name])
        try:
            return self._answer(request, fault)
        except KeyError as error:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"Field {error.args[0]} is not a valid dimension or metric. For a list of valid dimensions "
                "and metrics, see https://developers.google.com/analytics/devguides/reporting/data/v1/api-schema",
            )
        raise AssertionError("abort raises")

    def _answer(self, request: ga.RunReportRequest, fault: FaultKind | None) -> ga.RunReportResponse:
        dimensions = [dimension.name for dimension in request.dimensions]
        metrics = [metric.name for metric in request.metrics]
        facts = self._measured.key_events if "keyEvents" in metrics else self._measured.sessions
        asked = request.date_ranges[0]
        rows = facts(date.fromisoformat(asked.start_date), date.fromisoformat(asked.end_date))
        for name in (*dimensions, *metrics):
            if name not in rows.columns:
                raise KeyError(name)
        rows = rows.group_by(dimensions).agg(pl.col(name).sum() for name in metrics)
        positive = request.metric_filter.filter.field_name
        if positive:
            rows = rows.filter(pl.col(positive) > 0)
        ordered = [order.dimension.dimension_name for order in request.order_bys]
        rows = rows.sort(ordered) if ordered else rows
        offset = request.offset
        if fault is FaultKind.DUPLICATE_PAGE:
            offset = max(0, offset - request.limit)
        # The API's own default and maximum.
        page = rows.slice(offset, min(request.limit or 10_000, 250_000))
        if fault is FaultKind.EMPTY_MIDDLE:
            page = page.clear()
        self.tokens.day -= self.tokens.cost
        self.tokens.hour -= self.tokens.cost
        return ga.RunReportResponse(
            dimension_headers=[ga.DimensionHeader(name=name) for name in dimensions] if page.height else [],
            metric_headers=[ga.MetricHeader(name=name, type_="TYPE_INTEGER") for name in metrics],
            rows=[
                ga.Row(
                    dimension_values=[ga.DimensionValue(value=v) for v in row[: len(dimensions)]],
                    metric_values=[ga.MetricValue(value=_shown(v)) for v in row[len(dimensions) :]],
                )
                for row in page.iter_rows()
            ],
            row_count=rows.height,
            metadata=self._metadata(),
            property_quota=self._quota() if request.return_property_quota else None,
            kind="analyticsData#runReport",
        )

    def _metadata(self) -> ga.ResponseMetaData:
        samples = [ga.SamplingMetadata(samples_read_count=500_000, sampling_space_size=1_250_000)]
        return ga.ResponseMetaData(
            currency_code=CURRENCY,
            time_zone=ACCOUNT_ZONE,
            data_loss_from_other_row=self._sampled,
            subject_to_thresholding=self._sampled,
            sampling_metadatas=samples if self._sampled else [],
        )

    def _quota(self) -> ga.PropertyQuota:
        cost = self.tokens.cost
        return ga.PropertyQuota(
            tokens_per_day=ga.QuotaStatus(consumed=cost, remaining=self.tokens.day),
            tokens_per_hour=ga.QuotaStatus(consumed=cost, remaining=self.tokens.hour),
            concurrent_requests=ga.QuotaStatus(consumed=0, remaining=10),
            server_errors_per_project_per_hour=ga.QuotaStatus(consumed=0, remaining=10),
            potentially_thresholded_requests_per_hour=ga.QuotaStatus(consumed=0, remaining=120),
        )


def _shown(value: float) -> str:
    """As the API writes it: whole numbers without a fraction, money with at most six decimals."""
    return str(int(value)) if value == int(value) else f"{value:.6f}".rstrip("0")
