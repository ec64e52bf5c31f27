"""Asking a REST API: one request, one reply with its JSON read exactly, or a PlatformError.

Here: TLS, time limits, broken transport and broken bodies, what a bare HTTP status means. Not here: what a
platform's own codes mean (each connector), retries and waiting (`fetching`, `pacing`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.scrubbing import Scrubber
from resources.settings import SettingsError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_LONGEST_MESSAGE = 400


@dataclass(frozen=True)
class Reply:
    """A whole answer; `body` is None where an error came without JSON, or success without a word."""

    status: int
    headers: Mapping[str, str]
    body: Any


class RestClient:
    """Requests to one platform with one set of credentials.

    Numbers of the JSON keep every digit (int and Decimal, never float).

    Args:
        platform: name in messages.
        endpoint: https, or http on loopback.
        secrets: texts that may not appear in any message.
        timeout_seconds: longest wait for a connection, and for each piece of an answer.
    Raises:
        SettingsError: as `require_private`.
    """

    def __init__(
        self,
        platform: str,
        endpoint: str,
        *,
        headers: Mapping[str, str],
        secrets: tuple[str, ...],
        timeout_seconds: float,
        basic: tuple[str, str] | None = None,
    ) -> None:
        require_private(platform, endpoint)
        self._platform = platform
        self._scrub = Scrubber(secrets)
        self._timeout = timeout_seconds
        self._client = httpx.Client(
            base_url=endpoint,
            headers={"Accept": "application/json", **headers},
            auth=basic,
            timeout=timeout_seconds,
            # A proxy or .netrc of the machine is no place for these credentials.
            trust_env=False,
        )

    def get(self, url: str, query: Mapping[str, str] | None = None) -> Reply:
        """The reply to a GET of `url` (path, perhaps with its query) below the endpoint.

        Raises:
            PlatformError: TRANSIENT where no whole answer came: no connection, too slow, cut, or no JSON
                although the status says success.
        """
        return self._ask("GET", url, params=query)

    def post(self, url: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Reply:
        """The reply to a POST of a JSON object; where no whole answer came, it may have been done or not.

        Raises:
            PlatformError: as `get`.
        """
        return self._ask("POST", url, json=body, headers=headers)

    def _ask(self, method: str, url: str, **what: Any) -> Reply:
        try:
            response = self._client.request(method, url, **what)
        except httpx.TimeoutException:
            self.refuse(ErrorClass.TRANSIENT, f"no answer within {self._timeout:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The text of such an error may hold the URL; its type says enough.
            self.refuse(ErrorClass.TRANSIENT, f"the connection failed ({type(error).__name__})")
        if response.status_code == HTTPStatus.NO_CONTENT:
            return Reply(response.status_code, response.headers, None)
        try:
            body = json.loads(response.content, parse_float=Decimal, parse_constant=_no_number)
        except ValueError:
            body = None
            if response.status_code < 400:
                kind = response.headers.get("Content-Type", "no type")
                self.refuse(
                    ErrorClass.TRANSIENT,
                    f"HTTP {response.status_code}, but the body is no whole JSON "
                    f"({kind}, {len(response.content)} bytes)",
                )
        return Reply(response.status_code, response.headers, body)

    def refuse(self, error_class: ErrorClass, message: str, wait_seconds: float | None = None) -> NoReturn:
        """Raise a PlatformError in the platform's name, without secrets."""
        text = self._scrub(message)
        if len(text) > _LONGEST_MESSAGE:
            text = text[:_LONGEST_MESSAGE] + " …"
        raise PlatformError(error_class, f"{self._platform}: {text}", wait_seconds) from None

    def refuse_status(self, reply: Reply, message: str = "") -> NoReturn:
        """Raise what a bare HTTP status means."""
        said = f"HTTP {reply.status}" + (f": {message}" if message else "")
        match reply.status:
            case 401 | 403:
                self.refuse(ErrorClass.AUTH, f"{said}. Check the credentials and what they may read.")
            case 413 | 414:
                self.refuse(ErrorClass.SHRINK, said)
            case 429:
                self.refuse(ErrorClass.THROTTLE, said, seconds(reply.headers.get("Retry-After")))
            case 408 | 425:
                self.refuse(ErrorClass.TRANSIENT, said)
            case status if status >= 500:
                self.refuse(ErrorClass.TRANSIENT, said)
            case _:
                self.refuse(ErrorClass.PERMANENT, said)

    def malformed(self, what: str) -> NoReturn:
        """Raise that an answer lacks what it must have: it cannot be taken for a complete one."""
        self.refuse(ErrorClass.TRANSIENT, f"malformed answer: {what}")

    def close(self) -> None:
        self._client.close()


def require_private(platform: str, endpoint: str) -> None:
    """Raises: SettingsError where credentials would go there in the clear: neither https nor this machine."""
    parts = urlsplit(endpoint)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise SettingsError(f"{platform}: the endpoint must begin with https:// (found {endpoint!r})")


def is_loopback(endpoint: str) -> bool:
    """Whether an endpoint, a URL or host:port, is this machine."""
    return urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname in LOOPBACK


def seconds(text: str | None) -> float | None:
    """A header that names seconds; None where it is absent or something else."""
    try:
        wait = float(text) if text is not None else None
    except ValueError:
        return None
    return wait if wait is not None and 0 <= wait < float("inf") else None


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
