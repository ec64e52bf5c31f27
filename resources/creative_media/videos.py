"""Bytes of a video nobody vouches for, as a few small frames; or why not.

Here: which containers, how long and large, which frames are sampled, what is left of a video that breaks off.
Not here: what is measured of the frames (`models.creatives`).

The container is told from its first bytes and opened as that and nothing else: a demuxer that guesses would
follow a playlist to other files and addresses. Only frames that are kept are turned into pixels, small ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from resources.creative_media.images import read_file
from resources.creative_media.refusals import Reason, Refused

if TYPE_CHECKING:
    import av
    import numpy as np
    import numpy.typing as npt

_MATROSKA = b"\x1aE\xdf\xa3"
_MP4_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_WANTED = "MP4, MOV or WebM"
_GLIMPSE = (64, 36)  # width, height: 7 kB each, so ten minutes take 41 MB
_CUT_OFF_SECONDS = 0.5  # what a container's clock may claim beyond its last frame
_CUT_OFF_SHARE = 0.05


@dataclass(frozen=True)
class VideoLimits:
    """What is decoded at most.

    most_bytes: of the file. most_seconds: of what it claims to last. most_pixels: of one frame. most_decoded:
    frames decoded; a video with more is read up to there. shortest_seconds: less is no video.
    hook_seconds, hook_frames: from the first seconds every frame is kept, or as many, evenly spread.
    frames_per_second, later_frames: kept after that, thinned evenly where the video is long.
    longest_side: of kept frames, in pixels. glimpses_per_second: tiny pictures beside them, in which cuts and
    motion are seen.
    """

    most_bytes: int = 200 * 1024 * 1024
    most_seconds: float = 600.0
    most_pixels: int = 4096 * 2304
    most_decoded: int = 20_000
    shortest_seconds: float = 0.1
    hook_seconds: float = 3.0
    hook_frames: int = 45
    frames_per_second: float = 2.0
    later_frames: int = 120
    longest_side: int = 480
    glimpses_per_second: float = 10.0


DEFAULT_VIDEO_LIMITS = VideoLimits()


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """seconds: since the first frame. pixels: RGB, uint8, (height, width, 3), upright."""

    seconds: float
    pixels: npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class DecodedVideo:
    """What is shown of a video.

    Attributes:
        frames: in order, at most `hook_frames` + `later_frames` of the limits.
        duration_seconds: of what was decoded, the time the last frame is shown included.
        width, height: pixels of the file itself, upright.
        glimpses: RGB, uint8, (glimpses, height, width, 3), as wide and high as coded; glimpse_seconds: when.
        notes: what is missing, for a person; none: the video was read to its end.
    """

    frames: tuple[VideoFrame, ...]
    duration_seconds: float
    width: int
    height: int
    has_audio: bool
    glimpse_seconds: npt.NDArray[np.float64]
    glimpses: npt.NDArray[np.uint8]
    notes: tuple[str, ...]


def decode_video(content: bytes | Path, limits: VideoLimits = DEFAULT_VIDEO_LIMITS) -> DecodedVideo | Refused:
    """Sampled frames of a video, or why there are none; whatever the bytes, only MemoryError is raised.

    Where the head of a broken video decodes, that much is given, with a note.

    Args:
        content: the file's bytes, or where it lies.
    """
    read = read_file(content, limits.most_bytes)
    if isinstance(read, Refused):
        return read
    demuxer = _demuxer(read)
    if demuxer is None:
        return _no_video()
    import av  # noqa: PLC0415 - loads FFmpeg

    try:
        with av.open(BytesIO(read), mode="r", format=demuxer, metadata_errors="ignore") as container:
            return _decoded(container, limits)
    except Exception as error:  # FFmpeg's errors are many, and a broken file may lead PyAV to others
        _raise_own_shortage(error)
        detail = f"The video is cut off or corrupt ({_said(error)}). Fetch or export it again."
        return Refused(Reason.BROKEN, detail)


@dataclass(frozen=True)
class VideoType:
    """What a video's first bytes say it is. extension: of a file that holds it."""

    content_type: str
    extension: str


_TYPES = {"mp4": VideoType("video/mp4", "mp4"), "matroska": VideoType("video/webm", "webm")}


def recognise_video(content: bytes, limits: VideoLimits = DEFAULT_VIDEO_LIMITS) -> VideoType | Refused:
    """What bytes begin as, or why they are no video; nothing is decoded."""
    read = read_file(content, limits.most_bytes)
    if isinstance(read, Refused):
        return read
    demuxer = _demuxer(read)
    return _no_video() if demuxer is None else _TYPES[demuxer]


def _no_video() -> Refused:
    detail = f"The file is no {_WANTED}, whatever it is called. Export it as one of these."
    return Refused(Reason.NOT_A_VIDEO, detail)


def _demuxer(content: bytes) -> str | None:
    if content.startswith(_MATROSKA):
        return "matroska"
    return "mp4" if content[4:8] in _MP4_BOXES else None


def _decoded(container: av.container.InputContainer, limits: VideoLimits) -> DecodedVideo | Refused:
    if not container.streams.video:
        return Refused(Reason.NO_VIDEO_STREAM, "The file holds no moving picture. Export it with its video.")
    stream = container.streams.video[0]
    claimed = _claimed_seconds(container, stream)
    if claimed is not None and claimed > limits.most_seconds:
        detail = f"The video lasts {claimed:.0f} s; at most {limits.most_seconds:.0f} s are decoded. Cut it."
        return Refused(Reason.TOO_LONG, detail)
    if (pixels := stream.codec_context.width * stream.codec_context.height) > limits.most_pixels:
        return Refused(
            Reason.TOO_MANY_PIXELS,
            f"A frame has {pixels / 1e6:.1f} million pixels; at most {limits.most_pixels / 1e6:.1f} million "
            "are decoded. Export it smaller.",
        )
    stream.codec_context.thread_count = 1
    # The size may change midway; the decoder itself refuses to take memory for more.
    stream.codec_context.options = {"max_pixels": str(limits.most_pixels)}
    reading = _Reading(limits, claimed)
    failure = reading.read(container, stream)
    if reading.size is None:
        if failure is not None:
            detail = f"No frame of the video decodes ({_said(failure)}). Fetch or export it again."
            return Refused(Reason.BROKEN, detail)
        return Refused(Reason.NO_FRAMES, "The video holds no frame. Export it again.")
    if reading.lasts < limits.shortest_seconds:
        detail = f"The video lasts {reading.lasts:.2f} s: it is a still, not a video. Export it again."
        return Refused(Reason.NO_DURATION, detail)
    import numpy as np  # noqa: PLC0415

    width, height = reading.size
    return DecodedVideo(
        frames=tuple(reading.frames()),
        duration_seconds=reading.lasts,
        width=width,
        height=height,
        has_audio=bool(container.streams.audio),
        glimpse_seconds=np.array([glimpse.seconds for glimpse in reading.glimpses]),
        glimpses=np.stack([glimpse.pixels for glimpse in reading.glimpses]),
        notes=tuple(reading.notes(failure)),
    )


def _raise_own_shortage(error: Exception) -> None:
    """Python's want of memory says nothing of the file, and a refusal is for good; FFmpeg's does."""
    import av  # noqa: PLC0415

    if isinstance(error, MemoryError) and not isinstance(error, av.FFmpegError):
        raise error


def _said(error: Exception) -> str:
    """FFmpeg's words without its number and the name of a file that has none."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _claimed_seconds(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / 1e6


class _Reading:
    """Frames as they are decoded, and which of them are kept."""

    def __init__(self, limits: VideoLimits, claimed: float | None) -> None:
        self._limits = limits
        self._claimed = claimed
        self._hook: list[VideoFrame] = []
        self._later: list[VideoFrame] = []
        self._gaps = 1 / limits.hook_frames * limits.hook_seconds, 1 / limits.frames_per_second
        if claimed is not None and limits.later_frames:
            self._gaps = (
                self._gaps[0],
                max(self._gaps[1], (claimed - limits.hook_seconds) / limits.later_frames),
            )
        self._glimpse_gap = 1 / limits.glimpses_per_second
        self._due = 0.0
        self._decoded = 0
        self._stopped = False
        self._first: float | None = None
        self._last = 0.0
        self._step = 0.0
        self.size: tuple[int, int] | None = None
        self.glimpses: list[VideoFrame] = []

    def read(
        self, container: av.container.InputContainer, stream: av.video.stream.VideoStream
    ) -> Exception | None:
        """Decode to the end or to a limit; returns what broke it off."""
        try:
            for frame in container.decode(stream):
                self._add(frame)
                if self._stopped:
                    return None
        except Exception as error:  # a broken tail: what came before it is whole
            _raise_own_shortage(error)
            return error
        return None

    @property
    def lasts(self) -> float:
        """Seconds from the first frame to the end of the last."""
        return self._last + self._step if self._decoded else 0.0

    def frames(self) -> Iterator[VideoFrame]:
        yield from self._hook
        yield from self._later

    def notes(self, failure: Exception | None) -> Iterator[str]:
        if failure is not None:
            yield f"The video breaks off after {self.lasts:.1f} s ({_said(failure)}); only that was read."
        elif self._stopped:
            yield f"Only the first {self._decoded:,} frames ({self.lasts:.1f} s) were decoded."
        elif (claimed := self._claimed or 0.0) - self.lasts > max(_CUT_OFF_SECONDS, _CUT_OFF_SHARE * claimed):
            yield f"The video is cut off: it should last {claimed:.1f} s and ends after {self.lasts:.1f} s."

    def _add(self, frame: av.VideoFrame) -> None:
        seconds = frame.time
        self._first = seconds if self._first is None else self._first
        # Without a clock of its own a frame is shown when the one before it ends.
        at = self._last + self._step if seconds is None or self._first is None else seconds - self._first
        if at > self._limits.most_seconds:  # longer than it claimed, or its clock has jumped
            self._stopped = True
            return
        self._decoded += 1
        self._stopped = self._decoded >= self._limits.most_decoded
        if self._decoded > 1:
            if at <= self._last:  # a broken clock; counted against the limit, and not shown
                return
            self._step = at - self._last
        elif frame.duration and frame.time_base is not None:
            # A frame cannot be shown for longer than the whole lasts.
            whole = self._limits.most_seconds if self._claimed is None else self._claimed
            self._step = min(float(frame.duration * frame.time_base), whole)
        self._last = at
        if self.size is None:
            upright = frame.rotation % 180 == 0
            self.size = (frame.width, frame.height) if upright else (frame.height, frame.width)
        if not self.glimpses or at - self.glimpses[-1].seconds >= self._glimpse_gap - self._step / 2:
            self.glimpses.append(VideoFrame(at, _scaled(frame, *_GLIMPSE)))
        if at >= self._due - self._step / 2:
            self._keep(frame, at)

    def _keep(self, frame: av.VideoFrame, at: float) -> None:
        in_hook = at < self._limits.hook_seconds
        kept, most = (
            (self._hook, self._limits.hook_frames) if in_hook else (self._later, self._limits.later_frames)
        )
        if len(kept) < most:
            due = self._due if kept else at
            self._due = max(due + self._gaps[0 if in_hook else 1], at)
            kept.append(VideoFrame(at, _small(frame, self._limits.longest_side)))


def _small(frame: av.VideoFrame, longest_side: int) -> npt.NDArray[np.uint8]:
    import numpy as np  # noqa: PLC0415

    scale = min(1.0, longest_side / max(frame.width, frame.height))
    # Even, or the scaler pads rows.
    width, height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(_scaled(frame, width, height), turns), dtype=np.uint8)


def _scaled(frame: av.VideoFrame, width: int, height: int) -> npt.NDArray[np.uint8]:
    import numpy as np  # noqa: PLC0415

    scaled = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
    return np.asarray(scaled.to_ndarray(), dtype=np.uint8)
