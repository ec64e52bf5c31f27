"""The torch candidate: what it recovers of a simulated truth, and what it must not remember."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from models.ranking.candidates import CANDIDATES, IMAGE, TEXT, TRAITS, WORDS
from models.ranking.evidence import Arms
from models.ranking.kernels import chosen_rows
from models.ranking.roster import ROSTER, chosen_candidates
from models.ranking.two_towers import Learning, Projection, TorchMissing, TowersRanker, fit_tower, fit_towers

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is an optional extra")
_CREATIVES, _KNOWN, _PER_GROUP = 400, 300, 5


class Account:
    """Creatives that compete several times each; vectors and a trait say half of what they bring, luck half.

    The first _KNOWN of them ran, the others are new.
    """

    def __init__(self, seed: int, groups: int = 300) -> None:
        rng = np.random.default_rng(seed)
        text, image = (rng.normal(size=(_CREATIVES, columns)) for columns in (16, 10))
        text, image = (block / np.linalg.norm(block, axis=1, keepdims=True) for block in (text, image))
        traits = rng.normal(size=(_CREATIVES, 3))
        self.told = 0.8 * text[:, 0] + 0.5 * image[:, 0] + 0.1 * traits[:, 0]
        own = rng.normal(scale=0.25, size=_CREATIVES)
        words = [f"ad {number}" for number in range(_CREATIVES)]
        self.values = {TEXT: text, IMAGE: image, TRAITS: traits, WORDS: words}
        self.creative = np.concatenate(
            [rng.choice(_KNOWN, size=_PER_GROUP, replace=False) for _ in range(groups)]
        )
        group = np.repeat(np.arange(groups), _PER_GROUP)
        level = rng.normal(-4.0, 0.5, groups)[group]
        rate = 1.0 / (1.0 + np.exp(-(level + (self.told + own)[self.creative])))
        trials = np.round(np.exp(rng.normal(8.0, 1.0, len(group)))) + 50.0
        self.arms = Arms(group, trials, rng.binomial(trials.astype(int), rate).astype(float))

    def fitted(
        self,
        learning: Learning | None = None,
        seed: int = 1,
        arms: Arms | None = None,
        creative: np.ndarray | None = None,
    ) -> TowersRanker:
        shown = self.creative if creative is None else creative
        of_arms = {name: chosen_rows(block, shown) for name, block in self.values.items()}
        return fit_tower(of_arms, arms or self.arms, np.random.default_rng(seed), learning or Learning())

    def agreement(self, ranker: TowersRanker, **instead: np.ndarray) -> float:
        """Correlation of scores of the new creatives with what can be told of them."""
        scored = ranker.scores(self.values | instead).mean[_KNOWN:]
        return float(np.corrcoef(scored, self.told[_KNOWN:])[0, 1])


@pytest.fixture(scope="module", params=[1, 2, 3])
def account(request: pytest.FixtureRequest) -> Account:
    return Account(request.param)


@pytest.fixture(scope="module")
def tower(account: Account) -> TowersRanker:
    return account.fitted()


@needs_torch
def test_creatives_that_never_ran_are_ranked_by_what_they_are(account: Account, tower: TowersRanker) -> None:
    assert account.agreement(tower) > 0.75


@needs_torch
def test_a_creative_that_lacks_a_block_is_scored_by_the_others(account: Account, tower: TowersRanker) -> None:
    without = np.full_like(account.values[IMAGE], np.nan)
    scored = tower.scores(account.values | {IMAGE: without}).mean
    assert np.isfinite(scored).all()
    assert 0.5 < account.agreement(tower, **{IMAGE: without}) < account.agreement(tower)
    nothing = {name: np.full_like(account.values[name], np.nan) for name in (TEXT, IMAGE, TRAITS)}
    assert np.ptp(tower.scores(account.values | nothing).mean) == 0.0


@needs_torch
def test_a_hidden_identity_cannot_explain_what_content_does(account: Account) -> None:
    # Learning long and fast, and identities free: they take over what content tells unless they are hidden.
    fast = Learning(networks=2, steps=360, learning_rate=1e-2, decay=1.0, identity_decay=0.0)
    hidden, always_on, never = (
        account.agreement(account.fitted(replace(fast, identity_dropout=share))) for share in (0.5, 0.0, 1.0)
    )
    assert hidden > always_on + 0.01
    # And without them what luck each creative had is learnt as content.
    assert hidden > never + 0.01


@needs_torch
def test_a_group_s_level_teaches_nothing(account: Account, tower: TowersRanker) -> None:
    arms = account.arms
    # Half the rate at twice the traffic: successes, and so what each arm counts, stay.
    halved = Arms(arms.group, np.where(arms.group < 150, 2.0, 1.0) * arms.trials, arms.successes)
    fitted = (tower, account.fitted(arms=halved))
    scores = [ranker.scores(account.values).mean for ranker in fitted]
    assert np.corrcoef(*scores)[0, 1] > 0.999


@needs_torch
def test_scores_are_log_odds_and_arms_with_little_traffic_count_little(
    account: Account, tower: TowersRanker
) -> None:
    arms, rng = account.arms, np.random.default_rng(5)
    # As many arms again that hardly ran, in the same groups; what little they show is luck.
    few = np.full(len(arms), 60.0)
    with_luck = Arms(
        np.concatenate([arms.group, arms.group]),
        np.concatenate([arms.trials, few]),
        np.concatenate([arms.successes, rng.binomial(60, 0.02, len(few)).astype(float)]),
    )
    confused = account.fitted(arms=with_luck, creative=np.concatenate([account.creative, account.creative]))
    assert account.agreement(confused) > account.agreement(tower) - 0.05
    scored = tower.scores(account.values).mean[_KNOWN:]
    slope = np.cov(scored, account.told[_KNOWN:])[0, 1] / scored.var(ddof=1)
    assert 0.7 < slope < 2.0


@needs_torch
def test_the_same_generator_fits_the_same_tower_and_leaves_torch_as_it_was() -> None:
    import torch

    account = Account(4, groups=60)
    torch.manual_seed(7)
    before = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_rng_state().tolist(),
    )
    first = account.fitted(seed=3)
    torch.rand(5)
    with torch.no_grad():
        again, other = account.fitted(seed=3), account.fitted(seed=4)
    one, same, different = (ranker.scores(account.values).mean for ranker in (first, again, other))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, different)
    torch.manual_seed(7)
    after = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_rng_state().tolist(),
    )
    assert after == before


@needs_torch
def test_it_does_not_know_how_unsure_it_is_and_needs_rivals() -> None:
    account = Account(5, groups=60)
    assert np.isnan(account.fitted().scores(account.values).variance).all()
    lone = Arms(np.arange(5), np.full(5, 100.0), np.ones(5))
    with pytest.raises(ValueError, match="nothing to learn"):
        fit_towers({TEXT: np.eye(5)}, lone, np.random.default_rng(1))


@needs_torch
def test_words_alone_teach_it_nothing() -> None:
    account = Account(6, groups=20)
    words = {WORDS: chosen_rows(account.values[WORDS], account.creative)}
    ranker = fit_towers(words, account.arms, np.random.default_rng(1))
    assert np.ptp(ranker.scores(words).mean) == 0.0


def test_without_torch_the_setting_is_refused_with_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    remedy = r"towers needs torch.*pip install -e '\.\[checkpoints\]'.*creatives\.candidates"
    with pytest.raises(TorchMissing, match=remedy):
        chosen_candidates(["kernel", "towers"])
    arms = Arms(np.zeros(4, int), np.full(4, 100.0), np.arange(4.0))
    with pytest.raises(TorchMissing, match=remedy):
        fit_towers({TEXT: np.eye(4)}, arms, np.random.default_rng(1))
    assert list(chosen_candidates(["trees", "kernel"])) == ["kernel", "trees"]


def test_a_candidate_nobody_knows_is_refused_and_the_default_ones_need_no_torch() -> None:
    with pytest.raises(ValueError, match=r"forest; there are kernel, ridge, trees, towers"):
        chosen_candidates(["forest"])
    assert chosen_candidates(tuple(CANDIDATES)) == dict(CANDIDATES)
    assert set(ROSTER) - set(CANDIDATES) == {"towers"}


def test_a_fitted_tower_scores_without_torch(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    # One network of one hidden number: what it says can be worked out by hand.
    weights = np.array([[[1.0, 0.5], [-2.0, 0.0]]])
    text = Projection(TEXT, np.array([1.0, 0.0]), np.array([2.0, 1.0]), weights)
    ranker = TowersRanker((text,), np.array([[0.25]]), np.array([[4.0]]))
    asked = np.array([[3.0, 0.0], [3.0, 1.0], [np.nan, np.nan]])
    # Standardised (1, 0), (1, 1) and nothing; hidden 1.25, 0 (cut off) and 0.25; half the first comes along.
    assert ranker.scores({TEXT: asked}).mean.tolist() == [5.5, 0.5, 1.0]


def test_a_measure_that_never_differed_says_nothing_of_a_creative_far_from_it() -> None:
    pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(40), 3)
    shown = np.full(120, 2_000.0)
    arms = Arms(group, shown, rng.binomial(2_000, 0.02, 120).astype(float))
    traits = np.column_stack([rng.normal(size=(120, 2)), np.full(120, 1080.0), np.full(120, np.nan)])
    fitted = fit_towers({TRAITS: traits}, arms, rng)
    far = traits[:1].copy()
    far[:, 2:] = 1920.0
    assert fitted.scores({TRAITS: far}).mean == fitted.scores({TRAITS: traits[:1]}).mean
