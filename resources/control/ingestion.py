"""What pulls share: the retry queue, each account's budget of calls and time zone, and stopped sources.

Here: those, each a few statements on the control store. Not here: when something is due
(`resources.connectors.planning`) and how waiting is done (`resources.connectors.pacing`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from resources.control.store import (
    CALL_BUDGETS,
    KNOWN_ZONES,
    SLICE_QUEUE,
    STOPPED_SOURCES,
    insert_missing,
    storable,
    take_turn,
    upsert,
)

QueueKey = tuple[str, str, str, str, date]
QUEUE_KEY = ("source", "stream", "breakdown_set", "account_id", "report_date")


@dataclass(frozen=True)
class Waiting:
    """Why a slice is not there yet. `next_attempt_at` None: when it is next planned."""

    attempts: int
    error_class: str
    message: str
    next_attempt_at: datetime | None


@dataclass(frozen=True)
class Stop:
    """Why a source is not called any more, and since when."""

    reason: str
    stopped_at: datetime


@dataclass(frozen=True)
class _Budget:
    """An account's budget as its row says, and how to change that row."""

    calls_left: float
    counted_at: float
    blocked_until: float | None
    store: Callable[..., None]


class IngestionControl:
    """The connectors' part of the control store."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    # --- the queue --------------------------------------------------------------------------------

    def start(self, keys: Sequence[QueueKey], now: datetime) -> None:
        """Note slices as running; what is known of earlier attempts stays."""
        rows = [
            {**_named(key), "status": "running", "attempts": 0, "updated_at": now.timestamp()}
            for key in dict.fromkeys(keys)
        ]
        with self._queue() as connection:
            upsert(connection, SLICE_QUEUE, rows, ("status", "updated_at"))

    def settle(
        self, done: Iterable[QueueKey], waiting: Iterable[tuple[QueueKey, Waiting]], now: datetime
    ) -> None:
        """Take finished slices off the queue and put failed ones back, with their next attempt."""
        rows = {
            key: {
                **_named(key),
                "status": "waiting",
                "attempts": why.attempts,
                "next_attempt_at": None if why.next_attempt_at is None else why.next_attempt_at.timestamp(),
                "error_class": why.error_class,
                "message": storable(why.message),
                "updated_at": now.timestamp(),
            }
            for key, why in waiting
        }
        finished = [_named(key) for key in dict.fromkeys(done) if key not in rows]
        with self._queue() as connection:
            if finished:
                same = (SLICE_QUEUE.c[name] == sa.bindparam(f"that_{name}") for name in finished[0])
                connection.execute(
                    sa.delete(SLICE_QUEUE).where(*same),
                    [{f"that_{name}": value for name, value in key.items()} for key in finished],
                )
            state = ("status", "attempts", "next_attempt_at", "error_class", "message", "updated_at")
            upsert(connection, SLICE_QUEUE, list(rows.values()), state)

    def waiting(self, source: str, account_id: str) -> dict[QueueKey, Waiting]:
        """Slices of an account that failed before."""
        statement = sa.select(SLICE_QUEUE).where(
            SLICE_QUEUE.c.source == source,
            SLICE_QUEUE.c.account_id == account_id,
            SLICE_QUEUE.c.error_class.is_not(None),
        )
        with self._engine.begin() as connection:
            rows = connection.execute(statement).all()
        return {
            (row.source, row.stream, row.breakdown_set, row.account_id, row.report_date): Waiting(
                row.attempts, row.error_class, row.message, _moment(row.next_attempt_at)
            )
            for row in rows
        }

    def forget_killed(self, source: str, account_id: str) -> None:
        """Take slices off that a killed pull of the account began; those that had failed go back to waiting.

        The ledger knows what became of them. Called where a pull begins: an account has one at a time.
        """
        begun = sa.and_(
            SLICE_QUEUE.c.source == source,
            SLICE_QUEUE.c.account_id == account_id,
            SLICE_QUEUE.c.status != "waiting",
        )
        failed = SLICE_QUEUE.c.error_class.is_not(None)
        with self._queue() as connection:
            connection.execute(sa.update(SLICE_QUEUE).where(begun, failed).values(status="waiting"))
            connection.execute(sa.delete(SLICE_QUEUE).where(begun, ~failed))

    def waiting_classes(self, source: str, accounts: Iterable[str]) -> list[str]:
        """The error class of every slice of these accounts that waits for another try."""
        statement = sa.select(SLICE_QUEUE.c.error_class).where(
            SLICE_QUEUE.c.source == source,
            SLICE_QUEUE.c.account_id.in_(list(accounts)),
            SLICE_QUEUE.c.status == "waiting",
        )
        with self._engine.begin() as connection:
            return sorted(connection.execute(statement).scalars())

    def waited_out(
        self, source: str, accounts: Iterable[str], now: datetime
    ) -> list[tuple[QueueKey, int, float]]:
        """Slices of these accounts whose wait is over, with their attempts and its end, ordered by key.

        One that waits for the next planned pull has no moment of its own and is none of them.
        """
        key = [SLICE_QUEUE.c[name] for name in QUEUE_KEY]
        statement = (
            sa.select(*key, SLICE_QUEUE.c.attempts, SLICE_QUEUE.c.next_attempt_at)
            .where(
                SLICE_QUEUE.c.source == source,
                SLICE_QUEUE.c.account_id.in_(list(accounts)),
                SLICE_QUEUE.c.status == "waiting",
                SLICE_QUEUE.c.next_attempt_at <= now.timestamp(),
            )
            .order_by(*key)
        )
        with self._engine.begin() as connection:
            return [((*row[:-2],), *row[-2:]) for row in connection.execute(statement).all()]

    def queue_sizes(self) -> dict[str, dict[str, int]]:
        """Slices by source and status."""
        statement = sa.select(SLICE_QUEUE.c.source, SLICE_QUEUE.c.status, sa.func.count()).group_by(
            SLICE_QUEUE.c.source, SLICE_QUEUE.c.status
        )
        sizes: dict[str, dict[str, int]] = {}
        with self._engine.begin() as connection:
            rows: Iterable[Any] = connection.execute(statement).all()
        for source, status, count in rows:
            sizes.setdefault(source, {})[status] = count
        return sizes

    @contextmanager
    def _queue(self) -> Iterator[sa.Connection]:
        """A transaction in which nobody else writes to the queue."""
        with self._engine.begin() as connection:
            take_turn(connection)
            yield connection

    # --- budgets of calls -------------------------------------------------------------------------

    def take_call(self, source: str, account_id: str, calls_per_hour: float, now: datetime) -> float:
        """Take one call from the account's budget; seconds to wait before making it, 0 if none.

        A token bucket that holds a tenth of an hour's calls and refills steadily. Where it is empty the call
        is taken all the same, on credit: each caller waits its own turn. A block holds everyone.
        """
        moment = now.timestamp()
        holds = max(1.0, calls_per_hour / 10.0)
        with self._budget(source, account_id, holds, moment) as budget:
            # Another caller's moment may be later than ours: its refill must not be given twice.
            counted = max(moment, budget.counted_at)
            refilled = (counted - budget.counted_at) * calls_per_hour / 3600.0
            left = max(min(holds, budget.calls_left + refilled) - 1.0, -calls_per_hour)
            budget.store(calls_left=left, counted_at=counted)
            blocked = (budget.blocked_until or 0.0) - moment
        in_debt = max(0.0, -left) * 3600.0 / calls_per_hour
        return max(in_debt, blocked, 0.0)

    def block(self, source: str, account_id: str, seconds: float, now: datetime) -> None:
        """Hold every caller of this account for `seconds`, as the platform asked one of them to wait."""
        moment = now.timestamp()
        with self._budget(source, account_id, 0.0, moment) as budget:
            budget.store(blocked_until=max(moment + seconds, budget.blocked_until or 0.0))

    @contextmanager
    def _budget(self, source: str, account_id: str, calls: float, moment: float) -> Iterator[_Budget]:
        """An account's budget, locked until the block ends; a new one holds `calls`."""
        key = {"source": source, "account_id": account_id}
        where = sa.and_(CALL_BUDGETS.c.source == source, CALL_BUDGETS.c.account_id == account_id)
        with self._engine.begin() as connection:
            # Only a row that is there can be locked.
            insert_missing(connection, CALL_BUDGETS, {**key, "calls_left": calls, "counted_at": moment})
            row = connection.execute(sa.select(CALL_BUDGETS).where(where).with_for_update()).one()

            def store(**values: float) -> None:
                connection.execute(sa.update(CALL_BUDGETS).where(where).values(values))

            yield _Budget(row.calls_left, row.counted_at, row.blocked_until, store)

    # --- time zones -------------------------------------------------------------------------------

    def zone(self, source: str, account_id: str) -> str | None:
        """The account's time zone as it was last told, so that what is due is known without asking."""
        where = sa.and_(KNOWN_ZONES.c.source == source, KNOWN_ZONES.c.account_id == account_id)
        with self._engine.begin() as connection:
            return connection.execute(sa.select(KNOWN_ZONES.c.timezone).where(where)).scalar_one_or_none()

    def note_zone(self, source: str, account_id: str, timezone: str) -> None:
        """Remember the account's time zone."""
        row = {"source": source, "account_id": account_id, "timezone": timezone}
        with self._engine.begin() as connection:
            upsert(connection, KNOWN_ZONES, [row], ["timezone"])

    # --- stopped sources --------------------------------------------------------------------------

    def stop_source(self, source: str, credential_hash: str, reason: str, now: datetime) -> None:
        """Call this source no more with these credentials."""
        row = {
            "source": source,
            "credential_hash": credential_hash,
            "reason": storable(reason),
            "stopped_at": now.timestamp(),
        }
        with self._engine.begin() as connection:
            upsert(connection, STOPPED_SOURCES, [row], ("credential_hash", "reason", "stopped_at"))

    def stopped(self, source: str, credential_hash: str) -> Stop | None:
        """Why the source was stopped, if it was with these very credentials."""
        statement = sa.select(STOPPED_SOURCES).where(
            STOPPED_SOURCES.c.source == source, STOPPED_SOURCES.c.credential_hash == credential_hash
        )
        with self._engine.begin() as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else Stop(row.reason, datetime.fromtimestamp(row.stopped_at, UTC))

    def resume_source(self, source: str) -> None:
        """Call it again: a person has seen to it."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(STOPPED_SOURCES).where(STOPPED_SOURCES.c.source == source))


def _named(key: QueueKey) -> dict[str, str | date]:
    return dict(zip(QUEUE_KEY, key, strict=True))


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
