"""Vectors of creatives: made once, by real networks on a real warehouse, and never mixed."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
import pytest

from aelp_assets.creative_embeddings import creative_embeddings
from aelp_assets.file_report import print_quarantine, terminal
from models.creatives.contents import joined_text, text_contents
from models.embeddings import unit_length
from resources import embedders
from resources.creative_vectors import VectorSpace, read_vectors, space_of, vector_rows
from resources.warehouse.interface import Append
from resources.warehouse.tables import CREATIVE_EMBEDDINGS
from tests.aelp_assets.creative_examples import MOMENT, Studio, photograph, worse_reader

TABLE = "gaelp_training.creative_embeddings"


@pytest.fixture
def studio(tmp_environment) -> Studio:
    return Studio(tmp_environment)


class Hashing:
    """A quick embedder of texts; `weights` may be others under the same specification."""

    dimensions = 4

    def __init__(self, specification: str, weights: str) -> None:
        self.specification, self.weights_sha256 = specification, weights

    def embed(self, items, progress=None):
        digests = [hashlib.sha256(f"{self.weights_sha256}{text}".encode()).digest()[:4] for text in items]
        return unit_length(np.array([list(digest) for digest in digests], dtype=np.float32) + 1)


@pytest.fixture
def quick(monkeypatch):
    """Another embedder of texts; the weights it has can be changed."""
    weights = {"path:/quick": "a" * 64}
    honest = embedders.weights_sha256
    monkeypatch.setattr(embedders, "weights_sha256", lambda name: weights.get(name) or honest(name))
    monkeypatch.setattr(
        embedders, "open_text_embedder", lambda name, threads=1: Hashing(name, weights["path:/quick"])
    )
    return weights


def opened(monkeypatch) -> list[str]:
    """The embedders that are opened from now on."""
    names: list[str] = []
    for opener in ("open_text_embedder", "open_image_embedder"):
        honest = getattr(embedders, opener)

        def noting(specification, threads=1, honest=honest):
            names.append(specification)
            return honest(specification, threads)

        monkeypatch.setattr(embedders, opener, noting)
    return names


def test_each_text_and_image_is_embedded_once_and_the_next_run_opens_nothing(studio, monkeypatch):
    shared = studio.show("c1", photograph(1))
    studio.show("c2", photograph(2))
    studio.creatives["c3"]["content_sha256"] = shared
    names = opened(monkeypatch)
    first = studio.read(creative_embeddings)
    assert (first.metadata["new_texts"], first.metadata["new_images"]) == (2, 2)
    assert first.failed == set()
    assert names == [embedders.TEXT_EMBEDDER, embedders.IMAGE_EMBEDDER]
    stored = studio.rows(TABLE)

    second = studio.read(creative_embeddings)
    assert (second.metadata["new_texts"], second.metadata["new_images"]) == (0, 0)
    assert (second.metadata["known_texts"], second.metadata["known_images"]) == (2, 2)
    assert len(names) == 2, "nothing was opened again"
    assert studio.rows(TABLE).equals(stored)


def test_stored_vectors_are_the_embedders_own_to_the_last_bit(studio):
    studio.read(creative_embeddings)
    hashes, vectors = read_vectors(studio.warehouse, space_of("text", embedders.TEXT_EMBEDDER))
    texts = text_contents(studio.objects().select(joined_text()).to_series())
    assert hashes.to_list() == texts["content_sha256"].to_list()
    assert (vectors == embedders.open_text_embedder().embed(texts["text"].to_list())).all()


def test_a_changed_headline_is_one_new_text(studio):
    studio.read(creative_embeddings)
    studio.creatives["c2"]["headline"] = "What would you change last?"
    again = studio.read(creative_embeddings)
    assert (again.metadata["new_texts"], again.metadata["known_texts"]) == (1, 1)
    assert again.metadata["dagster/row_count"] == 3


def test_what_split_tests_showed_is_read_beside_the_creatives_and_once(studio):
    shared = studio.show("c1", photograph(1))
    arm = {"platform": "archive", "account_id": "a", "test_id": "t", "content_hash": "x"}
    studio.arms = [
        arm | {"arm": "0", "headline": "Sleep well tonight", "content_sha256": shared},
        arm | {"arm": "1", "headline": "What would you change first?"},
        arm | {"arm": "2", "description": "no text of the ad"},
    ]
    first = studio.read(creative_embeddings)
    assert (first.metadata["new_texts"], first.metadata["new_images"]) == (3, 1)
    assert first.failed == set()
    assert studio.read(creative_embeddings).metadata["new_texts"] == 0


def test_another_embedder_reads_everything_anew_and_is_kept_apart(studio, quick):
    studio.choose(text_embedder="path:/quick")
    studio.read(creative_embeddings)
    quick["path:/other"] = "b" * 64
    quick["path:/quick"], theirs = "b" * 64, quick["path:/quick"]
    studio.choose(text_embedder="path:/other")
    again = studio.read(creative_embeddings)
    assert again.metadata["new_texts"] == 2
    assert again.failed == set()
    assert studio.rows(TABLE).group_by("embedder").len().sort("embedder").rows() == [
        ("path:/other", 2),
        ("path:/quick", 2),
    ]
    hashes, vectors = read_vectors(studio.warehouse, VectorSpace("text", "path:/quick", theirs))
    assert (len(hashes), vectors.shape) == (2, (2, 4))


def test_other_weights_under_the_same_name_are_read_anew_kept_apart_and_told_of(studio, quick):
    studio.choose(text_embedder="path:/quick")
    studio.read(creative_embeddings)
    quick["path:/quick"] = "b" * 64
    again = studio.read(creative_embeddings)
    assert again.metadata["new_texts"] == 2
    assert again.failed == {"vectors_do_not_mix"}
    older, newer = (
        read_vectors(studio.warehouse, VectorSpace("text", "path:/quick", letter * 64))[1] for letter in "ab"
    )
    assert older.shape == newer.shape == (2, 4)
    assert not (older == newer).all()


def test_a_corrupt_image_is_set_aside_with_its_reason_and_the_rest_goes_on(studio):
    studio.show("c1", photograph(1))
    cut_off = studio.show("c2", photograph(2)[:2000])
    studio.show("c3", photograph(3))
    first = studio.read(creative_embeddings)
    assert first.metadata["new_images"] == 2
    assert first.metadata["refused_images"] == {"broken": 1}
    assert first.failed == {"every_image_is_shown"}
    assert "1 of 3 images" in first.checks["every_image_is_shown"].description
    (aside,) = studio.rows("ops.quarantine").to_dicts()
    assert aside["file"] == f"creative_assets/{cut_off[:2]}/{cut_off}.png"
    assert (aside["file_hash"], aside["account_id"], aside["severity"]) == (cut_off, "1", "refused")
    assert "cut off or corrupt" in aside["reason"]

    second = studio.read(creative_embeddings)
    assert second.metadata["refused_images"] == {}, "the same bytes are not tried again"
    assert second.failed == {"every_image_is_shown"}, "and not forgotten"
    assert studio.rows("ops.quarantine").height == 1


def told_of_quarantine(studio, capsys) -> str:
    capsys.readouterr()
    print_quarantine(terminal(), studio.warehouse, None, 20)
    return capsys.readouterr().out


def test_what_an_earlier_reader_refused_is_read_by_a_better_one_and_no_longer_set_aside(studio, capsys):
    sha256 = studio.show("c1", photograph(1))
    with pytest.MonkeyPatch.context() as earlier:
        worse_reader(earlier, photograph(1))
        assert studio.read(creative_embeddings).metadata["refused_images"] == {"broken": 1}
        assert studio.read(creative_embeddings).metadata["images_set_aside_before"] == 1
        assert f"{sha256}.png, set aside" in told_of_quarantine(studio, capsys)
    better = studio.read(creative_embeddings)
    assert better.metadata["new_images"] == 1
    assert better.failed == set()
    assert told_of_quarantine(studio, capsys) == "Nothing is set aside.\n"
    refused, read = studio.rows("ops.quarantine").sort("severity", descending=True).to_dicts()
    assert (refused["severity"], read["severity"]) == ("refused", "read")
    assert studio.read(creative_embeddings).metadata["known_images"] == 1
    assert studio.rows("ops.quarantine").height == 2


def test_what_a_better_reader_refuses_too_stays_set_aside_and_counts_once(studio, capsys):
    sha256 = studio.show("c1", photograph(1)[:2000])
    with pytest.MonkeyPatch.context() as earlier:
        worse_reader(earlier, photograph(1)[:2000])
        studio.read(creative_embeddings)
    tried = studio.read(creative_embeddings)
    assert tried.metadata["refused_images"] == {"broken": 1}
    for _ in range(2):
        again = studio.read(creative_embeddings)
        assert (again.metadata["refused_images"], again.metadata["images_set_aside_before"]) == ({}, 1)
    assert told_of_quarantine(studio, capsys).count(f"{sha256}.png, set aside") == 1


def test_an_image_whose_file_is_gone_is_told_of_and_looked_for_again(studio):
    content = photograph(1)
    sha256 = studio.show("c1", content)
    studio.store.path(sha256).unlink()
    first = studio.read(creative_embeddings)
    assert (first.metadata["missing_images"], first.metadata["new_images"]) == (1, 0)
    assert first.failed == {"every_image_is_shown"}
    assert studio.rows("ops.quarantine").is_empty()
    studio.show("c1", content)
    again = studio.read(creative_embeddings)
    assert again.metadata["new_images"] == 1
    assert again.failed == set()


def test_new_images_stand_on_a_contact_sheet_under_their_creatives(studio):
    assert studio.read(creative_embeddings).metadata["contact_sheet"] == "No image was newly seen."
    studio.show("c1", photograph(1))
    sheet = studio.read(creative_embeddings).metadata["contact_sheet"]
    assert sheet.startswith("![contact sheet](data:image/png;base64,")
    assert sheet.endswith("meta/1/c1")


def test_a_run_that_is_stopped_midway_is_continued_by_the_next(studio, quick, monkeypatch):
    studio.choose(text_embedder="path:/quick")
    monkeypatch.setattr("resources.creative_vectors._TEXTS_PER_PART", 1)
    honest, calls = Hashing.embed, []

    def stopping(self, items, progress=None):
        calls.append(items)
        if len(calls) == 2:
            raise RuntimeError("stopped")
        return honest(self, items)

    monkeypatch.setattr(Hashing, "embed", stopping)
    with pytest.raises(RuntimeError, match="stopped"):
        studio.read(creative_embeddings)
    assert studio.rows(TABLE).height == 1
    assert studio.read(creative_embeddings).metadata["new_texts"] == 1


def test_two_runs_at_once_keep_each_vector_once(studio, quick, monkeypatch):
    studio.choose(text_embedder="path:/quick")
    honest = Hashing.embed

    def overtaken(self, items, progress=None):
        monkeypatch.setattr(Hashing, "embed", honest)
        assert studio.read(creative_embeddings).metadata["new_texts"] == 2
        return honest(self, items)

    monkeypatch.setattr(Hashing, "embed", overtaken)
    assert studio.read(creative_embeddings).failed == set()
    assert studio.rows(TABLE).height == 2


def test_a_content_that_stands_twice_fails_its_check(studio, quick):
    studio.choose(text_embedder="path:/quick")
    studio.read(creative_embeddings)
    space = space_of("text", "path:/quick")
    hashes, vectors = read_vectors(studio.warehouse, space)
    rows = vector_rows(space, hashes[:1].to_list(), vectors[:1], MOMENT)
    studio.warehouse.write(Append(CREATIVE_EMBEDDINGS, rows))
    assert studio.read(creative_embeddings).failed == {"each_content_once"}


def test_a_text_is_its_lines_and_blank_ones_are_none():
    frame = pl.DataFrame(
        {
            "headline": [" Sleep well ", None, "", "Rest"],
            "body": ["Tonight.", None, "  ", None],
            "call_to_action": [None, None, None, "SIGN_UP"],
        }
    )
    joined = frame.select(joined_text()).to_series().to_list()
    assert joined == ["Sleep well\nTonight.", None, None, "Rest\nSIGN_UP"]
