"""Impact.com Brand API: affiliate actions by the day of the event.

Impact counts no clicks here. A conversion is an action: an order credited to the partner of the last click
within the contract's window. It is PENDING until its locking date, then APPROVED; or REVERSED, with amount
and payout 0. So days are read again until they are locked. A brand pays the payout and Impact's fee on it.

Here: Impact's paths, paging, fields and error bodies. Not here: retries (`fetching`).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from resources.connectors.errors import ErrorClass, MissingCredentials
from resources.connectors.http import Reply, RestClient, seconds
from resources.connectors.rows import decimal_text, moment_text, page_rows, text
from resources.connectors.source import Account, Page, Pull, Report
from resources.landing.streams import NUMERIC_KINDS, STREAMS

ENDPOINT = "https://api.impact.com"
VERSION = "14"
_PAGE = 20_000
_TOO_MUCH = re.compile(r"(?i)record count exceeds|page ?size")

# Locking dates lie two weeks to three months after the event, as each contract says.
_ACTIONS = Report(STREAMS["impact_actions"], "none", lookback_days=90, longest_days=30, final_after_days=90)
# Impact's names where they are not simply the stream's in capitals.
_NAMES = {"Id": "action_id", "Oid": "order_id"}
# About the buyer (these never land), or an address inside the API.
_LEFT_OUT = frozenset(
    {
        *("CustomerId", "CustomerPostCode", "CustomerArea", "CustomerCity", "CustomerRegion"),
        *("IpAddress", "CallerId", "SharedId", "Note", "Uri"),
    }
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# How Impact displays zones; it names no IANA zone.
_ZONES = {
    "Eastern Time": "America/New_York",
    "Central Time": "America/Chicago",
    "Mountain Time": "America/Denver",
    "Arizona": "America/Phoenix",
    "Pacific Time": "America/Los_Angeles",
    "Alaska": "America/Anchorage",
    "Hawaii": "Pacific/Honolulu",
    "Atlantic Time": "America/Halifax",
    "London": "Europe/London",
    "Paris": "Europe/Paris",
    "Berlin": "Europe/Berlin",
    "Amsterdam": "Europe/Amsterdam",
    "Sydney": "Australia/Sydney",
    "Tokyo": "Asia/Tokyo",
    "Singapore": "Asia/Singapore",
    "Coordinated Universal Time": "UTC",
}


@dataclass(frozen=True)
class ImpactCredentials:
    """An account's SID and auth token; `timezone` (IANA) where Impact's own name for it is not known here."""

    account_sid: str
    auth_token: str = field(repr=False)
    timezone: str | None = None

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> ImpactCredentials:
        """Raises MissingCredentials naming the variables that are not set."""
        sid = variables.get("AELP_IMPACT_ACCOUNT_SID", "").strip()
        token = variables.get("AELP_IMPACT_AUTH_TOKEN", "").strip()
        if not sid or not token:
            raise MissingCredentials(
                "Impact.com has no credentials: set AELP_IMPACT_ACCOUNT_SID and AELP_IMPACT_AUTH_TOKEN "
                "(a brand token that may read Actions, Campaigns and CompanyInformation). "
                "`aelp connect impact` checks them."
            )
        return cls(sid, token, variables.get("AELP_IMPACT_TIMEZONE", "").strip() or None)


class Impact:
    """One brand account.

    Args:
        timeout_seconds: longest wait for each piece of an answer.
        page_size: actions asked for at once; Impact takes 2,000 to 20,000.
    """

    name = "impact"
    api_version = VERSION
    page_sizes: Sequence[int] = ()
    """Impact refuses lists longer than ten pages: a smaller page would only make it worse."""

    def __init__(
        self,
        credentials: ImpactCredentials,
        *,
        endpoint: str = ENDPOINT,
        timeout_seconds: float = 60.0,
        page_size: int = _PAGE,
    ) -> None:
        self._credentials = credentials
        self._page_size = page_size
        self._root = f"/Advertisers/{quote(credentials.account_sid, safe='')}"
        self._client = RestClient(
            "Impact.com",
            endpoint,
            headers={"IR-Version": VERSION},
            secrets=tuple(self.secrets),
            timeout_seconds=timeout_seconds,
            basic=(credentials.account_sid, credentials.auth_token),
        )

    @property
    def reports(self) -> Sequence[Report]:
        return (_ACTIONS,)

    @property
    def secrets(self) -> Sequence[str]:
        token = self._credentials.auth_token
        return (token, b64encode(f"{self._credentials.account_sid}:{token}".encode()).decode())

    def close(self) -> None:
        self._client.close()

    def accounts(self) -> Sequence[Account]:
        """The account the credentials belong to.

        Raises:
            PlatformError: PERMANENT where its time zone is not known here, and as `pages`.
        """
        company = self._body(self._client.get(f"{self._root}/CompanyInformation"))
        return [
            Account(
                self._credentials.account_sid,
                self._given(company, "CompanyName"),
                self._given(company, "Currency"),
                self._timezone(self._given(company, "Timezone")),
            )
        ]

    def pages(self, pull: Pull) -> Iterator[Page]:
        """The actions of a pull, programme by programme, page by page.

        Raises:
            PlatformError: THROTTLE (as X-RateLimit-Reset says), SHRINK, AUTH, TRANSIENT or PERMANENT.
        """
        zone = ZoneInfo(pull.account.timezone)
        asked = {
            "ActionDateStart": _stamp(datetime.combine(pull.first, time(), zone)),
            "ActionDateEnd": _stamp(
                datetime.combine(pull.last + timedelta(days=1), time(), zone) - timedelta(seconds=1)
            ),
            "PageSize": str(pull.page_size or self._page_size),
        }
        for campaign_id in self.parents(pull) if pull.parents is None else pull.parents:
            for actions, wait in self._walk("Actions", {"CampaignId": campaign_id, **asked}):
                rows = [self._row(pull, zone, action) for action in actions]
                yield Page(page_rows(rows, pull.report.stream), wait)

    def parents(self, pull: Pull) -> Sequence[str]:
        """All programmes of the account, closed ones included: every list of actions is of one programme."""
        programmes = [each for page, _ in self._walk("Campaigns", {}) for each in page]
        return sorted(self._given(programme, "Id") for programme in programmes)

    # --- one action -----------------------------------------------------------------------------------

    def _row(self, pull: Pull, zone: ZoneInfo, action: Mapping[str, Any]) -> dict[str, str | date | None]:
        kinds = pull.report.stream.fields
        row: dict[str, str | date | None] = {}
        for name, value in action.items():
            if name in _LEFT_OUT:
                continue
            column = _NAMES.get(name) or _HUMP.sub("_", name).lower()
            if kinds.get(column) == "timestamp":
                moment = self._moment(name, value)
                row[column] = moment_text(moment) if moment else None
            elif kinds.get(column) in NUMERIC_KINDS:
                row[column] = decimal_text(text(value), f"Impact.com: {name}")
            else:
                row[column] = text(value)
        event = self._moment("EventDate", action.get("EventDate"))
        lacking = [name for name in ("action_id", "state", "amount", "payout") if row.get(name) is None]
        if event is None or lacking:
            self._client.malformed(f"an action without {', '.join(lacking) or 'EventDate'}")
        day = event.astimezone(zone).date()
        if not pull.first <= day <= pull.last:
            self._client.malformed(f"an action of {day}, asked for {pull.first} to {pull.last}")
        return row | {"report_date": day}

    def _moment(self, name: str, value: Any) -> datetime | None:
        stated = text(value)
        if stated is None:
            return None
        try:
            moment = datetime.fromisoformat(stated)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self._client.malformed(f"{name} is {stated!r}")
        return moment

    def _timezone(self, displayed: str) -> str:
        if self._credentials.timezone is not None:
            try:
                return ZoneInfo(self._credentials.timezone).key
            except (ZoneInfoNotFoundError, ValueError):
                self._client.refuse(
                    ErrorClass.PERMANENT,
                    f"AELP_IMPACT_TIMEZONE is {self._credentials.timezone!r}, which is no IANA time zone.",
                )
        for name, zone in _ZONES.items():
            if name in displayed:
                return zone
        self._client.refuse(
            ErrorClass.PERMANENT,
            f"the account's days are in {displayed!r}. Set AELP_IMPACT_TIMEZONE to its IANA name.",
        )

    # --- asking ---------------------------------------------------------------------------------------

    def _walk(self, name: str, asked: Mapping[str, str]) -> Iterator[tuple[list[dict[str, Any]], float]]:
        """All pages of a list and what each advises to wait; ends when as many came as Impact counts.

        Raises:
            PlatformError: TRANSIENT where a page is missing, came twice or points back.
        """
        path = f"{self._root}/{name}"
        reply = self._client.get(path, asked)
        seen, used, total = set[str](), set[str](), ""
        while True:
            body = self._body(reply)
            listed, counted = body.get(name), text(body.get("@total"))
            if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
                self._client.malformed(f"it has no {name}")
            if counted is None or not counted.isdigit() or total not in ("", counted):
                self._client.malformed(f"{name} counted {total or 'nothing'}, then {counted}")
            total = counted
            seen |= {self._given(each, "Id") for each in listed}
            yield listed, _advised_wait(reply)
            following = text(body.get("@nextpageuri"))
            if following is None:
                break
            next_page = urlsplit(following)
            # Only ever back to the same list: credentials go with every request.
            if following in used or next_page.path != path:
                self._client.malformed(f"{name} points back or elsewhere: page {len(used) + 2}")
            used.add(following)
            reply = self._client.get(f"{path}?{next_page.query}")
        if len(seen) != int(total):
            self._client.malformed(f"{name} counts {total}, {len(seen)} different ones came")

    def _body(self, reply: Reply) -> dict[str, Any]:
        body = reply.body if isinstance(reply.body, dict) else {}
        said = text(body.get("Message")) or ""
        if reply.status == 429:
            wait = seconds(reply.headers.get("X-RateLimit-Reset"))
            self._client.refuse(ErrorClass.THROTTLE, f"HTTP 429: {said}", wait)
        if reply.status == 400 and _TOO_MUCH.search(said):
            self._client.refuse(ErrorClass.SHRINK, f"HTTP 400: {said}")
        if reply.status != 200:
            self._client.refuse_status(reply, said)
        if not body or body.get("Status") == "ERROR":
            self._client.malformed(said or "it is no object")
        return body

    def _given(self, row: Mapping[str, Any], name: str) -> str:
        value = text(row.get(name))
        if value is None:
            self._client.malformed(f"nothing called {name}")
        return value


def _advised_wait(reply: Reply) -> float:
    """Seconds until calls are left again; 0 while some are."""
    if seconds(reply.headers.get("X-RateLimit-Remaining")) != 0:
        return 0.0
    return seconds(reply.headers.get("X-RateLimit-Reset")) or 0.0


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
