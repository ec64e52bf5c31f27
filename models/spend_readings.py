"""What is known of an account's spend today: of which day of its own, up to which hour, and why not more.

Here: time zones, reporting delays, readings that are late or missing. Not here: what the spend foretells
(`models.pacing`), asking a platform.

A platform tells what was spent with a delay of its own. An hour is settled once the delay lies behind its
end: then it is judged. Of later hours at least so much was spent as is told.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

HOURS = 24
LATE_AFTER = timedelta(hours=2)  # spend is read every hour: one round may be missed
PROBLEMS = ("late", "not_readable")
_ACCOUNT = ["platform", "account_id"]
_DAY = {"platform": pl.String(), "account_id": pl.String(), "date": pl.Date()}
_DayKey = tuple[str, str, date]
_Row = dict[str, Any]

SCHEMA = pl.Schema(
    {
        "platform": pl.String(),
        "account_id": pl.String(),
        "date": pl.Date(),
        "by_hour": pl.Boolean(),
        "hours_over": pl.Int64(),
        "hours_begun": pl.Int64(),
        "reading": pl.String(),
        "reading_reason": pl.String(),
        "read_at": pl.Datetime("us", "UTC"),
        "reporting_delay_hours": pl.Float64(),
    }
)


@dataclass(frozen=True)
class Look:
    """When spend is looked at.

    Attributes:
        as_of: the business day whose partition is filled.
        now: the present moment, with its zone.
        business: the zone of business days.
    """

    as_of: date
    now: datetime
    business: ZoneInfo

    def day_of(self, zone: ZoneInfo) -> tuple[date, datetime]:
        """The account's own day that is looked at, and the moment up to which, in UTC.

        Today it is the day on the account's clock, whatever the business's says. Looked at later, the day of
        the same name is meant, to its end.
        """
        if self.now.astimezone(self.business).date() <= self.as_of:
            return self.now.astimezone(zone).date(), self.now.astimezone(UTC)
        return self.as_of, _midnight(self.as_of + timedelta(days=1), zone)


@dataclass(frozen=True)
class Delays:
    """How late platforms report, and how finely.

    Attributes:
        hours: by platform, at most.
        other_hours: of platforms not named there.
        day_totals: platforms that tell a day's spend in one figure.
    """

    hours: Mapping[str, float]
    other_hours: float
    day_totals: Collection[str]

    def of(self, platform: str) -> timedelta:
        return timedelta(hours=self.hours.get(platform, self.other_hours))


def settled_hours(day: date, read_at: datetime, zone: ZoneInfo, delay: timedelta, *, by_hour: bool) -> int:
    """How many hours of `day` a reading tells for good, 0 to 24, on the account's clock.

    A day's single figure is taken as spent by the end of the hour in which the delay began, for a report so
    late holds no more; what a punctual one holds of the minutes since makes it look a little fast.
    """
    # In UTC: on local times arithmetic would ignore the hour a clock is put forward or back.
    return _clock_hours(day, read_at.astimezone(UTC) - delay, zone, upwards=not by_hour)


def begun_hours(day: date, read_at: datetime, zone: ZoneInfo) -> int:
    """How many hours of `day` had begun at the reading, 0 to 24."""
    return _clock_hours(day, read_at, zone, upwards=True)


def _clock_hours(day: date, moment: datetime, zone: ZoneInfo, *, upwards: bool) -> int:
    local = moment.astimezone(zone)
    if local.date() != day:
        return 0 if local.date() < day else HOURS
    clock = local.hour + (local.minute + local.second / 60) / 60
    return min(HOURS, math.ceil(clock) if upwards else math.floor(clock))


def readings(
    accounts: pl.DataFrame, pulls: pl.DataFrame, spend: pl.DataFrame, look: Look, delays: Delays
) -> pl.DataFrame:
    """One row per account (`SCHEMA`): the day that is looked at and what is known of it.

    `reading` is read; late: no reading for two hours; too_early: nothing of the day is settled yet; or
    not_readable. The last three say why, and what to do where something can be done.

    Args:
        accounts: platform, account_id, timezone (null: UTC).
        pulls: platform, account_id, date, read_at (last success; null: none), asked_at, error_class and
            message of the last attempt (null: it succeeded).
        spend: rows of `pulls`' days: platform, account_id, date, hour (null: of the whole day), spend.
    """
    told = _Told(
        {_day_key(row): row for row in pulls.iter_rows(named=True)},
        {_day_key(row)[:2]: row for row in pulls.sort("date").iter_rows(named=True)},
        dict(_faults(spend)),
    )
    named = accounts.select(*_ACCOUNT, "timezone").unique().sort(_ACCOUNT)
    rows = [
        _reading(platform, account_id, zone_name, told, look, delays)
        for platform, account_id, zone_name in named.iter_rows()
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


@dataclass(frozen=True)
class _Told:
    """What pulls brought: by account and day, the newest by account, and days that cannot be added up."""

    days: Mapping[_DayKey, _Row]
    newest: Mapping[tuple[str, str], _Row]
    faults: Mapping[_DayKey, str]


def _reading(
    platform: str, account_id: str, zone_name: str | None, told: _Told, look: Look, delays: Delays
) -> _Row:
    named, delay, by_hour = (
        f"{platform} account {account_id}",
        delays.of(platform),
        platform not in delays.day_totals,
    )
    row: _Row = {
        "platform": platform,
        "account_id": account_id,
        "date": look.as_of,
        "by_hour": by_hour,
        "hours_over": 0,
        "hours_begun": 0,
        "reporting_delay_hours": delay / timedelta(hours=1),
    }
    zone = _zone(zone_name)
    if zone is None:
        return row | _because(
            "not_readable",
            f"{named} keeps its days in {zone_name!r}, which is no time zone known here. Correct `timezone` "
            "in the mapping of its files, or the zone on the platform.",
        )
    day, moment = look.day_of(zone)
    row["date"] = day
    pull, fault = told.days.get((platform, account_id, day)), told.faults.get((platform, account_id, day))
    row["read_at"] = read_at = None if pull is None else pull["read_at"]
    if fault is not None:
        said = f"{fault} of {named} on {day}. `aelp connect {platform}` looks at the account."
        return row | _because("not_readable", said)
    if pull is None or read_at is None:
        last = pull or told.newest.get((platform, account_id))
        if pull is None and last is not None and moment - _midnight(day, zone) < LATE_AFTER:
            said = f"{named} has a new day since 00:00 {zone.key}; it is read at the next round."
            return row | _because("too_early", said)
        return row | _because("not_readable", _unread(platform, named, day, last, zone))
    row["hours_over"] = settled_hours(day, read_at, zone, delay, by_hour=by_hour)
    row["hours_begun"] = begun_hours(day, read_at, zone)
    if moment - read_at > LATE_AFTER:
        said = f"{named} was read last at {_clock(read_at, zone)}{_attempt(pull, zone)}."
        return row | _because("late", f"{said} `aelp status` says when it is tried again.")
    if not row["hours_over"]:
        late = f"its platform reports up to {row['reporting_delay_hours']:g} h late"
        return row | _because("too_early", f"{named}: no hour of {day} is settled yet, {late}.")
    return row | {"reading": "read"}


def _because(reading: str, reason: str) -> _Row:
    return {"reading": reading, "reading_reason": reason}


def _unread(platform: str, named: str, day: date, last: _Row | None, zone: ZoneInfo) -> str:
    if last is None:
        return (
            f"Nothing reads what {named} spends within the day. Name it under `sources.{platform}.accounts` "
            f"and set its credentials; `aelp connect {platform}` checks them."
        )
    asked = _clock(last["asked_at"], zone)
    said = f"{named} was not read on {day}, asked last at {asked}{_attempt(last, zone)}."
    return f"{said} `aelp status` says what waits, `aelp connect {platform}` what is missing."


def _attempt(pull: _Row, zone: ZoneInfo) -> str:
    if pull["error_class"] is None:
        return ""
    said = str(pull["message"] or "no reason given").rstrip(".")
    return f"; the attempt at {_clock(pull['asked_at'], zone)} failed ({pull['error_class']}): {said}"


def _clock(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M} {zone.key}"


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _day_key(row: _Row) -> _DayKey:
    return row["platform"], row["account_id"], row["date"]


def _faults(spend: pl.DataFrame) -> Iterator[tuple[_DayKey, str]]:
    """Account-days whose spend cannot be added up: one bad row must not pass for nothing spent."""
    is_hour = pl.col("hour").is_between(0, HOURS - 1).fill_null(True)
    broken = spend.filter(pl.col("spend").is_null() | (pl.col("spend") < 0) | ~is_hour)
    for platform, account_id, day, count in broken.group_by(*_ACCOUNT, "date").len().iter_rows():
        said = f"{count} rows hold no amount, a negative one or no hour of a day in what was read"
        yield (platform, account_id, day), said


def past_hours(
    spend: pl.DataFrame, pulls: pl.DataFrame, zones: Mapping[tuple[str, str], str], delays: Delays
) -> pl.DataFrame:
    """Hourly spend of past days as far as it was settled: the rows, with `hours_over`.

    Days in one figure teach nothing about a day's course, nor do account-days with faults.
    """
    over: list[tuple[str, str, date, int]] = []
    for row in pulls.filter(pl.col("read_at").is_not_null()).iter_rows(named=True):
        key = _day_key(row)
        zone = _zone(zones.get(key[:2]))
        if zone is not None:
            hours = settled_hours(key[2], row["read_at"], zone, delays.of(key[0]), by_hour=True)
            over.append((*key, hours))
    faulty = [key for key, _ in _faults(spend)]
    settled = pl.DataFrame(over, schema={**_DAY, "hours_over": pl.Int64()}, orient="row").join(
        pl.DataFrame(faulty, schema=_DAY, orient="row"), on=list(_DAY), how="anti"
    )
    return spend.join(settled, on=list(_DAY)).filter(pl.col("hour") < pl.col("hours_over"))
