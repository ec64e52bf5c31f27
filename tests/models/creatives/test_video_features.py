"""Features of videos: cuts, motion and the hook of films made frame by frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.creatives.image_features import ImageDetections
from models.creatives.video_features import VIDEO_FEATURES, Glimpses, SampledFrame, VideoFacts, video_features

FACTS = VideoFacts(duration_seconds=8.0, width=320, height=180, has_audio=True)
NOTHING = np.empty((0, 4))
FACE = np.array([[0.0, 0.0, 0.5, 0.5]])


def scene(seed: int, height: int = 90, width: int = 160) -> np.ndarray:
    """A picture in colours of its own."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (4, 3))
    return colours[rng.integers(0, 4, (height, width))].astype(np.uint8)


def watched(frames: list[SampledFrame], facts: VideoFacts = FACTS) -> dict[str, float | None]:
    """Features of a film whose frames are its glimpses too."""
    seconds = np.array([frame.seconds for frame in frames])
    return video_features(iter(frames), Glimpses(seconds, np.stack([frame.image for frame in frames])), facts)


def film(*cuts: float, every: float = 0.25, seconds: float = 8.0) -> list[SampledFrame]:
    times = np.arange(0, seconds, every)
    return [SampledFrame(float(at), scene(int(np.searchsorted(cuts, at, side="right")))) for at in times]


def test_a_film_has_all_features_and_as_many_cuts_as_were_made():
    found = watched(film(1.5, 2.5, 6.0))
    assert list(found) == list(VIDEO_FEATURES)
    assert found["cuts_per_second"] == pytest.approx(3 / 8)
    assert (found["hook_cuts"], found["seconds_to_first_cut"]) == (2, 1.5)
    assert (found["duration_seconds"], found["has_audio"], found["is_portrait"]) == (8, 1, 0)


def test_a_still_has_neither_cuts_nor_motion():
    found = watched(film())
    assert (found["cuts_per_second"], found["motion"], found["seconds_to_first_cut"]) == (0, 0, None)


def test_a_moving_picture_moves_and_is_not_cut():
    picture = np.kron(np.eye(2), np.ones((60, 80)))[:, :, None] * np.array([250, 120, 60])
    frames = [SampledFrame(i * 0.1, np.roll(picture, 4 * i, axis=1).astype(np.uint8)) for i in range(80)]
    found = watched(frames)
    assert found["cuts_per_second"] == 0
    assert found["motion"] > 0.05


def test_a_flash_is_no_cut():
    frames = film()
    frames[9] = replace(frames[9], image=np.full_like(frames[9].image, 255))
    assert watched(frames)["cuts_per_second"] == 0


def test_a_flat_colour_that_flickers_by_a_shade_is_no_cut():
    shades = [
        SampledFrame(place * 0.1, np.full((20, 20, 3), 127 + place % 2 * 3, np.uint8)) for place in range(80)
    ]
    assert watched(shades)["cuts_per_second"] == 0


def test_motion_does_not_depend_on_how_densely_frames_are_sampled():
    def drifting(every):
        times = np.arange(0, 8, every)
        return [SampledFrame(float(at), np.full((20, 20, 3), 20 + 25 * at, np.uint8)) for at in times]

    coarse, dense = (watched(drifting(every))["motion"] for every in (0.5, 0.05))
    assert coarse == pytest.approx(25 / 255, rel=0.05)
    assert dense == pytest.approx(coarse, rel=0.1)


def test_means_are_over_time_not_over_frames():
    dark = [SampledFrame(float(at), np.zeros((9, 9, 3), np.uint8)) for at in np.arange(0, 4, 0.1)]
    light = [SampledFrame(float(at), np.full((9, 9, 3), 255, np.uint8)) for at in (4.0, 6.0)]
    found = watched(dark + light)
    assert found["mean_brightness"] == pytest.approx(0.5)
    assert found["hook_brightness"] == 0


def test_the_hook_shows_a_face_where_a_detector_saw_one_and_is_unknown_where_none_ran():
    frames = film()
    assert watched(frames)["hook_has_face"] is None
    frames[0] = replace(frames[0], detections=ImageDetections(text_boxes=NOTHING, faces=NOTHING))
    frames[2] = replace(frames[2], detections=ImageDetections(text_boxes=NOTHING, faces=FACE))
    found = watched(frames)
    assert (found["hook_has_face"], found["hook_has_text"]) == (1, 0)
    assert found["hook_face_count"] == pytest.approx(0.5)


def test_a_face_after_the_hook_is_none_of_the_hook():
    frames = film()
    frames[1] = replace(frames[1], detections=ImageDetections(faces=NOTHING))
    frames[20] = replace(frames[20], detections=ImageDetections(faces=FACE, unsafe_probability=0.9))
    found = watched(frames)
    assert (found["hook_has_face"], found["mean_face_count"], found["is_unsafe"]) == (0, 0.5, 1)


@pytest.mark.parametrize(
    ("width", "height", "portrait", "square"), [(90, 160, 1, 0), (100, 102, 0, 1), (160, 90, 0, 0)]
)
def test_orientation_is_that_of_the_picture_as_shown(width, height, portrait, square):
    found = watched(film(), replace(FACTS, width=width, height=height))
    assert (found["is_portrait"], found["is_square"]) == (portrait, square)


def test_one_frame_is_a_video_too_and_none_is_not():
    found = watched(film()[:1])
    assert found["motion"] is None
    assert found["mean_brightness"] is not None
    with pytest.raises(ValueError, match="without frames"):
        video_features([], Glimpses(np.zeros(1), np.zeros((1, 9, 9, 3), np.uint8)), FACTS)


def test_frames_out_of_order_are_refused():
    glimpses = Glimpses(np.zeros(1), np.zeros((1, 9, 9, 3), np.uint8))
    with pytest.raises(ValueError, match="comes after"):
        video_features(film()[::-1], glimpses, FACTS)
    with pytest.raises(ValueError, match="rise"):
        Glimpses(np.zeros(2), np.zeros((2, 9, 9, 3), np.uint8))
