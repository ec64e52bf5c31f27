"""LinkedIn's error bodies.

Here: their shape. Not here: when they are sent (`server`, `writes`).
"""

from __future__ import annotations

from resources.sandbox.servers.http import Answer


def error(status: int, code: str, service_code: int, message: str, **headers: str) -> Answer:
    """A refusal as Rest.li spells it."""
    body = {"status": status, "serviceErrorCode": service_code, "code": code, "message": message}
    return Answer(body, status, headers)


def no_access(path: str) -> Answer:
    """What a member without a role on the account is told."""
    return error(403, "ACCESS_DENIED", 100, f"Not enough permissions to access: {path}")
