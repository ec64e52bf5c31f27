"""Tables later than they promise to be, told once for each group until it is fresh again.

What lands comes from many places: of its group each table is told of by itself.

Here: which lateness is news. Not here: what is late (`aelp_assets.lateness`), telling (`aelp_assets.alerts`).
"""

from __future__ import annotations

import json
from datetime import tzinfo

import dagster as dg

from aelp_assets.alerts import asset_link, event_id, tell
from aelp_assets.lateness import LateTable, by_group, late_tables
from resources.clock import Clock
from resources.notifier import Message
from resources.settings import Environment, Settings

GROUPS_APART = 3
"""When more groups fall late at once, one thing is wrong: it is told as one."""
_NAMED = 3
_LANDING = "ingest"


@dg.sensor(
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of tables later than their freshness policy, once a group until it is fresh again.",
)
def late_groups(
    context: dg.SensorEvaluationContext,
    environment: dg.ResourceParam[Environment],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> dg.SensorResult:
    """A group is news when it falls late and when all of it is fresh again; of what lands, a table."""
    if context.repository_def is None:
        raise dg.DagsterInvariantViolationError("late_groups is evaluated with the graph it looks at")
    known = read_cursor(context.cursor)
    late = late_tables(context.repository_def.asset_graph, context.instance, clock.now())
    fallen = by_group(table for table in late if _told_as(table) not in known)
    now_late: dict[str, str] = {}
    for table in late:  # the longest overdue of a group comes first
        now_late.setdefault(_told_as(table), known.get(_told_as(table), table.due.isoformat()))
    recovered = sorted(known.keys() - now_late.keys())
    messages = []
    if len(fallen) > GROUPS_APART:
        messages.append(_many_late(fallen, settings.timezone))
    else:
        messages += [_one_late(group, tables, settings.timezone) for group, tables in fallen.items()]
    if recovered:
        messages.append(_fresh_again({name: known[name] for name in recovered}))
    tell(environment, context.log, messages)
    said = f"{len(now_late)} are late, and people know" if now_late else "every table is fresh"
    return dg.SensorResult(
        skip_reason=f"told of {len(messages)}" if messages else said,
        cursor=json.dumps({"late": now_late}, sort_keys=True),
    )


def read_cursor(text: str | None) -> dict[str, str]:
    """Who is late and since when; unreadable: a first tick, whose events have the ids they had."""
    try:
        late = json.loads(text or "{}").get("late", {})
        # Cursors used to hold the group of what lands: which of its tables were told of, nobody knows.
        return {str(name): str(due) for name, due in late.items() if name != _LANDING}
    except (AttributeError, ValueError):
        return {}


def _told_as(table: LateTable) -> str:
    return table.name if table.group == _LANDING else table.group


def _one_late(group: str, tables: list[LateTable], zone: tzinfo) -> Message:
    longest = tables[0]
    named = ", ".join(_named(table, zone) for table in tables[:_NAMED])
    more = f" and {len(tables) - _NAMED} more" if len(tables) > _NAMED else ""
    count = "a table is" if len(tables) == 1 else f"{len(tables)} tables are"
    return Message(
        event_id("late", _told_as(longest), longest.due.isoformat()),
        "warning",
        f"Group {group}: {count} later than promised: {named}{more}.",
        "See why nothing made it anew (`aelp status`: a run that failed, a schedule that is off, a daemon "
        f"that stands still), then materialise it: {asset_link(longest.path)}",
    )


def _many_late(fallen: dict[str, list[LateTable]], zone: tzinfo) -> Message:
    first = min((tables[0] for tables in fallen.values()), key=lambda table: table.due)
    count = sum(map(len, fallen.values()))
    return Message(
        event_id("late", *sorted(fallen), first.due.isoformat()),
        "critical",
        f"{count} tables of {len(fallen)} groups are later than promised ({', '.join(sorted(fallen))}); the "
        f"longest: {_named(first, zone)}.",
        "So many at once have one cause: look whether the daemon runs and what failed first (`aelp status`).",
    )


def _fresh_again(known: dict[str, str]) -> Message:
    return Message(
        event_id("fresh", *(f"{name}@{due}" for name, due in sorted(known.items()))),
        "warning",
        f"Fresh again: {', '.join(sorted(known))}.",
        "Nothing is left to do.",
    )


def _named(table: LateTable, zone: tzinfo) -> str:
    made, due = (f"{moment.astimezone(zone):%d %b %H:%M}" for moment in (table.made, table.due))
    return f"{table.name} (made {made}, due {due})"
