"""A platform on paper: rows by day that tests change, and faults they script, behind the Source interface.

The runner's tests need faults no server can time; what platforms answer is tested on their servers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from resources.connectors.errors import PlatformError
from resources.connectors.fetching import AccountFetcher, FetchedAccount
from resources.connectors.pacing import Pace
from resources.connectors.planning import Span, due_pulls
from resources.connectors.publishing import AccountPublisher, PublishedReport
from resources.connectors.source import Account, Page, Pull, Report
from resources.control.ingestion import IngestionControl
from resources.landing.ledger import read_ledger
from resources.landing.streams import STREAMS
from resources.warehouse.interface import Warehouse

START = datetime(2026, 6, 30, 12, tzinfo=UTC)
TODAY = START.date()
ACCOUNT = Account("1", "Paper", "USD", "UTC")
TOKEN = "paper-secret-token"
REPORT = Report(STREAMS["tiktok_ads_report"], "none", lookback_days=28, longest_days=30)

Rows = dict[str, int]  # ad -> impressions


class VirtualTime:
    """A clock that moves only when someone sleeps, or a test says so."""

    def __init__(self, moment: datetime = START) -> None:
        self.moment = moment
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.moment += timedelta(seconds=seconds)


@dataclass
class PaperPlatform:
    """Serves `truth` two rows a page; `before_page` may raise, or change the rows of that page."""

    truth: dict[date, Rows]
    before_page: Callable[[Pull, int], PlatformError | None] = lambda pull, call: None
    transform: Callable[[list[Page], Pull], list[Page]] = lambda pages, pull: pages
    campaigns: tuple[str, ...] = ("c1", "c2", "c3")
    too_much: Callable[[Pull], PlatformError | None] = lambda pull: None
    calls: list[Pull] = field(default_factory=list)
    page_sizes: Sequence[int] = (2, 1)
    name: str = "tiktok"
    api_version: str = "paper-1"
    reports: Sequence[Report] = (REPORT,)
    secrets: Sequence[str] = (TOKEN,)

    def accounts(self) -> Sequence[Account]:
        return [ACCOUNT]

    def parents(self, pull: Pull) -> Sequence[str]:
        return self.campaigns

    def pages(self, pull: Pull) -> Iterator[Page]:
        rows = [
            {
                "report_date": day,
                "campaign_id": self.campaign(ad),
                "adgroup_id": "g",
                "ad_id": ad,
                "impressions": str(impressions),
            }
            for day in pull.days
            for ad, impressions in sorted(self.truth.get(day, {}).items())
            if pull.parents is None or self.campaign(ad) in pull.parents
        ]
        schema = {"report_date": pl.Date} | dict.fromkeys(
            ("campaign_id", "adgroup_id", "ad_id", "impressions"), pl.String
        )
        size = pull.page_size or 3
        pages = [
            Page(pl.DataFrame(rows[at : at + size], schema=schema))
            for at in range(0, max(1, len(rows)), size)
        ]
        for page in self.transform(pages, pull):
            self.calls.append(pull)
            error = self.too_much(pull) or self.before_page(pull, len(self.calls))
            if error is not None:
                raise error
            yield page

    def campaign(self, ad: str) -> str:
        return self.campaigns[sum(ad.encode()) % len(self.campaigns)]


@dataclass
class Bench:
    """One warehouse, one control store, one virtual clock, and runs against a platform."""

    warehouse: Warehouse
    control: IngestionControl
    folder: Path
    time: VirtualTime = field(default_factory=VirtualTime)
    runs: int = 0

    def pace(self, patience: float = 120.0, calls_per_hour: float = 1e9) -> Pace:
        return Pace(
            "tiktok",
            ACCOUNT.account_id,
            self.control,
            calls_per_hour,
            self.time,
            self.time,
            self.time.sleep,
            np.random.default_rng(self.runs),
            patience,
        )

    def fetch(
        self,
        platform: PaperPlatform,
        span: Span | None = None,
        patience: float = 120.0,
        backfill: int = 10,
        longest: timedelta | None = None,
    ) -> FetchedAccount:
        self.runs += 1
        pulls = due_pulls(
            platform.name,
            ACCOUNT,
            platform.reports,
            read_ledger(self.warehouse),
            self.control.waiting(platform.name, ACCOUNT.account_id),
            self.time.now().date(),
            self.time.now(),
            backfill_days=backfill,
            span=span,
        )
        fetcher = AccountFetcher(
            platform, ACCOUNT, self.pace(patience), self.folder / str(self.runs), self.time.now()
        )
        return fetcher.fetch(pulls, longest)

    def publish(self, fetched: FetchedAccount) -> list[PublishedReport]:
        return AccountPublisher(self.warehouse, self.control, self.pace()).publish(fetched, self.time.now())

    def run(
        self, platform: PaperPlatform, span: Span | None = None, patience: float = 120.0
    ) -> PublishedReport:
        reports = self.publish(self.fetch(platform, span, patience))
        return reports[0]

    def wait(self, **time: float) -> None:
        self.time.moment += timedelta(**time)

    def in_force(self) -> dict[date, Rows]:
        """What staging would read: the rows of the latest complete batch of each slice."""
        rows = self.warehouse.query(
            """
            with latest as (
                select *, row_number() over (
                    partition by source, stream, account_id, report_date, breakdown_set
                    order by completed_at desc, batch_id desc) as place
                from ops.ingest_slices where status = 'complete'
            )
            select r.report_date, r.ad_id, r.payload from raw.tiktok_ads_report as r
            join latest as l on l.place = 1 and l.data_batch_id = r._batch_id
              and l.account_id = r.account_id and l.report_date = r.report_date
              and l.stream = 'tiktok_ads_report'
            """
        )
        found: dict[date, Rows] = {}
        for day, ad, payload in rows.iter_rows():
            ads = found.setdefault(day, {})
            assert ad not in ads, f"{ad} of {day} is there twice"
            ads[ad] = int(payload.split('"impressions":"')[1].split('"')[0])
        return found

    def raw_rows(self) -> int:
        return int(self.warehouse.query("select count(*) as n from raw.tiktok_ads_report")["n"][0])
