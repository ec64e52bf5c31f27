"""Drift: of creatives asked about, and of what scores given before said."""

from __future__ import annotations

import numpy as np
import pytest

from models.ranking.drift import bounds_since, novelty, ranking_since, trait_shifts
from models.ranking.evidence import Arms


def test_creatives_of_the_same_kind_are_not_novel_and_others_are() -> None:
    rng = np.random.default_rng(1)
    learnt = rng.normal(size=(200, 8)) + np.r_[6.0, np.zeros(7)]
    like = novelty("text", learnt, rng.normal(size=(60, 8)) + np.r_[6.0, np.zeros(7)])
    assert not like.is_drift
    assert like.low < 0.1
    other = novelty("text", learnt, rng.normal(size=(60, 8)) + np.r_[0.0, 6.0, np.zeros(6)])
    assert other.is_drift
    assert other.value > 0.9
    assert (other.learnt, other.since) == (200, 60)


def test_of_a_few_new_creatives_nothing_is_said() -> None:
    found = novelty("text", np.eye(50), np.eye(50)[:3])
    assert np.isnan(found.value)
    assert not found.is_drift
    assert found.not_told == "3 new creatives; 10 are needed."
    few = trait_shifts(["one"], np.zeros((9, 1)), np.zeros((12, 1)), np.random.default_rng(1))
    assert few[0].not_told == "9 creatives learnt from; 40 are needed."


def test_the_trait_that_shifted_is_named_and_the_others_are_not() -> None:
    rng = np.random.default_rng(2)
    learnt, since = rng.normal(size=(300, 6)), rng.normal(size=(80, 6))
    since[:, 4] += 1.5
    found = trait_shifts([f"trait_{place}" for place in range(6)], learnt, since, rng)
    assert [drift.name for drift in found if drift.is_drift] == ["trait_4"]


def test_a_trait_no_longer_measured_has_shifted_and_a_flag_has_two_bins() -> None:
    rng = np.random.default_rng(3)
    learnt = np.column_stack([rng.normal(size=200), rng.random(200) < 0.05]).astype(float)
    since = np.column_stack([np.full(60, np.nan), rng.random(60) < 0.6]).astype(float)
    assert [drift.is_drift for drift in trait_shifts(["gone", "flag"], learnt, since, rng)] == [True, True]


def test_many_unshifted_traits_raise_few_false_alarms() -> None:
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(15):
        found = trait_shifts(
            [str(place) for place in range(20)], rng.normal(size=(60, 20)), rng.normal(size=(12, 20)), rng
        )
        alarms += any(drift.is_drift for drift in found)
    assert alarms <= 3


class Since:
    """Ads that started after they were scored: five to a group, on two placements."""

    def __init__(self, seed: int, skill: float) -> None:
        rng = np.random.default_rng(seed)
        creatives = 60
        truth = rng.normal(scale=0.4, size=creatives)
        score = skill * truth + rng.normal(scale=0.4, size=creatives)
        self.creative = np.tile(np.arange(creatives), 2)
        self.score = score[self.creative]
        trials = np.full(2 * creatives, 20_000.0)
        rate = 1 / (1 + np.exp(4.0 - truth[self.creative]))
        group = self.creative // 5 + 100 * np.repeat([0, 1], creatives)
        self.arms = Arms(group, trials, rng.binomial(20_000, rate).astype(float))
        self.generator = rng

    def judged(self, expected: float):
        return ranking_since(
            "ctr", self.score, self.arms, self.creative, expected=expected, generator=self.generator
        )


def test_a_ranker_as_good_as_it_was_judged_does_not_alarm() -> None:
    found = Since(5, skill=1.5).judged(0.7)
    assert found.value > 0.7
    assert not found.is_drift
    assert found.low < found.value < found.high


def test_a_ranker_that_lost_its_skill_is_told() -> None:
    found = Since(6, skill=-1.5).judged(0.7)
    assert found.high < 0.5
    assert found.is_drift


def test_few_significant_pairs_say_nothing() -> None:
    since = Since(7, skill=1.0)
    arms = Arms(np.arange(120), since.arms.trials, since.arms.successes)
    found = ranking_since("ctr", since.score, arms, since.creative, expected=0.7, generator=since.generator)
    assert found.not_told == "0 significant pairs of ads that started since; 10 are needed."


@pytest.mark.parametrize(("share", "is_drift"), [(0.9, False), (0.3, True)])
def test_bounds_that_fail_too_often_are_told(share, is_drift) -> None:
    rng = np.random.default_rng(8)
    creative = np.repeat(np.arange(50), 3)
    rate = np.where(rng.random(150) < share, 0.02, 0.005)
    found = bounds_since("ctr", np.full(150, 0.01), rate, creative, rng)
    assert found.is_drift is is_drift
    assert (found.since, found.cases) == (50, 150)
    assert bounds_since("ctr", np.ones(4), np.ones(4), np.arange(4), rng).not_told is not None
