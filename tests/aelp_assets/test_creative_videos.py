"""Videos of creatives: watched once by the bundled networks, odd ones set aside and the others kept."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aelp_assets.creative_videos import creative_video_features
from models.creatives.image_features import NOTHING_DETECTED
from models.creatives.video_features import VIDEO_FEATURES
from models.embeddings import unpacked
from resources import creative_images, creative_measures, creative_videos
from resources.creative_media.refusals import Reason, Refused
from resources.creative_media.videos import VideoFrame
from resources.creative_videos import key_frames
from resources.dropped_videos import DROP_FOLDER
from resources.warehouse.tables import CREATIVE_VIDEO_FEATURES
from tests.aelp_assets.creative_examples import Studio
from tests.resources.creative_media.media import video

TABLE = "gaelp_training.creative_video_features"
VECTORS = "gaelp_training.creative_embeddings"


@pytest.fixture
def studio(tmp_environment) -> Studio:
    return Studio(tmp_environment)


@pytest.fixture
def looked_at(monkeypatch) -> list:
    """No detectors: what the stand-in for them was shown from now on."""
    seen: list = []

    class Blind:
        def look_at(self, pixels):
            seen.append(pixels)
            return NOTHING_DETECTED

    monkeypatch.setattr(creative_videos, "Detectors", Blind)
    return seen


def dropped(studio: Studio, creative: str, content: bytes, extension: str = "mp4") -> Path:
    folder = studio.environment.home / DROP_FOLDER / "meta" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{creative}.{extension}"
    path.write_bytes(content)
    return path


def by_creative(studio: Studio) -> dict[str, dict]:
    return {row["creative_id"]: row for row in studio.rows(TABLE).to_dicts()}


def test_the_table_has_a_column_for_every_feature():
    told = [name for name in CREATIVE_VIDEO_FEATURES.column_names if name.startswith("video_")]
    beside = {"video_version", "video_status", "video_notes"}
    assert [name for name in told if name not in beside] == [f"video_{name}" for name in VIDEO_FEATURES]


def test_each_video_is_watched_once_however_many_creatives_show_it(studio, looked_at):
    sha256 = studio.film("c1", video())
    studio.creatives["c2"]["video_sha256"] = sha256
    first = studio.read(creative_video_features)
    assert (first.metadata["new_creatives"], first.metadata["new_videos"]) == (2, 1)
    assert first.failed == set()
    rows = by_creative(studio)
    assert set(rows) == {"c1", "c2"}
    assert rows["c1"]["video_duration_seconds"] == pytest.approx(6.0)
    assert rows["c1"]["video_hook_cuts"] == 1, "the ground changes every second and a half"
    assert (rows["c1"]["origin"], rows["c1"]["video_status"]) == ("platform", "measured")
    assert rows["c1"]["video_hook_has_face"] is None, "nobody looked for one"
    watched = len(looked_at)
    studio.creatives["c3"]["video_sha256"] = sha256
    second = studio.read(creative_video_features)
    assert (second.metadata["new_creatives"], second.metadata["new_videos"]) == (1, 0)
    assert len(looked_at) == watched
    features = [f"video_{name}" for name in VIDEO_FEATURES]
    assert len({tuple(row[name] for name in features) for row in by_creative(studio).values()}) == 1
    assert studio.read(creative_video_features).metadata["new_creatives"] == 0


def test_key_frames_are_looked_at_by_the_bundled_detectors(studio):
    studio.film("c1", video(20))
    studio.read(creative_video_features)
    row = by_creative(studio)["c1"]
    assert (row["video_hook_has_face"], row["video_hook_has_text"], row["video_is_unsafe"]) == (0, 0, 0)


def test_a_video_has_one_vector_in_a_space_of_its_own(studio, looked_at):
    sha256 = studio.film("c1", video())
    studio.read(creative_video_features)
    studio.read(creative_video_features)
    (row,) = studio.rows(VECTORS).to_dicts()
    assert (row["content_sha256"], row["modality"]) == (sha256, "video")
    assert row["embedder"] == f"{studio.settings.creatives.image_embedder}+key_frames_v1"
    vector = unpacked(pl.Series([row["vector"]]), row["dimensions"])
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (video(1, rate=30), "is a still, not a video"),
        (video()[:900], "cut off or corrupt"),
        (b"<html>Sign in</html>", "no MP4, MOV or WebM"),
    ],
    ids=["no duration", "truncated", "not a video"],
)
def test_an_odd_video_does_not_stop_the_others(studio, looked_at, content, said):
    odd = studio.film("c1", content)
    studio.film("c2", video())
    first = studio.read(creative_video_features)
    rows = by_creative(studio)
    assert rows["c2"]["video_status"] == "measured"
    assert rows["c1"]["video_status"] == "refused"
    assert rows["c1"]["video_duration_seconds"] is None, "nothing is known of it"
    assert first.failed == {"every_video_is_shown"}
    (refused,) = studio.rows("ops.quarantine").to_dicts()
    assert refused["file_hash"] == odd
    assert said in refused["reason"]
    studio.read(creative_video_features)
    assert studio.rows("ops.quarantine").height == 1, "it is not read again"


def test_a_video_refused_by_an_earlier_reader_is_watched_by_a_better_one(studio, looked_at):
    studio.film("c1", video())
    with pytest.MonkeyPatch.context() as earlier:
        said = Refused(Reason.BROKEN, "The video is cut off or corrupt (unknown box).")
        earlier.setattr(creative_images, "decode_video", lambda path: said)
        earlier.setattr(creative_images, "version", lambda package: "1.0")
        studio.read(creative_video_features)
        assert by_creative(studio)["c1"]["video_status"] == "refused"
        studio.read(creative_video_features)
        assert studio.rows("ops.quarantine").height == 1
    better = studio.read(creative_video_features)
    assert better.metadata["new_videos"] == 1
    assert better.failed == set()
    assert studio.read(creative_video_features).metadata["new_videos"] == 0
    assert studio.rows("ops.quarantine")["severity"].sort().to_list() == ["read", "refused"]


def test_a_dropped_video_stands_for_its_creative_before_the_platforms_own(studio, looked_at):
    studio.film("c1", video())
    dropped(studio, "c1", video(30))
    dropped(studio, "not-yet-pulled", video(40))
    told = studio.read(creative_video_features)
    rows = by_creative(studio)
    assert {name: row["origin"] for name, row in rows.items()} == {"c1": "folder", "not-yet-pulled": "folder"}
    assert rows["c1"]["video_duration_seconds"] == pytest.approx(3.0)
    assert told.failed == set()


def test_a_dropped_file_is_read_again_only_when_it_changes(studio, looked_at):
    path = dropped(studio, "c1", video(30))
    studio.read(creative_video_features)
    watched = len(looked_at)
    assert studio.read(creative_video_features).metadata["new_videos"] == 0
    assert len(looked_at) == watched
    path.write_bytes(video(50))
    assert studio.read(creative_video_features).metadata["new_videos"] == 1
    lasts = sorted(row["video_duration_seconds"] for row in studio.rows(TABLE).to_dicts())
    assert lasts == pytest.approx([3.0, 5.0])


def test_what_cannot_be_taken_from_the_folder_is_said(studio, looked_at):
    dropped(studio, "c1", video(30))
    dropped(studio, "c1", video(20), "webm")
    dropped(studio, "c2", b"words", "txt")
    told = studio.read(creative_video_features)
    assert told.metadata["left_in_folder"] == 2
    said = told.checks["every_video_is_shown"].description
    assert "second file of its creative" in said
    assert "c2.txt is named like no MP4" in said


def test_a_missing_file_waits(studio, looked_at):
    sha256 = studio.film("c1", video())
    path = studio.store.path(sha256)
    content = path.read_bytes()
    path.unlink()
    told = studio.read(creative_video_features)
    assert (told.metadata["missing_videos"], studio.rows(TABLE).height) == (1, 0)
    path.write_bytes(content)
    assert studio.read(creative_video_features).metadata["new_videos"] == 1


def test_no_video_costs_nothing_and_fails_nothing(studio, monkeypatch):
    monkeypatch.setattr(creative_measures.Detectors, "__init__", None)
    told = studio.read(creative_video_features)
    assert (told.failed, told.metadata["new_videos"]) == (set(), 0)


@pytest.mark.parametrize(("lasts", "most"), [(0.2, 1), (1.5, 2), (3.0, 8), (60.0, 8)])
def test_key_frames_show_each_second_of_the_hook_and_the_rest_evenly(lasts, most):
    frames = [VideoFrame(n / 10, np.zeros((2, 2, 3), np.uint8)) for n in range(math.ceil(lasts * 10))]
    places = key_frames(frames)
    assert len(places) <= most
    assert places == sorted(set(places))
    assert places[0] == 0
    if lasts > 3:
        assert places[-1] == len(frames) - 1
        assert {frames[place].seconds for place in places} >= {0.0, 1.0, 2.0}
