"""The one screen of `aelp status`: what needs a person first, then how each part does.

Here: words and lines, at most forty of a hundred columns. Not here: what is so and what it means (`health`).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, tzinfo
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from aelp_assets.health import Health
from aelp_assets.lateness import by_group
from aelp_assets.machinery import JobRun
from aelp_assets.words import counted, shortened

_MOST_NEEDS = 8
_MOST_JOBS = 14
_LONGEST = 160


def print_health(console: Console, health: Health, zone: tzinfo) -> None:
    """Health in words; times are the business's."""
    wall = datetime.now(UTC)
    if health.is_well:
        console.print("All is well: nothing needs a person.", soft_wrap=True)
    else:
        console.print(f"Needs a person ({len(health.needs)}):")
        for need in health.needs[:_MOST_NEEDS]:
            console.print(f"  ✗ {shortened(need, _LONGEST)}", soft_wrap=True)
        if len(health.needs) > _MOST_NEEDS:
            console.print(f"  and {len(health.needs) - _MOST_NEEDS} more: `aelp status --json`")
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, words in _parts(health, zone, wall):
        table.add_row(name, words)
    console.print(table)
    if health.jobs:
        console.print(_jobs(health.jobs, zone, wall))


def as_json(health: Health, sources: pl.DataFrame | None) -> str:
    """All of it, uncut; `sources` None: the warehouse was busy."""
    told: dict[str, Any] = asdict(health)
    told["is_well"] = health.is_well
    told["sources"] = None if sources is None else sources.to_dicts()
    return json.dumps(told, default=str, indent=1, ensure_ascii=False)


def _parts(health: Health, zone: tzinfo, wall: datetime) -> list[tuple[str, str]]:
    decisions, store, told = health.decisions, health.store, health.told
    waiting = "nothing"
    if decisions.waiting and decisions.oldest and decisions.first_expires:
        kinds = ", ".join(f"{count} {kind}" for kind, count in decisions.waiting.items())
        oldest, ends = (_at(moment, zone) for moment in (decisions.oldest, decisions.first_expires))
        waiting = f"{kinds}; the oldest since {oldest}, the first runs out {ends}"
    aside = store.set_aside
    if store.busy is not None:
        holding = f"busy: {shortened(store.busy, _LONGEST)}; what it knows is unknown until that ends"
    elif store.fault is not None:
        holding = "cannot be read"
    elif store.megabytes is None and store.kind == "duckdb":
        holding = "none yet: `aelp run`, or `make demo`"
    else:
        size = f"{store.megabytes:,.0f} MB, " if store.megabytes is not None else ""
        holding = f"{store.kind}, {size}held by nobody"
    counts = None if aside is None else ", ".join(f"{count:,} {kind}" for kind, count in aside.items())
    parts = [
        ("mode", f"{decisions.mode} · kill switch {'ON' if decisions.killed else 'off'}"),
        ("waiting", waiting),
        ("daemon", _daemon(health, wall)),
        ("sensors", _wakings(health, wall)),
        ("checks", _checks(health)),
        ("tables", _late(health)),
        ("warehouse", holding),
        ("last decision", "unknown" if store.busy or store.fault else str(store.last_morning or "never")),
        ("set aside", "unknown" if aside is None else f"{counts or 'nothing'} in the last day"),
        (
            "told",
            "everything"
            if not told.waiting
            else f"all but {counted(sum(told.waiting.values()), 'notification')}",
        ),
    ]
    return [part for part in parts if health.daemon is not None or part[0] not in _OF_RUNS]


_OF_RUNS = ("daemon", "sensors", "checks", "tables")


def _daemon(health: Health, wall: datetime) -> str:
    daemon = health.daemon
    if daemon is None or daemon.last_heartbeat is None:
        return "never ran here: nothing runs by itself until `aelp ui` does"
    seen = f"last sign {_ago(wall, daemon.last_heartbeat)}"
    return f"alive, {seen}" if daemon.is_alive else f"stands still, {seen}"


def _wakings(health: Health, wall: datetime) -> str:
    on = [one for one in health.wakings if one.is_on]
    ticks = [one.last_tick for one in health.wakings if one.last_tick is not None]
    newest = f", last tick {_ago(wall, max(ticks))}" if ticks else ", no tick yet"
    failing = [one.name for one in on if one.error]
    said = f"; failing: {', '.join(failing)}" if failing else ""
    return f"{len(on)} of {len(health.wakings)} sensors and schedules on{newest}{said}"


def _checks(health: Health) -> str:
    if not health.checks:
        return "no blocking check fails"
    return f"{counted(len(health.checks), 'blocking check')} failed when last evaluated"


def _late(health: Health) -> str:
    if health.late is None:
        return "not judged: a simulated or historic account goes by no calendar"
    if not health.late:
        return "none later than promised"
    return "late: " + ", ".join(
        f"{len(tables)} in {group}" for group, tables in by_group(health.late).items()
    )


def _jobs(jobs: list[JobRun], zone: tzinfo, wall: datetime) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("job", "last run", "of", "ended", "next due"):
        table.add_column(column, no_wrap=True)
    known = [run for run in jobs if run.next_due is not None or run.outcome != "never"]
    for run in known[:_MOST_JOBS]:
        table.add_row(
            run.job,
            run.outcome,
            run.about or "–",
            "–" if run.at is None else _ago(wall, run.at),
            "–" if run.next_due is None else _at(run.next_due, zone),
        )
    return table


def _at(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%a %d %b %H:%M}"


def _ago(wall: datetime, moment: datetime) -> str:
    seconds = max(0.0, (wall - moment).total_seconds())
    if seconds < 120:
        return f"{seconds:.0f} s ago"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min ago"
    return f"{seconds / 3600:.0f} h ago" if seconds < 172_800 else f"{seconds / 86_400:.0f} days ago"
