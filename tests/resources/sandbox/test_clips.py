"""Clips of the simulated account: the same bytes each time, and as lively as their names say."""

from __future__ import annotations

import pytest

from models.creatives.video_features import Glimpses, SampledFrame, VideoFacts, video_features
from resources.creative_media.videos import DecodedVideo, decode_video
from resources.sandbox.clips import CLIP_PIXELS, CLIP_SECONDS, HOOKS, hook_of, render_clip
from tests.resources.creative_media.media import picture, saved

NAMES = {hook_of(str(number)): str(number) for number in range(40)}
PICTURE = saved(picture(16, 16, seed=3).resize((320, 320)), "PNG")


@pytest.fixture(scope="module")
def features() -> dict[str, dict[str, float | None]]:
    found = {}
    for hook, name in NAMES.items():
        clip = decode_video(render_clip(PICTURE, name))
        assert isinstance(clip, DecodedVideo), clip
        found[hook] = video_features(
            (SampledFrame(frame.seconds, frame.pixels) for frame in clip.frames),
            Glimpses(clip.glimpse_seconds, clip.glimpses),
            VideoFacts(clip.duration_seconds, clip.width, clip.height, clip.has_audio),
        )
    return found


def test_every_hook_has_its_clips():
    assert set(NAMES) == set(HOOKS)


def test_the_same_name_and_picture_give_the_same_bytes():
    assert render_clip(PICTURE, "a") == render_clip(PICTURE, "a")
    assert render_clip(PICTURE, NAMES["zoom"]) != render_clip(PICTURE, NAMES["cuts"])


def test_a_clip_is_short_square_and_silent(features):
    for row in features.values():
        assert row["duration_seconds"] == pytest.approx(CLIP_SECONDS)
        assert (row["width"], row["height"], row["is_square"]) == (CLIP_PIXELS, CLIP_PIXELS, 1)
        assert row["has_audio"] == 0


def test_hooks_are_told_apart_by_what_is_measured_of_them(features):
    assert features["cuts"]["hook_cuts"] == 4
    assert features["still"]["hook_cuts"] == features["zoom"]["hook_cuts"] == 0
    assert features["zoom"]["hook_motion"] > 10 * features["still"]["hook_motion"]
