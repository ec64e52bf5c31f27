"""P(at least one click): over what is unknown of a rate, and judged where clicks are rare."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm

from models.ranking.one_click import BESIDE, OneClick, beside_others, fit_one_click, held_out, judge_one_click
from models.ranking.placements import PLACE


def _ad(rate: float, rate_variance: float, lead: float, impressions: int) -> pl.DataFrame:
    return pl.DataFrame(
        [(rate, rate_variance, lead, impressions)], schema=[*BESIDE, "impressions"], orient="row"
    )


@pytest.mark.parametrize("impressions", [1, 40, 2_000, 100_000])
@pytest.mark.parametrize(("variance", "rate_variance"), [(0.4, 0.0), (1.2, 0.3)])
def test_the_probability_is_the_mean_over_what_the_rate_may_be(
    impressions: int, variance: float, rate_variance: float
) -> None:
    rate, lead = 0.002, 0.7
    spread = variance + rate_variance
    centre = logit(rate) + lead - spread / 2

    def none(z: float) -> float:
        return float((1 - expit(centre + np.sqrt(spread) * z)) ** impressions * norm.pdf(z))

    said = OneClick(variance).probability(_ad(rate, rate_variance, lead, impressions))
    assert said == pytest.approx(1 - quad(none, -9, 9, limit=200)[0], abs=1e-5)


def test_what_is_not_known_of_a_rate_makes_no_click_likelier() -> None:
    ad = _ad(0.002, 0.0, 0.0, 500)
    known = OneClick(0.0).probability(ad)
    assert known == pytest.approx(1 - 0.998**500)
    assert OneClick(0.8).probability(ad) < known - 0.05


_FEWEST = 1_000


class _Placements:
    """Ads of small and of large traffic on 6 placements; half of their log-odds is told by the score."""

    def __init__(self, seed: int, *, told: float, untold: float) -> None:
        rng = np.random.default_rng(seed)
        creatives, places = 400, 6
        self.score = rng.normal(0, told, creatives)
        odds = self.score + rng.normal(0, untold, creatives)
        level = rng.normal(-6.0, 0.5, places)
        rows = []
        for creative in range(creatives):
            place = creative % places
            shown = int(rng.integers(20_000, 60_000) if creative < 200 else rng.integers(20, 900))
            rate = expit(level[place] + odds[creative])
            rows.append((creative, "t", "meta", f"p{place}", shown, int(rng.binomial(shown, rate))))
        columns = ["creative", *PLACE, "impressions", "clicks"]
        self.deliveries = pl.DataFrame(rows, schema=columns, orient="row")
        self.fold = np.arange(creatives) % 3

    def arms(self, score: np.ndarray | None = None, kept: float = 1.0) -> pl.DataFrame:
        told = self.score if score is None else score
        # A ranker's scores have a level of their own.
        scores = {number: told + 5.0 * number for number in range(3)}
        teachers = self.deliveries.filter(pl.col("impressions") >= _FEWEST)
        return held_out(self.deliveries, teachers, scores, self.fold, kept=kept)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_on_sparse_arms_it_beats_the_base_rate_and_the_placement_s_rate(seed: int) -> None:
    arms = _Placements(seed, told=0.8, untold=0.5).arms()
    figures = judge_one_click(arms, fewest_impressions=_FEWEST)
    assert 150 < figures.arms <= 200
    assert figures.brier < figures.brier_of_placement < figures.brier_of_base_rate
    assert figures.calibration_error < figures.chance_error + 0.05


def test_a_score_of_noise_is_no_better_than_the_placement_s_rate() -> None:
    account = _Placements(4, told=0.8, untold=0.5)
    noise = np.random.default_rng(9).normal(0, 0.8, len(account.score))
    figures = judge_one_click(account.arms(noise), fewest_impressions=_FEWEST)
    assert figures.brier > figures.brier_of_placement


@pytest.mark.parametrize("untold", [0.0, 0.5, 0.9])
def test_the_spread_is_what_scores_do_not_tell(untold: float) -> None:
    accounts = [_Placements(seed, told=0.6, untold=untold).arms() for seed in range(5)]
    found = [fit_one_click(arms.filter(pl.col("impressions") >= _FEWEST)) for arms in accounts]
    assert np.mean([head.variance for head in found]) == pytest.approx(untold**2, rel=0.2, abs=0.02)


def test_an_ad_is_held_against_its_placement_s_other_creatives_alone() -> None:
    rows = [
        (0, "t", "meta", "feed", 10_000, 100),
        (1, "t", "meta", "feed", 4_000, 20),
        (2, "t", "meta", "feed", 6_000, 120),
        (4, "t", "meta", "stories", 5_000, 10),
        (4, "t", "meta", "stories", 7_000, 10),
    ]
    teachers = pl.DataFrame(rows, schema=["creative", *PLACE, "impressions", "clicks"], orient="row")
    asked = pl.DataFrame(
        [(3, "t", "meta", "feed"), (0, "t", "meta", "feed"), (4, "t", "meta", "stories"), (0, "t", "x", "y")],
        schema=["creative", *PLACE],
        orient="row",
    )
    score = np.array([0.5, 1.0, 2.0, 7.0, 9.0])
    found = beside_others(asked, teachers, score, kept=0.5).rows(named=True)
    # Of the others' 10,000 impressions 4,000 are promised e^0.5 and 6,000 e^1.
    others = np.log((4_000 * np.exp(0.5) + 6_000 * np.exp(1.0)) / 10_000)
    assert found[1]["rate"] == pytest.approx(140.5 / 10_001)
    assert found[1]["rate_variance"] == pytest.approx(1 / 140.5 + 1 / 9_860.5)
    assert found[1]["lead"] == pytest.approx(0.25 - others)
    assert found[0]["rate"] == pytest.approx(240.5 / 20_001)
    assert [row["lead"] for row in found[2:]] == [None, None]


def test_without_sparse_arms_nothing_is_judged() -> None:
    arms = _Placements(1, told=0.5, untold=0.5).arms()
    figures = judge_one_click(arms.filter(pl.col("impressions") > 20_000), fewest_impressions=_FEWEST)
    assert figures.arms == 0
    assert np.isnan(figures.brier)
