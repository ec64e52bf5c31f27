"""Images nobody vouches for: decoded as they are shown, or refused with a reason while the batch goes on."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from resources.creative_media.images import DecodedImage, ImageLimits, decode_image, recognise_image
from resources.creative_media.refusals import Reason, Refused
from tests.resources.creative_media.media import bomb_png, picture, saved, video


def refused(content: bytes | Path, limits: ImageLimits | None = None) -> Reason:
    found = decode_image(content, limits or ImageLimits())
    assert isinstance(found, Refused)
    assert len(str(found)) > 20
    return found.reason


def decoded(content: bytes | Path, limits: ImageLimits | None = None) -> DecodedImage:
    found = decode_image(content, limits or ImageLimits())
    assert isinstance(found, DecodedImage), found
    assert found.pixels.dtype == np.uint8
    assert found.pixels.shape[2] == 3
    return found


@pytest.mark.parametrize(("kind", "content_type"), [("PNG", "image/png"), ("WEBP", "image/webp")])
def test_a_lossless_picture_comes_back_pixel_by_pixel(kind, content_type):
    image = picture()
    found = decoded(saved(image, kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert (found.pixels == np.asarray(image)).all()
    assert (found.width, found.height, found.frames, found.content_type) == (64, 48, 1, content_type)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("larger", [1, 10])
def test_a_phone_picture_stands_upright(kind, larger):
    image = Image.new("RGB", (60, 40), "black")
    image.paste("white", (0, 0, 60, 10))
    image = image.resize((60 * larger, 40 * larger))
    turned = image.getexif()
    turned[0x0112] = 6  # shown turned a quarter clockwise: the top edge is on the right
    found = decoded(saved(image, kind, exif=turned, quality=95), ImageLimits(longest_side=60))
    assert (found.width, found.height, found.pixels.shape) == (40 * larger, 60 * larger, (60, 40, 3))
    assert found.pixels[:, -8:].mean() > 240
    assert found.pixels[:, :-12].mean() < 15


def test_a_cmyk_jpeg_has_the_colours_of_its_picture():
    found = decoded(saved(Image.new("RGB", (40, 30), (200, 40, 40)).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(found.pixels.reshape(-1, 3).mean(axis=0) - (200, 40, 40)).max() < 12


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "I;16"])
def test_every_colour_mode_becomes_rgb(mode):
    light = {"I;16": 60_000, "1": 1, "LA": (235, 255)}.get(mode, 235)
    image = Image.new(mode, (30, 20), light)
    if mode == "P":
        image = Image.new("RGB", (30, 20), (235, 235, 235)).quantize()
    assert 225 < decoded(saved(image, "PNG")).pixels.mean() <= 255


def test_what_is_transparent_is_white():
    clear = Image.new("RGBA", (30, 20), (0, 0, 0, 0))
    assert decoded(saved(clear, "PNG")).pixels.min() == 255
    half = decoded(saved(Image.new("RGBA", (30, 20), (0, 0, 0, 128)), "PNG"))
    assert half.pixels.mean() == pytest.approx(127, abs=1)
    keyed = Image.new("P", (30, 20), 0)
    assert decoded(saved(keyed, "GIF", transparency=0)).pixels.min() == 255


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_frame_and_says_how_many_there_are(kind):
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "lime", "blue")]
    found = decoded(saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, loop=0))
    assert found.frames == 3
    assert np.abs(found.pixels.reshape(-1, 3).mean(axis=0) - (255, 0, 0)).max() < 10


def test_a_jpeg_with_a_second_picture_behind_it_is_a_jpeg():
    found = decoded(saved(picture(), "MPO", save_all=True, append_images=[picture(seed=2)]))
    assert (found.content_type, found.frames) == ("image/jpeg", 2)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_picture_is_reduced_and_keeps_its_size_on_record(kind):
    content = saved(ImageOps.scale(picture(), 20), kind)
    found = decoded(content, ImageLimits(longest_side=200))
    assert found.pixels.shape == (150, 200, 3)
    assert (found.width, found.height) == (1280, 960)


def test_a_decompression_bomb_is_refused_before_any_memory_is_taken():
    content = bomb_png(30_000)
    assert len(content) < 10_000
    tracemalloc.start()
    assert refused(content) is Reason.TOO_MANY_PIXELS
    assert refused(bomb_png(9_000)) is Reason.TOO_MANY_PIXELS  # below where Pillow itself would stop
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


def test_a_bomb_within_the_limit_that_lacks_its_pixels_is_broken():
    assert refused(bomb_png(4_000)) is Reason.BROKEN


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_picture_is_refused(kind, share):
    content = saved(picture(), kind)
    assert refused(content[: int(share * len(content))]) is Reason.BROKEN


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"not a picture at all", Reason.NOT_AN_IMAGE),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Reason.NOT_AN_IMAGE),
        (b"\xff\xd8\xff", Reason.NOT_AN_IMAGE),
        (saved(picture(), "BMP"), Reason.NOT_AN_IMAGE),
        (saved(picture(), "TIFF"), Reason.NOT_AN_IMAGE),
    ],
)
def test_what_is_no_picture_of_the_web_is_refused(content, reason):
    assert refused(content) is reason


def test_a_file_is_what_its_bytes_are_whatever_it_is_called(tmp_path):
    text = tmp_path / "banner.jpg"
    text.write_text("Headline: sleep better")
    assert refused(text) is Reason.NOT_AN_IMAGE
    png = tmp_path / "banner.gif"
    png.write_bytes(saved(picture(), "PNG"))
    assert decoded(png).content_type == "image/png"
    assert refused(tmp_path / "gone.png") is Reason.MISSING
    assert refused(tmp_path) is Reason.MISSING


def test_a_file_larger_than_the_limit_is_not_read_whole(tmp_path):
    large = tmp_path / "large.png"
    large.write_bytes(saved(picture(), "PNG") + bytes(5_000_000))
    tracemalloc.start()
    assert refused(large, ImageLimits(most_bytes=100_000)) is Reason.TOO_MANY_BYTES
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_batch_goes_on_after_what_it_refuses():
    good = saved(picture(), "PNG")
    batch = [good, b"", good[:200], saved(picture(), "BMP"), bomb_png(30_000), video(5), good]
    assert [isinstance(decode_image(content), DecodedImage) for content in batch] == [
        True,
        *[False] * 5,
        True,
    ]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_an_unreadable_orientation_does_not_cost_the_picture():
    exif = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\xff\xff\xff\xff\xff\xff"
    assert decoded(saved(picture(), "JPEG", exif=exif)).pixels.shape == (48, 64, 3)


def test_recognising_says_what_bytes_are_without_their_pixels():
    found = recognise_image(saved(picture(), "JPEG"))
    assert not isinstance(found, Refused)
    assert (found.content_type, found.extension) == ("image/jpeg", "jpg")
    cut = recognise_image(saved(picture(), "JPEG")[:900])
    assert isinstance(cut, Refused)


WHOLE = [saved(picture(), kind) for kind in ("PNG", "GIF", "JPEG", "WEBP")]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 6)), max_size=8),
    st.floats(0, 1),
)
def test_no_bytes_whatever_raise(content, edits, kept):
    for where, inserted, removed in edits:
        at = int(where * len(content))
        content = content[:at] + inserted + content[at + removed :]
    found = decode_image(content[: int(kept * len(content)) + 1], ImageLimits(most_pixels=1_000_000))
    assert isinstance(found, DecodedImage | Refused)
    assert isinstance(decode_image(content, ImageLimits(most_pixels=1_000_000)), DecodedImage | Refused)


def test_a_moment_without_memory_is_not_held_against_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(picture(), "PNG")

    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", exhausted)
    for read in (decode_image, recognise_image):
        with pytest.raises(MemoryError):
            read(content)
