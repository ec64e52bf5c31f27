"""Rows of the decisions about money, and the transaction they change in.

Here: reading proposals, approvals, changes and lever states, and the one lock. Not here: what a step may do
(`governance`, `change_feed`).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

import polars as pl
import sqlalchemy as sa

from models.guardrails import STATE_SCHEMA, Violation
from resources.control.arm_payloads import read_value
from resources.control.payloads import LeverValue
from resources.control.store import APPROVALS, CHANGES, KILL_SWITCH, LEVER_STATES, OUTBOX, PROPOSALS

Mode = Literal["shadow", "sandbox", "live"]
Verdict = Literal["approve", "reject"]
Record = Mapping[str, Any]
LeverKey = tuple[str, str, str]

LEVER = ("platform", "account_id", "lever_id")
OPEN = ("pending", "awaiting_second")
AELP = "aelp"  # who proposed what no person did
UNFINISHED = ("prepared", "sending")
IN_VAIN = ("conflict", "refused", "blocked")
"""Changes whose call the platform or a rule ended; a rollback that did may be asked for again."""
FAILED = (*IN_VAIN, "withdrawn", "held")
"""Changes that never took place: the platform, a rule, a person or the draw said otherwise."""
JUDGED = (*LEVER, "type", "advisory", "current_budget", "proposed_budget")
BUDGET = pl.Decimal(38, 9)


class Refused(Exception):
    """What was asked is not allowed: says which rule, and what a person can do."""


class Stopped(Refused):
    """The kill switch is on: what was asked waits."""


class Withdrawn(Refused):
    """A person took it back before it was sent."""


@contextmanager
def alone(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction no other decision runs beside: sums over proposals must not change meanwhile."""
    with engine.connect() as connection, step(connection):
        yield connection


@contextmanager
def step(connection: sa.Connection) -> Iterator[None]:
    """As `alone`, on a connection that is open already."""
    with connection.begin():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("LOCK TABLE proposals IN SHARE ROW EXCLUSIVE MODE")
        yield


def proposals(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Record]:
    """Proposals, newest morning first."""
    order = PROPOSALS.c.as_of_date.desc(), PROPOSALS.c.track, PROPOSALS.c.proposal_id
    statement = sa.select(PROPOSALS).where(*where).order_by(*order)
    return [dict(row) for row in connection.execute(statement).mappings()]


def lately_withdrawn(rows: Sequence[Record]) -> list[Record]:
    """Of all proposals, those of the newest morning that a person's edit on the platform overtook."""
    newest = max((row["as_of_date"] for row in rows), default=None)
    return [row for row in rows if row["status"] == "withdrawn" and row["as_of_date"] == newest]


def approvals(connection: sa.Connection, proposal_id: str, verdict: Verdict) -> list[Record]:
    """Signatures under a proposal, oldest first."""
    statement = (
        sa.select(APPROVALS)
        .where(APPROVALS.c.proposal_id == proposal_id, APPROVALS.c.verdict == verdict)
        .order_by(APPROVALS.c.sequence)
    )
    return [dict(row) for row in connection.execute(statement).mappings()]


def changes(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Record]:
    """Changes with their calls in the outbox, oldest first."""
    call = (
        OUTBOX.c.request,
        OUTBOX.c.request_hash,
        OUTBOX.c.status.label("outbox_status"),
        OUTBOX.c.sent_at,
        OUTBOX.c.made,
    )
    statement = (
        sa.select(CHANGES, *call)
        .join(OUTBOX, OUTBOX.c.change_id == CHANGES.c.change_id)
        .where(*where)
        .order_by(CHANGES.c.sequence)
    )
    return [dict(row) for row in connection.execute(statement).mappings()]


def set_status(
    connection: sa.Connection, proposal_id: str, status: str, now: datetime, message: str | None = None
) -> None:
    """Move a proposal on."""
    here = PROPOSALS.c.proposal_id == proposal_id
    moved: dict[str, Any] = {"status": status, "history": and_noted(PROPOSALS, status, now)}
    if message is not None:
        moved["message"] = message
    connection.execute(sa.update(PROPOSALS).where(here).values(**moved))


def noted(status: str, now: datetime, **said: Any) -> str:
    """A line of a row's history: the status it came to, when, and what it said then."""
    return json.dumps({"at": now.timestamp(), "status": status, **said}) + "\n"


def and_noted(table: sa.Table, status: str, now: datetime, **said: Any) -> sa.ColumnElement[str]:
    """The history of a table's row with one line more."""
    return sa.func.coalesce(table.c.history, "", type_=sa.String).concat(noted(status, now, **said))


def expire(connection: sa.Connection, now: datetime) -> None:
    """Close what nobody decided in time."""
    late = PROPOSALS.c.status.in_(OPEN), PROPOSALS.c.expires_at <= now.timestamp()
    connection.execute(sa.update(PROPOSALS).where(*late).values(status="expired"))


def killed(connection: sa.Connection, at: datetime | None = None) -> str | None:
    """Who stopped everything, when and why; None while nothing is stopped.

    Args:
        at: as it was then; None: now.
    """
    newest = sa.select(KILL_SWITCH).order_by(KILL_SWITCH.c.sequence.desc()).limit(1)
    if at is not None:
        newest = newest.where(KILL_SWITCH.c.at <= at.timestamp())
    row = connection.execute(newest).one_or_none()
    if row is None or not row.is_on:
        return None
    since = datetime.fromtimestamp(row.at, UTC)
    return f"{row.person} stopped everything at {since:%Y-%m-%d %H:%M} UTC: {row.reason}"


def release(connection: sa.Connection) -> tuple[Record | None, float]:
    """The row that lets everything go on, None where nothing ever was stopped, and when it last was."""
    stops = sa.select(sa.func.coalesce(sa.func.max(KILL_SWITCH.c.at), 0.0)).where(KILL_SWITCH.c.is_on)
    newest = sa.select(KILL_SWITCH).order_by(KILL_SWITCH.c.sequence.desc()).limit(1)
    row = connection.execute(newest).mappings().one_or_none()
    return None if row is None else dict(row), connection.execute(stops).scalar_one()


# --- lever states -----------------------------------------------------------------------------------


def keep_states(
    connection: sa.Connection, states: pl.DataFrame, as_of_date: date, *, are_newest: bool
) -> str:
    """Store a morning's lever states under the sha256 of their bytes, which is returned.

    Args:
        are_newest: a run has just decided on them, with proposals or none. Not where somebody answers what
            was decided on them before.
    """
    seen_today = [name for name in ("overspends",) if name in states.columns]
    frame = states.select(*STATE_SCHEMA, *seen_today).sort(*LEVER)
    return keep_frame(connection, LEVER_STATES, frame, as_of_date, are_newest=are_newest)


def keep_frame(
    connection: sa.Connection, table: sa.Table, frame: pl.DataFrame, as_of_date: date, *, are_newest: bool
) -> str:
    """Store what a morning rests on in a table of its kind, under the sha256 of its bytes."""
    buffer = io.BytesIO()
    frame.write_ipc(buffer, compression="zstd")
    states_hash = hashlib.sha256(buffer.getvalue()).hexdigest()
    here = table.c.states_hash == states_hash
    known: date | None = connection.execute(sa.select(table.c.as_of_date).where(here)).scalar_one_or_none()
    if known is None:
        row = {"states_hash": states_hash, "as_of_date": as_of_date, "document": buffer.getvalue()}
        connection.execute(sa.insert(table).values(**row))
    if are_newest:  # counted, not dated: a clock may stand still
        last: int = connection.execute(sa.select(sa.func.max(table.c.sequence))).scalar_one()
        seen = {"as_of_date": max(known or as_of_date, as_of_date), "sequence": last + 1}
        connection.execute(sa.update(table).where(here).values(**seen))
    return states_hash


def states_under(connection: sa.Connection, states_hash: str) -> pl.DataFrame:
    """The lever states stored under a hash.

    Raises:
        Refused: they no longer have that hash.
    """
    return frame_under(connection, LEVER_STATES, states_hash)[1]


def frame_under(connection: sa.Connection, table: sa.Table, states_hash: str) -> tuple[date, pl.DataFrame]:
    """What is stored under a hash, with the last morning it was decided on.

    Raises:
        Refused: it is not there, or no longer has that hash.
    """
    here = table.c.states_hash == states_hash
    found = connection.execute(sa.select(table.c.as_of_date, table.c.document).where(here)).one_or_none()
    if found is None or hashlib.sha256(found.document).hexdigest() != states_hash:
        kind = table.name.replace("_", " ")
        raise Refused(f"The {kind} {states_hash[:16]} were changed after the decision.")
    return found.as_of_date, pl.read_ipc(io.BytesIO(found.document))


def newest_states(connection: sa.Connection) -> tuple[date, pl.DataFrame]:
    """The newest morning anything was decided on, and its latest lever states."""
    newest = newest_frame(connection, LEVER_STATES)
    assert newest is not None  # a change comes from a proposal, which keeps its states
    return newest


def newest_frame(
    connection: sa.Connection, table: sa.Table = LEVER_STATES
) -> tuple[date, pl.DataFrame] | None:
    """The newest morning of a table, and what was decided on last that morning; None: nothing yet."""
    newest = (
        sa.select(table.c.states_hash).order_by(table.c.as_of_date.desc(), table.c.sequence.desc()).limit(1)
    )
    states_hash: str | None = connection.execute(newest).scalar_one_or_none()
    return None if states_hash is None else frame_under(connection, table, states_hash)


def on_its_day(states: pl.DataFrame, as_of_date: date, today: date) -> pl.DataFrame:
    """Lever states as evidence of today: what a lever spent on its day says nothing of the next one."""
    return states.drop("overspends", strict=False) if as_of_date != today else states


def overspends(states: pl.DataFrame, lever: Record) -> bool:
    """Whether these states say that a lever passes what its platform may spend on a day."""
    if "overspends" not in states.columns:
        return False
    return not states.filter(_is_lever(lever), pl.col("overspends")).is_empty()


def with_overspending(states: pl.DataFrame, lever: Record) -> pl.DataFrame:
    """Lever states that say so of this lever, too."""
    told = pl.col("overspends") if "overspends" in states.columns else pl.lit(value=False)
    return states.with_columns((told | _is_lever(lever)).alias("overspends"))


def _is_lever(lever: Record) -> pl.Expr:
    return pl.all_horizontal(pl.col(name) == lever[name] for name in LEVER)


# --- what the verifier judges -----------------------------------------------------------------------


def judged(rows: Sequence[Record]) -> pl.DataFrame:
    """Proposals as the verifier reads decisions."""
    schema: dict[str, Any] = dict.fromkeys((*LEVER, "type"), pl.String)
    schema |= {"advisory": pl.Boolean, "current_budget": BUDGET, "proposed_budget": BUDGET}
    records = [
        [
            *(row[name] for name in (*LEVER, "type")),
            False,
            *map(Decimal, (row["current_budget"], row["proposed_budget"])),
        ]
        for row in rows
    ]
    return pl.DataFrame(records, schema=schema, orient="row")


def require(violations: Sequence[Violation]) -> None:
    """Raises: Refused, with the first of the violations in words."""
    if violations:
        said = "; ".join(f"{v.rule} ({v.where}): {v.message}" for v in violations[:5])
        more = f"; and {len(violations) - 5} more" if len(violations) > 5 else ""
        raise Refused(f"The guardrails refuse it: {said}{more}.")


def key_of(row: Record) -> LeverKey:
    """Platform, account and lever."""
    return row["platform"], row["account_id"], row["lever_id"]


def spends(document: str) -> Decimal:
    """What a lever of that value (as stored in a change) spends a day at most: nothing while it is paused.

    An arm spends its lever's money, so nothing of its own.
    """
    value = read_value(json.loads(document))
    return value.budget if isinstance(value, LeverValue) and value.status == "active" else Decimal(0)


def last_edit(connection: sa.Connection, lever: Record) -> datetime | None:
    """When a change of ours to this lever last took place in its mode, there or back."""
    here = [CHANGES.c[name] == lever[name] for name in (*LEVER, "mode")]
    last = sa.select(sa.func.max(CHANGES.c.finished_at)).where(*here, CHANGES.c.status == "applied")
    moment: float | None = connection.execute(last).scalar_one()
    return None if moment is None else datetime.fromtimestamp(moment, UTC)


def made_by(change: Record) -> dict[str, str]:
    """Ids of what a launch's calls made on its platform, by kind; nothing for other changes."""
    notes = json.loads(change["made"] or "{}")
    return {kind: note["id"] for kind, note in notes.items() if note["id"] is not None}


def has_begun(change: Record) -> bool:
    """Whether a launch's calls made something, or may have."""
    return bool(json.loads(change["made"] or "{}"))


def short_hash(text: str) -> str:
    """Sixteen hexadecimal digits that name a thing by its content."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
