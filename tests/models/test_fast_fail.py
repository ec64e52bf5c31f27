"""Fast-fail: ads nobody clicks stop early, ads that are merely unlucky do not."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from models.fast_fail import failing_ads, probability_ctr_below

LINE = 0.005


def failing(*rows: tuple[str, str, int, float], excluded=("audience_network",)) -> dict:
    days = pl.DataFrame(
        [
            {"platform": "meta", "account_id": "a", "ad_id": ad, "placement": place}
            | {"impressions": shown, "unique_link_clicks": float(clicks)}
            for ad, place, shown, clicks in rows
        ]
    )
    found = failing_ads(days, minimum_ctr=LINE, probability=0.95, excluded_placements=excluded)
    return {row["ad_id"]: row for row in found.iter_rows(named=True)}


def test_the_closed_form_is_the_integral_of_the_posterior():
    for clicks, shown in ((0, 0), (3, 1000), (12.5, 4000)):
        density = beta(2 + clicks, 198 + shown - clicks).pdf
        assert probability_ctr_below(LINE, [clicks], [shown])[0] == pytest.approx(quad(density, 0, LINE)[0])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_good_ad_is_rarely_stopped_and_a_poor_one_mostly(seed):
    # Ten looks, a thousand impressions apart; stopped at the first that fails.
    rng = np.random.default_rng(seed)
    shown = np.arange(1, 11) * 1000

    def stopped(rate: float) -> float:
        clicks = rng.binomial(1000, rate, size=(4000, 10)).cumsum(axis=1)
        return float((probability_ctr_below(LINE, clicks, shown) > 0.95).any(axis=1).mean())

    assert stopped(0.007) < 0.05
    assert stopped(0.003) > 0.75
    naive = (rng.binomial(1000, 0.007, size=4000) < 5).mean()
    assert naive > 0.15


def test_places_add_up_and_the_audience_network_is_no_evidence():
    found = failing(
        ("poor", "facebook", 5000, 8),
        ("poor", "facebook", 5000, 9),
        ("poor", "audience_network", 9000, 900),
        ("good", "facebook", 9000, 90),
        ("good", "audience_network", 90000, 1),
    )
    assert (found["poor"]["fails"], found["good"]["fails"]) == (True, False)
    assert (found["poor"]["impressions"], found["poor"]["unique_link_clicks"]) == (10000, 17)


def test_an_ad_that_one_place_clicks_on_does_not_fail():
    found = failing(("a", "facebook", 40000, 80), ("a", "instagram", 4000, 40))["a"]
    assert found["p_ctr_below"] > 0.95
    assert (found["fails"], found["clears_in"]) == (False, "instagram")
    lucky = failing(("a", "facebook", 40000, 80), ("a", "instagram", 30, 1))["a"]
    assert lucky["fails"]


def test_little_delivery_is_never_enough():
    assert not failing(("a", "facebook", 400, 0))["a"]["fails"]
    assert failing(("a", "audience_network", 40000, 0)) == {}


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="at least 0"):
        probability_ctr_below(LINE, [-1], [10])
    with pytest.raises(ValueError, match="minimum_ctr"):
        probability_ctr_below(0.0, [1], [10])
