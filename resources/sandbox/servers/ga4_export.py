"""The BigQuery export of the simulated property, as Parquet files in Google's nested shape.

Here: page views and purchases of those who ordered, with the consent each gave. Not here: visitors who did
not order, the Data API (`ga4`).
"""

from __future__ import annotations

from collections.abc import Mapping
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
    events: list[dict[str, Any]] = []
    for order in orders.iter_rows(named=True):
        at = datetime.fromisoformat(order["ordered_at"])
        if at.hour < before:
            events += [_event(order, at, day, "page_view"), _event(order, at, day, "purchase")]
    prefix = "events_" if kind == "daily" else f"events_{kind}_"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{prefix}{day:%Y%m%d}.parquet"
    pq.write_table(pa.Table.from_pylist(events, schema=_SCHEMA), path)
    return path


def consent(customer_id: str) -> str:
    """What a customer answered, by the second digit of their hash: 2 in 16 refuse, 1 was not asked."""
    return {"0": "No", "1": "No", "2": "Unset"}.get(customer_id[1], "Yes")


def _event(order: Mapping[str, Any], at: datetime, day: date, name: str) -> dict[str, Any]:
    customer, source = order["customer_id"], order["utm_source"]
    answer = consent(customer)
    bought = name == "purchase"
    link = f"{LINK}/checkout?utm_source={source or 'direct'}&email=someone%40{customer[:6]}.example"
    if source == "facebook":
        link += f"&fbclid=IwAR{customer}"
    micros = int(at.timestamp()) * 1_000_000 + (1_000 if bought else 0)
    params: list[dict[str, Any]] = [
        _param("page_location", string_value=link),
        _param("ga_session_id", int_value=int(at.timestamp()) - 300),
        _param("engagement_time_msec", int_value=1_200),
    ]
    if bought:
        params += [
            _param("currency", string_value=order["currency"]),
            _param("value", double_value=order["value"]),
        ]
    return {
        "event_date": f"{day:%Y%m%d}",
        "event_timestamp": micros,
        "event_name": name,
        "event_params": params,
        "event_bundle_sequence_id": micros // 1_000_000,
        # Without consent Google sends no browser id; sites often set user_id all the same.
        "user_id": customer,
        "user_pseudo_id": None if answer == "No" else f"{int(customer[:8], 16)}.{int(customer[8:], 16)}",
        "privacy_info": {"analytics_storage": answer, "ads_storage": answer, "uses_transient_token": "No"},
        "user_properties": [_param("plan", string_value=order["track"])],
        "device": {"category": "mobile" if customer[-1] in "123" else "desktop", "language": "en-us"},
        "geo": {"country": "United States"},
        "stream_id": STREAM_ID,
        "platform": "WEB",
        "ecommerce": {"transaction_id": order["order_id"], "purchase_revenue": order["value"]}
        if bought
        else None,
        "collected_traffic_source": {
            "manual_source": source,
            "manual_campaign_name": order["utm_campaign"],
            "gclid": f"Cj0KCQ{customer}" if source == "google" else None,
        }
        if source
        else None,
    }


def _param(key: str, **value: str | int | float) -> dict[str, Any]:
    return {"key": key, "value": value}
