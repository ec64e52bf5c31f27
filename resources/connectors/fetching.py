"""Pulling one account: retries, asking for less, and complete days as Parquet pages.

Here: from due pulls to pages on disk and what failed; touches no warehouse. Not here: platforms (each
source), when something is due (`planning`), what is news (`publishing`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.pacing import Pace
from resources.connectors.scrubbing import Scrubber
from resources.connectors.source import Account, Pull, Report, Source
from resources.landing.pages import LANES, SLICE, SLICE_SCHEMA, Stamp, digests, key_text, payload_text
from resources.landing.streams import NUMERIC_KINDS

LONGEST_FETCH = timedelta(minutes=25)
"""After this no further pull of an account is begun: the others wait, and a run is killed after two hours."""
_WEEK = 7
_IN_VAIN = 2  # single days in a row that fail: what fails is hardly a row of theirs
_NUMBER = r"^-?\d+(\.\d+)?$"
# These hold for all an account has in one place: no other pull of it there would fare better now.
_STOPPING = (ErrorClass.AUTH, ErrorClass.DEFER, ErrorClass.THROTTLE)


class _WrongAnswer(PlatformError):
    """The platform answered, and what it said cannot be: of some of its days or of all."""


@dataclass(frozen=True)
class Failure:
    """Days of a report that could not be read; `message` has no secrets in it."""

    report: Report
    first: date
    last: date
    error_class: ErrorClass
    message: str
    wait_seconds: float | None

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    @property
    def error(self) -> PlatformError:
        return PlatformError(self.error_class, self.message, self.wait_seconds)


@dataclass
class FetchedReport:
    """What one report of an account brought: complete days only.

    `slices` has SLICE, row_count and lane sums, a row per complete day, empty days included.
    """

    report: Report
    stamp: Stamp
    slices: pl.DataFrame
    pages: list[Path] = field(default_factory=list)
    repeated: int = 0


@dataclass
class FetchedAccount:
    """Everything one run read of one account.

    Attributes:
        folder: holds its pages and nothing else.
        was_asked_for: a person named the days, so that they also replace what files landed of them.
        left: not begun when time was up; they stay due.
    """

    source: str
    account: Account
    started_at: datetime
    folder: Path
    was_asked_for: bool = False
    reports: list[FetchedReport] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    left: list[Pull] = field(default_factory=list)
    calls: int = 0
    waited_seconds: float = 0.0


class AccountFetcher:
    """Reads the due pulls of one account.

    Args:
        folder: where the pages go; this fetch's own.
        moment: when the fetch began; the batch's place among all attempts.
    """

    def __init__(self, source: Source, account: Account, pace: Pace, folder: Path, moment: datetime) -> None:
        self._source = source
        self._account = account
        self._pace = pace
        self._folder = folder
        self._moment = moment
        self._scrub = Scrubber(source.secrets)
        self._deadline: datetime | None = None
        # By report: single days that failed since some of it was read; answers that stayed wrong.
        self._in_vain: Counter[str] = Counter()
        self._doubted: set[str] = set()

    def fetch(self, pulls: Sequence[Pull], longest: timedelta | None = None) -> FetchedAccount:
        """Read them all; a pull that fails costs its own days, a place that refuses costs the rest there.

        Args:
            longest: after so long no further pull is begun, nor a further part of one; None: never.
        """
        self._deadline = None if longest is None else self._pace.pacing_clock.now() + longest
        fetched = FetchedAccount(self._source.name, self._account, self._moment, self._folder)
        by_report: dict[str, FetchedReport] = {}
        stopped: dict[str, PlatformError] = {}
        self._folder.mkdir(parents=True, exist_ok=True)
        for pull in pulls:
            if pull.report.place in stopped:
                fetched.failures.append(self._failure(pull, stopped[pull.report.place]))
                continue
            brought = by_report.get(pull.report.name)
            if brought is None:
                brought = by_report[pull.report.name] = self._report(pull.report)
            for part, outcome in self._settled(pull):
                if outcome is None:
                    fetched.left.append(part)
                elif isinstance(outcome, PlatformError):
                    fetched.failures.append(self._failure(part, outcome))
                    if outcome.error_class in _STOPPING:
                        stopped[pull.report.place] = outcome
                else:
                    self._keep(brought, part, outcome)
        fetched.reports = [report for report in by_report.values() if report.slices.height]
        fetched.calls, fetched.waited_seconds = self._pace.calls, self._pace.waited_seconds
        return fetched

    # --- asking ---------------------------------------------------------------------------------------

    def _settled(self, pull: Pull) -> Iterator[tuple[Pull, pl.DataFrame | PlatformError | None]]:
        """The pull, or the parts it had to be divided into, each with its rows or its error; None: left."""
        if self._deadline is not None and self._pace.pacing_clock.now() >= self._deadline:
            yield pull, None
            return
        try:
            rows = self._rows(pull)
        except PlatformError as error:
            refused = error
        else:
            self._in_vain[pull.report.name] = 0
            yield pull, rows
            return
        parts = self._parts(pull, refused)
        if len(parts) == 1:
            yield pull, refused
            return
        stopped = None
        for part in parts:
            if stopped is not None:
                yield part, stopped
                continue
            for smaller, outcome in self._settled(part):
                if isinstance(outcome, PlatformError) and outcome.error_class in _STOPPING:
                    stopped = outcome
                yield smaller, outcome

    def _parts(self, pull: Pull, refused: PlatformError) -> list[Pull]:
        """What to ask for instead, newest days first; the pull itself where a part would fare no better.

        What is too much, in weeks, then in days. What has a row that cannot be read, in halves, until that
        row's day stands alone: about log2 n calls. Where days in a row fail alone, no more of the report is
        divided until some of it is read: one that fails as a whole costs some 2 log2 n calls, not 2 n.
        """
        dates, report = pull.days, pull.report.name
        is_wrong = isinstance(refused, _WrongAnswer)
        if is_wrong:
            self._doubted.add(report)
        may_be_a_row = is_wrong or refused.error_class is ErrorClass.PERMANENT
        step = len(dates)
        if refused.error_class is ErrorClass.SHRINK:
            step = _WEEK if len(dates) > _WEEK else 1
        elif may_be_a_row and len(dates) == 1:
            self._in_vain[report] += 1
        elif may_be_a_row and self._in_vain[report] < _IN_VAIN:
            step = (len(dates) + 1) // 2
        parts = [dates[start : start + step] for start in range(0, len(dates), step)]
        return [pull.between(part[0], part[-1]) for part in reversed(parts)]

    def _rows(self, pull: Pull) -> pl.DataFrame:
        """All rows of a pull; a single day that is too much is divided by parents, then by page size.

        Raises:
            PlatformError: not readable now, or not by this run.
        """
        try:
            return self._tried(pull)
        except PlatformError as error:
            if error.error_class is not ErrorClass.SHRINK or pull.first != pull.last:
                raise
            parents = self._parents(pull)
            if len(parents) > 1:
                half = len(parents) // 2
                parts = (parents[:half], parents[half:])
                return _together([self._rows(replace(pull, parents=part)) for part in parts])
            smaller = [n for n in self._source.page_sizes if pull.page_size is None or n < pull.page_size]
            if not smaller:
                raise PlatformError(
                    ErrorClass.PERMANENT,
                    f"{pull} is refused as too much, and there is no smaller piece to ask for. "
                    f"The platform said: {error}",
                ) from None
            return self._rows(replace(pull, page_size=smaller[0], parents=parents or None))

    def _parents(self, pull: Pull) -> tuple[str, ...]:
        if pull.parents is not None:
            return pull.parents
        tries = 0
        while True:
            tries += 1
            try:
                self._pace.before_call()
                return tuple(self._source.parents(pull))
            except PlatformError as error:
                if error.error_class is ErrorClass.SHRINK:  # a list of ids has no smaller part to ask for
                    error = PlatformError(ErrorClass.TRANSIENT, str(error), error.wait_seconds)
                self._pace.after_error(error, tries)

    def _tried(self, pull: Pull) -> pl.DataFrame:
        tries = 0
        while True:
            tries += 1
            try:
                return self._read(pull)
            except PlatformError as error:
                # Read six times over it stayed wrong: its parts need no second reading each.
                if isinstance(error, _WrongAnswer) and pull.report.name in self._doubted:
                    raise
                self._pace.after_error(error, tries)

    def _read(self, pull: Pull) -> pl.DataFrame:
        frames: list[pl.DataFrame] = []
        self._pace.before_call()
        for page in self._source.pages(pull):
            if frames:
                self._pace.before_call()  # paid afterwards: whether there is a next page is known only then
            frames.append(page.rows)
            self._pace.advised(page.wait_seconds)
        rows = _together(frames)
        self._check(pull, rows)
        return rows

    def _check(self, pull: Pull, rows: pl.DataFrame) -> None:
        """Refuse an answer to another question, and one that was restated while it was read."""
        if rows.is_empty():
            return
        outside = rows.filter(~pl.col("report_date").is_between(pull.first, pull.last))
        if outside.height or rows["report_date"].null_count():
            day = outside["report_date"][0] if outside.height else None
            raise _WrongAnswer(ErrorClass.TRANSIENT, f"{pull}: the answer has rows of {day}.")
        keys = ["report_date", *pull.report.stream.keys]
        repeated = rows.unique().select(keys).is_duplicated()
        if repeated.any():
            raise _WrongAnswer(
                ErrorClass.TRANSIENT,
                f"{pull}: {int(repeated.sum())} rows come twice with different numbers.",
            )

    # --- keeping --------------------------------------------------------------------------------------

    def _report(self, report: Report) -> FetchedReport:
        request = f"{self._source.name}|{self._source.api_version}|{report.name}|{self._account.account_id}"
        request_hash = hashlib.sha256(request.encode()).hexdigest()
        identity = hashlib.sha256(f"{request}|{self._folder}".encode()).hexdigest()[:8]
        stamp = Stamp(
            f"{self._moment:%Y%m%dT%H%M%S%f}-{identity}",
            self._moment,
            self._source.api_version,
            request_hash,
        )
        return FetchedReport(report, stamp, pl.DataFrame(schema=SLICE_SCHEMA))

    def _keep(self, brought: FetchedReport, pull: Pull, rows: pl.DataFrame) -> None:
        """Write the pull's rows as a page and note each of its days, whether or not it has rows."""
        stream = pull.report.stream
        distinct = rows.unique(maintain_order=True)
        brought.repeated += rows.height - distinct.height
        days = pl.DataFrame({"report_date": pull.days}, schema={"report_date": pl.Date})
        envelope = {
            "source": self._source.name,
            "account_id": self._account.account_id,
            "breakdown_set": pull.report.breakdown_set,
        }
        counts = pl.DataFrame(
            schema={"report_date": pl.Date} | dict.fromkeys(("row_count", *LANES), pl.Int64)
        )
        if distinct.height:
            named = distinct.with_columns(pl.lit(value).alias(name) for name, value in envelope.items())
            odd = [
                name
                for name, kind in stream.fields.items()
                if kind in NUMERIC_KINDS
                and name in named.columns
                and not named[name].drop_nulls().str.contains(_NUMBER).all()
            ]
            unknown = set(named.columns) - set(stream.fields) - set(stream.keys) - set(SLICE)
            payloads = payload_text(named, stream, as_text={*odd, *unknown})
            hashes, lanes = digests(payloads, key_text(named, stream))
            page = named.select(*SLICE, *stream.keys).with_columns(
                payload=payloads,
                payload_hash=hashes,
                _batch_id=pl.lit(brought.stamp.batch_id),
                _ingested_at=pl.lit(brought.stamp.ingested_at).cast(pl.Datetime("us", "UTC")),
                _api_version=pl.lit(brought.stamp.api_version),
                _request_hash=pl.lit(brought.stamp.request_hash),
            )
            path = (
                self._folder / f"{stream.name}-{pull.report.breakdown_set}-{len(brought.pages):04d}.parquet"
            )
            stream.table.conform(page).write_parquet(path, compression="zstd", compression_level=1)
            brought.pages.append(path)
            counts = (
                named.select("report_date")
                .hstack(lanes)
                .with_columns(row_count=pl.lit(1, dtype=pl.Int64))
                .group_by("report_date")
                .agg(pl.col("row_count", *LANES).sum())
            )
        slices = (
            days.join(counts, on="report_date", how="left", maintain_order="left")
            .with_columns(pl.col("row_count", *LANES).fill_null(0))
            .with_columns(pl.lit(value).alias(name) for name, value in envelope.items())
        )
        brought.slices = pl.concat([brought.slices, slices.select(brought.slices.columns)])

    def _failure(self, pull: Pull, error: PlatformError) -> Failure:
        message = self._scrub(str(error))
        return Failure(pull.report, pull.first, pull.last, error.error_class, message, error.wait_seconds)


def _together(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Pages one after another; a column a page lacks is null there."""
    if not frames:
        return pl.DataFrame(schema={"report_date": pl.Date})
    return pl.concat(frames, how="diagonal_relaxed")
