"""Backend orders from real databases: the same rows as the file drop, and errors that name their cure."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import get_args

import polars as pl
import pytest
import sqlalchemy as sa

from resources.clock import FixedClock
from resources.connectors.errors import ErrorClass, MissingCredentials, PlatformError
from resources.connectors.orders import OrdersCredentials, OrdersDatabase, OrdersTable
from resources.connectors.planning import due_pulls
from resources.connectors.source import Account, Pull
from resources.files.drop import FileDrop
from resources.files.landing import land
from resources.landing.ledger import Attempt, Ledger
from resources.landing.pages import payload_text
from resources.landing.streams import STREAMS
from resources.sandbox.backend_frames import orders_frame
from resources.sandbox.catalogue import STORE_ID
from resources.sandbox.frames import Window
from resources.settings import OrderField, read_environment
from resources.warehouse import open_warehouse

ZONE = "America/New_York"
FIRST, LAST = date(2026, 6, 20), date(2026, 6, 29)
FIELDS = ("order_id", "store_id", *STREAMS["orders"].fields)


def orders_known(simulated, first: date, last: date, known: date) -> pl.DataFrame:
    day = simulated.business.day_of
    return orders_frame(simulated.business, simulated.orders, Window(day(first), day(last), day(known)))


def write_database(path: Path, frame: pl.DataFrame, table: str = "orders") -> str:
    with sqlite3.connect(path) as database:
        columns = ", ".join(f'"{name}"' for name in frame.columns)
        database.execute(f'drop table if exists "{table}"')
        database.execute(f'create table "{table}" ({columns})')
        marks = ", ".join("?" * frame.width)
        database.executemany(f'insert into "{table}" values ({marks})', frame.rows())
    database.close()
    return f"sqlite:///{path}"


def table_of(name: str = "orders", **changes) -> OrdersTable:
    return OrdersTable(name, **{"columns": {field: field for field in FIELDS}, "zone": ZONE, **changes})


def source_of(url: str, table: OrdersTable | None = None, **arguments) -> OrdersDatabase:
    return OrdersDatabase(OrdersCredentials(url), table or table_of(), **arguments)


def pull(source: OrdersDatabase, first: date = FIRST, last: date = LAST, **arguments) -> Pull:
    return Pull(Account(STORE_ID, STORE_ID, "USD", ZONE), source.reports[0], first, last, **arguments)


def rows_of(source: OrdersDatabase, first: date = FIRST, last: date = LAST, **arguments) -> pl.DataFrame:
    return pl.concat([page.rows for page in source.pages(pull(source, first, last, **arguments))])


def payloads(rows: pl.DataFrame) -> dict[tuple[date, str], dict[str, str]]:
    texts = payload_text(rows, STREAMS["orders"])
    keys = zip(rows["report_date"], rows["order_id"], strict=True)
    return {key: json.loads(text) for key, text in zip(keys, texts, strict=True)}


def refused(source: OrdersDatabase) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        rows_of(source)
    return caught.value


@pytest.fixture
def url(simulated, tmp_path) -> str:
    return write_database(tmp_path / "shop.db", orders_known(simulated, date(2026, 6, 1), LAST, LAST))


def test_the_database_gives_the_rows_the_file_drop_lands_from_the_export(simulated, url, tmp_path):
    export = tmp_path / "drop" / "orders.csv"
    export.parent.mkdir()
    orders_known(simulated, FIRST, LAST, LAST).write_csv(export, float_precision=2)
    drop = FileDrop(
        str(export.parent), tmp_path / "work", FixedClock(datetime(2027, 1, 1, tzinfo=UTC)),
        date(2015, 1, 1), ZONE, settle_seconds=0.0, sleep=lambda _: None,
    )  # fmt: skip
    warehouse = open_warehouse(read_environment({"AELP_HOME": str(tmp_path / "home")}))
    land(drop, warehouse, ())
    landed = {
        (day, order): json.loads(payload)
        for day, order, payload in warehouse.query(
            "select report_date, order_id, payload from raw.orders"
        ).iter_rows()
    }
    assert payloads(rows_of(source_of(url))) == landed
    assert len(landed) > 1_000


def test_every_page_size_gives_each_order_once(url):
    whole = rows_of(source_of(url))
    in_pages = list(source_of(url).pages(pull(source_of(url), page_size=137)))
    assert len(in_pages) > 10
    assert pl.concat([page.rows for page in in_pages]).sort("order_id").equals(whole.sort("order_id"))


def test_the_account_is_the_store_with_its_currency_and_zone(url):
    assert source_of(url).accounts() == [Account(STORE_ID, STORE_ID, "USD", ZONE)]


@pytest.fixture
def statements():
    """Every SQL statement of the test, as it is sent."""
    sent: list[str] = []

    def note(_connection, _cursor, statement, *_):
        sent.append(" ".join(statement.lower().split()))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_where_the_settings_name_the_stores_no_pull_looks_at_every_order(url, statements):
    columns = {field: field for field in FIELDS if field != "store_id"}
    for table in (table_of(), table_of(columns=columns, store_id=STORE_ID)):
        source = source_of(url, table, stores=[STORE_ID])
        assert source.accounts() == [Account(STORE_ID, STORE_ID, "USD", ZONE)]
    assert statements
    assert not [statement for statement in statements if "distinct" in statement]
    reading = [statement for statement in statements if 'from "orders"' in statement]
    assert reading
    assert all("limit" in statement for statement in reading)


def test_what_stores_there_are_is_asked_once_a_source(url, statements):
    source = source_of(url)
    assert source.accounts() == source.accounts()
    assert len([statement for statement in statements if "distinct" in statement]) == 1


def test_a_named_store_without_orders_shows_those_there_are(url):
    stores = source_of(url, stores=["northstar-typo"]).accounts()
    assert [store.account_id for store in stores] == [STORE_ID]


def test_a_named_store_s_currency_is_that_of_its_orders(url, tmp_path):
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("update orders set store_id = 'eu', currency = ' eur ' where rowid % 2 = 0")
        database.execute("update orders set currency = '' where rowid < 10")
    database.close()
    told = source_of(url, stores=["eu", STORE_ID]).accounts()
    assert {store.account_id: store.currency for store in told} == {"eu": "EUR", STORE_ID: "USD"}
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("update orders set currency = 'CHF' where rowid % 4 = 0")
    database.close()
    told = source_of(url, stores=["eu"]).accounts()
    assert [store.currency for store in told] == ["XXX"]
    fixed = table_of(columns={f: f for f in FIELDS if f != "currency"}, currency="GBP")
    assert [store.currency for store in source_of(url, fixed, stores=["eu"]).accounts()] == ["GBP"]


def test_a_refund_known_later_changes_the_order_of_its_day(simulated, tmp_path):
    path, later = tmp_path / "shop.db", date(2026, 7, 10)
    source = source_of(write_database(path, orders_known(simulated, FIRST, LAST, LAST)))
    before = payloads(rows_of(source))
    write_database(path, orders_known(simulated, FIRST, LAST, later))
    after = payloads(rows_of(source))
    newly = [key for key in before if "refunded_at" in after[key] and "refunded_at" not in before[key]]
    assert newly
    assert before.keys() == after.keys()
    assert any("paid_at" in after[key] and "paid_at" not in before[key] for key in before)


@pytest.mark.parametrize(
    ("ordered_at", "stored_zone", "day"),
    [
        ("2026-06-30T03:30:00+00:00", "UTC", date(2026, 6, 29)),
        ("2026-06-30 03:30:00", "UTC", date(2026, 6, 29)),
        ("2026-06-30 03:30:00", ZONE, date(2026, 6, 30)),
        ("2026-06-30T17:30:00+14:00", "UTC", date(2026, 6, 29)),
        ("2026-06-29T17:00:00-12:00", "UTC", date(2026, 6, 30)),
        ("2026-06-30", "UTC", date(2026, 6, 30)),
    ],
)
def test_an_order_belongs_to_the_account_day_it_was_placed_on(tmp_path, ordered_at, stored_zone, day):
    frame = pl.DataFrame({"id": [7], "at": [ordered_at], "total": ["12.5"]})
    table = OrdersTable(
        "sales", {"order_id": "id", "ordered_at": "at", "value": "total"}, ZONE,
        stored_zone=stored_zone, store_id="shop", currency="EUR",
    )  # fmt: skip
    source = source_of(write_database(tmp_path / "shop.db", frame, "sales"), table)
    assert rows_of(source, day, day).select("report_date", "order_id", "value", "currency").rows() == [
        (day, "7", "12.5", "EUR")
    ]
    for other in (date(2026, 6, 28), date(2026, 7, 1)):
        assert rows_of(source, other, other).is_empty()


def test_a_view_and_other_column_names_are_read(url, tmp_path):
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("create view paid_orders as select order_id as number, * from orders")
    database.close()
    columns = {field: field for field in FIELDS} | {"order_id": "number"}
    assert rows_of(source_of(url, table_of("paid_orders", columns=columns))).equals(rows_of(source_of(url)))


def test_a_missing_table_is_named_with_those_there_are(url):
    error = refused(source_of(url, table_of("order")))
    assert error.error_class is ErrorClass.PERMANENT
    assert "no table or view order" in str(error)
    assert "It has: orders" in str(error)


def test_a_missing_column_is_named_with_those_there_are(url):
    columns = {field: field for field in FIELDS} | {"value": "total"}
    error = refused(source_of(url, table_of(columns=columns)))
    assert error.error_class is ErrorClass.PERMANENT
    assert "no column total (meant for value)" in str(error)
    assert "utm_campaign" in str(error)


def test_a_wrong_path_neither_creates_a_database_nor_shows_the_url(tmp_path):
    missing = tmp_path / "nothing.db"
    error = refused(source_of(f"sqlite:///{missing}"))
    assert error.error_class is ErrorClass.TRANSIENT
    assert not missing.exists()
    assert str(missing) not in str(error)


def test_a_password_never_shows_in_an_error_or_a_repr():
    password = "pa55@w:rd"
    texts = []
    for url in (
        "sqlite://reader:pa55%40w%3Ard@host/shop",
        "nosuch://reader:pa55%40w%3Ard@host/shop",
        "reader pa55@w:rd",
        "postgresql://reader:secret@pa55@127.0.0.1:1/shop",
        "postgresql://reader:secret@w:pa55/shop",
    ):
        source = source_of(url)
        error = refused(source)
        texts += [str(error), repr(error), repr(OrdersCredentials(url)), repr(error.__context__)]
        assert error.__cause__ is None
        assert any(password in secret or "pa55" in secret for secret in source.secrets)
    assert not [text for text in texts if "pa55" in text]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("'06/25/2026 10:00:00'", "'06/25/2026 10:00:00'"),
        ("'20260625T100000Z'", "'20260625T100000Z'"),
        ("'2026-6-25 10:00:00'", "'2026-6-25 10:00:00'"),
        ("1782381600", "1782381600"),
        ("cast('2026-06-25 10:00:00' as blob)", "b'2026-06-25 10:00:00'"),
        ("''", "empty"),
    ],
)
def test_moments_that_do_not_compare_as_text_are_refused_and_not_taken_for_other_days(
    url, tmp_path, value, shown
):
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute(f"update orders set ordered_at = {value} where rowid = 5")
        database.execute("update orders set ordered_at = null where rowid = 6")
    database.close()
    error = refused(source_of(url))
    assert error.error_class is ErrorClass.PERMANENT
    assert "ordered_at of order" in str(error)
    assert f"is {shown}," in str(error)
    assert "writes ordered_at as 2026-06-30 17:05:00" in str(error)


def test_another_stores_odd_moments_and_orders_without_any_hold_nothing_up(url, tmp_path):
    before = rows_of(source_of(url))
    with sqlite3.connect(tmp_path / "shop.db") as database:
        row = database.execute("select * from orders limit 1").fetchone()
        for order, store, at in (("x1", "other", "06/25/2026"), ("x2", STORE_ID, None)):
            changed = dict(zip(orders_columns(database), row, strict=True))
            changed |= {"order_id": order, "store_id": store, "ordered_at": at}
            marks = ", ".join("?" * len(changed))
            database.execute(f"insert into orders values ({marks})", list(changed.values()))
    database.close()
    assert rows_of(source_of(url)).equals(before)


def orders_columns(database: sqlite3.Connection) -> list[str]:
    return [column[1] for column in database.execute("pragma table_info(orders)")]


@pytest.mark.parametrize("condition", ["rowid = 3", "rowid > 1"])
def test_orders_without_a_currency_or_store_say_nothing_of_either(url, tmp_path, condition):
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute(f"update orders set currency = null where {condition}")
        database.execute("update orders set store_id = null, currency = 'EUR' where rowid = 4")
    database.close()
    assert source_of(url).accounts() == [Account(STORE_ID, STORE_ID, "USD", ZONE)]


def test_a_store_whose_orders_have_no_currency_at_all_is_named(url, tmp_path):
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("update orders set currency = null")
    database.close()
    with pytest.raises(PlatformError, match=f"no order of store {STORE_ID} has a currency") as caught:
        source_of(url).accounts()
    assert caught.value.error_class is ErrorClass.PERMANENT
    columns = {field: field for field in FIELDS if field != "currency"}
    settled = source_of(url, table_of(columns=columns, currency="EUR"))
    assert settled.accounts() == [Account(STORE_ID, STORE_ID, "EUR", ZONE)]


def test_a_refund_of_an_order_two_months_old_is_read_in_one_pull(url, tmp_path):
    source = source_of(url)
    now = datetime(2026, 8, 28, 12, tzinfo=UTC)
    account, report = Account(STORE_ID, STORE_ID, "USD", ZONE), source.reports[0]
    ledger = Ledger()
    for age in range(1, 120):
        key = (source.name, report.stream.name, STORE_ID, now.date() - timedelta(days=age), "none")
        ledger.note(key, attempt(now - timedelta(days=1)))
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute(
            "update orders set refunded_at = '2026-08-27T10:00:00+00:00' where rowid = "
            "(select max(rowid) from orders where ordered_at >= '2026-06-25' and ordered_at < '2026-06-26')"
        )
    database.close()
    due = due_pulls(source.name, account, [report], ledger, {}, now.date(), now, backfill_days=90)
    assert [(one.first, one.last) for one in due] == [(date(2026, 5, 30), date(2026, 8, 27))]
    rows = pl.concat([page.rows for page in source.pages(due[0])])
    assert "2026-08-27T10:00:00+00:00" in rows["refunded_at"].to_list()


def attempt(at: datetime) -> Attempt:
    return Attempt("1", "1", "complete", 1, "", 1, "", at)


def test_an_order_listed_twice_is_refused_even_across_pages(url, tmp_path):
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute(
            "insert into orders select * from orders where order_id = "
            "(select order_id from orders where order_id >= 'NS-260620' order by 1 limit 1 offset 99)"
        )
    database.close()
    source = source_of(url)
    for size in (100, 50_000):
        with pytest.raises(PlatformError, match="more than once") as caught:
            list(source.pages(pull(source, page_size=size)))
        assert caught.value.error_class is ErrorClass.PERMANENT


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("value", "'twelve'", "value of order"),
        ("value", "null", "is empty"),
        ("ordered_at", "'2026-06-25 soon'", "ordered_at of order"),
        ("is_new_customer", "'maybe'", "is_new_customer of order"),
        ("order_id", "null", "rows without order_id"),
    ],
)
def test_a_value_that_cannot_be_read_ends_the_pull_and_is_named(url, tmp_path, column, value, said):
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute(
            f"update orders set {column} = {value} where rowid = "
            "(select max(rowid) from orders where ordered_at >= '2026-06-25' and ordered_at < '2026-06-26')"
        )
    database.close()
    error = refused(source_of(url))
    assert error.error_class is ErrorClass.PERMANENT
    assert said in str(error)


def test_a_locked_database_is_worth_another_try(url, tmp_path):
    blocker = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    blocker.execute("begin exclusive")
    try:
        error = refused(source_of(url, timeout_seconds=0.05))
    finally:
        blocker.close()
    assert error.error_class is ErrorClass.TRANSIENT
    assert "locked" in str(error)


def test_the_settings_name_every_field_an_order_has():
    assert set(get_args(OrderField)) == set(FIELDS)


def test_without_the_variable_its_name_is_said():
    with pytest.raises(MissingCredentials, match="AELP_ORDERS_URL"):
        OrdersCredentials.from_environment({})


@pytest.fixture
def on_postgresql(simulated, postgresql):
    """The same shop in PostgreSQL, in its own types, and roles that may read or only log in."""
    url = postgresql.new_database()
    frame = orders_known(simulated, date(2026, 6, 1), LAST, LAST)
    kinds = dict.fromkeys(frame.columns, "text") | {
        **dict.fromkeys((n for n, k in STREAMS["orders"].fields.items() if k == "timestamp"), "timestamptz"),
        "value": "numeric(12, 2)",
        "is_new_customer": "boolean",
    }
    columns = ", ".join(f"{name} {kinds[name]}" for name in frame.columns)
    values = ", ".join(f"cast(:{name} as {kinds[name]})" for name in frame.columns)
    engine = sa.create_engine(url)
    with engine.begin() as database:
        database.exec_driver_sql("create schema shop")
        database.exec_driver_sql(f"create table shop.orders ({columns})")
        rows = frame.with_columns(pl.all().cast(pl.String)).to_dicts()
        database.execute(sa.text(f"insert into shop.orders values ({values})"), rows)
        for role in ("reader", "stranger"):
            database.exec_driver_sql(f"drop role if exists {role}")
            database.exec_driver_sql(f"create role {role} login")
            database.exec_driver_sql(f"grant usage on schema shop to {role}")
        database.exec_driver_sql("grant select on shop.orders to reader")
    yield lambda role: postgresql.url(sa.make_url(url).database, role)
    with engine.begin() as database:
        for role in ("reader", "stranger"):
            database.exec_driver_sql(f"drop owned by {role}")
            database.exec_driver_sql(f"drop role {role}")
    engine.dispose()


def test_postgresql_gives_the_rows_sqlite_gives(url, on_postgresql):
    source = source_of(on_postgresql("reader"), table_of("shop.orders"), stores=[STORE_ID])
    assert source.accounts() == [Account(STORE_ID, STORE_ID, "USD", ZONE)]
    read = payloads(rows_of(source))
    assert read == payloads(rows_of(source_of(url)))
    assert len(read) > 1_000
    in_pages = list(source.pages(pull(source, page_size=137)))
    assert payloads(pl.concat([page.rows for page in in_pages])) == read


def test_what_postgresql_refuses_is_sorted_by_its_remedy(on_postgresql):
    def failure(role: str, **arguments) -> PlatformError:
        return refused(source_of(on_postgresql(role), table_of("shop.orders"), **arguments))

    assert failure("stranger").error_class is ErrorClass.AUTH, "may log in, may not read"
    assert failure("nobody_knows").error_class is ErrorClass.AUTH
    gone = on_postgresql("reader").partition("?host=")[0] + "?host=/nowhere"
    assert refused(source_of(gone)).error_class is ErrorClass.TRANSIENT


def test_a_postgresql_url_needs_no_driver_in_it(on_postgresql):
    bare = on_postgresql("reader").replace("postgresql+psycopg2://", "postgresql://")
    assert source_of(bare, table_of("shop.orders")).accounts()


def test_a_query_postgresql_gives_up_asks_for_less(on_postgresql):
    owner = sa.create_engine(on_postgresql("tester"))
    with owner.begin() as database:
        database.exec_driver_sql("lock table shop.orders in access exclusive mode")
        late = refused(source_of(on_postgresql("reader"), table_of("shop.orders"), timeout_seconds=1.0))
    owner.dispose()
    assert late.error_class is ErrorClass.SHRINK
