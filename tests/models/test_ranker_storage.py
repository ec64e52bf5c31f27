"""Rankers kept and restored: the same scores to the last bit, and never on creatives read otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest

from models.ranking.candidates import CANDIDATES, IMAGE, TEXT, TRAITS, WORDS
from models.ranking.conformal import EVERY, ConformalBound
from models.ranking.evidence import Arms
from models.ranking.kernels import Values
from models.ranking.placements import PLACEMENT_LEVELS_SCHEMA
from models.ranking.roster import ROSTER
from models.ranking.storage import (
    KeptState,
    RankerModel,
    Reading,
    kept_state,
    restored_model,
    widths_of,
)

_NEEDS_TORCH = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is an optional extra")
READING = Reading(
    text_embedder="bundled:texts",
    text_weights_sha256="a" * 64,
    image_embedder="bundled:images",
    image_weights_sha256="b" * 64,
    text_version="1-list",
    image_version="1-detectors",
    traits=("text_words", "image_contrast"),
)
NAMES = [
    pytest.param(name, marks=() if name in CANDIDATES else _NEEDS_TORCH, id=name) for name in sorted(ROSTER)
]


def blocks(seed: int, count: int = 240) -> dict[str, Values]:
    """Every kind of block, with creatives that have no text, no image or not all measures."""
    rng = np.random.default_rng(seed)
    text = rng.normal(size=(count, 6)).astype(np.float32).astype(np.float64)
    image = rng.normal(size=(count, 4)).astype(np.float32).astype(np.float64)
    traits = rng.normal(size=(count, 2))
    text[::7], image[::3], traits[::5, 1] = np.nan, np.nan, np.nan
    words = ["" if index % 7 == 0 else f"offer of day {index % 6} ends soon" for index in range(count)]
    return {TEXT: text, IMAGE: image, TRAITS: traits, WORDS: words}


def fitted(candidate: str, values: dict[str, Values], seed: int = 1) -> RankerModel:
    count = len(values[next(iter(values))])
    rng = np.random.default_rng(seed)
    arms = Arms(
        np.arange(count) // 4, np.full(count, 5_000.0), rng.binomial(5_000, 0.03, count).astype(float)
    )
    return RankerModel(
        rate="ctr",
        candidate=candidate,
        ranker=ROSTER[candidate](values, arms, rng),
        bound=ConformalBound(
            0.1, (3.5, 9.25), {(EVERY, -1): 0.3, ("feed", 2): 0.1, ("feed", 0): float("inf")}
        ),
        levels=pl.DataFrame(
            [("security", "meta", "feed", 0.1 + 0.2, 120.5, 9_000.0)],
            schema=PLACEMENT_LEVELS_SCHEMA,
            orient="row",
        ),
        screening_impressions=10_000,
        widths=widths_of(values),
        reading=READING,
        as_of_date=date(2026, 7, 1),
        learnt_through=date(2026, 6, 30),
        arms=count,
        creatives=count,
        code_version="0123456789abcdef",
    )


def through_json(state: KeptState) -> KeptState:
    return KeptState(json.loads(json.dumps(state.described, allow_nan=False)), state.arrays)


@pytest.mark.parametrize("candidate", NAMES)
@pytest.mark.parametrize(
    "without", [(), (TEXT,), (IMAGE, TRAITS, WORDS)], ids=["all", "no text", "text alone"]
)
def test_a_restored_ranker_scores_as_the_fitted_one_to_the_last_bit(candidate, without):
    values = {name: of_block for name, of_block in blocks(1).items() if name not in without}
    asked = {name: of_block for name, of_block in blocks(2, count=25).items() if name not in without}
    model = fitted(candidate, values)
    again = restored_model(through_json(kept_state(model)))
    ours, theirs = model.ranker.scores(asked), again.ranker.scores(asked)
    assert np.array_equal(ours.mean, theirs.mean)
    assert np.array_equal(ours.variance, theirs.variance, equal_nan=True)
    assert np.isfinite(ours.mean).all()
    # Without texts the ridge has nothing to learn from; elsewhere equal zeros would compare nothing.
    assert (ours.mean.std() > 0) == ((candidate, without) != ("ridge", (TEXT,)))


def test_everything_beside_the_ranker_comes_back_as_it_was():
    model = fitted("ridge", blocks(1))
    again = restored_model(through_json(kept_state(model)))
    assert again.levels.equals(model.levels)
    assert replace(again, ranker=model.ranker, levels=model.levels) == model


def test_a_restored_ranker_is_kept_as_the_same_state():
    state = kept_state(fitted("kernel", blocks(1)))
    again = kept_state(restored_model(through_json(state)))
    assert json.dumps(again.described) == json.dumps(state.described)
    assert {name: values.tobytes() for name, values in again.arrays.items()} == {
        name: values.tobytes() for name, values in state.arrays.items()
    }


def test_another_format_is_told_by_its_version():
    state = kept_state(fitted("ridge", blocks(1)))
    newer = KeptState(state.described | {"version": 3}, state.arrays)
    with pytest.raises(ValueError, match=r"format version 3, this code reads 2: rank again"):
        restored_model(newer)


def test_a_ranker_of_no_known_kind_is_not_kept():
    with pytest.raises(TypeError, match="has no format"):
        kept_state(replace(fitted("ridge", blocks(1)), ranker=object()))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"text_embedder": "path:/other"}, "vectors of bundled:texts, these are of path:/other"),
        ({"image_weights_sha256": "c" * 64}, "weights bbbbbbbbbbbb, those here are cccccccccccc"),
        ({"text_version": "2-list"}, "other measures"),
        ({"traits": ("image_contrast", "text_words")}, "other measures"),
    ],
)
def test_creatives_read_otherwise_are_not_scored(changed, said):
    model = fitted("ridge", blocks(1))
    assert model.misread(READING) == ()
    (reason,) = model.misread(replace(READING, **changed))
    assert said in reason
    assert "rank again" in reason


def test_what_a_ranker_never_learnt_from_may_be_read_as_it_likes():
    model = fitted("ridge", {TEXT: blocks(1)[TEXT]})
    assert model.misread(replace(READING, image_embedder="path:/other", text_version="2")) == ()
