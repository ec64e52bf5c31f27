"""Events: their days do not move the level, and coming ones are forecast with what was learnt before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.forecasting import Event, build_panel, fit_rates
from models.forecasting.draws import PathSampler
from models.forecasting.events import OCCURRENCE_SD, PRIOR_SD
from models.forecasting.rates import Link

DAYS = 120


def held(world: Any, events: list[Event], effect: float) -> pl.DataFrame:
    """The world's days with exp(effect) times the conversions on the events' days."""
    on = pl.lit(False)
    for event in events:
        days = pl.col("date").is_between(event.first_day, event.last_day)
        on = on | (days if event.track is None else days & (pl.col("track") == event.track))
    rng = np.random.default_rng(7)
    conversions = world.daily["conversions"].to_numpy() * np.exp(effect)
    return world.daily.with_columns(
        pl.when(on)
        .then(pl.Series(rng.poisson(conversions).astype(float)))
        .otherwise("conversions")
        .alias("conversions")
    )


def sale(first: date, day: int, days: int = 5, name: str = "sale", track: str | None = None) -> Event:
    """An event that begins `day` days after the first."""
    begins = first + timedelta(days=day)
    return Event(name, begins, begins + timedelta(days=days - 1), track)


def fit(daily: pl.DataFrame, as_of: date, events: list[Event]) -> Any:
    return fit_rates(build_panel(daily, as_of), maturity_days=0, elasticity=0.8, events=events)


def world_of(ad_world: Callable[..., Any], seed: int) -> tuple[Any, date]:
    world = ad_world(seed, levers=10, days=DAYS, drift=0.01, shock=0.05, conversion_rate=0.05)
    return world, world.daily["date"].min()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_effect_is_recovered_from_earlier_occurrences_and_shrunk(
    ad_world: Callable[..., Any], seed: int
) -> None:
    world, first = world_of(ad_world, seed)
    past = [sale(first, day) for day in (20, 50, 80)]
    coming = sale(first, DAYS + 3)
    model = fit(held(world, past, np.log(2.0)), world.as_of_date, [*past, coming])
    (found,) = model.coming_events
    assert found.event == coming
    signups = found.effect[Link.SIGNUPS]
    assert signups == pytest.approx(np.full(10, np.log(2.0)), abs=0.2)
    assert (signups < np.log(2.0) + 0.1).all()
    assert (np.abs(found.effect[Link.CLICKS]) < 0.15).all()  # prices did not change
    assert (found.log_sd > OCCURRENCE_SD).all()
    assert (found.log_sd < np.hypot(PRIOR_SD, OCCURRENCE_SD)).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_sale_that_just_ended_does_not_move_the_level(ad_world: Callable[..., Any], seed: int) -> None:
    world, first = world_of(ad_world, seed)
    sales = [sale(first, DAYS - 6)]
    quiet = fit(world.daily, world.as_of_date, []).levels[Link.SIGNUPS].log_rate
    known, unknown = (
        fit(held(world, sales, np.log(3.0)), world.as_of_date, events).levels[Link.SIGNUPS].log_rate
        for events in (sales, [])
    )
    assert np.abs(known - quiet).mean() < 0.1
    assert np.abs(unknown - quiet).mean() > 0.3


def test_what_came_a_year_ago_is_learnt_from_the_tracks_as_a_whole(ad_world: Callable[..., Any]) -> None:
    world = ad_world(4, levers=10, days=420, drift=0.01, shock=0.05, conversion_rate=0.05)
    first = world.daily["date"].min()
    past, coming = sale(first, 50), sale(first, 422)
    daily = held(world, [past], np.log(2.0))
    recent = build_panel(daily, world.as_of_date, window_days=90)
    tracks = build_panel(daily.with_columns(lever_id=pl.col("track")), world.as_of_date)
    rules: dict[str, Any] = {"maturity_days": 14, "elasticity": 0.8, "events": [past, coming]}
    (taught,) = fit_rates(recent, history=tracks, **rules).coming_events
    (untaught,) = fit_rates(recent, **rules).coming_events
    assert taught.effect[Link.SIGNUPS] == pytest.approx(np.full(10, np.log(2.0)), abs=0.25)
    assert (untaught.effect == 0.0).all()
    # One occurrence only: the effect leans back, and is surer than nothing.
    assert (taught.effect[Link.SIGNUPS] < np.log(2.0)).all()
    assert (taught.log_sd[Link.SIGNUPS] < untaught.log_sd[Link.SIGNUPS]).all()
    with pytest.raises(ValueError, match="history ends before"):
        fit_rates(recent, history=tracks.before(400), **rules)


def test_an_event_never_seen_is_wide_and_centred_on_nothing(ad_world: Callable[..., Any]) -> None:
    world, first = world_of(ad_world, 1)
    (found,) = fit(world.daily, world.as_of_date, [sale(first, DAYS)]).coming_events
    assert (found.effect == 0.0).all()
    assert found.log_sd == pytest.approx(np.full(found.log_sd.shape, np.hypot(PRIOR_SD, OCCURRENCE_SD)))


def test_an_event_that_has_begun_is_forecast_by_its_own_first_days(ad_world: Callable[..., Any]) -> None:
    world, first = world_of(ad_world, 2)
    past, now = sale(first, 60), sale(first, DAYS - 3, days=8)
    daily = held(world, [now], np.log(3.0))
    begun, other = (
        fit(daily, world.as_of_date, [past, event]).coming_events[0] for event in (now, sale(first, DAYS))
    )
    assert (begun.effect[Link.SIGNUPS] > 0.8).all()
    assert (begun.log_sd[Link.SIGNUPS] < other.log_sd[Link.SIGNUPS]).all()


def test_draws_carry_the_effect_on_the_days_of_the_event_and_its_track_alone(
    ad_world: Callable[..., Any],
) -> None:
    world, first = world_of(ad_world, 3)
    past = [sale(first, day, track="track1") for day in (20, 50, 80)]
    coming = sale(first, DAYS + 2, days=2, track="track1")
    daily = held(world, past, np.log(2.0))
    with_event, without = (fit(daily, world.as_of_date, events) for events in ([*past, coming], past))
    rows = np.arange(10)
    samplers = [PathSampler(model, rows, 0, (Link.SIGNUPS,), 4000, 9) for model in (with_event, without)]
    on_track = (with_event.series["track"] == "track1").to_numpy()
    added = [samplers[0].next_day()[Link.SIGNUPS] - samplers[1].next_day()[Link.SIGNUPS] for _ in range(5)]
    for day, difference in enumerate(added):
        if day not in (2, 3):
            assert not difference.any()
        else:
            assert not difference[~on_track].any()
            assert difference[on_track].mean() == pytest.approx(np.log(2.0), abs=0.25)
            assert difference[on_track].std(axis=1) == pytest.approx(
                with_event.coming_events[0].log_sd[Link.SIGNUPS, on_track], rel=0.05
            )
    # One luck for the whole occurrence and track.
    assert added[2] == pytest.approx(added[3], abs=1e-5)


def test_a_calendar_without_days_here_changes_nothing(ad_world: Callable[..., Any]) -> None:
    world, first = world_of(ad_world, 1)
    model = fit(world.daily, world.as_of_date, [])
    same = fit(world.daily, world.as_of_date, [sale(first, -400), sale(first, DAYS + 200)])
    assert same.coming_events == ()
    for one, other in zip(model.levels, same.levels, strict=True):
        assert (one.log_rate == other.log_rate).all()
        assert (one.log_variance == other.log_variance).all()


def test_an_event_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="is before"):
        Event("sale", date(2026, 1, 2), date(2026, 1, 1))
