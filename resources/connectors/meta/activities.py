"""The account's activity log: who changed what, and when.

Here: asking for it, its rows, and the last budget edit of each object. Not here: levers (`levers`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.meta.entities import Record
from resources.connectors.meta.graph import Graph, Row
from resources.connectors.meta.texts import moment, text
from resources.connectors.source import Account

_FIELDS = (
    "event_time",
    "event_type",
    "actor_id",
    "actor_name",
    "application_name",
    "object_id",
    "object_name",
    "object_type",
    "extra_data",
)
_EVENTS_PER_PAGE = 200


def activities(
    graph: Graph,
    account: Account,
    first: date,
    last: date,
    *,
    category: str | None = None,
    page_size: int | None = None,
) -> Iterator[tuple[list[Row], float]]:
    """Pages of the log of account-local days first … last; raises PlatformError."""
    zone = ZoneInfo(account.timezone)
    since = datetime.combine(first, time(), zone)
    until = datetime.combine(last + timedelta(days=1), time(), zone) - timedelta(seconds=1)
    asked: dict[str, Any] = {
        "fields": ",".join(_FIELDS),
        "since": int(since.timestamp()),
        "until": int(until.timestamp()),
        "limit": page_size or _EVENTS_PER_PAGE,
    }
    if category is not None:
        asked["category"] = category
    yield from graph.pages((f"act_{account.account_id}", "activities"), asked)


def activity_record(event: Mapping[str, Any], account: Account) -> tuple[date, Record]:
    """An event and its account-local day; Meta gives events no id, so a hash of what it says is theirs.

    Raises:
        PlatformError: TRANSIENT, for an event without a time.
    """
    when = moment(event.get("event_time"), account.timezone)
    if when is None:
        raise PlatformError(ErrorClass.TRANSIENT, "Meta sent an activity without a time.")
    # Names and labels are read anew each time; what happened is not.
    told = [
        text(event.get(name)) for name in ("event_time", "event_type", "actor_id", "object_id", "extra_data")
    ]
    identity = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]
    record: Record = {name: text(event.get(name)) for name in _FIELDS if name != "event_time"}
    return datetime.fromisoformat(when).date(), {"activity_id": identity, "event_at": when} | record


def last_budget_edits(events: Iterator[tuple[list[Row], float]], account: Account) -> dict[str, str]:
    """The newest budget edit of each object, ISO 8601 in the account's zone, from pages of the log."""
    newest: dict[str, str] = {}
    for rows, _ in events:
        for event in rows:
            if "budget" not in str(event.get("event_type")):
                continue
            when = moment(event.get("event_time"), account.timezone)
            key = str(event.get("object_id"))
            if when is not None and (key not in newest or _later(when, newest[key])):
                newest[key] = when
    return newest


def _later(left: str, right: str) -> bool:
    return datetime.fromisoformat(left) > datetime.fromisoformat(right)
