"""Specifications, batches, pooling and unit length: the arithmetic every embedder shares."""

from __future__ import annotations

import hashlib
import subprocess

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.embeddings import (
    Specification,
    batches_by_length,
    combined_sha256,
    mean_of_tokens,
    packed,
    parse_specification,
    unit_length,
    unpacked,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bundled:minilm-l6-v2-int8", Specification("bundled", "minilm-l6-v2-int8")),
        (f"hf:openai/clip@{COMMIT}", Specification("hf", "openai/clip", COMMIT)),
        ("path:/models/my model@home", Specification("path", "/models/my model@home")),
    ],
)
def test_a_specification_is_read_and_written_back(text, expected):
    assert parse_specification(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize("text", ["", "minilm", "bundled:", "path: ", "https://host/x", "Bundled:x"])
def test_another_form_of_specification_is_refused_with_the_forms_there_are(text):
    with pytest.raises(ValueError, match=r"expected bundled:NAME, hf:.*path:FOLDER"):
        parse_specification(text)


@pytest.mark.parametrize(
    "name", ["openai/clip", "openai/clip@main", f"openai/clip@{COMMIT[:-1]}", f"@{COMMIT}"]
)
def test_a_hub_s_model_needs_a_commit_because_a_branch_moves(name):
    with pytest.raises(ValueError, match="40 hexadecimal digits"):
        parse_specification(f"hf:{name}")


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 1000))
def test_batches_hold_every_item_once_within_the_room(lengths, room):
    batches = batches_by_length(lengths, room)
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[position] for position in batch) <= room
    longest = [max(lengths[position] for position in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)


def test_a_batch_needs_room_and_items_a_length():
    for lengths, room in (([1], 0), ([0], 5)):
        with pytest.raises(ValueError, match="at least 1"):
            batches_by_length(lengths, room)


def test_the_mean_leaves_padding_out():
    states = np.array([[[1.0, 2.0], [3.0, 6.0], [900.0, 900.0]]], dtype=np.float32)
    assert mean_of_tokens(states, np.array([[1, 1, 0]])).tolist() == [[2.0, 4.0]]
    with pytest.raises(ValueError, match="without tokens"):
        mean_of_tokens(states, np.array([[0, 0, 0]]))


def test_vectors_get_length_one_and_keep_their_direction():
    vectors = np.array([[3.0, 4.0], [1e-30, 0.0], [0.0, 1e30]], dtype=np.float32)
    np.testing.assert_allclose(unit_length(vectors), [[0.6, 0.8], [1, 0], [0, 1]], rtol=1e-6)
    assert unit_length(np.empty((0, 7))).shape == (0, 7)


@pytest.mark.parametrize("wrong", [0.0, np.nan, np.inf])
def test_a_vector_that_points_nowhere_is_refused_with_its_position(wrong):
    with pytest.raises(ValueError, match="vector 1"):
        unit_length(np.array([[1.0, 0.0], [wrong, 0.0]]))


def test_the_hash_of_several_files_is_that_of_what_sha256sum_prints(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).write_text(name)
    hashes = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("b", "a")}
    printed = subprocess.run(["sha256sum", "a", "b"], cwd=tmp_path, capture_output=True, check=True).stdout
    assert combined_sha256(hashes) == hashlib.sha256(printed).hexdigest()
    assert combined_sha256({"a": hashes["a"]}) == hashes["a"]
    assert combined_sha256(hashes) != combined_sha256({"a": hashes["b"], "b": hashes["a"]})
    with pytest.raises(ValueError, match="no files"):
        combined_sha256({})


def test_packed_vectors_come_back_to_the_last_bit_and_no_other_length_among_them():
    vectors = np.array([[1.5, -2e-30], [np.float32(1) / 3, 7e20]], dtype=np.float32)
    kept = packed(vectors)
    assert (unpacked(kept, 2) == vectors).all()
    assert unpacked(kept[:0], 2).shape == (0, 2)
    mixed = pl.concat([kept, packed(np.ones((1, 3), dtype=np.float32))])
    with pytest.raises(ValueError, match="1 of 3 vectors have no 2 dimensions"):
        unpacked(mixed, 2)
