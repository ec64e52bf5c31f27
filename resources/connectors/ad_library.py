"""Searches in Meta's Ad Library: what others advertise, as far as the library tells.

Nothing here clicks or converts: the library gives ranges of spend and impressions, and keeps them ranges.
Here: the searches, their monthly budget and their cache. Not here: this business's own ads (`meta`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from resources.connectors.errors import ErrorClass, MissingCredentials, PlatformError
from resources.connectors.http import Reply, RestClient
from resources.connectors.rows import decimal_text, page_rows, text
from resources.connectors.search_cache import Found, SearchCache
from resources.connectors.source import Account, Page, Pull, Report
from resources.landing.streams import STREAMS

STREAM = STREAMS["ad_library"]
LIVE = "https://graph.facebook.com"
VERSION = "v26.0"
MONTHLY_SEARCHES = 100
FRESH_DAYS = 7  # a search is repeated when its answer is older
MOST_PAGES = 4  # of one search: each page is a search of the budget

_FIELDS = (
    "id", "ad_creation_time", "ad_creative_bodies", "ad_creative_link_captions", "ad_creative_link_titles",
    "ad_delivery_start_time", "ad_delivery_stop_time", "ad_snapshot_url", "currency", "impressions",
    "languages", "page_id", "page_name", "publisher_platforms", "spend",
)  # fmt: skip
_TEXTS = {
    "page_id": "page_id",
    "page_name": "page_name",
    "ad_creation_time": "created_at",
    "ad_delivery_start_time": "delivery_start",
    "ad_delivery_stop_time": "delivery_stop",
    "currency": "currency",
}
_LISTS = {
    "ad_creative_bodies": "bodies",
    "ad_creative_link_titles": "link_titles",
    "ad_creative_link_captions": "link_captions",
    "publisher_platforms": "publisher_platforms",
    "languages": "languages",
}
_RANGES = ("spend", "impressions")
_THROTTLES = frozenset({4, 17, 32, 613, *range(80000, 80015)})
_AUTH = frozenset({10, 102, 190, *range(200, 300)})


@dataclass(frozen=True)
class AdLibrarySearch:
    """One search: words, or pages by id.

    Attributes:
        countries: ISO codes of countries the ads reached.
    """

    terms: str = ""
    page_ids: tuple[str, ...] = ()
    countries: tuple[str, ...] = ("US",)
    ad_type: str = "ALL"
    active_status: str = "ALL"

    @property
    def query(self) -> dict[str, str]:
        asked = {
            "ad_active_status": self.active_status,
            "ad_reached_countries": json.dumps(sorted(self.countries)),
            "ad_type": self.ad_type,
        }
        if self.terms:
            return asked | {"search_terms": self.terms.strip()}
        return asked | {"search_page_ids": json.dumps(sorted(self.page_ids))}

    @property
    def query_hash(self) -> str:
        """sha256 of the query: the same however countries and pages are ordered."""
        return hashlib.sha256(json.dumps(self.query, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class AdLibraryCredentials:
    """Token of a person whose identity Meta has confirmed for the Ad Library."""

    access_token: str = field(repr=False)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> AdLibraryCredentials:
        """Raises: MissingCredentials where AELP_AD_LIBRARY_ACCESS_TOKEN is not set."""
        token = variables.get("AELP_AD_LIBRARY_ACCESS_TOKEN", "").strip()
        if not token:
            raise MissingCredentials(
                "ad library: set AELP_AD_LIBRARY_ACCESS_TOKEN to the token of a person who has confirmed "
                "their identity at facebook.com/ID. `aelp connect ad_library` checks it."
            )
        return cls(token)


class AdLibrary:
    """Configured searches, each repeated when its answer is old and the month's budget allows.

    Args:
        folder: keeps the cache and the count of searches.
        zone: IANA zone of the days.
        now: the present moment, with its zone.
    """

    name = "ad_library"
    api_version = VERSION
    page_sizes: Sequence[int] = (100, 25)

    def __init__(
        self,
        credentials: AdLibraryCredentials,
        searches: Sequence[AdLibrarySearch],
        folder: Path,
        zone: str,
        *,
        endpoint: str = LIVE,
        timeout_seconds: float = 60.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monthly_searches: int = MONTHLY_SEARCHES,
        page_size: int = 500,
    ) -> None:
        self._searches = tuple(searches)
        self._zone = ZoneInfo(zone)
        self._now = now
        self._budget = monthly_searches
        self._page_size = page_size
        self._token = credentials.access_token
        self._cache = SearchCache(folder / "ad_library.sqlite")
        self._client = RestClient(
            "ad library", endpoint, headers={"Authorization": f"Bearer {self._token}"},
            secrets=(self._token,), timeout_seconds=timeout_seconds,
        )  # fmt: skip

    @property
    def reports(self) -> Sequence[Report]:
        return (
            Report(STREAM, "none", lookback_days=0, longest_days=1, is_snapshot=True, final_after_days=1),
        )

    @property
    def secrets(self) -> Sequence[str]:
        return (self._token,)

    @property
    def searches_left(self) -> int:
        """Of this month's budget."""
        return max(0, self._budget - self._cache.spent(self._month))

    def accounts(self) -> Sequence[Account]:
        """The library as one account, after a call that costs no search."""
        reply = self._client.get(f"/{VERSION}/me", {"fields": "id"})
        self._require_success(reply)
        return [Account("ad_library", "Meta Ad Library", "XXX", self._zone.key)]

    def parents(self, pull: Pull) -> Sequence[str]:
        return ()

    def pages(self, pull: Pull) -> Iterator[Page]:
        """The newest answer to every search, a page each; searches again where it is old.

        Raises:
            PlatformError: the API refuses, or DEFER where a search was never answered and no budget is left.
        """
        if not self._searches:
            yield Page(page_rows([], STREAM))
        for search in self._searches:
            found = self._cache.newest(search.query_hash)
            if found is None or self._today - found.searched_on >= timedelta(days=FRESH_DAYS):
                found = self._search(search, found, pull.page_size or self._page_size)
            yield Page(page_rows([self._row(search, found, ad, pull.first) for ad in found.ads], STREAM))

    def _search(self, search: AdLibrarySearch, older: Found | None, page_size: int) -> Found:
        ads: dict[str, dict[str, Any]] = {}
        after: str | None = None
        known_cursors: set[str] = set()
        for _ in range(MOST_PAGES):
            # Counted before it is sent: a call that fails may have cost the platform's budget all the same.
            if not self._cache.spend(self._month, self._budget):
                if older is not None:
                    return older
                raise PlatformError(
                    ErrorClass.DEFER,
                    f"ad library: the month's {self._budget} searches are spent",
                    self._until_next_month(),
                )
            query = search.query | {"fields": ",".join(_FIELDS), "limit": str(page_size)}
            body = self._require_success(
                self._client.get(f"/{VERSION}/ads_archive", query | ({"after": after} if after else {}))
            )
            for ad in self._list(body, "data"):
                ads[str(self._object(ad, "an ad")["id"])] = ad
            paging = self._object(body.get("paging") or {}, "paging")
            if "next" not in paging:
                after = None
                break
            # `next` holds the token: only its cursor is used, and the query is written anew.
            after = text(self._object(paging.get("cursors") or {}, "cursors").get("after"))
            if after is None or after in known_cursors:
                self._client.malformed("the next page is named by no cursor, or by one that was there before")
            known_cursors.add(after)
        found = Found(self._today, after is not None, tuple(map(_without_token, ads.values())))
        self._cache.keep(search.query_hash, found)
        return found

    def _row(self, search: AdLibrarySearch, found: Found, ad: Mapping[str, Any], day: date) -> dict[str, Any]:
        row: dict[str, Any] = {
            "report_date": day,
            "query_hash": search.query_hash,
            "ad_archive_id": str(ad["id"]),
            "query": json.dumps(asdict(search), sort_keys=True, ensure_ascii=False),
            "searched_on": found.searched_on.isoformat(),
            "search_truncated": text(found.truncated),
            "snapshot_url": text(ad.get("ad_snapshot_url")),
        }
        row |= {column: text(ad.get(name)) for name, column in _TEXTS.items()}
        for name, column in _LISTS.items():
            row[column] = json.dumps(ad[name], ensure_ascii=False) if ad.get(name) else None
        for name in _RANGES:
            bounds = self._object(ad.get(name) or {}, name)
            for bound in ("lower", "upper"):
                row[f"{name}_{bound}"] = decimal_text(bounds.get(f"{bound}_bound"), f"ad library {name}")
        known = {*_TEXTS, *_LISTS, *_RANGES, "id", "ad_snapshot_url"}
        more = {f"library_{name}": value for name, value in ad.items() if name not in known}
        return row | {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in more.items()
        }

    # --- answers --------------------------------------------------------------------------------------

    def _require_success(self, reply: Reply) -> Mapping[str, Any]:
        error = reply.body.get("error") if isinstance(reply.body, dict) else None
        if isinstance(error, dict):
            self._refuse(error, reply.status)
        if reply.status >= 400:
            self._client.refuse_status(reply)
        return self._object(reply.body, "the body")

    def _refuse(self, error: Mapping[str, Any], status: int) -> None:
        code, said = error.get("code"), str(error.get("message"))
        told = f"code {code}, HTTP {status}: {said}"
        if code in _THROTTLES or status == 429:
            # The library names no wait; its limits are counted by the hour.
            self._client.refuse(ErrorClass.THROTTLE, told, 3_600.0)
        if code in _AUTH:
            remedy = "Renew AELP_AD_LIBRARY_ACCESS_TOKEN, or confirm its owner's identity at facebook.com/ID."
            self._client.refuse(ErrorClass.AUTH, f"{told} {remedy}")
        if code == 1 and "reduce the amount" in said:
            self._client.refuse(ErrorClass.SHRINK, told)
        transient = code in (1, 2) or bool(error.get("is_transient")) or status >= 500
        self._client.refuse(ErrorClass.TRANSIENT if transient else ErrorClass.PERMANENT, told)

    def _object(self, value: Any, what: str) -> dict[str, Any]:
        if not isinstance(value, dict) or (what == "an ad" and not value.get("id")):
            self._client.malformed(f"{what} is not what it must be")
        return value

    def _list(self, body: Mapping[str, Any], name: str) -> list[Any]:
        value = body.get(name)
        if not isinstance(value, list):
            self._client.malformed(f"there is no list {name}")
        return value

    # --- time -----------------------------------------------------------------------------------------

    @property
    def _today(self) -> date:
        return self._now().astimezone(self._zone).date()

    @property
    def _month(self) -> str:
        return f"{self._now().astimezone(UTC):%Y-%m}"

    def _until_next_month(self) -> float:
        now = self._now().astimezone(UTC)
        following = (now.replace(day=1) + timedelta(days=32)).replace(day=1)
        return (following.replace(hour=0, minute=0, second=0, microsecond=0) - now).total_seconds()


def _without_token(ad: Mapping[str, Any]) -> dict[str, Any]:
    """The ad with its snapshot's address fit to be kept: Meta puts the caller's token into it."""
    url = ad.get("ad_snapshot_url")
    if not isinstance(url, str):
        return dict(ad)
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "access_token"]
    return {**ad, "ad_snapshot_url": urlunsplit(parts._replace(query=urlencode(query)))}
