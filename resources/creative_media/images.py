"""Bytes of an image nobody vouches for, as pixels; or why not.

Here: which formats, how large, orientation, colour modes, transparency, the first of several frames. Not
here: where bytes come from (`connectors.images`), what is measured (`models.creatives`).

Pillow reads the header first, so what a file claims to hold is known before memory is taken for it: a
decompression bomb is refused by its claim, and one that lies about its size ends where the claim does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from resources.creative_media.refusals import Reason, Refused

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

# What Pillow calls it: content type and extension. What browsers show; other decoders are not let near it.
_FORMATS = {
    "JPEG": ("image/jpeg", "jpg"),
    "PNG": ("image/png", "png"),
    "GIF": ("image/gif", "gif"),
    "WEBP": ("image/webp", "webp"),
}
# What Pillow calls a JPEG with a second picture behind the first once it is open; phones write them.
_OPENED = _FORMATS | {"MPO": _FORMATS["JPEG"]}
_AVERAGED = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})  # modes whose pixels have a mean
_WANTED = "JPEG, PNG, GIF or WebP"


@dataclass(frozen=True)
class ImageLimits:
    """What is decoded at most.

    most_bytes: of the file; Meta takes no larger upload. most_pixels: of one frame, before anything is
    decoded (three bytes each once it is); the largest ad formats have four million. longest_side: a larger
    image is reduced to it, in pixels.
    """

    most_bytes: int = 30 * 1024 * 1024
    most_pixels: int = 50_000_000
    longest_side: int = 1600


DEFAULT_IMAGE_LIMITS = ImageLimits()


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """An image as it is shown.

    Attributes:
        pixels: RGB, uint8, shape (height, width, 3): upright, transparency on white, and no longer than
            `ImageLimits.longest_side`.
        width, height: pixels of the file itself, upright.
        frames: 1, or how many an animation has; `pixels` is the first.
        content_type: what the bytes are, whatever the file is called.
    """

    pixels: npt.NDArray[np.uint8]
    width: int
    height: int
    frames: int
    content_type: str


@dataclass(frozen=True)
class RecognisedImage:
    """What a whole image is."""

    content_type: str
    extension: str


def decode_image(content: bytes | Path, limits: ImageLimits = DEFAULT_IMAGE_LIMITS) -> DecodedImage | Refused:
    """The pixels of an image, or why there are none; whatever the bytes, nothing else is raised.

    Args:
        content: the file's bytes, or where it lies.
    Raises:
        MemoryError: there is not enough of it now.
    """
    read = read_file(content, limits.most_bytes)
    if isinstance(read, Refused):
        return read
    try:
        with _opened(read, limits) as (image, content_type, _):
            size = image.size
            frames = int(getattr(image, "n_frames", 1))
            image.draft(None, _within(size, limits.longest_side))  # a JPEG decodes straight to a smaller one
            image.load()
            # Small before anything else is done: turning and laying on white copy the picture.
            small = _shrunk(image, limits.longest_side) if image.mode in _AVERAGED else image
            upright = _upright(small)
            width, height = size if upright.size == small.size else (size[1], size[0])
            pixels = _pixels(_shrunk(_on_white(upright), limits.longest_side))
    except _Refusal as refusal:
        return refusal.refused
    except MemoryError:  # says nothing of the file, and a refusal is for good
        raise
    except Exception as error:  # Pillow's readers raise whatever a broken file leads them to
        return _broken(error)
    return DecodedImage(pixels, width, height, frames, content_type)


def recognise_image(content: bytes, limits: ImageLimits = DEFAULT_IMAGE_LIMITS) -> RecognisedImage | Refused:
    """What some bytes are, or why they are no image: decoded once whole, for what ends halfway is none."""
    read = read_file(content, limits.most_bytes)
    if isinstance(read, Refused):
        return read
    try:
        with _opened(read, limits) as (image, content_type, extension):
            image.load()
    except _Refusal as refusal:
        return refusal.refused
    except MemoryError:  # says nothing of the file, and a refusal is for good
        raise
    except Exception as error:  # Pillow's readers raise whatever a broken file leads them to
        return _broken(error)
    return RecognisedImage(content_type, extension)


def read_file(content: bytes | Path, most_bytes: int) -> bytes | Refused:
    """The bytes of a file that is there, not empty and not too large."""
    if isinstance(content, Path):
        try:
            with content.open("rb") as file:
                content = file.read(most_bytes + 1)
        except OSError as error:
            return Refused(Reason.MISSING, f"The file cannot be read: {error.strerror}. Fetch it again.")
    if not content:
        return Refused(Reason.EMPTY, "The file is empty. Fetch or export it again.")
    if len(content) > most_bytes:
        return Refused(
            Reason.TOO_MANY_BYTES,
            f"The file has more than {most_bytes:,} bytes, the most that is decoded. Export it smaller.",
        )
    return content


class _Refusal(Exception):
    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.detail)
        self.refused = refused


@contextmanager
def _opened(content: bytes, limits: ImageLimits) -> Iterator[tuple[Image, str, str]]:
    """The image before anything is decoded, with its content type and extension."""
    from PIL import Image as Pillow  # noqa: PLC0415 - only where something is new
    from PIL import UnidentifiedImageError  # noqa: PLC0415

    try:
        image = Pillow.open(BytesIO(content), formats=list(_FORMATS))
    except Pillow.DecompressionBombError as error:
        raise _Refusal(_too_many_pixels(str(error).partition(")")[0] + ")", limits)) from None
    except UnidentifiedImageError:
        detail = f"The file is no {_WANTED}, whatever it is called. Export it as one of these."
        raise _Refusal(Refused(Reason.NOT_AN_IMAGE, detail)) from None
    with image:
        if image.width * image.height > limits.most_pixels:
            raise _Refusal(_too_many_pixels(f"{image.width} x {image.height} pixels", limits))
        if not image.width * image.height:
            raise _Refusal(Refused(Reason.BROKEN, "The image has no pixels. Export it again."))
        yield image, *_OPENED[str(image.format)]


def _too_many_pixels(claimed: str, limits: ImageLimits) -> Refused:
    return Refused(
        Reason.TOO_MANY_PIXELS,
        f"The image would unfold to more than {limits.most_pixels / 1e6:.0f} million pixels ({claimed}); "
        "nothing was decoded. Export it smaller.",
    )


def _broken(error: Exception) -> Refused:
    detail = f"The image is cut off or corrupt ({error or type(error).__name__}). Fetch or export it again."
    return Refused(Reason.BROKEN, detail)


def _within(size: tuple[int, int], longest_side: int) -> tuple[int, int]:
    scale = min(1.0, longest_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _upright(image: Image) -> Image:
    from PIL import ImageOps  # noqa: PLC0415

    with suppress(Exception):  # an orientation nobody can read is none; the picture is still one
        return ImageOps.exif_transpose(image)
    return image


def _on_white(image: Image) -> Image:
    from PIL import Image as Pillow  # noqa: PLC0415

    if image.mode.startswith(
        "I"
    ):  # sixteen bits a pixel; `convert` would cut them off at 255, not scale them
        image = image.convert("I").point(lambda value: value / 257).convert("L")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", clear.size, "white"), clear)
    return image.convert("RGB")


def _shrunk(image: Image, longest_side: int) -> Image:
    from PIL import Image as Pillow  # noqa: PLC0415

    size = _within(image.size, longest_side)
    return image if size == image.size else image.resize(size, Pillow.Resampling.BOX, reducing_gap=2.0)


def _pixels(image: Image) -> npt.NDArray[np.uint8]:
    import numpy as np  # noqa: PLC0415

    return np.array(image, dtype=np.uint8)
