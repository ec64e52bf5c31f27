"""May a track's automation be trusted this morning? Criterion by criterion, and never by default.

Here: the criteria and their thresholds. Not here: what they are measured on (other tables), who asks.
A criterion without evidence is not passed: its value is null and its detail says what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from models.monitoring.reviews import DRIFT_ALARM, PROMISED

ALL = "all_criteria"
_ACCOUNT = ["platform", "account_id"]
SCHEMA = pl.Schema(
    {
        "as_of_date": pl.Date,
        "track": pl.String,
        "criterion": pl.String,
        "value": pl.Float64,
        "requirement": pl.String,
        "threshold": pl.Float64,
        "passed": pl.Boolean,
        "detail": pl.String,
    }
)


@dataclass(frozen=True)
class Thresholds:
    """What a track must reach; all counts and days are whole numbers."""

    max_data_age_days: int
    eligible_spend: float = 0.9
    matured_signups: int = 100
    applied_changes: int = 20


@dataclass(frozen=True)
class Evidence:
    """What is known this morning.

    Args:
        verdicts: `decision_accounts` of this morning: platform, account_id, last_report_date, eligible,
            reason.
        recent: platform, account_id, track, cost, signups over the last days (spend) by account.
        matured: track, signups over the matured days of the posterior's window.
        accuracy: newest `forecast_accuracy`: platform, account_id, method, metric, horizon_days,
            coverage, coverage_low, coverage_high.
        drift: from `reviews.drift`.
        reconciliations: from `reconciliation.reconcile`.
        applied: changes that took place on the platforms, by track.
        placebos: newest `apply_hold_lift` of windows nothing was sent in: comparison, metric, lift, lift_low,
            lift_high; null without a window.
        lift: the same of windows in the settings' mode; empty where it sends nothing.
    """

    verdicts: pl.DataFrame
    recent: pl.DataFrame
    matured: pl.DataFrame
    accuracy: pl.DataFrame
    drift: pl.DataFrame
    reconciliations: pl.DataFrame
    applied: Mapping[str, int]
    placebos: pl.DataFrame
    lift: pl.DataFrame


@dataclass(frozen=True)
class _Verdict:
    criterion: str
    value: float | None
    requirement: str
    threshold: float | None
    detail: str
    is_met: bool | None = None  # where the threshold alone does not say

    @property
    def passed(self) -> bool:
        if self.is_met is not None:
            return self.is_met
        if self.value is None or self.threshold is None:
            return False
        if self.requirement == "at least":
            return self.value >= self.threshold
        return self.value <= self.threshold


def readiness(
    tracks: list[str], evidence: Evidence, thresholds: Thresholds, *, as_of_date: date
) -> pl.DataFrame:
    """One row per track and criterion, and `all_criteria`: passed only where every one is (SCHEMA)."""
    rows = []
    for track in tracks:
        found = [
            *_data(track, evidence, thresholds, as_of_date),
            _matured(track, evidence, thresholds),
            _coverage(track, evidence),
            _drift(track, evidence),
            _reconciled(track, evidence),
            _applied(track, evidence, thresholds),
            _placebo(evidence),
            _lift(evidence),
        ]
        missing = [verdict.criterion for verdict in found if not verdict.passed]
        found.append(
            _Verdict(
                ALL,
                float(len(found) - len(missing)),
                "at least",
                float(len(found)),
                f"Not ready: {', '.join(missing)}." if missing else "Every criterion is met.",
            )
        )
        rows += [
            {
                "as_of_date": as_of_date,
                "track": track,
                "criterion": verdict.criterion,
                "value": verdict.value,
                "requirement": verdict.requirement,
                "threshold": verdict.threshold,
                "passed": verdict.passed,
                "detail": verdict.detail,
            }
            for verdict in found
        ]
    return pl.DataFrame(rows, schema=SCHEMA)


def _data(track: str, evidence: Evidence, thresholds: Thresholds, as_of_date: date) -> list[_Verdict]:
    own = evidence.recent.filter(pl.col("track") == track).join(
        evidence.verdicts, on=_ACCOUNT, how="left", maintain_order="left"
    )
    spend = float(own["cost"].sum())
    reported: list[date | None] = own["last_report_date"].to_list()
    known = [day for day in reported if day is not None]
    oldest = min(known) if known and len(known) == len(reported) else None
    age = None if oldest is None else float((as_of_date - oldest).days)
    allowed = float(thresholds.max_data_age_days)
    fresh = (
        f"The oldest of its accounts reports up to {oldest}."
        if oldest is not None
        else "An account of this track has no verdict this morning yet, or none spends."
    )
    share = float(own.filter(pl.col("eligible"))["cost"].sum()) / spend if spend else None
    refused = own.filter(~pl.col("eligible").fill_null(False))
    why = "; ".join(
        f"{row['platform']}/{row['account_id']}: {row['reason'] or 'not audited this morning yet'}"
        for row in refused.sort(_ACCOUNT).iter_rows(named=True)
    )
    return [
        _Verdict("data_fresh", age, "at most", allowed, fresh),
        _Verdict(
            "accounts_eligible",
            share,
            "at least",
            thresholds.eligible_spend,
            why or ("All its accounts passed their audit." if spend else "It spends nothing."),
        ),
    ]


def _matured(track: str, evidence: Evidence, thresholds: Thresholds) -> _Verdict:
    signups = float(evidence.matured.filter(pl.col("track") == track)["signups"].sum())
    detail = f"{signups:,.0f} matured signups stand behind its decisions."
    return _Verdict("matured_evidence", signups, "at least", float(thresholds.matured_signups), detail)


def _coverage(track: str, evidence: Evidence) -> _Verdict:
    of_track = evidence.recent.filter(pl.col("track") == track).select(_ACCOUNT).unique()
    scored = evidence.accuracy.filter(
        (pl.col("method") == "aelp") & pl.col("metric").is_in(["clicks", "conversions"])
    ).join(of_track, on=["platform", "account_id"], how="semi")
    if scored.is_empty():
        return _Verdict("coverage", None, "includes", PROMISED, "Not yet: no backtest of its accounts.")
    by_distance = scored.sort(
        -(pl.col("coverage") - PROMISED).abs(), *_ACCOUNT, "metric", "horizon_days", nulls_last=True
    )
    missed = by_distance.filter((pl.col("coverage_low") > PROMISED) | (pl.col("coverage_high") < PROMISED))
    furthest = by_distance.row(0, named=True)
    named = "; ".join(
        f"{row['platform']} {row['metric']} {row['horizon_days']} d: {row['coverage_low']:.0%} to "
        f"{row['coverage_high']:.0%}"
        for row in missed.head(3).iter_rows(named=True)
    )
    detail = (
        f"{missed.height} of {scored.height} intervals of coverage exclude 80 %: {named}."
        if missed.height
        else f"All {scored.height} intervals of coverage include 80 %."
    )
    return _Verdict("coverage", furthest["coverage"], "includes", PROMISED, detail, missed.is_empty())


def _drift(track: str, evidence: Evidence) -> _Verdict:
    own = evidence.drift.filter(pl.col("track") == track)
    live = own.filter(pl.col("basis") == "live")
    if live.is_empty():
        return _Verdict(
            "no_drift", None, "at most", DRIFT_ALARM, "Not yet: no morning's forecast has met its day."
        )
    row = live.row(0, named=True)
    detail = f"{row['coverage']:.0%} of levers' clicks were inside p10–p90 over {row['days']} days."
    return _Verdict("no_drift", row["e_value"], "at most", DRIFT_ALARM, detail)


def _reconciled(track: str, evidence: Evidence) -> _Verdict:
    own = evidence.reconciliations.filter(pl.col("track") == track)
    if own.is_empty():
        return _Verdict("reconciled", None, "in range", None, "Not yet compared with the backend.")
    row = own.row(0, named=True)
    return _Verdict(
        "reconciled", row["claimed_per_order"], "in range", None, row["detail"], row["status"] == "in_range"
    )


def _applied(track: str, evidence: Evidence, thresholds: Thresholds) -> _Verdict:
    count = evidence.applied.get(track, 0)
    enough = count >= thresholds.applied_changes
    detail = f"{count} approved changes took place on the platforms" + (
        "." if enough else ": not yet enough to tell their effect from levers held back."
    )
    return _Verdict("applied_changes", float(count), "at least", float(thresholds.applied_changes), detail)


def _placebo(evidence: Evidence) -> _Verdict:
    known = evidence.placebos.drop_nulls(["lift_low", "lift_high"])
    if known.is_empty():
        detail = "Not yet: no window without a change has matured."
        return _Verdict("placebo_lift", None, "includes", 0.0, detail)
    wrong = known.filter((pl.col("lift_low") > 0) | (pl.col("lift_high") < 0))
    by_size = (wrong if wrong.height else known).sort(-pl.col("lift").abs(), "comparison", "metric")
    shown = by_size.row(0, named=True)
    interval = (
        f"{shown['comparison']} {shown['metric']} {shown['lift_low']:+.3f} to {shown['lift_high']:+.3f}"
    )
    detail = (
        f"A lift shows where nothing was sent ({interval}): draws, outcomes or weights are wrong."
        if wrong.height
        else f"No lift where nothing was sent; furthest from 0: {interval}."
    )
    return _Verdict("placebo_lift", shown["lift"], "includes", 0.0, detail, wrong.is_empty())


def _lift(evidence: Evidence) -> _Verdict:
    """All tracks together: raises are drawn for across them, and one track's windows are too few."""
    net = evidence.lift.filter(pl.col("metric") == "net").drop_nulls(["lift_low", "lift_high"])
    if net.is_empty():
        detail = "Not yet: no raise that was drawn for, and sent or held, has matured."
        return _Verdict("applied_lift", None, "no loss", None, detail)
    row = net.row(0, named=True)
    detail = (
        f"Applied raises gained {row['lift']:+.3f} dollars per dollar spent over held ones, at worst "
        f"{row['lift_low']:+.3f}, at best {row['lift_high']:+.3f}."
    )
    return _Verdict("applied_lift", row["lift_low"], "no loss", None, detail, row["lift_high"] >= 0)
