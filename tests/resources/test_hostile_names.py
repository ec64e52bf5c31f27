"""Names and ids of settings and vendors are checked or bound: none becomes SQL, a path or an address."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import psutil
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from resources.connectors.errors import PlatformError
from resources.connectors.orders import OrdersCredentials, OrdersDatabase, OrdersTable
from resources.connectors.source import Account, Pull
from resources.connectors.vendor_files import Listed, VendorFiles
from resources.sandbox.servers.faults import FaultScript
from resources.sandbox.servers.http import LoopbackServer
from resources.settings.sources import LiveOrders
from resources.warehouse.schema import Column, InvalidIdentifier, TableName, identifier

HOSTILE = st.text(alphabet="aZ_09$.'\"`;-/*\\ \n\0é", max_size=12)
COLUMNS = {"order_id": "id", "ordered_at": "at", "value": "value"}


@given(HOSTILE)
@example("orders\n")
@example("orders; drop table x")
@example('orders" --')
def test_only_plain_names_are_names_of_tables_and_columns(name):
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None
    for attempt in (identifier, lambda n: TableName("ops", n), lambda n: Column(n, "STRING", "x")):
        if plain:
            attempt(name)
        else:
            with pytest.raises(InvalidIdentifier):
                attempt(name)


@given(HOSTILE)
@example("orders\n")
@example("public.orders.x")
def test_the_settings_name_plain_tables_and_columns_of_the_shop(name):
    part = r"[A-Za-z_][A-Za-z0-9_$]*"
    for pattern, changed in (
        (rf"{part}(\.{part})?", {"table": name}),
        (part, {"columns": COLUMNS | {"store_id": name}}),
    ):
        told = {"accounts": ["s1"], "table": "orders", "columns": COLUMNS, "currency": "USD"} | changed
        if re.fullmatch(pattern, name):
            LiveOrders.model_validate(told)
        else:
            with pytest.raises(ValidationError):
                LiveOrders.model_validate(told)


@pytest.mark.parametrize("store", ["x' or '1'='1", "'; drop table orders; --", '" or 1=1 --', "%", "s1\0"])
def test_a_store_of_any_name_is_a_value_to_the_database(tmp_path, store):
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as database:
        database.execute("create table orders (id text, store text, at text, value text)")
        database.execute("insert into orders values ('o1', 's1', '2026-06-30 10:00:00', '5')")
    database.close()
    table = OrdersTable("orders", COLUMNS | {"store_id": "store"}, "UTC", currency="USD")
    source = OrdersDatabase(OrdersCredentials(f"sqlite:///{path}"), table, stores=[store])
    day = date(2026, 6, 30)
    try:
        pages = list(source.pages(Pull(Account(store, store, "USD", "UTC"), source.reports[0], day, day)))
    except PlatformError:
        pages = []  # a database that takes no such text
    assert sum(page.rows.height for page in pages) == 0
    assert [account.account_id for account in source.accounts()] == ["s1"]


class Inbox:
    """A vendor that names its file as it likes."""

    secrets: Sequence[str] = ()
    content = b"creative_id,headline\nk1,Sleep safe\n"

    def __init__(self, name: str) -> None:
        self.name = name

    def listed(self) -> Sequence[Listed]:
        return [Listed(self.name, len(self.content), datetime(2026, 6, 30, tzinfo=UTC).timestamp())]

    def read(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        for name in names:
            yield name, self.content


@pytest.mark.parametrize(
    "name",
    [
        "a/../../../../evil.csv",
        "/etc/cron.d/evil.csv",
        "a\\..\\evil.csv",
        "a\nb.csv",
        "\x1b[2J.csv",
        "a/../x.csv",
    ],
)
def test_a_vendor_s_name_for_a_file_is_never_a_path_here(tmp_path, name):
    archive = tmp_path / "kept" / "archive"
    now = datetime(2026, 6, 30, 12, tzinfo=UTC)
    source = VendorFiles(Inbox(name), "studio", archive, "UTC", now=lambda: now, sleep=lambda _: None)
    day = date(2026, 6, 30)
    pull = Pull(Account("studio", "studio", "XXX", "UTC"), source.reports[0], day, day)
    rows = [row for page in source.pages(pull) for row in page.rows.to_dicts()]
    assert [row["file_name"] for row in rows] == [name]
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written
    ours = re.compile(r"kept/archive/(files|outcomes)/[0-9a-f]{64}(\.csv)?|kept/archive/index\.json")
    assert all(ours.fullmatch(path) for path in written), written
    assert not Path("/etc/cron.d/evil.csv").exists()


def test_the_sandbox_listens_on_this_machine_alone():
    before = {c.laddr for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN}
    server = LoopbackServer(lambda request: None, FaultScript())
    try:
        now = {c.laddr for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN}
        assert {address.ip for address in now - before} == {"127.0.0.1"}
    finally:
        server.close()
