"""What a video is like: its pace, its first three seconds, and the image features of its frames over time.

Here: measuring frames in the order they are shown, one in memory at a time. Not here: decoding, which frames
are sampled and what detectors find in them (`resources.creative_media`).

The hook is the first `HOOK_SECONDS`. Frames may be sampled densely there and sparsely after: every mean is
over time, not over frames, each frame standing for the time until the next. Cuts and motion are seen in
glimpses, tiny pictures a tenth of a second apart: across half a second a fast movement looks like a cut.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from models.creatives.image_features import (
    DETECTED_FEATURES,
    NOTHING_DETECTED,
    PIXEL_FEATURES,
    UNSAFE_FROM,
    FloatArray,
    ImageDetections,
    UInt8Array,
    detected_features,
    pixel_features,
)

VIDEO_FEATURES_VERSION = "video_v1"
HOOK_SECONDS = 3.0
_ENDS = {"mean": np.inf, "hook": HOOK_SECONDS}
_AVERAGED = (*PIXEL_FEATURES, *(name for name in DETECTED_FEATURES if name != "is_unsafe"))
VIDEO_FEATURES = (
    *("duration_seconds", "width", "height", "aspect_ratio", "is_portrait", "is_square", "has_audio"),
    *("cuts_per_second", "seconds_to_first_cut", "motion"),
    *("hook_cuts", "hook_motion", "hook_has_face", "hook_has_text"),
    *(f"mean_{name}" for name in _AVERAGED),
    *(f"hook_{name}" for name in _AVERAGED),
    *("highest_unsafe_probability", "is_unsafe"),
)

_COLOUR_STEPS = 6
# Hellinger. A cut stands out from what is beside it, or a fast movement would be one (real clips: cuts from
# 0.17, movement up to 0.35, but over several glimpses).
_CUT_DISTANCE, _CUT_STANDS_OUT = 0.15, 2.5
# Frames a moment apart hardly differ, however fast a thing moves: motion is between frames this far apart.
_MOTION_SECONDS = 0.4
_SQUARE_WITHIN = 0.05


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


@dataclass(frozen=True)
class Glimpses:
    """Tiny pictures of a video in close succession.

    seconds: since it began, rising, shape (glimpses,). images: RGB, shape (glimpses, height, width, 3).

    Raises:
        ValueError: no glimpse, seconds that do not rise, or of another length than images.
    """

    seconds: FloatArray
    images: UInt8Array

    def __post_init__(self) -> None:
        if not len(self.seconds) or self.images.shape[:1] != self.seconds.shape or self.images.ndim != 4:
            raise ValueError("glimpses: needs one image per second given, and at least one")
        if (np.diff(self.seconds) <= 0).any():
            raise ValueError("glimpses: seconds must rise")


@dataclass
class _Watched:
    """What has been seen of a video up to a frame."""

    means: dict[str, _Mean]
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


def video_features(
    frames: Iterable[SampledFrame], glimpses: Glimpses, facts: VideoFacts
) -> dict[str, float | None]:
    """`VIDEO_FEATURES` of one video; None where a measure is not available.

    cuts: between neighbouring glimpses whose colours are further apart than a threshold and than those
    beside them (Hellinger distance of RGB histograms); dissolves and flashes are none. motion: mean absolute
    difference of luma, as a fraction, per second between glimpses about 0.4 seconds apart without a cut
    between. hook_has_*: whether any frame of the hook shows it. mean_* and hook_*: image features over time;
    those of detectors over the frames on which they ran. highest_unsafe_probability: of any frame.

    Args:
        frames: in the order shown.
        glimpses: of the same video.
        facts: of the video.
    Raises:
        ValueError: no frame, frames out of order, or a duration that is not positive.
    """
    if not facts.duration_seconds > 0:
        raise ValueError(f"duration_seconds: needs more than 0, got {facts.duration_seconds}")
    watched = _Watched(
        {f"{when}_{name}": _Mean(until) for when, until in _ENDS.items() for name in _AVERAGED}
    )
    last: SampledFrame | None = None
    for frame in frames:
        if last is not None:
            if frame.seconds <= last.seconds:
                raise ValueError(f"frames: {frame.seconds} s comes after {last.seconds} s")
            watched.add(last, frame.seconds)
        last = frame
    if last is None:
        raise ValueError("frames: a video without frames has no features")
    watched.add(last, max(facts.duration_seconds, last.seconds + 1e-3))
    cuts = _cuts(glimpses)
    return _row(facts, watched, cuts, _motion(glimpses, cuts))


def _cuts(glimpses: Glimpses) -> FloatArray:
    """When another shot begins, seconds."""
    colours = np.stack([_colours(image) for image in glimpses.images])
    shared = np.sqrt(colours[1:] * colours[:-1]).sum(axis=1)
    # A shot of one glimpse is a flash, so the last glimpse begins none.
    distance = np.concatenate([[0.0], np.sqrt(np.maximum(0.0, 1.0 - shared)), [np.inf]])
    beside = np.maximum(distance[:-2], distance[2:])
    is_cut = distance[1:-1] > np.maximum(_CUT_DISTANCE, _CUT_STANDS_OUT * beside)
    return np.asarray(glimpses.seconds[1:][is_cut])


def _colours(image: UInt8Array) -> FloatArray:
    """Shares of pixels by colour, each divided among the eight grid points around it.

    Whole bins would swing with the noise of a flat colour that lies between two of them.
    """
    place = image.reshape(-1, 3) / 255 * (_COLOUR_STEPS - 1)
    below = np.minimum(place.astype(np.int64), _COLOUR_STEPS - 2)
    part = place - below
    total = np.zeros(_COLOUR_STEPS**3)
    for corner in np.ndindex(2, 2, 2):
        index = (below + corner) @ (_COLOUR_STEPS**2, _COLOUR_STEPS, 1)
        weight = np.where(corner, part, 1 - part).prod(axis=1)
        total += np.bincount(index, weight, minlength=_COLOUR_STEPS**3)
    return total / len(place)


def _motion(glimpses: Glimpses, cuts: FloatArray) -> dict[str, _Mean]:
    motion = {when: _Mean(until) for when, until in _ENDS.items()}
    luma = glimpses.images @ np.array([0.2126, 0.7152, 0.0722]) / 255
    before = 0
    for place, seconds in enumerate(glimpses.seconds):
        if seconds in cuts:
            before = place
        elif (apart := seconds - glimpses.seconds[before]) >= _MOTION_SECONDS - 1e-6:
            moved = float(np.abs(luma[place] - luma[before]).mean() / apart)
            for mean in motion.values():
                mean.add(moved, float(glimpses.seconds[before]), float(seconds))
            before = place
    return motion


def _row(
    facts: VideoFacts, watched: _Watched, cuts: FloatArray, motion: dict[str, _Mean]
) -> dict[str, float | None]:
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
        "cuts_per_second": len(cuts) / facts.duration_seconds,
        "seconds_to_first_cut": float(cuts[0]) if cuts.size else None,
        "motion": motion["mean"].value,
        "hook_cuts": float((cuts < HOOK_SECONDS).sum()),
        "hook_motion": motion["hook"].value,
        "hook_has_face": watched.in_hook["face"],
        "hook_has_text": watched.in_hook["text"],
        **{name: mean.value for name, mean in watched.means.items()},
        "highest_unsafe_probability": unsafe,
        "is_unsafe": None if unsafe is None else float(unsafe >= UNSAFE_FROM),
    }
    return {name: row[name] for name in VIDEO_FEATURES}
