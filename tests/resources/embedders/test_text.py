"""The bundled text embedder: vectors mean something, and depend on their text alone."""

from __future__ import annotations

import numpy as np
import pytest

from resources.embedders import TEXT_EMBEDDER, open_text_embedder
from resources.embedders.text import MiniLM

TEXTS = [
    "Keep your family's phones safe for $9 a month",
    "",
    "Protect every phone at home, nine dollars monthly",
    "Fresh sourdough, baked this morning",
    "Wir sichern alle Telefone Ihrer Familie 📱",
    "sale " * 60,
    "S",
]


@pytest.fixture(scope="module")
def embedder():
    return open_text_embedder()


def test_the_default_comes_from_installed_weights_and_says_which(embedder):
    assert embedder.specification == TEXT_EMBEDDER == "bundled:minilm-l6-v2-int8"
    assert embedder.dimensions == 384
    # Other weights are another embedder: whoever changes this throws all kept vectors away.
    assert embedder.weights_sha256 == "01fa954e0a7a9f908fdba592f96b5626e694044f88b9ec5874898349a7e70094"


def test_vectors_have_length_one_and_the_order_of_the_texts(embedder):
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    backwards = embedder.embed(TEXTS[::-1])[::-1]
    np.testing.assert_array_equal(vectors, backwards)


@pytest.mark.parametrize("room", [1, 64, 100_000])
def test_a_vector_depends_on_nothing_beside_its_text(embedder, room):
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    np.testing.assert_array_equal(MiniLM(tokens_per_batch=room).embed(TEXTS), alone)


def test_paraphrases_are_nearer_than_strangers(embedder):
    phones, _, paraphrase, bread, german, *_ = embedder.embed(TEXTS)
    assert phones @ paraphrase > 0.6
    assert phones @ paraphrase > phones @ german > phones @ bread
    assert phones @ bread < 0.2


def test_no_texts_give_no_rows_and_the_empty_text_a_vector(embedder):
    assert embedder.embed([]).shape == (0, 384)
    assert np.linalg.norm(embedder.embed([""])) == pytest.approx(1.0)


def test_a_long_text_is_read_up_to_the_most_tokens(embedder):
    words = ["harvest", "of", "apples"] * 3_334
    whole, start, short = embedder.embed([" ".join(words), " ".join(words[:254]), " ".join(words[:200])])
    np.testing.assert_array_equal(whole, start)  # 256 with the two marks around every text
    assert not np.array_equal(whole, short)


def test_half_an_emoji_is_no_reason_to_stop(embedder):
    (vector,) = embedder.embed(["cut here \ud83d"])
    assert np.isfinite(vector).all()


def test_what_is_no_text_is_named_by_its_position(embedder):
    with pytest.raises(TypeError, match="item 1: expected a text, found NoneType"):
        embedder.embed(["a", None])


def test_progress_ends_at_all_items(embedder):
    told = []
    MiniLM(tokens_per_batch=8).embed(TEXTS, lambda done, of: told.append((done, of)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (len(TEXTS), len(TEXTS))
    assert len(told) > 1
