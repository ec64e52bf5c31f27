"""People's choices in the place of a proposal, and the days each of them stood.

Here: which decisions are overrides, what was proposed, what was chosen, how long that was in force. Not here:
what the days brought (`outcomes`).

A choice is judged on the whole days after it, seven at most, on which the platform's own snapshots show the
chosen budget, up to the day of the lever's next override: so no day is judged twice, and what was chosen but
never came into force is not judged at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl

LEVER = ["platform", "account_id", "lever_id"]
KINDS = ("rejected", "another_number", "rolled_back", "edited_outside")
WINDOW_DAYS = 7
OURS = "aelp"
"""`proposed_by` of what no person proposed."""
_A_CENT = 0.005
_BEFORE = pl.duration(days=WINDOW_DAYS)  # a change history may tell late of what a snapshot showed

CHOICES = pl.Schema(
    {
        "proposal_id": pl.String(),
        "made_on": pl.Date(),
        "chosen_on": pl.Date(),
        "kind": pl.String(),
        **dict.fromkeys(LEVER, pl.String()),
        "track": pl.String(),
        "current_budget": pl.Float64(),
        "proposed_budget": pl.Float64(),
        "chosen_budget": pl.Float64(),
        "reason": pl.String(),
    }
)


def find_choices(
    proposals: pl.DataFrame,
    approvals: pl.DataFrame,
    changes: pl.DataFrame,
    snapshots: pl.DataFrame,
    edits: pl.DataFrame,
    *,
    timezone: str,
) -> pl.DataFrame:
    """Every override of an edit we proposed (CHOICES), dollars a day; paused or stopped is a budget of 0.

    Args:
        proposals, approvals, changes, snapshots, edits: rows of `ops.proposals`, `ops.approvals`,
            `ops.canary_changes`, `ops.canary_budgets_snapshot` and `ops.external_edits`.
        timezone: IANA zone whose days are meant.
    Returns:
        By lever and time. `chosen_budget` is null where people edited on the platform: its snapshots say it.
        Reasons are as written, but without the names of people these rows know.
    """
    stops = pl.when(pl.col("type") == "stop").then(0.0)
    asked = proposals.filter(pl.col("type").is_in(["raise", "cut", "stop"])).select(
        *("proposal_id", "decision_id", "status", "proposed_by", "created_at", "expires_at"),
        *(*LEVER, "track"),
        pl.col("as_of_date").alias("made_on"),
        pl.col("reason").alias("own_reason"),
        pl.col("current_budget").cast(pl.Float64),
        stops.otherwise(pl.col("proposed_budget").cast(pl.Float64)).alias("asked_budget"),
    )
    about = [*LEVER, "made_on", "decision_id"]
    ours = (
        asked.filter(pl.col("proposed_by") == OURS)
        .sort("created_at", "proposal_id")
        .unique(about, keep="last", maintain_order=True)
        .select(*about, proposed_budget="asked_budget")
    )
    known = asked.join(ours, on=about)
    made = [
        _rejected(known, approvals),
        _another_number(known, approvals),
        _rolled_back(known, changes, snapshots),
        _edited_outside(known, edits),
    ]
    names = _names(approvals["approver"], proposals["proposed_by"], changes["person"], edits["person"])
    chosen = pl.col("at").dt.convert_time_zone(timezone).dt.date()
    return (
        pl.concat(
            rows.select(*CHOICES.names()[:2], "at", pl.lit(kind).alias("kind"), *CHOICES.names()[4:])
            for kind, rows in zip(KINDS, made, strict=True)
        )
        .with_columns(
            chosen.alias("chosen_on"),
            pl.col("reason").map_elements(lambda text: _nameless(text, names), return_dtype=pl.String),
        )
        .filter(_differs(pl.col("chosen_budget"), pl.col("proposed_budget")).fill_null(value=True))
        .sort(*LEVER, "at", "proposal_id")
        .select(CHOICES.names())
        .cast(CHOICES)
    )


def _rejected(known: pl.DataFrame, approvals: pl.DataFrame) -> pl.DataFrame:
    signed = approvals.filter(pl.col("verdict") == "reject").select("proposal_id", "reason", at="decided_at")
    rows = known.filter(pl.col("status") == "rejected").join(signed, on="proposal_id")
    return rows.with_columns(chosen_budget=pl.col("current_budget"))


def _another_number(known: pl.DataFrame, approvals: pl.DataFrame) -> pl.DataFrame:
    signed = approvals.filter(pl.col("verdict") == "approve").group_by("proposal_id")
    by_hand = known.filter(pl.col("proposed_by") != OURS, pl.col("status") == "approved")
    rows = by_hand.join(signed.agg(at=pl.col("decided_at").max()), on="proposal_id")
    return rows.with_columns(chosen_budget=pl.col("asked_budget"), reason=pl.col("own_reason"))


def _rolled_back(known: pl.DataFrame, changes: pl.DataFrame, snapshots: pl.DataFrame) -> pl.DataFrame:
    is_active = pl.col("status") == "active"
    after = snapshots.filter(pl.col("moment") == "after").select(
        "change_id", chosen_budget=pl.when(is_active).then(pl.col("budget").cast(pl.Float64)).otherwise(0.0)
    )
    newest = (
        changes.filter(pl.col("kind") == "rollback")
        .sort("sequence")
        .unique("proposal_id", keep="last", maintain_order=True)
        .join(after, on="change_id")
        .select("proposal_id", "reason", "chosen_budget", at="created_at")
    )
    return known.filter(pl.col("status") == "rolled_back").join(newest, on="proposal_id")


def _edited_outside(known: pl.DataFrame, edits: pl.DataFrame) -> pl.DataFrame:
    withdrawn = known.filter(pl.col("status") == "withdrawn")
    newest = (
        withdrawn.select("proposal_id", *LEVER, "created_at", "expires_at")
        .join(edits.select(*LEVER, "edited_at"), on=LEVER)
        .filter(pl.col("edited_at").is_between(pl.col("created_at") - _BEFORE, pl.col("expires_at")))
        .group_by("proposal_id")
        .agg(pl.col("edited_at").max())
    )
    return withdrawn.join(newest, on="proposal_id", how="left").with_columns(
        at=pl.max_horizontal("edited_at", "created_at"),
        chosen_budget=pl.lit(None, dtype=pl.Float64),
        reason=pl.lit(None, dtype=pl.String),
    )


def standing_days(choices: pl.DataFrame, levers: pl.DataFrame) -> pl.DataFrame:
    """The days each choice is judged on: CHOICES with `chosen_budget` known, and `date`, a row per day.

    Args:
        choices: of `find_choices`.
        levers: date, platform, account_id, lever_id, status, current_budget; the newest snapshot of a day.
    """
    in_force = (
        levers.drop_nulls("current_budget")
        .select(
            *LEVER,
            "date",
            in_force=pl.when(pl.col("status") == "active")
            .then(pl.col("current_budget").cast(pl.Float64))
            .otherwise(0.0),
        )
        .sort("date")
    )
    next_on = pl.col("chosen_on").shift(-1).over(LEVER)
    whole_days = pl.date_ranges(
        pl.col("chosen_on") + pl.duration(days=1), pl.col("chosen_on") + pl.duration(days=WINDOW_DAYS)
    )
    days = (
        choices.with_columns(next_on.alias("next_on"), whole_days.alias("date"))
        .explode("date")
        .filter(pl.col("next_on").is_null() | (pl.col("date") <= pl.col("next_on")))
        .sort("date")
        .join_asof(in_force, on="date", by=LEVER, check_sortedness=False)
        .sort("proposal_id", "date")
        .with_columns(
            pl.coalesce("chosen_budget", pl.col("in_force").first().over("proposal_id")).alias(
                "chosen_budget"
            )
        )
    )
    stands = ~_differs(pl.col("in_force"), pl.col("chosen_budget")).fill_null(value=True)
    return days.filter(
        stands.cast(pl.Int8).cum_min().over("proposal_id") == 1,
        _differs(pl.col("chosen_budget"), pl.col("proposed_budget")),
    ).select(*CHOICES.names(), "date")


def _differs(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    return (one - other).abs() >= _A_CENT


def _names(*columns: Iterable[str | None]) -> list[str]:
    """What the rows call people, longest first; a full name also by its parts, an address before @."""
    whole = {name for column in columns for name in column if name and name != OURS}
    parts = {part for name in whole for part in ([name.split("@")[0]] if "@" in name else name.split())}
    return sorted({name for name in whole | parts if len(name) > 1}, key=lambda name: (-len(name), name))


def _nameless(text: str, names: Iterable[str]) -> str:
    for name in names:
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "a person", text, flags=re.IGNORECASE)
    return text
