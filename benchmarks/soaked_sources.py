"""The sources of the fault soak: how each is served and read, and where its truth lies.

Here: server, source and truth by source. Not here: running a script (`fault_soak`). Imports stand in the
functions: a script needs one platform's SDK, not all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from resources.connectors.planning import Span
from resources.connectors.source import Source
from resources.sandbox.frames import Reports, Window
from resources.sandbox.servers.account import ACCOUNT_ZONE, ServedAccount
from resources.sandbox.servers.faults import FaultKind, FaultScript

TODAY = date(2026, 6, 30)
DAYS = 12
TOKEN = "soak-token"
TIMEOUT = 0.5  # seconds


@dataclass
class Clockwork:
    """A clock that moves when someone sleeps."""

    moment: datetime = datetime(2026, 6, 30, 8, tzinfo=ZoneInfo(ACCOUNT_ZONE))

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Compared:
    """A report whose rows in force are compared with the truth, day by day.

    Attributes:
        numbers: names of the truth's numbers, and the raw column or payload field that holds each.
        truth: one row for each that must be in force on the days asked for: report_date and the numbers.
    """

    stream: str
    numbers: Mapping[str, str]
    truth: Callable[[ServedAccount, Span], pl.DataFrame]
    breakdown_set: str = "none"


@dataclass(frozen=True)
class SoakedSource:
    """A source, its server, and what is compared.

    Attributes:
        serve: the server of a served account under a fault script.
        connect: the source against that server, with a short timeout; given clock and sleep, and a folder for
            what it keeps.
        endpoints: parts of endpoints faults are aimed at.
        kinds: the faults drawn from; a server passes over those it cannot play.
    """

    name: str
    account_id: str
    serve: Callable[[ServedAccount, FaultScript], AbstractContextManager[Any]]
    connect: Callable[[Any, Clockwork, Path], Source]
    endpoints: Sequence[str]
    compared: Sequence[Compared]
    kinds: Sequence[FaultKind] = tuple(FaultKind)


# --- ad platforms -------------------------------------------------------------------------------------


def _ad_rows(
    report: Callable[[Reports, Window], pl.DataFrame],
    day: str,
    impressions: str,
    spend: str,
    served: ServedAccount,
    span: Span,
) -> pl.DataFrame:
    return served.rows(report, span.first, span.last).select(
        pl.col(day).str.to_date().alias("report_date"),
        pl.col(impressions).alias("impressions"),
        pl.col(spend).alias("spend"),
    )


def _meta(served: ServedAccount, faults: FaultScript) -> AbstractContextManager[Any]:
    from resources.sandbox.servers.meta.server import MetaServer

    return MetaServer(served, TOKEN, faults)


def _to_meta(server: Any, clockwork: Clockwork, kept: Path) -> Source:
    from resources.connectors.meta.credentials import MetaCredentials
    from resources.connectors.meta.source import MetaSource
    from resources.creative_assets import AssetStore

    return MetaSource(
        MetaCredentials(TOKEN),
        ["418802716650377"],
        assets=AssetStore(kept),
        sleep=clockwork.sleep,
        now=clockwork.now,
        base_url=server.url,
        timeout_seconds=TIMEOUT,
    )


def _google_ads(served: ServedAccount, faults: FaultScript) -> AbstractContextManager[Any]:
    from resources.sandbox.servers.google_ads.server import GoogleAdsServer

    return GoogleAdsServer(served, TOKEN, faults, batch_rows=50)


def _to_google_ads(server: Any, clockwork: Clockwork, _: Path) -> Source:
    from resources.connectors.google_ads.credentials import GoogleAdsCredentials
    from resources.connectors.google_ads.source import GoogleAdsSource

    credentials, accounts = GoogleAdsCredentials(access_token=TOKEN), ("4721189034",)
    return GoogleAdsSource(credentials, accounts, endpoint=server.endpoint, timeout_seconds=TIMEOUT)


def _tiktok(served: ServedAccount, faults: FaultScript) -> AbstractContextManager[Any]:
    from resources.sandbox.servers.tiktok import TikTokServer

    return TikTokServer(served, TOKEN, faults)


def _to_tiktok(server: Any, clockwork: Clockwork, _: Path) -> Source:
    from resources.connectors.tiktok import TikTok, TikTokCredentials

    return TikTok(
        TikTokCredentials(TOKEN),
        ("7194406226318590977",),
        clockwork.now,
        endpoint=server.url,
        timeout_seconds=TIMEOUT,
        page_size=25,
    )


def _linkedin(served: ServedAccount, faults: FaultScript) -> AbstractContextManager[Any]:
    from resources.sandbox.servers.linkedin import LinkedInServer

    return LinkedInServer(served, TOKEN, faults)


def _to_linkedin(server: Any, clockwork: Clockwork, _: Path) -> Source:
    from resources.connectors.linkedin import LinkedIn, LinkedInCredentials

    credentials, accounts = LinkedInCredentials(TOKEN), ("508733911",)
    return LinkedIn(credentials, accounts, clockwork.now, endpoint=server.url, timeout_seconds=TIMEOUT)


# --- affiliates, web analytics, vendors ---------------------------------------------------------------


def _impact(served: ServedAccount, faults: FaultScript) -> AbstractContextManager[Any]:
    from resources.sandbox.servers.impact import ImpactServer

    # Small pages, so that there are several; the server's hour never ends, so its quota must not.
    return ImpactServer(served, TOKEN, faults, smallest_page=1, calls_per_hour=1_000_000)


def _to_impact(server: Any, clockwork: Clockwork, _: Path) -> Source:
    from resources.connectors.impact import Impact, ImpactCredentials
    from resources.sandbox.servers.impact import ACCOUNT_SID

    credentials = ImpactCredentials(ACCOUNT_SID, TOKEN)
    return Impact(credentials, endpoint=server.url, timeout_seconds=TIMEOUT, page_size=100)


def _actions(served: ServedAccount, span: Span) -> pl.DataFrame:
    """Affiliate actions with what is paid for them now: nothing for those reversed."""
    from resources.sandbox.servers.impact import affiliate_actions

    business = served.simulated.business
    known = business.day_of(served.today) - 1
    days = business.day_of(span.first), min(business.day_of(span.last), known)
    return pl.DataFrame(
        [
            (business.date_of(action.day), action.amount / 100 * is_kept, action.payout / 100 * is_kept)
            for action in affiliate_actions(served.simulated, *days)
            for is_kept in (action.state(known) != "REVERSED",)
        ],
        schema={"report_date": pl.Date, "amount": pl.Float64, "payout": pl.Float64},
        orient="row",
    )


def _ga4(served: ServedAccount, faults: FaultScript) -> AbstractContextManager[Any]:
    from resources.sandbox.servers.ga4 import Ga4Server

    return Ga4Server(served, TOKEN, faults)


def _to_ga4(server: Any, clockwork: Clockwork, _: Path) -> Source:
    from resources.connectors.ga4 import Ga4Source
    from resources.connectors.ga4_credentials import Ga4Credentials
    from resources.sandbox.servers.ga4 import PROPERTY_ID

    return Ga4Source(
        Ga4Credentials(access_token=TOKEN),
        (PROPERTY_ID,),
        endpoint=server.endpoint,
        timeout_seconds=TIMEOUT,
        now=clockwork.now,
        page_size=100,
    )


def _measured(report: str, numbers: Sequence[str], served: ServedAccount, span: Span) -> pl.DataFrame:
    """A row for each channel and device of a day, as GA4 adds them up; key events where there are any."""
    from resources.sandbox.servers.ga4_measured import Measured

    facts = getattr(Measured(served), report)(span.first, span.last)
    rows = facts.group_by(pl.exclude("sessions", "engagedSessions", "totalUsers", *numbers)).agg(
        pl.col(numbers).sum()
    )
    return rows.filter(pl.col(numbers[0]) > 0).select(
        pl.col("date").str.to_date("%Y%m%d").alias("report_date"), *numbers
    )


# A file a day, each of another length: a vendor's file with another's content counts for nothing.
_DROPPED = {TODAY - timedelta(days=ago): 20 + ago for ago in range(1, DAYS + 1)}


@contextmanager
def _vendor(served: ServedAccount, faults: FaultScript) -> Iterator[Any]:
    """A vendor who has dropped a file at each day's noon."""
    from resources.sandbox.servers.sftp import SftpServer

    with (
        TemporaryDirectory(prefix="aelp-vendor-") as name,
        SftpServer(served, TOKEN, Path(name), faults, stall_seconds=2 * TIMEOUT) as server,
    ):
        for day, length in _DROPPED.items():
            rows = [f"{day}-{row},Sleep safe,https://www.northstar.example/{row}" for row in range(length)]
            noon = datetime.combine(day, time(12), ZoneInfo(ACCOUNT_ZONE))
            server.deliver(f"{day}.csv", "\n".join(["creative_id,headline,link_url", *rows]), noon)
        yield server


def _to_vendor(server: Any, clockwork: Clockwork, _: Path) -> Source:
    from resources.connectors.sftp import SftpCredentials, SftpInbox
    from resources.connectors.vendor_files import VendorFiles
    from resources.sandbox.servers.sftp import USER

    credentials = SftpCredentials(
        host="127.0.0.1",
        port=server.port,
        user=USER,
        password=TOKEN,
        host_key=server.host_key,
        folder=server.folder.name,
    )
    return VendorFiles(
        SftpInbox(credentials, timeout_seconds=TIMEOUT),
        "studio",
        server.folder.parent / "archive",
        ACCOUNT_ZONE,
        now=clockwork.now,
        sleep=clockwork.sleep,
    )


def _dropped(served: ServedAccount, span: Span) -> pl.DataFrame:
    rows = [
        (day, row + 1)
        for day, length in _DROPPED.items()
        if span.first <= day <= span.last
        for row in range(length)
    ]
    return pl.DataFrame(rows, schema={"report_date": pl.Date, "row_no": pl.Int64}, orient="row")


_AD_NUMBERS = {"impressions": "impressions", "spend": "spend"}

SOURCES = (
    SoakedSource(
        "meta",
        "418802716650377",
        _meta,
        _to_meta,
        ("/insights", "/act_", "/ads", ""),
        [
            Compared(
                "meta_ads_insights",
                _AD_NUMBERS,
                partial(_ad_rows, Reports.meta, "Reporting starts", "Impressions", "Amount spent (USD)"),
            )
        ],
    ),
    SoakedSource(
        "google_ads",
        "472-118-9034",
        _google_ads,
        _to_google_ads,
        ("SearchStream", ""),
        [
            Compared(
                "google_ads_ad_performance",
                _AD_NUMBERS | {"spend": "cost"},
                partial(_ad_rows, Reports.google_ads, "Day", "Impr.", "Cost"),
                "network_device",
            )
        ],
    ),
    SoakedSource(
        "tiktok",
        "7194406226318590977",
        _tiktok,
        _to_tiktok,
        ("/report/", "/advertiser/", "/campaign/", ""),
        [
            Compared(
                "tiktok_ads_report",
                _AD_NUMBERS,
                partial(_ad_rows, Reports.tiktok, "By Day", "Impressions", "Cost"),
            )
        ],
    ),
    SoakedSource(
        "linkedin",
        "508733911",
        _linkedin,
        _to_linkedin,
        ("adAnalytics", "Campaigns", ""),
        [
            Compared(
                "linkedin_ad_analytics",
                _AD_NUMBERS,
                partial(_ad_rows, Reports.linkedin, "Start Date (in UTC)", "Impressions", "Total Spent"),
            )
        ],
    ),
    SoakedSource(
        "impact",
        "IRyNsTaR7204QeXk3Wb1V9pGm5Hd8Zc61",
        _impact,
        _to_impact,
        ("/Actions", "/Campaigns", ""),
        [Compared("impact_actions", {"amount": "amount", "payout": "payout"}, _actions)],
    ),
    SoakedSource(
        "ga4",
        "318204466",
        _ga4,
        _to_ga4,
        ("RunReport", ""),
        [
            Compared(
                "ga4_reports",
                {"sessions": "sessions", "totalUsers": "total_users"},
                partial(_measured, "sessions", ["sessions", "totalUsers"]),
                "sessions",
            ),
            Compared(
                "ga4_reports",
                {"keyEvents": "key_events", "purchaseRevenue": "purchase_revenue"},
                partial(_measured, "key_events", ["keyEvents", "purchaseRevenue"]),
                "key_events",
            ),
        ],
    ),
    SoakedSource(
        "vendor_files",
        "studio",
        _vendor,
        _to_vendor,
        ("read", "login", ""),
        [Compared("vendor_creatives", {"row_no": "row_no"}, _dropped)],
        # Files are read once and kept: few calls, so only faults that can happen to them.
        (FaultKind.EXPIRED_TOKEN, FaultKind.STALL, FaultKind.STREAM_BREAK, FaultKind.SERVER_ERROR),
    ),
)
