"""Impact.com against its loopback API: actions change until locked, and none is lost between pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, timedelta
from decimal import Decimal

import polars as pl
import pytest

from resources.connectors.errors import ErrorClass, MissingCredentials, PlatformError
from resources.connectors.impact import Impact, ImpactCredentials
from resources.connectors.source import Account, Pull
from resources.sandbox.backend_frames import orders_frame
from resources.sandbox.build import simulate_account
from resources.sandbox.servers.account import ServedAccount
from resources.sandbox.servers.faults import Fault, FaultKind, FaultScript
from resources.sandbox.servers.http import Answer, LoopbackServer, Request
from resources.sandbox.servers.impact import (
    ACCOUNT_SID,
    CAMPAIGN_ID,
    COMPANY,
    ImpactServer,
    affiliate_actions,
)

TOKEN = "im-secret-1138"
FIRST, LAST = date(2026, 6, 1), date(2026, 6, 29)
ACTIONS = "/Actions"
ACCOUNT = Account(ACCOUNT_SID, COMPANY, "USD", "America/New_York")


@contextmanager
def connected(
    served: ServedAccount,
    *faults: Fault,
    token: str = TOKEN,
    page_size: int = 20_000,
    smallest_page: int = 1,
    calls_per_hour: int = 1_000,
    timezone: str | None = None,
) -> Iterator[tuple[Impact, ImpactServer]]:
    with ImpactServer(served, TOKEN, FaultScript(faults), smallest_page, calls_per_hour) as server:
        source = Impact(
            ImpactCredentials(ACCOUNT_SID, token, timezone),
            endpoint=server.url,
            timeout_seconds=0.4,
            page_size=page_size,
        )
        try:
            yield source, server
        finally:
            source.close()


def actions(source: Impact, first: date = FIRST, last: date = LAST) -> pl.DataFrame:
    pages = list(source.pages(Pull(ACCOUNT, source.reports[0], first, last)))
    return pl.concat([page.rows for page in pages], how="diagonal").sort("action_id")


def refusal(act: Callable[[], object]) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        act()
    assert TOKEN not in f"{raised.value!r} {raised.value}"
    assert raised.value.__suppress_context__
    return raised.value


def in_dollars(cents: int) -> str:
    text = format(Decimal(cents) / 100, ".2f")
    return text.rstrip("0").rstrip(".")


def truth(served: ServedAccount, first: date = FIRST, last: date = LAST) -> pl.DataFrame:
    """The simulated actions as the stream would hold them."""
    business = served.simulated.business
    known = business.day_of(served.today) - 1
    rows = []
    simulated = affiliate_actions(served.simulated, business.day_of(first), min(business.day_of(last), known))
    for action in simulated:
        state = action.state(known)
        paid = state != "REVERSED"
        rows.append(
            {
                "report_date": business.date_of(action.day),
                "action_id": action.action_id,
                "state": state,
                "amount": in_dollars(action.amount * paid),
                "payout": in_dollars(action.payout * paid),
                "intended_amount": in_dollars(action.amount),
                "currency": "USD",
                "event_date": action.event.astimezone(UTC).isoformat(),
                "order_id": action.order_id,
                "media_partner_name": action.partner.name,
                "customer_status": "NEW" if action.is_new_customer else "EXISTING",
                "campaign_id": CAMPAIGN_ID,
            }
        )
    return pl.DataFrame(rows).sort("action_id")


def same(rows: pl.DataFrame, expected: pl.DataFrame) -> bool:
    return rows.select(expected.columns).sort("action_id").equals(expected)


def test_the_rows_are_the_simulated_truth(served: ServedAccount) -> None:
    expected = truth(served)
    assert expected.height > 500
    assert set(expected["state"]) == {"PENDING", "APPROVED", "REVERSED"}
    with connected(served) as (source, _):
        assert same(actions(source), expected)


def test_actions_are_a_small_share_of_the_backends_orders(served: ServedAccount) -> None:
    window = served.window(FIRST, LAST)
    assert window is not None
    orders = orders_frame(served.simulated.business, served.simulated.orders, window)
    with connected(served) as (source, _):
        rows = actions(source)
    matched = rows.join(orders, on="order_id", how="inner")
    assert matched.height == rows.height == rows["order_id"].n_unique()
    assert 0.02 < rows.height / orders.height < 0.06
    moments = matched.select(
        pl.col("event_date").str.to_datetime("%+", time_zone="UTC"),
        pl.col("ordered_at").str.to_datetime("%+", time_zone="UTC"),
    )
    assert moments["event_date"].equals(moments["ordered_at"], check_names=False)
    assert matched["intended_amount"].cast(pl.Float64).equals(matched["value"], check_names=False)


def test_every_page_is_read(served: ServedAccount) -> None:
    expected = truth(served)
    size = expected.height // 5
    with connected(served, page_size=size) as (source, server):
        assert same(actions(source), expected)
        asked = [request for request in server.requests if request.path.endswith(ACTIONS)]
    assert len(asked) == -(-expected.height // size)


def test_a_reversal_changes_the_row_when_it_is_read_again(served: ServedAccount) -> None:
    with connected(served) as (source, _):
        before = actions(source)
        later = served.now() + timedelta(days=10)
        served.now = lambda: later
        after = actions(source)
    assert after["action_id"].equals(before["action_id"])
    joined = before.join(after, on="action_id", suffix="_after")
    reversed_ = joined.filter((pl.col("state") == "PENDING") & (pl.col("state_after") == "REVERSED"))
    assert reversed_.height > 0
    assert set(reversed_["amount_after"]) == {"0"}
    assert reversed_["payout"].cast(pl.Float64).min() > 0  # type: ignore[operator]
    assert same(after, truth(served))


def test_a_locked_action_changes_no_more(served: ServedAccount) -> None:
    old = LAST - timedelta(days=15)
    with connected(served) as (source, _):
        before = actions(source, FIRST, old)
        later = served.now() + timedelta(days=13)
        served.now = lambda: later
        after = actions(source, FIRST, old)
    settled = ["action_id", "state", "amount", "payout", "locking_date"]
    assert "PENDING" not in before["state"].to_list()
    assert after.select(settled).equals(before.select(settled))


@pytest.mark.parametrize(
    ("kind", "error_class", "wait"),
    [
        (FaultKind.THROTTLE, ErrorClass.THROTTLE, 42.0),
        (FaultKind.TOO_MUCH, ErrorClass.SHRINK, None),
        (FaultKind.SERVER_ERROR, ErrorClass.TRANSIENT, None),
        (FaultKind.EXPIRED_TOKEN, ErrorClass.AUTH, None),
        (FaultKind.HTML_ERROR, ErrorClass.TRANSIENT, None),
        (FaultKind.STALL, ErrorClass.TRANSIENT, None),
        (FaultKind.TRUNCATED, ErrorClass.TRANSIENT, None),
        (FaultKind.EMPTY_MIDDLE, ErrorClass.TRANSIENT, None),
        (FaultKind.DUPLICATE_PAGE, ErrorClass.TRANSIENT, None),
        (FaultKind.CURSOR_LOOP, ErrorClass.TRANSIENT, None),
    ],
)
def test_a_fault_is_told_by_its_class_and_the_next_try_is_whole(
    served: ServedAccount, kind: FaultKind, error_class: ErrorClass, wait: float | None
) -> None:
    expected = truth(served)
    with connected(served, Fault(kind, ACTIONS), page_size=expected.height // 4) as (source, _):
        error = refusal(lambda: actions(source))
        assert (error.error_class, error.wait_seconds) == (error_class, wait)
        assert same(actions(source), expected)


def test_a_list_of_more_than_ten_pages_asks_for_less(served: ServedAccount) -> None:
    with connected(served, page_size=20) as (source, _):
        assert refusal(lambda: actions(source)).error_class is ErrorClass.SHRINK
        assert same(actions(source, LAST, LAST), truth(served, LAST, LAST))


def test_the_last_call_of_the_hour_advises_to_wait(served: ServedAccount) -> None:
    with connected(served, calls_per_hour=2) as (source, _):
        (page,) = source.pages(Pull(ACCOUNT, source.reports[0], LAST, LAST))
        assert page.wait_seconds == 42.0
        assert refusal(lambda: actions(source)).wait_seconds == 42.0


def test_a_day_begins_at_the_accounts_midnight(served: ServedAccount) -> None:
    day = date(2026, 6, 20)
    with connected(served) as (source, server):
        rows = actions(source, day, day)
        asked = server.requests[-1].form
    assert (asked["ActionDateStart"], asked["ActionDateEnd"]) == (
        "2026-06-20T04:00:00Z",
        "2026-06-21T03:59:59Z",
    )
    assert same(rows, truth(served, day, day))


def test_days_are_those_of_the_account_wherever_the_platform_is(served: ServedAccount) -> None:
    tokyo = Account(ACCOUNT_SID, COMPANY, "USD", "Asia/Tokyo")
    day = date(2026, 6, 20)
    with connected(served) as (source, _):
        (page,) = source.pages(Pull(tokyo, source.reports[0], day, day))
        around = actions(source, day - timedelta(days=1), day)
    events = around["event_date"].str.to_datetime("%+", time_zone="UTC")
    theirs = around.filter(events.dt.convert_time_zone("Asia/Tokyo").dt.date() == day)
    assert page.rows["report_date"].unique().to_list() == [day]
    assert page.rows["action_id"].sort().equals(theirs["action_id"])


ACTION = {
    "Id": "1.2.3",
    "State": "PENDING",
    "Amount": "10.00",
    "Payout": "1.00",
    "EventDate": "2026-06-20T10:00:00-04:00",
}


@pytest.mark.parametrize(
    ("change", "error_class", "says"),
    [
        (
            {"Actions": [ACTION | {"EventDate": "2026-06-21T00:00:00-04:00"}]},
            ErrorClass.TRANSIENT,
            "2026-06-21",
        ),
        ({"Actions": [ACTION | {"EventDate": "2026-06-20"}]}, ErrorClass.TRANSIENT, "EventDate"),
        ({"Actions": [ACTION | {"Payout": ""}]}, ErrorClass.TRANSIENT, "payout"),
        ({"Actions": [ACTION | {"Amount": "ten"}]}, ErrorClass.PERMANENT, "Amount"),
        ({"Actions": None}, ErrorClass.TRANSIENT, "Actions"),
        ({"@total": None}, ErrorClass.TRANSIENT, "counted"),
        ({"@total": "2"}, ErrorClass.TRANSIENT, "counts 2"),
        ({"@nextpageuri": "https://elsewhere.example/next"}, ErrorClass.TRANSIENT, "elsewhere"),
        ({"Status": "ERROR", "Message": "Out of order"}, ErrorClass.TRANSIENT, "Out of order"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_is_never_taken_for_complete(
    change: dict[str, object], error_class: ErrorClass, says: str
) -> None:
    body = {"@total": "1", "@nextpageuri": "", "Actions": [ACTION]}
    programmes = {"@total": "1", "@nextpageuri": "", "Campaigns": [{"Id": 18402}]}

    def answer(request: Request) -> Answer:
        return Answer(programmes if request.path.endswith("/Campaigns") else body)

    day = date(2026, 6, 20)
    with LoopbackServer(answer, FaultScript()) as server:
        source = Impact(ImpactCredentials(ACCOUNT_SID, TOKEN), endpoint=server.url)
        assert actions(source, day, day)["amount"].to_list() == ["10"]
        body |= change
        error = refusal(lambda: actions(source, day, day))
        source.close()
    assert error.error_class is error_class
    assert says in str(error)


def test_a_field_nobody_asked_for_lands_beside_the_others(served: ServedAccount) -> None:
    with connected(served, Fault(FaultKind.UNKNOWN_FIELD, ACTIONS)) as (source, _):
        rows = actions(source)
    assert rows["surprise_field"].unique().to_list() == ["7"]
    assert same(rows, truth(served))


def test_a_missing_optional_field_is_null(served: ServedAccount) -> None:
    with connected(served, Fault(FaultKind.MISSING_FIELD, ACTIONS)) as (source, _):
        rows = actions(source)
    assert rows["promo_code"].null_count() == rows.height
    assert same(rows, truth(served))


def test_nothing_about_the_buyer_lands(served: ServedAccount) -> None:
    with connected(served) as (source, _):
        landed = set(actions(source).columns)
    assert not landed & {"customer_id", "ip_address", "customer_post_code", "uri"}
    assert "customer_status" in landed


def test_the_account_is_described_with_an_iana_zone(served: ServedAccount) -> None:
    with connected(served) as (source, _):
        assert source.accounts() == [ACCOUNT]
    with connected(served, timezone="Europe/Oslo") as (source, _):
        assert source.accounts()[0].timezone == "Europe/Oslo"
    with connected(served, timezone="Nowhere/Land") as (source, _):
        error = refusal(source.accounts)
    assert error.error_class is ErrorClass.PERMANENT
    assert "AELP_IMPACT_TIMEZONE" in str(error)


def test_a_wrong_token_is_refused_as_such(served: ServedAccount) -> None:
    with connected(served, token=TOKEN + "-old") as (source, _):
        assert refusal(source.accounts).error_class is ErrorClass.AUTH


def test_missing_credentials_name_their_variables() -> None:
    with pytest.raises(MissingCredentials, match=r"AELP_IMPACT_ACCOUNT_SID.*AELP_IMPACT_AUTH_TOKEN"):
        ImpactCredentials.from_environment({"AELP_IMPACT_ACCOUNT_SID": ACCOUNT_SID})
    given = ImpactCredentials.from_environment(
        {"AELP_IMPACT_ACCOUNT_SID": ACCOUNT_SID, "AELP_IMPACT_AUTH_TOKEN": TOKEN}
    )
    assert given.timezone is None
    assert TOKEN not in repr(given)


def test_a_longer_history_repeats_the_actions_of_a_shorter_one(served: ServedAccount) -> None:
    longer = served.simulated
    business = longer.business
    shorter = simulate_account(business.scale.name, business.seed, business.today)
    days = (business.day_of(FIRST), business.day_of(LAST))
    assert affiliate_actions(shorter, *days) == affiliate_actions(longer, *days)
