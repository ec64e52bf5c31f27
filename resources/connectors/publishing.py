"""From pages on disk to the warehouse: which slices are news, in one transaction with the ledger.

Here: comparing with the ledger and writing. Not here: pulling (`fetching`), marking assets (`aelp_assets`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import polars as pl

from resources.connectors.errors import ErrorClass
from resources.connectors.fetching import Failure, FetchedAccount, FetchedReport
from resources.connectors.pacing import Pace
from resources.control.ingestion import IngestionControl, QueueKey, Waiting
from resources.landing.ledger import Attempt, Ledger, SliceKey, ledger_frame, read_ledger
from resources.landing.pages import SLICE, content_hashes
from resources.warehouse.interface import Append, ReplaceTable, Warehouse, Write
from resources.warehouse.tables import ACCOUNTS, INGEST_SLICES, SOURCE_PULLS

EMPTY_UNCONFIRMED = "EMPTY_UNCONFIRMED"
_CONFIRM_AFTER = timedelta(minutes=15)
# Nobody is at fault, the slice is only not there yet.
_DEFERRED = (ErrorClass.THROTTLE, ErrorClass.DEFER)


@dataclass
class PublishedReport:
    """What became of one report of one account."""

    stream: str
    breakdown_set: str
    changed: list[date] = field(default_factory=list)
    unchanged: list[date] = field(default_factory=list)
    unconfirmed: list[date] = field(default_factory=list)
    superseded: list[date] = field(default_factory=list)
    failed: list[date] = field(default_factory=list)
    rows: int = 0
    repeated: int = 0
    failure: Failure | None = None
    next_attempt_at: datetime | None = None


class AccountPublisher:
    """Writes what one fetch of one account brought.

    Slices are compared with the ledger as it stands now, not as it was when the fetch began: another run may
    have published meanwhile, and the later pull wins whoever publishes first.
    """

    def __init__(self, warehouse: Warehouse, control: IngestionControl, pace: Pace) -> None:
        self._warehouse = warehouse
        self._control = control
        self._pace = pace

    def publish(self, fetched: FetchedAccount, now: datetime) -> list[PublishedReport]:
        """Rows, ledger, account and the record of the pull in one transaction; then the retry queue.

        Killed in between, the queue holds slices the ledger knows better: planning believes the ledger.
        """
        ledger = read_ledger(self._warehouse, fetched.source)
        waiting = self._control.waiting(fetched.source, fetched.account.account_id)
        finished = ledger.next_moment(now)
        done: list[QueueKey] = []
        put_off: list[tuple[QueueKey, Waiting]] = []
        entries: list[tuple[SliceKey, Attempt, str | None]] = []
        writes: list[Write] = []
        reports: dict[str, PublishedReport] = {}

        for brought in fetched.reports:
            report = self._told(reports, brought.report.stream.name, brought.report.breakdown_set)
            report.repeated = brought.repeated
            self._settle(brought, ledger, finished, report, entries)
            writes += self._appends(brought, report)
            for day in (*report.changed, *report.unchanged, *report.superseded):
                done.append(self._queue_key(fetched, report, day))
            for day in report.unconfirmed:
                why = Waiting(1, EMPTY_UNCONFIRMED, "Had rows, now has none.", now + _CONFIRM_AFTER)
                put_off.append((self._queue_key(fetched, report, day), why))
        for failure in fetched.failures:
            report = self._told(reports, failure.report.stream.name, failure.report.breakdown_set)
            report.failure = failure
            keys = [self._queue_key(fetched, report, day) for day in failure.days]
            attempts = 1 + max(waiting[key].attempts if key in waiting else 0 for key in keys)
            # One moment for all its days, so that they are asked for together again.
            report.next_attempt_at = self._pace.next_attempt(failure.error, attempts)
            why = Waiting(attempts, failure.error_class, failure.message, report.next_attempt_at)
            put_off += [(key, why) for key in keys]
            report.failed += failure.days
            entries += [self._failed(fetched, failure, day, attempts, finished) for day in failure.days]
        writes.append(Append(INGEST_SLICES, ledger_frame(entries)))
        writes.append(Append(SOURCE_PULLS, _pull_rows(fetched, reports.values(), finished)))
        writes.append(self._account_write(fetched, finished))
        self._warehouse.write(*writes)
        self._control.settle(done, put_off, now)
        return list(reports.values())

    def _told(self, reports: dict[str, PublishedReport], stream: str, breakdown_set: str) -> PublishedReport:
        return reports.setdefault(f"{stream}/{breakdown_set}", PublishedReport(stream, breakdown_set))

    def _settle(
        self,
        brought: FetchedReport,
        ledger: Ledger,
        finished: datetime,
        report: PublishedReport,
        entries: list[tuple[SliceKey, Attempt, str | None]],
    ) -> None:
        stamp, stream = brought.stamp, brought.report.stream.name
        hashes = content_hashes(brought.slices)
        rows = brought.slices.select(*SLICE, "row_count").iter_rows()
        for (source, account, day, breakdown_set, count), content_hash in zip(rows, hashes, strict=True):
            key: SliceKey = (source, stream, account, day, breakdown_set)
            before, last = ledger.complete.get(key), ledger.last.get(key)
            said = before if last is None or _is_failure(last) else last
            if said is not None and said.batch_id >= stamp.batch_id:
                report.superseded.append(day)
                continue
            status, why = "complete", None
            data_batch_id: str | None = stamp.batch_id
            if before is not None and before.content_hash == content_hash:
                data_batch_id = before.data_batch_id or stamp.batch_id
                report.unchanged.append(day)
            elif count == 0 and before is not None and before.row_count and said is before:
                status, data_batch_id, why = "deferred", None, EMPTY_UNCONFIRMED
                report.unconfirmed.append(day)
            else:
                report.changed.append(day)
                report.rows += count
            attempts = 1 if last is None or last.status == "complete" else last.attempts + 1
            attempt = Attempt(
                stamp.batch_id,
                data_batch_id,
                status,
                attempts,
                stamp.request_hash,
                count,
                None if why else content_hash,
                finished,
            )
            entries.append((key, attempt, why))

    def _appends(self, brought: FetchedReport, report: PublishedReport) -> list[Write]:
        """The rows of changed slices only."""
        if not report.changed:
            return []
        table = brought.report.stream.table
        if len(report.changed) == brought.slices.height:
            return [Append(table, page) for page in brought.pages]
        changed = pl.Series("report_date", report.changed, dtype=pl.Date).to_frame().lazy()
        appends: list[Write] = []
        for page in brought.pages:
            target = page.with_name(f"changed-{page.name}")
            pl.scan_parquet(page).join(changed, on="report_date", how="semi").sink_parquet(target)
            if pl.scan_parquet(target).select(pl.len()).collect().item():
                appends.append(Append(table, target))
        return appends

    def _failed(
        self, fetched: FetchedAccount, failure: Failure, day: date, attempts: int, finished: datetime
    ) -> tuple[SliceKey, Attempt, str | None]:
        report = failure.report
        status = "deferred" if failure.error_class in _DEFERRED else "failed"
        batch_id = f"{fetched.started_at:%Y%m%dT%H%M%S%f}-{failure.error_class.lower()}"
        key: SliceKey = (
            fetched.source,
            report.stream.name,
            fetched.account.account_id,
            day,
            report.breakdown_set,
        )
        return key, Attempt(batch_id, None, status, attempts, "", 0, None, finished), failure.error_class

    def _account_write(self, fetched: FetchedAccount, finished: datetime) -> Write:
        account = fetched.account
        known = self._warehouse.read(ACCOUNTS.name)
        mine = (pl.col("source") == fetched.source) & (pl.col("account_id") == account.account_id)
        before = known.filter(mine).to_dicts()
        row = {
            "source": fetched.source,
            "account_id": account.account_id,
            "account_name": account.name,
            "currency": account.currency,
            "timezone": account.timezone,
            "declared_lever": before[0]["declared_lever"] if before else None,
            "maturity_days": before[0]["maturity_days"] if before else None,
            "last_landed_at": finished,
        }
        rows = pl.concat([known.filter(~mine), pl.DataFrame([row], schema=ACCOUNTS.polars_schema)])
        return ReplaceTable(ACCOUNTS, rows.sort("source", "account_id"))

    def _queue_key(self, fetched: FetchedAccount, report: PublishedReport, day: date) -> QueueKey:
        return (fetched.source, report.stream, report.breakdown_set, fetched.account.account_id, day)


def _is_failure(attempt: Attempt) -> bool:
    """Whether the platform said nothing; where it said there is nothing, the attempt has its request."""
    return attempt.status != "complete" and not attempt.request_hash


def _pull_rows(
    fetched: FetchedAccount, reports: Iterable[PublishedReport], finished: datetime
) -> pl.DataFrame:
    rows = []
    for report in reports:
        days = [*report.changed, *report.unchanged, *report.unconfirmed, *report.superseded, *report.failed]
        rows.append(
            {
                "source": fetched.source,
                "account_id": fetched.account.account_id,
                "stream": report.stream,
                "breakdown_set": report.breakdown_set,
                "started_at": fetched.started_at,
                "finished_at": finished,
                "first_day": min(days),
                "last_day": max(days),
                "changed_days": len(report.changed),
                "unchanged_days": len(report.unchanged),
                "unconfirmed_days": len(report.unconfirmed),
                "superseded_days": len(report.superseded),
                "failed_days": len(report.failed),
                "rows": report.rows,
                "repeated_rows": report.repeated,
                "error_class": None if report.failure is None else report.failure.error_class.value,
                "message": None if report.failure is None else report.failure.message,
                "next_attempt_at": report.next_attempt_at,
            }
        )
    return pl.DataFrame(rows, schema=SOURCE_PULLS.polars_schema)
