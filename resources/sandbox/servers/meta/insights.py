"""Insights: the account's reports as rows on the wire, filtered the way the Graph API filters.

Here: fields, levels, breakdowns, status filters. Not here: jobs, pages, faults (`server`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from resources.sandbox.catalogue import CURRENCY, META
from resources.sandbox.frames import Reports
from resources.sandbox.servers.account import ACCOUNT_ZONE, Served
from resources.sandbox.servers.breakdowns import AGE_GENDER, AGES, GENDERS, HOURS, broken_down
from resources.sandbox.servers.meta.entities import video_id_of
from resources.sandbox.servers.meta.wire import Refusal, money
from resources.sandbox.servers.plays import clips_of, with_plays

PLACEMENT = ("publisher_platform", "platform_position", "impression_device")
SEGMENT = ("age", "gender")
HOUR = "hourly_stats_aggregated_by_advertiser_time_zone"
WINDOWS = ("1d_click", "7d_click", "28d_click", "1d_view", "1d_ev")
PURCHASE_TYPES = (
    "purchase",
    "omni_purchase",
    "offsite_conversion.fb_pixel_purchase",
    "onsite_web_purchase",
    "web_in_store_purchase",
)
_LIVE = ("ACTIVE", "PAUSED", "CAMPAIGN_PAUSED", "ADSET_PAUSED", "PENDING_REVIEW")
# How far a video was played, as `plays` names it; ThruPlays are its first fifteen seconds or all of it.
_PLAYED = {"thruplay": "15_seconds"} | {part: part for part in ("p25", "p50", "p75", "p100")}
_COLUMNS = {
    "Account ID": "account_id",
    "Account name": "account_name",
    "Campaign ID": "campaign_id",
    "Campaign name": "campaign_name",
    "Ad set ID": "adset_id",
    "Ad set name": "adset_name",
    "Ad ID": "ad_id",
    "Ad name": "ad_name",
    "Currency": "account_currency",
    "Reporting starts": "date_start",
    "Impressions": "impressions",
    "Reach": "reach",
    "Clicks (all)": "clicks",
    "Link clicks": "inline_link_clicks",
    "Unique link clicks": "unique_inline_link_clicks",
    "Platform": "publisher_platform",
    "Placement": "platform_position",
    "Impression device": "impression_device",
}
_CENTS = {
    f"Amount spent ({CURRENCY})": "spend",
    "Purchases conversion value (7-day click)": "value_7d_click",
    "Purchases conversion value (1-day view)": "value_1d_view",
}
_COUNTS = {"Purchases (7-day click)": "7d_click", "Purchases (1-day view)": "1d_view"}
# Left out of a row where they are zero, as Meta does.
_SPARSE = ("inline_link_clicks", "unique_inline_link_clicks")
# What no call with a breakdown returns.
_UNIQUE = ("unique_inline_link_clicks",)
# What names an ad set's day.
_ADSET_DAY = [
    *("account_id", "account_name", "account_currency"),
    *("campaign_id", "campaign_name", "adset_id", "adset_name", "date_start"),
]
_PARTS = {SEGMENT: AGE_GENDER, (HOUR,): HOURS}
_LABELS = {
    SEGMENT: {"age": [age for age in AGES for _ in GENDERS], "gender": [*GENDERS] * len(AGES)},
    (HOUR,): {HOUR: [f"{hour:02d}:00:00 - {hour:02d}:59:59" for hour in range(24)]},
}


@dataclass(frozen=True)
class Question:
    """The parameters of an insights call that decide its rows."""

    level: str
    first: date
    last: date
    fields: tuple[str, ...]
    breakdowns: tuple[str, ...] = ()
    by_day: bool = False
    windows: tuple[str, ...] = ()
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def read(cls, form: Mapping[str, str], today: date) -> Question:
        """Raises Refusal where Meta would."""
        try:
            span = json.loads(form["time_range"])
            first, last = date.fromisoformat(span["since"]), date.fromisoformat(span["until"])
        except (KeyError, ValueError):
            raise Refusal(100, "(#100) param time_range must be valid") from None
        if last < first:
            raise Refusal(100, "(#100) The since date must be before until date.", 1487534)
        if first < today - timedelta(days=1127):
            raise Refusal(3018, "(#3018) The start date of the time range cannot be beyond 37 months")
        windows = names(form.get("action_attribution_windows", ""))
        for window in windows:
            if window not in WINDOWS:
                raise Refusal(100, f"(#100) {window} is no longer a supported attribution window")
        breakdowns, fields = names(form.get("breakdowns", "")), names(form.get("fields", ""))
        if breakdowns not in ((), PLACEMENT, *_PARTS):
            raise Refusal(
                100, f"(#100) Current combination of data breakdown columns {breakdowns} is invalid"
            )
        if breakdowns and set(fields) & set(_UNIQUE):
            raise Refusal(100, "(#100) unique metrics are not available with these breakdowns")
        return cls(
            level=form.get("level", "account"),
            first=first,
            last=last,
            fields=fields,
            breakdowns=breakdowns,
            by_day=form.get("time_increment") == "1",
            windows=windows,
            filters=read_filters(form),
        )


def names(text: str) -> tuple[str, ...]:
    """A list parameter: JSON, or comma-separated as the SDK joins fields."""
    if text.startswith("["):
        return tuple(json.loads(text))
    return tuple(name for name in text.split(",") if name)


def read_filters(form: Mapping[str, str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """`filtering` as (field, allowed values); only IN is served.

    Raises:
        Refusal: any other operator.
    """
    filters = []
    for entry in json.loads(form.get("filtering") or "[]"):
        if entry.get("operator") != "IN":
            raise Refusal(100, f"(#100) filtering operator {entry.get('operator')} is not supported")
        filters.append((str(entry["field"]), tuple(str(value) for value in entry["value"])))
    return tuple(filters)


@dataclass
class InsightsTable:
    """Answers questions about one served account.

    Attributes:
        ad_status, campaign_status: effective status by id, as of now.
        purchase_types: action types under which each purchase is reported; they overlap.
        hidden: days the platform no longer reports.
    """

    served: Served
    ad_status: Callable[[], Mapping[str, str]]
    campaign_status: Callable[[], Mapping[str, str]]
    purchase_types: tuple[str, ...] = PURCHASE_TYPES
    hidden: set[date] = field(default_factory=set)
    _frames: dict[tuple[Any, ...], pl.DataFrame] = field(default_factory=dict)

    def rows(self, question: Question) -> Sequence[dict[str, Any]]:
        """Raises Refusal: a level, or a breakdown at a level, this server does not serve."""
        if question.breakdowns in _PARTS:
            return _Rows(self._by_part(question), lambda record: self._wire(question, record))
        frame = self._chosen(question)
        if question.level == "campaign" and not question.by_day:
            return self._campaigns(question, frame)
        if question.level != "ad" or not question.by_day:
            raise Refusal(100, f"(#100) level {question.level} is not served here")
        return _Rows(frame, lambda record: self._wire(question, record))

    def _chosen(self, question: Question) -> pl.DataFrame:
        placed = question.breakdowns == PLACEMENT
        hidden = tuple(sorted(self.hidden))
        key = (placed, question.first, question.last, question.filters, self.served.today, hidden)
        frame = self._frames.get(key)
        if frame is None:
            report = Reports.meta_by_placement if placed else Reports.meta
            frame = self._filtered(self.served.rows(report, question.first, question.last), question)
            if len(self._frames) >= 8:
                self._frames.clear()
            self._frames[key] = frame
        return frame

    def _filtered(self, frame: pl.DataFrame, question: Question) -> pl.DataFrame:
        frame = frame.rename(_COLUMNS | _CENTS | _COUNTS, strict=False)
        frame = frame.with_columns((pl.col(*_CENTS.values()) * 100).round().cast(pl.Int64))
        frame = frame.filter(~pl.col("date_start").is_in([day.isoformat() for day in self.hidden]))
        clips = {ad: video_id_of(creative) for ad, creative in clips_of(self.served, META).items()}
        frame = with_plays(frame, "ad_id", clips).with_columns(is_video=pl.col("ad_id").is_in([*clips]))
        ad_status, campaign_status = self.ad_status(), self.campaign_status()
        allowed = dict(question.filters)
        for name, values in allowed.items():
            if name in ("campaign.id", "adset.id", "ad.id"):
                frame = frame.filter(pl.col(name.replace(".", "_")).is_in(values))
            elif name not in ("ad.effective_status", "campaign.effective_status"):
                raise Refusal(100, f"(#100) Filtering field {name} is invalid")
        statuses = allowed.get("campaign.effective_status")
        if statuses is not None:
            known = [key for key, status in campaign_status.items() if status in statuses]
            return frame.filter(pl.col("campaign_id").is_in(known))
        # Without a status filter, archived and deleted ads are missing.
        shown = allowed.get("ad.effective_status", _LIVE)
        known = [key for key, status in ad_status.items() if status in shown]
        return frame.filter(pl.col("ad_id").is_in(known))

    def _wire(self, question: Question, record: dict[str, Any]) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for name in question.fields:
            if name in ("actions", "action_values"):
                entries = self._actions(question, record, name)
            elif name.startswith("video_"):
                entries = _video(record, name)
            elif name == "spend":
                row[name] = money(record["spend"])
                continue
            elif name in record:
                value = record[name]
                if value or (value is not None and name not in _SPARSE):
                    row[name] = str(value)
                continue
            else:
                raise Refusal(100, f"(#100) {name} is not valid for fields param")
            if entries:
                row[name] = entries
        row["date_start"] = row["date_stop"] = record["date_start"]
        for name in question.breakdowns:
            row[name] = record[name]
        return row

    def _actions(self, question: Question, record: dict[str, Any], name: str) -> list[dict[str, str]]:
        entries: list[dict[str, str]] = []
        if name == "actions":
            clicks = record["inline_link_clicks"]
            if clicks:
                entries.append({"action_type": "link_click", "value": str(clicks), "7d_click": str(clicks)})
            if record["is_video"]:
                views = str(record["3_seconds"])
                entries.append({"action_type": "video_view", "value": views, "1d_view": views})
            counts = {w: record[w] for w in question.windows if record.get(w)}
            written = {window: str(count) for window, count in counts.items()}
            total = str(sum(counts.values()))
        else:
            cents = {w: record[f"value_{w}"] for w in question.windows if record.get(f"value_{w}")}
            written = {window: money(value) for window, value in cents.items()}
            total = money(sum(cents.values()))
        # By hour Meta tells only what happens on Meta itself.
        if written and question.breakdowns != (HOUR,):
            types = self.purchase_types
            entries += [{"action_type": kind, "value": total} | written for kind in types]
        return entries

    def _campaigns(self, question: Question, frame: pl.DataFrame) -> list[dict[str, Any]]:
        grouped = frame.group_by("campaign_id", maintain_order=True).agg(
            pl.first("campaign_name"), pl.sum("impressions", "spend")
        )
        return [
            {name: str(record[name]) for name in question.fields if name in record and name != "spend"}
            | ({"spend": money(record["spend"])} if "spend" in question.fields else {})
            | {"date_start": question.first.isoformat(), "date_stop": question.last.isoformat()}
            for record in grouped.iter_rows(named=True)
        ]

    def _by_part(self, question: Question) -> pl.DataFrame:
        """Ad sets by day and part of a breakdown; of today only the hours that are over."""
        served, breakdowns = self.served, question.breakdowns
        if question.level != "adset" or not question.by_day:
            raise Refusal(100, f"(#100) level {question.level} is not served with this breakdown")
        hours = served.now().astimezone(ZoneInfo(ACCOUNT_ZONE)).hour
        hidden = tuple(sorted(self.hidden))
        key = (breakdowns, question.first, question.last, question.filters, served.today, hours, hidden)
        frame = self._frames.get(key)
        if frame is None:
            days = self._adset_days(question)
            frame = broken_down(
                days,
                _PARTS[breakdowns],
                days["adset_id"] + "|" + days["date_start"],
                delivery=("impressions", "spend"),
                clicks=("clicks", "inline_link_clicks"),
                purchases={"7d_click": 1, "1d_view": 1},
                values={"value_7d_click": "7d_click", "value_1d_view": "1d_view"},
            )
            if breakdowns == (HOUR,):
                over = pl.when(pl.col("date_start") == served.today.isoformat()).then(hours).otherwise(24)
                frame = frame.filter(pl.col("part") < over)
            frame = frame.with_columns(
                pl.lit(False).alias("is_video"),
                *(
                    pl.Series(labels).gather(frame["part"]).alias(n)
                    for n, labels in _LABELS[breakdowns].items()
                ),
            )
            if len(self._frames) >= 8:
                self._frames.clear()
            self._frames[key] = frame
        return frame

    def _adset_days(self, question: Question) -> pl.DataFrame:
        served = self.served
        known = [served.rows(Reports.meta, question.first, question.last)]
        if question.breakdowns == (HOUR,) and question.first <= served.today <= question.last:
            known.append(served.rows_today(Reports.meta))
        frame = pl.concat(known).rename(_COLUMNS | _CENTS | _COUNTS, strict=False)
        for name, values in question.filters:
            if name == "campaign.id":
                frame = frame.filter(pl.col("campaign_id").is_in(values))
            elif name != "adset.effective_status":  # ad sets of every status are served
                raise Refusal(100, f"(#100) Filtering field {name} is invalid")
        counted = ("impressions", "clicks", "inline_link_clicks", *_COUNTS.values())
        return (
            frame.filter(~pl.col("date_start").is_in([day.isoformat() for day in self.hidden]))
            .group_by(_ADSET_DAY, maintain_order=True)
            .agg(
                *(pl.col(name).cast(pl.Int64).sum() for name in counted),
                *((pl.col(name) * 100).round().cast(pl.Int64).sum() for name in _CENTS.values()),
            )
        )


def _video(record: dict[str, Any], name: str) -> list[dict[str, str]]:
    part = name.removeprefix("video_").removesuffix("_watched_actions")
    if part not in _PLAYED:
        raise Refusal(100, f"(#100) {name} is not valid for fields param")
    views = record[_PLAYED[part]] if record["is_video"] else 0
    return [{"action_type": "video_view", "value": str(views)}] if views else []


class _Rows(Sequence[dict[str, Any]]):
    """Rows written only as far as a page asks for them."""

    def __init__(self, frame: pl.DataFrame, write: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._frame = frame
        self._write = write

    def __len__(self) -> int:
        return self._frame.height

    def __getitem__(self, which: Any) -> Any:
        if isinstance(which, slice):
            return [self._write(record) for record in self._frame[which].iter_rows(named=True)]
        return self._write(self._frame.row(which, named=True))
