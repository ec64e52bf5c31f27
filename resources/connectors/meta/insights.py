"""Insights: what is asked of Meta for a pull, and its answer as rows.

Here: fields, breakdowns, filters, windows, the choice of one purchase action. Not here: jobs and pages
(`jobs`, `graph`).
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.meta.texts import ABSENT_KEY, column, numbers, text
from resources.connectors.source import Pull
from resources.landing.streams import NUMERIC_KINDS

Row = Mapping[str, Any]

HOUR = "hourly_stats_aggregated_by_advertiser_time_zone"
# These overlap: an omni purchase is the purchase, and the pixel's is part of both. The first one a row has
# counts for that row, and only that one; an account's pixel setup decides which it is.
PURCHASE_ACTIONS = ("omni_purchase", "purchase", "offsite_conversion.fb_pixel_purchase")
_WINDOWS = ("7d_click", "1d_view")
_STATUSES = (
    "ACTIVE",
    "PAUSED",
    "PENDING_REVIEW",
    "DISAPPROVED",
    "PREAPPROVED",
    "PENDING_BILLING_INFO",
    "CAMPAIGN_PAUSED",
    "ADSET_PAUSED",
    "IN_PROCESS",
    "WITH_ISSUES",
    "ARCHIVED",
    "DELETED",
)
_CAMPAIGN_STATUSES = ("ACTIVE", "PAUSED", "IN_PROCESS", "WITH_ISSUES", "ARCHIVED", "DELETED")
_VIDEO = {
    "video_thruplays": "video_thruplay_watched_actions",
    "video_p25": "video_p25_watched_actions",
    "video_p50": "video_p50_watched_actions",
    "video_p75": "video_p75_watched_actions",
    "video_p100": "video_p100_watched_actions",
}
_VIEW = "video_view"  # at least three seconds, or nearly all of a shorter video
_RENAMED = {"account_currency": "currency"}
# Left out by Meta where they are zero; everything else that is absent is unknown.
_ZERO_IF_ABSENT = ("inline_link_clicks", "unique_inline_link_clicks")
_REQUIRED = ("account_id", "impressions", "spend")
# Meta keeps reach by breakdown for 13 months, and everything for 37.
_REACH_DAYS = 394
_KEPT_MONTHS = 37


@dataclass(frozen=True)
class Shape:
    """What one insights report asks for."""

    level: str
    fields: tuple[str, ...]
    breakdowns: tuple[str, ...] = ()

    @property
    def has_actions(self) -> bool:
        return "actions" in self.fields


_NAMES = ("account_id", "account_name", "account_currency", "campaign_id", "campaign_name")
_AD = (*_NAMES, "adset_id", "adset_name", "ad_id", "ad_name")
_METRICS = ("impressions", "reach", "clicks", "inline_link_clicks", "spend", "actions", "action_values")
BY_AD = Shape("ad", (*_AD, *_METRICS, "unique_inline_link_clicks", *_VIDEO.values()))
BY_PLACEMENT = Shape(
    "ad",
    (*_AD, *_METRICS, *_VIDEO.values()),
    ("publisher_platform", "platform_position", "impression_device"),
)
_ADSET = (*_NAMES, "adset_id", "adset_name")
BY_SEGMENT = Shape(
    "adset",
    (*_ADSET, "impressions", "clicks", "inline_link_clicks", "spend", "actions", "action_values"),
    ("age", "gender"),
)
# By hour Meta returns what happens on Meta alone: purchases elsewhere are no part of the answer.
BY_HOUR = Shape("adset", (*_ADSET, "impressions", "clicks", "inline_link_clicks", "spend"), (HOUR,))
TODAY_BY_HOUR = Shape("adset", (*_ADSET, "impressions", "clicks", "spend"), (HOUR,))


def earliest_day(today: date) -> date:
    """The oldest day Meta still answers for: the one after today's date 37 months back."""
    year, month = divmod(today.year * 12 + today.month - 1 - _KEPT_MONTHS, 12)
    day = min(today.day, monthrange(year, month + 1)[1])
    return date(year, month + 1, day) + timedelta(days=1)


def parameters(shape: Shape, pull: Pull, today: date) -> dict[str, Any]:
    """The parameters of a pull's call.

    Raises:
        PlatformError: PERMANENT, for days Meta no longer answers for.
    """
    earliest = earliest_day(today)
    if pull.first < earliest:
        raise PlatformError(
            ErrorClass.PERMANENT,
            f"Meta keeps insights for {_KEPT_MONTHS} months: {pull.first} cannot be asked for any more. "
            f"Begin at {earliest}.",
        )
    fields = list(shape.fields)
    if shape.breakdowns and pull.first < today - timedelta(days=_REACH_DAYS):
        fields = [name for name in fields if name != "reach"]
    # Any filter, even none, hides archived and deleted ads unless their status is named.
    filtering: list[dict[str, Any]] = [
        {
            "field": f"{shape.level}.effective_status",
            "operator": "IN",
            "value": _STATUSES if shape.level == "ad" else (*_CAMPAIGN_STATUSES, "CAMPAIGN_PAUSED"),
        }
    ]
    if pull.parents is not None:
        filtering.append({"field": "campaign.id", "operator": "IN", "value": list(pull.parents)})
    asked: dict[str, Any] = {
        "level": shape.level,
        "time_increment": 1,
        "time_range": {"since": pull.first.isoformat(), "until": pull.last.isoformat()},
        "fields": ",".join(fields),
        "filtering": filtering,
    }
    if shape.breakdowns:
        asked["breakdowns"] = list(shape.breakdowns)
    if shape.has_actions:
        asked["action_attribution_windows"] = list(_WINDOWS)
        asked["action_breakdowns"] = ["action_type"]  # the default adds destinations, and more rows with them
    return asked


def campaign_parameters(pull: Pull) -> dict[str, Any]:
    """The parameters that list the campaigns with anything to report, deleted ones included."""
    return {
        "level": "campaign",
        "time_range": {"since": pull.first.isoformat(), "until": pull.last.isoformat()},
        "fields": "campaign_id",
        "filtering": [{"field": "campaign.effective_status", "operator": "IN", "value": _CAMPAIGN_STATUSES}],
    }


def rows(answered: Sequence[Row], shape: Shape, pull: Pull) -> pl.DataFrame:
    """A page of insights as rows of the pull's stream, without creative ids.

    Raises:
        PlatformError: TRANSIENT, for what cannot be an answer to this pull; PERMANENT, where an action
            type comes twice and counting would be a guess.
    """
    stream = pull.report.stream
    columns: dict[str, pl.Series] = {"report_date": _days(answered, pull)}
    nested = {"actions", "action_values", *_VIDEO.values()}
    plain = [name for name in shape.fields if name not in nested] + list(shape.breakdowns)
    for name in plain:
        values = column(_RENAMED.get(name, name), answered, name)
        if name in _REQUIRED and values.null_count():
            raise PlatformError(ErrorClass.TRANSIENT, f"{pull}: Meta left out {name}.")
        if name in _ZERO_IF_ABSENT:
            values = values.fill_null("0")
        columns[values.name] = values
    if (columns["account_id"] != pull.account.account_id).any():
        raise PlatformError(ErrorClass.TRANSIENT, f"{pull}: the answer has rows of another account.")
    if shape.has_actions:
        found = _actions(answered)
        columns |= {name: values for name, values in found.items() if name in stream.fields}
    if HOUR in columns:
        columns["hour"] = columns.pop(HOUR).str.extract(r"^(\d\d):").alias("hour")
        if columns["hour"].null_count():
            raise PlatformError(ErrorClass.TRANSIENT, f"{pull}: Meta left out the hour.")
    columns.pop("account_id")
    # What Meta adds unasked is kept as it came.
    known = {*shape.fields, *shape.breakdowns, "date_start", "date_stop"}
    for name in dict.fromkeys(name for row in answered for name in row if name not in known):
        if name not in columns:
            columns[name] = column(name, answered, name)
    for name, values in columns.items():
        if name in stream.keys:
            columns[name] = values.fill_null(ABSENT_KEY)
        elif stream.fields.get(name) in NUMERIC_KINDS:
            columns[name] = numbers(values)
    return pl.DataFrame(columns)


def _days(answered: Sequence[Row], pull: Pull) -> pl.Series:
    starts, stops = column("report_date", answered, "date_start"), column("", answered, "date_stop")
    days = starts.str.to_date("%Y-%m-%d", strict=False)
    if days.null_count() or (starts != stops).any() or stops.null_count():
        raise PlatformError(ErrorClass.TRANSIENT, f"{pull}: Meta sent rows that are not of one day each.")
    outside = days.filter(~days.is_between(pull.first, pull.last))
    if len(outside):
        raise PlatformError(ErrorClass.TRANSIENT, f"{pull}: the answer has rows of {outside[0]}.")
    return days


def _actions(answered: Sequence[Row]) -> dict[str, pl.Series]:
    """Purchases and their values by window, and video metrics; an action that is missing is zero."""
    by_window = [(window, list[str](), list[str]()) for window in _WINDOWS]
    views, videos = list[str](), [(field, list[str]()) for field in _VIDEO.values()]
    for row in answered:
        counts, amounts = _by_type(row, "actions"), _by_type(row, "action_values")
        kind = next((kind for kind in PURCHASE_ACTIONS if kind in counts or kind in amounts), "")
        bought, worth = counts.get(kind), amounts.get(kind)
        for window, purchases, value in by_window:
            purchases.append(_amount(bought, window))
            value.append(_amount(worth, window))
        views.append(_amount(counts.get(_VIEW), "value"))
        for field, watched in videos:
            watched.append(_amount(_by_type(row, field).get(_VIEW), "value") if field in row else "0")
    values = {f"purchases_{window}": purchases for window, purchases, _ in by_window}
    values |= {f"purchase_value_{window}": value for window, _, value in by_window}
    values |= {"video_3s_views": views}
    values |= {name: watched for name, (_, watched) in zip(_VIDEO, videos, strict=True)}
    return {name: pl.Series(name, texts, dtype=pl.String) for name, texts in values.items()}


def _by_type(row: Row, field: str) -> dict[str, Row]:
    entries = row.get(field)
    if entries is None:
        return {}
    try:
        by_type: dict[str, Row] = {entry["action_type"]: entry for entry in entries}
    except (TypeError, KeyError):  # of JSON's values only an object has a name to be asked for
        by_type = {}
    if not isinstance(entries, list) or (entries and {*map(type, by_type)} != {str}):
        raise PlatformError(ErrorClass.TRANSIENT, f"Meta sent {field} in an unknown shape.")
    if len(by_type) < len(entries):
        raise PlatformError(
            ErrorClass.PERMANENT, f"Meta sent an action type twice in {field}: which one counts is unknown."
        )
    return by_type


def _amount(entry: Row | None, window: str) -> str:
    return "0" if entry is None else text(entry.get(window)) or "0"


def with_creatives(frame: pl.DataFrame, creative_of: Mapping[str, str | None]) -> pl.DataFrame:
    """The rows with the creative each ad has now; insights themselves do not name it."""
    ids: Iterable[str] = frame["ad_id"]
    return frame.with_columns(pl.Series("creative_id", [creative_of.get(ad) for ad in ids], dtype=pl.String))
