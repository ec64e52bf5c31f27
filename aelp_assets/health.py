"""Whether all is well, and what needs a person: the one screen of `aelp status`.

Here: reading the control store, the instance and the warehouse, each of which may be absent or busy, and
judging. Not here: printing (`health_report`), live sources (`status`).
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg

from aelp_assets import machinery
from aelp_assets.alerts import scrubber
from aelp_assets.definitions import decides_today
from aelp_assets.governance import open_governance
from aelp_assets.lateness import LateTable, late_tables
from aelp_assets.machinery import Daemon, FailedCheck, JobRun, Waking
from aelp_assets.unread import Unconnected, Unread, unread_accounts
from aelp_assets.words import counted
from resources.clock import Clock, SystemClock
from resources.connectors.registry import Sources, open_sources
from resources.control.records import OPEN
from resources.control.store import control_url, has_control_store, open_control_store
from resources.notifier import Notifier, open_channels
from resources.settings import Environment, Settings, SourceName
from resources.warehouse import open_warehouse, warehouses_to_look_into
from resources.warehouse.interface import Warehouse, WarehouseError, WarehouseLocked
from resources.warehouse.tables import BANDIT_DECISIONS, QUARANTINE

_NEAR = timedelta(hours=2)


@dataclass(frozen=True)
class Decisions:
    """What people decide: the mode, the kill switch, and proposals that wait by type."""

    mode: str
    killed: str | None = None
    waiting: dict[str, int] = field(default_factory=dict)
    oldest: datetime | None = None
    first_expires: datetime | None = None


@dataclass(frozen=True)
class Told:
    """Notifications not everybody has got, by channel, and why the last one was not.

    `faults`: why a channel the environment names is not there; what is told meanwhile never reaches it.
    """

    waiting: dict[str, int] = field(default_factory=dict)
    message: str | None = None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Store:
    """The warehouse. `busy`: who holds it; `fault`: why it cannot be read.

    What is None then, or where there is none yet, is unknown.
    """

    kind: str
    megabytes: float | None = None
    busy: str | None = None
    last_morning: date | None = None
    set_aside: dict[str, int] | None = None
    fault: str | None = None

    @property
    def is_readable(self) -> bool:
        return self.busy is None and self.fault is None


@dataclass(frozen=True)
class Health:
    """Everything on the screen; `needs` in the order a person should see to it.

    `stopped`: what live sources say that refuse their credentials. `unread`: accounts that cannot be read
    otherwise, and sources that lost theirs. `failed`: runs that nothing made up for.
    """

    at: datetime
    home: Path
    decisions: Decisions
    told: Told
    stopped: dict[SourceName, str]
    unread: list[Unread | Unconnected]
    store: Store
    daemon: Daemon | None
    wakings: list[Waking]
    jobs: list[JobRun]
    failed: list[str]
    checks: list[FailedCheck]
    late: list[LateTable] | None
    needs: list[str]

    @property
    def is_well(self) -> bool:
        return not self.needs


def read_health(environment: Environment, settings: Settings, clock: Clock, defs: dg.Definitions) -> Health:
    """The state of a home; nothing is created in it, and nothing changed but that proposals run out.

    Secrets are taken out of what errors say: the answer goes to screens and to machines that watch.
    Lateness is judged where the graph goes by the calendar's today (`late` None: it does not).

    Args:
        defs: the graph; what wakes it is on or off as they say.
    """
    now, wall, scrub = clock.now(), SystemClock().now(), scrubber(environment)
    decisions, told = _control(environment, settings, clock)
    sources = open_sources(environment, settings, clock)
    stopped = _stopped(sources)
    daemon, wakings, jobs, failed, checks, late = None, [], [], [], [], None
    follows_today = decides_today(clock, settings)
    instance = machinery.existing_instance(environment)
    if instance is not None:
        with instance:
            graph = defs.resolve_asset_graph()
            daemon = machinery.daemon_of(instance)
            wakings = [
                replace(one, error=one.error and scrub(one.error))
                for one in machinery.wakings_of(instance, [*(defs.schedules or ()), *(defs.sensors or ())])
            ]
            jobs = machinery.job_runs(instance, defs, wakings, wall)
            failed = machinery.unmended_runs(instance, defs, wall)
            checks = [
                replace(check, said=scrub(check.said)) for check in machinery.failed_checks(instance, graph)
            ]
            late = late_tables(graph, instance, now) if follows_today else None
    store = _store(environment, now)
    store = replace(store, fault=store.fault and scrub(store.fault))
    unread = _unread(environment, sources, now)
    parts = decisions, told, stopped, unread, store, daemon, wakings, jobs, failed, checks, late
    health = Health(now, environment.home, *parts, needs=[])
    return replace(health, needs=_needs(health, follows_today=follows_today))


def _control(environment: Environment, settings: Settings, clock: Clock) -> tuple[Decisions, Told]:
    url = control_url(environment.home, os.environ)
    channels, faults = open_channels(os.environ, logging.getLogger(__name__))
    if not has_control_store(url):
        return Decisions(settings.governance.mode), Told(faults=tuple(faults))
    governance, now = open_governance(environment, settings), clock.now()
    waiting = [row for row in governance.proposals(now) if row["status"] in OPEN]
    created = [datetime.fromtimestamp(row["created_at"], UTC) for row in waiting]
    expires = [datetime.fromtimestamp(row["expires_at"], UTC) for row in waiting]
    decisions = Decisions(
        governance.mode,
        governance.killed(),
        dict(Counter(row["type"] for row in waiting).most_common()),
        min(created, default=None),
        min(expires, default=None),
    )
    engine = open_control_store(url)
    try:
        unsent = Notifier(engine, channels, clock.now).untold()
    finally:
        engine.dispose()
    said = [row["message"] for row in unsent if row["message"]]
    return decisions, Told(
        dict(Counter(row["channel"] for row in unsent)), said[-1] if said else None, tuple(faults)
    )


def _stopped(sources: Sources) -> dict[SourceName, str]:
    if not sources.has_control_store():
        return {}
    stops = {name: sources.stopped(name) for name in sources.settings.source_names}
    return {name: stop.reason for name, stop in stops.items() if stop is not None}


def _unread(environment: Environment, sources: Sources, now: datetime) -> list[Unread | Unconnected]:
    try:
        return unread_accounts(sources, now, patient_warehouse(environment))
    except WarehouseError:  # how old a report is it alone knows; what waits for a person is known without
        return unread_accounts(sources, now, None)


def patient_warehouse(environment: Environment) -> Warehouse:
    """The warehouse itself, for one who waits a second for it and no longer."""
    if environment.warehouse == "duckdb" and environment.duckdb_path.exists():
        return warehouses_to_look_into(environment)[-1]
    return open_warehouse(environment)


def _store(environment: Environment, now: datetime) -> Store:
    size = None
    if environment.warehouse == "duckdb":
        if not environment.duckdb_path.exists():
            return Store("duckdb")
        size = environment.duckdb_path.stat().st_size / 1e6
    warehouse = patient_warehouse(environment)
    morning, aside = None, None
    try:
        there = warehouse.catalogue([BANDIT_DECISIONS.name, QUARANTINE.name])
        if str(BANDIT_DECISIONS.name) in there:
            newest = "select max(as_of_date) as morning from gaelp_training.bandit_decisions"
            morning = warehouse.query(newest).item()
        if str(QUARANTINE.name) in there:
            counts = warehouse.query(
                "select severity, count(*) as found from ops.quarantine "
                "where quarantined_at > $since and severity <> 'read' group by severity order by severity",
                {"since": now - timedelta(days=1)},
            )
            aside = dict(counts.iter_rows())
    except WarehouseLocked as held:
        return Store(environment.warehouse, size, f"held by {_holder(str(held))}")
    except WarehouseError as fault:
        return Store(environment.warehouse, size, fault=str(fault))
    return Store(environment.warehouse, size, None, morning, aside)


def _holder(said: str) -> str:
    """Who holds the file, of the warehouse's own words."""
    found = re.search(r"in use by (.+?) \(waited", said)
    return found[1] if found else said


def _needs(health: Health, *, follows_today: bool) -> list[str]:
    """What a person must see to, the gravest first; a warehouse that a run holds is none of it."""
    needs = []
    decisions, told, store, daemon = health.decisions, health.told, health.store, health.daemon
    if decisions.killed is not None:
        needs.append(f"{decisions.killed}. `aelp kill off` lets it go on.")
    if store.fault is not None:
        needs.append(f"The warehouse cannot be read: {store.fault}")
    needs += [f"{run} failed; `aelp ui` shows why." for run in health.failed]
    needs += [
        f"Blocking check {check.check} of {check.table} fails: {check.said or 'see it in the UI'}"
        for check in health.checks
    ]
    if follows_today and daemon is not None and daemon.last_heartbeat is not None and not daemon.is_alive:
        needs.append(f"The daemon stands still ({', '.join(daemon.silent)}): nothing runs by itself.")
    needs += [
        f"{one.name} failed at its last tick{'s' if one.failures > 1 else ''}: {one.error}"
        for one in health.wakings
        if one.is_on and one.error
    ]
    needs += [
        f"{source} refuses its credentials and is not called any more: {said} `aelp connect {source}` checks "
        "new ones."
        for source, said in health.stopped.items()
    ]
    needs += [f"{one.sentence} {one.remedy}" for one in health.unread]
    if decisions.waiting:
        soon = decisions.first_expires is not None and decisions.first_expires - health.at < _NEAR
        needs.append(
            f"Waiting for a signature: {counted(sum(decisions.waiting.values()), 'proposal')}"
            f"{', the first runs out within two hours' if soon else ''} (`aelp proposals`)."
        )
    if health.late:
        groups = sorted({table.group for table in health.late})
        needs.append(f"Later than promised: {counted(len(health.late), 'table')}, in {', '.join(groups)}.")
    needs += [f"Nobody is told by this channel: {fault}" for fault in told.faults]
    if told.waiting:
        unsent = ", ".join(f"{count} by {channel}" for channel, count in sorted(told.waiting.items()))
        needs.append(f"Not everybody was told: {unsent}{f' ({told.message})' if told.message else ''}.")
    if store.set_aside and store.set_aside.get("refused"):
        rows = counted(store.set_aside["refused"], "row")
        needs.append(f"Refused in the last day: {rows} (`aelp quarantine`).")
    return needs
