"""A loopback Google Analytics Data API over gRPC, for the simulated business's one property.

Here: RunReport of sessions (most clicks of the ads, and direct ones) and key events (most orders), paging,
quotas and errors as Google sends them. Not here: other methods, the BigQuery export.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from types import TracebackType
from typing import Any, ClassVar

import grpc
import numpy as np
import polars as pl
from google.analytics.data_v1beta import types as ga

from resources.sandbox.backend_frames import orders_frame
from resources.sandbox.catalogue import CURRENCY, PLACEMENTS, PLATFORMS
from resources.sandbox.frames import Window
from resources.sandbox.servers.account import ACCOUNT_ZONE, ServedAccount
from resources.sandbox.servers.faults import FaultKind, FaultScript

PROPERTY_ID = "318204466"
_SERVICE = "google.analytics.data.v1beta.BetaAnalyticsData"
_NOT_SET = "(not set)"
_DEVICES = {
    "mobile_app": "mobile",
    "Mobile phones": "mobile",
    "mobile": "mobile",
    "all": "desktop",
    "desktop": "desktop",
    "Computers": "desktop",
    "Tablets": "tablet",
}
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
        self._served, self._token = served, token
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
        facts = self._key_events if "keyEvents" in metrics else self._sessions
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

    # --- what the property measured ---------------------------------------------------------------------

    def _sessions(self, first: date, last: date) -> pl.DataFrame:
        window = self._served.window(first, last)
        if window is None:
            return _without_rows(_SESSIONS)
        return pl.concat([self._ad_sessions(window), self._direct_sessions(window)])

    def _ad_sessions(self, window: Window) -> pl.DataFrame:
        business, delivery = self._served.simulated.business, self._served.simulated.ledger.delivery
        chosen = (delivery.day >= window.first_day) & (delivery.day <= window.last_day)
        cell, day, clicks = delivery.cell[chosen], delivery.day[chosen], delivery.link_clicks[chosen]
        campaign = business.adsets.campaign[business.ads.adset[business.cells.ad[cell]]]
        platform = business.campaigns.platform[campaign]
        # Of fourteen clicks one leaves before the page has loaded.
        sessions = clicks - clicks // 14
        return _facts(
            {
                "date": _days(self._served, window).gather(day - window.first_day),
                "sessionSource": pl.Series([p.utm_source for p in PLATFORMS]).gather(platform),
                "sessionMedium": pl.Series(["paid_social", "cpc", "paid_social", "paid_social"]).gather(
                    platform
                ),
                "sessionCampaignName": pl.Series(business.campaigns.name).gather(campaign),
                "deviceCategory": pl.Series([_device(p.keys) for p in PLACEMENTS]).gather(
                    business.cells.placement[cell]
                ),
                "sessions": sessions,
                "engagedSessions": sessions * 3 // 5,
                "totalUsers": sessions - sessions // 9,
            }
        ).filter(pl.col("sessions") > 0)

    def _direct_sessions(self, window: Window) -> pl.DataFrame:
        direct = self._orders(window).filter(pl.col("utm_source").is_null())
        return _facts(
            {
                **_channel(direct, self._campaign_names),
                "sessions": np.full(direct.height, 20),
                "engagedSessions": np.full(direct.height, 13),
                "totalUsers": np.full(direct.height, 17),
            }
        )

    def _key_events(self, first: date, last: date) -> pl.DataFrame:
        window = self._served.window(first, last)
        if window is None:
            return _without_rows(_EVENTS)
        # Who refuses measurement leaves no event: one customer in sixteen.
        orders = self._orders(window).filter(~pl.col("customer_id").str.starts_with("0"))
        return _facts(
            {
                **_channel(orders, self._campaign_names),
                "eventName": pl.repeat("purchase", orders.height, eager=True),
                "keyEvents": np.full(orders.height, 1.0),
                "purchaseRevenue": orders["value"],
            }
        )

    def _orders(self, window: Window) -> pl.DataFrame:
        simulated = self._served.simulated
        return orders_frame(simulated.business, simulated.orders, window)

    @property
    def _campaign_names(self) -> dict[str, str]:
        campaigns = self._served.simulated.business.campaigns
        return dict(zip(campaigns.id, campaigns.name, strict=True))


_CHANNEL = ("date", "sessionSource", "sessionMedium", "sessionCampaignName", "deviceCategory")
_SESSIONS = (*_CHANNEL, "sessions", "engagedSessions", "totalUsers")
_EVENTS = (*_CHANNEL, "eventName", "keyEvents", "purchaseRevenue")


def _without_rows(names: Sequence[str]) -> pl.DataFrame:
    texts = (*_CHANNEL, "eventName")
    return pl.DataFrame(schema={name: pl.String() if name in texts else pl.Float64() for name in names})


def _facts(columns: Mapping[str, Any]) -> pl.DataFrame:
    frame = pl.DataFrame(columns)
    return frame.with_columns(
        pl.col(name).cast(pl.Float64) for name, t in frame.schema.items() if t != pl.String
    )


def _channel(orders: pl.DataFrame, names: Mapping[str, str]) -> dict[str, pl.Series]:
    source = orders["utm_source"]
    linkless = source.is_null()
    medium = pl.select(
        pl.when(linkless).then(pl.lit("(none)")).when(source == "google").then(pl.lit("cpc"))
        .otherwise(pl.lit("paid_social"))
    ).to_series()  # fmt: skip
    # The last digit of a customer's hash stands for the device they order with.
    desktop = orders["customer_id"].str.ends_with("0") | orders["customer_id"].str.contains("[4-9]$")
    return {
        "date": orders["ordered_at"].str.slice(0, 10).str.replace_all("-", ""),
        "sessionSource": source.fill_null("(direct)"),
        "sessionMedium": medium,
        "sessionCampaignName": orders["utm_campaign"].replace_strict(names, default=None).fill_null(_NOT_SET),
        "deviceCategory": pl.select(
            pl.when(desktop).then(pl.lit("desktop")).otherwise(pl.lit("mobile"))
        ).to_series(),
    }


def _days(served: ServedAccount, window: Window) -> pl.Series:
    business = served.simulated.business
    first = business.date_of(window.first_day)
    span = range(window.last_day - window.first_day + 1)
    return pl.Series([f"{first + timedelta(days=n):%Y%m%d}" for n in span])


def _device(keys: Sequence[str]) -> str:
    return next(_DEVICES[key] for key in keys if key in _DEVICES)


def _shown(value: float) -> str:
    """As the API writes it: whole numbers without a fraction, money with at most six decimals."""
    return str(int(value)) if value == int(value) else f"{value:.6f}".rstrip("0")
