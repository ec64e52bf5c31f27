"""Which day of its own an account is looked at, up to which hour, and why not more."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from models.spend_readings import Delays, Look, begun_hours, past_hours, readings, settled_hours

DAY = date(2026, 6, 30)
NEW_YORK, TOKYO, LOS_ANGELES = (
    ZoneInfo(name) for name in ("America/New_York", "Asia/Tokyo", "America/Los_Angeles")
)
DELAYS = Delays({"meta": 0.25, "google_ads": 3.0, "linkedin": 1.0}, 0.0, ("linkedin",))
PULLS = {
    "platform": pl.String,
    "account_id": pl.String,
    "date": pl.Date,
    "read_at": pl.Datetime("us", "UTC"),
    "asked_at": pl.Datetime("us", "UTC"),
    "error_class": pl.String,
    "message": pl.String,
}
SPEND = {
    "platform": pl.String,
    "account_id": pl.String,
    "date": pl.Date,
    "hour": pl.Int64,
    "spend": pl.Float64,
}


def at(zone, hour, minute=0, day=DAY, fold=0):
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone, fold=fold)


def pulled(platform, account, day, read_at, asked_at=None, error=None, message=None):
    return (platform, account, day, read_at, read_at if asked_at is None else asked_at, error, message)


def looked(now, *pulls, accounts=(("meta", "a1", "America/New_York"),), spend=(), as_of=None):
    day = now.astimezone(NEW_YORK).date() if as_of is None else as_of
    found = readings(
        pl.DataFrame(list(accounts), schema=["platform", "account_id", "timezone"], orient="row"),
        pl.DataFrame(list(pulls), schema=PULLS, orient="row"),
        pl.DataFrame(list(spend), schema=SPEND, orient="row"),
        Look(day, now, NEW_YORK),
        DELAYS,
    )
    return {(row["platform"], row["account_id"]): row for row in found.iter_rows(named=True)}


def test_an_hour_is_settled_once_the_platform_s_delay_lies_behind_it():
    read_at = at(NEW_YORK, 12, 5)

    def settled(hours):
        return settled_hours(DAY, read_at, NEW_YORK, timedelta(hours=hours), by_hour=True)

    assert [settled(hours) for hours in (0, 0.25, 1, 3, 13)] == [12, 11, 11, 9, 0]
    assert begun_hours(DAY, read_at, NEW_YORK) == 13
    assert settled_hours(DAY - timedelta(days=1), read_at, NEW_YORK, timedelta(hours=3), by_hour=True) == 24


def test_a_day_s_single_figure_is_taken_as_spent_by_the_end_of_the_hour_the_delay_began_in():
    def settled(hour, minute):
        hours = timedelta(hours=1)
        return settled_hours(DAY, at(NEW_YORK, hour, minute), NEW_YORK, hours, by_hour=False)

    assert [settled(12, 0), settled(12, 20), settled(0, 30), settled(1, 10)] == [11, 12, 0, 1]


def test_two_accounts_around_midnight_are_each_looked_at_on_their_own_day():
    """23:30 in New York: Tokyo is past noon of tomorrow, Los Angeles at half past eight of today."""
    now, tomorrow = at(NEW_YORK, 23, 30), DAY + timedelta(days=1)
    accounts = [("meta", "east", "Asia/Tokyo"), ("meta", "west", "America/Los_Angeles")]
    read = at(NEW_YORK, 23)
    pulls = [
        pulled("meta", "east", DAY, at(TOKYO, 23)),
        pulled("meta", "east", tomorrow, read),
        pulled("meta", "west", DAY, read),
    ]
    late = looked(now, *pulls, accounts=accounts)
    east, west = late["meta", "east"], late["meta", "west"]
    assert (east["date"], east["hours_over"], east["reading"]) == (tomorrow, 11, "read")
    assert (west["date"], west["hours_over"], west["reading"]) == (DAY, 19, "read")
    # An hour later the business has a new day, and the west still spends yesterday's budget.
    later = looked(
        now + timedelta(hours=1),
        *pulls[:2],
        pulled("meta", "west", DAY, at(LOS_ANGELES, 21)),
        accounts=accounts,
    )
    assert later["meta", "west"]["date"] == DAY
    assert later["meta", "west"]["hours_over"] == 20


def test_a_new_day_is_too_early_and_becomes_unreadable_where_nobody_reads_it():
    tomorrow = DAY + timedelta(days=1)
    before = pulled("meta", "a1", DAY, at(NEW_YORK, 23))
    minutes = {minute: looked(at(NEW_YORK, 0, minute, tomorrow), before)["meta", "a1"] for minute in (5, 59)}
    assert {row["reading"] for row in minutes.values()} == {"too_early"}
    gone = looked(at(NEW_YORK, 2, 1, tomorrow), before)["meta", "a1"]
    assert gone["reading"] == "not_readable"
    assert (
        "meta account a1 was not read on 2026-07-01, asked last at 2026-06-30 23:00" in gone["reading_reason"]
    )
    google = ("google_ads", "g1", "America/New_York")
    young = looked(at(NEW_YORK, 2, 30), pulled("google_ads", "g1", DAY, at(NEW_YORK, 2)), accounts=[google])[
        "google_ads", "g1"
    ]
    assert (young["reading"], young["hours_over"], young["hours_begun"]) == ("too_early", 0, 2)
    assert "up to 3 h late" in young["reading_reason"]


def test_the_day_a_clock_is_put_back_has_its_second_hour_twice():
    day, delay = date(2026, 11, 1), timedelta(hours=3)

    def google(hour, minute=0, fold=0):
        read_at = at(NEW_YORK, hour, minute, day, fold)
        return settled_hours(day, read_at, NEW_YORK, delay, by_hour=True)

    # Three hours before 03:30 EST it was 01:30 EDT, the first time; before 04:30 EST the second.
    assert [google(3, 30), google(4, 30), google(5)] == [1, 1, 2]
    assert begun_hours(day, at(NEW_YORK, 1, 30, day, fold=1), NEW_YORK) == 2


def test_the_day_a_clock_is_put_forward_lacks_an_hour_and_loses_no_other():
    day = date(2026, 3, 8)

    def google(hour, minute=0):
        return settled_hours(day, at(NEW_YORK, hour, minute, day), NEW_YORK, timedelta(hours=3), by_hour=True)

    # Three hours before 04:30 EDT it was 00:30 EST: the clock went from two to three between.
    assert [google(4, 30), google(5, 30), google(6), google(6, 30)] == [0, 1, 3, 3]


def test_one_account_s_failure_leaves_the_others_as_they_are_and_names_account_and_remedy():
    now = at(NEW_YORK, 12, 30)
    accounts = [
        ("google_ads", "472-1", "America/New_York"),
        ("google_ads", "472-2", "America/New_York"),
        ("google_ads", "472-3", "Mars/Olympus"),
        ("linkedin", "508", None),
        ("meta", "a1", "America/New_York"),
        ("tiktok", "719", "America/New_York"),
    ]
    found = looked(
        now,
        pulled("google_ads", "472-1", DAY, at(NEW_YORK, 12)),
        pulled("google_ads", "472-2", DAY, None, at(NEW_YORK, 12), "PERMANENT", "The account is closed."),
        pulled("linkedin", "508", DAY, at(NEW_YORK, 12)),
        pulled("meta", "a1", DAY, at(NEW_YORK, 9), at(NEW_YORK, 12), "TRANSIENT", "HTTP 502"),
        accounts=accounts,
        spend=[("linkedin", "508", DAY, None, None), ("google_ads", "472-1", DAY, 3, 5.0)],
    )
    assert {key: row["reading"] for key, row in found.items()} == {
        ("google_ads", "472-1"): "read",
        ("google_ads", "472-2"): "not_readable",
        ("google_ads", "472-3"): "not_readable",
        ("linkedin", "508"): "not_readable",
        ("meta", "a1"): "late",
        ("tiktok", "719"): "not_readable",
    }
    said = {key[1]: row["reading_reason"] or "" for key, row in found.items()}
    assert said["472-1"] == ""
    assert "failed (PERMANENT): The account is closed." in said["472-2"]
    assert "google_ads account 472-2" in said["472-2"]
    assert "`aelp connect google_ads`" in said["472-2"]
    assert "no time zone known here" in said["472-3"]
    assert "1 rows hold no amount" in said["508"]
    assert "read last at 2026-06-30 09:00 America/New_York; the attempt at" in said["a1"]
    assert "`sources.tiktok.accounts`" in said["719"]
    assert found["meta", "a1"]["hours_over"] == 8  # what is known is judged, and marked as late


@pytest.mark.parametrize(("hour", "spent"), [(3, -1.0), (24, 5.0), (-1, 5.0), (3, None)])
def test_a_row_that_cannot_be_added_up_makes_its_account_s_day_unreadable(hour, spent):
    rows = [("meta", "a1", DAY, hour, spent), ("meta", "a1", DAY - timedelta(days=1), 3, 7.0)]
    pulls = [pulled("meta", "a1", DAY, at(NEW_YORK, 12))]
    row = looked(at(NEW_YORK, 12, 30), *pulls, spend=rows)["meta", "a1"]
    assert (row["reading"], row["hours_over"], row["hours_begun"]) == ("not_readable", 0, 0)


def test_a_past_morning_is_looked_at_to_its_end():
    later = at(NEW_YORK, 12, 30, DAY + timedelta(days=5))
    row = looked(later, pulled("meta", "a1", DAY, at(NEW_YORK, 23)), as_of=DAY)["meta", "a1"]
    assert (row["date"], row["hours_over"], row["reading"]) == (DAY, 22, "read")


def test_past_hours_are_those_that_were_settled_and_add_up():
    yesterday, before = DAY - timedelta(days=1), DAY - timedelta(days=2)
    keys = [("google_ads", "g1"), ("linkedin", "l1"), ("meta", "a1")]
    pulls = [pulled(*key, day, at(NEW_YORK, 23, 10, day)) for key in keys for day in (yesterday, before)]
    spend = [
        ("google_ads", "g1", yesterday, 19, 5.0),
        ("google_ads", "g1", yesterday, 20, 6.0),
        ("linkedin", "l1", yesterday, None, 100.0),
        ("meta", "a1", yesterday, 3, -1.0),
        ("meta", "a1", yesterday, 4, 1.0),
        ("meta", "a1", before, 4, 1.0),
    ]
    found = past_hours(
        pl.DataFrame(spend, schema=SPEND, orient="row"),
        pl.DataFrame(pulls, schema=PULLS, orient="row"),
        dict.fromkeys(keys, "America/New_York"),
        DELAYS,
    )
    columns = ("platform", "date", "hour", "hours_over")
    assert sorted(found.select(columns).rows()) == [
        ("google_ads", yesterday, 19, 20),
        ("meta", before, 4, 22),
    ]


def test_moments_may_come_in_any_zone():
    in_utc = at(NEW_YORK, 12).astimezone(UTC)
    assert begun_hours(DAY, in_utc, NEW_YORK) == 12
