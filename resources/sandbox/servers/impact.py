"""A loopback Impact.com Brand API: affiliate actions on a small share of a simulated business's orders.

Here: which orders a partner is credited for, what becomes of those actions; Impact's paths, paging, faults.
Not here: the orders (`orders`), transport faults (`http`).
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import numpy as np

from resources.sandbox import laws
from resources.sandbox.build import Simulated
from resources.sandbox.catalogue import BRAND, CURRENCY
from resources.sandbox.orders import NEVER
from resources.sandbox.servers.account import ACCOUNT_ZONE, ServedAccount
from resources.sandbox.servers.faults import FaultKind, FaultScript
from resources.sandbox.servers.http import Answer, LoopbackServer, PlatformServer, Request

ACCOUNT_SID = "IRyNsTaR7204QeXk3Wb1V9pGm5Hd8Zc61"
COMPANY = f"{BRAND} Partnerships"
CAMPAIGN_ID, CAMPAIGN_NAME = "18402", f"{BRAND} Affiliate Program"
TRACKER_ID, TRACKER_NAME = "33710", "Online Sale"
LOCKING_DAYS = 14
LONGEST_DAYS = 45
DEFAULT_PAGE = 20_000
MOST_PAGES = 10  # a list longer than so many pages is refused
_STREAM = 50
_SHARE = 0.04  # of orders, credited to a partner
_FRAUD = 0.03  # of actions, reversed when found
_FRAUD_FOUND_DAYS = 10
_CLEARED_DAYS = 5  # after locking
_FEE = (3, 100)  # of the payout, on top of it


@dataclass(frozen=True)
class Partner:
    """A media partner: what share of actions it brings and how many hundredths of the sale it earns."""

    id: str
    name: str
    share: float
    rate: int


PARTNERS = (
    Partner("2170413", "SaverSphere Coupons", 0.34, 6),
    Partner("1389055", "The Safe Home Review", 0.26, 12),
    Partner("2904471", "Cashback Commons", 0.22, 8),
    Partner("3318260", "Parenting in Plain Words", 0.18, 10),
)


@dataclass(frozen=True)
class Action:
    """A credited order. Days count from the business's start; money in cents, before any reversal."""

    day: int
    number: int  # of the order among its day's, from 1
    event: datetime
    order_id: str
    partner: Partner
    amount: int
    payout: int
    is_new_customer: bool
    clicked: datetime
    reversed_on: int  # NEVER where it never is

    @property
    def action_id(self) -> str:
        return f"{CAMPAIGN_ID}.4636.{self.day * 100_000 + self.number}"

    @property
    def locked_on(self) -> int:
        return self.day + LOCKING_DAYS

    def state(self, known_through: int) -> str:
        """What Impact shows at the end of a day. A locked action is never reversed."""
        if self.reversed_on <= min(known_through, self.locked_on - 1):
            return "REVERSED"
        return "APPROVED" if known_through >= self.locked_on else "PENDING"


def affiliate_actions(simulated: Simulated, first_day: int, last_day: int) -> list[Action]:
    """The actions of these days; each day draws from a stream of its own, whatever the history's length."""
    business, orders = simulated.business, simulated.orders
    zone = ZoneInfo(ACCOUNT_ZONE)
    shares = np.array([partner.share for partner in PARTNERS])
    actions = []
    for day in range(max(0, first_day), last_day + 1):
        start, stop = np.searchsorted(orders.day, [day, day + 1])
        size = int(stop - start)
        rng = laws.generator(business.seed, _STREAM, day)
        credited = rng.random(size) < _SHARE
        partners = laws.draw_from(rng, shares, size)
        fraud = rng.random(size) < _FRAUD
        clicked = rng.integers(60, 6 * 86_400, size)
        midnight = datetime.combine(business.date_of(day), time())
        for index in np.flatnonzero(credited).tolist():
            order = start + index
            # Through UTC, so that the hour which daylight saving skips does not occur.
            event = (midnight + timedelta(seconds=int(orders.second[order]))).replace(tzinfo=zone)
            event = event.astimezone(UTC).astimezone(zone)
            partner = PARTNERS[int(partners[index])]
            amount = int(orders.value_cents[order])
            found = day + _FRAUD_FOUND_DAYS if fraud[index] else int(NEVER)
            actions.append(
                Action(
                    day=day,
                    number=index + 1,
                    event=event,
                    order_id=f"NS-{business.date_of(day):%y%m%d}-{index + 1:05d}",
                    partner=partner,
                    amount=amount,
                    payout=(amount * partner.rate + 50) // 100,
                    is_new_customer=bool(orders.is_new[order]),
                    clicked=event - timedelta(seconds=int(clicked[index])),
                    reversed_on=min(found, int(orders.refunded_on[order])),
                )
            )
    return actions


class ImpactServer(PlatformServer):
    """Serves one brand account; use as a context manager.

    Args:
        smallest_page: PageSize below which a request is refused.
        calls_per_hour: calls answered before every further one is throttled.
    """

    def __init__(
        self,
        served: ServedAccount,
        token: str,
        faults: FaultScript | None = None,
        smallest_page: int = 2_000,
        calls_per_hour: int = 1_000,
    ) -> None:
        self.served = served
        self._basic = "Basic " + base64.b64encode(f"{ACCOUNT_SID}:{token}".encode()).decode()
        self._smallest_page = smallest_page
        self._calls_left = self._calls_per_hour = calls_per_hour
        self._lock = threading.Lock()
        self._faults = FaultScript() if faults is None else faults
        self._server = LoopbackServer(self._answer, self._faults)
        root = f"/Advertisers/{ACCOUNT_SID}"
        self._routes: Mapping[str, Callable[[Request], Answer]] = {
            f"{root}/CompanyInformation": self._company,
            f"{root}/Campaigns": self._campaigns,
            f"{root}/Actions": self._actions,
        }

    # --- answers --------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> Answer:
        headers = {name.casefold(): value for name, value in request.headers.items()}
        if headers.get("authorization") != self._basic:
            return _refused(401, "Authentication failed. Check your AccountSID and AuthToken.")
        if "json" not in headers.get("accept", ""):
            return _refused(406, "Ask for application/json; XML is not served here.")
        due = self._faults.due(
            request.path, (FaultKind.THROTTLE, FaultKind.SERVER_ERROR, FaultKind.EXPIRED_TOKEN)
        )
        if due is FaultKind.EXPIRED_TOKEN:
            return _refused(401, "The token has been disabled.")
        if due is FaultKind.SERVER_ERROR:
            return _refused(500, "Internal Server Error")
        with self._lock:
            is_over = due is FaultKind.THROTTLE or self._calls_left <= 0
            self._calls_left = max(0, self._calls_left - 1)
            quota = {
                "X-RateLimit-Limit": str(self._calls_per_hour),
                "X-RateLimit-Remaining": "0" if is_over else str(self._calls_left),
                "X-RateLimit-Reset": "42",
            }
        if is_over:
            return Answer(_refused(429, "Too Many Requests").body, 429, quota)
        route = self._routes.get(request.path)
        if route is None or request.method != "GET":
            return _refused(404, "The requested resource was not found")
        answer = route(request)
        return Answer(answer.body, answer.status, quota)

    def _company(self, request: Request) -> Answer:
        return Answer(
            {
                "CompanyName": COMPANY,
                "Website": "https://www.northstar.example",
                "Timezone": "(GMT -05:00) Eastern Time (US & Canada)",
                "Currency": CURRENCY,
                "Uri": request.path,
            }
        )

    def _campaigns(self, request: Request) -> Answer:
        program = {"Id": CAMPAIGN_ID, "Name": CAMPAIGN_NAME, "State": "ACTIVE", "Type": "Performance"}
        return self._page(request, "Campaigns", [program])

    def _actions(self, request: Request) -> Answer:
        form = request.form
        if form.get("CampaignId") != CAMPAIGN_ID:
            return _refused(400, "CampaignId is required")
        if int(form.get("PageSize", DEFAULT_PAGE)) < self._smallest_page:
            return _refused(400, f"PageSize must be at least {self._smallest_page}")
        try:
            first, last = (
                datetime.fromisoformat(form[name]).astimezone(ZoneInfo(ACCOUNT_ZONE))
                for name in ("ActionDateStart", "ActionDateEnd")
            )
        except (KeyError, ValueError):
            return _refused(400, "ActionDateStart and ActionDateEnd must be given in ISO 8601")
        if last - first > timedelta(days=LONGEST_DAYS):
            return _refused(400, f"The date range cannot exceed {LONGEST_DAYS} days")
        simulated, today = self.served.simulated, self.served.today
        business = simulated.business
        known = business.day_of(today) - 1
        newest = min(business.day_of(last.date()), known, simulated.ledger.days - 1)
        actions = [
            _wire(action, known, business.start)
            for action in affiliate_actions(simulated, business.day_of(first.date()), newest)
            if first <= action.event <= last
        ]
        actions.reverse()  # newest first
        return self._page(request, "Actions", actions)

    def _page(self, request: Request, name: str, listed: Sequence[dict[str, str]]) -> Answer:
        """One page of a list, counted in text, with the paging and drift faults."""
        number, size = int(request.form.get("Page", "1")), int(request.form.get("PageSize", DEFAULT_PAGE))
        pages = max(1, -(-len(listed) // size))
        able = [FaultKind.TOO_MUCH, FaultKind.UNKNOWN_FIELD, FaultKind.MISSING_FIELD] if listed else []
        if 1 < number < pages:
            able.append(FaultKind.EMPTY_MIDDLE)
        if 1 < number <= pages:
            able += [FaultKind.DUPLICATE_PAGE, FaultKind.CURSOR_LOOP]
        due = self._faults.due(request.path, able) if able else None
        if due is FaultKind.TOO_MUCH or pages > MOST_PAGES:
            return _refused(
                400,
                f"The total record count exceeds {MOST_PAGES} times the page size. "
                "Reduce the date range or increase PageSize.",
            )

        def uri(page: int) -> str:
            return f"{request.path}?{urlencode({**request.form, 'Page': page, 'PageSize': size})}"

        shown = number - 1 if due is FaultKind.DUPLICATE_PAGE else number
        rows = [dict(row) for row in listed[(shown - 1) * size : shown * size]]
        for row in rows:
            if due is FaultKind.UNKNOWN_FIELD:
                row["SurpriseField"] = "7"
            elif due is FaultKind.MISSING_FIELD:
                row.pop("PromoCode", None)
        following = uri(number + 1) if number < pages else ""
        if due is FaultKind.CURSOR_LOOP:
            following = uri(number)
        body: dict[str, Any] = {
            "@page": str(number),
            "@numpages": str(pages),
            "@pagesize": str(size),
            "@total": str(len(listed)),
            "@start": str((number - 1) * size),
            "@end": str(min(number * size, len(listed)) - 1),
            "@uri": uri(number),
            "@firstpageuri": uri(1),
            "@previouspageuri": uri(number - 1) if number > 1 else "",
            "@nextpageuri": following,
            "@lastpageuri": uri(pages),
            name: [] if due is FaultKind.EMPTY_MIDDLE else rows,
        }
        return Answer(body)


def _wire(action: Action, known_through: int, start: date) -> dict[str, str]:
    """The action as Impact's JSON has it: every value is text, absent ones are empty."""
    state = action.state(known_through)
    kept = 0 if state == "REVERSED" else 1
    zone = ZoneInfo(ACCOUNT_ZONE)

    def midnight(day: int) -> str:
        return datetime.combine(start + timedelta(days=day), time(), zone).isoformat()

    cleared = action.locked_on + _CLEARED_DAYS
    is_cleared = state == "APPROVED" and known_through >= cleared
    fee = action.payout * _FEE[0] // _FEE[1]
    return {
        "Id": action.action_id,
        "CampaignId": CAMPAIGN_ID,
        "CampaignName": CAMPAIGN_NAME,
        "ActionTrackerId": TRACKER_ID,
        "ActionTrackerName": TRACKER_NAME,
        "EventCode": "",
        "MediaPartnerId": action.partner.id,
        "MediaPartnerName": action.partner.name,
        "State": state,
        "AdId": "506720",
        "ClientCost": _money((action.payout + fee) * kept),
        "Payout": _money(action.payout * kept),
        "IntendedPayout": _money(action.payout),
        "Amount": _money(action.amount * kept),
        "IntendedAmount": _money(action.amount),
        "Currency": CURRENCY,
        "ReferringDate": action.clicked.isoformat(),
        "EventDate": action.event.isoformat(),
        "CreationDate": (action.event + timedelta(minutes=9)).isoformat(),
        "LockingDate": midnight(action.locked_on),
        "ClearedDate": midnight(cleared) if is_cleared else "",
        "ReferringType": "CLICK_COOKIE",
        "PromoCode": "SAFE10" if action.partner.id == PARTNERS[0].id else "",
        "Oid": action.order_id,
        "CustomerId": f"C{action.day:05d}{action.number:05d}",
        "CustomerStatus": "NEW" if action.is_new_customer else "EXISTING",
        "CustomerPostCode": "93101",
        "CustomerCountry": "US",
        "IpAddress": "979823c536b3e06e4f1ee31af1f82b9d",
        "Uri": f"/Advertisers/{ACCOUNT_SID}/Actions/{action.action_id}",
    }


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _refused(status: int, message: str) -> Answer:
    return Answer({"Status": "ERROR", "Message": message}, status)
