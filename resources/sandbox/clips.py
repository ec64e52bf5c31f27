"""Short synthetic videos of the simulated account: a creative's picture, moving as strongly as its hook.

Here: drawing and encoding. Not here: the pictures (`copywriting`), links to videos (`servers.meta.images`).

A clip is drawn from its picture and its name alone, so no random stream of the business moves. For the same
reason its hook moves nobody's true click rate: what is measured of clips has no effect on clicks to be found.
How many stay to watch, it does move (`servers.plays`).
"""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import Literal

import numpy as np
from PIL import Image

Hook = Literal["still", "zoom", "cuts"]
HOOKS: tuple[Hook, ...] = ("still", "zoom", "cuts")
CLIP_SECONDS = 5.0
CLIP_PIXELS = 192  # on each side
_RATE = 10
_CUT_EVERY = 7  # frames
# Where a shot of a clip with cuts looks, as left, top and side of the picture.
_SHOTS = ((0.0, 0.0, 1.0), (0.25, 0.4, 0.5), (0.0, 0.0, 0.45), (0.5, 0.5, 0.5))


def hook_of(name: str) -> Hook:
    """How the clip of this name begins."""
    return HOOKS[hashlib.sha256(name.encode()).digest()[0] % len(HOOKS)]


def render_clip(picture: bytes, name: str) -> bytes:
    """An MP4 of `CLIP_SECONDS`, the same bytes for the same picture, name and build of FFmpeg.

    Args:
        picture: an image file.
    """
    import av  # noqa: PLC0415 - loads FFmpeg

    with Image.open(BytesIO(picture)) as opened:
        shown = opened.convert("RGB")
    hook, file = hook_of(name), BytesIO()
    with av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as output:
        # mpeg4 is part of every FFmpeg and, on one thread, writes the same bytes each time.
        stream = output.add_stream("mpeg4", rate=_RATE, options={"flags": "+bitexact"})
        stream.width, stream.height, stream.pix_fmt = CLIP_PIXELS, CLIP_PIXELS, "yuv420p"
        stream.bit_rate = 400_000
        stream.thread_count = 1
        for place in range(int(CLIP_SECONDS * _RATE)):
            frame = av.VideoFrame.from_ndarray(_drawn(shown, hook, place), format="rgb24")
            frame.pts = place
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def _drawn(picture: Image.Image, hook: Hook, place: int) -> np.ndarray:
    if hook == "cuts":
        left, top, side = _SHOTS[place // _CUT_EVERY % len(_SHOTS)]
    elif hook == "zoom":
        side = 1.0 - 0.4 * place / (CLIP_SECONDS * _RATE)
        left = top = (1.0 - side) / 2
    else:
        left, top, side = 0.0, 0.0, 1.0
    width, height = picture.size
    box = (left * width, top * height, (left + side) * width, (top + side) * height)
    return np.asarray(picture.resize((CLIP_PIXELS, CLIP_PIXELS), Image.Resampling.BILINEAR, box=box))
