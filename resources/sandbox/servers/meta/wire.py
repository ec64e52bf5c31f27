"""How the Graph API writes money, pages, errors and usage.

Here: shapes shared by every endpoint. Not here: what is in them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from resources.sandbox.servers.faults import FaultKind
from resources.sandbox.servers.http import Answer, Request

TRACE = "AbCdEfGhIjKlMnOpQrStUv"


class Refusal(Exception):
    """A call refused in Meta's own words."""

    def __init__(
        self, code: int, message: str, subcode: int | None = None, status: int = 400, transient: bool = False
    ) -> None:
        super().__init__(message)
        error: dict[str, Any] = {"message": message, "type": "OAuthException", "code": code}
        if subcode is not None:
            error["error_subcode"] = subcode
        error |= {"is_transient": transient, "fbtrace_id": TRACE}
        self.answer = Answer({"error": error}, status)


def money(cents: int) -> str:
    """Whole cents as insights write amounts: "1162.1", "0"."""
    whole, rest = divmod(cents, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".")


def fault_answer(kind: FaultKind, business_id: str) -> Answer:
    """The refusal of a throttled, oversized, broken or logged-out call."""
    if kind is FaultKind.THROTTLE:
        refusal = Refusal(
            80000,
            "There have been too many calls from this ad-account. Wait a bit and try again.",
            subcode=2446079,
        )
        usage = {business_id: [usage_entry(100, 5)]}
        return Answer(
            refusal.answer.body, refusal.answer.status, {"X-Business-Use-Case-Usage": json.dumps(usage)}
        )
    if kind is FaultKind.TOO_MUCH:
        return Refusal(
            1,
            "Please reduce the amount of data you're asking for, then retry your request",
            status=500,
        ).answer
    if kind is FaultKind.EXPIRED_TOKEN:
        return Refusal(
            190,
            "Error validating access token: Session has expired on Tuesday, 30-Jun-26 07:00:00 PDT.",
            subcode=463,
            status=401,
        ).answer
    return Refusal(
        2,
        "An unexpected error has occurred. Please retry your request later.",
        status=500,
        transient=True,
    ).answer


def usage_entry(percent: int, regain_minutes: int) -> dict[str, Any]:
    """One account's entry in the business-use-case header."""
    return {
        "type": "ads_insights",
        "call_count": percent,
        "total_cputime": percent // 2,
        "total_time": percent // 2,
        "estimated_time_to_regain_access": regain_minutes,
        "ads_api_access_tier": "standard_access",
    }


def usage_headers(account_id: str, percent: int, regain_minutes: int) -> dict[str, str]:
    """The four headers a successful call carries."""
    return {
        "X-Business-Use-Case-Usage": json.dumps({account_id: [usage_entry(percent, regain_minutes)]}),
        "X-Ad-Account-Usage": json.dumps({"acc_id_util_pct": percent / 2, "reset_time_duration": 300}),
        "X-App-Usage": json.dumps({"call_count": 3, "total_time": 2, "total_cputime": 1}),
        "X-FB-Ads-Insights-Throttle": json.dumps(
            {
                "app_id_util_pct": 1.5,
                "acc_id_util_pct": percent / 2,
                "ads_api_access_tier": "standard_access",
            }
        ),
    }


def cursor(offset: int, turn: int = 0) -> str:
    """An opaque cursor; `turn` tells apart cursors that lead to the same row."""
    return base64.urlsafe_b64encode(f"{offset}:{turn}".encode()).decode()


def page(
    request: Request, base_url: str, rows: Sequence[Mapping[str, Any]], fault: FaultKind | None
) -> dict[str, Any]:
    """The asked page of `rows`, with its cursors, perhaps played wrong.

    Raises:
        Refusal: a cursor this server never gave.
    """
    given = request.form.get("after", "")
    try:
        start, turn = map(int, base64.urlsafe_b64decode(given).decode().split(":")) if given else (0, 0)
    except ValueError:
        raise Refusal(100, "(#100) Invalid parameter: after", status=400) from None
    limit = int(request.form.get("limit") or 25)
    shown = rows[start : start + limit]
    following = cursor(start + len(shown)) if start + len(shown) < len(rows) else None
    if fault is FaultKind.EMPTY_MIDDLE:
        shown, following = [], cursor(start, turn + 1)
    elif fault is FaultKind.DUPLICATE_PAGE:
        following = cursor(start, turn + 1)
    elif fault is FaultKind.CURSOR_LOOP:
        following = given or cursor(start, turn)
    body: dict[str, Any] = {"data": list(shown)}
    if not rows:
        return body
    paging: dict[str, Any] = {"cursors": {"before": given or cursor(start), "after": following or given}}
    if following is not None:
        query = {**request.form, "after": following}
        paging["next"] = f"{base_url}{request.path}?{urlencode(query)}"
    return body | {"paging": paging}
