"""What a switch of an arm must keep besides an approval: its evidence, and a lever that still delivers.

Here: the morning's evidence about arms, kept by its hash, and one switch judged by it, there and back
(money invariants 3, 6 and 10). Not here: levers' own edits (`models.guardrails`), what to switch
(`models.arms`), calls (`arm_payloads`).

Pausing is a stop: allowed in freeze windows and while the lever learns, on evidence alone. Enabling counts as
a raise of its lever, though it moves no budget.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import sqlalchemy as sa

from models.guardrails import GuardrailLimits, Violation, verify_decisions
from resources.control import records
from resources.control.arm_payloads import SPLIT_TEST, SWITCHES, ArmTarget, ArmValue, object_id, read_value
from resources.control.records import BUDGET, LEVER, Mode, Record, Refused
from resources.control.store import ARM_EVIDENCE, CHANGES

EVIDENCE_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("platform", "account_id", "track", "lever_id"), pl.String()),
        **dict.fromkeys(("arm_kind", "arm_id", "arm_name", "adgroup_id", "status"), pl.String()),
        "advisory": pl.Boolean(),
        **dict.fromkeys(("type", "reason", "design"), pl.String()),
        "spend": BUDGET,  # matured, in the window
        "window_days": pl.Int64(),
        "reward_mean": pl.Float64(),
        **dict.fromkeys(("cac_p10", "cac_p50", "cac_p90"), pl.Float64()),
        **dict.fromkeys(("p_cac_above_cap", "p_best", "p_ctr_below"), pl.Float64()),
    }
)
"""A morning's decisions about arms with what they rest on; one row per arm."""

# Of the rules a raise of the lever would have to keep, those that a switch can break: it moves no budget.
_AS_A_RAISE = (
    *("kill", "known_track", "real_lever", "advisory", "account_audit", "active_status", "learning"),
    *("cooldown", "safety_stop", "seasonal_freeze", "track_evidence", "freeze", "contribution"),
)
# What the way back must still obey where it switches an arm on.
_AS_A_WAY_BACK = ("kill", "known_track", "safety_stop", "seasonal_freeze")
# A conflict is not among them: somebody else switched the arm.
_LEFT_AS_IT_WAS = ("refused", "blocked", "withdrawn", "held")


@dataclass(frozen=True)
class ArmLimits:
    """The bounds of switches that are not the levers' own.

    Attributes:
        enable_probability: P(CAC <= cap) a paused arm needs to be switched on.
        fast_fail_probability: P(CTR below the line) above which a test-lane ad has failed.

    Raises:
        ValueError: outside [0.5, 1], or [0.9, 1).
    """

    enable_probability: float = 0.8
    fast_fail_probability: float = 0.95

    def __post_init__(self) -> None:
        if not (0.5 <= self.enable_probability <= 1 and 0.9 <= self.fast_fail_probability < 1):
            raise ValueError("needs enable_probability in [0.5, 1] and fast_fail_probability in [0.9, 1)")


@dataclass(frozen=True)
class Known:
    """What one switch is judged by.

    Attributes:
        arms: `EVIDENCE_SCHEMA`, all arms of a morning.
        levers: `STATE_SCHEMA`, the newest lever states; None: nothing was ever decided on.
        off: object ids that changes of ours paused since that morning began, or are to.
        lever_edited_at: when a change of ours to its lever last took place.
    """

    arms: pl.DataFrame
    levers: pl.DataFrame | None
    off: frozenset[str]
    lever_edited_at: datetime | None = None


# --- the evidence ---------------------------------------------------------------------------------------


def keep_evidence(connection: sa.Connection, arms: pl.DataFrame, as_of_date: date) -> str:
    """Store a morning's evidence under its hash, which is returned; it is the newest from now on."""
    frame = arms.select(EVIDENCE_SCHEMA.names()).sort("platform", "account_id", "arm_kind", "arm_id")
    return records.keep_frame(connection, ARM_EVIDENCE, frame, as_of_date, are_newest=True)


def evidence_of(connection: sa.Connection, proposal: Record) -> Record | None:
    """What a stored proposal about an arm rests on; None: it was changed since, or is not its own."""
    try:
        _, arms = records.frame_under(connection, ARM_EVIDENCE, proposal["states_hash"])
    except Refused:
        return None
    return _row_of(arms, ArmTarget(**json.loads(proposal["payload"])["target"]))


def known_under(
    connection: sa.Connection,
    states_hash: str | None,
    target: ArmTarget,
    mode: Mode,
    limits: GuardrailLimits,
    now: datetime,
) -> Known | None:
    """What is known of an arm: by the evidence of that hash, or by the newest; None: by none.

    Raises:
        Refused: the evidence was changed since.
    """
    if states_hash is None:
        newest = records.newest_frame(connection, ARM_EVIDENCE)
        if newest is None:
            return None
        morning, arms = newest
    else:
        morning, arms = records.frame_under(connection, ARM_EVIDENCE, states_hash)
    lever = {"platform": target.platform, "account_id": target.account_id, "lever_id": target.lever_id}
    states = records.newest_frame(connection)
    today = now.astimezone(limits.timezone).date()
    return Known(
        arms=arms,
        levers=None if states is None else records.on_its_day(states[1], states[0], today),
        off=_off_since(connection, target, mode, morning),
        lever_edited_at=records.last_edit(connection, {**lever, "mode": mode}),
    )


def _off_since(connection: sa.Connection, target: ArmTarget, mode: Mode, morning: date) -> frozenset[str]:
    """Arms of the account that are off, or soon are, whatever the morning's evidence says of them.

    What is to be switched on again is off until it was.
    """
    began = datetime.combine(morning, time(), UTC) - timedelta(hours=14)  # the earliest a day begins anywhere
    here = CHANGES.c.platform == target.platform, CHANGES.c.account_id == target.account_id
    recent = CHANGES.c.finished_at.is_(None) | (CHANGES.c.finished_at >= began.timestamp())
    off: set[str] = set()
    for row in records.changes(connection, *here, recent, CHANGES.c.mode == mode):
        value = read_value(json.loads(row["after"]))
        if isinstance(value, ArmValue) and row["status"] not in _LEFT_AS_IT_WAS:
            if value.status == "paused":
                off.add(row["lever_id"])
            elif row["status"] == "applied":
                off.discard(row["lever_id"])
    return frozenset(off)


# --- one switch -----------------------------------------------------------------------------------------


def violations(
    proposal: Record, known: Known, limits: GuardrailLimits, arm_limits: ArmLimits, now: datetime
) -> list[Violation]:
    """The rules a switch or split test breaks.

    Args:
        proposal: stored or only thought of.
    """
    return list(_violations(proposal, known, limits, arm_limits, now))


def _violations(
    proposal: Record, known: Known, limits: GuardrailLimits, arm_limits: ArmLimits, now: datetime
) -> Iterator[Violation]:
    payload = json.loads(proposal["payload"])
    target, kind = ArmTarget(**payload["target"]), proposal["type"]
    where = target.object_id
    row = _row_of(known.arms, target)
    if row is None:
        yield Violation("real_arm", where, "no such arm of that lever is known")
        return
    if limits.tracks.get(row["track"]) is None or row["track"] != proposal["track"]:
        yield Violation("known_track", where, f"{proposal['track']} is not its track in the settings")
        return
    if row["advisory"] is not False:
        yield Violation("advisory", where, "its lever is declared by a file: no platform takes the switch")
    if any(Decimal(proposal[name]) for name in ("current_budget", "proposed_budget")):
        yield Violation("real_lever", where, "an arm without a budget of its own is never given one")
    if row["status"] != payload["before"]["status"]:
        yield Violation("stale", where, f"it starts from {payload['before']['status']}, not {row['status']}")
        return
    if kind == SPLIT_TEST:
        yield from _split_test(payload, row, known)
        return
    if (payload["before"]["status"], payload["after"]["status"]) != SWITCHES.get(kind):
        yield Violation("type", where, f"type {kind} does not describe this switch")
    elif kind == "pause":
        if not (_costs_too_much(row, limits) or _fails_its_test(row, arm_limits)):
            yield Violation("safety_stop", where, "a pause without its evidence")
        yield from _last_one(row, known, arm_limits)
    else:
        yield from _enabled(row, known, limits, arm_limits, now)


def way_back_violations(
    target: ArmTarget,
    after: str,
    known: Known | None,
    limits: GuardrailLimits,
    arm_limits: ArmLimits,
    now: datetime,
) -> list[Violation]:
    """What undoing a switch breaks, as far as the arm and its lever are still known.

    Switched on again it obeys freeze windows, and waits while its own evidence or its lever's demands the
    stop; switched off again, it may not be the last that runs.

    Args:
        after: the status it is brought back to.
    """
    row = None if known is None else _row_of(known.arms, target)
    if known is None or row is None:
        return []
    if after == "paused":
        return list(_last_one(row, known, arm_limits))
    found = [v for v in _as_a_raise(row, known, limits, now) if v.rule in _AS_A_WAY_BACK]
    if _costs_too_much(row, limits) or _fails_its_test(row, arm_limits):
        found.append(Violation("safety_stop", target.object_id, "its evidence still demands the pause"))
    return found


def _split_test(payload: Mapping[str, Any], row: Record, known: Known) -> Iterator[Violation]:
    tested = payload["design"].get("arms", [])
    alike = known.arms.filter(_beside(row), pl.col("arm_kind") == row["arm_kind"])
    running = set(alike.filter(pl.col("status") == "active")["arm_id"])
    if len(set(tested)) != 2 or row["arm_id"] not in tested or not running.issuperset(tested):
        where = object_id(row["arm_kind"], row["arm_id"])
        yield Violation(
            "type", where, "a split test needs two running arms of one lever, this one among them"
        )


def _enabled(
    row: Record, known: Known, limits: GuardrailLimits, arm_limits: ArmLimits, now: datetime
) -> Iterator[Violation]:
    where, above = object_id(row["arm_kind"], row["arm_id"]), row["p_cac_above_cap"]
    proven = above is not None and 1 - above >= arm_limits.enable_probability
    if not proven or not _spent_enough(row, limits) or _fails_its_test(row, arm_limits):
        yield Violation("evidence", where, "an arm is switched on by its own evidence alone")
    for found in _as_a_raise(row, known, limits, now):
        if found.rule in _AS_A_RAISE:
            yield Violation(found.rule, where, f"its lever may not be raised: {found.message}")


def _as_a_raise(row: Record, known: Known, limits: GuardrailLimits, now: datetime) -> list[Violation]:
    """What the smallest raise of the arm's lever would break beside every rule about amounts."""
    key = {name: row[name] for name in LEVER}
    if known.levers is None:
        return [Violation("real_lever", row["lever_id"], "no such lever is known")]
    mine = pl.all_horizontal(pl.col(name) == value for name, value in key.items())
    levers = known.levers
    if known.lever_edited_at is not None:
        edited = pl.max_horizontal("last_edited_at", pl.lit(known.lever_edited_at))
        levers = levers.with_columns(
            pl.when(mine).then(edited).otherwise("last_edited_at").alias("last_edited_at")
        )
    found = levers.filter(mine)
    budget = found["current_budget"][0] if found.height else None
    current = Decimal(0) if budget is None else budget
    step = (found["budget_increment"][0] if found.height else None) or Decimal("0.01")
    asked = {**key, "type": "raise", "current_budget": current, "proposed_budget": current + step}
    where = "/".join(key.values())
    judged = verify_decisions(records.judged([asked]), levers, limits, now)
    return [violation for violation in judged if violation.where == where]


def _last_one(row: Record, known: Known, arm_limits: ArmLimits) -> Iterator[Violation]:
    """A lever keeps an arm of each kind that runs, and an ad in an ad group that does.

    A test-lane ad that failed its click test is its ad set's only one, and may be paused.
    """
    if _fails_its_test(row, arm_limits):
        return
    arms = known.arms.filter(_beside(row)).to_dicts()
    own = object_id(row["arm_kind"], row["arm_id"])
    off = known.off | {own}
    alike = [arm for arm in arms if arm["arm_kind"] == row["arm_kind"]]
    darkens = _delivering(arms, known.off - {own}) and not _delivering(arms, off)
    if darkens or not _running(alike, off):
        yield Violation("last_running", own, "the last that runs of its lever, which is the lever's to stop")


def _delivering(arms: Sequence[Record], off: frozenset[str]) -> set[str]:
    """Ads whose own switch and whose ad group's are on."""
    dark = {
        arm["arm_id"]
        for arm in arms
        if arm["arm_kind"] == "adgroup" and object_id("adgroup", arm["arm_id"]) not in _running(arms, off)
    }
    ads = [arm for arm in arms if arm["arm_kind"] == "ad" and arm["adgroup_id"] not in dark]
    return _running(ads, off)


def _running(arms: Sequence[Record], off: frozenset[str]) -> set[str]:
    names = {object_id(arm["arm_kind"], arm["arm_id"]) for arm in arms if arm["status"] == "active"}
    return names - off


def _costs_too_much(row: Record, limits: GuardrailLimits) -> bool:
    above = row["p_cac_above_cap"]
    return above is not None and above > limits.stop_probability and _spent_enough(row, limits)


def _spent_enough(row: Record, limits: GuardrailLimits) -> bool:
    track = limits.tracks.get(row["track"])
    least = Decimal(str(limits.stop_spend_caps))
    return track is not None and (row["spend"] or Decimal(0)) >= least * track.cac_cap


def _fails_its_test(row: Record, arm_limits: ArmLimits) -> bool:
    below = row["p_ctr_below"]
    return below is not None and below > arm_limits.fast_fail_probability


def _beside(row: Record) -> pl.Expr:
    """Arms of the same lever."""
    return pl.all_horizontal(pl.col(name) == row[name] for name in LEVER)


def _row_of(arms: pl.DataFrame, target: ArmTarget) -> Record | None:
    own = ("platform", "account_id", "lever_id", "arm_kind", "arm_id")
    found = arms.filter(pl.col(name) == getattr(target, name) for name in own)
    return found.row(0, named=True) if found.height == 1 else None
