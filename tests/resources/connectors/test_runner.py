"""The slice runner: whatever goes wrong, what is in force is what the platform said, and every run ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from resources import ledger as marts
from resources.clock import FixedClock
from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.fetching import FetchedAccount
from resources.connectors.planning import UNSETTLED_DAYS, Span, due_pulls, overtaken
from resources.connectors.source import AN_HOUR, Page, Pull, Report
from resources.control.ingestion import IngestionControl, Waiting
from resources.control.store import open_control_store
from resources.landing.ledger import Attempt, Ledger, read_ledger
from resources.landing.streams import STREAMS
from resources.warehouse.interface import ReplaceTable, Warehouse
from resources.warehouse.tables import (
    ACCOUNTS,
    INGEST_SLICES,
    SOURCE_PULLS,
    TIKTOK_ADS_REPORT,
    TRANSFORMED_DAYS,
)
from tests.resources.connectors.paper import (
    ACCOUNT,
    REPORT,
    START,
    TODAY,
    TOKEN,
    Bench,
    PaperPlatform,
    VirtualTime,
)

TABLES = [ACCOUNTS, INGEST_SLICES, SOURCE_PULLS, TIKTOK_ADS_REPORT]


def bench_on(warehouse: Warehouse, folder: Path) -> Bench:
    warehouse.ensure_tables(TABLES)
    control = IngestionControl(open_control_store(f"sqlite:///{folder}/control.sqlite"))
    return Bench(warehouse, control, folder / "work")


@pytest.fixture
def bench(duckdb_warehouse, tmp_path):
    return bench_on(duckdb_warehouse, tmp_path)


@pytest.fixture(
    params=["duckdb_warehouse", pytest.param("bigquery_warehouse", marks=pytest.mark.emulator)],
    ids=["duckdb", "bigquery"],
)
def either_bench(request, tmp_path):
    """The load contract is the same on both warehouses."""
    return bench_on(request.getfixturevalue(request.param), tmp_path)


def day(ago: int) -> date:
    return TODAY - timedelta(days=ago)


def week(ads: int = 4) -> dict[date, dict[str, int]]:
    return {day(ago): {f"ad{n}": 100 * ago + n for n in range(ads)} for ago in range(1, 8)}


def failing(error: PlatformError, *calls: int):
    return lambda pull, call: error if call in calls else None


# --- the plain case ---------------------------------------------------------------------------------


def test_the_first_run_brings_every_day_and_says_which_are_empty(bench):
    platform = PaperPlatform(week())
    report = bench.run(platform)
    assert bench.in_force() == platform.truth
    assert len(report.changed) == 28  # the lookback is longer than the backfill asked for
    assert report.rows == 28


def test_the_same_pull_twice_writes_no_row(either_bench):
    platform = PaperPlatform(week())
    either_bench.run(platform)
    rows = either_bench.raw_rows()
    either_bench.wait(days=1)
    again = either_bench.run(platform)
    assert either_bench.raw_rows() == rows
    assert len(again.unchanged) == 27
    assert again.changed == [TODAY]  # the one new day, empty


def test_what_is_due_depends_on_age_and_last_reading(bench):
    platform = PaperPlatform(week())
    bench.run(platform)
    bench.wait(hours=1)
    assert bench.fetch(platform).reports == []
    bench.wait(hours=3)
    recent = bench.fetch(platform).reports[0].slices["report_date"]
    assert (recent.min(), recent.max()) == (day(7), day(1))
    bench.publish(bench.fetch(platform))
    bench.wait(hours=20)
    restated = bench.fetch(platform).reports[0].slices["report_date"]
    assert (restated.min(), restated.max()) == (day(28 - 1), TODAY)


def test_each_snapshot_is_taken_as_often_as_its_report_says(bench):
    stream = STREAMS["levers"]
    hourly = Report(stream, "hourly", 0, 1, is_snapshot=True, snapshot_every=AN_HOUR)
    others = Report(stream, "none", 0, 1, is_snapshot=True)
    ledger = Ledger()
    for report in (hourly, others):
        taken = Attempt("1", "1", "complete", 1, "", 1, "", START)
        ledger.note(("tiktok", stream.name, "1", TODAY, report.breakdown_set), taken)

    def due(minutes: float) -> list[str]:
        moment = START + timedelta(minutes=minutes)
        pulls = due_pulls("tiktok", ACCOUNT, [hourly, others], ledger, {}, TODAY, moment, backfill_days=5)
        return sorted(pull.report.breakdown_set for pull in pulls)

    assert [due(minutes) for minutes in (10, 49)] == [[], []]
    assert due(55) == ["hourly"]
    assert due(235) == ["hourly", "none"]


def test_a_report_that_wants_fewer_days_is_asked_for_no_more_of_those_never_read():
    stream = STREAMS["tiktok_ads_report"]
    reports = [Report(stream, name, 3, 1, wanted_days=days) for name, days in (("all", None), ("few", 5))]
    pulls = due_pulls("tiktok", ACCOUNT, reports, Ledger(), {}, TODAY, START, backfill_days=20)
    asked = Counter(pull.report.breakdown_set for pull in pulls)
    assert asked == {"all": 20, "few": 5}


@pytest.mark.parametrize("backfill", [5, 28, 60])
def test_beyond_the_lookback_a_day_is_read_until_a_reading_leaves_it_as_it_was(backfill):
    def due(ages: dict[int, bool]) -> set[int]:
        ledger = Ledger()
        for age, restates in ages.items():
            read = Attempt("1", "1", "complete", 1, "", 1, "", START - timedelta(days=1), restates)
            ledger.note(("tiktok", REPORT.stream.name, "1", day(age), "none"), read)
        pulls = due_pulls("tiktok", ACCOUNT, [REPORT], ledger, {}, TODAY, START, backfill_days=backfill)
        return {(TODAY - on).days for pull in pulls for on in pull.days}

    beyond = dict.fromkeys(range(29, 61), True)
    assert due(beyond) == set(range(1, 28 + UNSETTLED_DAYS + 1))
    assert due(dict.fromkeys(beyond, False)) == set(range(1, 29))
    assert due({}) == set(range(1, max(backfill, 28) + 1)), "no day is read first for being unsettled"


def test_every_hour_of_two_days_each_day_is_read_as_often_as_its_age_asks(bench):
    platform = PaperPlatform(week())
    bench.run(platform)
    read: Counter[date] = Counter()
    for _ in range(48):
        bench.wait(hours=1)
        fetched = bench.fetch(platform)
        if fetched.reports:
            read.update(fetched.reports[0].slices["report_date"])
            bench.wait(minutes=5)
            bench.publish(fetched)
            bench.wait(minutes=-5)
    assert read[day(1)] == 12, "every four hours"
    assert read[day(20)] == 2, "every day"
    assert read[day(40)] == 0


def test_days_last_read_before_they_were_final_are_read_once_more_after_an_outage(bench):
    read_at_age_one = START - timedelta(days=39)
    day_read_young, day_read_late = day(40), day(41)
    ledger = Ledger()
    for which, moment in ((day_read_young, read_at_age_one), (day_read_late, START - timedelta(days=10))):
        attempt = Attempt("1", "1", "complete", 1, "", 1, "", moment)
        ledger.note(("tiktok", REPORT.stream.name, "1", which, REPORT.breakdown_set), attempt)

    def due() -> set[date]:
        pulls = due_pulls("tiktok", ACCOUNT, [REPORT], ledger, {}, TODAY, START, backfill_days=41)
        return {which for pull in pulls for which in pull.days}

    assert day_read_young in due()
    assert day_read_late not in due()
    again = Attempt("2", "1", "complete", 1, "", 1, "", START)
    ledger.note(("tiktok", REPORT.stream.name, "1", day_read_young, REPORT.breakdown_set), again)
    assert day_read_young not in due(), "once is enough"


def test_a_day_is_final_only_once_a_reading_leaves_it_as_it_was(either_bench):
    bench, restated = either_bench, day(27)
    platform = PaperPlatform({restated: {"ad": 5}})

    def read() -> list[date]:
        fetched = bench.fetch(platform, backfill=60)
        bench.publish(fetched)
        return fetched.reports[0].slices["report_date"].to_list()

    read()
    bench.wait(days=1)
    platform.truth[restated] = {"ad": 5000}  # on the last day of the lookback, for a few hours
    assert restated in read()
    platform.truth[restated] = {"ad": 5}
    bench.wait(hours=4)
    assert restated not in read(), "once a day is enough"
    for _ in range(2):
        bench.wait(hours=20)
        assert restated in read(), "its last reading changed it"
        assert bench.in_force()[restated] == {"ad": 5}
        bench.wait(hours=4)
    bench.wait(hours=20)
    assert restated not in read()


@pytest.mark.parametrize("hours", [0, -3])
def test_what_a_source_changes_is_newer_than_what_marts_saw_of_another_whatever_the_clock_says(bench, hours):
    bench.warehouse.ensure_tables([TRANSFORMED_DAYS])
    bench.run(PaperPlatform(week()))
    state = marts.ledger_state(bench.warehouse, day(40), TODAY)
    marts.mark_transformed(bench.warehouse, state, day(40), TODAY, "code")
    assert marts.stale_report_days(bench.warehouse, "code") == []
    bench.wait(hours=hours)
    report = bench.run(PaperPlatform(week(), name="linkedin"))
    assert report.changed
    assert marts.stale_report_days(bench.warehouse, "code") == sorted(report.changed)


def test_what_waits_for_a_report_no_longer_asked_for_leaves_the_queue(bench):
    gone = ("ga4", "ga4_events", "none", "1", day(1))
    assert overtaken([REPORT], {gone: Waiting(1, "PERMANENT", "no folder", None)}, TODAY) == [gone]


def test_what_waits_for_a_moment_that_is_over_leaves_the_queue(bench):
    snapshot = Report(STREAMS["levers"], "none", 0, 1, is_snapshot=True)
    why = Waiting(1, "TRANSIENT", "502", None)
    of_yesterday = ("tiktok", "levers", "none", "1", day(1))
    of_today = ("tiktok", "levers", "none", "1", TODAY)
    of_a_day = ("tiktok", "tiktok_ads_report", "none", "1", day(1))
    waiting = dict.fromkeys([of_yesterday, of_today, of_a_day], why)
    assert overtaken([REPORT, snapshot], waiting, TODAY) == [of_yesterday]


def test_a_day_that_failed_is_asked_for_again_however_old_it_is(bench):
    platform = PaperPlatform(
        {day(200): {"ad1": 5}}, lambda pull, call: PlatformError(ErrorClass.TRANSIENT, "502")
    )
    bench.run(platform, Span(day(200), day(200)))
    platform.before_page = lambda pull, call: None
    bench.wait(hours=2)
    bench.run(platform)
    assert bench.in_force() == platform.truth
    assert bench.control.queue_sizes() == {}


def test_a_person_may_ask_for_any_span(bench):
    platform = PaperPlatform({day(200): {"ad1": 5}})
    report = bench.run(platform, Span(day(205), day(198)))
    assert len(report.changed) == 8
    assert bench.in_force() == platform.truth


def test_what_was_pulled_by_a_clock_a_month_ahead_dates_no_other_source(bench):
    bench.wait(hours=30 * 24)
    bench.run(PaperPlatform(week()))
    bench.wait(hours=-30 * 24)
    bench.run(PaperPlatform(week(), name="linkedin"))
    newest = bench.warehouse.query(
        "select max(completed_at) as newest from ops.ingest_slices where source = 'linkedin'"
    ).item()
    assert newest <= bench.time.now()


def test_no_day_before_history_starts_is_asked_for_and_none_waits(bench):
    start = day(3)
    why = Waiting(1, "TRANSIENT", "502", None)
    failed = {("tiktok", REPORT.stream.name, "none", "1", on): why for on in (day(200), day(2))}

    def asked(**days) -> set[date]:
        due = due_pulls("tiktok", ACCOUNT, [REPORT], Ledger(), failed, TODAY, START, backfill_days=90, **days)
        return {on for pull in due for on in pull.days}

    assert asked(first_day=start) == {day(1), day(2), start}
    assert asked(first_day=start, span=Span(day(20), day(2))) == {day(2), start}, "nor by a person"
    assert asked(first_day=start, span=Span(day(20), day(4))) == set()
    assert overtaken([REPORT], failed, TODAY, start) == [next(iter(failed))]


# --- what the platform restates -----------------------------------------------------------------------


def test_restated_late_and_vanished_rows_are_followed(either_bench):
    platform = PaperPlatform(week())
    either_bench.run(platform)
    platform.truth[day(3)]["ad0"] = 999
    platform.truth[day(6)]["late"] = 1
    del platform.truth[day(2)]["ad3"]
    either_bench.wait(hours=4)
    report = either_bench.run(platform)
    assert either_bench.in_force() == platform.truth
    assert set(report.changed) == {day(2), day(3), day(6)}
    assert report.rows == 3 + 4 + 5


def test_an_emptied_day_is_believed_at_the_second_pull(either_bench):
    platform = PaperPlatform(week())
    either_bench.run(platform)
    before = dict(platform.truth)
    platform.truth = platform.truth | {day(2): {}}
    either_bench.wait(hours=4)
    assert either_bench.run(platform).unconfirmed == [day(2)]
    assert either_bench.in_force() == before
    either_bench.wait(minutes=20)
    assert either_bench.run(platform).changed == [day(2)]
    assert day(2) not in either_bench.in_force()


def test_what_a_platform_no_longer_keeps_stands_however_often_it_is_asked_for(either_bench):
    platform = PaperPlatform(week(), reports=(replace(REPORT, expires=True),))
    either_bench.run(platform)
    before = dict(platform.truth)
    platform.truth = platform.truth | {day(2): {}}
    for _ in range(3):
        either_bench.wait(hours=4)
        assert day(2) in either_bench.run(platform).unchanged
    assert either_bench.in_force() == before
    platform.truth = platform.truth | {day(2): {"ad1": 7}}
    either_bench.wait(hours=4)
    assert either_bench.run(platform).changed == [day(2)]
    assert either_bench.in_force() == platform.truth


def test_a_failure_in_between_does_not_confirm_that_a_day_is_empty(either_bench):
    platform = PaperPlatform(week())
    either_bench.run(platform)
    full = platform.truth
    platform.truth = full | {day(2): {}}
    platform.before_page = lambda pull, call: PlatformError(ErrorClass.DEFER, "quota", 60.0)
    either_bench.wait(hours=4)
    assert day(2) in either_bench.run(platform).failed
    platform.before_page = lambda pull, call: None
    either_bench.wait(hours=4)
    assert either_bench.run(platform).unconfirmed == [day(2)]
    platform.truth = full
    either_bench.wait(hours=1)
    either_bench.run(platform)
    assert either_bench.in_force() == full


def test_the_later_pull_wins_whoever_publishes_first(either_bench):
    platform = PaperPlatform(week())
    earlier = either_bench.fetch(platform)
    either_bench.wait(minutes=1)
    platform.truth[day(1)]["ad0"] = 777
    later = either_bench.fetch(platform)
    either_bench.publish(later)
    either_bench.wait(minutes=1)
    assert len(either_bench.publish(earlier)[0].superseded) == 28
    assert either_bench.in_force() == platform.truth
    assert len(either_bench.publish(later)[0].superseded) == 28, "published twice is published once"
    assert either_bench.in_force() == platform.truth


# --- errors ---------------------------------------------------------------------------------------------


def test_a_throttle_waits_what_it_is_told_and_holds_the_whole_account(bench):
    error = PlatformError(ErrorClass.THROTTLE, "slow down", 90.0)
    platform = PaperPlatform(week(), failing(error, 2))
    bench.run(platform)
    assert bench.time.slept == [90.0]
    assert bench.in_force() == platform.truth
    bench.pace().advised(30.0)
    other = VirtualTime(bench.time.moment)
    pace = bench.pace()
    pace.clock, pace.sleep = other, other.sleep
    pace.before_call()
    assert other.slept == [pytest.approx(30.0)]


def test_a_wait_longer_than_patience_puts_the_days_off_until_then(either_bench):
    error = PlatformError(ErrorClass.THROTTLE, "slow down", 1800.0)
    platform = PaperPlatform(week(), lambda pull, call: error)
    report = either_bench.run(platform)
    assert either_bench.time.slept == []
    assert len(platform.calls) == 1, "no other pull of the account would fare better"
    assert report.next_attempt_at == either_bench.time.now() + timedelta(seconds=1800)
    either_bench.wait(minutes=29)
    assert either_bench.fetch(platform).failures == []
    either_bench.wait(minutes=2)
    platform.before_page = lambda pull, call: None
    either_bench.run(platform)
    assert either_bench.in_force() == platform.truth


def test_a_platform_that_names_no_wait_is_backed_off_exponentially_up_to_an_hour(bench):
    platform = PaperPlatform(week(), lambda pull, call: PlatformError(ErrorClass.TRANSIENT, "502"))
    waits = []
    for _ in range(12):
        report = bench.run(platform)
        assert len(report.failed) == 28
        waits.append((report.next_attempt_at - bench.time.now()).total_seconds())
        bench.time.moment = report.next_attempt_at + timedelta(seconds=1)
    assert waits[0] < waits[2] < waits[4]
    assert max(waits) <= 3600
    assert all(later > 0.45 * earlier for earlier, later in pairwise(waits))
    statuses = bench.warehouse.query("select distinct status, error_class from ops.ingest_slices")
    assert statuses.rows() == [("failed", "TRANSIENT")]


def test_within_a_run_tries_are_few_and_their_waits_grow(bench):
    platform = PaperPlatform(week(), lambda pull, call: PlatformError(ErrorClass.TRANSIENT, "502"))
    bench.run(platform)
    assert len(platform.calls) == 6
    assert len(bench.time.slept) == 5
    assert bench.time.slept[-1] > 3 * bench.time.slept[0]


def test_a_bad_token_ends_all_calls_and_its_text_is_hidden(bench, caplog):
    error = PlatformError(ErrorClass.AUTH, f"Error validating access_token={TOKEN}: expired")
    platform = PaperPlatform(week(), failing(error, 3))
    report = bench.run(platform, Span(day(60), day(1)))
    assert len(platform.calls) == 3
    assert len(report.failed) + len(report.changed) == 60
    assert report.next_attempt_at is None
    told = bench.warehouse.query("select message from ops.source_pulls")["message"].to_list()
    queue = [why.message for why in bench.control.waiting("tiktok", "1").values()]
    assert TOKEN not in " ".join([*told, *queue, caplog.text])
    assert "expired" in told[0]


def test_what_is_too_much_is_asked_for_in_weeks_days_campaigns_and_pages(bench):
    asked: list[Pull] = []

    def too_much(pull):
        asked.append(pull)
        small = pull.first == pull.last and pull.parents is not None and len(pull.parents) == 1
        fits = small and pull.page_size == 1
        return None if fits else PlatformError(ErrorClass.SHRINK, "Please reduce the amount of data")

    platform = PaperPlatform(week(), too_much=too_much)
    bench.run(platform, Span(day(14), day(1)))
    assert bench.in_force() == platform.truth
    shapes = [(len(p.days), None if p.parents is None else len(p.parents), p.page_size) for p in asked]
    assert list(dict.fromkeys(shapes))[:4] == [
        (14, None, None),
        (7, None, None),
        (1, None, None),
        (1, 1, None),
    ]
    assert (1, 1, 1) in shapes
    # Each thing is asked twice at most before it is divided: a hiccup, then never the same again.
    assert max(asked.count(pull) for pull in asked if pull.page_size != 1) == 2


def test_what_cannot_be_made_smaller_fails_with_what_the_platform_said(bench):
    too_much = PlatformError(ErrorClass.SHRINK, "Please reduce the amount of data")
    platform = PaperPlatform(week(), too_much=lambda pull: too_much if day(2) in pull.days else None)
    report = bench.run(platform, Span(day(7), day(1)))
    assert report.failed == [day(2)], "its neighbours are read"
    assert report.failure.error_class is ErrorClass.PERMANENT
    assert "reduce the amount" in report.failure.message
    assert bench.in_force() == {when: rows for when, rows in platform.truth.items() if when != day(2)}


def unreadable(which: date):
    """A platform on which nothing with this day can be read: one of its rows is no row."""
    error = PlatformError(ErrorClass.PERMANENT, "spend is 'n/a', where a number must be.")
    return PaperPlatform(week(), lambda pull, call: error if which in pull.days else None)


def contradictory(which: date):
    """A platform that gives an ad two numbers on this day, however often it is asked."""

    ads = {"report_date": [which], "campaign_id": ["c1"], "adgroup_id": ["g"], "ad_id": ["ad0"]}
    rows = [Page(pl.DataFrame({**ads, "impressions": [said]})) for said in ("1", "2")]
    return PaperPlatform(
        week(), transform=lambda pages, pull: [*pages, *rows] if which in pull.days else pages
    )


@pytest.mark.parametrize(
    ("platform_of", "error_class"),
    [(unreadable, ErrorClass.PERMANENT), (contradictory, ErrorClass.TRANSIENT)],
)
def test_a_row_that_cannot_be_read_costs_its_own_day_alone(bench, platform_of, error_class):
    platform = platform_of(day(3))
    report = bench.run(platform, Span(day(28), day(1)))
    assert report.failed == [day(3)], "its neighbours are read"
    assert report.failure.error_class is error_class
    assert bench.in_force() == {when: rows for when, rows in platform.truth.items() if when != day(3)}
    spans = Counter((pull.first, pull.last) for pull in platform.calls)
    assert len(spans) <= 1 + 2 * 5, "halves of 28 days, down to one"
    assert len(bench.time.slept) == (5 if error_class is ErrorClass.TRANSIENT else 0), "each part once"


def test_a_day_that_cannot_be_read_waits_alone(bench):
    platform = unreadable(day(3))
    report = bench.run(platform)
    assert report.next_attempt_at == bench.time.now() + timedelta(days=1)
    bench.wait(hours=22)
    fetched = bench.fetch(platform)
    assert fetched.failures == []
    assert day(3) not in set(fetched.reports[0].slices["report_date"])
    bench.publish(fetched)
    bench.wait(hours=2)
    before = len(platform.calls)
    assert [failure.days for failure in bench.fetch(platform).failures] == [[day(3)]]
    assert {pull.last for pull in platform.calls[before:] if day(3) in pull.days} == {day(3)}


def test_several_bad_days_cost_themselves_alone(bench):
    bad = {day(2), day(3), day(11), day(27)}
    error = PlatformError(ErrorClass.PERMANENT, "no row")
    platform = PaperPlatform(week(), lambda pull, call: error if bad & {*pull.days} else None)
    report = bench.run(platform)
    assert set(report.failed) == bad
    assert len(report.changed) == 28 - len(bad)


def test_what_fails_as_a_whole_is_not_asked_for_day_by_day(bench):
    error = PlatformError(ErrorClass.PERMANENT, "The report is not available to this account.")
    platform = PaperPlatform(week(), lambda pull, call: error)
    report = bench.run(platform, Span(day(90), day(1)))
    assert len(report.failed) == 90
    assert report.failure.error_class is ErrorClass.PERMANENT
    assert len(platform.calls) <= 3 + 2 * 5, "30 days once down to a day, 60 days as they are"
    for error_class in (ErrorClass.AUTH, ErrorClass.TRANSIENT, ErrorClass.DEFER):
        refusing = PaperPlatform(week(), lambda pull, call, of=error_class: PlatformError(of, "no", 1.0))
        assert len(bench.run(refusing, Span(day(30), day(1))).failed) == 30
        assert {len(pull.days) for pull in refusing.calls} == {30}, "no part of it would fare better"


def test_an_account_whose_time_is_up_leaves_the_rest_to_the_next_pull(bench):
    platform = PaperPlatform(
        {day(1): {"ad": 1}, day(100): {"ad": 2}}, lambda pull, call: bench.wait(minutes=10)
    )
    fetched = bench.fetch(platform, backfill=120, longest=timedelta(minutes=25))
    assert [pull.last for pull in platform.calls] == [day(1), day(31), day(61)], "what was begun is ended"
    assert [(pull.first, pull.last) for pull in fetched.left] == [(day(120), day(91))]
    (report,) = bench.publish(fetched)
    assert (len(report.changed), len(report.left), report.failure) == (90, 30, None)
    assert bench.control.queue_sizes() == {}
    bench.wait(hours=1)
    assert bench.publish(bench.fetch(platform, backfill=120))[0].changed == fetched.left[0].days
    assert bench.in_force() == platform.truth


def test_parts_not_begun_when_time_is_up_are_left_too(bench):
    def slow(pull, call):
        bench.wait(minutes=10)
        return PlatformError(ErrorClass.SHRINK, "less, please") if len(pull.days) > 7 else None

    fetched = bench.fetch(PaperPlatform({}, slow), longest=timedelta(minutes=35))
    assert set(fetched.reports[0].slices["report_date"]) == {day(ago) for ago in range(1, 15)}, "newest first"
    assert {when for pull in fetched.left for when in pull.days} == {day(ago) for ago in range(15, 29)}
    assert fetched.failures == []


def test_a_pull_restated_while_it_is_read_is_read_again(bench):
    spoilt = []

    def restate(pages, pull):
        if not spoilt:
            spoilt.append(True)
            changed = pages[0].rows.with_columns(impressions=pl.lit("1"))
            return [*pages, Page(changed)]
        return pages

    platform = PaperPlatform(week(), transform=restate)
    bench.run(platform)
    assert bench.in_force() == platform.truth
    assert len(bench.time.slept) == 1


def test_repeated_pages_are_counted_and_kept_once(bench):
    platform = PaperPlatform(week(), transform=lambda pages, pull: [pages[0], *pages])
    report = bench.run(platform)
    assert bench.in_force() == platform.truth
    assert report.repeated == 3


def test_rows_of_other_days_are_never_landed(bench):
    stray = Page(
        pl.DataFrame(
            {
                "report_date": [day(100)],
                "campaign_id": ["c"],
                "adgroup_id": ["g"],
                "ad_id": ["a"],
                "impressions": ["1"],
            }
        )
    )
    platform = PaperPlatform(week(), transform=lambda pages, pull: [*pages, stray])
    report = bench.run(platform)
    assert bench.in_force() == {}
    assert "rows of " in report.failure.message


def test_a_field_nobody_asked_for_and_a_number_that_is_none_are_kept_as_text(bench):
    def drift(pages, pull):
        return [
            Page(page.rows.with_columns(new_field=pl.lit('say "hi"'), spend=pl.lit("n/a"))) for page in pages
        ]

    platform = PaperPlatform(week(), transform=drift)
    bench.run(platform)
    payloads = bench.warehouse.query("select payload from raw.tiktok_ads_report")["payload"]
    read = payloads.str.json_decode(pl.Struct({"new_field": pl.String, "spend": pl.String}))
    assert set(read.struct.field("new_field")) == {'say "hi"'}
    assert set(read.struct.field("spend")) == {"n/a"}


# --- budgets ---------------------------------------------------------------------------------------------


def test_two_runs_share_one_budget_of_calls(bench):
    first, second = bench.pace(calls_per_hour=60), bench.pace(calls_per_hour=60)
    for pace in (first, second) * 3:
        pace.before_call()
    assert bench.time.slept == [], "a tenth of an hour's calls may come at once"
    second.before_call()
    first.before_call()
    assert bench.time.slept == pytest.approx([60.0, 60.0])


def test_budgets_refill_while_the_run_s_own_clock_stands_still(bench):
    moment = FixedClock(bench.time.now())
    pace = replace(bench.pace(calls_per_hour=60), clock=moment)
    for _ in range(10):
        pace.before_call()
    # Six at once, then one a minute; by the clock that stands still the waits would grow: 1, 2, 3, 4 minutes.
    assert bench.time.slept == pytest.approx([60.0] * 4)


def test_a_spent_budget_is_a_throttle(bench):
    pace = bench.pace(patience=10, calls_per_hour=10)
    pace.before_call()
    with pytest.raises(PlatformError, match="budget of calls") as refused:
        pace.before_call()
    assert refused.value.error_class is ErrorClass.THROTTLE
    assert refused.value.wait_seconds == pytest.approx(360)


def test_a_stopped_source_stays_stopped_for_these_credentials_only(bench):
    bench.control.stop_source("tiktok", "hash-1", "token expired", bench.time.now())
    assert bench.control.stopped("tiktok", "hash-1").reason == "token expired"
    assert bench.control.stopped("tiktok", "hash-2") is None
    bench.control.resume_source("tiktok")
    assert bench.control.stopped("tiktok", "hash-1") is None


# --- any script ------------------------------------------------------------------------------------------

_errors = st.builds(
    PlatformError,
    st.sampled_from([kind for kind in ErrorClass if kind not in (ErrorClass.AUTH, ErrorClass.OTHER_FORMAT)]),
    st.just("scripted"),
    st.one_of(st.none(), st.floats(1, 7200)),
)
_changes = st.lists(
    st.tuples(
        st.integers(1, 7), st.sampled_from(["ad0", "ad1", "new"]), st.one_of(st.none(), st.integers(0, 9))
    ),
    max_size=4,
)


def restate(platform: PaperPlatform, changes: list[tuple[int, str, int | None]]) -> None:
    for ago, ad, impressions in changes:
        if impressions is None:
            platform.truth[day(ago)].pop(ad, None)
        else:
            platform.truth[day(ago)][ad] = impressions


@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    faults=st.dictionaries(st.integers(1, 40), _errors, max_size=12),
    mornings=st.lists(_changes, min_size=1, max_size=3),
    duplicates=st.integers(0, 2),
)
def test_whatever_fails_and_changes_the_rows_in_force_become_the_truth(
    duckdb_warehouse, tmp_path_factory, faults, mornings, duplicates
):
    folder = tmp_path_factory.mktemp("script")
    bench = bench_on(duckdb_warehouse, folder)
    for table in TABLES:
        duckdb_warehouse.write(ReplaceTable(table, pl.DataFrame(schema=table.polars_schema)))
    platform = PaperPlatform(
        week(2),
        before_page=lambda pull, call: faults.get(call),
        transform=lambda pages, pull: [*pages[:duplicates], *pages],
    )
    for changes in mornings:
        restate(platform, changes)
        bench.run(platform)
        bench.in_force()  # never doubled
        bench.wait(hours=4)
    # With the last fault played, a few more readings must end in the truth.
    platform.before_page = lambda pull, call: None
    for _ in range(3):
        bench.run(platform, Span(day(28), day(1)))
        bench.wait(hours=4)
    assert bench.in_force() == {when: rows for when, rows in platform.truth.items() if rows}
    assert bench.control.queue_sizes() == {}


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("restate"), _changes),
        st.tuples(st.just("fetch"), st.booleans()),  # whether it reads everything or only what is due
        st.tuples(st.just("publish"), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.sampled_from([1, 20, 240, 1440])),
    ),
    min_size=4,
    max_size=14,
)


@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=_steps, faults=st.dictionaries(st.integers(1, 20), _errors, max_size=4))
@example(  # two runs read at once, restated in between; the one that read first publishes last
    steps=[
        ("fetch", True),
        ("wait", 1),
        ("restate", [(2, "ad0", 7), (3, "ad1", None)]),
        ("fetch", True),
        ("publish", 1),
        ("publish", 0),
    ],
    faults={},
)
@example(  # restated after it was read: published as read, followed by the next pull
    steps=[("fetch", True), ("restate", [(1, "ad0", 8)]), ("wait", 20), ("publish", 0)], faults={}
)
def test_runs_of_one_account_may_overlap_in_any_order(duckdb_warehouse, tmp_path_factory, steps, faults):
    bench = bench_on(duckdb_warehouse, tmp_path_factory.mktemp("overlap"))
    for table in TABLES:
        duckdb_warehouse.write(ReplaceTable(table, pl.DataFrame(schema=table.polars_schema)))
    platform = PaperPlatform(week(2), before_page=lambda pull, call: faults.get(call))
    fetched: list[FetchedAccount] = []
    read_as: dict[str, dict[date, dict[str, int]]] = {}
    for step, what in steps:
        if step == "restate":
            restate(platform, what)
        elif step == "wait":
            bench.wait(minutes=what)
        elif step == "publish" and fetched:
            bench.publish(fetched.pop(what % len(fetched)))
            bench.wait(seconds=1)
        elif step == "fetch":
            bench.wait(seconds=1)  # one warehouse plans one run after another
            fetched.append(bench.fetch(platform, Span(day(28), day(1)) if what else None))
            for report in fetched[-1].reports:
                read_as[report.stamp.batch_id] = {when: dict(ads) for when, ads in platform.truth.items()}
        in_force = bench.in_force()  # never doubled
        newest = read_ledger(duckdb_warehouse).complete
        for key, attempt in newest.items():
            said = read_as[attempt.batch_id].get(key[3], {})
            assert in_force.get(key[3], {}) == said, "a day is what its newest published reading said"
    for outcome in fetched:
        bench.publish(outcome)
        bench.wait(seconds=1)
    platform.before_page = lambda pull, call: None
    for _ in range(3):
        bench.run(platform, Span(day(28), bench.time.now().date()))
        bench.wait(hours=4)
    assert bench.in_force() == {when: rows for when, rows in platform.truth.items() if rows}
    assert bench.control.queue_sizes() == {}
    assert not any(bench.folder.iterdir()), "published pages are removed"


def test_the_account_is_noted_with_its_currency_and_zone(bench):
    bench.run(PaperPlatform(week()))
    rows = bench.warehouse.query(
        "select source, account_id, account_name, currency, timezone from ops.accounts"
    )
    assert rows.rows() == [("tiktok", ACCOUNT.account_id, "Paper", "USD", "UTC")]
