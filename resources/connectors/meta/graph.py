"""Calls to the Graph API through Meta's SDK: one answer at a time, checked, and lists page by page.

Here: session, timeouts, reading bodies, paging. Not here: what is asked (`insights`, `entities`), which error
is which (`errors`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from facebook_business.api import FacebookAdsApi  # type: ignore[import-untyped]
from facebook_business.exceptions import FacebookError  # type: ignore[import-untyped]
from facebook_business.session import FacebookSession  # type: ignore[import-untyped]

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.http import require_private
from resources.connectors.meta.credentials import MetaCredentials
from resources.connectors.meta.errors import advised_wait, refusal
from resources.connectors.scrubbing import Scrubber

API_VERSION = "v26.0"
LIVE = "https://graph.facebook.com"

_SECRET_PARAMETERS = ("access_token", "appsecret_proof")

Row = dict[str, Any]


@dataclass(frozen=True)
class Answered:
    """The JSON object of an answer; `wait_seconds` is what its usage headers advise."""

    body: Mapping[str, Any]
    wait_seconds: float


class Graph:
    """The Graph API for one token.

    Args:
        base_url: scheme and host, without the version.
        timeout_seconds: for connecting, and for each silence while reading; the SDK itself waits for ever.
    Raises:
        SettingsError: as `require_private`.
    """

    def __init__(
        self, credentials: MetaCredentials, base_url: str = LIVE, timeout_seconds: float = 60.0
    ) -> None:
        require_private("Meta", base_url)
        session = FacebookSession(
            app_secret=credentials.app_secret,
            access_token=credentials.access_token,
            timeout=timeout_seconds,
        )
        session.GRAPH = base_url.rstrip("/")
        proof = getattr(session, "appsecret_proof", "")
        self.secrets = [s for s in (credentials.access_token, credentials.app_secret or "", proof) if s]
        self._scrub = Scrubber(self.secrets)
        # The SDK takes an HTML page for success and stumbles over odd errors, losing their status:
        # what it received is read here instead.
        self._received = threading.local()
        session.requests.hooks["response"].append(self._note)
        self._api = FacebookAdsApi(session, api_version=API_VERSION)

    def _note(self, response: requests.Response, *_: Any, **__: Any) -> None:
        self._received.response = response

    def call(
        self, method: str, path: tuple[str, ...], params: Mapping[str, Any], *, new_object: bool = False
    ) -> Answered:
        """One call.

        Args:
            new_object: the object was made a moment ago, and may not be known everywhere yet.
        Raises:
            PlatformError: refused, unreadable or unanswered; without the token in its text.
        """
        self._received.response = None
        what = f"{method} {'/'.join(path)}"
        try:
            self._api.call(method, path, params=dict(params))
        except requests.RequestException as error:
            kind = type(error).__name__  # its text has the URL, and the URL has the token
            raise PlatformError(ErrorClass.TRANSIENT, f"Meta did not answer {what}: {kind}.") from None
        except (FacebookError, TypeError, ValueError, KeyError, AttributeError):
            pass
        response: requests.Response | None = self._received.response
        if response is None:
            raise PlatformError(ErrorClass.PERMANENT, f"Meta's SDK refused to send {what}.")
        try:
            body = json.loads(response.content, parse_float=Decimal)
        except ValueError:
            body = None
        if not isinstance(body, Mapping):
            kind = response.headers.get("Content-Type", "no type")
            raise PlatformError(
                ErrorClass.TRANSIENT,
                f"Meta answered {what} with something that is no whole JSON object "
                f"(HTTP {response.status_code}, {kind}).",
            )
        told = body.get("error")
        if isinstance(told, Mapping):
            refused = refusal(told, response.status_code, response.headers, new_object=new_object)
            raise PlatformError(refused.error_class, self._scrub(f"{what}: {refused}"), refused.wait_seconds)
        if told is not None or response.status_code >= 400:
            raise PlatformError(
                ErrorClass.TRANSIENT, f"Meta answered {what} with HTTP {response.status_code} and no reason."
            )
        return Answered(body, advised_wait(response.headers))

    def pages(
        self, path: tuple[str, ...], params: Mapping[str, Any], *, new_object: bool = False
    ) -> Iterator[tuple[list[Row], float]]:
        """The rows of a list, page by page, each with the advised wait; empty pages do not end it.

        Raises:
            PlatformError: TRANSIENT when pages go round in circles or do not say whether there are more.
        """
        query, asked = dict(params), set[frozenset[tuple[str, str]]]()
        while True:
            answer = self.call("GET", path, query, new_object=new_object)
            rows, paging = answer.body.get("data"), answer.body.get("paging")
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise _odd(path, "a list without rows")
            if (rows and paging is None) or not isinstance(paging, Mapping | None):
                raise _odd(path, "rows without paging: it cannot be told whether there are more")
            yield rows, answer.wait_seconds
            following = (paging or {}).get("next")
            if following is None:
                return
            if not isinstance(following, str):
                raise _odd(path, "a next page that is no address")
            given = {
                name: value
                for name, value in parse_qsl(urlsplit(following).query, keep_blank_values=True)
                if name not in _SECRET_PARAMETERS
            }
            mark = frozenset(given.items())
            if mark in asked:
                raise _odd(path, "a next page that was read before: its cursors go round in circles")
            asked.add(mark)
            query = {**params, **given}


def _odd(path: tuple[str, ...], what: str) -> PlatformError:
    return PlatformError(ErrorClass.TRANSIENT, f"Meta answered {'/'.join(path)} with {what}.")
