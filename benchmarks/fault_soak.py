"""Random fault scripts against the sandbox servers: does every row arrive, once, whatever goes wrong?

Here: one script from first pull to truth, and many of them counted. Not here: servers and their faults
(`resources.sandbox.servers`), connectors. `make test` runs a slice of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from benchmarks.accounts import scratch_folder
from benchmarks.record import Figure, Record, code_hash
from resources.connectors.fetching import FetchedAccount
from resources.connectors.planning import Span
from resources.connectors.publishing import AccountPublisher
from resources.connectors.pulling import Puller
from resources.connectors.source import Source
from resources.control.ingestion import IngestionControl
from resources.control.store import open_control_store
from resources.landing.ledger import read_ledger
from resources.sandbox.build import Simulated, simulate_account
from resources.sandbox.frames import Reports, Window
from resources.sandbox.servers.account import ACCOUNT_ZONE, ServedAccount
from resources.sandbox.servers.faults import FaultKind, FaultScript, random_script
from resources.warehouse.duckdb import DuckDBWarehouse
from resources.warehouse.tables import PYTHON_TABLES

TODAY = date(2026, 6, 30)
DAYS = 12
MOST_ROUNDS = 40
TOKEN = "soak-token"


@dataclass(frozen=True)
class Platform:
    """A source, its server, and where the truth of its main stream is.

    Attributes:
        serve: the server of a served account under a fault script.
        connect: the source against that server, with a short timeout; given clock and sleep.
        report: the simulated report, with the headers of its day, impressions and spend.
        endpoints: parts of endpoints faults are aimed at.
    """

    name: str
    account_id: str
    stream: str
    spend_field: str
    serve: Callable[[ServedAccount, FaultScript], AbstractContextManager[Any]]
    connect: Callable[[Any, Clockwork, Path], Source]
    report: Callable[[Reports, Window], pl.DataFrame]
    headers: tuple[str, str, str]
    endpoints: Sequence[str]


@dataclass
class Clockwork:
    """A clock that moves when someone sleeps."""

    moment: datetime = datetime(2026, 6, 30, 8, tzinfo=ZoneInfo(ACCOUNT_ZONE))

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@dataclass
class Outcome:
    """What one script came to; rows are of the main stream, per day against the truth."""

    rounds: int
    ended: bool
    slices: int
    played: Counter[FaultKind] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    wrong_days: int = 0


def _tiktok(served: ServedAccount, faults: FaultScript) -> AbstractContextManager[Any]:
    from resources.sandbox.servers.tiktok import TikTokServer

    return TikTokServer(served, TOKEN, faults)


def _to_tiktok(server: Any, clockwork: Clockwork, _: Path) -> Source:
    from resources.connectors.tiktok import TikTok, TikTokCredentials

    accounts = ("7194406226318590977",)
    return TikTok(
        TikTokCredentials(TOKEN),
        accounts,
        clockwork.now,
        endpoint=server.url,
        timeout_seconds=0.5,
        page_size=25,
    )


def _linkedin(served: ServedAccount, faults: FaultScript) -> AbstractContextManager[Any]:
    from resources.sandbox.servers.linkedin import LinkedInServer

    return LinkedInServer(served, TOKEN, faults)


def _to_linkedin(server: Any, clockwork: Clockwork, _: Path) -> Source:
    from resources.connectors.linkedin import LinkedIn, LinkedInCredentials

    credentials, accounts = LinkedInCredentials(TOKEN), ("508733911",)
    return LinkedIn(credentials, accounts, clockwork.now, endpoint=server.url, timeout_seconds=0.5)


def _meta(served: ServedAccount, faults: FaultScript) -> AbstractContextManager[Any]:
    from resources.sandbox.servers.meta.server import MetaServer

    return MetaServer(served, TOKEN, faults)


def _to_meta(server: Any, clockwork: Clockwork, folder: Path) -> Source:
    from resources.connectors.meta.credentials import MetaCredentials
    from resources.connectors.meta.source import MetaSource
    from resources.creative_assets import AssetStore

    return MetaSource(
        MetaCredentials(TOKEN),
        ["418802716650377"],
        assets=AssetStore(folder / "creative_assets"),
        sleep=clockwork.sleep,
        now=clockwork.now,
        base_url=server.url,
        timeout_seconds=0.5,
    )


def _google_ads(served: ServedAccount, faults: FaultScript) -> AbstractContextManager[Any]:
    from resources.sandbox.servers.google_ads.server import GoogleAdsServer

    return GoogleAdsServer(served, TOKEN, faults, batch_rows=50)


def _to_google_ads(server: Any, clockwork: Clockwork, _: Path) -> Source:
    from resources.connectors.google_ads.credentials import GoogleAdsCredentials
    from resources.connectors.google_ads.source import GoogleAdsSource

    credentials, accounts = GoogleAdsCredentials(access_token=TOKEN), ("4721189034",)
    return GoogleAdsSource(credentials, accounts, endpoint=server.endpoint, timeout_seconds=0.5)


PLATFORMS = (
    Platform(
        "meta",
        "418802716650377",
        "meta_ads_insights",
        "spend",
        _meta,
        _to_meta,
        Reports.meta,
        ("Reporting starts", "Impressions", "Amount spent (USD)"),
        ("/insights", "/act_", "/ads", ""),
    ),
    Platform(
        "google_ads",
        "472-118-9034",
        "google_ads_ad_performance",
        "cost",
        _google_ads,
        _to_google_ads,
        Reports.google_ads,
        ("Day", "Impr.", "Cost"),
        ("SearchStream", ""),
    ),
    Platform(
        "tiktok",
        "7194406226318590977",
        "tiktok_ads_report",
        "spend",
        _tiktok,
        _to_tiktok,
        Reports.tiktok,
        ("By Day", "Impressions", "Cost"),
        ("/report/", "/advertiser/", "/campaign/", ""),
    ),
    Platform(
        "linkedin",
        "508733911",
        "linkedin_ad_analytics",
        "spend",
        _linkedin,
        _to_linkedin,
        Reports.linkedin,
        ("Start Date (in UTC)", "Impressions", "Total Spent"),
        ("adAnalytics", "Campaigns", ""),
    ),
)


@cache
def simulated_business() -> Simulated:
    """The tiny business, with two weeks beyond TODAY for restatements to arrive in."""
    return simulate_account("tiny", 20261120, TODAY, further_days=14)


def run_script(platform: Platform, seed: int, warehouse: DuckDBWarehouse, folder: Path) -> Outcome:
    """One random script: pull every four hours until nothing fails, read all once more, compare.

    Credentials that were refused are renewed before the next pull, as a person would.
    """
    rng = np.random.default_rng(seed)
    script = FaultScript(
        random_script(rng, list(FaultKind), platform.endpoints, faults=int(rng.integers(1, 9)))
    )
    clockwork = Clockwork()
    served = ServedAccount(simulated_business(), clockwork.now)
    control = IngestionControl(open_control_store(f"sqlite:///{folder}/{platform.name}-{seed}.sqlite"))
    with platform.serve(served, script) as server:
        source = platform.connect(server, clockwork, folder / f"{platform.name}-{seed}-kept")
        puller = Puller(
            source=platform.name,
            open_source=lambda: source,
            control=control,
            clock=clockwork,
            pacing_clock=clockwork,
            sleep=clockwork.sleep,
            rng=rng,
            folder=folder / f"{platform.name}-{seed}",
            calls_per_hour=1e6,
            backfill_days=DAYS,
        )

        def pull(span: Span | None = None) -> bool:
            """Whether everything that was due was read."""
            ledger = read_ledger(warehouse, platform.name)
            moment = ledger.next_moment(clockwork.now())
            fetched = puller.pull(platform.account_id, ledger, moment, span)
            if isinstance(fetched, FetchedAccount):
                publisher = AccountPublisher(warehouse, control, puller.pace(platform.account_id))
                publisher.publish(fetched, clockwork.now())
                return not fetched.failures
            return fetched.reason == "nothing is due"

        rounds, quiet = 0, 0
        while rounds < MOST_ROUNDS and quiet < 2:
            rounds += 1
            quiet = quiet + 1 if pull() else 0
            control.resume_source(platform.name)
            clockwork.sleep(4 * 3600)
        last = served.today - timedelta(days=1)
        span = Span(last - timedelta(days=DAYS - 1), last)
        readings = 0  # an emptied day is believed at the second
        while rounds < MOST_ROUNDS and readings < 2:
            rounds += 1
            readings = readings + 1 if pull(span) else 0
            control.resume_source(platform.name)
            if readings < 2:
                clockwork.sleep(600)
    outcome = Outcome(rounds, readings == 2, _slices(warehouse), script.played)
    _compare(platform, warehouse, served, span, outcome)
    return outcome


def _slices(warehouse: DuckDBWarehouse) -> int:
    return int(warehouse.query("select count(*) as n from ops.ingest_slices")["n"][0])


def _compare(
    platform: Platform, warehouse: DuckDBWarehouse, served: ServedAccount, span: Span, outcome: Outcome
) -> None:
    """Rows, impressions and spend in force per day against the truth."""
    day, impressions, spend = platform.headers
    money = pl.Decimal(18, 2)
    truth = (
        served.rows(platform.report, span.first, span.last)
        .select(
            pl.col(day).str.to_date().alias("report_date"),
            pl.col(impressions).cast(pl.Int64).alias("impressions"),
            pl.col(spend).round(2).cast(money).alias("spend"),
        )
        .group_by("report_date")
        .agg(pl.len().alias("rows"), pl.col("impressions", "spend").sum())
    )
    raw = warehouse.query(
        f"""
        with latest as (
            select *, row_number() over (partition by account_id, report_date, breakdown_set
                order by completed_at desc, batch_id desc) as place
            from ops.ingest_slices where status = 'complete' and stream = '{platform.stream}'
        )
        select r.report_date, r.payload from raw.{platform.stream} as r join latest as l
          on l.place = 1 and l.data_batch_id = r._batch_id and l.report_date = r.report_date
        where r.report_date between $first and $last
        """,
        {"first": span.first, "last": span.last},
    )
    found = (
        raw.select(
            "report_date",
            impressions=pl.col("payload").str.json_path_match("$.impressions").cast(pl.Int64),
            spend=pl.col("payload").str.json_path_match(f"$.{platform.spend_field}").cast(money),
        )
        .group_by("report_date")
        .agg(pl.len().alias("rows"), pl.col("impressions", "spend").sum())
    )
    both = truth.join(found, on="report_date", how="full", coalesce=True, suffix="_found").fill_null(0)
    gap = both["rows_found"].cast(pl.Int64) - both["rows"].cast(pl.Int64)
    outcome.lost = int(-gap.clip(upper_bound=0).sum())
    outcome.doubled = int(gap.clip(lower_bound=0).sum())
    outcome.wrong_days = both.filter(
        (pl.col("impressions") != pl.col("impressions_found")) | (pl.col("spend") != pl.col("spend_found"))
    ).height


def run_script_of(seed: int) -> dict[str, Any]:
    """One script on an empty warehouse, platforms in turn by seed."""
    platform = PLATFORMS[seed % len(PLATFORMS)]
    with TemporaryDirectory(prefix="aelp-soak-") as name:
        warehouse = DuckDBWarehouse(Path(name) / "warehouse.duckdb", temporary=Path(name) / "tmp")
        warehouse.ensure_tables(list(PYTHON_TABLES.values()))
        outcome = run_script(platform, seed, warehouse, Path(name))
    played = {kind.value: count for kind, count in sorted(outcome.played.items())}
    return {"seed": seed, "platform": platform.name, **vars(outcome), "played": played}


def fault_soak(scripts: int = 500) -> Record:
    """Many scripts; rows lost and doubled should both be none, and every run should end.

    Outcomes are kept as they come, so that a soak cut off goes on where it was.
    """
    kept = scratch_folder() / f"fault_soak-{code_hash()}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    outcomes = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    outcomes = [outcome for outcome in outcomes if outcome["seed"] < scripts]
    known = {outcome["seed"] for outcome in outcomes}
    with kept.open("a") as file:
        for seed in range(scripts):
            if seed not in known:
                outcomes.append(run_script_of(seed))
                file.write(json.dumps(outcomes[-1]) + "\n")
                file.flush()
    played: Counter[str] = Counter()
    for outcome in outcomes:
        played.update(outcome["played"])

    def total(name: str) -> int:
        return sum(outcome[name] for outcome in outcomes)

    endless = sum(not outcome["ended"] for outcome in outcomes)
    wrong = [o for o in outcomes if o["lost"] or o["doubled"] or o["wrong_days"] or not o["ended"]]
    return Record(
        "fault_soak",
        {"scripts": scripts},
        [
            Figure("slices settled", total("slices"), "slices"),
            Figure("faults played", sum(played.values()), "faults"),
            Figure("rows lost", total("lost"), "rows", "0", total("lost") == 0),
            Figure("rows doubled", total("doubled"), "rows", "0", total("doubled") == 0),
            Figure("days with wrong sums", total("wrong_days"), "days", "0", total("wrong_days") == 0),
            Figure("scripts that did not end", endless, "scripts", "0", endless == 0),
        ],
        note="A script plays one to eight random faults, each up to three times, against a sandbox server.",
        details={
            "faults played": dict(played.most_common()),
            "scripts per platform": dict(Counter(outcome["platform"] for outcome in outcomes)),
            "failed scripts": {str(outcome["seed"]): str(outcome) for outcome in wrong},
        },
    )
