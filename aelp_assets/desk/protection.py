"""Who may talk to the desk: the browser of who started it, on this desk's own pages.

Here: host, session, origin and token of a request, headers of every answer, reading a form. Not here: who may
decide.

A page of any other site can make a browser call 127.0.0.1. It cannot name the desk as its origin, does not
send the strict cookie, and does not know the token. Another account of this machine can call it, too: it does
not know the key that the desk prints for who started it, and without a session nothing is shown or decided.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENTRANCE = "/enter"
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
    """Lets through what was addressed to the desk by name by a browser that came in by the key and, to change
    something, sent by the desk's own pages.

    Args:
        port: the desk's own.
    """

    def __init__(self, application: ASGIApp, port: int, sessions: Sessions) -> None:
        self._application = application
        self._sessions = sessions
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(Request(scope))
        await (refusal or self._application)(scope, receive, send_guarded)

    def _refusal(self, request: Request) -> Response | None:
        headers = request.headers
        if headers.get("host") not in self._hosts:
            # A foreign name that resolves to 127.0.0.1 would otherwise read this page (DNS rebinding).
            return PlainTextResponse("This desk answers to 127.0.0.1 and localhost only.\n", 421)
        if request.url.path != ENTRANCE and not self._sessions.is_known(request):
            return PlainTextResponse("Open the address that `aelp desk` printed when it was started.\n", 403)
        if request.method in ("GET", "HEAD"):
            return None
        sent_from = urlsplit(headers.get("origin") or headers.get("referer") or "")
        if sent_from.scheme != "http" or sent_from.netloc != headers["host"]:
            return PlainTextResponse("A decision must be sent from the desk's own page.\n", 403)
        return None


class Sessions:
    """Browsers that came in by the key, their session cookies, and the tokens their forms carry.

    Args:
        port: the desk's own.
        key: that opens a session, known to who started the desk alone.
    """

    def __init__(self, port: int, key: str) -> None:
        self.cookie = f"aelp_desk_{port}"  # cookies know no ports: two desks must not share one
        self._key = key
        self._secret = secrets.token_bytes(32)
        self._known: set[str] = set()

    def enter(self, key: str, response: Response) -> bool:
        """Hand a new session to a browser that knows the key; whether it does."""
        if not hmac.compare_digest(key.encode(), self._key.encode()):
            return False
        session = secrets.token_urlsafe(32)
        self._known.add(session)
        response.set_cookie(self.cookie, session, httponly=True, samesite="strict", path="/")
        return True

    def of(self, request: Request) -> str:
        """The session a request says it is of."""
        return request.cookies.get(self.cookie, "")

    def is_known(self, request: Request) -> bool:
        """Whether a request is of a session that came in by the key."""
        return self.of(request) in self._known

    def token(self, session: str) -> str:
        """What forms of this session carry."""
        return hmac.new(self._secret, session.encode(), hashlib.sha256).hexdigest()

    def is_own(self, request: Request, form: Mapping[str, str]) -> bool:
        """Whether a form was made for the session that sends it."""
        told = form.get("token", "").encode()
        return hmac.compare_digest(self.token(self.of(request)).encode(), told)


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
