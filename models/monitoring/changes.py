"""Why a day differs from another: signups and CAC, split into parts that add up to the cent.

Here: the decomposition and its sentence. Not here: which share of a young day has arrived (`arrival`), plots.

Per lever i of a group that spends C, with shares w, arrival A and restatement R of its account-day:
    signups_i = C · w_i · (impressions/dollar)_i · CTR_i · CVR_i · A_i · R_i,
so CVR is what it will be once everything has arrived. The change of a product between two days is
attributed by the Shapley value over its factors (Shapley 1953; as a decomposition without residual, and
indifferent to which day comes first: Sun 1998, Energy Economics 20; Shorrocks 2013, J. Economic Inequality
11). Levers add up. A logarithmic mean (LMDI) would do as well but has no value at zero, and levers start,
pause and have days without a conversion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import combinations
from math import factorial

import numpy as np
import polars as pl

from models.forecasting.panel import FloatArray

FACTORS = ("spend", "mix", "cpm", "ctr", "cvr", "delay", "restatement")
PARTS = (*FACTORS, "without_clicks")
METRICS = ("signups", "cac")
SCHEMA = pl.Schema(
    [
        ("comparison", pl.String()),
        ("day", pl.Date()),
        ("base_day", pl.Date()),
        ("track", pl.String()),
        ("platform", pl.String()),
        ("metric", pl.String()),
        *((name, pl.Decimal(38, 9)) for name in ("before", "after", "change", *PARTS)),
        ("sentence", pl.String()),
    ]
)
_CENT = Decimal("0.01")
_SAID = {"spend": "spend", "mix": "mix", "cpm": "CPM", "ctr": "CTR", "cvr": "CVR"}
_SHARE_SAID = 0.05  # of all movement: smaller parts are left to the table
_COUNTS = ("cost", "impressions", "clicks", "signups")


@dataclass(frozen=True)
class Split:
    """One comparison: totals of both days and the parts of the change, which add up to it."""

    before: float
    after: float
    parts: Mapping[str, float]


def shapley_of_product(before: FloatArray, after: FloatArray) -> FloatArray:
    """Each factor's part in the change of Σ over units of Π over factors; sums to the change.

    Args:
        before, after: factors by unit, shape (factors, units).
    Returns:
        Shape (factors,). Swapping the days turns every sign.
    """
    count = before.shape[0]
    parts = np.zeros(count)
    for factor in range(count):
        others = [index for index in range(count) if index != factor]
        moved = after[factor] - before[factor]
        for size in range(count):
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            for changed in combinations(others, size):
                rest = [after[i] if i in changed else before[i] for i in others]
                parts[factor] += weight * float((np.prod(rest, axis=0) * moved).sum())
    return parts


def split_signups(units: pl.DataFrame) -> Split:
    """Parts of the change in signups of a group of levers.

    Args:
        units: one row a lever: cost, impressions, clicks, signups, share (arrived, > 0), restatement (> 0),
            each with `_before` and `_after`; zeros where a lever did nothing that day.
    """
    known = {name: units[name].to_numpy().astype(float) for name in units.columns if name != "lever_id"}
    days = ("before", "after")
    ratios = {day: _ratios(known, day) for day in days}
    # What one day leaves undefined did not change: a lever without clicks has no CVR, and its CTR took all.
    filled = {}
    for day, other in (days, days[::-1]):
        own = np.where(np.isnan(ratios[day]), ratios[other], ratios[day])
        filled[day] = np.nan_to_num(own, nan=0.0)
    parts = dict(zip(FACTORS, shapley_of_product(filled["before"], filled["after"]), strict=True))
    total = {day: float(known[f"signups_{day}"].sum()) for day in days}
    # Views convert without a click, and free clicks cost nothing: no product of rates reaches those.
    reached = {day: float(np.prod(filled[day], axis=0).sum()) for day in days}
    parts["without_clicks"] = (total["after"] - reached["after"]) - (total["before"] - reached["before"])
    return Split(total["before"], total["after"], parts)


def _ratios(known: Mapping[str, FloatArray], day: str) -> FloatArray:
    """The seven factors of each lever on one day, shape (factors, levers); nan where undefined."""
    cost, impressions, clicks, signups = (known[f"{name}_{day}"] for name in _COUNTS)
    share, restatement = known[f"share_{day}"], known[f"restatement_{day}"]
    whole = np.full(cost.size, cost.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        found = [
            whole,
            cost / whole,
            impressions / cost,
            clicks / impressions,
            signups / clicks / (share * restatement),
            share,
            restatement,
        ]
    return np.where(np.isfinite(np.array(found)), np.array(found), np.nan)


def split_cac(signups: Split, cost_before: float, cost_after: float) -> Split | None:
    """Parts of the change in CAC = cost / signups, from the parts of signups; None where a day has none.

    The Shapley value of the ratio's two arguments: Δcost · mean(1/S), and Δ(1/S) · mean(cost), which is
    linear in ΔS and so goes to the parts of ΔS in proportion. Spend holds both of its ways: where signups
    grow with spend alone, its part is nil.
    """
    if signups.before <= 0 or signups.after <= 0:
        return None
    per_signup = -(cost_before + cost_after) / 2 / (signups.before * signups.after)
    parts = {name: per_signup * part for name, part in signups.parts.items()}
    parts["spend"] += (cost_after - cost_before) * (1 / signups.before + 1 / signups.after) / 2
    return Split(cost_before / signups.before, cost_after / signups.after, parts)


def explain_changes(
    days: pl.DataFrame, account_days: pl.DataFrame, *, comparisons: Mapping[str, tuple[date, date]]
) -> pl.DataFrame:
    """Every comparison by track (platform `all`) and by track and platform (SCHEMA).

    Args:
        days: date, platform, account_id, track, lever_id, cost, impressions, clicks, signups.
        account_days: date, platform, account_id, share, restatement; 1 where an account-day is missing.
        comparisons: (day, base day) by name. A track without a row on either day has no row here.
    Returns:
        Amounts to the cent (signups to a hundredth); parts add up to `change` exactly. CAC is null where a
        day has no signup.
    """
    joined = days.join(account_days, on=["date", "platform", "account_id"], how="left").with_columns(
        pl.col("share", "restatement").fill_null(1.0)
    )
    rows = []
    for comparison, (day, base_day) in comparisons.items():
        both = joined.filter(pl.col("date").is_in([day, base_day]))
        for track, own in sorted(((str(key[0]), rows) for key, rows in both.group_by("track"))):
            of_platforms = sorted((str(key[0]), rows) for key, rows in own.group_by("platform"))
            for platform, levers in [("all", own), *of_platforms]:
                if levers["date"].n_unique() < 2:
                    continue
                named = {"comparison": comparison, "day": day, "base_day": base_day}
                rows += _explained(levers, named | {"track": track, "platform": platform})
    return pl.DataFrame(rows, schema=SCHEMA)


def _explained(levers: pl.DataFrame, named: dict[str, object]) -> list[dict[str, object]]:
    keys = ["platform", "account_id", "lever_id"]
    values = [*_COUNTS, "share", "restatement"]
    base = levers.filter(pl.col("date") == named["base_day"]).select(*keys, *values)
    now = levers.filter(pl.col("date") == named["day"]).select(*keys, *values)
    units = base.join(now, on=keys, how="full", coalesce=True, suffix="_after").rename(
        {name: f"{name}_before" for name in values}
    )
    units = units.sort(keys)  # sums of floats depend on the order
    of_account = [f"{name}_{day}" for name in ("share", "restatement") for day in ("before", "after")]
    units = units.with_columns(  # an idle lever's account-day is its account's
        pl.col(name).fill_null(pl.col(name).max().over("platform", "account_id")).fill_null(1.0)
        for name in of_account
    ).with_columns(pl.exclude(*keys, *of_account).fill_null(0))
    signups = split_signups(units.drop(keys))
    cost = [float(units[f"cost_{day}"].sum()) for day in ("before", "after")]
    label = str(named["track"]) if named["platform"] == "all" else f"{named['track']}, {named['platform']}"
    rows = []
    for metric, split in zip(METRICS, (signups, split_cac(signups, cost[0], cost[1])), strict=True):
        amounts = {} if split is None else to_the_cent(split)
        rows.append({**named, "metric": metric, **amounts, "sentence": sentence(label, metric, amounts)})
    return rows


def to_the_cent(split: Split) -> dict[str, Decimal]:
    """before, after, change and parts rounded so that they still add up: the largest part takes the rest."""
    before, after = (_rounded(value) for value in (split.before, split.after))
    parts = {name: _rounded(split.parts[name]) for name in PARTS}
    largest = max(PARTS, key=lambda name: (abs(split.parts[name]), name))
    parts[largest] += after - before - sum(parts.values(), Decimal(0))
    return {"before": before, "after": after, "change": after - before, **parts}


def _rounded(value: float) -> Decimal:
    return Decimal(repr(float(value))).quantize(_CENT, ROUND_HALF_EVEN) + 0  # no minus before a zero


def sentence(label: str, metric: str, amounts: Mapping[str, Decimal]) -> str:
    """`Security: −14 signups (112 → 98): −9 CVR, −3 mix, −2 not yet arrived`: largest part first."""
    subject = label[:1].upper() + label[1:]
    if not amounts:
        return f"{subject}: no CAC to compare, one of the days has no signup."
    movement = sum(abs(amounts[name]) for name in PARTS)
    told = sorted(PARTS, key=lambda name: (-abs(amounts[name]), name))
    shown = [name for name in told if movement and abs(amounts[name]) >= movement * Decimal(str(_SHARE_SAID))]
    parts = ", ".join(
        f"{_amount(amounts[name], signed=True)} {_words(name, amounts[name], metric)}" for name in shown
    )
    before, after = _amount(amounts["before"]), _amount(amounts["after"])
    change = _amount(amounts["change"], signed=True)
    what = (
        f"{change} signups ({before} → {after})"
        if metric == "signups"
        else f"CAC {before} → {after} ({change})"
    )
    return f"{subject}: {what}{': ' + parts if parts else ''}."


def _words(part: str, amount: Decimal, metric: str) -> str:
    if part == "delay":
        is_missing = amount < 0 if metric == "signups" else amount > 0
        return "not yet arrived" if is_missing else "more of it arrived"
    if part == "restatement":
        return "restated since first told"
    return _SAID.get(part, "without a paid click")


def _amount(value: Decimal, *, signed: bool = False) -> str:
    digits = 0 if abs(value) >= 10 else 1 if abs(value) >= 1 else 2
    text = f"{abs(value):,.{digits}f}"
    if not signed:
        return text
    return f"{'−' if value < 0 else '+'}{text}"
