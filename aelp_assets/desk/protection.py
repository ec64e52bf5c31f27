"""Who may talk to the desk: this machine's own browser, on this desk's own pages.

Here: host, origin and token of a request, headers of every answer, reading a form. Not here: who may decide.

A page of any other site can make a browser call 127.0.0.1. It cannot name the desk as its origin, does not
send the strict cookie, and does not know the token.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LONGEST_FORM = 16_384  # bytes: a reason, not a book
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'none'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with no referrer at all, browsers send `Origin: null`
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guarded:
    """Lets through what was addressed to the desk by name and, to change something, sent by its own pages.

    Args:
        port: the desk's own.
    """

    def __init__(self, application: ASGIApp, port: int) -> None:
        self._application = application
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        await (refusal or self._application)(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> Response | None:
        if headers.get("host") not in self._hosts:
            # A foreign name that resolves to 127.0.0.1 would otherwise read this page (DNS rebinding).
            return PlainTextResponse("This desk answers to 127.0.0.1 and localhost only.\n", 421)
        if method in ("GET", "HEAD"):
            return None
        sent_from = urlsplit(headers.get("origin") or headers.get("referer") or "")
        if sent_from.scheme != "http" or sent_from.netloc != headers["host"]:
            return PlainTextResponse("A decision must be sent from the desk's own page.\n", 403)
        return None


class Sessions:
    """A browser's session cookie and the token its forms carry.

    The token is derived with a key of this process, so that a cookie planted by another local program is no
    token.
    """

    def __init__(self, port: int) -> None:
        self.cookie = f"aelp_desk_{port}"  # cookies know no ports: two desks must not share one
        self._key = secrets.token_bytes(32)

    def of(self, request: Request) -> str:
        """The session of a request; a new one where there is none."""
        return request.cookies.get(self.cookie) or secrets.token_urlsafe(32)

    def keep(self, response: Response, session: str) -> None:
        """Hand the session to the browser."""
        response.set_cookie(self.cookie, session, httponly=True, samesite="strict", path="/")

    def token(self, session: str) -> str:
        """What forms of this session carry."""
        return hmac.new(self._key, session.encode(), hashlib.sha256).hexdigest()

    def is_own(self, request: Request, form: Mapping[str, str]) -> bool:
        """Whether a form was made for the session that sends it."""
        session = request.cookies.get(self.cookie, "")
        return bool(session) and hmac.compare_digest(
            self.token(session).encode(), form.get("token", "").encode()
        )


class NoForm(Exception):
    """The body is not a short urlencoded form."""


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, the last of each name.

    Raises:
        NoForm: another content type, more than 16 KiB, or not UTF-8.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise NoForm
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_FORM:
            raise NoForm
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=20))
    except ValueError:
        raise NoForm from None
