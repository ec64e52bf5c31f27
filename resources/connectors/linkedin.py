"""LinkedIn Marketing API: creatives by day, what today spent so far, and the budgets in force.

A click is any chargeable one, on the ad's name or picture as well as to the advertiser's page. A conversion
is any the account tracks on its website: post-click (30 days by default) and post-view (7 days) apart, their
value only in sum. Days are UTC. LinkedIn says campaign group, campaign, creative for campaign, ad group, ad.

Here: LinkedIn's paths, fields and error bodies. Not here: retries (`fetching`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NoReturn
from urllib.parse import quote

from resources.connectors.errors import ErrorClass, MissingCredentials
from resources.connectors.http import Reply, RestClient, seconds
from resources.connectors.rows import decimal_text, moment_text, page_rows, text
from resources.connectors.source import AN_HOUR, Account, Page, Pull, Report
from resources.landing.streams import STREAMS

ENDPOINT = "https://api.linkedin.com"
VERSION = "202603"
_MOST_ELEMENTS = 15_000  # of one analytics answer: what is beyond is left out without a word
_ENTITIES_PER_PAGE = 1000
_DAY_LIMIT = re.compile(r"\bDAY\b")

_ADS = Report(
    STREAMS["linkedin_ad_analytics"], "none", lookback_days=35, longest_days=30, final_after_days=35
)
_INTRADAY = Report(STREAMS["intraday_spend"], "none", 0, 1, is_snapshot=True, snapshot_every=AN_HOUR)
_LEVERS = Report(STREAMS["levers"], "none", lookback_days=0, longest_days=1, is_snapshot=True)

_REQUIRED = {"impressions": "impressions", "clicks": "clicks", "spend": "costInLocalCurrency"}
_FIELDS = _REQUIRED | {
    "conversions_post_click": "externalWebsitePostClickConversions",
    "conversions_post_view": "externalWebsitePostViewConversions",
    "conversion_value": "conversionValueInLocalCurrency",
    "video_plays": "videoStarts",
    # Two seconds on end with half of the video in view, or a click on its call to action.
    "video_views": "videoViews",
    # Where a video plays on LinkedIn itself, those who skip to a mark have reached it; the end is 97 % of it.
    "video_p25": "videoFirstQuartileCompletions",
    "video_p50": "videoMidpointCompletions",
    "video_p75": "videoThirdQuartileCompletions",
    "video_p100": "videoCompletions",
}
_ASKED = ("dateRange", "pivotValues", *_FIELDS.values())  # 14 of the 20 that one request may name
# Statuses in which a budget can still be spent or edited.
_STATUSES = ("ACTIVE", "PAUSED")
_MINIMUM_USD = "10"  # a day; LinkedIn publishes it in dollars only
_INCREMENT = "1"
# LinkedIn has no learning stage that an edit could reset.
_LEARNING_STATE = "active"

Row = dict[str, str | date | None]


@dataclass(frozen=True)
class LinkedInCredentials:
    """A member's access token with r_ads and r_ads_reporting."""

    access_token: str = field(repr=False)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> LinkedInCredentials:
        """Raises MissingCredentials naming the variable that is not set."""
        token = variables.get("AELP_LINKEDIN_ACCESS_TOKEN", "").strip()
        if not token:
            raise MissingCredentials(
                "LinkedIn has no credentials: set AELP_LINKEDIN_ACCESS_TOKEN to a member's token with r_ads "
                "and r_ads_reporting. `aelp connect linkedin` checks it."
            )
        return cls(token)


@dataclass(frozen=True)
class _Entities:
    """An account's campaign groups, campaigns and creatives by id, as LinkedIn describes them."""

    groups: Mapping[str, Mapping[str, Any]]
    campaigns: Mapping[str, Mapping[str, Any]]
    creatives: Mapping[str, Mapping[str, Any]]


class LinkedIn:
    """Ad accounts read with one access token. Names are read once per instance: make one for each run.

    Args:
        account_ids: the accounts to read; none: all the member can see.
        now: the present moment; tells when a daily quota opens again.
        version: LinkedIn's API version, YYYYMM; each lives for about a year.
        timeout_seconds: longest wait for each piece of an answer.
        entities_per_page: campaigns or creatives asked for at once, 1,000 at most.
    """

    name = "linkedin"
    page_sizes: Sequence[int] = ()
    """Analytics have no pages."""

    def __init__(
        self,
        credentials: LinkedInCredentials,
        account_ids: Sequence[str],
        now: Callable[[], datetime],
        *,
        endpoint: str = ENDPOINT,
        version: str = VERSION,
        timeout_seconds: float = 60.0,
        entities_per_page: int = _ENTITIES_PER_PAGE,
    ) -> None:
        self.api_version = version
        self._credentials = credentials
        self._account_ids = tuple(account_ids)
        self._now = now
        self._entities_per_page = entities_per_page
        self._known: dict[str, _Entities] = {}
        self._client = open_client(credentials, endpoint, timeout_seconds, version)

    @property
    def reports(self) -> Sequence[Report]:
        return (_ADS, _LEVERS, _INTRADAY)

    @property
    def secrets(self) -> Sequence[str]:
        return (self._credentials.access_token,)

    def close(self) -> None:
        self._client.close()

    def accounts(self) -> Sequence[Account]:
        """The accounts to read, as LinkedIn describes them.

        Raises:
            PlatformError: AUTH where a named one cannot be read, and as `pages`.
        """
        wanted = self._account_ids
        accounts = [
            Account(
                self._given(account, "id"),
                self._given(account, "name"),
                self._given(account, "currency"),
                "UTC",
            )
            for account in self._walk("/rest/adAccounts", "search")
        ]
        missing = set(wanted) - {account.account_id for account in accounts}
        if missing:
            self._no_role(sorted(missing))
        return [account for account in accounts if not wanted or account.account_id in wanted]

    def pages(self, pull: Pull) -> Iterator[Page]:
        """The rows of a pull; LinkedIn answers analytics in one piece.

        Raises:
            PlatformError: THROTTLE, DEFER (until the next UTC midnight), SHRINK, AUTH, TRANSIENT, PERMANENT.
        """
        read = {_LEVERS.name: self._levers, _INTRADAY.name: self._day_so_far}.get(
            pull.report.name, self._report
        )
        yield Page(page_rows(read(pull), pull.report.stream))

    def parents(self, pull: Pull) -> Sequence[str]:
        """All campaigns of the account, whatever their status."""
        account = f"/rest/adAccounts/{pull.account.account_id}"
        return sorted(self._given(each, "id") for each in self._walk(f"{account}/adCampaigns", "search"))

    # --- creatives by day -----------------------------------------------------------------------------

    def _report(self, pull: Pull) -> list[Row]:
        account_id = pull.account.account_id
        elements = self._analytics(pull, "CREATIVE", _ASKED)
        if not elements:
            return []
        rows = [self._creative_day(pull, element) for element in elements]
        known = self._known.get(account_id)
        if known is None or any(row["creative_id"] not in known.creatives for row in rows):
            known = self._known[account_id] = self._entities(account_id)
        return [row | self._names(known, str(row["creative_id"])) for row in rows]

    def _day_so_far(self, pull: Pull) -> list[Row]:
        """What each campaign spent today: one figure, for LinkedIn reports by day and by nothing finer."""
        rows: list[Row] = []
        for element in self._analytics(pull, "CAMPAIGN", ("dateRange", "pivotValues", _REQUIRED["spend"])):
            day, campaign_id = self._told_of(pull, element)
            spend = self._given(element, _REQUIRED["spend"])
            rows.append({"report_date": day, "adgroup_id": campaign_id,
                         "spend": decimal_text(spend, "LinkedIn: costInLocalCurrency")})  # fmt: skip
        if not rows:
            return []
        account_id = pull.account.account_id
        known = {
            self._given(each, "id"): each
            for each in self._walk(f"/rest/adAccounts/{account_id}/adCampaigns", "search")
        }
        for row in rows:
            campaign = known.get(str(row["adgroup_id"]), {})
            row["campaign_id"] = _id(campaign.get("campaignGroup"))
            row["adgroup_name"] = text(campaign.get("name"))
            row["account_name"], row["currency"] = pull.account.name, pull.account.currency
        return rows

    def _analytics(self, pull: Pull, pivot: str, asked: Sequence[str]) -> list[dict[str, Any]]:
        """Days of an account by one pivot; no rows only where the member may read the account.

        Raises:
            PlatformError: SHRINK where LinkedIn's answer is cut off, AUTH where the member has no role.
        """
        account_id = pull.account.account_id
        if pull.parents is None:
            part = f"accounts={_urns('sponsoredAccount', [account_id])}"
        else:
            part = f"campaigns={_urns('sponsoredCampaign', pull.parents)}"
        reply = self._client.get(
            f"/rest/adAnalytics?q=analytics&pivot={pivot}&timeGranularity=DAILY&{part}"
            f"&dateRange=(start:{_day(pull.first)},end:{_day(pull.last)})&fields={','.join(asked)}"
        )
        elements = self._elements(reply)
        if len(elements) >= _MOST_ELEMENTS:
            self._client.refuse(
                ErrorClass.SHRINK, f"{len(elements)} elements came, the most it ever sends: some are missing"
            )
        if not elements:
            self._check_role(account_id)
        return elements

    def _told_of(self, pull: Pull, element: Mapping[str, Any]) -> tuple[date, str]:
        """The day of an element and the id of what it is about."""
        span, pivots = element.get("dateRange"), element.get("pivotValues")
        if not isinstance(span, dict) or not isinstance(pivots, list) or len(pivots) != 1:
            self._client.malformed("an element without dateRange or pivotValues")
        day = self._date(span.get("start"))
        if self._date(span.get("end", span.get("start"))) != day or not pull.first <= day <= pull.last:
            self._client.malformed(f"an element of {day}, asked for {pull.first} to {pull.last} by day")
        return day, _id(pivots[0]) or ""

    def _creative_day(self, pull: Pull, element: Mapping[str, Any]) -> Row:
        day, creative_id = self._told_of(pull, element)
        for metric in _REQUIRED.values():
            if element.get(metric) is None:
                self._client.malformed(f"an element without {metric}")
        extra = {name: text(value) for name, value in element.items() if name not in _ASKED}
        return {
            **extra,
            **{
                name: decimal_text(element.get(metric), f"LinkedIn: {metric}")
                for name, metric in _FIELDS.items()
            },
            "report_date": day,
            "creative_id": creative_id,
            "account_name": pull.account.name,
            "currency": pull.account.currency,
        }

    def _names(self, known: _Entities, creative_id: str) -> Row:
        """What stands above a creative; one LinkedIn no longer knows has no parents, but its spend counts."""
        creative = known.creatives.get(creative_id, {})
        campaign_id = _id(creative.get("campaign"))
        campaign = known.campaigns.get(str(campaign_id), {})
        group_id = _id(campaign.get("campaignGroup"))
        return {
            "campaign_group_id": group_id,
            "campaign_id": campaign_id,
            "campaign_group_name": text(known.groups.get(str(group_id), {}).get("name")),
            "campaign_name": text(campaign.get("name")),
            "ad_name": text(creative.get("name")),
        }

    def _check_role(self, account_id: str) -> None:
        """An empty answer means no delivery, or no permission: only the member's roles tell."""
        roles = self._elements(self._client.get("/rest/adAccountUsers?q=authenticatedUser"))
        if account_id not in {_id(role.get("account")) for role in roles}:
            self._no_role([account_id])

    def _no_role(self, account_ids: Sequence[str]) -> NoReturn:
        self._client.refuse(
            ErrorClass.AUTH,
            f"the member has no role on account {', '.join(account_ids)}, so its reports are empty. "
            "Give the member at least the viewer role, or take it out of the configured accounts.",
        )

    # --- budgets --------------------------------------------------------------------------------------

    def _levers(self, pull: Pull) -> list[Row]:
        """Campaigns with a budget of their own, and groups that divide theirs among campaigns."""
        account = f"/rest/adAccounts/{pull.account.account_id}"
        groups = {
            self._given(each, "id"): each for each in self._walk(f"{account}/adCampaignGroups", "search")
        }
        levers = [
            self._lever(pull, group, group, group_id, "campaign", *budget)
            for group_id, group in groups.items()
            if _divides(group) and group.get("status") in _STATUSES and (budget := _budget(group))
        ]
        for campaign in self._walk(f"{account}/adCampaigns", "search"):
            group_id = _id(campaign.get("campaignGroup")) or self._given(campaign, "campaignGroup")
            group = groups.get(group_id, {})
            budget = _budget(campaign)
            if budget and not _divides(group) and campaign.get("status") in _STATUSES:
                levers.append(self._lever(pull, campaign, group, group_id, "adgroup", *budget))
        return levers

    def _lever(
        self,
        pull: Pull,
        entity: Mapping[str, Any],
        group: Mapping[str, Any],
        group_id: str,
        level: str,
        budget_type: str,
        budget: Mapping[str, Any],
    ) -> Row:
        entity_id = self._given(entity, "id")
        running = all(each.get("status", "ACTIVE") == "ACTIVE" for each in (entity, group))
        stamps = entity.get("changeAuditStamps")
        edited = stamps.get("lastModified", {}).get("time") if isinstance(stamps, dict) else None
        is_floored = budget_type == "daily" and budget.get("currencyCode") == "USD"
        return {
            "report_date": pull.last,
            "lever_id": f"{level}_{entity_id}",
            "lever_level": level,
            "campaign_id": group_id,
            "entity_id": entity_id,
            "entity_name": text(entity.get("name")),
            "budget_type": budget_type,
            "currency": text(budget.get("currencyCode")) or pull.account.currency,
            "budget": decimal_text(budget.get("amount"), "LinkedIn: budget"),
            "minimum_budget": _MINIMUM_USD if is_floored else None,
            "budget_increment": _INCREMENT,
            "is_shared": "false",
            "learning_state": _LEARNING_STATE,
            "last_edited_at": moment_text(datetime.fromtimestamp(edited / 1000, UTC))
            if isinstance(edited, int)
            else None,
            "status": "active" if running else "paused",
        }

    # --- asking ---------------------------------------------------------------------------------------

    def _entities(self, account_id: str) -> _Entities:
        account = f"/rest/adAccounts/{account_id}"
        return _Entities(
            {self._given(each, "id"): each for each in self._walk(f"{account}/adCampaignGroups", "search")},
            {self._given(each, "id"): each for each in self._walk(f"{account}/adCampaigns", "search")},
            {str(_id(each.get("id"))): each for each in self._walk(f"{account}/creatives", "criteria")},
        )

    def _walk(self, path: str, finder: str) -> Iterator[dict[str, Any]]:
        """Everything a finder finds; an empty page with a next one is not the end."""
        used = {""}
        query = {"q": finder, "pageSize": str(self._entities_per_page)}
        while True:
            reply = self._client.get(path, query)
            yield from self._elements(reply)
            metadata = reply.body.get("metadata") or {}
            token = text(metadata.get("nextPageToken")) if isinstance(metadata, dict) else None
            if token is None:
                return
            if token in used:
                self._client.malformed(f"{path} points back to a page already read")
            used.add(token)
            query["pageToken"] = token

    def _elements(self, reply: Reply) -> list[dict[str, Any]]:
        if reply.status != 200:
            refuse(self._client, reply, self._now())
        elements = reply.body.get("elements") if isinstance(reply.body, dict) else None
        if not isinstance(elements, list) or not all(isinstance(each, dict) for each in elements):
            self._client.malformed("it has no elements")
        return elements

    def _date(self, parts: Any) -> date:
        try:
            return date(parts["year"], parts["month"], parts["day"])
        except (KeyError, TypeError, ValueError):
            self._client.malformed("a dateRange that is none")

    def _given(self, element: Mapping[str, Any], name: str) -> str:
        value = text(element.get(name))
        if value is None:
            self._client.malformed(f"an element without {name}")
        return value


def open_client(
    credentials: LinkedInCredentials, endpoint: str, timeout_seconds: float, version: str = VERSION
) -> RestClient:
    """A client that carries the access token and names the version."""
    return RestClient(
        "LinkedIn",
        endpoint,
        headers={
            "Authorization": f"Bearer {credentials.access_token}",
            "LinkedIn-Version": version,
            "X-Restli-Protocol-Version": "2.0.0",
        },
        secrets=(credentials.access_token,),
        timeout_seconds=timeout_seconds,
    )


def refuse(client: RestClient, reply: Reply, now: datetime) -> NoReturn:
    """Raise what an answer without success means: of a daily quota, DEFER until the next UTC midnight."""
    body = reply.body if isinstance(reply.body, dict) else {}
    said = " ".join(str(body[name]) for name in ("code", "message") if body.get(name))
    if reply.status == 429 and _DAY_LIMIT.search(said):
        now = now.astimezone(UTC)
        midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
        client.refuse(ErrorClass.DEFER, f"HTTP 429: {said}", (midnight - now).total_seconds())
    if reply.status == 429:
        client.refuse(ErrorClass.THROTTLE, f"HTTP 429: {said}", seconds(reply.headers.get("Retry-After")))
    client.refuse_status(reply, said)


def _divides(group: Mapping[str, Any]) -> bool:
    """Whether a campaign group divides its budget among its campaigns; otherwise it only caps them."""
    optimization = group.get("budgetOptimization")
    return isinstance(optimization, dict) and optimization.get("budgetOptimizationStrategy") == "DYNAMIC"


def _budget(entity: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """The type and amount of a budget, where there is one."""
    for kind, name in (("daily", "dailyBudget"), ("lifetime", "totalBudget")):
        if isinstance(entity.get(name), dict):
            return kind, entity[name]
    return None


def _urns(kind: str, ids: Sequence[str]) -> str:
    return "List(" + ",".join(quote(f"urn:li:{kind}:{each}", safe="") for each in ids) + ")"


def _id(urn: Any) -> str | None:
    return str(urn).rpartition(":")[2] if urn else None


def _day(day: date) -> str:
    return f"(year:{day.year},month:{day.month},day:{day.day})"
