"""From pages on disk to the warehouse: which slices are news, in one transaction with the ledger.

Here: comparing with the ledger, refusing days that files hold, writing. Not here: pulling (`fetching`),
marking assets (`aelp_assets`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import polars as pl

from resources.connectors.errors import ErrorClass
from resources.connectors.fetching import Failure, FetchedAccount, FetchedReport
from resources.connectors.pacing import Pace
from resources.control.ingestion import IngestionControl, QueueKey, Waiting
from resources.landing.ledger import (
    Attempt,
    Ledger,
    SliceKey,
    ledger_frame,
    read_ledger,
    rows_in_force,
)
from resources.landing.overlap import DailyTotals
from resources.landing.pages import LANES, SLICE, Stamp, content_hashes
from resources.landing.streams import STREAMS
from resources.warehouse.interface import Append, ReplaceTable, Warehouse, Write
from resources.warehouse.tables import ACCOUNTS, INGEST_SLICES, SOURCE_PULLS

EMPTY_UNCONFIRMED = "EMPTY_UNCONFIRMED"
_CONFIRM_AFTER = timedelta(minutes=15)
_CLOCKS_DIFFER_BY = timedelta(days=1)  # of machines that publish, at most
# Nobody is at fault, the slice is only not there yet.
_DEFERRED = (ErrorClass.THROTTLE, ErrorClass.DEFER)
_EMPTY = content_hashes(pl.DataFrame({name: [0] for name in ("row_count", *LANES)}))[0]

Entry = tuple[SliceKey, Attempt, str | None]  # the third part is the error class


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
    left: list[date] = field(default_factory=list)
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

        Killed in between, the queue holds slices the ledger knows better: the account's next pull tidies up.
        Days of which files hold another format are refused, unless a person asked for them by name.
        """
        ledger = read_ledger(self._warehouse, fetched.source)
        totals = DailyTotals(ledger)
        waiting = self._control.waiting(fetched.source, fetched.account.account_id)
        # Marts have seen a day up to its newest entry of any source: this one must come after all of them.
        # Not after what another source dated by a clock far ahead: every source would be as old as that.
        newest = self._warehouse.query(
            "select max(completed_at) as newest from ops.ingest_slices where completed_at < $soon",
            {"soon": now.astimezone(UTC) + _CLOCKS_DIFFER_BY},
        ).item()
        ledger.latest_moment = max(newest or ledger.latest_moment, ledger.latest_moment)
        finished = ledger.next_moment(now)
        done: list[QueueKey] = []
        put_off: list[tuple[QueueKey, Waiting]] = []
        entries: list[Entry] = []
        writes: list[Write] = []
        reports: dict[str, PublishedReport] = {}
        failures = list(fetched.failures)

        for brought in fetched.reports:
            report = self._told(reports, brought.report.stream.name, brought.report.breakdown_set)
            report.repeated = brought.repeated
            twice = _counted_twice(brought, totals)
            if twice and fetched.was_asked_for:
                entries += self._replaced(brought.stamp, twice, ledger, finished, reports)
            elif twice:
                failures += self._refusals(brought, twice, ledger)
            refused = [] if fetched.was_asked_for else [key[3] for key in twice]
            self._settle(brought, refused, ledger, finished, report, entries)
            writes += self._appends(brought, report)
            for day in (*report.changed, *report.unchanged, *report.superseded):
                done.append(self._queue_key(fetched, report, day))
            for day in report.unconfirmed:
                why = Waiting(1, EMPTY_UNCONFIRMED, "Had rows, now has none.", now + _CONFIRM_AFTER)
                put_off.append((self._queue_key(fetched, report, day), why))
        for failure in failures:
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
        for pull in fetched.left:
            self._told(reports, pull.report.stream.name, pull.report.breakdown_set).left += pull.days
        writes.append(Append(INGEST_SLICES, ledger_frame(entries)))
        writes.append(Append(SOURCE_PULLS, _pull_rows(fetched, reports.values(), finished)))
        writes.append(self._account_write(fetched, finished))
        self._warehouse.write(*writes)
        self._control.settle(done, put_off, now)
        if fetched.left:  # as where a pull was killed: the queue holds what failed before, as it was
            self._control.forget_killed(fetched.source, fetched.account.account_id)
        shutil.rmtree(fetched.folder, ignore_errors=True)
        return list(reports.values())

    def _told(self, reports: dict[str, PublishedReport], stream: str, breakdown_set: str) -> PublishedReport:
        return reports.setdefault(f"{stream}/{breakdown_set}", PublishedReport(stream, breakdown_set))

    def _settle(
        self,
        brought: FetchedReport,
        refused: Iterable[date | None],
        ledger: Ledger,
        finished: datetime,
        report: PublishedReport,
        entries: list[Entry],
    ) -> None:
        stamp, stream = brought.stamp, brought.report.stream.name
        slices = brought.slices.filter(~pl.col("report_date").is_in(list(refused)))
        hashes = content_hashes(slices)
        rows = slices.select(*SLICE, "row_count").iter_rows()
        for (source, account, day, breakdown_set, count), content_hash in zip(rows, hashes, strict=True):
            key: SliceKey = (source, stream, account, day, breakdown_set)
            before, last = ledger.complete.get(key), ledger.last.get(key)
            said = before if last is None or _is_failure(last) else last
            if said is not None and said.batch_id >= stamp.batch_id:
                report.superseded.append(day)
                continue
            status, why = "complete", None
            data_batch_id: str | None = stamp.batch_id
            if count == 0 and before is not None and brought.report.expires:
                count, content_hash = before.row_count, before.content_hash
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

    # --- days that files hold -------------------------------------------------------------------------

    def _refusals(
        self, brought: FetchedReport, twice: Mapping[SliceKey, list[SliceKey]], ledger: Ledger
    ) -> list[Failure]:
        """A failure per run of days; all say the same."""
        key, (other, *_) = next(iter(twice.items()))
        held = [filed for others in twice.values() for filed in others if filed[1] == other[1]]
        attempts = {filed: ledger.complete[filed] for filed in held}
        landed = rows_in_force(self._warehouse, STREAMS[other[1]], attempts, ["_api_version"])
        formats = ", ".join(landed["_api_version"].unique().sort())
        days = [day for _, _, _, day, _ in twice if day is not None]
        span = f"{days[0]} to {days[-1]}" if len(days) > 1 else str(days[0])
        counted = f"{len(days):,} {'days' if len(days) > 1 else 'day'}"
        message = (
            f"Account {key[2]} of {key[0]} has rows of {counted} ({span}) in {other[1]}, landed from files "
            f"({formats}); with this pull's in {key[1]} they would count twice. The files' rows stay in "
            f"force. To let the API answer for {span}, materialise those partitions of "
            f"`ops/source_backfills/{key[0]}`: its rows then replace the files'. To keep the files', take "
            f"the account out of `sources.{key[0]}.accounts`. If the files hold other advertising, drop them "
            "under a `source` or an account of their own."
        )
        return [
            Failure(brought.report, first, last, ErrorClass.OTHER_FORMAT, message, None)
            for first, last in _runs(days)
        ]

    def _replaced(
        self,
        stamp: Stamp,
        twice: Mapping[SliceKey, list[SliceKey]],
        ledger: Ledger,
        finished: datetime,
        reports: dict[str, PublishedReport],
    ) -> list[Entry]:
        """The files' slices of those days, emptied; each once, whichever report meets it first."""
        entries: list[Entry] = []
        for other in dict.fromkeys(other for others in twice.values() for other in others):
            attempt = Attempt(
                stamp.batch_id, stamp.batch_id, "complete", 1, stamp.request_hash, 0, _EMPTY, finished
            )
            ledger.note(other, attempt)
            entries.append((other, attempt, None))
            assert other[3] is not None
            self._told(reports, other[1], other[4]).changed.append(other[3])
        return entries

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
    ) -> Entry:
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


def _counted_twice(brought: FetchedReport, totals: DailyTotals) -> dict[SliceKey, list[SliceKey]]:
    """Slices with rows whose day has rows in a stream that the marts add to this one, oldest first."""
    stream, found = brought.report.stream.name, {}
    rows = brought.slices.filter(pl.col("row_count") > 0).sort("report_date").select(SLICE).iter_rows()
    for source, account, day, breakdown_set in rows:
        key: SliceKey = (source, stream, account, day, breakdown_set)
        if others := totals.elsewhere(key):
            found[key] = others
    return found


def _runs(days: list[date]) -> list[tuple[date, date]]:
    """Days in order as spans without a gap."""
    runs: list[tuple[date, date]] = []
    for day in days:
        if runs and day - runs[-1][1] == timedelta(days=1):
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


def _is_failure(attempt: Attempt) -> bool:
    """Whether the platform said nothing; where it said there is nothing, the attempt has its request."""
    return attempt.status != "complete" and not attempt.request_hash


def _pull_rows(
    fetched: FetchedAccount, reports: Iterable[PublishedReport], finished: datetime
) -> pl.DataFrame:
    rows = []
    for report in reports:
        days = [*report.changed, *report.unchanged, *report.unconfirmed, *report.superseded, *report.failed]
        if not days:  # all of it was left
            continue
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
