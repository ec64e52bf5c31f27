"""TikTok Business API v1.3: ads by day, today's spend by hour, and the budgets in force.

A click is one that leaves for the advertiser's site or app. A conversion is the one event each ad group
optimises for, by day of the click or view: click-through (7 days by default) and view-through (1 day) apart.
TikTok values purchases only in sum. Days are the advertiser's own.

Here: TikTok's paths, fields and return codes, which arrive as HTTP 200. Not here: retries (`fetching`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from resources.connectors.errors import ErrorClass, MissingCredentials
from resources.connectors.http import Reply, RestClient
from resources.connectors.rows import decimal_text, moment_text, page_rows, text
from resources.connectors.source import AN_HOUR, Account, Page, Pull, Report
from resources.landing.streams import STREAMS

ENDPOINT = "https://business-api.tiktok.com"
ROOT = "/open_api/v1.3"
_LARGEST_PAGE = 1000
_MOST_FILTERED = 100  # ids in one filter
_THROTTLED_SECONDS = 300.0  # TikTok names no wait; its limits are counted over minutes
_NO_ACCESS = frozenset({40001, *range(40101, 40120)})
_THROTTLED = 40100

_ADS = Report(STREAMS["tiktok_ads_report"], "none", lookback_days=28, longest_days=30)
_INTRADAY = Report(STREAMS["intraday_spend"], "none", 0, 1, is_snapshot=True, snapshot_every=AN_HOUR)
_LEVERS = Report(STREAMS["levers"], "none", lookback_days=0, longest_days=1, is_snapshot=True)

# Attributes the report can give beside its metrics, which spares a call per level.
_NAMES = ("campaign_name", "adgroup_name", "ad_name")
_KEYS = ("campaign_id", "adgroup_id")
# How far videos are played; replays count nowhere. Six seconds: or the whole of a shorter video.
_PLAYS = {
    "video_plays": "video_play_actions",
    "video_2s_views": "video_watched_2s",
    "video_6s_views": "video_watched_6s",
    "video_p25": "video_views_p25",
    "video_p50": "video_views_p50",
    "video_p75": "video_views_p75",
    "video_p100": "video_views_p100",
}
_BUDGET_TYPES = {
    "BUDGET_MODE_DAY": "daily",
    "BUDGET_MODE_DYNAMIC_DAILY_BUDGET": "daily",
    "BUDGET_MODE_TOTAL": "lifetime",
}
# TikTok's own floors for daily budgets; it publishes them in dollars only.
_MINIMUM_USD = {"campaign": "50", "adgroup": "20"}
_INCREMENT = "1"
# TikTok names no learning stage; it says learning ends with 50 conversions or after seven days.
_LEARNING = timedelta(days=7)


@dataclass(frozen=True)
class PurchaseMetrics:
    """TikTok's metrics that count as purchases: one each, or orders count twice.

    Its own names mislead: `total_complete_payment_rate` is the money of purchases on a website,
    `total_purchase_value` that of purchases inside an app.
    """

    click: str = "cta_conversion"
    view: str = "vta_conversion"
    value: str = "total_complete_payment_rate"


@dataclass(frozen=True)
class TikTokCredentials:
    """A long-lived access token."""

    access_token: str = field(repr=False)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> TikTokCredentials:
        """Raises MissingCredentials naming the variable that is not set."""
        token = variables.get("AELP_TIKTOK_ACCESS_TOKEN", "").strip()
        if not token:
            raise MissingCredentials(
                "TikTok has no credentials: set AELP_TIKTOK_ACCESS_TOKEN. `aelp connect tiktok` checks it."
            )
        return cls(token)


class TikTok:
    """Advertisers read with one access token.

    Args:
        advertiser_ids: the accounts to read.
        now: the present moment; tells how old an ad group is.
        timeout_seconds: longest wait for each piece of an answer.
        page_size: rows asked for at once, 1,000 at most.
    """

    name = "tiktok"
    api_version = "v1.3"
    page_sizes: Sequence[int] = ()
    """Nothing is ever too much for TikTok: it pages."""

    def __init__(
        self,
        credentials: TikTokCredentials,
        advertiser_ids: Sequence[str],
        now: Callable[[], datetime],
        *,
        endpoint: str = ENDPOINT,
        purchases: PurchaseMetrics | None = None,
        timeout_seconds: float = 60.0,
        page_size: int = _LARGEST_PAGE,
    ) -> None:
        self._credentials = credentials
        self._advertiser_ids = tuple(advertiser_ids)
        self._now = now
        self._purchases = PurchaseMetrics() if purchases is None else purchases
        self._page_size = page_size
        self._client = open_client(credentials, endpoint, timeout_seconds)

    @property
    def reports(self) -> Sequence[Report]:
        return (_ADS, _LEVERS, _INTRADAY)

    @property
    def secrets(self) -> Sequence[str]:
        return (self._credentials.access_token,)

    def close(self) -> None:
        self._client.close()

    def accounts(self) -> Sequence[Account]:
        """The advertisers, as TikTok describes them.

        Raises:
            PlatformError: AUTH where one of them cannot be read, and as `pages`.
        """
        accounts = []
        for ids in _portions(self._advertiser_ids):
            asked = {
                "advertiser_ids": json.dumps(ids),
                "fields": json.dumps(["advertiser_id", "name", "currency", "timezone", "display_timezone"]),
            }
            listed = self._list(self._get("/advertiser/info/", asked))
            accounts += [
                Account(
                    self._given(advertiser, "advertiser_id"),
                    self._given(advertiser, "name"),
                    self._given(advertiser, "currency"),
                    # `timezone` is a bare offset and knows no daylight saving.
                    text(advertiser.get("display_timezone")) or self._given(advertiser, "timezone"),
                )
                for advertiser in listed
            ]
        missing = set(self._advertiser_ids) - {account.account_id for account in accounts}
        if missing:
            self._client.refuse(
                ErrorClass.AUTH,
                f"the token cannot read advertiser {', '.join(sorted(missing))}. "
                "Authorise the app for it again, or take it out of the configured accounts.",
            )
        return accounts

    def pages(self, pull: Pull) -> Iterator[Page]:
        """The rows of a pull, page by page.

        Raises:
            PlatformError: THROTTLE (five minutes), AUTH, TRANSIENT or PERMANENT.
        """
        if pull.report.stream is _LEVERS.stream:
            yield Page(page_rows(self._levers(pull), pull.report.stream))
            return
        if pull.report.stream is _INTRADAY.stream:
            for listed in self._hours(pull):
                yield Page(page_rows(listed, pull.report.stream))
            return
        for listed in self._report(pull):
            yield Page(page_rows(self._with_parents(pull, listed), pull.report.stream))

    def parents(self, pull: Pull) -> Sequence[str]:
        return ()

    # --- ads by day -----------------------------------------------------------------------------------

    def _report(self, pull: Pull) -> Iterator[list[dict[str, str | date | None]]]:
        purchases = self._purchases
        fields = {
            "impressions": "impressions",
            "clicks": "clicks",
            "spend": "spend",
            "conversions_click": purchases.click,
            "conversions_view": purchases.view,
            "total_purchase_value": purchases.value,
            **_PLAYS,
        }
        metrics = {*_KEYS, *_NAMES, *fields.values()}
        for listed in self._asked_report(pull, "AUCTION_AD", ["ad_id", "stat_time_day"], metrics):
            yield [self._ad_day(pull, row, fields) for row in listed]

    def _asked_report(
        self, pull: Pull, level: str, dimensions: Sequence[str], metrics: Iterable[str]
    ) -> Iterator[list[dict[str, Any]]]:
        asked = {
            "advertiser_id": pull.account.account_id,
            "report_type": "BASIC",
            "data_level": level,
            "dimensions": json.dumps(dimensions),
            "metrics": json.dumps(sorted(metrics)),
            "start_date": pull.first.isoformat(),
            "end_date": pull.last.isoformat(),
        }
        path = "/report/integrated/get/"
        return self._listed(path, asked, lambda row: str(row.get("dimensions")), pull.page_size)

    def _ad_day(
        self, pull: Pull, row: Mapping[str, Any], fields: Mapping[str, str]
    ) -> dict[str, str | date | None]:
        dimensions, metrics = self._parts(row)
        day = self._stated(pull, dimensions, "stat_time_day").date()
        read: dict[str, str | date | None] = {
            "report_date": day,
            "ad_id": self._given(dimensions, "ad_id"),
            "account_name": pull.account.name,
            "currency": pull.account.currency,
        }
        for name in ("impressions", "clicks", "spend"):
            if metrics.get(name) is None:
                self._client.malformed(f"a row without {name}")
        for name, metric in fields.items():
            said = metrics.get(metric)
            # TikTok writes a dash for a metric an ad cannot have.
            read[name] = None if said == "-" else decimal_text(said, f"TikTok: {metric}")
        taken = {*fields.values()}
        return read | {name: text(value) for name, value in metrics.items() if name not in taken}

    def _hours(self, pull: Pull) -> Iterator[list[dict[str, str | date | None]]]:
        """Today's spend by ad group and hour of the advertiser's clock; hours without delivery are absent."""
        metrics = ("campaign_id", "campaign_name", "adgroup_name", "spend")
        for listed in self._asked_report(pull, "AUCTION_ADGROUP", ["adgroup_id", "stat_time_hour"], metrics):
            rows: list[dict[str, str | date | None]] = []
            for row in listed:
                dimensions, said = self._parts(row)
                moment = self._stated(pull, dimensions, "stat_time_hour")
                rows.append(
                    {
                        "report_date": moment.date(),
                        "adgroup_id": self._given(dimensions, "adgroup_id"),
                        "campaign_id": self._given(said, "campaign_id"),
                        "hour": str(moment.hour),
                        "account_name": pull.account.name,
                        "currency": pull.account.currency,
                        "campaign_name": text(said.get("campaign_name")),
                        "adgroup_name": text(said.get("adgroup_name")),
                        "spend": decimal_text(self._given(said, "spend"), "TikTok: spend"),
                    }
                )
            yield rows

    def _parts(self, row: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        dimensions, metrics = row.get("dimensions"), row.get("metrics")
        if not isinstance(dimensions, dict) or not isinstance(metrics, dict):
            self._client.malformed("a row without dimensions or metrics")
        return dimensions, metrics

    def _stated(self, pull: Pull, dimensions: Mapping[str, Any], name: str) -> datetime:
        """The day or hour of a row, on the advertiser's clock."""
        stated = str(dimensions.get(name))
        try:
            moment = datetime.fromisoformat(stated)  # without a zone: the account's clock
        except ValueError:
            self._client.malformed(f"{name} is {stated!r}")
        if not pull.first <= moment.date() <= pull.last:
            self._client.malformed(f"a row of {moment.date()}, asked for {pull.first} to {pull.last}")
        return moment

    def _with_parents(
        self, pull: Pull, rows: list[dict[str, str | date | None]]
    ) -> list[dict[str, str | date | None]]:
        """Fill in ad groups and campaigns where the report did not name them."""
        lacking = sorted({str(row["ad_id"]) for row in rows if any(row.get(key) is None for key in _KEYS)})
        known: dict[str, Mapping[str, Any]] = {}
        for ids in _portions(lacking):
            asked = {
                "advertiser_id": pull.account.account_id,
                "filtering": json.dumps({"ad_ids": ids, "primary_status": "STATUS_ALL"}),
            }
            for listed in self._listed("/ad/get/", asked, lambda ad: str(ad.get("ad_id"))):
                known |= {self._given(ad, "ad_id"): ad for ad in listed}
        # What TikTok no longer knows at all stays without parents: its spend still counts.
        for row in rows:
            ad = known.get(str(row["ad_id"]), {})
            for name in (*_KEYS, *_NAMES):
                row[name] = row.get(name) or text(ad.get(name))
        return rows

    # --- budgets --------------------------------------------------------------------------------------

    def _levers(self, pull: Pull) -> list[dict[str, str | date | None]]:
        """Campaigns that carry their budget, and ad groups that do. Deleted ones are not listed."""
        asked = {"advertiser_id": pull.account.account_id}
        campaigns = {
            self._given(campaign, "campaign_id"): campaign
            for listed in self._listed("/campaign/get/", asked, lambda row: str(row.get("campaign_id")))
            for campaign in listed
        }
        levers = [
            self._lever(pull, campaign, campaign, "campaign")
            for campaign in campaigns.values()
            if campaign.get("budget_optimize_on") and campaign.get("budget_mode") in _BUDGET_TYPES
        ]
        for listed in self._listed("/adgroup/get/", asked, lambda row: str(row.get("adgroup_id"))):
            for adgroup in listed:
                owner = campaigns.get(self._given(adgroup, "campaign_id"), {})
                if not owner.get("budget_optimize_on") and adgroup.get("budget_mode") in _BUDGET_TYPES:
                    levers.append(self._lever(pull, adgroup, owner, "adgroup"))
        return levers

    def _lever(
        self, pull: Pull, entity: Mapping[str, Any], campaign: Mapping[str, Any], level: str
    ) -> dict[str, str | date | None]:
        entity_id = self._given(entity, f"{level}_id")
        budget_type = _BUDGET_TYPES[str(entity["budget_mode"])]
        created, edited = self._moment(entity, "create_time"), self._moment(entity, "modify_time")
        running = all(each.get("operation_status", "ENABLE") == "ENABLE" for each in (entity, campaign))
        is_dollars = pull.account.currency == "USD" and budget_type == "daily"
        return {
            "report_date": pull.last,
            "lever_id": f"{level}_{entity_id}",
            "lever_level": level,
            "campaign_id": self._given(entity, "campaign_id"),
            "entity_id": entity_id,
            "entity_name": text(entity.get(f"{level}_name")),
            "budget_type": budget_type,
            "currency": pull.account.currency,
            "budget": decimal_text(entity.get("budget"), "TikTok: budget"),
            "minimum_budget": _MINIMUM_USD[level] if is_dollars else None,
            "budget_increment": _INCREMENT,
            "is_shared": "false",
            "learning_state": _learning_state(created, self._now()),
            "last_edited_at": moment_text(edited) if edited else None,
            "status": "active" if running else "paused",
        }

    def _moment(self, entity: Mapping[str, Any], name: str) -> datetime | None:
        stated = text(entity.get(name))
        if stated is None:
            return None
        try:
            return datetime.strptime(stated, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            self._client.malformed(f"{name} is {stated!r}")

    # --- asking ---------------------------------------------------------------------------------------

    def _listed(
        self,
        path: str,
        asked: Mapping[str, str],
        identity: Callable[[Mapping[str, Any]], str],
        page_size: int | None = None,
    ) -> Iterator[list[dict[str, Any]]]:
        """All pages of a list; ends only when as many different rows came as TikTok counts.

        Raises:
            PlatformError: TRANSIENT where a page is missing, came twice, or the count changed meanwhile.
        """
        size, seen, total, number = page_size or self._page_size, set[str](), -1, 1
        while True:
            data = self._get(path, {**asked, "page": str(number), "page_size": str(size)})
            listed, info = self._list(data), data.get("page_info")
            counts = [info.get(name) for name in ("page", "total_page", "total_number")] if info else []
            if len(counts) != 3 or not all(type(count) is int for count in counts):
                self._client.malformed(f"{path} has no page_info")
            page, pages, counted = counts
            if page != number or total not in (-1, counted):
                self._client.malformed(
                    f"{path} page {number} of {total} rows came as page {page} of {counted}"
                )
            total = counted
            seen |= {identity(row) for row in listed}
            yield listed
            if number >= pages:
                break
            number += 1
        if len(seen) != total:
            self._client.malformed(f"{path} counts {total} rows, {len(seen)} different ones came")

    def _list(self, data: Mapping[str, Any]) -> list[dict[str, Any]]:
        listed = data.get("list")
        if not isinstance(listed, list) or not all(isinstance(row, dict) for row in listed):
            self._client.malformed("data has no list")
        return listed

    def _given(self, row: Mapping[str, Any], name: str) -> str:
        value = text(row.get(name))
        if value is None:
            self._client.malformed(f"a row without {name}")
        return value

    def _get(self, path: str, asked: Mapping[str, str]) -> dict[str, Any]:
        return answered(self._client, self._client.get(ROOT + path, asked), path)


def open_client(credentials: TikTokCredentials, endpoint: str, timeout_seconds: float) -> RestClient:
    """A client that carries the access token."""
    return RestClient(
        "TikTok",
        endpoint,
        headers={"Access-Token": credentials.access_token},
        secrets=(credentials.access_token,),
        timeout_seconds=timeout_seconds,
    )


def answered(client: RestClient, reply: Reply, path: str) -> dict[str, Any]:
    """The data of an answer whose return code says that it is one.

    Raises:
        PlatformError: THROTTLE, AUTH, TRANSIENT or PERMANENT.
    """
    body = reply.body if isinstance(reply.body, dict) else {}
    code, said = body.get("code"), f"code {body.get('code')}: {body.get('message')}"
    match code:
        case 0 if reply.status == 200 and isinstance(body.get("data"), dict):
            data: dict[str, Any] = body["data"]
            return data
        case int() if code == _THROTTLED:
            client.refuse(ErrorClass.THROTTLE, said, _THROTTLED_SECONDS)
        case int() if code in _NO_ACCESS:
            client.refuse(
                ErrorClass.AUTH, f"{said} Renew AELP_TIKTOK_ACCESS_TOKEN or grant it the advertiser."
            )
        case int() if 50000 <= code < 60000:
            client.refuse(ErrorClass.TRANSIENT, said)
        case int() if code != 0:
            client.refuse(ErrorClass.PERMANENT, said)
        case _ if reply.status != 200:
            client.refuse_status(reply)
        case _:
            client.malformed(f"{path} has no return code or no data")


def _learning_state(created: datetime | None, now: datetime) -> str | None:
    if created is None:
        return None
    return "learning" if now - created < _LEARNING else "active"


def _portions(ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), _MOST_FILTERED):
        yield list(ids[start : start + _MOST_FILTERED])
