"""GA4's Data API through the real client against a loopback gRPC server: whole reports or an error."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from resources.connectors.errors import ErrorClass, MissingCredentials, PlatformError
from resources.connectors.ga4 import Ga4Source
from resources.connectors.ga4_credentials import Ga4Credentials
from resources.connectors.ga4_export import Ga4Export, IdentifierSalt
from resources.connectors.ga4_tables import ParquetTables
from resources.connectors.source import Account, Pull
from resources.landing.pages import payload_text
from resources.landing.streams import STREAMS
from resources.sandbox.backend_frames import orders_frame
from resources.sandbox.frames import Window
from resources.sandbox.servers.faults import Fault, FaultKind, FaultScript
from resources.sandbox.servers.ga4 import PROPERTY_ID, Ga4Server, Tokens
from resources.sandbox.servers.ga4_export import write_events
from resources.sandbox.servers.http import Answer, LoopbackServer

TOKEN = "ya29.test-token-of-the-sandbox"
FIRST, LAST = date(2026, 6, 20), date(2026, 6, 26)
ZONE = "America/New_York"
NOW = datetime(2026, 6, 30, 12, 0, tzinfo=UTC)  # 05:00 in Los Angeles


def source_of(server: Ga4Server, token: str = TOKEN, **arguments) -> Ga4Source:
    credentials = Ga4Credentials(access_token=token)
    return Ga4Source(
        credentials,
        (PROPERTY_ID,),
        **{"endpoint": server.endpoint, "timeout_seconds": 20.0, "now": lambda: NOW} | arguments,
    )


def pull(source: Ga4Source, report: str = "sessions", property_id: str = PROPERTY_ID, **arguments) -> Pull:
    chosen = next(r for r in source.reports if r.breakdown_set == report)
    return Pull(Account(property_id, property_id, "USD", ZONE), chosen, FIRST, LAST, **arguments)


def rows_of(source: Ga4Source, report: str = "sessions", **arguments) -> pl.DataFrame:
    return pl.concat([page.rows for page in source.pages(pull(source, report, **arguments))])


def failure(server: Ga4Server, source: Ga4Source | None = None, **arguments) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        rows_of(source or source_of(server), **arguments)
    assert TOKEN not in f"{caught.value}{caught.value!r}"
    assert caught.value.__cause__ is None
    return caught.value


def total(rows: pl.DataFrame, column: str) -> Decimal:
    return sum((Decimal(text) for text in rows[column]), Decimal(0))


def test_sessions_of_ads_are_most_of_their_clicks(served):
    with Ga4Server(served, TOKEN) as server:
        rows = rows_of(source_of(server))
    facebook = rows.filter(pl.col("session_source") == "facebook")
    clicks = served.rows(lambda reports, window: reports.meta(window), FIRST, LAST)["Link clicks"].sum()
    assert 0.93 * clicks <= total(facebook, "sessions") < clicks
    assert set(rows["report_date"]) == {date(2026, 6, day) for day in range(20, 27)}
    assert set(rows["device_category"]) == {"mobile", "desktop", "tablet"}
    assert not rows.select("report_date", "report", "dimensions_hash").is_duplicated().any()


def test_key_events_are_the_orders_of_those_who_can_be_measured(served, simulated):
    with Ga4Server(served, TOKEN) as server:
        rows = rows_of(source_of(server), "key_events")
    day = simulated.business.day_of
    orders = orders_frame(
        simulated.business, simulated.orders, Window(day(FIRST), day(LAST), day(date(2026, 6, 29)))
    ).filter(~pl.col("customer_id").str.starts_with("0"))
    assert total(rows, "key_events") == orders.height
    assert total(rows, "purchase_revenue") == Decimal(str(round(orders["value"].sum(), 2)))
    assert rows["event_name"].unique().to_list() == ["purchase"]


def test_pages_of_any_size_add_up_to_the_same_report(served):
    with Ga4Server(served, TOKEN) as server:
        whole = rows_of(source_of(server))
        paged = rows_of(source_of(server), page_size=40)
        assert len(server.requests) > 5
    assert paged.equals(whole)


def test_a_property_has_the_currency_and_zone_the_api_says(served):
    with Ga4Server(served, TOKEN) as server:
        assert source_of(server).accounts() == [Account(PROPERTY_ID, PROPERTY_ID, "USD", ZONE)]


def test_days_that_have_not_been_are_an_empty_report_not_an_error(served):
    with Ga4Server(served, TOKEN) as server:
        source = source_of(server)
        asked = pull(source).between(date(2026, 7, 20), date(2026, 7, 21))
        pages = list(source.pages(asked))
    assert len(pages) == 1
    assert pages[0].rows.is_empty()


def test_sampling_thresholding_and_lost_rows_stay_with_every_row(served):
    with Ga4Server(served, TOKEN, sampled=True) as server:
        flagged = rows_of(source_of(server))
    payload = payload_text(flagged.head(1), STREAMS["ga4_reports"])[0]
    for part in (
        '"data_loss_from_other_row":"true"', '"subject_to_thresholding":"true"',
        '"samples_read_count":"500000"', '"sampling_space_size":"1250000"',
    ):  # fmt: skip
        assert part in payload
    with Ga4Server(served, TOKEN) as server:
        plain = rows_of(source_of(server))
    assert plain["data_loss_from_other_row"].unique().to_list() == ["false"]
    assert plain["samples_read_count"].null_count() == plain.height


@pytest.mark.parametrize(
    ("fault", "expected", "wait"),
    [
        (FaultKind.THROTTLE, ErrorClass.THROTTLE, 3_600.0),
        (FaultKind.DAILY_QUOTA, ErrorClass.DEFER, 19 * 3_600.0),
        (FaultKind.SERVER_ERROR, ErrorClass.TRANSIENT, None),
        (FaultKind.STREAM_BREAK, ErrorClass.TRANSIENT, None),
        (FaultKind.EXPIRED_TOKEN, ErrorClass.AUTH, None),
        (FaultKind.EMPTY_MIDDLE, ErrorClass.TRANSIENT, None),
        (FaultKind.DUPLICATE_PAGE, ErrorClass.TRANSIENT, None),
    ],
)
def test_what_goes_wrong_on_the_second_page_ends_the_pull(served, fault, expected, wait):
    with Ga4Server(served, TOKEN, FaultScript([Fault(fault, nth=2)])) as server:
        error = failure(server, page_size=40)
        assert len(server.requests) == 2
    assert (error.error_class, error.wait_seconds) == (expected, wait)


def test_a_stalled_call_is_given_up_in_time(served):
    with Ga4Server(served, TOKEN, FaultScript([Fault(FaultKind.STALL)]), stall_seconds=5.0) as server:
        error = failure(server, source_of(server, timeout_seconds=0.3))
    assert error.error_class is ErrorClass.TRANSIENT
    assert "DEADLINE_EXCEEDED" in str(error)


def test_a_wrong_token_and_a_property_without_rights_stop_the_source(served):
    with Ga4Server(served, TOKEN) as server:
        wrong = failure(server, source_of(server, token="ya29.another"))
        foreign = failure(server, property_id="999")
    assert wrong.error_class is foreign.error_class is ErrorClass.AUTH
    assert "Viewer role" in str(foreign)
    assert "ya29.another" not in str(wrong)


def test_a_report_the_days_tokens_cannot_finish_is_deferred_before_it_fails(served):
    with Ga4Server(served, TOKEN, tokens=Tokens(day=25)) as server:
        error = failure(server, page_size=40)
        assert len(server.requests) == 2
    assert (error.error_class, error.wait_seconds) == (ErrorClass.DEFER, 19 * 3_600.0)


def test_when_the_hours_tokens_run_low_the_next_call_waits(served):
    with Ga4Server(served, TOKEN, tokens=Tokens(hour=25)) as server:
        source = source_of(server)
        pages = source.pages(pull(source, page_size=40))
        assert [next(pages).wait_seconds, next(pages).wait_seconds] == [0.0, 3_600.0]


def test_a_token_is_sent_in_the_clear_to_loopback_names_only(served):
    with Ga4Server(served, TOKEN) as server:
        elsewhere = server.endpoint.replace("127.0.0.1", "0.0.0.0")
        error = failure(server, source_of(server, endpoint=elsewhere, timeout_seconds=1.0))
        assert server.requests == []
    assert error.error_class is ErrorClass.TRANSIENT


def test_missing_credentials_are_named():
    with pytest.raises(MissingCredentials, match="AELP_GA4_SERVICE_ACCOUNT_FILE"):
        Ga4Credentials.from_environment({})


@pytest.fixture
def key_file(tmp_path):
    """Writes a service account's key that asks this token server."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

    def write(token_server: LoopbackServer) -> Ga4Credentials:
        path = tmp_path / "service.json"
        told = {
            "type": "service_account", "client_email": "aelp@northstar.example", "private_key_id": "1",
            "private_key": key.decode(), "token_uri": f"{token_server.url}/token",
        }  # fmt: skip
        path.write_text(json.dumps(told))
        return Ga4Credentials(service_account_file=str(path))

    return write


def test_a_service_account_gets_one_token_for_many_calls_and_keeps_it_secret(served, key_file):
    answer = Answer({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})
    with LoopbackServer(lambda _: answer, FaultScript()) as tokens, Ga4Server(served, TOKEN) as server:
        source = Ga4Source(key_file(tokens), (PROPERTY_ID,), endpoint=server.endpoint, now=lambda: NOW)
        assert list(source.secrets) == []
        assert rows_of(source, page_size=40).height > 40
        assert len(tokens.requests) == 1
    assert list(source.secrets) == [TOKEN]


@pytest.mark.parametrize("endpoint", [None, "127.0.0.2:9"])
def test_a_revoked_service_account_stops_the_source_before_any_call(served, key_file, endpoint):
    answer = Answer(
        {"error": "invalid_grant", "error_description": "Invalid grant: account not found"}, status=400
    )
    with LoopbackServer(lambda _: answer, FaultScript()) as tokens, Ga4Server(served, TOKEN) as server:
        source = Ga4Source(
            key_file(tokens), (PROPERTY_ID,), endpoint=endpoint or server.endpoint, timeout_seconds=2.0
        )  # 127.0.0.2 is spoken to in TLS
        error = failure(server, source)
        assert server.requests == []
    assert error.error_class is ErrorClass.AUTH
    assert "AELP_GA4_SERVICE_ACCOUNT_FILE" in str(error)


def test_a_token_server_that_cannot_be_reached_is_asked_again_later(served, key_file):
    with LoopbackServer(lambda _: Answer({}), FaultScript()) as tokens:
        credentials = key_file(tokens)
    with Ga4Server(served, TOKEN) as server:
        error = failure(server, Ga4Source(credentials, (PROPERTY_ID,), endpoint=server.endpoint))
    assert error.error_class is ErrorClass.TRANSIENT
    assert "token server" in str(error)


def test_an_unreadable_key_file_is_named_without_its_content(tmp_path):
    key = tmp_path / "key.json"
    key.write_text('{"private_key": "very secret"}')
    credentials = Ga4Credentials.from_environment({"AELP_GA4_SERVICE_ACCOUNT_FILE": str(key)})
    with pytest.raises(MissingCredentials, match=r"key\.json") as caught:
        Ga4Source(credentials, (PROPERTY_ID,))
    assert "very secret" not in str(caught.value)


def test_an_export_is_one_more_report_of_the_same_source(served, tmp_path):
    salt = IdentifierSalt("a salt of the sandbox only")
    write_events(served, tmp_path / f"analytics_{PROPERTY_ID}", LAST)
    with Ga4Server(served, TOKEN) as server:
        source = source_of(server, export=Ga4Export(ParquetTables(tmp_path), salt))
        report = source.reports[-1]
        account = Account(PROPERTY_ID, PROPERTY_ID, "USD", ZONE)
        (page,) = source.pages(Pull(account, report, LAST, LAST))
        assert server.requests == [], "files are read without a call"
    assert (report.name, page.rows.height > 100) == ("ga4_events/none", True)
    assert set(source.secrets) == {TOKEN, salt.salt}
