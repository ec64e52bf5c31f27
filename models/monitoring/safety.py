"""What a person must hear of: one event per thing that happened, with what to do about it.

Here: events from finished tables, their severity, words and ids. Not here: telling anybody
(`resources.notifier`).
An event has the id of what happened, not of the morning that saw it: seen twice, it is the same event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date

import polars as pl

from models.monitoring.reviews import DRIFT_ALARM, PROMISED

SEVERITIES = ("critical", "warning")
SCHEMA = pl.Schema(
    {
        "as_of_date": pl.Date,
        "event_id": pl.String,
        "happened_on": pl.Date,
        "kind": pl.String,
        "severity": pl.String,
        "track": pl.String,
        "subject": pl.String,
        "sentence": pl.String,
        "remedy": pl.String,
    }
)
Event = dict[str, object]
_NAMED = 3
# Kinds of `creative_drift`, what they are about, what to say of it and what to do.
_CREATIVE_DRIFTS = (
    (
        ("novelty", "trait"),
        "new creatives",
        "New creatives are unlike those that scores were learnt from",
        "Give them exploration budget, and raise or drop none by its score before it has delivered; see "
        "creative_drift.",
    ),
    (
        ("ranking", "bounds"),
        "ad scores",
        "Scores do not hold for what ran since they were given",
        "Decide by delivered results until the weekly ranking has learnt from them; see creative_drift.",
    ),
)


def collect(events: Sequence[Event], *, as_of_date: date) -> pl.DataFrame:
    """Events as rows (SCHEMA), the gravest first, each once.

    Args:
        events: from the functions below.
    """
    rows = pl.DataFrame([{"as_of_date": as_of_date, **event} for event in events], schema=SCHEMA)
    return rows.unique("event_id", keep="first", maintain_order=True).sort(
        pl.col("severity").replace_strict({name: n for n, name in enumerate(SEVERITIES)}), "kind", "event_id"
    )


def _event(
    kind: str,
    severity: str,
    subject: str,
    sentence: str,
    remedy: str,
    *,
    day: date,
    track: str | None = None,
    occurrence: str = "",
) -> Event:
    """`occurrence` tells two events of one kind, subject and day apart."""
    named = "|".join((kind, track or "", subject, day.isoformat(), occurrence))
    return {
        "event_id": hashlib.sha256(named.encode()).hexdigest()[:16],
        "happened_on": day,
        "kind": kind,
        "severity": severity,
        "track": track,
        "subject": subject,
        "sentence": sentence,
        "remedy": remedy,
    }


def stops_proposed(decisions: pl.DataFrame) -> Iterator[Event]:
    """Decisions to stop a lever: urgent, for they wait for a person.

    Args:
        decisions: as_of_date, track, platform, account_id, lever_id, type, reason.
    """
    for row in decisions.filter(pl.col("type") == "stop").iter_rows(named=True):
        subject = f"{row['platform']}/{row['account_id']}/{row['lever_id']}"
        yield _event(
            "stop_proposed",
            "critical",
            subject,
            f"{subject} should be stopped: {row['reason']}",
            "Decide on it: `aelp proposals`, or the desk. Unsigned, it spends on and the proposal runs out.",
            day=row["as_of_date"],
            track=row["track"],
        )


def kill_switch_pulled(pulls: Sequence[tuple[date, str, str]]) -> Iterator[Event]:
    """Args: pulls: day, moment and sentence of each time it was switched on."""
    for day, moment, said in pulls:
        yield _event(
            "kill_switch_on",
            "critical",
            "everything",
            f"{said}.",
            "Nothing is approved or sent until an approver says `aelp kill off`.",
            day=day,
            occurrence=moment,
        )


def decisions_refused(states: pl.DataFrame, decisions: pl.DataFrame) -> Iterator[Event]:
    """Mornings whose levers were judged and whose decisions the verifier kept out of the tables.

    Args:
        states: `lever_states`: as_of_date.
        decisions: `bandit_decisions`: as_of_date.
    """
    for day in sorted(set(states["as_of_date"]) - set(decisions["as_of_date"])):
        yield _event(
            "guardrail_refused",
            "critical",
            f"decisions of {day}",
            f"The money invariants refused the decisions of {day}; none is stored.",
            "Open the failed check money_invariants_hold of that run (`make ui`): it names rule and lever.",
            day=day,
        )


def changes_failed(changes: Sequence[tuple[date, str, str, str, str]]) -> Iterator[Event]:
    """Approved changes that did not take place.

    Args:
        changes: day, change id, `platform/account/lever`, status, message.
    """
    for day, change, subject, status, message in changes:
        yield _event(
            "change_failed",
            "warning",
            subject,
            f"Change {change} of {subject} ended as {status}: {message}",
            "See `aelp changes`; the lever stands as its platform has it, and is decided on again tomorrow.",
            day=day,
            occurrence=change,
        )


def changes_rolled_back(rollbacks: Sequence[tuple[date, str, str, str]]) -> Iterator[Event]:
    """Changes that people undid.

    Args:
        rollbacks: day, change id of the rollback, `platform/account/lever`, who undid what and why.
    """
    for day, change, subject, said in rollbacks:
        yield _event(
            "change_rolled_back",
            "warning",
            subject,
            f"{said}.",
            f"Read why before the lever's next proposal is signed: `aelp explain {change}`.",
            day=day,
            occurrence=change,
        )


def proposals_overtaken(withdrawn: Sequence[tuple[date, str, str, str, str]]) -> Iterator[Event]:
    """Proposals withdrawn because a person edited their lever on its platform.

    Args:
        withdrawn: morning, proposal id, track, `platform/account/lever`, what overtook it.
    """
    for day, proposal, track, subject, said in withdrawn:
        yield _event(
            "proposal_overtaken",
            "warning",
            subject,
            f"Proposal {proposal} of {subject} was withdrawn: {said}",
            "Ask who edited the lever what they know; their edit stands, and 72 hours pass before another.",
            day=day,
            track=track,
            occurrence=proposal,
        )


def spend_alarms(alarms: pl.DataFrame) -> Iterator[Event]:
    """Levers that pass, or will pass, what their platform may spend on a day: one event a lever and day.

    Args:
        alarms: date, platform, account_id, track, lever_id, kind, hour, reason.
    """
    keys = ["date", "platform", "account_id", "lever_id"]
    first = alarms.sort(*keys, "hour", "kind").unique(keys, keep="first", maintain_order=True)
    for row in first.iter_rows(named=True):
        subject = f"{row['platform']}/{row['account_id']}/{row['lever_id']}"
        yield _event(
            "spend_alarm",
            "critical",
            subject,
            f"{subject} overspends on {row['date']}: {row['reason']}.",
            "Sign its stop (`aelp proposals`, or the desk), or pause it on its platform where none waits; "
            "until then it spends on.",
            day=row["date"],
            track=row["track"],
        )


def spend_unread(pacing: pl.DataFrame) -> Iterator[Event]:
    """Accounts with running levers whose spend could not be read within their day: one event each.

    Args:
        pacing: date, platform, account_id, reading, reading_reason.
    """
    keys = ["date", "platform", "account_id"]
    blind = pacing.filter(pl.col("reading") == "not_readable").unique(keys, keep="last").sort(keys)
    for row in blind.iter_rows(named=True):
        yield _event(
            "spend_unread",
            "warning",
            f"{row['platform']}/{row['account_id']}",
            row["reading_reason"],
            "Until it is read, no alarm of this account is no good news: look at it on its platform.",
            day=row["date"],
        )


def accounts_set_aside(verdicts: pl.DataFrame) -> Iterator[Event]:
    """Accounts that decisions may use no longer: one event each, on the morning they drop out.

    Args:
        verdicts: `decision_accounts` of some mornings: as_of_date, platform, account_id, eligible, reason.
            An account's newest two are compared.
    """
    keys = ["platform", "account_id"]
    newest = (
        verdicts.sort("as_of_date")
        .with_columns(was_eligible=pl.col("eligible").shift().over(keys))
        .unique(keys, keep="last", maintain_order=True)
    )
    for row in newest.filter("was_eligible", ~pl.col("eligible")).sort(keys).iter_rows(named=True):
        subject = f"{row['platform']}/{row['account_id']}"
        yield _event(
            "account_set_aside",
            "warning",
            subject,
            f"{subject} is left out of decisions: {row['reason']}.",
            "Its budgets stay as they are meanwhile, and count towards the caps until its newest snapshot is "
            "15 days old. See account_audits for what failed, or why no newer day came (`aelp status`).",
            day=row["as_of_date"],
        )


def drift_alarms(drift: pl.DataFrame, *, as_of_date: date) -> Iterator[Event]:
    """Args: drift: from `reviews.drift`; hindcasts raise no alarm."""
    alarmed = drift.filter((pl.col("e_value") >= DRIFT_ALARM) & (pl.col("basis") == "live"))
    for row in alarmed.iter_rows(named=True):
        yield _event(
            "drift_alarm",
            "warning",
            f"forecasts of {row['track']}",
            f"Only {row['coverage']:.0%} of clicks were inside p10–p90 over {row['days']} days "
            f"(e-value {row['e_value']:,.0f}; {DRIFT_ALARM:g} is the alarm).",
            "Look at forecast_reviews for the levers outside, and treat raises of this track with care.",
            day=_week(as_of_date),
            track=row["track"],
        )


def creative_drift_alarms(drift: pl.DataFrame) -> Iterator[Event]:
    """Where creatives, or what they deliver, moved away from what was learnt: one event of each.

    Args:
        drift: newest `creative_drift`.
    """
    for kinds, subject, said, remedy in _CREATIVE_DRIFTS:
        found = drift.filter(pl.col("kind").is_in(kinds) & pl.col("is_drift")).sort("kind", "name")
        for day, rows in found.group_by("as_of_date", maintain_order=True):
            named = [
                f"{row['kind']} of {row['name']} is {row['value']:.2f} (limit {row['drift_limit']:.2f})"
                for row in rows.head(_NAMED).iter_rows(named=True)
            ]
            more = [f"{rows.height - _NAMED} more"] if rows.height > _NAMED else []
            yield _event(
                "creative_drift",
                "warning",
                subject,
                f"{said}: {'; '.join([*named, *more])}.",
                remedy,
                day=_week(day[0]),
            )


def reconciliations_broken(reconciliations: pl.DataFrame, *, as_of_date: date) -> Iterator[Event]:
    """Args: reconciliations: from `reconciliation.reconcile`."""
    for row in reconciliations.filter(pl.col("status").is_in(["out_of_range", "changed"])).iter_rows(
        named=True
    ):
        yield _event(
            "reconciliation_broken",
            "warning",
            f"conversions of {row['track']}",
            row["detail"],
            "Compare the platforms' conversion actions and windows with the shop's orders "
            "(platform_vs_backend).",
            day=_week(as_of_date),
            track=row["track"],
            occurrence=row["status"],
        )


def coverage_broken(accuracy: pl.DataFrame) -> Iterator[Event]:
    """Backtests whose coverage interval lies below what p10–p90 promises.

    Args:
        accuracy: newest `forecast_accuracy`. Intervals above it are too wide, which is no danger.
    """
    below = accuracy.filter(
        (pl.col("method") == "aelp")
        & pl.col("metric").is_in(["clicks", "conversions"])
        & (pl.col("coverage_high") < PROMISED)
    )
    for row in below.iter_rows(named=True):
        yield _event(
            "coverage_broken",
            "warning",
            f"{row['platform']}/{row['account_id']} {row['metric']} {row['horizon_days']} d",
            f"80 % intervals of {row['metric']} over {row['horizon_days']} days held {row['coverage']:.0%} "
            f"({row['coverage_low']:.0%} to {row['coverage_high']:.0%}) in the backtest.",
            "Read forecasts of this account as narrower than they should be; see forecast_accuracy.",
            day=row["as_of_date"],
        )


def overspent(levers: pl.DataFrame, *, overdelivery: float) -> Iterator[Event]:
    """Levers that spent more in a day than the caps reserve for them.

    Args:
        levers: date, platform, account_id, track, lever_id, cost, current_budget of the day, and sharing:
            how many levers draw on that budget; cost is what all of them spent.
        overdelivery: share beyond the budget that the guardrails reserve.
    """
    worst = 1 + overdelivery
    for row in levers.filter(pl.col("cost") > pl.col("current_budget") * worst + 0.005).iter_rows(named=True):
        subject = f"{row['platform']}/{row['account_id']}/{row['lever_id']}"
        others = f" and {row['sharing'] - 1} more on its budget" if row["sharing"] > 1 else ""
        yield _event(
            "spend_over_worst_case",
            "critical",
            subject,
            f"{subject}{others} spent {row['cost']:,.2f} on {row['date']} with a budget of "
            f"{row['current_budget']:,.2f}; the caps reserve {worst:.0%} of it.",
            "Look at the lever on its platform: a person may have raised it, or it delivers beyond its "
            "budget.",
            day=row["date"],
            track=row["track"],
        )


def _week(day: date) -> date:
    """The Monday of a day's week: what lasts is told once a week, not every morning."""
    return date.fromisocalendar(*day.isocalendar()[:2], 1)
