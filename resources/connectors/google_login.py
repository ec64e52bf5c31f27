"""The header that lets a call in at Google, for every Google API alike.

Here: renewing access tokens beside the call. Not here: which credentials there are (each source's own).
"""

from __future__ import annotations

import functools
import threading
from typing import Any

from google.auth.exceptions import RefreshError, TransportError
from google.auth.transport.requests import Request

from resources.connectors.errors import ErrorClass, PlatformError

_LONGEST_RENEWAL = 60.0


class GoogleLogin:
    """Signs calls with an access token that is renewed first where it has run out.

    Renewed within the call by the SDK, a revoked key reads as 503 and would be retried for ever.

    Args:
        google: google-auth's credentials.
        who: the source, as its errors begin.
        remedy: what a person whom Google refuses should do.
    """

    def __init__(self, google: Any, timeout_seconds: float, who: str, remedy: str) -> None:
        self._google = google
        self._timeout_seconds = min(timeout_seconds, _LONGEST_RENEWAL)
        self._who = who
        self._remedy = remedy
        self._signing = threading.Lock()

    @property
    def token(self) -> str | None:
        """The access token now in use, for scrubbing."""
        token: str | None = self._google.token
        return token

    def signature(self) -> list[tuple[str, str]]:
        """Headers that carry the access token.

        Raises:
            PlatformError: AUTH where Google refuses to renew it, TRANSIENT where it cannot be asked.
        """
        with self._signing:
            if not self._google.valid:
                self._renew()
            headers: dict[str, str] = {}
            self._google.apply(headers)
        return list(headers.items())

    def _renew(self) -> None:
        try:
            self._google.refresh(functools.partial(Request(), timeout=self._timeout_seconds))
        except RefreshError as error:
            again = bool(getattr(error, "retryable", False))
        except TransportError:
            again = True
        else:
            return
        # Outside the handlers: Google's own text may quote the key.
        if again:
            raise PlatformError(
                ErrorClass.TRANSIENT, f"{self._who}: Google's token server could not be reached."
            )
        raise PlatformError(
            ErrorClass.AUTH,
            f"{self._who}: Google refused to renew the access token: the login or its key is expired, "
            f"revoked or wrong. {self._remedy}",
        )
