"""A small threaded HTTP server on loopback, with the faults that look the same on every platform.

Here: routing to a handler, JSON answers, HTML errors, stalls, cut bodies. Not here: any platform's answers.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl, urlsplit

from resources.sandbox.servers.faults import FaultKind, FaultScript

TRANSPORT_FAULTS = (FaultKind.HTML_ERROR, FaultKind.STALL, FaultKind.TRUNCATED)


@dataclass(frozen=True)
class Request:
    """What was asked. `form` holds query and form parameters, `body` the JSON body if there is one."""

    method: str
    path: str
    form: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any = None


@dataclass(frozen=True)
class Answer:
    """A JSON answer; a body of bytes is sent as it is, as JSON unless a header says otherwise."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class LoopbackServer:
    """Serves `answer` on a free port of 127.0.0.1 until closed; use as a context manager.

    Args:
        answer: from request to answer, called on a thread of its own. What it raises is kept in `errors`
            and answered with 500.
        faults: what goes wrong, asked with the path.
        stall_seconds: how long a stalled call is kept waiting.
    """

    def __init__(
        self, answer: Callable[[Request], Answer], faults: FaultScript, stall_seconds: float = 2.0
    ) -> None:
        self.requests: list[Request] = []
        self.errors: list[Exception] = []
        closing = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Header and body are two writes: Nagle against delayed acknowledgement made a call 45 ms.
            disable_nagle_algorithm: ClassVar[bool] = True
            timeout: ClassVar[int] = 30

            def do_GET(handler) -> None:  # noqa: N805 - named by http.server; `self` is the server
                handler._serve("GET")

            def do_POST(handler) -> None:  # noqa: N805
                handler._serve("POST")

            def do_PATCH(handler) -> None:  # noqa: N805
                handler._serve("PATCH")

            def _serve(handler, method: str) -> None:  # noqa: N805
                request = _read(handler, method)
                self.requests.append(request)
                fault = faults.due(request.path, TRANSPORT_FAULTS)
                if fault is FaultKind.STALL:
                    closing.wait(stall_seconds)
                    handler.close_connection = True
                    return
                if fault is FaultKind.HTML_ERROR:
                    page = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
                    _send(handler, 502, page, {"Content-Type": "text/html"})
                    return
                try:
                    answered = answer(request)
                    body = answered.body
                    text = body if isinstance(body, bytes) else json.dumps(body).encode()
                except Exception as error:  # the server's own fault, which a test must not miss
                    self.errors.append(error)
                    answered, text = Answer(None, 500), b"{}"
                if fault is FaultKind.TRUNCATED:
                    text = text[: max(1, len(text) * 2 // 3)]
                _send(
                    handler, answered.status, text, {"Content-Type": "application/json", **answered.headers}
                )

            def log_message(handler, *_: Any) -> None:  # noqa: N805 - quiet
                return

        self._closing = closing
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> LoopbackServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class PlatformServer:
    """A platform's API over one `LoopbackServer`; use as a context manager."""

    _server: LoopbackServer

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def requests(self) -> list[Request]:
        """Every call so far."""
        return self._server.requests

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()


def _read(handler: BaseHTTPRequestHandler, method: str) -> Request:
    parts = urlsplit(handler.path)
    form = dict(parse_qsl(parts.query, keep_blank_values=True))
    raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    body = None
    if raw:
        if "json" in (handler.headers.get("Content-Type") or ""):
            body = json.loads(raw)
        else:
            form |= dict(parse_qsl(raw.decode(), keep_blank_values=True))
    return Request(method, parts.path, form, dict(handler.headers.items()), body)


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    try:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:  # which may not have one
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
    except (BrokenPipeError, ConnectionResetError):
        handler.close_connection = True  # the client gave up first
