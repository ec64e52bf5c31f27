"""What may go wrong while pulling, by what is to be done about it.

Here: the classes and the one exception connectors raise. Not here: which platform code means which class
(each connector's own module), the waiting itself (`pacing`).
"""

from __future__ import annotations

from enum import StrEnum


class ErrorClass(StrEnum):
    """What to do: wait as told, wait for the next quota window, ask for less, try again, stop, give up.

    OTHER_FORMAT is no platform's fault: files hold the same days, and a person says which are to count.
    """

    THROTTLE = "THROTTLE"
    DEFER = "DEFER"
    SHRINK = "SHRINK"
    TRANSIENT = "TRANSIENT"
    AUTH = "AUTH"
    PERMANENT = "PERMANENT"
    OTHER_FORMAT = "OTHER_FORMAT"


class PlatformError(Exception):
    """A call failed, sorted by what is to be done.

    Raise it `from None`: the SDKs' own exceptions carry access tokens in their texts and requests.

    Args:
        error_class: what to do.
        message: what the platform said, without secrets; ends with a remedy where a person must act.
        wait_seconds: how long the platform asks to wait, where it says so.
    """

    def __init__(self, error_class: ErrorClass, message: str, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.error_class = error_class
        self.wait_seconds = wait_seconds


class MissingCredentials(Exception):
    """A source has no credentials; the message names the variables to set and what checks them."""
