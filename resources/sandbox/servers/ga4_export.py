"""The BigQuery export of a property, as Parquet files in Google's nested shape.

Here: an event in that shape (`Event`, `write_table`), and those of the simulated business: page views and
purchases of those who ordered, with the consent each gave. Not here: visitors who did not order, the Data API
(`ga4`), what other events there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from resources.sandbox.backend_frames import LINK, orders_frame
from resources.sandbox.servers.account import ServedAccount

Kind = Literal["daily", "fresh", "intraday"]
STREAM_ID = "4820117733"

_VALUE = pa.struct(
    {
        "string_value": pa.string(),
        "int_value": pa.int64(),
        "float_value": pa.float64(),
        "double_value": pa.float64(),
    }
)
_PARAMS = pa.list_(pa.struct({"key": pa.string(), "value": _VALUE}))
_SCHEMA = pa.schema(
    {
        "event_date": pa.string(),
        "event_timestamp": pa.int64(),
        "event_name": pa.string(),
        "event_params": _PARAMS,
        "event_bundle_sequence_id": pa.int64(),
        "user_id": pa.string(),
        "user_pseudo_id": pa.string(),
        "privacy_info": pa.struct(
            {
                "analytics_storage": pa.string(),
                "ads_storage": pa.string(),
                "uses_transient_token": pa.string(),
            }
        ),
        "user_properties": _PARAMS,
        "device": pa.struct({"category": pa.string(), "language": pa.string()}),
        "geo": pa.struct({"country": pa.string()}),
        "stream_id": pa.string(),
        "platform": pa.string(),
        "ecommerce": pa.struct({"transaction_id": pa.string(), "purchase_revenue": pa.float64()}),
        "collected_traffic_source": pa.struct(
            {
                "manual_source": pa.string(),
                "manual_medium": pa.string(),
                "manual_campaign_name": pa.string(),
                "gclid": pa.string(),
            }
        ),
    }
)


@dataclass(frozen=True)
class Event:
    """What one browser sent.

    Attributes:
        micros: when, POSIX microseconds.
        consent: to measurement and to ads: Yes, No, or Unset where nobody asked.
        transaction_id, revenue: of a purchase; the revenue in the currency of its `currency` parameter.
        traffic: fields of collected_traffic_source.
    """

    name: str
    micros: int
    params: Mapping[str, str | int | float]
    consent: str
    browser: str | None
    user: str | None = None
    properties: Mapping[str, str | int | float] = field(default_factory=dict)
    device: Mapping[str, str] | None = None
    country: str | None = None
    transaction_id: str | None = None
    revenue: float | None = None
    traffic: Mapping[str, str | None] | None = None


def write_table(events: Iterable[Event], folder: Path, day: date, kind: Kind = "daily") -> Path:
    """Write one day's table under the name Google gives it."""
    prefix = "events_" if kind == "daily" else f"events_{kind}_"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{prefix}{day:%Y%m%d}.parquet"
    records = [_record(event, day) for event in events]
    pq.write_table(pa.Table.from_pylist(records, schema=_SCHEMA), path)
    return path


def write_events(served: ServedAccount, folder: Path, day: date, kind: Kind = "daily") -> Path:
    """Write one day's table; intraday holds the morning only, fresh all but the last hour.

    Raises:
        ValueError: nothing is known of that day.
    """
    window = served.window(day, day)
    if window is None:
        raise ValueError(f"nothing is known of {day}")
    orders = orders_frame(served.simulated.business, served.simulated.orders, window)
    before = {"daily": 24, "fresh": 23, "intraday": 12}[kind]
    events: list[Event] = []
    for order in orders.iter_rows(named=True):
        at = datetime.fromisoformat(order["ordered_at"])
        if at.hour < before:
            events += [_event(order, at, "page_view"), _event(order, at, "purchase")]
    return write_table(events, folder, day, kind)


def consent(customer_id: str) -> str:
    """What a customer answered, by the second digit of their hash: 2 in 16 refuse, 1 was not asked."""
    return {"0": "No", "1": "No", "2": "Unset"}.get(customer_id[1], "Yes")


def _event(order: Mapping[str, Any], at: datetime, name: str) -> Event:
    customer, source = order["customer_id"], order["utm_source"]
    answer = consent(customer)
    bought = name == "purchase"
    link = f"{LINK}/checkout?utm_source={source or 'direct'}&email=someone%40{customer[:6]}.example"
    if source == "facebook":
        link += f"&fbclid=IwAR{customer}"
    params: dict[str, str | int | float] = {
        "page_location": link,
        "ga_session_id": int(at.timestamp()) - 300,
        "engagement_time_msec": 1_200,
    }
    if bought:
        params |= {"currency": order["currency"], "value": order["value"]}
    return Event(
        name=name,
        micros=int(at.timestamp()) * 1_000_000 + (1_000 if bought else 0),
        params=params,
        consent=answer,
        # Without consent Google sends no browser id; sites often set user_id all the same.
        browser=None if answer == "No" else f"{int(customer[:8], 16)}.{int(customer[8:], 16)}",
        user=customer,
        properties={"plan": order["track"]},
        device={"category": "mobile" if customer[-1] in "123" else "desktop", "language": "en-us"},
        country="United States",
        transaction_id=order["order_id"] if bought else None,
        revenue=order["value"] if bought else None,
        traffic={
            "manual_source": source,
            "manual_campaign_name": order["utm_campaign"],
            "gclid": f"Cj0KCQ{customer}" if source == "google" else None,
        }
        if source
        else None,
    )


def _record(event: Event, day: date) -> dict[str, Any]:
    return {
        "event_date": f"{day:%Y%m%d}",
        "event_timestamp": event.micros,
        "event_name": event.name,
        "event_params": _named(event.params),
        "event_bundle_sequence_id": event.micros // 1_000_000,
        "user_id": event.user,
        "user_pseudo_id": event.browser,
        "privacy_info": {
            "analytics_storage": event.consent,
            "ads_storage": event.consent,
            "uses_transient_token": "No",
        },
        "user_properties": _named(event.properties),
        "device": event.device,
        "geo": {"country": event.country},
        "stream_id": STREAM_ID,
        "platform": "WEB",
        "ecommerce": None
        if event.transaction_id is None
        else {"transaction_id": event.transaction_id, "purchase_revenue": event.revenue},
        "collected_traffic_source": event.traffic,
    }


def _named(values: Mapping[str, str | int | float]) -> list[dict[str, Any]]:
    kinds = {str: "string_value", int: "int_value", float: "double_value"}
    return [{"key": key, "value": {kinds[type(value)]: value}} for key, value in values.items()]
