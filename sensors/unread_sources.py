"""Accounts that cannot be read, told once for each kind of error until they are.

Here: when that is news. Not here: what cannot be read (`aelp_assets.unread`), telling (`aelp_assets.alerts`).
"""

from __future__ import annotations

import json

import dagster as dg

from aelp_assets.alerts import event_id, tell
from aelp_assets.unread import Unconnected, Unread, unread_accounts
from resources.clock import Clock
from resources.connectors.registry import Sources
from resources.notifier import Message
from resources.settings import Environment
from resources.warehouse.interface import Warehouse, WarehouseLocked
from sensors.attempts import is_under_way

_PULL = "pull_sources"


@dg.sensor(
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of accounts that cannot be read, once for each kind of error until they are.",
)
def unread_sources(
    context: dg.SensorEvaluationContext,
    environment: dg.ResourceParam[Environment],
    sources: dg.ResourceParam[Sources],
    warehouse: dg.ResourceParam[Warehouse],
    clock: dg.ResourceParam[Clock],
) -> dg.SensorResult:
    """An account and a kind of error are news when it begins, and forgotten when it ends; so are lost
    credentials.
    """

    def skip(reason: str) -> dg.SensorResult:
        return dg.SensorResult(skip_reason=reason, cursor=context.cursor)

    # It takes yesterday's snapshots off the queue before it knows whether today's can be taken.
    if is_under_way(context.instance, _PULL):
        return skip("a pull is under way; what it leaves waiting is looked at then")
    now = clock.now()
    try:
        found = unread_accounts(sources, now, warehouse)
    except WarehouseLocked as busy:
        return skip(f"warehouse busy: {busy}")
    told = read_cursor(context.cursor)
    today = now.astimezone(sources.settings.timezone).date().isoformat()
    messages = [_unread(one, today) for one in found if one.name not in told]
    tell(environment, context.log, messages)
    known = {one.name: told.get(one.name, today) for one in found}
    said = f"{len(known)} cannot be read, and people know" if known else "nothing waits for a person"
    return dg.SensorResult(
        skip_reason=f"told of {len(messages)}" if messages else said,
        cursor=json.dumps({"unread": known}, sort_keys=True),
    )


def read_cursor(text: str | None) -> dict[str, str]:
    """What people know and since which day; unreadable: nothing, and what began today has the id it had."""
    try:
        return {str(name): str(day) for name, day in json.loads(text or "{}").get("unread", {}).items()}
    except (AttributeError, ValueError):
        return {}


def _unread(one: Unread | Unconnected, today: str) -> Message:
    """Of what comes and goes within a day people hear once."""
    severity = "critical" if one.is_lasting else "warning"
    return Message(event_id("source_unread", one.name, today), severity, one.sentence, one.remedy)
