"""Orders, creatives and levers as frames, as known at the end of a day.

Here: columns of these exports. Not here: the ad platforms' reports (`frames`) or files (`exports`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from resources.sandbox import copywriting
from resources.sandbox.catalogue import (
    CURRENCY,
    GOOGLE,
    LEARNING_STATES,
    PLATFORMS,
    STORE_ID,
    TIMEZONE,
    TRACKS,
)
from resources.sandbox.frames import Window
from resources.sandbox.laws import IntArray
from resources.sandbox.ledger import Ledger
from resources.sandbox.orders import Orders
from resources.sandbox.world import Business

LINK = "https://www.northstar.example"
_TEXT, _MONEY = pl.String(), pl.Float64()
LEVER_COLUMNS: Mapping[str, pl.DataType] = {
    "source": _TEXT, "account_id": _TEXT, "snapshot_date": _TEXT, "lever_id": _TEXT, "lever_level": _TEXT,
    "campaign_id": _TEXT, "entity_id": _TEXT, "entity_name": _TEXT, "budget_type": _TEXT, "currency": _TEXT,
    "budget": _MONEY, "minimum_budget": _MONEY, "budget_increment": _MONEY, "is_shared": pl.Boolean(),
    "learning_state": _TEXT, "last_edited_at": _TEXT, "status": _TEXT, "budget_id": _TEXT,
}  # fmt: skip
CREATIVE_COLUMNS = (
    "source", "account_id", "snapshot_date", "creative_id", "creative_name", "format", "headline", "body",
    "call_to_action", "link_url", "image_file", "image_hash", "theme", "created_on",
)  # fmt: skip


def orders_frame(business: Business, orders: Orders, window: Window) -> pl.DataFrame:
    """Orders placed in the window; payments and refunds only as far as known by then."""
    chosen = np.flatnonzero((orders.day >= window.first_day) & (orders.day <= window.last_day))
    day, second = orders.day[chosen], orders.second[chosen]
    known = window.known_through
    paid, refunded = orders.paid_on[chosen], orders.refunded_on[chosen]
    ad = orders.ad[chosen]
    number = np.arange(len(chosen)) - np.searchsorted(day, day)
    codes = pl.Series([f"{business.date_of(d):%y%m%d}" for d in range(window.first_day, window.last_day + 1)])
    shown = np.maximum(ad, 0)
    campaign = business.adsets.campaign[business.ads.adset[shown]]
    platform = business.campaigns.platform[campaign]
    has_ad = pl.Series(ad >= 0)

    def where_ad(values: pl.Series) -> pl.Series:
        return pl.select(pl.when(has_ad).then(values)).to_series()

    ordered_at = _timestamps(business, day, second, np.ones(len(day), dtype=np.bool_))
    return pl.DataFrame(
        {
            "order_id": pl.select(
                pl.format(
                    "NS-{}-{}",
                    codes.gather(day - window.first_day),
                    pl.Series(number + 1).cast(pl.String).str.zfill(5),
                )
            ).to_series(),
            "store_id": pl.repeat(STORE_ID, len(day), eager=True),
            "ordered_at": ordered_at,
            "customer_id": [f"{value:016x}" for value in orders.customer[chosen].tolist()],
            "currency": pl.repeat(CURRENCY, len(day), eager=True),
            "value": orders.value_cents[chosen] / 100.0,
            "is_new_customer": orders.is_new[chosen],
            "track": pl.Series([track.name for track in TRACKS]).gather(orders.track[chosen]),
            "refunded_at": _timestamps(business, refunded, (second + 7_919) % 86_400, refunded <= known),
            "trial_started_at": _timestamps(business, day, second, orders.trial[chosen]),
            "paid_at": _timestamps(business, paid, second, paid <= known),
            "utm_source": where_ad(pl.Series([p.utm_source for p in PLATFORMS]).gather(platform)),
            "utm_campaign": where_ad(pl.Series(business.campaigns.id).gather(campaign)),
            "utm_content": where_ad(pl.Series(business.ads.id).gather(shown)),
        }
    )


def _timestamps(business: Business, day: IntArray, second: IntArray, present: NDArray[np.bool_]) -> pl.Series:
    """ISO 8601 with the account's offset, null where not present."""
    start = np.datetime64(business.start, "s")
    local = start + np.where(present, day, 0).astype("timedelta64[D]") + second.astype("timedelta64[s]")
    naive = pl.Series(local.astype("datetime64[us]"))
    zone = "%Y-%m-%dT%H:%M:%S%:z"
    # The hour that daylight saving skips does not exist: move it on by one.
    exact = naive.dt.replace_time_zone(TIMEZONE, non_existent="null", ambiguous="earliest")
    later = (naive + timedelta(hours=1)).dt.replace_time_zone(
        TIMEZONE, non_existent="null", ambiguous="earliest"
    )
    text = pl.coalesce(exact, later).dt.strftime(zone)
    return pl.select(pl.when(pl.Series(present)).then(text)).to_series()


def creatives_frame(
    business: Business, window: Window, hashes: dict[int, str], image_folder: str
) -> pl.DataFrame:
    """Creatives with an ad running in the window, as of its last day.

    Args:
        hashes: sha256 of the rendered image by creative; the others carry a hash of their
            specification and no image file.
        image_folder: what image_file begins with.
    """
    ads, creatives = business.ads, business.creatives
    running = (ads.first_day <= window.last_day) & (ads.last_day > window.first_day)
    shown, example = np.unique(ads.creative[running], return_index=True)
    example = np.flatnonzero(running)[example]
    first_day = np.full(len(creatives), np.iinfo(np.int64).max)
    np.minimum.at(first_day, ads.creative, ads.first_day)
    platform = business.campaigns.platform[business.adsets.campaign[ads.adset[example]]]
    index = shown.tolist()
    image_hash = [hashes.get(i) or copywriting.specification_hash(creatives, i) for i in index]
    return pl.DataFrame(
        {
            "source": [PLATFORMS[p].name for p in platform],
            "account_id": [PLATFORMS[p].account_id for p in platform],
            "snapshot_date": pl.repeat(business.date_of(window.last_day).isoformat(), len(index), eager=True),
            "creative_id": [business.creative_ids[i] for i in index],
            "creative_name": [ads.name[e] for e in example],
            "format": [copywriting.FORMATS[creatives.format[i]] for i in index],
            "headline": [copywriting.headline(creatives, i) for i in index],
            "body": [copywriting.body(creatives, i) for i in index],
            "call_to_action": [copywriting.CALLS_TO_ACTION[creatives.call_to_action[i]] for i in index],
            "link_url": [
                f"{LINK}/{TRACKS[creatives.track[i]].name}/{copywriting.theme_name(creatives, i)}"
                for i in index
            ],
            "image_file": [f"{image_folder}/{hashes[i][:16]}.png" if i in hashes else None for i in index],
            "image_hash": image_hash,
            "theme": [copywriting.theme_name(creatives, i) for i in index],
            "created_on": [business.date_of(int(first_day[i]) - 2).isoformat() for i in index],
        },
        schema_overrides={"image_file": pl.String},
    )


def levers_frame(business: Business, ledger: Ledger, window: Window) -> pl.DataFrame:
    """One snapshot of every launched lever at the close of each day of the window."""
    levers, states = business.levers, ledger.levers
    first, last = window.first_day, window.last_day
    launched = np.maximum.accumulate(states.budget > 0, axis=0)[first : last + 1]
    # A paused lever keeps the budget it had.
    held = np.where(states.budget > 0, np.arange(len(states.budget))[:, None], -1)
    held = np.maximum.accumulate(held, axis=0)[first : last + 1]
    day, lever = np.nonzero(launched)
    budget = states.budget[held[day, lever], lever]
    active = states.budget[first : last + 1][day, lever] > 0
    learning = states.learning[first : last + 1][day, lever]
    edited = states.last_edit[first : last + 1][day, lever]
    minute = 9 * 3600 + 60 * ((lever * 37) % 480)
    platform = [PLATFORMS[p] for p in levers.platform]
    dates = pl.Series([business.date_of(d).isoformat() for d in range(first, last + 1)])

    def per_lever(values: list[str]) -> pl.Series:
        return pl.Series(values).gather(lever)

    size = len(lever)
    return pl.DataFrame(
        {
            "source": per_lever([p.name for p in platform]),
            "account_id": per_lever([p.account_id for p in platform]),
            "snapshot_date": dates.gather(day),
            "lever_id": per_lever(levers.id),
            "lever_level": per_lever(levers.level),
            "campaign_id": pl.Series(business.campaigns.id).gather(levers.campaign[lever]),
            "entity_id": per_lever(levers.entity_id),
            "entity_name": per_lever(levers.entity_name),
            "budget_type": pl.repeat("daily", size, eager=True),
            "currency": pl.repeat(CURRENCY, size, eager=True),
            "budget": budget,
            "minimum_budget": levers.minimum[lever],
            "budget_increment": levers.increment[lever],
            "is_shared": pl.repeat(False, size, eager=True),
            "learning_state": pl.Series(list(LEARNING_STATES)).gather(learning),
            "last_edited_at": _timestamps(business, edited, minute, np.ones(size, dtype=np.bool_)),
            "status": pl.Series(["paused", "active"]).gather(active.astype(np.int64)),
        }
    ).with_columns(
        pl.when(pl.col("source") == PLATFORMS[GOOGLE].name)
        .then(google_budget_id(pl.col("entity_id").cast(pl.Int64)).cast(pl.String))
        .alias("budget_id")
    )


def google_budget_id(campaign_id: pl.Expr) -> pl.Expr:
    """Id of a campaign's budget, which at Google is an object of its own."""
    return campaign_id + 8_000_000_000


def moment(business: Business, known_through: int, minute: int) -> float:
    """POSIX time of the export made at 6 in the morning after day `known_through`."""
    when = business.date_of(known_through + 1)
    local = datetime(when.year, when.month, when.day, 6, 0, tzinfo=ZoneInfo(TIMEZONE))
    return (local + timedelta(minutes=minute)).timestamp()
