"""Meta's refusals and usage headers, sorted by what is to be done.

Here: which code is which class, and how long Meta says to wait. Not here: the calls (`graph`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from resources.connectors.errors import ErrorClass, PlatformError

_THROTTLES = frozenset({4, 17, 32, 613, *range(80000, 80015)})
_TOO_MUCH = frozenset({1504018, 1504038, 1504044})
_HICCUPS = frozenset({99, 960})
_AUTH = frozenset({10, 102, 190, *range(200, 300)})
_UNKNOWN_OBJECT = 33
_TOO_OLD = 3018

BUSY_PERCENT = 90.0
_BUSY_SECONDS = 60.0  # where a header says "nearly used up" but not for how long
_LONGEST_MESSAGE = 400


def refusal(
    error: Mapping[str, Any], status: int, headers: Mapping[str, str], *, new_object: bool = False
) -> PlatformError:
    """The error of an answer's `error` object.

    Args:
        new_object: asked about something made a moment ago, which Meta may not know everywhere yet.
    """
    code, subcode = _whole(error.get("code")), _whole(error.get("error_subcode"))
    said = str(error.get("error_user_msg") or error.get("message") or "no message")[:_LONGEST_MESSAGE]
    error_class = _error_class(code, subcode, said, bool(error.get("is_transient")), status, new_object)
    name = f"code {code}" + (f", subcode {subcode}" if subcode else "") + f", HTTP {status}"
    wait = None
    if error_class is ErrorClass.THROTTLE:
        told = max(_regain_seconds(headers), _told_seconds(error))
        wait = told or None
    return PlatformError(
        error_class, f"Meta refused ({name}): {said.rstrip('.')}.{_remedy(code, error_class)}", wait
    )


def _error_class(
    code: int, subcode: int, said: str, is_transient: bool, status: int, new_object: bool
) -> ErrorClass:
    if code in _THROTTLES or status == 429:
        return ErrorClass.THROTTLE
    if subcode in _TOO_MUCH or (code == 1 and "reduce the amount" in said):
        return ErrorClass.SHRINK
    if (code, subcode) == (100, 1487534):
        return ErrorClass.SHRINK
    if code in _AUTH:
        return ErrorClass.AUTH
    if code == _TOO_OLD:
        return ErrorClass.PERMANENT
    if code in (1, 2) or is_transient or subcode in _HICCUPS or status >= 500:
        return ErrorClass.TRANSIENT
    if new_object and subcode == _UNKNOWN_OBJECT:
        return ErrorClass.TRANSIENT
    if code == 100 and "Cannot include" in said:  # comes and goes on requests that are in order
        return ErrorClass.TRANSIENT
    return ErrorClass.PERMANENT


def _remedy(code: int, error_class: ErrorClass) -> str:
    if code in (102, 190):
        return " Renew the token in AELP_META_ACCESS_TOKEN."
    if error_class is ErrorClass.AUTH:
        return " Give the token's user ads_read and a role on this ad account."
    return ""


def advised_wait(headers: Mapping[str, str]) -> float:
    """Seconds to wait before the next call, from the usage headers of an answer; 0 below 90 % use."""
    wait = _regain_seconds(headers)
    account = _object(headers.get("X-Ad-Account-Usage"))
    if _number(account.get("acc_id_util_pct")) >= BUSY_PERCENT:
        wait = max(wait, _number(account.get("reset_time_duration")) or _BUSY_SECONDS)
    entries = [*_use_cases(headers)]
    entries += [_object(headers.get(name)) for name in ("X-App-Usage", "X-FB-Ads-Insights-Throttle")]
    shares = ("call_count", "total_cputime", "total_time", "app_id_util_pct", "acc_id_util_pct")
    if any(_number(entry.get(share)) >= BUSY_PERCENT for entry in entries for share in shares):
        wait = max(wait, _BUSY_SECONDS)
    return wait


def _regain_seconds(headers: Mapping[str, str]) -> float:
    return max((_told_seconds(entry) for entry in _use_cases(headers)), default=0.0)


def _told_seconds(entry: Mapping[str, Any]) -> float:
    """What `estimated_time_to_regain_access` (minutes) says in a header's entry or an error."""
    data = entry.get("error_data")
    inner = _object(data) if isinstance(data, str) else data if isinstance(data, Mapping) else {}
    name = "estimated_time_to_regain_access"
    return 60.0 * max(_number(entry.get(name)), _number(inner.get(name)))


def _use_cases(headers: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    for entries in _object(headers.get("X-Business-Use-Case-Usage")).values():
        if isinstance(entries, list):
            yield from (entry for entry in entries if isinstance(entry, Mapping))


def _object(text: str | None) -> Mapping[str, Any]:
    # Usage headers only advise: one that cannot be read must not fail an answer that is in order.
    try:
        read = json.loads(text or "{}")
    except ValueError:
        return {}
    return read if isinstance(read, Mapping) else {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
