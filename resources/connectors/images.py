"""Images and videos behind the links a platform lists: bytes that really are one, or why there are none.

Here: addresses that may be called, redirects, the size limit. Not here: what is listed (each connector),
telling what bytes are (`resources.creative_media`), where they are kept (`resources.creative_assets`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import requests
import urllib3

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.http import LOOPBACK, seconds
from resources.creative_media.images import ImageLimits, recognise_image
from resources.creative_media.refusals import Reason, Refused
from resources.creative_media.videos import VideoLimits, recognise_video

_LIMITS = ImageLimits()
LARGEST_IMAGE = _LIMITS.most_bytes
"""Bytes: Meta takes no larger upload, so more is no image of an ad."""
LARGEST_VIDEO = VideoLimits().most_bytes
"""Bytes: what is decoded at most."""
_MOST_REDIRECTS = 3
_CHUNK = 65_536
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_LENGTH = re.compile(r"[0-9]{1,18}")
_HICCUPS = frozenset({408, 425})


class Outcome(StrEnum):
    """What became of an asset's bytes at a pull."""

    FETCHED = "fetched"  # on the day of the pull
    UNCHANGED = "unchanged"  # kept since an earlier day
    MISSING = "missing"  # the platform lists no link, or the link leads to nothing
    TOO_LARGE = "too_large"
    NOT_AN_IMAGE = "not_an_image"
    NOT_A_VIDEO = "not_a_video"
    FOREIGN_ADDRESS = "foreign_address"  # a link, or where it redirects to, is no host of the platform's
    UNAVAILABLE = "unavailable"  # no whole answer now; asked for again at the next pull
    WAITING = "waiting"  # more were new than one pull fetches; asked for at the next


@dataclass(frozen=True)
class Image:
    """A whole image or video and what it is, whatever its server called it."""

    content: bytes
    content_type: str
    extension: str


NoImage = Literal[
    Outcome.MISSING,
    Outcome.TOO_LARGE,
    Outcome.NOT_AN_IMAGE,
    Outcome.NOT_A_VIDEO,
    Outcome.FOREIGN_ADDRESS,
    Outcome.UNAVAILABLE,
]
Recognise = Callable[[bytes], Image | NoImage]


_SET_ASIDE: dict[Reason, NoImage] = {
    Reason.TOO_MANY_BYTES: Outcome.TOO_LARGE,
    Reason.TOO_MANY_PIXELS: Outcome.TOO_LARGE,
}


def image_of(content: bytes) -> Image | NoImage:
    """Bytes as the image they are."""
    found = recognise_image(content, _LIMITS)
    if isinstance(found, Refused):
        return _SET_ASIDE.get(found.reason, Outcome.NOT_AN_IMAGE)
    return Image(content, found.content_type, found.extension)


def video_of(content: bytes) -> Image | NoImage:
    """Bytes as the video they begin as; whether it can be shown is seen when it is decoded."""
    found = recognise_video(content)
    if isinstance(found, Refused):
        return _SET_ASIDE.get(found.reason, Outcome.NOT_A_VIDEO)
    return Image(content, found.content_type, found.extension)


class ImageClient:
    """Fetches images, or videos, from one family of hosts, one connection per host, without any credentials.

    Args:
        platform: name in messages.
        hosts: names; they and everything below them may be called, over https.
        allow_loopback: this machine may be called too, over http: the platform itself is simulated here.
        timeout_seconds: for connecting, and for each silence while reading.
        longest_seconds: for a whole body: one that drips is never silent.
        largest_bytes: reading stops there.
        recognise: what bytes are: `image_of` or `video_of`.
    """

    def __init__(
        self,
        platform: str,
        hosts: tuple[str, ...],
        *,
        allow_loopback: bool,
        timeout_seconds: float,
        longest_seconds: float = 300.0,
        largest_bytes: int = LARGEST_IMAGE,
        recognise: Recognise = image_of,
    ) -> None:
        self._platform = platform
        self._recognise = recognise
        self._hosts = hosts
        self._allow_loopback = allow_loopback
        self._timeout = timeout_seconds
        self._longest = longest_seconds
        self._largest = largest_bytes
        # Not httpx: it logs whole links, and they are signed.
        self._session = requests.Session()
        self._session.trust_env = False
        # Compressed, a small answer could become a large one.
        self._session.headers.update({"Accept": "image/*, video/*", "Accept-Encoding": "identity"})

    def get(self, url: str) -> Image | NoImage:
        """The image behind a link, or why there is none.

        Raises:
            PlatformError: THROTTLE; without the link's query in its text.
        """
        for _ in range(1 + _MOST_REDIRECTS):
            if not self._may_call(url):
                return Outcome.FOREIGN_ADDRESS
            try:
                response = self._session.get(url, timeout=self._timeout, stream=True, allow_redirects=False)
            except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError):
                return Outcome.UNAVAILABLE
            with response:
                if response.is_redirect:
                    url = urljoin(url, response.headers["Location"])
                    continue
                return self._read(response)
        return Outcome.MISSING

    def _may_call(self, url: str) -> bool:
        parts = _split(url)
        if parts is None or parts.username is not None:
            return False
        host = (parts.hostname or "").rstrip(".")
        if self._allow_loopback and parts.scheme in ("http", "https") and host in LOOPBACK:
            return True
        known = any(host == name or host.endswith(f".{name}") for name in self._hosts)
        # Odd letters: two readers of such an address may see two hosts.
        return parts.scheme == "https" and known and _HOST.fullmatch(host) is not None

    def _read(self, response: requests.Response) -> Image | NoImage:
        status = response.status_code
        if status == 429:
            raise PlatformError(
                ErrorClass.THROTTLE,
                f"{self._platform}: HTTP 429 for an image or video",
                seconds(response.headers.get("Retry-After")),
            )
        if status >= 500 or status in _HICCUPS:
            return Outcome.UNAVAILABLE
        if status != 200:
            return Outcome.MISSING
        if _declared(response.headers) > self._largest:
            return Outcome.TOO_LARGE
        content = bytearray()
        until = time.monotonic() + self._longest
        try:
            # What has come, not a whole chunk: between two of its bytes is the time to look at the clock.
            while chunk := response.raw.read1(_CHUNK, decode_content=False):
                content += chunk
                if len(content) > self._largest:
                    return Outcome.TOO_LARGE
                if time.monotonic() > until:
                    return Outcome.UNAVAILABLE
        except (urllib3.exceptions.HTTPError, OSError):
            return Outcome.UNAVAILABLE
        return self._recognise(bytes(content))


def without_query(url: str) -> str:
    """A link without what signs it: scheme, host and path; empty where it cannot be read."""
    parts = _split(url)
    if parts is None or parts.hostname is None:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _declared(headers: Mapping[str, str]) -> int:
    length = headers.get("Content-Length", "")
    return int(length) if _LENGTH.fullmatch(length) else 0
