"""Why a file of a creative is set aside: a code for counting, a sentence for a person.

Here: the reasons. Not here: finding them (`images`, `videos`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a file was not decoded."""

    MISSING = "missing"
    EMPTY = "empty"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_LONG = "too_long"
    NOT_AN_IMAGE = "not_an_image"
    NOT_A_VIDEO = "not_a_video"
    NO_VIDEO_STREAM = "no_video_stream"
    NO_FRAMES = "no_frames"
    NO_DURATION = "no_duration"
    BROKEN = "broken"  # begins as it should, and is cut off or corrupt after


@dataclass(frozen=True)
class Refused:
    """A file that was set aside. detail: what it is and what a person can do."""

    reason: Reason
    detail: str

    def __str__(self) -> str:
        return self.detail
