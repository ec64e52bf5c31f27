"""Live sources through Dagster: pulled from a sandbox server, landed, marked by day; or skipped with why."""

from __future__ import annotations

import logging
import os
from datetime import date, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import dagster as dg
import polars as pl
import pytest

from aelp_assets.ingest.connectors import LANDS, backfill_key, source_assets, source_check
from aelp_assets.run_failures import read_failure
from aelp_assets.status import connection_report
from resources.clock import FixedClock, SystemClock
from resources.connectors.pulling import Puller
from resources.connectors.registry import Sources
from resources.control.ingestion import IngestionControl
from resources.control.store import open_control_store
from resources.landing.streams import STREAMS
from resources.notifier import Notifier
from resources.sandbox.build import Simulated, simulate_account
from resources.sandbox.frames import Reports
from resources.sandbox.servers.account import ACCOUNT_ZONE, ServedAccount
from resources.sandbox.servers.faults import Fault, FaultKind, FaultScript
from resources.sandbox.servers.platforms import served_platforms
from resources.sandbox.servers.tiktok import TikTokServer
from resources.settings import (
    PROJECT_ROOT,
    LiveSource,
    LiveVendorFiles,
    Settings,
    SourceName,
    load_settings,
    read_environment,
)
from resources.warehouse.interface import Warehouse
from resources.warehouse.tables import PYTHON_TABLES

TODAY = date(2026, 6, 30)
ACCOUNT = "7194406226318590977"
TOKEN = "sandbox-token-of-tiktok"
RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
MORNING = datetime(2026, 6, 30, 8, tzinfo=ZoneInfo(ACCOUNT_ZONE))


@pytest.fixture(scope="module")
def simulated() -> Simulated:
    return simulate_account("tiny", 20261120, TODAY, further_days=3)


@pytest.fixture
def settings() -> Settings:
    source = LiveSource(accounts=[ACCOUNT], calls_per_hour=100_000, backfill_days=20)
    return load_settings(PROJECT_ROOT / "aelp.yaml").model_copy(update={"sources": {"tiktok": source}})


class Bench:
    """One home with its warehouse and control store; pulls run as Dagster runs."""

    def __init__(self, settings: Settings, warehouse: Warehouse, folder) -> None:
        warehouse.ensure_tables(list(PYTHON_TABLES.values()))
        self.warehouse = warehouse
        self.settings = settings
        self.folder = folder
        self.engine = open_control_store(f"sqlite:///{folder}/control.sqlite")
        self.instance = dg.DagsterInstance.ephemeral()
        self.moment = MORNING

    def sources(self, variables: dict[str, str]) -> Sources:
        return Sources(
            self.settings,
            FixedClock(self.moment),
            SystemClock(),
            lambda _seconds: None,
            lambda: self.engine,
            self.folder / "work",
            self.folder,
            variables,
        )

    def pull(
        self,
        variables: dict[str, str],
        source: SourceName = "tiktok",
        days: tuple[str, str] | None = None,
        accounts: list[str] | None = None,
        **options,
    ):
        """What is due of a source; or, with `days`, a backfill of that range of partitions."""
        pulls, backfills = source_assets(source, accounts or self.settings.sources[source].accounts)
        asset = pulls if days is None else backfills
        tags = {} if days is None else dict(zip(RANGE_TAGS, days, strict=True))
        return self.materialize([asset, source_check(source, asset.key)], variables, tags=tags, **options)

    def materialize(self, assets: list, variables: dict[str, str], **options):
        """One run, its steps in one process as in the code location."""
        return dg.materialize(
            assets,
            instance=self.instance,
            resources={
                "sources": self.sources(variables),
                "environment": read_environment({"AELP_HOME": str(self.folder)}),
                "warehouse": self.warehouse,
                "clock": FixedClock(self.moment),
                "step_io_manager": dg.mem_io_manager,
            },
            **options,
        )

    def told(self) -> list[tuple[str, str]]:
        """Severity and sentence of what people were told."""
        rows = Notifier(self.engine, [], SystemClock().now).told()
        return [(row["severity"], row["sentence"]) for row in rows]

    def spend(self) -> dict[str, float]:
        rows = self.warehouse.query(
            """
            with latest as (
                select *, row_number() over (partition by stream, report_date
                    order by completed_at desc, batch_id desc) as place
                from ops.ingest_slices where status = 'complete' and stream = 'tiktok_ads_report'
            )
            select r.report_date, r.payload from raw.tiktok_ads_report r join latest l
            on l.place = 1 and l.report_date = r.report_date and l.data_batch_id = r._batch_id
            """
        )
        spend = rows["payload"].str.json_path_match("$.spend").cast(pl.Decimal(18, 2))
        return dict(
            rows.select("report_date", spend=spend)
            .group_by("report_date")
            .agg(pl.col("spend").sum())
            .iter_rows()
        )


@pytest.fixture(autouse=True)
def own_store(monkeypatch):
    monkeypatch.delenv("AELP_CONTROL_URL", raising=False)


@pytest.fixture
def bench(settings, duckdb_warehouse, tmp_path) -> Bench:
    return Bench(settings, duckdb_warehouse, tmp_path)


def truth(served: ServedAccount, first: date, last: date) -> dict:
    rows = served.rows(Reports.tiktok, first, last)
    cost = rows.select(
        pl.col("By Day").str.to_date(), pl.col("Cost").round(2).cast(pl.Decimal(18, 2)).alias("cost")
    )
    return dict(cost.group_by("By Day").agg(pl.col("cost").sum()).iter_rows())


def variables(server: TikTokServer, token: str = TOKEN) -> dict[str, str]:
    return {"AELP_TIKTOK_ACCESS_TOKEN": token, "AELP_TIKTOK_ENDPOINT": server.url}


def check_of(result) -> dg.AssetCheckEvaluation:
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def pulled_metadata(result, source: str = "tiktok") -> dict[str, object]:
    event = result.asset_materializations_for_node(f"ops__source_pulls__{source}.report_{source}")[-1]
    return {name: value.value for name, value in event.metadata.items()}


def test_a_pull_lands_the_account_and_marks_the_days_it_changed(bench, simulated):
    served = ServedAccount(simulated, lambda: MORNING)
    with TikTokServer(served, TOKEN) as server:
        result = bench.pull(variables(server))
        first, last = TODAY - timedelta(days=20), TODAY - timedelta(days=1)
        spent = {day: cost for day, cost in bench.spend().items() if day >= first}
        assert spent == truth(served, first, last)
        marked = bench.instance.get_materialized_partitions(dg.AssetKey(["raw", "tiktok_ads_report"]))
        assert {date.fromisoformat(day) for day in marked} >= set(spent)
        assert pulled_metadata(result)["rows_appended"] > 0

        again = bench.pull(variables(server))
        assert "nothing is due" in str(pulled_metadata(again)["accounts"])


def test_a_backfill_reads_exactly_the_days_of_its_partitions_in_one_run(bench, simulated):
    served = ServedAccount(simulated, lambda: MORNING)
    first, last = date(2026, 5, 25), date(2026, 5, 27)
    with TikTokServer(served, TOKEN) as server:
        result = bench.pull(variables(server), days=(first.isoformat(), last.isoformat()))
        assert bench.spend() == truth(served, first, last)
        days = {(first + timedelta(days=n)).isoformat() for n in range(3)}
        assert bench.instance.get_materialized_partitions(backfill_key("tiktok")) == days
        assert bench.instance.get_materialized_partitions(dg.AssetKey(["raw", "tiktok_ads_report"])) == days
        assert check_of(result).passed
        # Due or not: a person asked for them.
        calls = len(server.requests)
        bench.pull(variables(server), days=(first.isoformat(), last.isoformat()))
        assert len(server.requests) > calls


def test_a_single_partition_is_a_backfill_of_one_day(bench, simulated):
    served = ServedAccount(simulated, lambda: MORNING)
    day = date(2026, 6, 2)
    with TikTokServer(served, TOKEN) as server:
        _, backfills = source_assets("tiktok", [ACCOUNT])
        assert backfills.backfill_policy == dg.BackfillPolicy.single_run()
        bench.pull(variables(server), days=(day.isoformat(), day.isoformat()))
    assert bench.spend() == truth(served, day, day)


def test_days_that_are_not_over_are_left_out_of_a_backfill(bench, simulated):
    served = ServedAccount(simulated, lambda: MORNING)
    yesterday = TODAY - timedelta(days=1)
    with TikTokServer(served, TOKEN) as server:
        bench.pull(variables(server), days=(yesterday.isoformat(), TODAY.isoformat()))
    assert bench.spend() == truth(served, yesterday, yesterday)


def test_without_credentials_the_asset_says_what_to_set_and_the_run_succeeds(bench):
    result = bench.pull({})
    assert result.success
    assert "AELP_TIKTOK_ACCESS_TOKEN" in str(pulled_metadata(result)["accounts"])
    check = check_of(result)
    assert check.passed, "a source nobody set up is not a fault"
    assert "no credentials" in check.description


def test_refused_credentials_stop_the_source_until_they_change(bench, simulated, caplog):
    caplog.set_level(logging.DEBUG)
    served = ServedAccount(simulated, lambda: MORNING)
    with TikTokServer(served, TOKEN) as server:
        wrong = variables(server, "wrong-token-9f3")
        bench.pull(wrong)
        calls = len(server.requests)
        ((severity, sentence),) = bench.told()
        assert severity == "critical", "nothing mends it but a person"
        assert sentence.startswith("tiktok refuses its credentials and is not called any more: ")
        stopped = bench.pull(wrong)
        told = str(pulled_metadata(stopped)["accounts"])
        assert not check_of(stopped).passed
        assert "refuses its credentials" in check_of(stopped).description
        assert "stopped since" in told
        assert "aelp connect tiktok" in told
        assert len(server.requests) == calls, "a dead token is not tried again"
        assert "wrong-token-9f3" not in caplog.text + told + sentence
        assert len(bench.told()) == 1, "once until it works"
        bench.pull(variables(server))
        assert bench.spend()
        bench.moment += timedelta(days=1)
        bench.pull(variables(server, "another-wrong-token"))
        assert len(bench.told()) == 2


def test_a_source_that_is_down_fails_its_days_and_leaves_what_there_was(bench, simulated):
    served = ServedAccount(simulated, lambda: MORNING)
    with TikTokServer(served, TOKEN) as server:
        bench.pull(variables(server))
    before = bench.spend()
    broken = FaultScript([Fault(FaultKind.HTML_ERROR, "/report/", nth=1, times=1000)])
    with TikTokServer(served, TOKEN, broken) as server:
        bench.moment = MORNING + timedelta(hours=5)
        result = bench.pull(variables(server))
    assert result.success
    metadata = pulled_metadata(result)
    assert metadata["days_failed"] > 0
    assert "TRANSIENT" in str(metadata["accounts"])
    check = check_of(result)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert f"{metadata['days_failed']} days wait for another try (TRANSIENT)" in check.description
    assert "complete up to 2026-06-29" in check.description
    assert bench.spend() == before
    assert IngestionControl(bench.engine).queue_sizes()["tiktok"]["waiting"] == metadata["days_failed"]


@pytest.fixture(scope="module")
def platforms(simulated, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with served_platforms(ServedAccount(simulated, lambda: MORNING), home / "sandbox") as given:
        yield home, given


@pytest.mark.parametrize("source", get_args(SourceName))
def test_every_source_lands_what_it_is_said_to_land(platforms, duckdb_warehouse, source):
    home, given = platforms
    bench = Bench(load_settings(PROJECT_ROOT / "aelp.yaml"), duckdb_warehouse, home)
    result = bench.pull(given, source)
    assert check_of(result).passed, check_of(result).description
    reports = duckdb_warehouse.query(
        "select stream, sum(rows) as rows, sum(failed_days) as failed, sum(changed_days) as changed "
        "from ops.source_pulls group by stream"
    )
    assert reports["failed"].sum() == 0
    # Of some streams a quiet account has no rows; of its first one every source has.
    assert set(reports["stream"]) == {table.name.table for table in LANDS[source]}
    rows = dict(reports.select("stream", "rows").rows())
    assert rows[LANDS[source][0].name.table] >= 20
    (account,) = duckdb_warehouse.query("select source, account_id from ops.accounts").rows()
    assert account == (source, bench.settings.sources[source].accounts[0])
    works, lines = connection_report(bench.sources(given), source)
    assert works, lines


@pytest.mark.parametrize("source", get_args(SourceName))
def test_every_source_without_credentials_says_what_to_set(duckdb_warehouse, tmp_path, source):
    bench = Bench(load_settings(PROJECT_ROOT / "aelp.yaml"), duckdb_warehouse, tmp_path)
    works, lines = connection_report(bench.sources({}), source)
    assert not works
    assert "AELP_" in lines[0]
    assert f"aelp connect {source}" in lines[0]


def test_a_vendor_s_folder_is_read_without_credentials(duckdb_warehouse, tmp_path):
    source = LiveVendorFiles(accounts=["studio"], inbox="inbox", settle_seconds=0)
    settings = load_settings(PROJECT_ROOT / "aelp.yaml").model_copy(
        update={"sources": {"vendor_files": source}}
    )
    dropped = tmp_path / "inbox" / "june.csv"
    dropped.parent.mkdir()
    dropped.write_text("creative_id,headline\nk1,Sleep safe\nk2,Stand tall\n")
    yesterday = (MORNING - timedelta(days=1)).timestamp()
    os.utime(dropped, (yesterday, yesterday))
    result = Bench(settings, duckdb_warehouse, tmp_path).pull({}, "vendor_files")
    assert check_of(result).passed
    rows = duckdb_warehouse.query("select report_date, account_id, creative_id from raw.vendor_creatives")
    day = TODAY - timedelta(days=1)
    assert sorted(rows.rows()) == [(day, "studio", "k1"), (day, "studio", "k2")]


def test_an_export_that_is_not_there_fails_its_own_days_only(platforms, duckdb_warehouse, tmp_path):
    _, given = platforms
    settings = load_settings(PROJECT_ROOT / "aelp.yaml")
    result = Bench(settings, duckdb_warehouse, tmp_path).pull(given, "ga4")
    assert "holds no events_" in str(pulled_metadata(result, "ga4")["accounts"])
    complete = "select distinct stream from ops.ingest_slices where status = 'complete'"
    assert duckdb_warehouse.query(complete)["stream"].to_list() == ["ga4_reports"]


def test_an_account_that_cannot_be_read_is_no_account_where_nothing_is_due(bench, simulated):
    served = ServedAccount(simulated, lambda: MORNING)
    broken = FaultScript([Fault(FaultKind.HTML_ERROR, "/", nth=1, times=1000)])
    with TikTokServer(served, TOKEN, broken) as server:
        check = check_of(bench.pull(variables(server)))
    assert not check.passed
    assert "wait for another try (TRANSIENT); no day is complete yet" in check.description
    bench.moment = MORNING + timedelta(hours=2)
    with TikTokServer(served, TOKEN) as server:
        assert check_of(bench.pull(variables(server))).passed


def test_what_an_account_brought_is_landed_before_the_next_one_is_asked(bench):
    accounts = {"tiktok": ["1", "2"], "linkedin": ["3"]}
    pulls = [source_assets(source, named)[0] for source, named in accounts.items()]
    bench.settings = load_settings(PROJECT_ROOT / "aelp.yaml")
    result = bench.materialize(pulls, {})
    steps = [event.step_key.rpartition(".")[2] for event in result.all_events if event.is_step_start]
    assert sorted(steps[:2]) == ["plan_linkedin", "plan_tiktok"]
    asked = [step for step in steps if step.startswith("fetch_")]
    assert len(asked) == 3
    for fetch in asked:
        publish = fetch.replace("fetch", "publish")
        assert steps[steps.index(fetch) + 1] == publish, steps
        if fetch in ("fetch_linkedin_account_3", "fetch_tiktok_account_2"):  # the last of its source
            assert steps[steps.index(fetch) + 2].startswith("report_"), steps


def test_days_left_when_time_is_up_are_told(bench, simulated, monkeypatch):
    monkeypatch.setattr("resources.connectors.pulling.LONGEST_FETCH", timedelta(0))
    with TikTokServer(ServedAccount(simulated, lambda: MORNING), TOKEN) as server:
        result = bench.pull(variables(server))
    metadata = pulled_metadata(result)
    assert (metadata["days_left"], metadata["days_failed"]) == (28 + 2, 0)
    assert "28 days left for the next pull" in str(metadata["accounts"])
    assert check_of(result).passed, "nothing waits: they are due"


def test_where_one_account_breaks_the_others_land_all_the_same(bench, simulated, monkeypatch):
    pull = Puller.pull

    def broken(self, account_id, *others):
        if account_id == "broken":
            raise RuntimeError("a fault nobody foresaw")
        return pull(self, account_id, *others)

    monkeypatch.setattr(Puller, "pull", broken)
    served = ServedAccount(simulated, lambda: MORNING)
    with TikTokServer(served, TOKEN) as server:
        result = bench.pull(variables(server), accounts=["broken", ACCOUNT], raise_on_error=False)
    assert not result.success
    failed = bench.instance.get_run_by_id(result.run_id)
    assert read_failure(bench.instance, failed, str).missing == ("ops.source_pulls.tiktok",)
    first, last = TODAY - timedelta(days=20), TODAY - timedelta(days=1)
    assert {day: cost for day, cost in bench.spend().items() if day >= first} == truth(served, first, last)
    assert bench.instance.get_materialized_partitions(dg.AssetKey(["raw", "tiktok_ads_report"]))


def test_every_stream_a_source_lands_is_a_raw_table():
    assert "tiktok_ads_report" in STREAMS
    assert all(f"raw.{name}" in PYTHON_TABLES for name in STREAMS)
