"""A loopback Ad Library endpoint: this business's ads and a rival's, as the Graph API would archive them.

Here: `ads_archive` searches, cursors, ranges, errors in Meta's shapes. Not here: the rest of the Graph API.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import numpy as np

from resources.sandbox import copywriting
from resources.sandbox.catalogue import BRAND, CURRENCY, META
from resources.sandbox.servers.account import ServedAccount
from resources.sandbox.servers.faults import FaultKind, FaultScript
from resources.sandbox.servers.http import Answer, LoopbackServer, PlatformServer, Request

VERSION = "v26.0"
PAGES = {BRAND: "104882217365011", "Lodestar": "110394857261940"}  # the rival says the same in its own name
_TRACE = "AbCdEfGhIjKlMnOpQrStUv"
_ABLE = (
    FaultKind.THROTTLE,
    FaultKind.TOO_MUCH,
    FaultKind.SERVER_ERROR,
    FaultKind.EXPIRED_TOKEN,
    FaultKind.EMPTY_MIDDLE,
    FaultKind.DUPLICATE_PAGE,
    FaultKind.CURSOR_LOOP,
    FaultKind.UNKNOWN_FIELD,
    FaultKind.MISSING_FIELD,
)
_REFUSALS: Mapping[FaultKind, tuple[int, dict[str, Any]]] = {
    FaultKind.THROTTLE: (400, {"code": 613, "message": "Calls to this api have exceeded the rate limit."}),
    FaultKind.TOO_MUCH: (
        500,
        {"code": 1, "message": "Please reduce the amount of data you're asking for, then retry your request"},
    ),
    FaultKind.SERVER_ERROR: (
        500,
        {"code": 2, "message": "An unexpected error has occurred. Please retry your request later."},
    ),
    FaultKind.EXPIRED_TOKEN: (
        401,
        {
            "code": 190,
            "error_subcode": 463,
            "message": "Error validating access token: Session has expired on Tuesday, 30-Jun-26 07:00:00.",
        },
    ),
}


class AdLibraryServer(PlatformServer):
    """Serves `/v26.0/ads_archive` on a free port of 127.0.0.1; use as a context manager.

    Args:
        confirmed: whether the token's owner has confirmed their identity.
        stall_seconds: how long a stalled call is kept waiting.
    """

    def __init__(
        self,
        served: ServedAccount,
        token: str,
        faults: FaultScript | None = None,
        *,
        confirmed: bool = True,
        stall_seconds: float = 2.0,
    ) -> None:
        self._served, self._token, self._confirmed = served, token, confirmed
        self._faults = faults or FaultScript()
        self._server = LoopbackServer(self._answer, self._faults, stall_seconds)

    def _answer(self, request: Request) -> Answer:
        fault = self._faults.due(request.path, _ABLE)
        if fault is not None and fault in _REFUSALS:
            status, error = _REFUSALS[fault]
            return _refusal(status, **error)
        sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request.form.get("access_token", sent) != self._token:
            return _refusal(401, code=190, message="Invalid OAuth access token - Cannot parse access token")
        if request.path == f"/{VERSION}/me":
            return Answer({"id": "10158274639104417"})
        if request.path != f"/{VERSION}/ads_archive":
            return _refusal(404, code=2500, message="Unknown path components")
        if not self._confirmed:
            return _refusal(
                400,
                code=10,
                error_subcode=2332002,
                message="Application does not have permission for this action",
            )
        if "ad_reached_countries" not in request.form:
            return _refusal(400, code=100, message="(#100) The parameter ad_reached_countries is required")
        return Answer(self._page(request, fault))

    def _page(self, request: Request, fault: FaultKind | None) -> dict[str, Any]:
        fields = request.form.get("fields", "id").split(",")
        wanted = request.form.get("search_terms", "").casefold()
        pages = json.loads(request.form.get("search_page_ids", "[]"))
        rows = [
            ad
            for ad in self._ads()
            if (wanted in json.dumps([ad["ad_creative_bodies"], ad["ad_creative_link_titles"]]).casefold())
            and (not pages or ad["page_id"] in pages)
        ]
        given = request.form.get("after", "")
        start, turn = map(int, base64.urlsafe_b64decode(given).decode().split(":")) if given else (0, 0)
        shown = rows[start : start + int(request.form.get("limit") or 25)]
        end = start + len(shown)
        following = _cursor(end) if end < len(rows) else None
        if fault is FaultKind.EMPTY_MIDDLE:
            shown, following = [], _cursor(start, turn + 1)
        elif fault is FaultKind.DUPLICATE_PAGE:
            following = _cursor(start, turn + 1)
        elif fault is FaultKind.CURSOR_LOOP:
            following = given or _cursor(start)
        data = [{name: ad[name] for name in (*fields, "id") if name in ad} for ad in shown]
        for ad in data:
            if fault is FaultKind.UNKNOWN_FIELD:
                ad["eu_total_reach"] = 12_345
            if fault is FaultKind.MISSING_FIELD:
                ad.pop("spend", None)
        body: dict[str, Any] = {"data": data}
        if following is not None:
            query = {**request.form, "access_token": self._token, "after": following}
            body["paging"] = {
                "cursors": {"after": following},
                "next": f"{self._server.url}{request.path}?{urlencode(query)}",
            }
        return body

    def _ads(self) -> list[dict[str, Any]]:
        """Every Meta ad that has begun, newest first, each once per page."""
        simulated = self._served.simulated
        business, delivery = simulated.business, simulated.ledger.delivery
        yesterday = business.day_of(self._served.today) - 1
        known = delivery.day <= yesterday
        ad_of = business.cells.ad[delivery.cell[known]]
        size = len(business.ads.id)
        shown = np.bincount(ad_of, delivery.impressions[known], size).astype(int)
        dollars = np.bincount(ad_of, delivery.cents[known], size).astype(int) // 100
        platform = business.campaigns.platform[business.adsets.campaign[business.ads.adset]]
        begun = np.flatnonzero((platform == META) & (business.ads.first_day <= yesterday))
        ads = []
        for ad in begun[np.argsort(-business.ads.first_day[begun], kind="stable")].tolist():
            creative = int(business.ads.creative[ad])
            first, last = int(business.ads.first_day[ad]), int(business.ads.last_day[ad])
            for name, page_id in PAGES.items():
                archive_id = f"{page_id[:4]}{business.ads.id[ad][-11:]}"
                query = urlencode({"id": archive_id, "access_token": self._token})
                ads.append(
                    {
                        "id": archive_id,
                        "ad_creation_time": business.date_of(first - 2).isoformat(),
                        "ad_creative_bodies": [_spoken(copywriting.body(business.creatives, creative), name)],
                        "ad_creative_link_titles": [
                            _spoken(copywriting.headline(business.creatives, creative), name)
                        ],
                        "ad_delivery_start_time": business.date_of(first).isoformat(),
                        "ad_snapshot_url": f"https://www.facebook.com/ads/archive/render_ad/?{query}",
                        "currency": CURRENCY,
                        "impressions": _range(int(shown[ad])),
                        "languages": ["en"],
                        "page_id": page_id,
                        "page_name": name,
                        "publisher_platforms": ["facebook", "instagram"],
                        "spend": _range(int(dollars[ad])),
                        **(
                            {"ad_delivery_stop_time": business.date_of(last - 1).isoformat()}
                            if last <= yesterday
                            else {}
                        ),
                    }
                )
        return ads


def _refusal(status: int, **error: Any) -> Answer:
    return Answer({"error": {"type": "OAuthException", **error, "fbtrace_id": _TRACE}}, status)


def _cursor(offset: int, turn: int = 0) -> str:
    return base64.urlsafe_b64encode(f"{offset}:{turn}".encode()).decode()


def _spoken(words: str, name: str) -> str:
    return words.replace(BRAND, name)


def _range(value: int) -> dict[str, str]:
    """Bounds as texts; the widest range is open above."""
    for low, high in ((0, 99), (100, 499), (500, 999), (1_000, 4_999), (5_000, 9_999), (10_000, 49_999)):
        if value <= high:
            return {"lower_bound": str(low), "upper_bound": str(high)}
    return {"lower_bound": "50000"}
