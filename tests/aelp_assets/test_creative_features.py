"""Features of creatives: measured once by the bundled detectors, None where nothing is known."""

from __future__ import annotations

import polars as pl
import pytest
from PIL import Image

from aelp_assets.creative_embeddings import creative_embeddings
from aelp_assets.creative_features import creative_features
from models.creatives.image_features import IMAGE_FEATURES
from models.creatives.text_features import TEXT_FEATURES, text_features
from resources import creative_measures
from resources.creative_measures import lexicons_of, read_features
from resources.warehouse.tables import CREATIVE_FEATURES
from tests.aelp_assets.creative_examples import Studio, photograph, worse_reader
from tests.resources.creative_media.media import saved

TABLE = "gaelp_training.creative_features"


@pytest.fixture
def studio(tmp_environment) -> Studio:
    return Studio(tmp_environment)


@pytest.fixture
def looked_at(monkeypatch) -> list:
    """The pictures detectors look at from now on."""
    seen: list = []
    honest = creative_measures.Detectors.look_at

    def noting(self, pixels):
        seen.append(pixels)
        return honest(self, pixels)

    monkeypatch.setattr(creative_measures.Detectors, "look_at", noting)
    return seen


def row(studio: Studio, creative: str) -> dict:
    mine = studio.objects().row(by_predicate=pl.col("creative_id") == creative, named=True)
    (found,) = [
        one
        for one in studio.rows(TABLE).to_dicts()
        if (one["content_hash"], one["content_sha256"]) == (mine["content_hash"], mine["content_sha256"])
    ]
    return found


def test_the_table_has_a_column_for_every_feature():
    measured = [f"text_{name}" for name in TEXT_FEATURES] + [f"image_{name}" for name in IMAGE_FEATURES]
    told = [name for name in CREATIVE_FEATURES.column_names if name.startswith(("text_", "image_"))]
    beside = {"text_version", "image_version", "image_status", "image_content_type", "image_frames"}
    assert [name for name in told if name not in beside] == measured


def test_each_content_is_measured_once_and_an_image_once_however_many_texts_it_has(studio, looked_at):
    shared = studio.show("c1", photograph(1))
    studio.creatives["c2"]["content_sha256"] = shared
    first = studio.read(creative_features)
    assert first.failed == set()
    assert (first.metadata["new_creatives"], first.metadata["new_images"], len(looked_at)) == (4, 1, 1)
    assert first.metadata["contact_sheet"].endswith("meta/1/c1")
    stored = studio.rows(TABLE)
    second = studio.read(creative_features)
    assert (second.metadata["new_creatives"], second.metadata["known_creatives"]) == (0, 4)
    assert studio.rows(TABLE).equals(stored)
    assert len(looked_at) == 1

    studio.creatives["c2"]["headline"] = "What would you change last?"
    third = studio.read(creative_features)
    assert (third.metadata["new_creatives"], third.metadata["new_images"]) == (1, 0)
    assert len(looked_at) == 1, "the image is known"
    assert row(studio, "c2")["image_brightness"] == row(studio, "c1")["image_brightness"] > 0


def test_a_row_says_what_the_formulas_say_and_nothing_of_what_is_not_there(studio):
    studio.read(creative_features)
    measured = row(studio, "c1")
    text = "Sleep well tonight\nA course of six weeks.\nLEARN_MORE"
    expected = text_features([text], lexicons_of(studio.settings)).row(0, named=True)
    assert measured["text_words"] == expected["words"]
    assert measured["text_sentiment_compound"] == expected["sentiment_compound"]
    assert measured["image_status"] == "none"
    assert all(measured[f"image_{name}"] is None for name in IMAGE_FEATURES)
    nothing = row(studio, "c4")
    assert all(nothing[f"text_{name}"] is None for name in TEXT_FEATURES)


def test_what_split_tests_showed_is_measured_beside_the_creatives_and_once(studio, looked_at):
    shared = studio.show("c1", photograph(1))
    arm = {"platform": "archive", "account_id": "a", "test_id": "t"}
    studio.arms = [
        arm | {"arm": "0", "headline": "Sleep well", "content_sha256": shared, "content_hash": "x"},
        arm | {"arm": "1", "headline": "Sleep well", "content_hash": "y"},
        arm | {"arm": "2", "content_hash": "z"},
    ]
    first = studio.read(creative_features)
    assert first.metadata["new_creatives"] == len(studio.creatives) + 2
    assert len(looked_at) == 1
    assert first.failed == set()
    assert studio.read(creative_features).metadata["new_creatives"] == 0


def test_each_text_is_held_to_its_own_limit(studio):
    limit = studio.settings.policy.text_limits["headline"]
    studio.creatives["c2"]["headline"] = "x" * (limit + 3)
    studio.read(creative_features)
    assert row(studio, "c2")["text_over_headline_limit"] == 3
    assert row(studio, "c2")["text_over_body_limit"] is None
    assert row(studio, "c1")["text_over_headline_limit"] == 0


def test_other_lists_of_words_measure_texts_anew_and_no_image(studio, looked_at):
    studio.show("c1", photograph(1))
    studio.read(creative_features)
    changed = studio.settings.creative_texts.model_copy(update={"fear": ("tonight",)})
    studio.settings = studio.settings.model_copy(update={"creative_texts": changed})
    again = studio.read(creative_features)
    assert (again.metadata["new_creatives"], again.metadata["new_images"]) == (4, 0)
    assert len(looked_at) == 1
    by_version = studio.rows(TABLE).filter(content_sha256=studio.creatives["c1"]["content_sha256"])
    assert by_version["text_version"].n_unique() == by_version.height == 2
    assert again.failed == set()


def test_a_refused_image_leaves_the_texts_features_and_says_so(studio):
    studio.show("c1", photograph(1)[:2000])
    studio.show("c2", photograph(2))
    first = studio.read(creative_features)
    assert first.metadata["refused_images"] == {"broken": 1}
    assert first.failed == {"every_creative_is_measured"}
    refused = row(studio, "c1")
    assert (refused["image_status"], refused["image_width"]) == ("refused", None)
    assert refused["text_words"] > 0
    assert row(studio, "c2")["image_status"] == "measured"
    assert studio.rows("ops.quarantine").height == 1
    assert studio.read(creative_features).metadata["new_creatives"] == 0


def test_an_image_that_the_embeddings_set_aside_is_not_set_aside_twice(studio):
    studio.show("c1", b"no image at all")
    studio.read(creative_embeddings)
    measured = studio.read(creative_features)
    assert measured.metadata["refused_images"] == {}
    assert row(studio, "c1")["image_status"] == "refused"
    assert studio.rows("ops.quarantine").height == 1


def test_an_image_refused_by_an_earlier_reader_is_measured_by_a_better_one(studio):
    studio.show("c1", photograph(1))
    with pytest.MonkeyPatch.context() as earlier:
        worse_reader(earlier, photograph(1))
        studio.read(creative_features)
        assert row(studio, "c1")["image_status"] == "refused"
        assert studio.read(creative_features).metadata["new_creatives"] == 0
    better = studio.read(creative_features)
    assert (better.metadata["new_creatives"], better.metadata["new_images"]) == (1, 1)
    assert better.failed == set()
    known = read_features(studio.warehouse, lexicons_of(studio.settings))
    assert known.height == 4
    assert known.filter(pl.col("content_sha256").is_not_null())["image_status"].to_list() == ["measured"]
    assert studio.read(creative_features).metadata["new_creatives"] == 0


def test_two_runs_at_once_keep_each_row_once(studio, monkeypatch):
    studio.show("c1", photograph(1))
    honest = creative_measures.Detectors.look_at

    def overtaken(self, pixels):
        monkeypatch.setattr(creative_measures.Detectors, "look_at", honest)
        studio.read(creative_features)
        return honest(self, pixels)

    monkeypatch.setattr(creative_measures.Detectors, "look_at", overtaken)
    assert studio.read(creative_features).failed == set()
    assert studio.rows(TABLE).height == 4


def test_a_missing_file_is_waited_for(studio):
    sha256 = studio.show("c1", photograph(1))
    studio.store.path(sha256).unlink()
    first = studio.read(creative_features)
    assert (first.metadata["missing_images"], first.metadata["new_creatives"]) == (1, 3)
    assert first.failed == {"every_creative_is_measured"}
    studio.store.put(photograph(1), "png")
    again = studio.read(creative_features)
    assert again.metadata["new_creatives"] == 1
    assert again.failed == set()


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (900, 2)])
def test_an_image_of_any_shape_is_measured(studio, size):
    studio.show("c1", saved(Image.new("RGB", size, "white"), "PNG"))
    assert studio.read(creative_features).failed == set()
    assert (row(studio, "c1")["image_width"], row(studio, "c1")["image_height"]) == size


def test_an_animation_is_measured_by_its_first_frame(studio):
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("white", "black", "red")]
    studio.show("c1", saved(frames[0], "GIF", save_all=True, append_images=frames[1:]), "gif")
    studio.read(creative_features)
    measured = row(studio, "c1")
    assert (measured["image_frames"], measured["image_content_type"]) == (3, "image/gif")
    assert measured["image_brightness"] == pytest.approx(1.0, abs=0.02)
