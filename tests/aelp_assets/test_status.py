"""`aelp status` and `aelp connect`: what a data engineer reads about each live source."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, timedelta
from pathlib import Path
from unittest import mock

import polars as pl
import pytest
from typer.testing import CliRunner

from aelp_assets import cli
from aelp_assets.status import connection_report, source_status
from aelp_assets.unread import unread_accounts
from resources.clock import FixedClock
from resources.connectors.registry import Sources
from resources.connectors.saved_credentials import SavedCredentials
from resources.control.ingestion import IngestionControl
from resources.control.store import open_control_store
from resources.sandbox.servers.account import ServedAccount
from resources.sandbox.servers.faults import Fault, FaultKind, FaultScript
from resources.sandbox.servers.ga4 import PROPERTY_ID, Ga4Server
from resources.sandbox.servers.ga4_export import write_events
from resources.sandbox.servers.tiktok import TikTokServer
from resources.settings import PROJECT_ROOT, LiveSource, SettingsError, load_settings
from resources.warehouse.duckdb import DuckDBWarehouse
from resources.warehouse.interface import Append
from resources.warehouse.tables import INGEST_SLICES
from tests.aelp_assets.test_connectors import ACCOUNT, MORNING, TOKEN, Bench, variables


@pytest.fixture(scope="module")
def simulated():
    from resources.sandbox.build import simulate_account

    return simulate_account("tiny", 20261120, date(2026, 6, 30), further_days=3)


@pytest.fixture
def bench(duckdb_warehouse, tmp_path):
    source = LiveSource(accounts=[ACCOUNT], calls_per_hour=100_000, backfill_days=20)
    settings = load_settings(PROJECT_ROOT / "aelp.yaml").model_copy(update={"sources": {"tiktok": source}})
    return Bench(settings, duckdb_warehouse, tmp_path)


def status(bench: Bench, given: dict[str, str]) -> dict[str, object]:
    return source_status(bench.warehouse, bench.sources(given), bench.moment).row(0, named=True)


def test_a_source_without_credentials_is_said_to_be_without(bench):
    told = status(bench, {})
    assert told["credentials"] == "missing"
    assert told["newest_complete_day"] is None
    works, lines = connection_report(bench.sources({}), "tiktok")
    assert not works
    assert "AELP_TIKTOK_ACCESS_TOKEN" in lines[0]


def test_a_healthy_source_shows_its_newest_day_and_lag(bench, simulated):
    with TikTokServer(ServedAccount(simulated, lambda: MORNING), TOKEN) as server:
        bench.pull(variables(server))
        bench.moment = MORNING + timedelta(hours=3)
        told = status(bench, variables(server))
    assert told["credentials"] == "set"
    # Today's snapshot of levers is newer, but says nothing of the reports.
    assert told["newest_complete_day"] == date(2026, 6, 29)
    assert told["hours_since_pull"] == pytest.approx(3.0, abs=0.1)
    assert (told["waiting"], told["error_class"]) == (0, None)


def test_days_that_come_late_break_the_service_level(bench, simulated):
    now = [MORNING]
    with TikTokServer(ServedAccount(simulated, lambda: now[0]), TOKEN) as server:
        bench.pull(variables(server))
        for hours, prompt in ((20, None), (60, True), (120, False)):
            now[0] = bench.moment = MORNING + timedelta(hours=hours)
            bench.pull(variables(server))
            assert status(bench, variables(server))["meets_service_level"] is prompt


def test_days_nobody_read_break_the_service_level(bench, simulated):
    with TikTokServer(ServedAccount(simulated, lambda: MORNING), TOKEN) as server:
        bench.pull(variables(server))
        bench.moment = MORNING + timedelta(days=12)
        told = status(bench, variables(server))
    assert told["within_a_day"] < 0.2
    assert told["meets_service_level"] is False


def test_an_account_taken_out_of_the_settings_holds_nothing_up(bench, simulated):
    with TikTokServer(ServedAccount(simulated, lambda: MORNING), TOKEN) as server:
        bench.pull(variables(server))
        before = status(bench, variables(server))
        left = bench.warehouse.read(INGEST_SLICES.name).with_columns(
            pl.lit("99").alias("account_id"),
            pl.col("report_date") - timedelta(days=10),
            pl.col("completed_at") - timedelta(days=10),
        )
        failed = left.head(1).with_columns(
            pl.lit("failed").alias("status"),
            error_class=pl.lit("AUTH"),
            completed_at=pl.lit(bench.moment.astimezone(UTC)),
        )
        bench.warehouse.write(Append(INGEST_SLICES, pl.concat([left, failed], how="vertical_relaxed")))
        assert status(bench, variables(server)) == before


def test_a_source_that_is_down_shows_its_queue_and_error_class(bench, simulated):
    down = FaultScript([Fault(FaultKind.HTML_ERROR, "/report/", times=1000)])
    with TikTokServer(ServedAccount(simulated, lambda: MORNING), TOKEN, down) as server:
        bench.pull(variables(server))
        told = status(bench, variables(server))
    assert told["waiting"] > 0
    assert told["error_class"] == "TRANSIENT"


def test_a_source_that_stays_down_is_for_a_person_once_its_newest_day_is_too_old(bench, simulated):
    def unread():
        given = {"AELP_TIKTOK_ACCESS_TOKEN": TOKEN}
        return unread_accounts(bench.sources(given), bench.moment, bench.warehouse)

    with TikTokServer(ServedAccount(simulated, lambda: bench.moment), TOKEN) as server:
        bench.pull(variables(server))
    down = FaultScript([Fault(FaultKind.HTML_ERROR, "/report/", times=10_000)])
    with TikTokServer(ServedAccount(simulated, lambda: bench.moment), TOKEN, down) as server:
        for hours in (5, 24, 48, 72):
            assert unread() == []
            bench.moment = MORNING + timedelta(hours=hours)
            bench.pull(variables(server))
    (found,) = unread()
    assert (found.source, found.account_id, found.error_class) == ("tiktok", ACCOUNT, "TRANSIENT")
    assert found.newest == date(2026, 7, 2)
    with TikTokServer(ServedAccount(simulated, lambda: bench.moment), TOKEN) as server:
        bench.moment += timedelta(hours=2)
        bench.pull(variables(server))
    assert unread() == []


def test_a_source_that_lost_its_credentials_is_for_a_person_and_one_never_read_is_not(bench, simulated):
    def unread(given, warehouse=bench.warehouse):
        return unread_accounts(bench.sources(given), bench.moment, warehouse)

    assert unread({}) == []
    with TikTokServer(ServedAccount(simulated, lambda: MORNING), TOKEN) as server:
        bench.pull(variables(server))
        assert unread(variables(server)) == []
    (lost,) = unread({})
    assert unread({}, warehouse=None) == [lost], "whoever holds the warehouse"
    assert lost.is_lasting
    assert lost.sentence.startswith("tiktok was read before and is not any more")
    assert "set AELP_TIKTOK_ACCESS_TOKEN" in lost.sentence


def test_a_source_whose_days_are_dropped_as_files_needs_no_credentials(bench, simulated, tmp_path):
    with TikTokServer(ServedAccount(simulated, lambda: MORNING), TOKEN) as server:
        bench.pull(variables(server))
    bench.engine = open_control_store(f"sqlite:///{tmp_path}/another.sqlite")  # of a home that never pulled
    assert unread_accounts(bench.sources({}), bench.moment, bench.warehouse) == []


def test_connect_lists_the_accounts_and_starts_a_stopped_source_again(bench, simulated):
    with TikTokServer(ServedAccount(simulated, lambda: MORNING), TOKEN) as server:
        wrong = variables(server, "wrong-token")
        bench.pull(wrong)
        assert status(bench, wrong)["credentials"] == "refused"
        works, lines = connection_report(bench.sources(wrong), "tiktok")
        assert not works
        assert "wrong-token" not in " ".join(lines)
        assert "renew" in lines[1]
        works, lines = connection_report(bench.sources(variables(server)), "tiktok")
        assert works
        assert lines[0].startswith(f"{ACCOUNT}  ")
        control = IngestionControl(bench.engine)
        bench.pull(variables(server))
        assert control.queue_sizes() == {}


def test_connect_says_which_configured_account_cannot_be_read(bench, simulated):
    source = bench.settings.sources["tiktok"].model_copy(update={"accounts": [ACCOUNT, "99"]})
    bench.settings = bench.settings.model_copy(update={"sources": {"tiktok": source}})
    with TikTokServer(ServedAccount(simulated, lambda: MORNING), TOKEN) as server:
        works, lines = connection_report(bench.sources(variables(server)), "tiktok")
    assert not works
    assert "99" in " ".join(lines), lines


def test_before_the_first_run_a_status_shows_the_credentials(bench, tmp_path):
    nothing = DuckDBWarehouse(tmp_path / "none.duckdb", temporary=tmp_path)
    given = {"AELP_TIKTOK_ACCESS_TOKEN": TOKEN}
    told = source_status(nothing, bench.sources(given), bench.moment).row(0, named=True)
    assert (told["credentials"], told["newest_complete_day"], told["waiting"]) == ("set", None, 0)
    assert not (tmp_path / "none.duckdb").exists()


@contextmanager
def exporting(bench: Bench, simulated, folder: Path) -> Iterator[tuple[Sources, Path]]:
    """GA4 with an export to `folder`, and where its tables must lie."""
    ga4 = load_settings(PROJECT_ROOT / "aelp.yaml").sources["ga4"]
    configured = ga4.model_copy(update={"export_folder": str(folder)})
    bench.settings = bench.settings.model_copy(update={"sources": {"ga4": configured}})
    with Ga4Server(ServedAccount(simulated, lambda: MORNING), TOKEN) as server:
        given = {
            "AELP_GA4_ENDPOINT": server.endpoint,
            "AELP_GA4_ACCESS_TOKEN": TOKEN,
            "AELP_IDENTIFIER_SALT": "a salt of the sandbox only",
        }
        yield bench.sources(given), folder / f"analytics_{PROPERTY_ID}"


def test_connect_looks_into_the_exported_events_too(bench, simulated, tmp_path):
    with exporting(bench, simulated, tmp_path / "export") as (sources, tables):
        works, lines = connection_report(sources, "ga4")
        assert not works
        assert "holds no events" in lines[0]
        write_events(ServedAccount(simulated, lambda: MORNING), tables, date(2026, 6, 28))
        works, lines = connection_report(sources, "ga4")
        assert works
        assert "events_20260628" in lines[1]
        (tables / "events_20260629.parquet").write_bytes(b"still being copied")
        works, lines = connection_report(sources, "ga4")
        assert not works
        assert "events_20260629.parquet cannot be read" in lines[0]


def test_a_source_refused_elsewhere_is_not_started_again(bench, simulated, tmp_path):
    control = IngestionControl(bench.engine)
    with exporting(bench, simulated, tmp_path / "export") as (sources, _):
        credentials = sources.credential_hash("ga4")
        control.stop_source("ga4", credentials, "no role", MORNING)
        assert not connection_report(sources, "ga4")[0]
    assert control.stopped("ga4", credentials) is not None


@pytest.fixture
def home(tmp_path):
    return tmp_path / "command" / "home"


def command(home: Path, *arguments: str, **given: str):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AELP_")}
    with mock.patch.dict(os.environ, {**clean, "AELP_HOME": str(home), **given}, clear=True):
        return CliRunner().invoke(cli.app, ["connect", *arguments])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_connect_without_save_writes_nothing_at_all(home, simulated):
    with TikTokServer(ServedAccount(simulated, lambda: MORNING), TOKEN) as server:
        first = command(home, "tiktok", **variables(server))
        assert first.exit_code == 0, first.output
        assert not home.parent.exists()
        home.mkdir(parents=True)
        (home / "context.json").write_text("{}")
        open_control_store(f"sqlite:///{home}/control.sqlite").dispose()
        before = contents(home)
        assert command(home, "tiktok", **variables(server)).exit_code == 0
        assert command(home, "tiktok", **variables(server, "wrong-token")).exit_code == 1
    gc.collect()  # SQLite takes its own two files away when the commands' connections are gone
    assert contents(home) == before


def test_what_worked_is_saved_for_its_owner_and_used_without_the_environment(home, simulated):
    with TikTokServer(ServedAccount(simulated, lambda: MORNING), TOKEN) as server:
        saved = command(home, "tiktok", "--save", **variables(server), AELP_META_ACCESS_TOKEN="EAAB")
        assert saved.exit_code == 0, saved.output
        assert "AELP_TIKTOK_ACCESS_TOKEN" in saved.output
        assert TOKEN not in saved.output
        assert [path.name for path in home.iterdir()] == ["credentials.env"]
        assert (home / "credentials.env").stat().st_mode & 0o777 == 0o600
        assert SavedCredentials(home).of("tiktok") == variables(server)
        assert SavedCredentials(home).of("meta") == {}
        calls = len(server.requests)
        again = command(home, "tiktok")
        assert again.exit_code == 0, again.output
        assert len(server.requests) == calls + 1
        assert command(home, "tiktok", **variables(server, "wrong-token")).exit_code == 1


def test_credentials_that_do_not_work_are_not_saved(home, simulated):
    with TikTokServer(ServedAccount(simulated, lambda: MORNING), TOKEN) as server:
        assert command(home, "tiktok", "--save", **variables(server)).exit_code == 0
        before = contents(home)
        refused = command(home, "tiktok", "--save", **variables(server, "wrong-token"))
        assert refused.exit_code == 1
        assert "wrong-token" not in refused.output
        missing = command(home, "meta", "--save")
        assert missing.exit_code == 1
    assert contents(home) == before


@pytest.mark.parametrize("source", ["tiktok", "meta"])
def test_an_endpoint_in_the_clear_is_refused_without_a_call(source):
    given = {
        f"AELP_{source.upper()}_ENDPOINT": "http://example.org",
        f"AELP_{source.upper()}_ACCESS_TOKEN": "x",
    }
    settings = load_settings(PROJECT_ROOT / "aelp.yaml")
    clock = FixedClock(MORNING)
    sources = Sources(
        settings, clock, clock, lambda _: None, lambda: pytest.fail("no store"), Path(), Path(), given
    )
    with pytest.raises(SettingsError, match="must begin with https://"):
        connection_report(sources, source)


def test_a_folder_of_vendor_files_has_nothing_to_save(home, tmp_path):
    (tmp_path / "inbox").mkdir()
    settings = tmp_path / "settings.yaml"
    told = (PROJECT_ROOT / "aelp.yaml").read_text().partition("\nsources:")[0]
    settings.write_text(
        f"{told}\nsources:\n  vendor_files: {{accounts: [studio], inbox: {tmp_path}/inbox}}\n"
    )
    done = command(
        home, "vendor_files", "--save", AELP_SETTINGS=str(settings), AELP_VENDOR_FILES_PASSWORD="hush"
    )
    assert done.exit_code == 0, done.output
    assert "nothing to save" in done.output
    assert not home.exists()
