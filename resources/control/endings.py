"""How a change ends in a round of the writer, and what a platform's refusal means for it.

Here: the exception a step ends with. Not here: the steps (`writer`, `launch_writer`).
"""

from __future__ import annotations

from resources.connectors.errors import ErrorClass, PlatformError

FINAL = (ErrorClass.PERMANENT, ErrorClass.SHRINK)
NOT_DONE = (ErrorClass.THROTTLE, ErrorClass.DEFER, ErrorClass.AUTH)
"""The platform or the login is out of order, not the change: its others wait too."""


class Ended(Exception):
    """A change goes no further in this round.

    Args:
        status: what it is from now on; None: what it was, it waits.
        leaves_alone: nothing else is sent to the platform in this round either.
    """

    def __init__(self, status: str | None, message: str, *, leaves_alone: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.leaves_alone = leaves_alone


def waits(error: PlatformError) -> Ended:
    """The change is tried again in the next round."""
    return Ended(None, str(error), leaves_alone=error.error_class in NOT_DONE)
