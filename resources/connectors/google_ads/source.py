"""Google Ads as a source: its reports, its accounts, and the rows of one pull.

Here: which queries a pull needs, checks of what comes back. Not here: retries and splitting (`fetching`), the
queries themselves (`reports`, `snapshots`), the wire (`api`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import polars as pl

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.google_ads import snapshots
from resources.connectors.google_ads.api import API_VERSION, LIVE_ENDPOINT, GoogleAdsApi
from resources.connectors.google_ads.credentials import GoogleAdsCredentials
from resources.connectors.google_ads.queries import Column, Query, days, one_of
from resources.connectors.google_ads.reports import BY_DAY, OF_TODAY
from resources.connectors.source import AN_HOUR, CONTEXT_DAYS, Account, Page, Pull, Report
from resources.landing.streams import STREAMS

_log = logging.getLogger(__name__)
_NO_KEY = "__none__"
_LONGEST_WINDOW_DAYS = 90
_CONTEXTS = ("google_ads_campaign_by_hour", "google_ads_demographics")
_SNAPSHOTS = (
    "google_ads_entities",
    "levers",
    "creatives",
    "google_ads_changes",
    "google_ads_recommendations",
)
# Cannot be divided by campaign: some of their rows belong to none.
_WHOLE = ("google_ads_changes", "google_ads_recommendations")
_OF_CAMPAIGNS = ("campaign", "ad_group", "ad_group_ad", "ad_group_criterion", "asset_group")
_CUSTOMER = {
    "id": Column("customer.id"),
    "name": Column("customer.descriptive_name"),
    "currency": Column("customer.currency_code"),
    "timezone": Column("customer.time_zone"),
    "manager": Column("customer.manager"),
}
_CLIENT = {
    name: Column(column.path.replace("customer", "customer_client", 1)) for name, column in _CUSTOMER.items()
}
_CLIENTS = Query(
    "customer_client",
    {**_CLIENT, "status": Column("customer_client.status")},
    ("customer_client.manager = FALSE",),
)
_CAMPAIGNS = Query("campaign", {"campaign_id": Column("campaign.id")})


class GoogleAdsSource:
    """Reads Google Ads accounts through SearchStream.

    Args:
        credentials: who asks.
        customer_ids: the accounts to read, with or without dashes; none: all the login reaches.
        endpoint: host and port; a loopback address is spoken to without TLS.
        timeout_seconds: for each call, streaming included.
        lookback_days: how long days are asked for again, 1 to 90. Conversions arrive for as long as the
            click-through window of their action lasts: 30 days unless set otherwise, 90 at most
            (`longest_window_days` reads it). A shorter lookback than that misses the last of them.
    """

    name = "google_ads"
    api_version = API_VERSION

    def __init__(
        self,
        credentials: GoogleAdsCredentials,
        customer_ids: Sequence[str] = (),
        *,
        endpoint: str = LIVE_ENDPOINT,
        timeout_seconds: float = 300.0,
        lookback_days: int = 30,
    ) -> None:
        if not 1 <= lookback_days <= _LONGEST_WINDOW_DAYS:
            raise ValueError(f"lookback_days must be 1 to {_LONGEST_WINDOW_DAYS} (found {lookback_days})")
        self._api = GoogleAdsApi(credentials, endpoint, timeout_seconds)
        self._wanted = tuple(map(digits, customer_ids))
        self._manager = credentials.login_customer_id
        self._reports = (
            *(
                Report(
                    STREAMS[stream],
                    breakdown,
                    lookback_days=lookback_days,
                    longest_days=30,
                    final_after_days=lookback_days,
                    wanted_days=CONTEXT_DAYS if stream in _CONTEXTS else None,
                )
                for stream, breakdown in BY_DAY
            ),
            *(
                Report(STREAMS[stream], "none", lookback_days=1, longest_days=1, is_snapshot=True)
                for stream in _SNAPSHOTS
            ),
            Report(STREAMS["intraday_spend"], "none", 0, 1, is_snapshot=True, snapshot_every=AN_HOUR),
        )

    @property
    def reports(self) -> Sequence[Report]:
        return self._reports

    @property
    def secrets(self) -> Sequence[str]:
        return self._api.secrets

    @property
    def page_sizes(self) -> Sequence[int]:
        return ()  # a stream has no pages to make smaller

    def close(self) -> None:
        self._api.close()

    def accounts(self) -> Sequence[Account]:
        """The accounts that were named, else the manager's clients, else all the login reaches.

        An account that is closed is left out with a warning, so that it does not stop the others.

        Raises:
            PlatformError: refused; no account but closed ones, or none but managers.
        """
        if self._manager is not None and not self._wanted:
            clients = self._ask(self._manager, _CLIENTS, f"the clients of manager {dashed(self._manager)}")
            return [_account(row) for row in clients]
        found: list[snapshots.Row] = []
        closed: list[PlatformError] = []
        for customer in self._wanted or self._api.accessible_customers():
            try:
                found += self._ask(customer, Query("customer", _CUSTOMER), f"account {dashed(customer)}")
            except PlatformError as error:
                if error.error_class is not ErrorClass.PERMANENT:
                    raise
                _log.warning("%s", error)
                closed.append(error)
        readable = [_account(row) for row in found if row["manager"] != "true"]
        if closed and not readable:
            raise closed[0]
        if found and not readable:
            managers = ", ".join(dashed(row["id"] or "") for row in found)
            raise PlatformError(
                ErrorClass.AUTH,
                f"This login reaches only manager accounts ({managers}). "
                "Set AELP_GOOGLE_ADS_LOGIN_CUSTOMER_ID to one of them to read its clients.",
            )
        return readable

    def longest_window_days(self, account: Account) -> int:
        """The longest click-through window among the account's enabled primary conversion actions, in days.

        Raises:
            PlatformError: refused.
        """
        query = snapshots.ENTITIES["conversion_action"].where("conversion_action.status = 'ENABLED'")
        actions = self._ask(digits(account.account_id), query, "conversion actions")
        windows = [
            int(row["click_window_days"])
            for row in actions
            if row["click_window_days"] is not None and row["is_primary"] != "false"
        ]
        return max(windows, default=0)

    def pages(self, pull: Pull) -> Iterator[Page]:
        stream = pull.report.stream.name
        queries = {**BY_DAY, **OF_TODAY}.get((stream, pull.report.breakdown_set))
        if queries is None:
            yield Page(_frame(pull, _columns(self._snapshot(pull, stream))))
            return
        for query in queries:
            asked = query.where(days(pull.first, pull.last))
            if pull.parents is not None:
                asked = asked.where(one_of("campaign.id", pull.parents))
            for response in self._api.search(digits(pull.account.account_id), asked.text, str(pull)):
                yield Page(_checked(pull, asked.read(response)))

    def parents(self, pull: Pull) -> Sequence[str]:
        """All campaigns, removed ones included: whichever of them delivered that day is not known before."""
        if pull.report.stream.name in _WHOLE:
            return ()
        rows = self._ask(digits(pull.account.account_id), _CAMPAIGNS, f"the campaigns for {pull}")
        return [campaign for row in rows if (campaign := row["campaign_id"]) is not None]

    def _snapshot(self, pull: Pull, stream: str) -> list[snapshots.Row]:
        account, today = pull.account, pull.last

        def ask(query: Query) -> list[snapshots.Row]:
            if pull.parents is not None and query.resource in _OF_CAMPAIGNS:
                query = query.where(one_of("campaign.id", pull.parents))
            return self._ask(digits(account.account_id), query, str(pull))

        if stream == "levers":
            return snapshots.levers(ask, today, account.timezone)
        if stream == "google_ads_changes":
            return snapshots.changes(ask, today, account.timezone)
        return {
            "google_ads_entities": snapshots.entities,
            "creatives": snapshots.creatives,
            "google_ads_recommendations": snapshots.recommendations,
        }[stream](ask)

    def _ask(self, customer: str, query: Query, about: str) -> list[snapshots.Row]:
        """All rows of a query, those sent twice once."""
        rows: dict[tuple[str | None, ...], snapshots.Row] = {}
        for response in self._api.search(customer, query.text, about):
            columns = query.read(response)
            for values in zip(*columns.values(), strict=True):
                rows[values] = dict(zip(columns, values, strict=True))
        return list(rows.values())


def digits(account_id: str) -> str:
    """An account id as the API wants it: 4721189034."""
    return account_id.replace("-", "")


def dashed(customer_id: str) -> str:
    """An account id as Google shows it, and as exports land it: 472-118-9034."""
    plain = digits(customer_id)
    return f"{plain[:3]}-{plain[3:6]}-{plain[6:]}"


def _account(row: snapshots.Row) -> Account:
    customer = dashed(row["id"] or "")
    return Account(customer, row["name"] or customer, row["currency"] or "XXX", row["timezone"] or "UTC")


def _columns(rows: Sequence[snapshots.Row]) -> dict[str, list[str | None]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _checked(pull: Pull, columns: dict[str, list[str | None]]) -> pl.DataFrame:
    """Rows of the asked account only, each with its day."""
    customer = digits(pull.account.account_id)
    others = {other for other in columns.pop("customer_id") if other != customer}
    if others:
        raise PlatformError(
            ErrorClass.TRANSIENT, f"{pull}: the answer has rows of {len(others)} other accounts."
        )
    days_sent = columns.pop("report_date")
    try:
        reported = [date.fromisoformat(day or "") for day in days_sent]
    except ValueError:
        raise PlatformError(ErrorClass.TRANSIENT, f"{pull}: the answer has rows without a day.") from None
    return _frame(pull, columns, reported)


def _frame(
    pull: Pull, columns: Mapping[str, Sequence[str | None]], reported: Sequence[date] | None = None
) -> pl.DataFrame:
    """Text columns, keys never null; without days of their own rows are of the pull's last day."""
    height = len(next(iter(columns.values()), ()))
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    keys = pull.report.stream.keys
    for key in pull.report.stream.required_keys if height else ():
        if frame[key].null_count():
            raise PlatformError(ErrorClass.TRANSIENT, f"{pull}: the answer has rows without {key}.")
    return frame.with_columns(
        *(pl.lit(None, dtype=pl.String).alias(key) for key in keys if key not in frame.columns)
    ).select(
        pl.Series("report_date", reported or [pull.last] * height, dtype=pl.Date),
        *(pl.col(key).fill_null(_NO_KEY) for key in keys),
        pl.exclude(*keys),
    )
