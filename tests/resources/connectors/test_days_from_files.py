"""Days that files landed and an API pull brings again: counted from one of the two, whichever comes first."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from resources.clock import FixedClock
from resources.connectors.errors import ErrorClass
from resources.connectors.planning import Span
from resources.control.ingestion import IngestionControl
from resources.control.store import open_control_store
from resources.files.drop import FileDrop
from resources.files.landing import land
from resources.landing.ledger import Attempt, Ledger, read_ledger
from resources.landing.overlap import DailyTotals
from resources.warehouse.tables import PYTHON_TABLES
from tests.resources.connectors.paper import START, TODAY, Bench, PaperPlatform

HEADER = "date,source,account_id,campaign_name,currency,impressions,clicks,cost,conversions_click\n"


def day(ago: int) -> date:
    return TODAY - timedelta(days=ago)


def sheet(*days: date, account: str = "1") -> str:
    return HEADER + "".join(f"{when},tiktok,{account},brand,USD,1000,10,5.50,1\n" for when in days)


class Desk:
    """One warehouse that both a drop folder and a platform fill."""

    def __init__(self, warehouse, folder) -> None:
        warehouse.ensure_tables(list(PYTHON_TABLES.values()))
        control = IngestionControl(open_control_store(f"sqlite:///{folder}/control.sqlite"))
        self.pulls = Bench(warehouse, control, folder / "pulls")
        self.folder = folder / "drop"
        self.folder.mkdir()
        self.work = folder / "files"

    def land(self, name: str, text: str):
        (self.folder / name).write_text(text)
        drop = FileDrop(
            str(self.folder),
            self.work,
            FixedClock(self.pulls.time.now()),
            date(2026, 1, 1),
            "UTC",
            settle_seconds=0.0,
        )
        (file,) = [file for file in land(drop, self.pulls.warehouse, ()).files if file.path == name]
        return file

    def counted(self) -> pl.DataFrame:
        """Account-days with rows in force, by stream."""
        complete = read_ledger(self.pulls.warehouse).complete
        rows = [(key[1], key[3]) for key, attempt in complete.items() if attempt.row_count]
        return pl.DataFrame(rows, schema=["stream", "day"], orient="row").sort("day")

    def days_from(self, stream: str) -> list[date]:
        return self.counted().filter(pl.col("stream") == stream)["day"].to_list()


@pytest.fixture
def desk(duckdb_warehouse, tmp_path) -> Desk:
    return Desk(duckdb_warehouse, tmp_path)


@pytest.fixture
def platform() -> PaperPlatform:
    return PaperPlatform({day(ago): {"ad1": 100 * ago} for ago in range(1, 8)})


def test_a_pull_leaves_out_the_days_that_files_of_another_format_hold(desk, platform):
    assert desk.land("sheet.csv", sheet(day(2), day(3), day(6))).outcome == "loaded"
    desk.pulls.wait(hours=1)
    report = desk.pulls.run(platform)
    assert sorted(report.failed) == [day(6), day(3), day(2)]
    assert desk.days_from("file_ad_performance") == [day(6), day(3), day(2)]
    assert desk.days_from("tiktok_ads_report") == [day(7), day(5), day(4), day(1)]
    stored = desk.pulls.warehouse.query("select distinct report_date from raw.tiktok_ads_report")
    assert set(stored["report_date"]) == {day(7), day(5), day(4), day(1)}, "nothing half-written"


def test_the_refusal_names_account_days_formats_and_what_to_do(desk, platform):
    desk.land("sheet.csv", sheet(day(2), day(3)))
    desk.pulls.wait(hours=1)
    failure = desk.pulls.run(platform).failure
    assert failure.error_class is ErrorClass.OTHER_FORMAT
    for part in (
        "Account 1 of tiktok",
        f"2 days ({day(3)} to {day(2)})",
        "file_ad_performance",
        "generic_long",
        "tiktok_ads_report",
        "`ops/source_backfills/tiktok`",
        "`sources.tiktok.accounts`",
    ):
        assert part in failure.message
    told = desk.pulls.warehouse.query("select error_class, failed_days, message from ops.source_pulls")
    assert told.row(0) == ("OTHER_FORMAT", 2, failure.message)


def test_refused_days_are_asked_for_again_once_a_day(desk, platform):
    desk.land("sheet.csv", sheet(day(2)))
    desk.pulls.wait(hours=1)
    desk.pulls.run(platform)
    desk.pulls.wait(hours=4)
    again = desk.pulls.fetch(platform)
    assert day(2) not in {when for report in again.reports for when in report.slices["report_date"]}
    desk.pulls.wait(hours=21)
    assert desk.pulls.run(platform).failed == [day(2)]


def test_days_a_person_asks_for_replace_what_the_files_held(desk, platform):
    desk.land("sheet.csv", sheet(day(2), day(3), day(6)))
    desk.pulls.wait(hours=1)
    desk.pulls.run(platform)
    fetched = desk.pulls.fetch(platform, Span(day(3), day(2)))
    fetched.was_asked_for = True
    desk.pulls.wait(minutes=1)
    reports = {report.stream: report for report in desk.pulls.publish(fetched)}
    assert desk.days_from("file_ad_performance") == [day(6)]
    assert desk.days_from("tiktok_ads_report") == [day(7), day(5), day(4), day(3), day(2), day(1)]
    assert sorted(reports["file_ad_performance"].changed) == [day(3), day(2)], "their marts are rebuilt"
    waiting = desk.pulls.control.waiting("tiktok", "1")
    assert {key[4] for key in waiting} == {day(6)}
    desk.pulls.wait(minutes=1)
    again = desk.land("again.csv", sheet(day(2), day(3)) + "\n")
    assert again.outcome == "refused"
    assert "tiktok_ads_report" in again.fault


def test_a_generic_file_is_refused_for_days_a_pull_has_landed(desk, platform):
    desk.pulls.run(platform)
    desk.pulls.wait(hours=1)
    file = desk.land("sheet.csv", sheet(day(2)))
    assert file.outcome == "refused"
    assert f"already has rows in tiktok_ads_report on {day(2)}" in file.fault
    assert desk.days_from("file_ad_performance") == []
    other = desk.land("other.csv", sheet(day(2), account="2"))
    assert other.outcome == "loaded"


def test_a_day_the_platform_says_is_empty_needs_no_refusal(desk, platform):
    desk.land("sheet.csv", sheet(day(9)))
    desk.pulls.wait(hours=1)
    assert desk.pulls.run(platform).failed == []
    assert desk.days_from("file_ad_performance") == [day(9)]


def test_a_platform_s_own_export_is_replaced_by_the_pull_that_follows(desk, platform):
    desk.land(
        "export.csv",
        "By Day,Advertiser ID,Campaign ID,Campaign name,Ad group ID,Ad group name,Ad ID,Ad name,Currency,"
        "Impressions,Clicks (destination),Cost,Conversions\n"
        f"{day(2)},1,c,Brand,g,Broad,old,Old,USD,10,1,1.50,0\n",
    )
    desk.pulls.wait(hours=5)
    assert desk.pulls.run(platform).failed == []
    assert desk.pulls.in_force()[day(2)] == platform.truth[day(2)]


def test_google_s_campaign_totals_count_as_ads_and_are_compared_too():
    # Where no ad has rows, the mart takes the campaign's total: beside a file's rows it would count twice.
    ledger = Ledger()
    filed = ("google_ads", "file_ad_performance", "472-118-9034", TODAY, "none")
    ledger.note(filed, Attempt("1", "1", "complete", 1, "", 5, "", START))
    totals = DailyTotals(ledger)
    for stream in ("google_ads_ad_performance", "google_ads_campaign_performance"):
        assert totals.elsewhere(("google_ads", stream, "472-118-9034", TODAY, "none")) == [filed]
    conversions = ("google_ads", "google_ads_conversions", "472-118-9034", TODAY, "none")
    assert totals.elsewhere(conversions) == [], "no mart adds these to the ads"
