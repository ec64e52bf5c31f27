"""The HTTP side of the loopback LinkedIn API: who may ask, what is answered, what goes wrong.

Here: LinkedIn's paths, finders, cursors and faults. Not here: the numbers (`frames`), objects (`entities`),
writes (`writes`), transport faults (`http`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

from resources.sandbox.catalogue import CURRENCY, LINKEDIN, PLATFORMS
from resources.sandbox.frames import Reports
from resources.sandbox.servers.account import ServedAccount
from resources.sandbox.servers.faults import FaultKind, FaultScript
from resources.sandbox.servers.hours import told_hours
from resources.sandbox.servers.http import Answer, LoopbackServer, PlatformServer, Request
from resources.sandbox.servers.linkedin.entities import ACCOUNT_ID, Entities, Objects
from resources.sandbox.servers.linkedin.wire import error, no_access
from resources.sandbox.servers.linkedin.writes import PATH, Writes
from resources.sandbox.servers.plays import clips_of, with_plays
from resources.sandbox.servers.written import WrittenChanges

MOST_ELEMENTS = 15_000  # of one analytics answer; the rest is left out without a word
LARGEST_PAGE = 1000
MOST_METRICS = 20
_DAY = r"\(year:(\d+),month:(\d+),day:(\d+)\)"
_DATE_RANGE = re.compile(rf"^\(start:{_DAY},end:{_DAY}\)$")
_METRICS: Mapping[str, tuple[str, str]] = {
    "impressions": ("Impressions", "d"),
    "clicks": ("Clicks", "d"),
    "costInLocalCurrency": ("Total Spent", ".2f"),
    "externalWebsitePostClickConversions": ("Conversions (post-click)", "d"),
    "externalWebsitePostViewConversions": ("Conversions (post-view)", "d"),
    "conversionValueInLocalCurrency": ("Total Conversion Value", ".2f"),
    "videoStarts": ("started", "d"),
    "videoViews": ("2_seconds_half_in_view", "d"),
    "videoFirstQuartileCompletions": ("p25", "d"),
    "videoMidpointCompletions": ("p50", "d"),
    "videoThirdQuartileCompletions": ("p75", "d"),
    "videoCompletions": ("p100", "d"),
}
_PIVOTS = {"CREATIVE": ("sponsoredCreative", "Ad ID"), "CAMPAIGN": ("sponsoredCampaign", "Campaign ID")}
REPORTING_DELAY = timedelta(minutes=15)  # LinkedIn calls it near real time, and names no figure
_DRIFT = (FaultKind.UNKNOWN_FIELD, FaultKind.MISSING_FIELD)
_THROTTLED = "Resource level throttle {} limit for calls to this resource is reached."
_REFUSALS = {
    FaultKind.THROTTLE: error(
        429,
        "TOO_MANY_REQUESTS",
        101,
        _THROTTLED.format("APPLICATION_AND_MEMBER MINUTE"),
        **{"Retry-After": "37"},
    ),
    FaultKind.DAILY_QUOTA: error(429, "TOO_MANY_REQUESTS", 101, _THROTTLED.format("APPLICATION DAY")),
    FaultKind.SERVER_ERROR: error(500, "INTERNAL_SERVER_ERROR", 0, "Internal Server Error"),
    FaultKind.EXPIRED_TOKEN: error(
        401, "EXPIRED_ACCESS_TOKEN", 65602, "The token used in the request has expired"
    ),
}


class LinkedInServer(PlatformServer):
    """Serves one ad account; use as a context manager.

    Args:
        longest_uri: characters of parameters above which a request is refused with 414.
    Attributes:
        hidden: days whose rows the platform no longer shows.
        has_access: whether the member may read the account's reports; without, they are empty.
    """

    def __init__(
        self,
        served: ServedAccount,
        token: str,
        faults: FaultScript | None = None,
        longest_uri: int = 8_000,
    ) -> None:
        self.served = served
        self.hidden: set[date] = set()
        self.has_access = True
        self._token = token
        self._longest_uri = longest_uri
        self._faults = FaultScript() if faults is None else faults
        written = WrittenChanges(served)
        self._entities = Entities(served, written)
        self._writes = Writes(self._entities, written)
        account = f"/rest/adAccounts/{ACCOUNT_ID}"
        self._routes: Mapping[tuple[str, str], Callable[[Request], Answer]] = {
            ("/rest/adAnalytics", "analytics"): self._analytics,
            ("/rest/adAccounts", "search"): self._accounts,
            ("/rest/adAccountUsers", "authenticatedUser"): self._users,
            (f"{account}/adCampaignGroups", "search"): self._listing(self._entities.groups),
            (f"{account}/adCampaigns", "search"): self._listing(self._entities.campaigns),
            (f"{account}/creatives", "criteria"): self._listing(self._entities.creatives),
        }
        self._server = LoopbackServer(self._answer, self._faults)

    def hide(self, day: date) -> None:
        """From now on the reports have no rows of this day."""
        self.hidden.add(day)

    def revoke_access(self) -> None:
        """The member loses the role on the account; reports become empty, not refused."""
        self.has_access = False

    # --- answers --------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> Answer:
        headers = {name.casefold(): value for name, value in request.headers.items()}
        if headers.get("authorization") != f"Bearer {self._token}":
            return error(401, "INVALID_ACCESS_TOKEN", 65600, "Invalid access token")
        if not re.fullmatch(r"20\d{4}", headers.get("linkedin-version", "")):
            return error(400, "VERSION_MISSING", 0, "A version must be present.")
        if headers.get("x-restli-protocol-version") != "2.0.0":
            return error(400, "ILLEGAL_ARGUMENT", 0, "Rest.li protocol 2.0.0 is needed for List()")
        if sum(len(name) + len(value) for name, value in request.form.items()) > self._longest_uri:
            return Answer({"message": "URI Too Long"}, 414)
        due = self._faults.due(request.path, tuple(_REFUSALS))
        if due is not None:
            return _REFUSALS[due]
        if request.method == "POST" and (patched := PATH.match(request.path)):
            if not self.has_access:
                return no_access(request.path)
            return self._writes.answer(patched, headers.get("x-restli-method", ""), request.body)
        if request.method == "GET" and (read := PATH.match(request.path)) and self.has_access:
            return self._entity(*read.groups())
        route = self._routes.get((request.path, request.form.get("q", "")))
        if route is None or request.method != "GET":
            return error(404, "RESOURCE_NOT_FOUND", 0, f"No virtual resource found: {request.path}")
        return route(request)

    def _entity(self, account_id: str, kind: str, entity_id: str) -> Answer:
        listed = self._entities.campaigns() if kind == "adCampaigns" else self._entities.groups()
        found = [entity for entity in listed if entity["id"] == int(entity_id) and account_id == ACCOUNT_ID]
        return Answer(found[0]) if found else error(404, "RESOURCE_NOT_FOUND", 0, f"No {kind} {entity_id}")

    def _analytics(self, request: Request) -> Answer:
        form = request.form
        if form.get("timeGranularity") != "DAILY" or form.get("pivot") not in _PIVOTS:
            return error(400, "ILLEGAL_ARGUMENT", 0, "pivot or timeGranularity is not valid")
        asked = form.get("fields", "impressions,clicks").split(",")
        matched = _DATE_RANGE.match(form.get("dateRange", ""))
        if matched is None or len(asked) > MOST_METRICS:
            return error(400, "ILLEGAL_ARGUMENT", 0, "dateRange or fields is not valid")
        parts = [int(part) for part in matched.groups()]
        first, last = date(*parts[:3]), date(*parts[3:])
        rows = self._with_plays(self.served.rows(Reports.linkedin, first, last))
        if first <= self.served.today <= last:
            rows = pl.concat([rows, self._today()])
        rows = rows.filter(~pl.col("Start Date (in UTC)").is_in([day.isoformat() for day in self.hidden]))
        if "campaigns" in form:
            rows = rows.filter(pl.col("Campaign ID").is_in(_ids(form["campaigns"])))
        elif _ids(form.get("accounts", "")) != [ACCOUNT_ID]:
            rows = rows.clear()
        if not self.has_access:  # empty, not refused
            rows = rows.clear()
        kind, column = _PIVOTS[form["pivot"]]
        if column != "Ad ID":
            rows = rows.group_by("Start Date (in UTC)", column, maintain_order=True).agg(
                pl.sum(*(name for name, _ in _METRICS.values()))
            )
        elements = [_element(row, asked, f"urn:li:{kind}:{row[column]}") for row in rows.to_dicts()]
        able = [*_DRIFT, FaultKind.TOO_MUCH] if elements else []
        due = self._faults.due(request.path, able) if able else None
        for element in elements:
            if due is FaultKind.UNKNOWN_FIELD:
                element["surpriseMetric"] = 7
            elif due is FaultKind.MISSING_FIELD:
                element.pop("externalWebsitePostViewConversions", None)
        if due is FaultKind.TOO_MUCH:
            elements *= -(-MOST_ELEMENTS // len(elements))
        paging = {"start": 0, "count": 10, "links": []}
        return Answer({"paging": paging, "elements": elements[:MOST_ELEMENTS]})

    def _with_plays(self, rows: pl.DataFrame) -> pl.DataFrame:
        return with_plays(rows, "Ad ID", clips_of(self.served, LINKEDIN))

    def _today(self) -> pl.DataFrame:
        """Today's rows with what is told of them by now."""
        served = self.served
        told = told_hours(served.today, served.now(), "UTC", REPORTING_DELAY)
        share = told[-1].after if told else 0.0
        rows = self._with_plays(served.rows_today(Reports.linkedin).filter(pl.lit(share) > 0))
        return rows.with_columns(
            (pl.col(column) * share).floor().cast(rows.schema[column])
            if style == "d"
            else (pl.col(column) * 100 * share).floor() / 100
            for column, style in _METRICS.values()
        )

    def _accounts(self, request: Request) -> Answer:
        platform = PLATFORMS[LINKEDIN]
        described = {
            "id": int(ACCOUNT_ID),
            "name": platform.account_name,
            "currency": CURRENCY,
            "status": "ACTIVE",
            "type": "BUSINESS",
            "servingStatuses": ["RUNNABLE"],
        }
        return self._page(request, [described] if self.has_access else [])

    def _users(self, request: Request) -> Answer:
        role = {
            "account": f"urn:li:sponsoredAccount:{ACCOUNT_ID}",
            "user": "urn:li:person:K1RwyVNukt",
            "role": "CAMPAIGN_MANAGER",
        }
        roles = [role] if self.has_access else []
        return Answer({"paging": {"start": 0, "count": 10, "links": []}, "elements": roles})

    def _listing(self, listed: Callable[[], Objects]) -> Callable[[Request], Answer]:
        return lambda request: self._page(request, listed())

    def _page(self, request: Request, listed: Sequence[dict[str, Any]]) -> Answer:
        """One page behind a cursor, with the paging faults."""
        size = int(request.form.get("pageSize", "100"))
        token = request.form.get("pageToken", "")
        start = int(token.removeprefix("DgGerr1iVQ")) if token else 0
        if not 1 <= size <= LARGEST_PAGE:
            return error(400, "ILLEGAL_ARGUMENT", 0, f"pageSize must lie between 1 and {LARGEST_PAGE}")
        following = start + size
        able: list[FaultKind] = []
        if following < len(listed):
            able += [FaultKind.CURSOR_LOOP] if start else []
            able += [FaultKind.EMPTY_MIDDLE, FaultKind.DUPLICATE_PAGE]
        due = self._faults.due(request.path, able) if able else None
        rows = list(listed[start:following])
        if due is FaultKind.EMPTY_MIDDLE:  # what it holds comes with the next page
            return Answer({"metadata": {"nextPageToken": f"DgGerr1iVQ0{start}"}, "elements": []})
        if due is FaultKind.CURSOR_LOOP:
            following = start
        if due is FaultKind.DUPLICATE_PAGE:
            rows = [*rows, *rows]
        metadata = {"nextPageToken": f"DgGerr1iVQ{following}"} if following < len(listed) else {}
        return Answer({"metadata": metadata, "elements": rows})


def _element(row: Mapping[str, Any], asked: Sequence[str], urn: str) -> dict[str, Any]:
    """One creative's or campaign's day; money is text, counts are numbers."""
    day = date.fromisoformat(row["Start Date (in UTC)"])
    parts = {"year": day.year, "month": day.month, "day": day.day}
    element: dict[str, Any] = {}
    if "dateRange" in asked:
        element["dateRange"] = {"start": parts, "end": parts}
    if "pivotValues" in asked:
        element["pivotValues"] = [urn]
    for name, (column, style) in _METRICS.items():
        if name in asked:
            element[name] = row[column] if style == "d" else format(row[column], style)
    return element


def _ids(listed: str) -> list[str]:
    """The ids of `List(urn:li:x:1,urn:li:x:2)`."""
    return [urn.rpartition(":")[2] for urn in listed.removeprefix("List(").removesuffix(")").split(",")]
