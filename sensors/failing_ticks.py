"""Schedules and sensors whose own evaluation fails, told once until it works again.

Here: which failing ticks are news. Not here: runs that fail (`run_outcomes`), a daemon that stands still
(`aelp status`: whoever stands still tells nothing), telling (`aelp_assets.alerts`).
"""

from __future__ import annotations

import json
from datetime import tzinfo

import dagster as dg

from aelp_assets.alerts import automation_link, event_id, scrubber, tell
from aelp_assets.machinery import Waking, wakings_of
from aelp_assets.words import shortened
from resources.notifier import Message
from resources.settings import Environment, Settings

TICKS_IN_A_ROW = 3
"""What looks again within the hour and fails once is no news; a daily schedule's tick does not come again,
and an hour of spend unseen is too long."""
_LONGEST_CAUSE = 300


@dg.sensor(
    minimum_interval_seconds=120,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells of schedules and sensors that fail themselves, once until they work again.",
)
def failing_ticks(
    context: dg.SensorEvaluationContext,
    environment: dg.ResourceParam[Environment],
    settings: dg.ResourceParam[Settings],
) -> dg.SensorResult:
    """News is a tick that cannot wait, the third in a row that failed of others, and the first that works."""
    if context.repository_def is None:
        raise dg.DagsterInvariantViolationError("failing_ticks is evaluated with the graph it looks at")
    repository = context.repository_def
    told = read_cursor(context.cursor)
    wakings = wakings_of(context.instance, [*repository.schedule_defs, *repository.sensor_defs])
    on = {one.name: one for one in wakings if one.is_on}
    # What was switched off or is gone is forgotten without a word: nobody knows whether it works.
    known = {name: since for name, since in told.items() if name in on}
    working = [name for name in known if on[name].last_tick is not None and on[name].error is None]
    fallen = [one for name, one in on.items() if name not in known and _is_news(one)]
    scrub = scrubber(environment)
    messages = [_failing(one, scrub(one.error or ""), settings.timezone) for one in fallen]
    messages += [_works_again(name, known.pop(name)) for name in working]
    tell(environment, context.log, messages)
    known |= {one.name: str(one.last_tick) for one in fallen}
    said = f"{len(known)} fail, and people know" if known else "every tick works"
    return dg.SensorResult(
        skip_reason=f"told of {len(messages)}" if messages else said,
        cursor=json.dumps({"failing": known}, sort_keys=True),
    )


def read_cursor(text: str | None) -> dict[str, str]:
    """Who fails and since which tick; unreadable: nobody, and what fails still is told once more."""
    try:
        return {str(name): str(at) for name, at in json.loads(text or "{}").get("failing", {}).items()}
    except (AttributeError, ValueError):
        return {}


def _is_news(one: Waking) -> bool:
    return one.failures >= (TICKS_IN_A_ROW if one.can_wait else 1)


def _failing(one: Waking, cause: str, zone: tzinfo) -> Message:
    at = f"{one.last_tick.astimezone(zone):%d %b %H:%M}" if one.last_tick else "never"
    remedy = (
        "Nothing it waits for begins meanwhile; it makes up for it once it works."
        if one.can_wait
        else "What it begins may not have begun: look (`aelp status`), and if so launch its job by hand."
    )
    return Message(
        event_id("tick_failed", one.name, str(one.last_tick)),
        "warning" if one.can_wait else "critical",
        f"{one.name} fails itself ({at}): {shortened(cause, _LONGEST_CAUSE)}",
        f"{remedy} Its ticks: {automation_link()}",
    )


def _works_again(name: str, since: str) -> Message:
    return Message(
        event_id("tick_works", name, since), "warning", f"{name} works again.", "Nothing is left to do."
    )
