"""The register as an asset: the settings' calendar is kept, and what stands in the way is told."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import polars as pl

from aelp_assets import plots
from aelp_assets.experiment_calendar import closed_days, measured_tests, planned_on, registered
from models.experiments.registry import Experiment, LeverPlaces, Place, measured_media_mix_tests
from resources.settings import PROJECT_ROOT, Settings, load_settings
from resources.settings.calendar import CalendarEvent, FreezeWindow
from resources.settings.media_mix import MeasuredLift
from resources.warehouse.tables import EXPERIMENTS

MORNING = date(2026, 7, 2)
SHIPPED = load_settings(PROJECT_ROOT / "aelp.yaml")
WITHOUT_DAYS = {"events": (), "media_mix": SHIPPED.media_mix.model_copy(update={"promotions": ()})}


def planned(name: str, track: str, days: int = 14, **facts) -> Experiment:
    return Experiment(
        experiment_id=name,
        kind="media_mix",
        compared=f"{name} at -50% of its spend",
        unit="weeks",
        metric="conversions a week",
        status="planned",
        places=(Place(track=track, channel=name),),
        days=days,
        **facts,
    )


def with_(**changes) -> Settings:
    return SHIPPED.model_copy(update=WITHOUT_DAYS | changes)


def table(known: list[Experiment], settings: Settings):
    made = registered(planned_on(known, settings, MORNING), settings, MORNING)
    return made.value, {found.check_name: found for found in made.check_results}


def test_freezes_events_and_promotions_of_a_track_are_kept_free_of_its_tests():
    freeze = FreezeWindow(name="july", first_day=date(2026, 7, 6), last_day=date(2026, 7, 12))
    sale = CalendarEvent(
        name="sale", first_day=date(2026, 7, 20), last_day=date(2026, 7, 20), track="balance"
    )
    own = CalendarEvent(name="ours", first_day="07-29", last_day="07-30", track="balance")
    settings = with_(
        guardrails=SHIPPED.guardrails.model_copy(update={"freeze_windows": (freeze,)}),
        events=(sale,),
        media_mix=SHIPPED.media_mix.model_copy(update={"promotions": (own,)}),
    )
    assert {days.name for days in closed_days(settings, MORNING)} == {"freeze july", "sale", "ours"}
    rows, checks = table([planned("a", "balance"), planned("b", "security")], settings)
    first = dict(rows.select("experiment_id", "first_day").iter_rows())
    assert first == {"a": date(2026, 8, 3), "b": date(2026, 7, 13)}
    said = rows.filter(experiment_id="a")["conflicts"].item()
    assert "freeze july 2026-07-06 to 2026-07-12 (all tracks): from 2026-07-13" in said
    assert "sale 2026-07-20 to 2026-07-20 (track balance): from 2026-07-27" in said
    assert "ours 2026-07-29 to 2026-07-30 (track balance): from 2026-08-03" in said
    assert all(found.passed for found in checks.values())


def test_no_more_media_mix_tests_of_a_track_run_at_once_than_the_settings_allow():
    settings = with_()
    assert settings.media_mix.tests_at_once == 2
    rows, _ = table([planned(name, "balance", value_per_dollar=2.0) for name in "abc"], settings)
    monday = date(2026, 7, 6)
    assert rows["first_day"].to_list() == [monday, monday, monday + timedelta(weeks=2)]
    assert "no more than 2 of kind media_mix at once on track balance" in rows["conflicts"][2]


def test_a_test_without_a_free_week_and_a_booking_that_disturbs_are_told_apart():
    booking = MeasuredLift(
        track="balance", channel="a", spend=Decimal(9), change=Decimal(-3), lift=1.0, error=0.5,
        first_day=MORNING + timedelta(days=9), last_day=MORNING + timedelta(days=900),
    )  # fmt: skip
    running = booking.model_copy(update={"first_day": MORNING - timedelta(days=9)})
    mix = SHIPPED.media_mix.model_copy(update={"promotions": (), "lift_tests": (booking, running)})
    settings = with_(media_mix=mix)
    places = LeverPlaces(
        pl.DataFrame(
            schema=dict.fromkeys(("platform", "account_id", "lever_id", "track", "channel"), pl.String)
        )
    )
    booked = measured_media_mix_tests(measured_tests(settings), places, MORNING)
    rows, checks = table([planned("a", "balance"), *booked], settings)
    assert rows.filter(experiment_id="a")["first_day"].item() is None
    late = checks["every_planned_experiment_has_its_days"]
    assert not late.passed
    assert "1 planned experiments have no free week" in late.description
    faulty = checks["planned_experiments_disturb_nothing"]
    assert not faulty.passed
    assert "share track balance, channel a at once" in faulty.description


def test_a_morning_without_experiments_has_an_empty_register():
    rows, checks = table([], SHIPPED)
    assert rows.is_empty()
    assert rows.schema == EXPERIMENTS.polars_schema
    assert all(found.passed for found in checks.values())


def test_the_calendar_draws_what_is_open_and_counts_what_waits():
    ended = Experiment(
        "old", "split_test", "old", "users", None, "finished", (Place(),),
        first_day=date(2026, 1, 1), last_day=date(2026, 1, 9),
    )  # fmt: skip
    going = Experiment(
        "now", "split_test", "now", "users", None, "running", (Place("meta"),), first_day=date(2026, 6, 20)
    )
    endless = planned("endless", "balance", days=400)  # New Year comes every year
    rows, _ = table([ended, going, planned("soon", "security", power=0.8, price=1234.0), endless], SHIPPED)
    figure = plots.experiment_calendar(rows)
    axis = figure.axes[0]
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels == [
        "split_test · all tracks: now",
        "media_mix · security: soon at …d · power 80% · 1,234 dollars",
    ]
    assert sum(line.get_marker() == ">" for line in axis.lines) == 1
    assert "1 planned without a free week" in axis.get_xlabel()
