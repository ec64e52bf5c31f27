"""What pulls share: the retry queue, each account's budget of calls and time zone, and stopped sources.

Here: those, each a few statements on the control store. Not here: when something is due
(`resources.connectors.planning`) and how waiting is done (`resources.connectors.pacing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from resources.control.store import CALL_BUDGETS, KNOWN_ZONES, SLICE_QUEUE, STOPPED_SOURCES

QueueKey = tuple[str, str, str, str, date]  # source, stream, breakdown_set, account_id, report_date


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


class IngestionControl:
    """The connectors' part of the control store."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    # --- the queue --------------------------------------------------------------------------------

    def plan(self, keys: Sequence[QueueKey], now: datetime) -> None:
        """Note slices as planned; what is known of earlier attempts stays."""
        self._note(keys, "planned", now)

    def start(self, keys: Sequence[QueueKey], now: datetime) -> None:
        """Note slices as running."""
        self._note(keys, "running", now)

    def settle(
        self, done: Iterable[QueueKey], waiting: Iterable[tuple[QueueKey, Waiting]], now: datetime
    ) -> None:
        """Take finished slices off the queue and put failed ones back, with their next attempt."""
        with self._engine.begin() as connection:
            for key in done:
                connection.execute(sa.delete(SLICE_QUEUE).where(_is(key)))
            for key, why in waiting:
                connection.execute(sa.delete(SLICE_QUEUE).where(_is(key)))
                connection.execute(
                    sa.insert(SLICE_QUEUE).values(
                        **_named(key),
                        status="waiting",
                        attempts=why.attempts,
                        next_attempt_at=None
                        if why.next_attempt_at is None
                        else why.next_attempt_at.timestamp(),
                        error_class=why.error_class,
                        message=why.message,
                        updated_at=now.timestamp(),
                    )
                )

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
        with self._engine.begin() as connection:
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

    def _note(self, keys: Sequence[QueueKey], status: str, now: datetime) -> None:
        with self._engine.begin() as connection:
            for key in keys:
                changed = connection.execute(
                    sa.update(SLICE_QUEUE).where(_is(key)).values(status=status, updated_at=now.timestamp())
                )
                if not changed.rowcount:
                    connection.execute(
                        sa.insert(SLICE_QUEUE).values(
                            **_named(key), status=status, attempts=0, updated_at=now.timestamp()
                        )
                    )

    # --- budgets of calls -------------------------------------------------------------------------

    def take_call(self, source: str, account_id: str, calls_per_hour: float, now: datetime) -> float:
        """Take one call from the account's budget; seconds to wait before making it, 0 if none.

        A token bucket that holds a tenth of an hour's calls and refills steadily. Where it is empty the call
        is taken all the same, on credit: each caller waits its own turn. A block holds everyone.
        """
        moment = now.timestamp()
        holds = max(1.0, calls_per_hour / 10.0)
        where = sa.and_(CALL_BUDGETS.c.source == source, CALL_BUDGETS.c.account_id == account_id)
        with self._engine.begin() as connection:
            row = connection.execute(sa.select(CALL_BUDGETS).where(where)).one_or_none()
            left, blocked = holds, 0.0
            if row is not None:
                refilled = max(0.0, moment - row.counted_at) * calls_per_hour / 3600.0
                left, blocked = min(holds, row.calls_left + refilled), row.blocked_until or 0.0
            left = max(left - 1.0, -calls_per_hour)
            self._store_budget(connection, where, source, account_id, left, moment, blocked or None)
        in_debt = max(0.0, -left) * 3600.0 / calls_per_hour
        return max(in_debt, blocked - moment, 0.0)

    def block(self, source: str, account_id: str, seconds: float, now: datetime) -> None:
        """Hold every caller of this account for `seconds`, as the platform asked one of them to wait."""
        moment = now.timestamp()
        where = sa.and_(CALL_BUDGETS.c.source == source, CALL_BUDGETS.c.account_id == account_id)
        with self._engine.begin() as connection:
            row = connection.execute(sa.select(CALL_BUDGETS).where(where)).one_or_none()
            until = max(moment + seconds, (row.blocked_until or 0.0) if row is not None else 0.0)
            left = row.calls_left if row is not None else 0.0
            counted = row.counted_at if row is not None else moment
            self._store_budget(connection, where, source, account_id, left, counted, until)

    def _store_budget(
        self,
        connection: sa.Connection,
        where: sa.ColumnElement[bool],
        source: str,
        account_id: str,
        left: float,
        counted_at: float,
        blocked_until: float | None,
    ) -> None:
        values = {"calls_left": left, "counted_at": counted_at, "blocked_until": blocked_until}
        if not connection.execute(sa.update(CALL_BUDGETS).where(where).values(values)).rowcount:
            connection.execute(sa.insert(CALL_BUDGETS).values(source=source, account_id=account_id, **values))

    # --- time zones -------------------------------------------------------------------------------

    def zone(self, source: str, account_id: str) -> str | None:
        """The account's time zone as it was last told, so that what is due is known without asking."""
        where = sa.and_(KNOWN_ZONES.c.source == source, KNOWN_ZONES.c.account_id == account_id)
        with self._engine.begin() as connection:
            return connection.execute(sa.select(KNOWN_ZONES.c.timezone).where(where)).scalar_one_or_none()

    def note_zone(self, source: str, account_id: str, timezone: str) -> None:
        """Remember the account's time zone."""
        where = sa.and_(KNOWN_ZONES.c.source == source, KNOWN_ZONES.c.account_id == account_id)
        with self._engine.begin() as connection:
            if not connection.execute(sa.update(KNOWN_ZONES).where(where).values(timezone=timezone)).rowcount:
                connection.execute(
                    sa.insert(KNOWN_ZONES).values(source=source, account_id=account_id, timezone=timezone)
                )

    # --- stopped sources --------------------------------------------------------------------------

    def stop_source(self, source: str, credential_hash: str, reason: str, now: datetime) -> None:
        """Call this source no more with these credentials."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(STOPPED_SOURCES).where(STOPPED_SOURCES.c.source == source))
            connection.execute(
                sa.insert(STOPPED_SOURCES).values(
                    source=source,
                    credential_hash=credential_hash,
                    reason=reason,
                    stopped_at=now.timestamp(),
                )
            )

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
    names = ("source", "stream", "breakdown_set", "account_id", "report_date")
    return dict(zip(names, key, strict=True))


def _is(key: QueueKey) -> sa.ColumnElement[bool]:
    return sa.and_(*(SLICE_QUEUE.c[name] == value for name, value in _named(key).items()))


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
