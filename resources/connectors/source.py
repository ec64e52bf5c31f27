"""The interface every live source has: which accounts, which streams, and the rows of one pull.

Here: accounts, pulls, pages and the protocol. Not here: retries, splitting, files (`fetching`): a source only
asks, reads the answer, and says by `PlatformError` what went wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Protocol, runtime_checkable

import polars as pl

from resources.landing.streams import Stream

FOUR_HOURS = timedelta(hours=3, minutes=30)  # a pull started on the hour ends some minutes past it
CONTEXT_DAYS = 45  # of breakdowns by hour, age and gender: four weeks of cohorts that have matured
AN_HOUR = timedelta(minutes=50)
API = "api"


@dataclass(frozen=True)
class Account:
    """An account as its platform describes it; `timezone` is the IANA zone of its days."""

    account_id: str
    name: str
    currency: str
    timezone: str


@dataclass(frozen=True)
class Report:
    """One kind of call a source can make: a stream in one breakdown.

    Attributes:
        stream: the raw table its rows go to.
        breakdown_set: which breakdown the call has; each repeats the full total.
        lookback_days: days before today that are asked for again, because the platform restates them.
        longest_days: most days one call may span.
        is_snapshot: the state of today (entities, budgets), which has no past to ask for.
        snapshot_every: how old a snapshot must be to be asked for again.
        final_after_days: age from which the platform no longer restates a day.
        wanted_days: how far back days are wanted that were never read, where the source's own is further.
        expires: an empty day is one the platform no longer keeps: what was landed of it stands.
        place: where its rows are read; a place that refuses stops no report of another.
    """

    stream: Stream
    breakdown_set: str
    lookback_days: int
    longest_days: int
    is_snapshot: bool = False
    final_after_days: int = 28
    snapshot_every: timedelta = FOUR_HOURS
    expires: bool = False
    place: str = API
    wanted_days: int | None = None

    @property
    def name(self) -> str:
        return f"{self.stream.name}/{self.breakdown_set}"


@dataclass(frozen=True)
class Pull:
    """One report of one account for first … last (account-local days, inclusive), perhaps for a part of it.

    `parents` limits it to these parents (campaign ids); `page_size` None is the source's own.
    """

    account: Account
    report: Report
    first: date
    last: date
    parents: tuple[str, ...] | None = None
    page_size: int | None = None

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    def between(self, first: date, last: date) -> Pull:
        return replace(self, first=first, last=last)

    def __str__(self) -> str:
        part = f", {len(self.parents)} campaigns" if self.parents is not None else ""
        return f"{self.report.name} of account {self.account.account_id}, {self.first} to {self.last}{part}"


@dataclass(frozen=True)
class Page:
    """Some rows of a pull.

    Attributes:
        rows: report_date (Date), the stream's keys and payload fields (all String). Absent fields are null or
            missing columns, absent keys `__none__`. Numbers are text exactly as the platform means them
            (micros already divided). Columns the stream does not know are kept in the payload.
        wait_seconds: how long the platform's usage headers advise to wait before the next call.
    """

    rows: pl.DataFrame
    wait_seconds: float = 0.0


class Source(Protocol):
    """A platform. Calls block; every failure is a PlatformError raised `from None`."""

    name: str
    """As in `raw.*.source`: meta, google_ads, …"""
    api_version: str

    @property
    def reports(self) -> Sequence[Report]: ...

    @property
    def secrets(self) -> Sequence[str]:
        """Texts that must never be printed."""
        ...

    def accounts(self) -> Sequence[Account]:
        """The accounts these credentials can read: one read-only call."""
        ...

    def pages(self, pull: Pull) -> Iterator[Page]:
        """The rows of a pull, page by page; the last page yielded ends the pull.

        A pull whose pages end without an error is complete. Rows may repeat; they may not be missing.
        """
        ...

    def parents(self, pull: Pull) -> Sequence[str]:
        """Campaign ids a pull can be divided by when even one day is too much; empty if it cannot."""
        ...

    @property
    def page_sizes(self) -> Sequence[int]:
        """Smaller page sizes to try, largest first, when nothing else is left to divide; may be empty."""
        ...


@runtime_checkable
class ReadsElsewhere(Protocol):
    """A source that reads some rows from another place than its accounts: `aelp connect` looks there too."""

    def elsewhere(self, account_id: str) -> str | None:
        """What is there for this account, for a person; None where nothing is read there.

        Raises:
            PlatformError: it cannot be read.
        """
        ...
