"""The HTTP side of the loopback TikTok API: who may ask, what is answered, what goes wrong.

Here: TikTok's paths, envelopes, paging, return codes and faults; every answer is HTTP 200, the body's code
says what happened. Not here: the numbers (`frames`), objects (`entities`), writes, transport faults (`http`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from resources.sandbox.catalogue import CURRENCY, PLATFORMS, TIKTOK
from resources.sandbox.frames import Reports
from resources.sandbox.servers.account import ACCOUNT_ZONE, ServedAccount
from resources.sandbox.servers.faults import FaultKind, FaultScript
from resources.sandbox.servers.hours import told_hours
from resources.sandbox.servers.http import Answer, LoopbackServer, PlatformServer, Request
from resources.sandbox.servers.plays import clips_of, with_plays
from resources.sandbox.servers.tiktok.entities import ADVERTISER_ID, Entities
from resources.sandbox.servers.tiktok.writes import INVALID, NO_PERMISSION, Refusal, Writes
from resources.sandbox.servers.written import WrittenChanges

ROOT = "/open_api/v1.3"
LONGEST_DAYS = 30
LARGEST_PAGE = 1000
REPORTING_DELAY = timedelta(minutes=10)  # TikTok's own average for basic reports
_BY_AD = ("BASIC", "AUCTION_AD", "ad_id", "stat_time_day")
_BY_HOUR = ("BASIC", "AUCTION_ADGROUP", "adgroup_id", "stat_time_hour")
_REFUSALS = {
    FaultKind.THROTTLE: (40100, "Too many requests. Please retry in some time."),
    FaultKind.EXPIRED_TOKEN: (40105, "Access token is incorrect or has been revoked."),
    FaultKind.SERVER_ERROR: (50000, "System error"),
}
_DRIFT = (FaultKind.UNKNOWN_FIELD, FaultKind.MISSING_FIELD)
# TikTok's metric -> the report's column, with the format of its text.
_METRICS: Mapping[str, tuple[str, str]] = {
    "campaign_id": ("Campaign ID", "s"),
    "campaign_name": ("Campaign name", "s"),
    "adgroup_id": ("Ad group ID", "s"),
    "adgroup_name": ("Ad group name", "s"),
    "ad_name": ("Ad name", "s"),
    "advertiser_name": ("Advertiser name", "s"),
    "currency": ("Currency", "s"),
    "impressions": ("Impressions", "d"),
    "clicks": ("Clicks (destination)", "d"),
    "spend": ("Cost", ".2f"),
    "cta_conversion": ("Conversions (click)", "d"),
    "vta_conversion": ("Conversions (view)", "d"),
    # A web shop: values of completed payments; purchases inside an app have none.
    "total_complete_payment_rate": ("Total purchase value", ".2f"),
    "video_play_actions": ("started", "d"),
    "video_watched_2s": ("2_seconds", "d"),
    "video_watched_6s": ("6_seconds", "d"),
    "video_views_p25": ("p25", "d"),
    "video_views_p50": ("p50", "d"),
    "video_views_p75": ("p75", "d"),
    "video_views_p100": ("p100", "d"),
}


class TikTokServer(PlatformServer):
    """Serves one advertiser; use as a context manager.

    Attributes:
        hidden: days whose rows the platform no longer shows.
    """

    def __init__(self, served: ServedAccount, token: str, faults: FaultScript | None = None) -> None:
        self.served = served
        self.hidden: set[date] = set()
        self._token = token
        self._faults = FaultScript() if faults is None else faults
        written = WrittenChanges(served)
        self._entities = Entities(served, written)
        self._writes = Writes(self._entities, written)
        self._routes: Mapping[str, Callable[[Request], Answer]] = {
            "/advertiser/info/": self._advertisers,
            "/report/integrated/get/": self._report,
            "/campaign/get/": lambda request: self._entity_page(request, "campaign"),
            "/adgroup/get/": lambda request: self._entity_page(request, "adgroup"),
            "/ad/get/": self._ads,
        }
        self._server = LoopbackServer(self._answer, self._faults)

    def hide(self, day: date) -> None:
        """From now on the report has no rows of this day."""
        self.hidden.add(day)

    # --- answers --------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> Answer:
        headers = {name.casefold(): value for name, value in request.headers.items()}
        if headers.get("access-token") != self._token:
            return _refused(*_REFUSALS[FaultKind.EXPIRED_TOKEN])
        due = self._faults.due(request.path, tuple(_REFUSALS))
        if due is not None:
            return _refused(*_REFUSALS[due])
        path = request.path.removeprefix(ROOT)
        if request.method == "POST" and path in self._writes:
            return self._write(path, request)
        route = self._routes.get(path)
        if route is None or request.method != "GET":
            return Answer({"code": 40006, "message": "Unsupported path", "request_id": _REQUEST_ID}, 404)
        return route(request)

    def _advertisers(self, request: Request) -> Answer:
        platform = PLATFORMS[TIKTOK]
        asked = json.loads(request.form.get("advertiser_ids", "[]"))
        if any(advertiser != ADVERTISER_ID for advertiser in asked):
            return _refused(NO_PERMISSION, "No permission to operate advertiser.")
        offset = datetime.now(ZoneInfo(ACCOUNT_ZONE)).utcoffset() or timedelta()
        described = {
            "advertiser_id": ADVERTISER_ID,
            "name": platform.account_name,
            "currency": CURRENCY,
            "timezone": f"Etc/GMT{-offset // timedelta(hours=1):+d}",
            "display_timezone": ACCOUNT_ZONE,
            "status": "STATUS_ENABLE",
        }
        return _ok({"list": [described]})

    def _report(self, request: Request) -> Answer:
        form = request.form
        if form.get("advertiser_id") != ADVERTISER_ID:
            return _refused(NO_PERMISSION, "No permission to operate advertiser.")
        dimensions, metrics = json.loads(form["dimensions"]), json.loads(form["metrics"])
        asked = (form.get("report_type"), form.get("data_level"), *sorted(dimensions))
        if asked not in (_BY_AD, _BY_HOUR):
            return _refused(INVALID, "dimensions: not supported at this data_level")
        unknown = [metric for metric in metrics if metric not in _METRICS]
        if unknown:
            return _refused(INVALID, f"metrics: invalid metric fields {unknown}")
        first, last = date.fromisoformat(form["start_date"]), date.fromisoformat(form["end_date"])
        if asked == _BY_HOUR:
            if first != last:
                return _refused(INVALID, "The time span exceeds 1 day when stat_time_hour is a dimension")
            return self._page(request, self._hours(metrics) if first == self.served.today else [])
        if (last - first).days >= LONGEST_DAYS or last < first:
            return _refused(INVALID, "The time span exceeds 30 days when stat_time_day is a dimension")
        rows = self.served.rows(Reports.tiktok, first, last)
        rows = rows.filter(~pl.col("By Day").is_in([day.isoformat() for day in self.hidden]))
        rows = with_plays(rows, "Ad ID", clips_of(self.served, TIKTOK))
        listed = [
            {
                "dimensions": {"ad_id": row["Ad ID"], "stat_time_day": f"{row['By Day']} 00:00:00"},
                "metrics": {
                    metric: format(row[column], style)
                    for metric, (column, style) in _METRICS.items()
                    if metric in metrics
                },
            }
            for row in rows.sort("By Day", "Ad ID").to_dicts()
        ]
        return self._page(request, listed)

    def _hours(self, metrics: Sequence[str]) -> list[dict[str, Any]]:
        """Today's spend by ad group and hour, as far as it is told by now."""
        served = self.served
        names = {metric: column for metric, (column, _) in _METRICS.items() if metric in metrics}
        groups = served.rows_today(Reports.tiktok).group_by("Ad group ID", maintain_order=True).agg(
            *(pl.first(column) for column in names.values() if column not in ("Ad group ID", "Cost")),
            (pl.col("Cost") * 100).round().cast(pl.Int64).sum().alias("cents"),
        )  # fmt: skip
        listed = []
        for hour in told_hours(served.today, served.now(), ACCOUNT_ZONE, REPORTING_DELAY):
            for row in groups.sort("Ad group ID").to_dicts():
                cents = hour.part(row["cents"])
                dimensions = {
                    "adgroup_id": row["Ad group ID"],
                    "stat_time_hour": f"{served.today} {hour.hour:02d}:00:00",
                }
                told = {metric: row[column] for metric, column in names.items() if column in row}
                if cents:
                    listed.append(
                        {"dimensions": dimensions, "metrics": told | {"spend": f"{cents / 100:.2f}"}}
                    )
        return listed

    def _entity_page(self, request: Request, level: str) -> Answer:
        listed = self._entities.campaigns() if level == "campaign" else self._entities.adgroups()
        wanted = json.loads(request.form.get("filtering", "{}")).get(f"{level}_ids")
        if wanted is not None:
            listed = [entity for entity in listed if entity[f"{level}_id"] in wanted]
        return self._page(request, listed)

    def _ads(self, request: Request) -> Answer:
        wanted = json.loads(request.form.get("filtering", "{}")).get("ad_ids")
        return self._page(request, self._entities.ads(wanted))

    def _write(self, path: str, request: Request) -> Answer:
        try:
            return _ok(self._writes.apply(path, request.body))
        except Refusal as refusal:
            return _refused(refusal.code, str(refusal))

    def _page(self, request: Request, listed: Sequence[dict[str, Any]]) -> Answer:
        """One page of a list, with the paging and drift faults."""
        number, size = int(request.form.get("page", "1")), int(request.form.get("page_size", "10"))
        if not 1 <= size <= LARGEST_PAGE:
            return _refused(INVALID, f"page_size: should be between 1 and {LARGEST_PAGE}")
        pages = -(-len(listed) // size)
        able: list[FaultKind] = list(_DRIFT) if listed else []
        if 1 < number < pages:
            able.append(FaultKind.EMPTY_MIDDLE)
        if 1 < number <= pages:
            able.append(FaultKind.DUPLICATE_PAGE)
        due = self._faults.due(request.path, able) if able else None
        shown = number - 1 if due is FaultKind.DUPLICATE_PAGE else number
        rows = [dict(row) for row in listed[(shown - 1) * size : shown * size]]
        if due is FaultKind.EMPTY_MIDDLE:
            rows = []
        for row in rows if due in _DRIFT else []:
            inner = row
            if "metrics" in row:
                inner = row["metrics"] = dict(row["metrics"])
            if due is FaultKind.UNKNOWN_FIELD:
                inner["surprise_metric"] = "7"
            else:
                for name in ("vta_conversion", "campaign_id", "campaign_name") if "metrics" in row else ():
                    inner.pop(name, None)
        info = {"page": number, "page_size": size, "total_number": len(listed), "total_page": pages}
        return _ok({"list": rows, "page_info": info})


_REQUEST_ID = "20260630120000010245029094"


def _ok(data: Mapping[str, Any]) -> Answer:
    return Answer({"code": 0, "message": "OK", "request_id": _REQUEST_ID, "data": data})


def _refused(code: int, message: str) -> Answer:
    return Answer({"code": code, "message": message, "request_id": _REQUEST_ID, "data": {}})
