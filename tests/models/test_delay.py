"""Late conversions: the share that has come by an age is learnt, and young days count with that share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.forecasting import build_panel, completion_so_far, fit_rates
from models.forecasting.delay import fit_delay
from models.forecasting.draws import PathSampler, dispersed, noise_stream
from models.forecasting.outcomes import day_outcome
from models.forecasting.rates import Link
from models.quantiles import LEVELS, quantile_rows

MATURITY = 14
META = ("meta", "a1")
ARRIVALS = np.array([0.30, 0.2, 0.12, 0.09, 0.07, 0.06, 0.04, 0.03, 0.03, 0.02, 0.01, 0.01, 0.01, 0.01])
_KNOWN = ("conversions_known", "conversions_known_before")
TRUTH = ARRIVALS.cumsum()  # by the end of the day itself (age 1), the next, ...


@dataclass(frozen=True)
class Late:
    """A world whose conversions are known only so far, and what is known of their delays."""

    world: Any
    known: pl.DataFrame
    delay: pl.DataFrame
    ages: pl.DataFrame
    conversions: np.ndarray


def late(ad_world: Callable[..., Any], seed: int, *, fall: float = 1.0, changed_days: int = 0) -> Late:
    """Conversions of the last `changed_days` days, and of the week to come, are `fall` times as many."""
    world = ad_world(seed, levers=12, days=75 + 7, drift=0.0, shock=0.05, conversion_rate=0.05)
    rng = np.random.default_rng(seed)
    frame = world.daily.sort("track", "lever_id", "date")
    days = 75
    true = frame["conversions"].to_numpy().reshape(12, days + 7).copy()
    true[:, days - changed_days :] = rng.binomial(true[:, days - changed_days :].astype(int), fall)
    by_delay = np.stack([rng.multinomial(int(n), ARRIVALS) for n in true.ravel()]).reshape(12, days + 7, -1)
    arrived = by_delay.cumsum(axis=2)  # [..., k] is known at age k + 1
    as_of = world.daily["date"].min() + timedelta(days=days)
    age = days - np.arange(days)
    known = np.stack([arrived[:, day, min(age[day], MATURITY) - 1] for day in range(days)], axis=1).astype(
        float
    )
    now = [
        (k + 1, arrived[:, : days - k, k].sum(), arrived[:, : days - k, k - 1].sum())
        for k in range(1, MATURITY)
    ]
    delay = pl.DataFrame(
        {
            "platform": "meta",
            "account_id": "a1",
            "age": [1, *(step[0] for step in now)],
            "conversions_known": [None, *(float(step[1]) for step in now)],
            "conversions_known_before": [None, *(float(step[2]) for step in now)],
        }
    )
    dates = [world.daily["date"].min() + timedelta(days=day) for day in range(days)]
    in_hand = frame.filter(pl.col("date") < as_of).with_columns(conversions=pl.Series(known.ravel()))
    ages = pl.DataFrame({"date": dates, "platform": "meta", "account_id": "a1", "age": age})
    return Late(world, in_hand, delay, ages, true)


def completion(world: Late, panel: Any, **changes: Any) -> Any:
    return completion_so_far(panel, MATURITY, **{"delay": world.delay, "ages": world.ages} | changes)


def panel_of(world: Late) -> Any:
    return build_panel(world.known, max(world.known["date"]) + timedelta(days=1))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_share_that_has_come_is_recovered_from_how_earlier_days_arrived(
    ad_world: Callable[..., Any], seed: int
) -> None:
    curve = fit_delay(late(ad_world, seed).delay, {META: MATURITY})[META]
    error = np.log(curve.share[1:MATURITY] / TRUTH[: MATURITY - 1])
    assert np.abs(error).max() < 0.05
    assert (np.abs(error) < 3.0 * curve.log_sd[1:MATURITY]).all()
    assert (np.diff(curve.log_sd[1:]) <= 0).all()
    assert curve.share[MATURITY] == 1.0
    assert curve.log_sd[MATURITY] == 0.0


def _week_quantiles(model: Any, panel: Any, clicks: np.ndarray) -> np.ndarray:
    """p10, p50, p90 of a week's conversions per series, the clicks being known."""
    rows = np.arange(panel.series.height)
    paths = PathSampler(model, rows, 0, (Link.CLICKS, Link.SIGNUPS), 2000, 5)
    counting = noise_stream(5, 0, 1)
    total = np.zeros((rows.size, 2000), dtype=np.float32)
    for day in range(7):
        deviations = paths.next_day()
        weekday = (model.next_day + timedelta(days=day)).weekday()
        spend = np.repeat(model.usual.astype(np.float32)[:, None], 2000, axis=1)
        outcome = day_outcome(model, rows, weekday, spend, deviations, counting)
        rate = outcome.signup_mean / np.maximum(outcome.clicks, 1e-6)
        total += dispersed(
            rate * clicks[:, [day]].astype(np.float32), model.levels[Link.SIGNUPS].dispersion, counting
        )
    return np.asarray(quantile_rows(total))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_young_days_show_a_change_of_level_that_matured_days_cannot(
    ad_world: Callable[..., Any], seed: int
) -> None:
    world = late(ad_world, seed, fall=0.5, changed_days=10)
    panel = panel_of(world)
    frame = world.world.daily.sort("track", "lever_id", "date")
    clicks = frame["clicks"].to_numpy().reshape(12, -1)[:, panel.days :]
    actual = world.conversions[:, panel.days :].sum(axis=1)
    losses = []
    for known in (completion(world, panel), None):
        model = fit_rates(panel, maturity_days=MATURITY, elasticity=0.8, completion=known)
        found = _week_quantiles(model, panel, clicks)
        losses.append(
            np.mean(
                [
                    np.maximum(level * (actual - q), (level - 1.0) * (actual - q))
                    for level, q in zip(LEVELS, found.T, strict=True)
                ]
            )
        )
    assert losses[0] < 0.5 * losses[1]


def test_without_a_curve_only_matured_days_count_exactly_as_before(ad_world: Callable[..., Any]) -> None:
    world = late(ad_world, 1)
    panel = panel_of(world)
    matured = completion_so_far(panel, MATURITY)
    assert (matured.share == (panel.days - np.arange(panel.days) >= MATURITY)).all()
    unknown = pl.lit(None, pl.Float64)
    one_pull = world.delay.with_columns(conversions_known=unknown, conversions_known_before=unknown)
    for nothing in (
        completion(world, panel, delay=world.delay.clear()),
        completion(world, panel, delay=one_pull),
        completion(world, panel, ages=world.ages.clear()),
        # An age nobody followed: what comes after it is not guessed.
        completion(world, panel, delay=world.delay.filter(pl.col("age") != MATURITY)),
        # One conversion is too few to tell a delay from.
        completion(world, panel, delay=world.delay.with_columns(pl.lit(1.0).alias(name) for name in _KNOWN)),
        # Pulled later than the morning: not what was known then.
        completion(world, panel, ages=world.ages.with_columns(age=pl.lit(40))),
    ):
        assert (nothing.share == matured.share).all()
        assert not nothing.log_sd.any()


def test_a_day_pulled_long_ago_is_as_young_as_its_last_pull(ad_world: Callable[..., Any]) -> None:
    world = late(ad_world, 1)
    panel = panel_of(world)
    stale = completion(world, panel, ages=world.ages.with_columns(age=pl.min_horizontal("age", pl.lit(3))))
    curve = fit_delay(world.delay, {META: MATURITY})[META]
    assert stale.share[0, :-3] == pytest.approx(curve.share[3])
    assert stale.share[0, -1] == pytest.approx(curve.share[1])


def test_an_account_borrows_from_its_platform_and_says_how_little_it_knows(
    ad_world: Callable[..., Any],
) -> None:
    delay = late(ad_world, 1).delay
    new = ("meta", "new")
    curves = fit_delay(delay, {META: MATURITY, new: MATURITY, ("tiktok", "t"): MATURITY})
    assert set(curves) == {META, new}
    assert curves[new].share[1:] == pytest.approx(curves[META].share[1:], rel=0.05)
    assert (curves[new].log_sd[1:MATURITY] > 2.0 * curves[META].log_sd[1:MATURITY]).all()


def test_what_a_platform_takes_back_lets_a_young_day_know_more_than_an_old_one() -> None:
    delay = pl.DataFrame(
        {
            **{"platform": "meta", "account_id": "a1", "age": [1, 2, 3]},
            "conversions_known": [None, 1000.0, 900.0],
            "conversions_known_before": [None, 800.0, 1000.0],
        }
    )
    curve = fit_delay(delay, {META: 3})[META]
    assert curve.share[1:] == pytest.approx([800 / 900, 1000 / 900, 1.0], rel=0.01)


def test_an_unsure_curve_widens_the_level_and_what_levers_share(ad_world: Callable[..., Any]) -> None:
    world = late(ad_world, 2)
    panel = panel_of(world)
    sure, unsure = (
        fit_rates(
            panel,
            maturity_days=MATURITY,
            elasticity=0.8,
            completion=completion(
                world,
                panel,
                delay=world.delay.with_columns(
                    pl.col("conversions_known", "conversions_known_before") * weight
                ),
            ),
        ).levels[Link.SIGNUPS]
        for weight in (100.0, 0.01)
    )
    assert (unsure.log_variance > sure.log_variance).all()
    assert (unsure.shared > sure.shared).all()
    common = [(level.log_variance * level.shared).sum() for level in (sure, unsure)]
    assert common[1] > 1.3 * common[0]


def test_negative_counts_are_refused() -> None:
    rows = {"platform": "meta", "account_id": "a1", "age": [1]}
    delay = pl.DataFrame({**rows, "conversions_known": [-1.0], "conversions_known_before": [1.0]})
    with pytest.raises(ValueError, match="must not be negative"):
        fit_delay(delay, {META: 3})
