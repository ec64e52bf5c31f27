"""What a video is like: its pace, its first three seconds, and the image features of its frames over time.

Here: measuring frames in the order they are shown, one in memory at a time. Not here: decoding, which frames
are sampled and what detectors find in them (`resources.creative_media`).

The hook is the first `HOOK_SECONDS`. Frames may be sampled densely there and sparsely after: every mean is
over time, not over frames, each frame standing for the time until the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from models.creatives.image_features import (
    DETECTED_FEATURES,
    NOTHING_DETECTED,
    PIXEL_FEATURES,
    ImageDetections,
    UInt8Array,
    detected_features,
    pixel_features,
    reduced,
)

VIDEO_FEATURES_VERSION = "video_v1"
HOOK_SECONDS = 3.0
_AVERAGED = (*PIXEL_FEATURES, *(name for name in DETECTED_FEATURES if name != "is_unsafe"))
VIDEO_FEATURES = (
    *("duration_seconds", "width", "height", "aspect_ratio", "is_portrait", "is_square", "has_audio"),
    *("cuts_per_second", "seconds_to_first_cut", "motion"),
    *("hook_cuts", "hook_motion", "hook_has_face", "hook_has_text"),
    *(f"mean_{name}" for name in _AVERAGED),
    *(f"hook_{name}" for name in _AVERAGED),
    *("highest_unsafe_probability", "is_unsafe"),
)

_COLOUR_BINS = 8
_CUT_DISTANCE = 0.45  # Hellinger; within a shot frames half a second apart stay below 0.3
_MOTION_SIDE = 64
# Frames a moment apart hardly differ, however fast a thing moves: motion is between frames this far apart.
_MOTION_SECONDS = 0.4
_SQUARE_WITHIN = 0.05
_UNSAFE_FROM = 0.5


@dataclass(frozen=True)
class VideoFacts:
    """What a container says. duration_seconds: of what is shown; width, height: as shown, after rotation."""

    duration_seconds: float
    width: int
    height: int
    has_audio: bool


@dataclass(frozen=True)
class SampledFrame:
    """seconds: since the video began. image: RGB, (height, width, 3). detections: where detectors ran."""

    seconds: float
    image: UInt8Array
    detections: ImageDetections = NOTHING_DETECTED


@dataclass
class _Mean:
    """A mean over time, in a window that ends somewhere."""

    until: float
    total: float = 0.0
    seconds: float = 0.0

    def add(self, value: float | None, begins: float, ends: float) -> None:
        if value is not None and (shown := min(ends, self.until) - min(begins, self.until)) > 0:
            self.total += value * shown
            self.seconds += shown

    @property
    def value(self) -> float | None:
        return self.total / self.seconds if self.seconds else None


@dataclass
class _Watched:
    """What has been seen of a video up to a frame."""

    means: dict[str, _Mean]
    cuts: list[float] = field(default_factory=list)
    in_hook: dict[str, float | None] = field(default_factory=lambda: {"face": None, "text": None})
    most_unsafe: float | None = None

    def add(self, frame: SampledFrame, ends: float) -> None:
        row = pixel_features(frame.image) | detected_features(frame.image, frame.detections)
        for name in _AVERAGED:
            self.means[f"mean_{name}"].add(row[name], frame.seconds, ends)
            self.means[f"hook_{name}"].add(row[name], frame.seconds, ends)
        if frame.seconds < HOOK_SECONDS:
            for what, count in (("face", row["face_count"]), ("text", row["text_box_count"])):
                if count is not None:
                    self.in_hook[what] = max(self.in_hook[what] or 0.0, float(count > 0))
        if (unsafe := row["unsafe_probability"]) is not None:
            self.most_unsafe = max(self.most_unsafe or 0.0, unsafe)


def video_features(frames: Iterable[SampledFrame], facts: VideoFacts) -> dict[str, float | None]:
    """`VIDEO_FEATURES` of one video; None where a measure is not available.

    cuts: between neighbouring frames whose colours are further apart than a threshold (Hellinger distance of
    RGB histograms); sampled at n frames a second, at most n cuts a second are seen. motion: mean
    absolute difference of luma, as a fraction, per second between frames about 0.4 seconds apart without a
    cut between.
    hook_has_*: whether any frame of the hook shows it. mean_* and hook_*: image features over time; those of
    detectors over the frames on which they ran. highest_unsafe_probability: of any frame.

    Args:
        frames: in the order shown.
        facts: of the video.
    Raises:
        ValueError: no frame, frames out of order, or a duration that is not positive.
    """
    if not facts.duration_seconds > 0:
        raise ValueError(f"duration_seconds: needs more than 0, got {facts.duration_seconds}")
    ends = {"mean": np.inf, "hook": HOOK_SECONDS}
    watched = _Watched({f"{when}_{name}": _Mean(until) for when, until in ends.items() for name in _AVERAGED})
    motion = {when: _Mean(until) for when, until in ends.items()}
    last: SampledFrame | None = None
    colours, compared = np.empty(0), (0.0, np.empty((0, 0)))
    for frame in frames:
        found, small = _colours(frame.image), _small_luma(frame.image)
        if last is None:
            compared = (frame.seconds, small)
        else:
            if frame.seconds <= last.seconds:
                raise ValueError(f"frames: {frame.seconds} s comes after {last.seconds} s")
            watched.add(last, frame.seconds)
            if _distance(colours, found) > _CUT_DISTANCE:
                watched.cuts.append(frame.seconds)
                compared = (frame.seconds, small)
            elif (apart := frame.seconds - compared[0]) >= _MOTION_SECONDS:
                moved = float(np.abs(small - compared[1]).mean()) / apart
                for mean in motion.values():
                    mean.add(moved, compared[0], frame.seconds)
                compared = (frame.seconds, small)
        last, colours = frame, found
    if last is None:
        raise ValueError("frames: a video without frames has no features")
    watched.add(last, max(facts.duration_seconds, last.seconds + 1e-3))
    return _row(facts, watched, motion)


def _row(facts: VideoFacts, watched: _Watched, motion: dict[str, _Mean]) -> dict[str, float | None]:
    ratio = facts.width / facts.height
    unsafe = watched.most_unsafe
    row: dict[str, float | None] = {
        "duration_seconds": facts.duration_seconds,
        "width": float(facts.width),
        "height": float(facts.height),
        "aspect_ratio": ratio,
        "is_portrait": float(ratio < 1 - _SQUARE_WITHIN),
        "is_square": float(abs(ratio - 1) <= _SQUARE_WITHIN),
        "has_audio": float(facts.has_audio),
        "cuts_per_second": len(watched.cuts) / facts.duration_seconds,
        "seconds_to_first_cut": watched.cuts[0] if watched.cuts else None,
        "motion": motion["mean"].value,
        "hook_cuts": float(sum(seconds < HOOK_SECONDS for seconds in watched.cuts)),
        "hook_motion": motion["hook"].value,
        "hook_has_face": watched.in_hook["face"],
        "hook_has_text": watched.in_hook["text"],
        **{name: mean.value for name, mean in watched.means.items()},
        "highest_unsafe_probability": unsafe,
        "is_unsafe": None if unsafe is None else float(unsafe >= _UNSAFE_FROM),
    }
    return {name: row[name] for name in VIDEO_FEATURES}


def _colours(image: UInt8Array) -> npt.NDArray[np.float64]:
    """Shares of pixels by colour: 8 steps of red, green and blue each."""
    small = reduced(image, 2 * _MOTION_SIDE).astype(np.int64) * _COLOUR_BINS // 256
    index = (small[..., 0] * _COLOUR_BINS + small[..., 1]) * _COLOUR_BINS + small[..., 2]
    counts = np.bincount(index.ravel(), minlength=_COLOUR_BINS**3)
    return np.asarray(counts / index.size)


def _distance(before: npt.NDArray[np.float64], after: npt.NDArray[np.float64]) -> float:
    """Hellinger distance of two histograms: 0 the same, 1 no colour in common."""
    return float(np.sqrt(max(0.0, 1.0 - np.sqrt(before * after).sum())))


def _small_luma(image: UInt8Array) -> npt.NDArray[np.float64]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_MOTION_SIDE, _MOTION_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small / 255.0)
