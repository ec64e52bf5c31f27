"""A pull of one account: what an hour costs, how an account is spelt, what becomes of one nobody can read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from resources.clock import SystemClock
from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.fetching import FetchedAccount
from resources.connectors.planning import Span
from resources.connectors.publishing import AccountPublisher, PublishedReport
from resources.connectors.pulling import Puller, Skipped
from resources.connectors.registry import Sources
from resources.control.ingestion import IngestionControl, QueueKey, Waiting
from resources.control.store import open_control_store
from resources.landing.ledger import read_ledger
from resources.sandbox.servers.account import ACCOUNT_ZONE, ServedAccount
from resources.sandbox.servers.meta.server import MetaServer
from resources.sandbox.servers.tiktok import TikTokServer
from resources.settings import PROJECT_ROOT, Settings, load_settings
from resources.warehouse.tables import PYTHON_TABLES
from tests.resources.connectors.paper import ACCOUNT, TODAY, Bench, PaperPlatform, VirtualTime

TOKEN = "sandbox-token"
META, TIKTOK = "418802716650377", "7194406226318590977"


class Hours:
    """One home that pulls hour after hour, and the calls its servers saw."""

    def __init__(self, simulated, warehouse, folder) -> None:
        warehouse.ensure_tables(list(PYTHON_TABLES.values()))
        self.time = VirtualTime(datetime(2026, 6, 30, 12, tzinfo=ZoneInfo(ACCOUNT_ZONE)))
        self.warehouse = warehouse
        self.engine = open_control_store(f"sqlite:///{folder}/control.sqlite")
        self.folder = folder / "pulls"
        served = ServedAccount(simulated, self.time.now)
        self.meta, self.tiktok = MetaServer(served, TOKEN), TikTokServer(served, TOKEN)
        self.meta.job_stages = (("Job Completed", 100),)
        given = load_settings(PROJECT_ROOT / "aelp.yaml").sources
        self.settings: Settings = load_settings(PROJECT_ROOT / "aelp.yaml").model_copy(
            update={
                "sources": {
                    name: given[name].model_copy(update={"backfill_days": 8, "calls_per_hour": 1_000_000})
                    for name in ("meta", "tiktok")
                }
            }
        )

    def pull(self, source: str, account: str) -> list[PublishedReport] | Skipped:
        sources = Sources(
            settings=self.settings,
            clock=self.time,
            pacing_clock=SystemClock(),
            sleep=lambda _: None,
            control_store=lambda: self.engine,
            work_folder=self.folder,
            home=self.folder.parent,
            variables={
                "AELP_META_ENDPOINT": self.meta.url,
                "AELP_META_ACCESS_TOKEN": TOKEN,
                "AELP_TIKTOK_ENDPOINT": self.tiktok.url,
                "AELP_TIKTOK_ACCESS_TOKEN": TOKEN,
            },
        )
        puller, ledger = sources.puller(source), read_ledger(self.warehouse, source)
        fetched = puller.pull(account, ledger, ledger.next_moment(self.time.now().astimezone(UTC)))
        if not isinstance(fetched, FetchedAccount):
            return fetched
        assert not fetched.failures, fetched.failures
        publisher = AccountPublisher(self.warehouse, puller.control, puller.pace(account))
        return publisher.publish(fetched, self.time.now())


@pytest.fixture
def hours(simulated, duckdb_warehouse, tmp_path):
    hours = Hours(simulated, duckdb_warehouse, tmp_path)
    with hours.meta, hours.tiktok:
        yield hours


def test_a_pull_to_which_nothing_is_due_makes_no_call(hours):
    hours.pull("tiktok", TIKTOK)
    before = len(hours.tiktok.requests)
    for _ in range(3):
        hours.time.sleep(900)
        outcome = hours.pull("tiktok", TIKTOK)
        assert isinstance(outcome, Skipped)
        assert outcome.reason == "nothing is due"
    assert len(hours.tiktok.requests) == before
    hours.time.sleep(4 * 3600)
    reports = hours.pull("tiktok", TIKTOK)
    assert {report.stream for report in reports} == {"tiktok_ads_report", "levers", "intraday_spend"}


@pytest.mark.parametrize(
    ("source", "account", "stream"),
    [("meta", META, "meta_hourly_spend"), ("tiktok", TIKTOK, "intraday_spend")],
)
def test_today_s_spend_is_read_every_hour_and_nothing_else(hours, source, account, stream):
    hours.pull(source, account)
    server = getattr(hours, source)
    for _ in range(3):
        hours.time.sleep(3600)
        before = len(server.requests)
        reports = hours.pull(source, account)
        assert [report.stream for report in reports] == [stream]
        # The account's description, and the spend of its hours.
        assert len(server.requests) - before == 2


def test_an_account_is_one_however_the_settings_spell_it(hours):
    hours.pull("meta", META)
    hours.time.sleep(3600)
    hours.pull("meta", f"act_{META}")
    landed = hours.warehouse.query("select distinct account_id from ops.ingest_slices")
    assert landed["account_id"].to_list() == [META]
    assert hours.warehouse.query("select account_id from ops.accounts")["account_id"].to_list() == [META]


def test_a_young_business_pulls_no_day_before_its_history_starts(hours):
    start = hours.time.now().date() - timedelta(days=3)
    hours.settings = hours.settings.model_copy(update={"history_start": start})
    hours.pull("tiktok", TIKTOK)
    landed = hours.warehouse.query("select min(report_date) as first from ops.ingest_slices")
    assert landed["first"].to_list() == [start]


def test_a_zone_the_platform_corrects_is_taken_up_at_the_next_call(hours):
    hours.pull("tiktok", TIKTOK)
    with hours.engine.begin() as connection:
        connection.exec_driver_sql("update known_zones set timezone = 'Pacific/Kiritimati'")
    hours.time.sleep(4 * 3600)
    hours.pull("tiktok", TIKTOK)
    with hours.engine.begin() as connection:
        zones = connection.exec_driver_sql("select timezone from known_zones").scalars().all()
    assert zones == [ACCOUNT_ZONE]


# --- on paper ---------------------------------------------------------------------------------------------

YESTERDAY = TODAY - timedelta(days=1)


@pytest.fixture
def bench(duckdb_warehouse, tmp_path):
    duckdb_warehouse.ensure_tables(list(PYTHON_TABLES.values()))
    control = IngestionControl(open_control_store(f"sqlite:///{tmp_path}/control.sqlite"))
    return Bench(duckdb_warehouse, control, tmp_path / "work")


def pull(
    bench: Bench, platform: PaperPlatform, account_id: str = ACCOUNT.account_id, span: Span | None = None
) -> FetchedAccount | Skipped:
    """As a run pulls: with the control store's queue, and with a limit where nobody named the days."""
    ledger = read_ledger(bench.warehouse, platform.name)
    puller = Puller(
        platform.name,
        lambda: platform,
        lambda: "paper",
        bench.control,
        bench.time,
        bench.time,
        bench.time.sleep,
        np.random.default_rng(1),
        bench.folder,
        calls_per_hour=1e9,
        backfill_days=120,
    )
    return puller.pull(account_id, ledger, ledger.next_moment(bench.time.now()), span)


def queued(bench: Bench, account_id: str = ACCOUNT.account_id) -> dict[QueueKey, Waiting]:
    return bench.control.waiting("tiktok", account_id)


def test_what_is_left_when_time_is_up_is_read_by_the_next_pull_and_waits_for_nothing(bench):
    platform = PaperPlatform({TODAY - timedelta(days=ago): {"ad": ago} for ago in (1, 50, 110, 200)})
    platform.before_page = lambda pull, call: bench.wait(minutes=10)
    old = ("tiktok", "tiktok_ads_report", "none", ACCOUNT.account_id, TODAY - timedelta(days=200))
    failed = Waiting(3, "TRANSIENT", "502", bench.time.now() - timedelta(minutes=5))
    bench.control.settle([], [(old, failed)], bench.time.now())
    (report,) = bench.publish(pull(bench, platform))
    assert (len(report.changed), len(report.left)) == (90, 31)
    assert queued(bench) == {old: failed}, "what failed before waits as it did"
    assert bench.control.queue_sizes() == {"tiktok": {"waiting": 1}}
    bench.wait(minutes=30)
    (report,) = bench.publish(pull(bench, platform))
    assert (len(report.changed), report.left) == (31, [])
    assert bench.in_force() == platform.truth
    assert bench.control.queue_sizes() == {}


def test_days_that_a_person_asked_for_are_all_read_however_long_it_takes(bench):
    platform = PaperPlatform({}, lambda pull, call: bench.wait(minutes=10))
    fetched = pull(bench, platform, span=Span(TODAY - timedelta(days=300), YESTERDAY))
    assert fetched.left == []
    assert fetched.reports[0].slices.height == 300


def test_an_account_that_is_gone_waits_and_is_read_with_the_pull_after_it_is_back(bench):
    platform = PaperPlatform({YESTERDAY: {"ad": 5}})
    platform.accounts = lambda: []
    for _ in range(3):
        outcome = pull(bench, platform)
        assert isinstance(outcome, Skipped)
        assert "cannot read account 1" in outcome.reason
        bench.wait(hours=1)
    ((key, why),) = queued(bench).items()
    assert (key[4], why.error_class, why.next_attempt_at) == (YESTERDAY, "PERMANENT", None)
    assert bench.control.waited_out("tiktok", ["1"], bench.time.now()) == [], "it wakes no pull by itself"
    del platform.accounts
    bench.publish(pull(bench, platform))
    assert bench.in_force() == platform.truth
    assert queued(bench) == {}


@pytest.mark.parametrize("error_class", [ErrorClass.TRANSIENT, ErrorClass.DEFER, ErrorClass.PERMANENT])
def test_an_account_that_cannot_be_read_puts_no_slice_off_that_waits_already(bench, error_class):
    def refuse():
        raise PlatformError(error_class, "no account")

    platform = PaperPlatform({})
    platform.accounts = refuse
    key = ("tiktok", "tiktok_ads_report", "none", ACCOUNT.account_id, YESTERDAY)
    was = Waiting(2, "TRANSIENT", "502", bench.time.now() + timedelta(minutes=10))
    bench.control.settle([], [(key, was)], bench.time.now())
    assert isinstance(pull(bench, platform), Skipped)
    assert queued(bench) == {key: was}
    bench.wait(minutes=15)
    assert isinstance(pull(bench, platform), Skipped)
    assert queued(bench)[key].error_class == error_class, "its wait is over: it waits for the account now"


def test_an_account_that_is_gone_keeps_no_other_waiting(bench):
    platform = PaperPlatform({YESTERDAY: {"ad": 5}})
    assert isinstance(pull(bench, platform, "gone"), Skipped)
    assert queued(bench, "gone")
    bench.publish(pull(bench, platform))
    assert queued(bench) == {}
    assert bench.in_force() == platform.truth
