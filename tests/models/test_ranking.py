"""Rankers of creatives: what they recover of a simulated truth, what they must not learn from."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pytest
from crepes import ConformalRegressor
from hypothesis import given
from hypothesis import strategies as st

from models.ranking.calibration import (
    SMALL_SAMPLE,
    Calibration,
    chance_calibration_error,
    expected_calibration_error,
    pairwise_calibration,
)
from models.ranking.candidates import CANDIDATES, TEXT, TRAITS, WORDS, Fit, fit_kernel
from models.ranking.conformal import EVERY, conformal_bound
from models.ranking.evaluation import better_by, held_out_scores, precision_at, ranking, ranking_by_slice
from models.ranking.evidence import Arms, pairs_that_differ, pairs_within, within_groups
from models.ranking.promotion import Judged, Promotion, judge, promote, refusals
from models.ranking.splits import cluster_folds, earlier_and_later, near_duplicate_clusters

_WORDS = ("alpha", "beta", "gamma", "delta", "kappa", "sigma")


class World:
    """Groups of four arms; a direction of the vector, one trait and one word move the rate."""

    def __init__(self, seed: int, groups: int = 300, trials: float = 4_000.0) -> None:
        rng = np.random.default_rng(seed)
        count = 4 * groups
        vectors = rng.normal(size=(count, 8))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        traits = rng.normal(size=(count, 3))
        words = rng.integers(0, len(_WORDS), count)
        self.truth = 0.5 * vectors[:, 0] + 0.1 * traits[:, 0] + 0.2 * (words == 0)
        group = np.repeat(np.arange(groups), 4)
        level = np.repeat(rng.normal(-4.0, 0.5, groups), 4)
        rate = 1.0 / (1.0 + np.exp(-(level + self.truth)))
        shown = rng.poisson(trials, count) + 1.0
        self.arms = Arms(group, shown, rng.binomial(shown.astype(int), rate).astype(float))
        self.values = {
            TEXT: vectors,
            TRAITS: traits,
            WORDS: [f"{_WORDS[word]} offer today {index % 7}" for index, word in enumerate(words)],
        }
        self.week = np.repeat(np.arange(groups) // 10, 4)

    @cache  # noqa: B019 - three worlds live as long as the module
    def held_out(self, name: str = "kernel") -> np.ndarray:
        fold = cluster_folds(self.arms.group, 4, np.random.default_rng(1))
        scored = held_out_scores(CANDIDATES[name], self.values, self.arms, fold, np.random.default_rng(2))
        return scored.mean


@pytest.fixture(scope="module", params=[1, 2, 3])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


def test_scores_of_unseen_creatives_follow_the_truth(world: World) -> None:
    score = world.held_out()
    even = np.ones(len(score))
    true, scored = (within_groups(values, world.arms.group, even) for values in (world.truth, score))
    assert np.corrcoef(true, scored)[0, 1] > 0.8


def test_every_part_of_a_creative_counts_where_it_matters(world: World) -> None:
    whole = ranking(world.held_out(), world.arms).pairs
    for absent in (TEXT, TRAITS, WORDS):
        less = World.__new__(World)
        less.arms = world.arms
        less.values = {name: of_block for name, of_block in world.values.items() if name != absent}
        assert ranking(less.held_out(), world.arms).pairs < whole


def test_a_group_s_level_teaches_nothing(world: World) -> None:
    arms = world.arms
    busier = Arms(arms.group, arms.trials, arms.successes.copy())
    first = arms.group < 100
    halved = Arms(
        arms.group,
        np.where(first, 2.0 * arms.trials, arms.trials),
        np.where(first, arms.successes, arms.successes),
    )
    fits = [fit_kernel(world.values, these, np.random.default_rng(5)) for these in (busier, halved)]
    scores = [fit.scores(world.values).mean for fit in fits]
    assert np.corrcoef(*scores)[0, 1] > 0.999


def test_the_posterior_says_how_far_off_it_is(world: World) -> None:
    learnt = world.arms.group < 200
    known = {name: _chosen(of_block, learnt) for name, of_block in world.values.items()}
    asked = {name: _chosen(of_block, ~learnt) for name, of_block in world.values.items()}
    scored = fit_kernel(known, world.arms.subset(learnt), np.random.default_rng(1)).scores(asked)
    error = (scored.mean - scored.mean.mean()) - (world.truth[~learnt] - world.truth[~learnt].mean())
    inside = np.mean(np.abs(error) < 1.645 * np.sqrt(scored.variance))
    assert inside > 0.85


def test_without_rivals_there_is_nothing_to_learn() -> None:
    arms = Arms(np.arange(5), np.full(5, 100.0), np.ones(5))
    with pytest.raises(ValueError, match="nothing to learn"):
        fit_kernel({TEXT: np.eye(5)}, arms, np.random.default_rng(1))


def test_creatives_nothing_is_known_of_score_alike() -> None:
    arms = Arms(np.repeat(np.arange(5), 2), np.full(10, 100.0), np.arange(10.0))
    unknown = {TEXT: np.full((10, 4), np.nan), TRAITS: np.full((10, 2), np.nan), WORDS: [""] * 10}
    scored = fit_kernel(unknown, arms, np.random.default_rng(1)).scores(unknown)
    assert scored.mean.tolist() == [0.0] * 10
    assert (scored.variance > 0).all()


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and the trials"):
        Arms(np.zeros(2, int), np.array([10.0, 10.0]), np.array([11.0, 1.0]))


def test_rewordings_and_shared_images_stay_together() -> None:
    vectors = np.array([[1.0, 0.0], [0.95, np.sqrt(1 - 0.95**2)], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    image = np.array([-1, -1, 7, 7, -1])
    cluster = near_duplicate_clusters(vectors, [image])
    assert cluster[0] == cluster[1]
    assert cluster[2] == cluster[3]
    assert len(np.unique(cluster)) == 3


@given(
    st.lists(st.integers(0, 12), min_size=30, max_size=80).filter(lambda found: len(set(found)) >= 4),
    st.integers(0, 5),
)
def test_folds_never_part_a_cluster(cluster: list[int], seed: int) -> None:
    numbers = np.array(cluster)
    fold = cluster_folds(numbers, 4, np.random.default_rng(seed))
    assert all(len(set(fold[numbers == number])) == 1 for number in numbers)
    assert set(fold) == {0, 1, 2, 3}


def test_later_weeks_are_judged_without_what_they_repeat() -> None:
    period, cluster = np.arange(10), np.array([0, 1, 2, 3, 4, 5, 6, 7, 0, 9])
    earlier, later = earlier_and_later(period, cluster, later_share=0.2)
    assert later.tolist() == [False] * 8 + [True, True]
    assert not earlier[0]
    assert earlier[1:8].all()


def test_figures_are_what_they_say() -> None:
    arms = Arms(np.array([0, 0, 0, 1, 1]), np.full(5, 10_000.0), np.array([100.0, 200.0, 300.0, 50.0, 51.0]))
    right = ranking(np.array([1.0, 2.0, 3.0, 0.0, 1.0]), arms)
    assert (right.pairs, right.significant_pairs, right.area_under_curve, right.top_one) == (1, 1, 1, 1)
    assert right.gain == pytest.approx((0.5 + 51 / 50.5 - 1) / 2)
    wrong = ranking(np.array([3.0, 2.0, 1.0, 1.0, 0.0]), arms)
    assert (wrong.pairs, wrong.area_under_curve, wrong.top_one) == (0, 0, 0)
    undecided = ranking(np.zeros(5), arms)
    assert (undecided.pairs, undecided.area_under_curve) == (0.5, 0.5)
    assert undecided.top_one == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert precision_at(np.array([0.0, 0.0, 9.0, 0.0, 0.0]), arms, 1) == 1.0
    beside_one = Arms(np.append(arms.group, 2), np.append(arms.trials, 1.0), np.append(arms.successes, 1.0))
    assert ranking(np.array([3.0, 2.0, 1.0, 1.0, 0.0, 9.0]), beside_one) == wrong, "no choice is no success"


def test_a_better_ranker_is_told_from_luck(world: World) -> None:
    rng = np.random.default_rng(3)
    score = world.held_out()
    over_noise = better_by(score, rng.normal(size=len(score)), world.arms, world.arms.group, rng)
    assert over_noise["pairs"][1] > 0
    itself = better_by(score, score, world.arms, world.arms.group, rng)
    assert itself["pairs"] == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("count", [300, SMALL_SAMPLE * 4])
def test_probabilities_are_calibrated(count: int) -> None:
    rng = np.random.default_rng(4)
    difference, asked = rng.normal(size=count), rng.normal(size=4_000)
    chance = lambda at: 1.0 / (1.0 + np.exp(-0.7 * at))  # noqa: E731
    calibration = pairwise_calibration(difference, rng.random(count) < chance(difference))
    probability = calibration.probability(asked)
    assert expected_calibration_error(probability, rng.random(4_000) < chance(asked)) < 0.06
    assert np.all(np.diff(probability[np.argsort(asked)]) >= -1e-9)
    assert calibration.probability([0.0]) == pytest.approx(0.5, abs=0.05)


def test_a_small_sample_never_promises_certainty() -> None:
    calibration = Calibration(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([False, False, True, True]))
    low, high = calibration.probability([-3.0, 3.0])
    assert 0 < low < 0.5 < high < 1


def test_bounds_hold_in_every_stratum_of_traffic(world: World) -> None:
    rng = np.random.default_rng(6)
    traffic = rng.uniform(1.0, 100.0, 8_000)
    predicted = rng.normal(size=8_000)
    observed = predicted + rng.normal(size=8_000) * 3.0 / np.sqrt(traffic)
    place = rng.choice(["feed", "reels"], 8_000).tolist()
    half = 4_000
    bound = conformal_bound(predicted[:half], observed[:half], place[:half], traffic[:half], error=0.1)
    lower = predicted[half:] - bound.margin(place[half:], traffic[half:])
    stratum = bound.traffic(traffic[half:])
    for number in range(4):
        assert np.mean(observed[half:][stratum == number] >= lower[stratum == number]) == pytest.approx(
            0.9, abs=0.03
        )


def test_a_placement_with_few_arms_borrows_the_margin_of_all() -> None:
    rng = np.random.default_rng(7)
    place = ["feed"] * 990 + ["stories"] * 10
    bound = conformal_bound(np.zeros(1_000), rng.normal(size=1_000), place, np.ones(1_000), error=0.1)
    assert bound.margin(["stories"], np.ones(1))[0] == bound.margins[EVERY, 3]
    unknown = conformal_bound(np.zeros(9), np.zeros(9), ["feed"] * 9, np.ones(9), error=0.1)
    assert unknown.margin(["feed"], np.ones(1))[0] == np.inf


def test_a_placement_of_any_name_has_margins_of_its_own() -> None:
    rng = np.random.default_rng(0)
    errors = np.r_[np.zeros(400), rng.normal(size=400)]
    named = conformal_bound(errors, np.zeros(800), ["every"] * 400 + ["feed"] * 400, np.ones(800), error=0.1)
    other = conformal_bound(errors, np.zeros(800), ["x"] * 400 + ["feed"] * 400, np.ones(800), error=0.1)
    assert named.margin(["every"], np.ones(1))[0] == other.margin(["x"], np.ones(1))[0] == 0.0
    unknown = named.margin(["stories"], np.ones(1))[0]
    assert unknown == other.margin(["stories"], np.ones(1))[0] > 0.0


def test_margins_are_those_of_a_library(world: World) -> None:
    rng = np.random.default_rng(8)
    errors = rng.normal(size=400)
    bound = conformal_bound(errors, np.zeros(400), ["feed"] * 400, np.ones(400), error=0.1)
    library = ConformalRegressor().fit(residuals=np.abs(errors))
    two_sided = library.predict_int(y_hat=np.zeros(1), confidence=0.9)[0, 1]
    mirrored = conformal_bound(np.abs(errors), np.zeros(400), ["feed"] * 400, np.ones(400), error=0.1)
    assert mirrored.margins[EVERY, -1] == pytest.approx(two_sided)
    assert bound.margins[EVERY, -1] < two_sided


def test_the_best_on_later_weeks_is_promoted(world: World) -> None:
    promotion = _promoted(world, champion=None)
    judged = promotion.judged[promotion.champion]
    assert judged.figures.significant_pairs == max(
        one.figures.significant_pairs for one in promotion.judged.values()
    )
    assert promotion.refusals == ()


def test_a_champion_stays_unless_it_is_beaten_by_more_than_luck() -> None:
    world = World(11, groups=60)
    assert _promoted(world, champion="kernel").champion == "kernel"


def test_a_doubted_candidate_wins_only_by_more_than_luck_or_as_champion() -> None:
    world = World(11, groups=60)
    alike = {"doubted": CANDIDATES["ridge"], "plain": CANDIDATES["ridge"]}
    assert _promoted(world, None, alike).champion == "doubted"
    assert _promoted(world, None, alike, doubted=["doubted"]).champion == "plain"
    assert _promoted(world, "doubted", alike, doubted=["doubted"]).champion == "doubted"
    assert _promoted(world, None, doubted=["kernel"]).champion == "kernel"


def test_a_champion_stays_where_nothing_is_significant() -> None:
    world = World(11, groups=60, trials=20.0)
    found = _promoted(world, champion="ridge")
    assert np.isnan(found.judged["kernel"].figures.significant_pairs)
    assert found.champion == "ridge"
    assert "ranked right" in found.refusals[0]


@pytest.mark.filterwarnings("error")
def test_where_nothing_is_significant_no_ranker_is_shown_to_be_better() -> None:
    arms = Arms(np.repeat([0, 1], 2), np.full(4, 10.0), np.array([1.0, 2.0, 2.0, 1.0]))
    rng = np.random.default_rng(1)
    found = better_by(np.arange(4.0), -np.arange(4.0), arms, arms.group, rng)
    assert np.isnan(found["significant_pairs"]).all()
    assert found["pairs"][0] == 0.0


def test_ties_say_nothing_of_which_arm_is_better() -> None:
    rng = np.random.default_rng(12)
    score = rng.normal(size=8_000)
    seldom = Arms(np.arange(8_000) // 4, np.full(8_000, 50.0), (rng.random(8_000) < 0.05).astype(float))
    left, _, _ = pairs_that_differ(seldom)
    assert len(left) < 0.15 * len(pairs_within(seldom.group)[0])
    judged = judge(score, seldom, ["feed"] * 8_000, score, seldom, ["feed"] * 8_000)
    assert judged.calibration_error < 0.1, "of noise, every probability is a half"


def test_later_arms_without_rivals_promote_nobody() -> None:
    world = World(9, groups=60)
    alone = world.arms.subset(np.arange(0, 240, 4))
    score = np.random.default_rng(1).normal(size=240)
    judged = judge(score, world.arms, ["feed"] * 240, score[::4], alone, ["feed"] * 60)
    assert np.isnan(judged.calibration_error)
    assert len(refusals(judged)) == 2


def test_arms_without_a_single_success_promote_nobody() -> None:
    world = World(9, groups=60)
    world.arms = Arms(world.arms.group, world.arms.trials, np.zeros(240))
    assert _promoted(world, champion=None).refusals


def test_a_ranker_of_noise_is_no_better_than_a_coin() -> None:
    world = World(9)
    world.values = {TEXT: np.random.default_rng(99).normal(size=(1_200, 8))}
    noise = _promoted(world, None, {"ridge": CANDIDATES["ridge"]}).judged["ridge"]
    assert noise.figures.significant_pairs < 0.6


def test_a_ranker_that_misleads_is_refused_with_each_reason() -> None:
    figures = ranking(np.zeros(4), World(9, groups=1).arms)
    coin = Judged(figures, 0.5, 0.5, 0.2, 0.01, (0.7, 0.9), (1_000, 1_000))
    reasons = refusals(coin)
    assert len(reasons) == 3
    assert "70.0% of the 1000 arms in traffic stratum 1" in reasons[2]


def test_pairs_are_of_one_group_and_counted_once() -> None:
    left, right = pairs_within(np.array([3, 1, 3, 3, 2]))
    assert sorted(zip(left.tolist(), right.tolist(), strict=True)) == [(0, 2), (0, 3), (2, 3)]


_RIVALS = {name: CANDIDATES[name] for name in ("kernel", "ridge")}


def _promoted(
    world: World,
    champion: str | None,
    candidates: Mapping[str, Fit] = _RIVALS,
    doubted: Sequence[str] = (),
) -> Promotion:
    cluster = world.arms.group
    earlier, later = earlier_and_later(world.week, cluster, later_share=0.3)
    return promote(
        candidates,
        world.values,
        world.arms,
        ["feed"] * len(world.arms),
        cluster,
        earlier,
        later,
        champion=champion,
        folds=3,
        generator=np.random.default_rng(1),
        doubted=doubted,
    )


def _chosen(of_block: object, chosen: np.ndarray) -> object:
    if isinstance(of_block, np.ndarray):
        return of_block[chosen]
    return [value for value, wanted in zip(of_block, chosen, strict=True) if wanted]  # type: ignore[call-overload]


def test_few_pairs_are_not_called_uncalibrated_for_their_fewness() -> None:
    rng = np.random.default_rng(31)
    errors, chances = [], []
    for _ in range(200):
        probability = rng.beta(2, 2, 150)
        errors.append(expected_calibration_error(probability, rng.random(150) < probability))
        chances.append(chance_calibration_error(probability, independent=1.0))
    # Perfect probabilities look ten points off, all of it chance.
    assert np.mean(errors) == pytest.approx(np.mean(chances), rel=0.05)
    assert np.mean(errors) > 0.08
    assert chance_calibration_error(probability, independent=0.25) == pytest.approx(2.0 * chances[-1])


def test_a_ranker_is_told_by_slice_where_it_is_right() -> None:
    world = World(12, groups=200)
    feed = world.arms.numbered % 2 == 0
    score = np.where(feed, world.truth, -world.truth)
    told = ranking_by_slice(score, world.arms, np.where(feed, "feed", "reels").tolist())
    right = {row["slice"]: row for row in told.to_dicts()}
    assert right["feed"]["significant_pairs_right"] > 0.95
    assert right["reels"]["significant_pairs_right"] < 0.05
    assert sum(row["arms"] for row in right.values()) == len(world.arms)
    whole = ranking(score, world.arms)
    pairs = [row["pairs"] for row in right.values()]
    assert np.average([row["pairs_right"] for row in right.values()], weights=pairs) == pytest.approx(
        whole.pairs
    )
