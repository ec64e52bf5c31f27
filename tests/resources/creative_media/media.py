"""Images and videos made for tests: whole ones, and every way to break them."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import av
import numpy as np
from PIL import Image


def picture(width: int = 64, height: int = 48, seed: int = 1) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def bomb_png(side: int) -> bytes:
    """A PNG of a few kilobytes that claims side x side pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(4_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def scene(place: int, width: int, height: int) -> np.ndarray:
    """A moving bar on one of three grounds, which change every second and a half at ten frames a second."""
    frame = np.full(
        (height, width, 3), [(180, 40, 40), (40, 160, 60), (30, 60, 200)][place // 15 % 3], np.uint8
    )
    at = width - 8 - abs(place * 3 % (2 * width - 16) - width + 8)  # to the right and back: it never jumps
    frame[:, at : at + 8] = 255
    return frame


def video(
    frames: int = 60,
    *,
    width: int = 96,
    height: int = 64,
    rate: int = 10,
    container: str = "mp4",
    codec: str = "mpeg4",
    options: dict[str, str] | None = None,
    audio_seconds: float = 0.0,
) -> bytes:
    file = BytesIO()
    with av.open(file, "w", format=container, options=options or {}) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        sound = output.add_stream("aac", rate=8000) if audio_seconds else None
        for place in range(frames):
            frame = av.VideoFrame.from_ndarray(scene(place, width, height), format="rgb24")
            frame.pts = place
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound is not None:
            samples = np.zeros((1, int(8000 * audio_seconds)), dtype=np.float32)
            piece = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            piece.sample_rate, piece.pts = 8000, 0
            output.mux(sound.encode(piece))
            output.mux(sound.encode(None))
    return file.getvalue()


FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
"""An MP4 whose index comes first and piece by piece: its head plays while the rest is missing."""


def sound_alone() -> bytes:
    file = BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=8000)
        piece = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        piece.sample_rate, piece.pts = 8000, 0
        output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return file.getvalue()


def turned_right(content: bytes) -> bytes:
    """The same MP4 with a display matrix that turns it a quarter clockwise, as phones write it."""
    upright = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    turned = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    start = content.index(upright, content.index(b"tkhd"))
    return content[:start] + turned + content[start + len(turned) :]


def boxes(content: bytes) -> list[tuple[bytes, bytes]]:
    """The boxes of an MP4 at its top level, by name."""
    found, at = [], 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        found.append((content[at + 4 : at + 8], content[at : at + size]))
        at += size
    return found


def index_first(content: bytes) -> bytes:
    """The same MP4 with its index before its frames, as it is served for streaming."""
    parts = dict(boxes(content))
    moved = len(parts[b"moov"])
    index = bytearray(parts.pop(b"moov"))
    at = index.index(b"stco")
    for place in range(int.from_bytes(index[at + 8 : at + 12], "big")):
        where = slice(at + 12 + 4 * place, at + 16 + 4 * place)
        index[where] = (int.from_bytes(index[where], "big") + moved).to_bytes(4, "big")
    return parts.pop(b"ftyp") + bytes(index) + b"".join(parts.values())


def without_frames() -> bytes:
    """An MP4 that announces a picture and holds no frame of it: the head of a fragmented one."""
    return b"".join(body for name, body in boxes(video(5, options=FRAGMENTED)) if name in (b"ftyp", b"moov"))
