"""A pull of one account from the sandbox's servers: what an hour costs, and how an account is spelt."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from resources.clock import SystemClock
from resources.connectors.fetching import FetchedAccount
from resources.connectors.publishing import AccountPublisher, PublishedReport
from resources.connectors.pulling import Skipped
from resources.connectors.registry import Sources
from resources.control.store import open_control_store
from resources.landing.ledger import read_ledger
from resources.sandbox.servers.account import ACCOUNT_ZONE, ServedAccount
from resources.sandbox.servers.meta.server import MetaServer
from resources.sandbox.servers.tiktok import TikTokServer
from resources.settings import PROJECT_ROOT, Settings, load_settings
from resources.warehouse.tables import PYTHON_TABLES
from tests.resources.connectors.paper import VirtualTime

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


def test_a_zone_the_platform_corrects_is_taken_up_at_the_next_call(hours):
    hours.pull("tiktok", TIKTOK)
    with hours.engine.begin() as connection:
        connection.exec_driver_sql("update known_zones set timezone = 'Pacific/Kiritimati'")
    hours.time.sleep(4 * 3600)
    hours.pull("tiktok", TIKTOK)
    with hours.engine.begin() as connection:
        zones = connection.exec_driver_sql("select timezone from known_zones").scalars().all()
    assert zones == [ACCOUNT_ZONE]
