"""Apply or hold: which approved raises wait a while, by a draw nobody chooses.

Here: the draw, kept before anything is sent, and the levers it holds. Not here: what is measured
(`models.experiments.lift`), sending (`writer`). Stops, cuts and rollbacks are never drawn for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from models.experiments.assignment import assignment_draw
from resources.control import change_feed, records
from resources.control.records import LEVER, Mode, Record, Refused
from resources.control.store import APPLY_HOLD_ASSIGNMENTS as ASSIGNMENTS


@dataclass(frozen=True)
class HoldRule:
    """How raises are drawn.

    Attributes:
        share: of the approved raises that are held, in [0, 1); 0: none, and nothing is drawn.
        days: length of a window: so long a held lever is not raised, an applied one not drawn again.
        seed: of the settings.
    """

    share: float = 0.0
    days: int = 7
    seed: int = 0


def assign(
    connection: sa.Connection, proposal: Record, rule: HoldRule, mode: Mode, now: datetime
) -> str | None:
    """Draw for a raise that was just approved, and keep the draw; returns why it is held, None: it is not.

    A lever and morning is drawn for once. While a window of the lever is open it is not drawn for again:
    windows of one lever never overlap.
    """
    if not rule.share or proposal["type"] != "raise" or _open_windows(connection, proposal, mode, now):
        return None
    name = (*records.key_of(proposal), proposal["as_of_date"].isoformat())
    draw = assignment_draw(rule.seed, "apply_hold", *name)
    ends_at = now + timedelta(days=rule.days)
    arm = "hold" if draw < rule.share else "apply"
    connection.execute(
        sa.insert(ASSIGNMENTS).values(
            assignment_id=records.short_hash("|".join(name)),
            change_id=change_feed.change_id_of(proposal, "apply"),
            **{column: proposal[column] for column in ("proposal_id", "as_of_date", "track", *LEVER)},
            **{column: proposal[column] for column in ("current_budget", "proposed_budget")},
            mode=mode,
            arm=arm,
            hold_probability=rule.share,
            draw=draw,
            window_days=rule.days,
            assigned_at=now.timestamp(),
            window_ends_at=ends_at.timestamp(),
        )
    )
    return _until(ends_at) if arm == "hold" else None


def held(connection: sa.Connection, lever: Record, mode: Mode, now: datetime) -> str | None:
    """Why a lever keeps its budget now; None: it is not held."""
    for window in _open_windows(connection, lever, mode, now):
        if window["arm"] == "hold":
            return _until(datetime.fromtimestamp(window["window_ends_at"], UTC))
    return None


def require_not_held(connection: sa.Connection, proposal: Record, mode: Mode, now: datetime) -> None:
    """A raise may go on; stops and cuts always may.

    Raises:
        Refused: the lever is held for measurement.
    """
    if proposal["type"] != "raise":
        return
    why = held(connection, proposal, mode, now)
    if why is not None:
        raise Refused(f"{proposal['lever_id']} is {why}; stops and cuts are not.")


def assignments(connection: sa.Connection) -> list[Record]:
    """Every draw, oldest first."""
    statement = sa.select(ASSIGNMENTS).order_by(ASSIGNMENTS.c.assigned_at, ASSIGNMENTS.c.assignment_id)
    return [dict(row) for row in connection.execute(statement).mappings()]


def _open_windows(connection: sa.Connection, lever: Record, mode: Mode, now: datetime) -> list[Record]:
    same_lever = [ASSIGNMENTS.c[name] == lever[name] for name in LEVER]
    is_open = ASSIGNMENTS.c.window_ends_at > now.timestamp()
    statement = sa.select(ASSIGNMENTS).where(*same_lever, ASSIGNMENTS.c.mode == mode, is_open)
    return [dict(row) for row in connection.execute(statement).mappings()]


def _until(moment: datetime) -> str:
    return f"held for measurement until {moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
