"""How fast evidence is forgotten: the past says it, and a quiet past forgets nothing."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from models.bandits import choose_half_lives

AS_OF = date(2026, 6, 30)
ACCOUNTS = pl.DataFrame({"platform": ["meta"], "account_id": ["a1"], "maturity_days": [14]})
CANDIDATES = (7.0, None, 28.0, 14.0)


def days_of(seed: int, drift: float, *, levers: int = 12, track: str = "security") -> pl.DataFrame:
    """71 days whose rate walks at random by `drift` a day (log scale); 5 conversions a day at first."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(0, drift, (levers, 71)), axis=1)
    found = rng.poisson(5.0 * np.exp(walk - walk[:, :1]))
    return pl.concat(
        pl.DataFrame(
            {
                "date": [AS_OF - timedelta(days=71 - day) for day in range(71)],
                "platform": "meta",
                "account_id": "a1",
                "track": track,
                "lever_id": f"{track}{lever}",
                "cost": 1000.0,
                "conversions_click": found[lever].astype(float),
                "conversions_view": 0.0,
                "is_matured": True,
            }
        )
        for lever in range(levers)
    )


def chosen(days: pl.DataFrame, candidates=CANDIDATES, caps=None) -> dict[str, float | None]:
    result = choose_half_lives(
        days,
        ACCOUNTS,
        as_of_date=AS_OF,
        window_days=28,
        prior_conversions=2.0,
        caps=caps or {"security": 240.0},
        candidates=candidates,
    )
    return dict(result.select("track", "half_life_days").iter_rows())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_drifting_world_forgets_fast_and_a_stationary_one_not(seed):
    assert chosen(days_of(seed, 0.25))["security"] == 7
    assert chosen(days_of(seed, 0.0))["security"] is None


def test_each_track_has_its_own():
    days = pl.concat([days_of(1, 0.25), days_of(2, 0.0, track="balance")])
    assert chosen(days, caps={"security": 240.0, "balance": 200.0}) == {"security": 7, "balance": None}


def test_without_a_past_or_a_choice_nothing_changes():
    assert chosen(days_of(1, 0.25).head(0)) == {"security": None}
    assert chosen(days_of(1, 0.0), candidates=(14.0,)) == {"security": 14}


def test_row_order_does_not_change_the_score():
    days = days_of(3, 0.1)
    arguments = {
        "as_of_date": AS_OF, "window_days": 28, "prior_conversions": 2.0,
        "caps": {"security": 240.0}, "candidates": CANDIDATES,
    }  # fmt: skip
    first = choose_half_lives(days, ACCOUNTS, **arguments)
    assert first.equals(
        choose_half_lives(days.sample(fraction=1, shuffle=True, seed=1), ACCOUNTS, **arguments)
    )


@pytest.mark.parametrize("candidates", [(), (0.0,), (-7.0, None)])
def test_an_impossible_half_life_is_refused(candidates):
    with pytest.raises(ValueError, match="half-lives"):
        chosen(days_of(1, 0.0), candidates=candidates)
