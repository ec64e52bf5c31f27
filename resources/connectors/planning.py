"""Which days of an account are due, by how old they are and when they were last read.

Here: the rule, from the ledger and the retry queue. Not here: calling anything (`fetching`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from resources.connectors.source import FOUR_HOURS, Account, Pull, Report
from resources.control.ingestion import QueueKey, Waiting
from resources.landing.ledger import Ledger

RECENT_DAYS = 7
# The schedule comes round every hour; these are a little less than what is meant by "every four hours" and
# "every day", so that a morning begun earlier than yesterday's does not miss its turn.
RECENT_EVERY = FOUR_HOURS
RESTATED_EVERY = timedelta(hours=22)
UNSETTLED_DAYS = 14  # beyond its lookback a report that is never still is let be


@dataclass(frozen=True)
class Span:
    """Days asked for by a person: all of them are due."""

    first: date
    last: date


def due_pulls(
    source: str,
    account: Account,
    reports: Iterable[Report],
    ledger: Ledger,
    waiting: Mapping[QueueKey, Waiting],
    today: date,
    now: datetime,
    *,
    backfill_days: int,
    span: Span | None = None,
    first_day: date = date.min,
) -> list[Pull]:
    """The pulls that are due now, newest days first.

    A day of the last week is due again after four hours, a day the platform may still restate after a day.
    An older one within the backfill is due if it was never read. One that was read, within the backfill or
    two weeks beyond the lookback, is due if that was before it was final (the source was down for longer
    than its lookback), or, in those two weeks, if its last reading, a day ago, changed it: else what a
    platform reports wrongly for a few hours would stay for good.
    A day that failed is due when its wait is over, however old it is. A snapshot is of today and due by its
    report's own interval. Days are the account's own.

    Args:
        today: the account-local day; it is not over, so reports of days end yesterday.
        backfill_days: how far back days are wanted that were never read; a report may want fewer.
        span: instead of all that, exactly these days (as far as they are over).
        first_day: `history_start`; no earlier day is asked for, whoever wants it: it is no partition, and no
            mart of it can be built.
    """
    pulls = []
    for report in reports:
        if report.is_snapshot:
            days = [today] if span is None or span.first <= today <= span.last else []
        elif span is None:
            wanted = backfill_days if report.wanted_days is None else min(backfill_days, report.wanted_days)
            oldest = max(wanted, report.lookback_days)
            failed = {key[4] for key in waiting if key[1:3] == (report.stream.name, report.breakdown_set)}
            ages = range(1, max(oldest, report.lookback_days + UNSETTLED_DAYS) + 1)
            past = {today - timedelta(days=age) for age in ages}
            slice_of = (source, report.stream.name, account.account_id)
            unread = {day for day in past if (*slice_of, day, report.breakdown_set) not in ledger.complete}
            beyond = {day for day in unread if (today - day).days > oldest}
            days = sorted(failed | past - beyond)
        else:
            last = min(span.last, today - timedelta(days=1))
            days = [span.first + timedelta(days=n) for n in range((last - span.first).days + 1)]
        due = [
            day
            for day in days
            if day >= first_day
            and (span is not None or _is_due(source, account, report, day, ledger, waiting, today, now))
        ]
        pulls += _contiguous(account, report, due)
    return sorted(pulls, key=lambda pull: pull.last, reverse=True)


def overtaken(
    reports: Iterable[Report],
    waiting: Mapping[QueueKey, Waiting],
    today: date,
    first_day: date = date.min,
) -> list[QueueKey]:
    """What waits in vain: yesterday's snapshot cannot be taken any more, nor a report no longer asked for.

    Nor is a day asked for before `first_day` (as of `due_pulls`).
    """
    kinds = {(report.stream.name, report.breakdown_set): report.is_snapshot for report in reports}
    return [
        key
        for key in waiting
        if key[4] < first_day or (kinds.get(key[1:3], True) and (key[4] < today or key[1:3] not in kinds))
    ]


def _is_due(
    source: str,
    account: Account,
    report: Report,
    day: date,
    ledger: Ledger,
    waiting: Mapping[QueueKey, Waiting],
    today: date,
    now: datetime,
) -> bool:
    stream = report.stream.name
    failed = waiting.get((source, stream, report.breakdown_set, account.account_id, day))
    if failed is not None:
        return failed.next_attempt_at is None or failed.next_attempt_at <= now
    complete = ledger.complete.get((source, stream, account.account_id, day, report.breakdown_set))
    if complete is None:
        return True
    last = ledger.last[source, stream, account.account_id, day, report.breakdown_set]
    since = now - last.completed_at
    if report.is_snapshot:
        return since >= report.snapshot_every
    age = (today - day).days
    if age > report.lookback_days:
        read_at = complete.completed_at
        read_on = min(read_at.astimezone(ZoneInfo(account.timezone)).date(), read_at.astimezone(UTC).date())
        read_young = (read_on - day).days < report.final_after_days < age
        is_unsettled = last.restates and age <= report.lookback_days + UNSETTLED_DAYS
        changing = is_unsettled and since >= RESTATED_EVERY
        return last.status != "complete" or read_young or changing
    return since >= (RECENT_EVERY if age <= RECENT_DAYS else RESTATED_EVERY)


def _contiguous(account: Account, report: Report, days: list[date]) -> list[Pull]:
    """Days as pulls of at most the report's longest span."""
    pulls: list[Pull] = []
    for day in days:
        last = pulls[-1] if pulls else None
        if (
            last is not None
            and day - last.last == timedelta(days=1)
            and (day - last.first).days < report.longest_days
        ):
            pulls[-1] = last.between(last.first, day)
        else:
            pulls.append(Pull(account, report, day, day))
    return pulls
