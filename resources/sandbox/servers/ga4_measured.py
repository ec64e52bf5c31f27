"""What the simulated business's GA4 property measured: sessions (most clicks of the ads, and direct ones) and
key events (most orders).

Here: facts under the Data API's names, days as it writes them. Not here: reports of them (`ga4`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from resources.sandbox.backend_frames import orders_frame
from resources.sandbox.catalogue import PLACEMENTS, PLATFORMS
from resources.sandbox.frames import Window
from resources.sandbox.servers.account import ServedAccount

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


class Measured:
    """Facts of days that are over, in dollars where they are money."""

    def __init__(self, served: ServedAccount) -> None:
        self._served = served

    def sessions(self, first: date, last: date) -> pl.DataFrame:
        """By day, channel and device, rows of the same ones to be added up; perhaps none."""
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

    def key_events(self, first: date, last: date) -> pl.DataFrame:
        """Purchases by day, channel and device, rows of the same ones to be added up; perhaps none."""
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
