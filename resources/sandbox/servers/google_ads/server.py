"""The gRPC side of the loopback Google Ads API: who may ask, what is answered, what goes wrong.

Here: authentication, streaming in batches, faults. Not here: the account's rows (`tables`), GAQL (`gaql`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from types import TracebackType
from typing import Any
from zoneinfo import ZoneInfo

import grpc
import polars as pl
from google.ads.googleads.v26.services.types.ad_group_ad_service import (
    MutateAdGroupAdsRequest,
    MutateAdGroupAdsResponse,
)
from google.ads.googleads.v26.services.types.ad_group_criterion_service import (
    MutateAdGroupCriteriaRequest,
    MutateAdGroupCriteriaResponse,
)
from google.ads.googleads.v26.services.types.ad_group_service import (
    MutateAdGroupsRequest,
    MutateAdGroupsResponse,
)
from google.ads.googleads.v26.services.types.campaign_budget_service import (
    MutateCampaignBudgetsRequest,
    MutateCampaignBudgetsResponse,
)
from google.ads.googleads.v26.services.types.campaign_service import (
    MutateCampaignsRequest,
    MutateCampaignsResponse,
)
from google.ads.googleads.v26.services.types.customer_service import (
    ListAccessibleCustomersRequest,
    ListAccessibleCustomersResponse,
)
from google.ads.googleads.v26.services.types.google_ads_service import (
    SearchGoogleAdsStreamRequest,
    SearchGoogleAdsStreamResponse,
)

from resources.sandbox.catalogue import CURRENCY, TIMEZONE
from resources.sandbox.servers.account import Served
from resources.sandbox.servers.faults import FaultKind, FaultScript
from resources.sandbox.servers.google_ads import failures, gaql
from resources.sandbox.servers.google_ads.failures import Refusal
from resources.sandbox.servers.google_ads.history import History
from resources.sandbox.servers.google_ads.messages import batches
from resources.sandbox.servers.google_ads.performance import Performance
from resources.sandbox.servers.google_ads.tables import CUSTOMER_ID, Tables
from resources.sandbox.servers.google_ads.writes import (
    Switched,
    Written,
    budget_change,
    status_change,
    switch,
)

MANAGER_ID = "9018116230"
_VERSION = "google.ads.googleads.v26.services"
_BEFORE = (
    FaultKind.THROTTLE,
    FaultKind.DAILY_QUOTA,
    FaultKind.SERVER_ERROR,
    FaultKind.STALL,
    FaultKind.EXPIRED_TOKEN,
    FaultKind.TOO_MUCH,
)
_WITHIN = (FaultKind.STREAM_BREAK, FaultKind.DUPLICATE_PAGE)
FAULTS = (*_BEFORE, *_WITHIN)
_SWITCHES = (
    ("AdGroupService", "AdGroups", "ad_group", MutateAdGroupsRequest, MutateAdGroupsResponse),
    ("AdGroupAdService", "AdGroupAds", "ad_group_ad", MutateAdGroupAdsRequest, MutateAdGroupAdsResponse),
    (
        "AdGroupCriterionService",
        "AdGroupCriteria",
        "ad_group_criterion",
        MutateAdGroupCriteriaRequest,
        MutateAdGroupCriteriaResponse,
    ),
)
_ALWAYS = date(2000, 1, 1), date(2100, 1, 1)


@dataclass(frozen=True)
class Asked:
    """One call: its method, the customer, the query."""

    method: str
    customer_id: str
    query: str
    metadata: dict[str, str]


class GoogleAdsServer:
    """Serves the account on a free port of 127.0.0.1 until closed; use as a context manager.

    Args:
        token: the access token every call must carry.
        batch_rows: rows of one streamed response (Google's own: 10,000).
        throttle_seconds: what a throttled call is told to wait.
        stall_seconds: how long a stalled call is kept waiting.
        without_ads: campaign ids shown as Performance Max, which has neither ad groups nor ads.

    `written` are the budget and status changes it was sent, oldest first.
    """

    def __init__(
        self,
        served: Served,
        token: str,
        faults: FaultScript | None = None,
        *,
        batch_rows: int = 10_000,
        throttle_seconds: float = 30.0,
        stall_seconds: float = 2.0,
        without_ads: frozenset[str] = frozenset(),
    ) -> None:
        self.requests: list[Asked] = []
        self._removed: set[str] = set()
        self._served = served
        self.written: list[Written] = []
        self._edits: dict[int, dict[str, object]] = {}
        self._tables = Tables(served, self._removed, self._edits, self.written, without_ads)
        self._history = History(self._tables, self.written)
        self._performance = Performance(served, self._tables, without_ads)
        self._token = token
        self._faults = faults or FaultScript()
        self._batch_rows = batch_rows
        self._throttle_seconds = throttle_seconds
        self._stall_seconds = stall_seconds
        self._disabled = False
        self._refusals: list[Refusal] = []
        self._closing = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(max_workers=8))
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    f"{_VERSION}.GoogleAdsService",
                    {
                        "SearchStream": grpc.unary_stream_rpc_method_handler(
                            self._search_stream,
                            request_deserializer=SearchGoogleAdsStreamRequest.deserialize,
                            response_serializer=SearchGoogleAdsStreamResponse.serialize,
                        )
                    },
                ),
                grpc.method_handlers_generic_handler(
                    f"{_VERSION}.CustomerService",
                    {
                        "ListAccessibleCustomers": grpc.unary_unary_rpc_method_handler(
                            self._list_accessible_customers,
                            request_deserializer=ListAccessibleCustomersRequest.deserialize,
                            response_serializer=ListAccessibleCustomersResponse.serialize,
                        )
                    },
                ),
            )
        )
        self._server.add_generic_rpc_handlers(
            (
                self._mutations(
                    "CampaignBudgetService",
                    "MutateCampaignBudgets",
                    MutateCampaignBudgetsRequest,
                    MutateCampaignBudgetsResponse,
                    lambda operation, moment: budget_change(operation, self._tables.budgets(), moment),
                ),
                self._mutations(
                    "CampaignService",
                    "MutateCampaigns",
                    MutateCampaignsRequest,
                    MutateCampaignsResponse,
                    lambda operation, moment: status_change(operation, self._tables.statuses(), moment),
                ),
                *(
                    self._mutations(service, f"Mutate{plural}", request, response, self._switch(resource))
                    for service, plural, resource, request, response in _SWITCHES
                ),
            )
        )
        self._port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self._port}"

    def remove_ad(self, ad_id: str) -> None:
        """Delete an ad: its past numbers stay, its status is REMOVED."""
        self._removed.add(ad_id)

    def edit_campaign(self, campaign_id: str, **fields: object) -> None:
        """Let a campaign be otherwise; fields by path, dots written as two underscores."""
        edits = self._edits.setdefault(int(campaign_id), {})
        edits |= {name.replace("__", "."): value for name, value in fields.items()}

    def disable(self) -> None:
        """Close the customer account."""
        self._disabled = True

    def refuse_next(self, refusal: Refusal) -> None:
        """Let the next call end with this error."""
        self._refusals.append(refusal)

    def close(self) -> None:
        self._closing.set()
        self._server.stop(grace=None).wait()

    def __enter__(self) -> GoogleAdsServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- methods -------------------------------------------------------------------------------------

    def _search_stream(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        resource = request.query.split("FROM", 1)[-1].split()[:1]
        endpoint = "/".join(["SearchStream", *resource])

        def rows() -> pl.DataFrame:
            return self._rows(request.customer_id, request.query, dict(context.invocation_metadata()))

        found = self._attempt("SearchStream", endpoint, request.customer_id, request.query, context, rows)
        asked = list(gaql.parse(request.query).fields)
        within = self._faults.due(endpoint, _WITHIN)
        for number, response in enumerate(batches(found, asked, self._batch_rows)):
            yield SearchGoogleAdsStreamResponse.wrap(response)
            if number == 0 and within is FaultKind.DUPLICATE_PAGE:
                yield SearchGoogleAdsStreamResponse.wrap(response)
            if number == 0 and within is FaultKind.STREAM_BREAK:
                failures.broken_stream().play(context)

    def _list_accessible_customers(self, request: Any, context: grpc.ServicerContext) -> Any:
        def names() -> Any:
            return ListAccessibleCustomersResponse(resource_names=[f"customers/{CUSTOMER_ID}"])

        method = "ListAccessibleCustomers"
        return self._attempt(method, method, "", "", context, names)

    def _mutations(
        self,
        service: str,
        method: str,
        request_type: Any,
        response_type: Any,
        change: Callable[[Any, str], Written | Switched],
    ) -> grpc.GenericRpcHandler:
        """A service that takes updates: all of a request or none of it, remembered unless validate_only."""

        def mutate(request: Any, context: grpc.ServicerContext) -> Any:
            def apply() -> Any:
                now = self._served.now().astimezone(ZoneInfo(TIMEZONE))
                moment = now.strftime("%Y-%m-%d %H:%M:%S.%f")
                if request.customer_id != CUSTOMER_ID:
                    raise failures.not_permitted()
                changes = [change(operation, moment) for operation in request.operations]
                if request.validate_only:
                    return response_type()
                for done in changes:
                    self._remember(done)
                names = [
                    {"resource_name": operation.update.resource_name} for operation in request.operations
                ]
                return response_type(results=names)

            return self._attempt(method, method, request.customer_id, "", context, apply)

        handler = grpc.unary_unary_rpc_method_handler(
            mutate,
            request_deserializer=request_type.deserialize,
            response_serializer=response_type.serialize,
        )
        return grpc.method_handlers_generic_handler(f"{_VERSION}.{service}", {method: handler})

    def _switch(self, resource: str) -> Callable[[Any, str], Switched]:
        return lambda operation, _moment: switch(operation, self._tables.switches(resource))

    def _remember(self, done: Written | Switched) -> None:
        if isinstance(done, Written):
            self.written.append(done)
            self._served.take_write(str(done.campaign_id), budget=done.budget, runs=done.runs)
            return
        self._tables.switched[done.resource_name] = done.status
        if done.entity_id is not None:
            self._served.take_write(done.entity_id, budget=None, runs=done.status == "ENABLED")

    def _attempt(
        self,
        method: str,
        endpoint: str,
        customer_id: str,
        query: str,
        context: grpc.ServicerContext,
        answer: Callable[[], Any],
    ) -> Any:
        metadata = dict(context.invocation_metadata())
        self.requests.append(Asked(method, customer_id, query, metadata))
        try:
            if self._refusals:
                raise self._refusals.pop(0)
            self._refuse_if_due(endpoint)
            if metadata.get("authorization") != f"Bearer {self._token}":
                raise failures.unauthenticated("OAUTH_TOKEN_INVALID")
            return answer()
        except Refusal as refusal:
            refused = refusal
        refused.play(context)
        return None

    def _refuse_if_due(self, endpoint: str) -> None:
        fault = self._faults.due(endpoint, _BEFORE)
        if fault is FaultKind.STALL:
            self._closing.wait(self._stall_seconds)
            raise failures.broken_stream()
        refusals = {
            FaultKind.THROTTLE: failures.throttled(self._throttle_seconds),
            FaultKind.DAILY_QUOTA: failures.out_of_quota(6 * 3600.0),
            FaultKind.SERVER_ERROR: failures.internal(),
            FaultKind.EXPIRED_TOKEN: failures.unauthenticated("OAUTH_TOKEN_EXPIRED"),
            FaultKind.TOO_MUCH: failures.too_much(),
        }
        if fault is not None:
            raise refusals[fault]

    def _rows(self, customer_id: str, text: str, metadata: dict[str, str]) -> pl.DataFrame:
        query = gaql.parse(text)
        manager = metadata.get("login-customer-id")
        if customer_id == MANAGER_ID and manager == MANAGER_ID and query.resource == "customer_client":
            return gaql.answer(query, self._clients())
        if customer_id != CUSTOMER_ID or manager not in (None, CUSTOMER_ID, MANAGER_ID):
            raise failures.not_permitted()
        if self._disabled:
            raise failures.not_enabled()
        by_hour = "segments.hour" in query.fields
        table = (
            self._performance.table(query.resource, *(query.days or _ALWAYS), by_hour=by_hour)
            if query.has_metrics
            else self._tables.table(query.resource)
        )
        if table is None:
            table = self._history.table(query.resource)
        if table is None:
            raise Refusal.query(
                "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE", f"'{query.resource}' is not a valid resource name."
            )
        wanted = [*query.fields, *(condition.field for condition in query.conditions)]
        known = {column.partition(".")[0] for column in table.columns} - {"metrics", "segments"}
        for field in wanted:
            if field.partition(".")[0] in known and not gaql.columns_of(field, table):
                table = table.with_columns(pl.lit(None, dtype=pl.String).alias(field))  # nothing is set there
            elif not gaql.columns_of(field, table):
                raise Refusal.query(
                    "PROHIBITED_FIELD_IN_SELECT_CLAUSE", f"'{field}' cannot be used with '{query.resource}'."
                )
        return gaql.answer(query, table)

    def _clients(self) -> pl.DataFrame:
        """The manager's client accounts, itself among them, as Google lists them."""
        customer = self._tables.customer()
        return pl.DataFrame(
            {
                "customer_client.id": [int(MANAGER_ID), int(CUSTOMER_ID)],
                "customer_client.descriptive_name": [
                    "Northstar (manager)",
                    customer["customer.descriptive_name"][0],
                ],
                "customer_client.currency_code": CURRENCY,
                "customer_client.time_zone": TIMEZONE,
                "customer_client.manager": [True, False],
                "customer_client.status": ["ENABLED", "CANCELED" if self._disabled else "ENABLED"],
            }
        )
