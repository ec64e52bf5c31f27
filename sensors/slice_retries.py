"""Slices whose wait is over wake the pull of their source: a wait of ten minutes does not take an hour.

Here: noticing, and the request. Not here: how long a slice waits (`resources.connectors.pacing`), what a pull
asks for (`resources.connectors.planning`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import cast

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from aelp_assets.ingest.connectors import pull_key
from resources.clock import Clock
from resources.connectors.errors import MissingCredentials
from resources.connectors.registry import Sources
from resources.control.ingestion import IngestionControl, QueueKey
from resources.landing.accounts import spelt
from resources.settings import SourceName
from sensors.attempts import MAX_ATTEMPTS, attempt_key, is_under_way

APART = timedelta(minutes=5)
"""Waits that end one after another are pulled together."""


@dataclass
class Asked:
    """The last request. `states`: of each source asked for, and how often for that very state."""

    at: float = 0.0
    states: dict[str, tuple[str, int]] = field(default_factory=dict)


def retries_of(job: UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """The sensor that wakes this job for the sources whose slices have waited long enough."""

    @dg.sensor(
        name="waited_out_slices",
        job=job,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Pulls again once the wait of a slice that failed is over, between the hourly pulls.",
    )
    def tick(
        context: dg.SensorEvaluationContext,
        sources: dg.ResourceParam[Sources],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        """One pull per state of the queue, again while that pull fails, at most `MAX_ATTEMPTS` times."""

        def skip(reason: str) -> dg.SensorResult:
            return dg.SensorResult(skip_reason=reason, cursor=context.cursor)

        if not sources.has_control_store():
            return skip("nothing was ever pulled")
        asked, now = read_cursor(context.cursor), clock.now()
        states = _waited_out(sources, now)
        if not states:
            return skip("no wait is over")
        if is_under_way(context.instance, job.name):
            return skip("a pull is under way; it sees to what is due")
        if timedelta(0) <= now - datetime.fromtimestamp(asked.at, now.tzinfo) < APART:
            return skip(f"asked less than {APART.seconds // 60} minutes ago")
        attempts = {
            source: 1 + (made if state == before else 0)
            for source, state in states.items()
            for before, made in [asked.states.get(source, ("", 0))]
        }
        due = sorted(source for source in states if attempts[source] <= MAX_ATTEMPTS)
        if not due:
            return skip(
                f"{', '.join(sorted(states))}: {MAX_ATTEMPTS} pulls changed nothing; left to the hourly pull"
            )
        kept = {source: (states[source], min(attempts[source], MAX_ATTEMPTS)) for source in states}
        key = hashlib.sha256("|".join(f"{name} {kept[name]}" for name in due).encode()).hexdigest()[:16]
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=attempt_key(f"retry-{key}", max(attempts[source] for source in due)),
                    asset_selection=[pull_key(cast(SourceName, source)) for source in due],
                )
            ],
            cursor=json.dumps(asdict(Asked(now.timestamp(), kept)), sort_keys=True),
        )

    return tick


def read_cursor(text: str | None) -> Asked:
    """The last request; unreadable: none (the run key of the same queue is the same)."""
    try:
        told = json.loads(text or "{}")
        states = {str(name): (str(state), int(made)) for name, (state, made) in told["states"].items()}
        return Asked(float(told["at"]), states)
    except (AttributeError, KeyError, TypeError, ValueError):
        return Asked()


def _waited_out(sources: Sources, now: datetime) -> dict[str, str]:
    """Sources with slices to ask for again, each with the state of that part of the queue."""
    control = IngestionControl(sources.control_store())
    found: dict[str, str] = {}
    for name in sources.settings.source_names:
        accounts = [spelt(name, account) for account in sources.settings.sources[name].accounts]
        waiting = control.waited_out(name, accounts, now)
        if waiting and _may_be_called(sources, name):
            found[name] = _state(waiting)
    return found


def _may_be_called(sources: Sources, name: SourceName) -> bool:
    """Not without credentials, nor with ones the platform refused: such a pull asks for nothing."""
    try:
        sources.open(name)
    except MissingCredentials:
        return False
    return sources.stopped(name) is None


def _state(waiting: Sequence[tuple[QueueKey, int, float]]) -> str:
    """The end of the wait is part of it: a slice that healed and fails anew has its first attempt again."""
    facts = "\n".join(f"{key} {attempts} {until}" for key, attempts, until in waiting)
    return hashlib.sha256(facts.encode()).hexdigest()[:16]
