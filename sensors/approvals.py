"""Proposals nobody has signed: told when half their time is gone, stops again before the end, and when over.

Here: which of them are news. Not here: that a stop is proposed (`aelp_assets.safety` tells it at once),
deciding (`resources.control`), telling (`aelp_assets.alerts`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import groupby

import dagster as dg

from aelp_assets.alerts import event_id, tell
from aelp_assets.governance import open_governance
from aelp_assets.words import counted
from resources.clock import Clock
from resources.control.records import OPEN, Record
from resources.notifier import Message
from resources.settings import Environment, Settings

LAST_CALL_HOURS = 2.0
_STOPS = ("stop", "pause")
_TOLD_FOR_HOURS = 24.0  # an end longer ago is no news
_NAMED = 3
_HOUR = 3600.0


@dg.sensor(
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of proposals that waited for half their time, of stops about to run out, of what did.",
)
def unsigned_proposals(
    context: dg.SensorEvaluationContext,
    environment: dg.ResourceParam[Environment],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> dg.SensorResult:
    """A batch of proposals, those that run out in the same hour, is told of once at each stage."""
    now = clock.now()
    proposals = open_governance(environment, settings).proposals(now)
    due = list(unsigned(proposals, now, settings.timezone))
    told = read_cursor(context.cursor)
    news = [message for message in due if message.event_id not in told]
    tell(environment, context.log, news)
    waiting = sum(row["status"] in OPEN for row in proposals)
    return dg.SensorResult(
        skip_reason=f"told of {len(news)}" if news else f"{waiting} wait, nothing new to tell of them",
        cursor=json.dumps({"told": sorted(message.event_id for message in due)}),
    )


def read_cursor(text: str | None) -> set[str]:
    """What the last tick had told; unreadable: nothing, and the control store still tells nothing twice."""
    try:
        return {str(told) for told in json.loads(text or "{}").get("told", [])}
    except (AttributeError, TypeError, ValueError):
        return set()


def unsigned(proposals: Iterable[Record], now: datetime, zone: tzinfo) -> Iterator[Message]:
    """What there is to tell of proposals without enough signatures, the same for the same moment and store.

    Args:
        proposals: of `Governance.proposals`, in which those that ran out are marked so.
    """
    moment = now.timestamp()
    unsigned_yet = [row for row in proposals if row["status"] in (*OPEN, "expired")]
    for (morning, is_open, is_other, _), batch in groupby(sorted(unsigned_yet, key=_key), key=_key):
        is_stop = not is_other
        rows = sorted(batch, key=lambda row: (row["expires_at"], row["proposal_id"]))
        ends = rows[0]["expires_at"]
        half = min((row["created_at"] + row["expires_at"]) / 2 for row in rows)
        identity = morning, str(is_stop), f"{ends // _HOUR:.0f}"
        kind = "stop" if is_stop else "proposal"
        at = f"{datetime.fromtimestamp(ends, UTC).astimezone(zone):%d %b %H:%M}"
        if not is_open:
            if moment - ends < _TOLD_FOR_HOURS * _HOUR:
                yield Message(
                    event_id("unsigned_expired", *identity),
                    "critical" if is_stop else "warning",
                    f"{counted(len(rows), kind)} of {morning} ran out unsigned at {at}: {_named(rows)}.",
                    "These levers spend on. A stop is proposed again while its evidence lasts: sign or "
                    "reject the next one (`aelp proposals`)."
                    if is_stop
                    else "Budgets stay as they are; what still pays is proposed again the next morning.",
                )
            continue
        if is_stop and ends - moment <= min(LAST_CALL_HOURS * _HOUR, (ends - half) / 2):
            yield Message(
                event_id("unsigned_last_call", *identity),
                "critical",
                f"{counted(len(rows), kind)} of {morning} run out at {at} and nobody has signed: "
                f"{_named(rows)}.",
                "Sign or reject now: `aelp proposals`, or the desk. Unsigned, these levers spend on.",
            )
        elif moment >= half:
            yield Message(
                event_id("unsigned_waiting", *identity),
                "critical" if is_stop else "warning",
                f"{counted(len(rows), kind)} of {morning} have waited half their time for a signature: "
                f"{_named(rows)}. They run out at {at}.",
                "Decide on them: `aelp proposals`, or `aelp desk --by NAME`.",
            )


def _key(row: Record) -> tuple[str, bool, bool, int]:
    hour = int(row["expires_at"] // _HOUR)
    return str(row["as_of_date"]), row["status"] in OPEN, row["type"] not in _STOPS, hour


def _named(rows: Sequence[Record]) -> str:
    words = [
        f"{row['type']} {row['entity_name'] or row['lever_id']} ({row['platform']}"
        f"{', one signature is missing' if row['status'] == 'awaiting_second' else ''})"
        for row in rows[:_NAMED]
    ]
    return ", ".join(words) + (f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else "")
