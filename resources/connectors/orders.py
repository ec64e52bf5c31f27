"""Backend orders read straight from the shop's database.

An order here is what the backend itself counts, once: no click, no attribution window, only its utm fields.
Here: one table or view read by key, a page at a time. Not here: writing to it (nothing does), the file drop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import polars as pl
import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from resources.connectors.errors import ErrorClass, MissingCredentials, PlatformError
from resources.connectors.scrubbing import Scrubber
from resources.connectors.source import Account, Page, Pull, Report
from resources.databases import read_url
from resources.files.values import moment_text, read_boolean, read_moment, read_number
from resources.landing.streams import NUMERIC_KINDS, STREAMS

STREAM = STREAMS["orders"]
_SAMPLED_ORDERS = 1_000
SqlType = sa.types.TypeEngine[Any]
# SQLSTATE classes and MySQL error numbers, where the driver gives one.
_REFUSED_STATES = ("28", "42501")
_REFUSED_NUMBERS = frozenset({1044, 1045, 1142, 1143, 1698})
_TOO_LONG_STATES = ("57014",)
_TOO_LONG_NUMBERS = frozenset({1969, 3024})
_REFUSED_WORDS = re.compile(
    r"password authentication failed|access denied|permission denied|login failed"
    r'|role "[^"]*" (?:does not exist|is not permitted to log in)|no pg_hba\.conf entry',
    re.I,
)
_TOO_LONG_WORDS = re.compile(r"statement timeout|maximum statement execution time", re.I)


@dataclass(frozen=True)
class OrdersCredentials:
    """A SQLAlchemy URL; it holds a password and is never shown."""

    url: str = field(repr=False)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> OrdersCredentials:
        """Raises: MissingCredentials where AELP_ORDERS_URL is not set."""
        url = variables.get("AELP_ORDERS_URL", "").strip()
        if not url:
            raise MissingCredentials(
                "backend orders: set AELP_ORDERS_URL to a SQLAlchemy URL of a user who may only read, as in "
                "postgresql+psycopg2://reader:password@host/shop. `aelp connect orders` checks it."
            )
        return cls(url)


@dataclass(frozen=True)
class OrdersTable:
    """Which table or view holds the orders, one row an order, and which column is which.

    Attributes:
        name: table or view, perhaps `schema.table`.
        columns: stream field (or order_id, store_id) to column; fields left out are not read.
        zone: IANA zone of the account's days.
        stored_zone: zone of moments stored without an offset.
        store_id: the account, where no column names it.
        currency: of every value, where no column names it.
    """

    name: str
    columns: Mapping[str, str]
    zone: str
    stored_zone: str = "UTC"
    store_id: str | None = None
    currency: str | None = None


class OrdersDatabase:
    """Orders of one table, as they stand now: refunds and payments change rows of earlier days.

    Args:
        stores: the accounts that will be asked for, so that nobody need look for all there are.
    """

    name = "orders"
    api_version = "sql"
    page_sizes: Sequence[int] = (10_000, 1_000)

    def __init__(
        self, credentials: OrdersCredentials, table: OrdersTable, *, timeout_seconds: float = 60.0,
        page_size: int = 50_000, stores: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._credentials = credentials
        self._table = table
        self._timeout = timeout_seconds
        self._page_size = page_size
        self._stores = tuple(stores)
        self._known_stores: dict[str, set[str]] | None = None

    @property
    def reports(self) -> Sequence[Report]:
        return (Report(STREAM, "none", lookback_days=90, longest_days=92, final_after_days=90),)

    @cached_property
    def secrets(self) -> Sequence[str]:
        url = self._credentials.url
        try:
            password = read_url(url).password
        except ArgumentError:
            return (url,)
        texts = [url, *([str(password)] if password else [])]
        # An odd URL may quote its password in other ways: the text between the last ':' and '@' too.
        found = re.search(r"://[^/@]*?:(.+)@", url)
        return tuple(dict.fromkeys([*texts, *([found.group(1)] if found else [])]))

    def accounts(self) -> Sequence[Account]:
        """The stores that were named; all there are in the table where none was, or one has no order.

        A store's currency is that of some of its orders, XXX where those come in several. Orders without a
        store or a currency say nothing of either.

        Raises:
            PlatformError: the database cannot be read, or no order of a store has a currency.
        """
        table = self._table
        with self._connection() as connection:
            source, _ = self._described(connection)
            named = self._stores if table.store_id is None else (table.store_id,)
            asked = {store: self._currencies(connection, source, store) for store in named}
            stores = {store: found for store, found in asked.items() if found is not None}
            if not stores or len(stores) < len(named):
                stores = self._every_store(connection, source)
        moneyless = [store for store, found in stores.items() if not found]
        if moneyless:
            raise PlatformError(
                ErrorClass.PERMANENT,
                f"orders: no order of store {_listed(moneyless)} has a currency (column "
                f"{table.columns['currency']} of {table.name}). Fill it, or give sources.orders.currency "
                "in place of the column.",
            )
        return [
            Account(store, store, next(iter(found)) if len(found) == 1 else "XXX", table.zone)
            for store, found in sorted(stores.items())
        ]

    def _currencies(self, connection: sa.Connection, source: sa.TableClause, store: str) -> set[str] | None:
        """Of some orders of a store, without reading them all; None where it has none."""
        of_store = self._of_store(source, store)
        if self._table.currency is not None:
            there = self._table.store_id is not None or _any(connection, source, of_store)
            return {self._table.currency} if there else None
        column = source.c[self._table.columns["currency"]]
        given = sa.func.trim(sa.cast(column, sa.String)) != ""
        some = connection.execute(sa.select(column).where(*of_store, given).limit(_SAMPLED_ORDERS))
        found = {_written(row[0]).strip().upper() for row in some}
        return found if found or _any(connection, source, of_store) else None

    def _every_store(self, connection: sa.Connection, source: sa.TableClause) -> dict[str, set[str]]:
        """All stores of the table with all their currencies: a look at every row, once a source."""
        if self._known_stores is None:
            table, stores = self._table, dict[str, set[str]]()
            wanted = [source.c[table.columns[n]] for n in ("store_id", "currency") if n in table.columns]
            for row in connection.execute(sa.select(*wanted).distinct()):
                store = table.store_id or _written(row._mapping[table.columns["store_id"]])
                said = table.currency or _written(row._mapping[table.columns["currency"]]).strip().upper()
                if store:
                    stores.setdefault(store, set()).update({said} if said else ())
            self._known_stores = stores
        return self._known_stores

    def parents(self, pull: Pull) -> Sequence[str]:
        return ()

    def pages(self, pull: Pull) -> Iterator[Page]:
        """Orders placed on the pull's account-local days, ordered by order_id.

        Raises:
            PlatformError: the database cannot be read, a name does not exist, a value cannot be understood.
        """
        size = pull.page_size or self._page_size
        with self._connection() as connection:
            source, types = self._described(connection)
            key = source.c[self._table.columns["order_id"]]
            placed = types[self._table.columns["ordered_at"]]
            if _is_text(connection, placed):
                self._require_dates(connection, source, pull)
            conditions = self._conditions(connection, source, placed, pull)
            if connection.execute(sa.select(key).where(*conditions, key.is_(None)).limit(1)).first():
                raise PlatformError(
                    ErrorClass.PERMANENT,
                    f"orders: {self._table.name} has rows without {key.name}. Leave them out by a view.",
                )
            after: list[sa.ColumnElement[bool]] = []
            while True:
                # One row more than a page shows whether another follows, and whether it is the same order.
                query = sa.select(*source.c).where(*conditions, *after).order_by(key).limit(size + 1)
                rows = [dict(row._mapping) for row in connection.execute(query)]
                self._require_distinct([row[key.name] for row in rows], key.name)
                yield Page(self._rows(rows[:size], pull))
                if len(rows) <= size:
                    return
                after = [key > rows[size - 1][key.name]]

    def _require_distinct(self, keys: list[Any], column: str) -> None:
        for earlier, later in pairwise(keys):
            if str(earlier) == str(later):
                raise PlatformError(
                    ErrorClass.PERMANENT,
                    f"orders: {self._table.name} holds order {later} more than once (column {column}). "
                    "Point the connector at a view with one row an order.",
                )

    def _require_dates(self, connection: sa.Connection, source: sa.TableClause, pull: Pull) -> None:
        """Days of texts are compared as texts: 07/01/2026 or 1782900000 would lie outside any day, unseen."""
        key, placed = (source.c[self._table.columns[name]] for name in ("order_id", "ordered_at"))
        shapeless: sa.ColumnElement[bool] = placed.not_like("____-__-__%")
        if connection.dialect.name == "sqlite":
            shapeless = sa.or_(shapeless, sa.func.typeof(placed) != "text")
        query = sa.select(key, placed).where(
            placed.is_not(None), shapeless, *self._of_store(source, pull.account.account_id)
        )
        found = connection.execute(query.limit(1)).first()
        if found is not None:
            raise self._unreadable(str(found[0]), "ordered_at", found[1])

    def _of_store(self, source: sa.TableClause, store: str) -> list[sa.ColumnElement[bool]]:
        column = self._table.columns.get("store_id")
        return [] if column is None else [source.c[column] == store]

    def _conditions(
        self, connection: sa.Connection, source: sa.TableClause, kind: SqlType, pull: Pull
    ) -> list[sa.ColumnElement[bool]]:
        """The days in the database's own terms; never fewer rows than the pull's, perhaps a few more."""
        table, placed = self._table, source.c[self._table.columns["ordered_at"]]
        first, after = pull.first, pull.last + timedelta(days=1)
        low: Any
        high: Any
        if _is_text(connection, kind):
            # Text of any offset: its date is at most a day off. `_rows` drops what lies outside.
            low, high = (first - timedelta(days=1)).isoformat(), (after + timedelta(days=1)).isoformat()
        elif isinstance(kind, sa.DateTime):
            zone = ZoneInfo(table.zone)
            bounds = [datetime.combine(day, time(), zone).astimezone(UTC) for day in (first, after)]
            if not kind.timezone:
                stored = ZoneInfo(table.stored_zone)
                bounds = [moment.astimezone(stored).replace(tzinfo=None) for moment in bounds]
            low, high = bounds
        elif isinstance(kind, sa.Date):
            low, high = first, after
        else:
            raise PlatformError(
                ErrorClass.PERMANENT,
                f"orders: {placed.name} is of type {kind}, which is no moment. Make a view in which it is a "
                "timestamp and name that view.",
            )
        return [placed >= low, placed < high, *self._of_store(source, pull.account.account_id)]

    def _rows(self, rows: list[dict[str, Any]], pull: Pull) -> pl.DataFrame:
        table, zone = self._table, ZoneInfo(self._table.zone)
        names = [name for name in table.columns if name != "store_id"]
        texts: dict[str, list[str | None]] = {name: [] for name in names}
        moments: dict[str, list[datetime | None]] = {
            name: [] for name in names if STREAM.fields.get(name) == "timestamp"
        }
        days: list[date] = []
        for row in rows:
            order = str(row[table.columns["order_id"]])
            placed = self._moment(row[table.columns["ordered_at"]], order, "ordered_at")
            if placed is None:
                raise self._unreadable(order, "ordered_at", None)
            day = placed.astimezone(zone).date()
            if not pull.first <= day <= pull.last:
                continue
            days.append(day)
            for name in names:
                value = row[table.columns[name]]
                if name in moments:
                    moments[name].append(self._moment(value, order, name))
                else:
                    texts[name].append(self._text(value, order, name))
        columns: dict[str, pl.Series] = {"report_date": pl.Series(days, dtype=pl.Date)}
        for name in names:
            if name in moments:
                columns[name] = moment_text(pl.Series(moments[name], dtype=pl.Datetime("us", "UTC")))
            else:
                columns[name] = pl.Series(texts[name], dtype=pl.String)
        frame = pl.DataFrame(columns)
        return frame if table.currency is None else frame.with_columns(currency=pl.lit(table.currency))

    def _text(self, value: Any, order: str, name: str) -> str | None:
        if value is None or (isinstance(value, str) and not value.strip()):
            if name == "value":
                raise self._unreadable(order, name, value)
            return None
        kind = STREAM.fields.get(name, "text")
        plain = str(value).strip()
        if kind in NUMERIC_KINDS:
            # repr of a float is the shortest text that means it: 120.1, never 120.09999….
            read = None if isinstance(value, bool) else read_number(plain, "point")
        elif kind == "boolean":
            read = read_boolean(plain)
        else:
            return plain.upper() if name == "currency" else plain
        if read is None:
            raise self._unreadable(order, name, value)
        return read

    def _moment(self, value: Any, order: str, name: str) -> datetime | None:
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        text = value.isoformat() if isinstance(value, date) else str(value)
        # A day without a time is already the account's.
        zone = self._table.zone if len(text.strip()) == 10 else self._table.stored_zone
        moment = read_moment(text, ZoneInfo(zone))
        if moment is None:
            raise self._unreadable(order, name, value)
        return moment

    def _unreadable(self, order: str, name: str, value: object) -> PlatformError:
        shown = "empty" if value is None or value == "" else repr(value)[:60]
        plainly = "as 2026-06-30 17:05:00" if STREAM.fields.get(name) == "timestamp" else "plainly"
        return PlatformError(
            ErrorClass.PERMANENT,
            f"orders: {name} of order {order} is {shown}, which cannot be read. Mend it in the database, or "
            f"point the connector at a view that writes {self._table.columns[name]} {plainly}.",
        )

    # --- the database ---------------------------------------------------------------------------------

    @cached_property
    def _engine(self) -> sa.Engine:
        try:
            url = read_url(self._credentials.url)
            return sa.create_engine(_reading(url), poolclass=NullPool, connect_args=self._patience(url))
        except (ArgumentError, ValueError):
            message = (
                "AELP_ORDERS_URL is no SQLAlchemy URL such as postgresql+psycopg2://user:password@host/shop "
                "(an @ of the password as %40)."
            )
        except (NoSuchModuleError, ImportError) as error:
            driver = getattr(error, "name", None) or read_url(self._credentials.url).drivername
            message = (
                f"the database driver {driver} of AELP_ORDERS_URL is not installed; install it with pip."
            )
        raise PlatformError(ErrorClass.PERMANENT, f"orders: {message}")

    def _patience(self, url: URL) -> dict[str, Any]:
        seconds = max(1, round(self._timeout))
        backend = url.get_backend_name()
        if backend == "sqlite":
            return {"timeout": self._timeout}
        if backend == "postgresql" and url.get_driver_name() in ("psycopg", "psycopg2"):
            return {"connect_timeout": seconds, "options": f"-c statement_timeout={seconds * 1000}"}
        if backend in ("mysql", "mariadb") and url.get_driver_name() == "pymysql":
            return {"connect_timeout": seconds, "read_timeout": seconds}
        return {}

    def _connection(self) -> _Connection:
        return _Connection(self._engine, self._secretless)

    def _described(self, connection: sa.Connection) -> tuple[sa.TableClause, Mapping[str, SqlType]]:
        """The table with the mapped columns, after checking that they exist, and every column's type."""
        schema, _, name = self._table.name.rpartition(".")
        inspector = sa.inspect(connection)
        known = [*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)]
        if name not in known:
            raise PlatformError(
                ErrorClass.PERMANENT,
                f"orders: the database has no table or view {self._table.name}. It has: "
                f"{_listed(known)}. Name one of them, or give this user the right to read it.",
            )
        types: dict[str, SqlType] = {
            c["name"]: c["type"] for c in inspector.get_columns(name, schema or None)
        }
        for wanted, column in self._table.columns.items():
            if column not in types:
                raise PlatformError(
                    ErrorClass.PERMANENT,
                    f"orders: {self._table.name} has no column {column} (meant for {wanted}). It has: "
                    f"{_listed(types)}. Correct sources.orders.columns, or leave {wanted} out.",
                )
        columns = dict.fromkeys(self._table.columns.values())
        # Columns without a type: values come as the driver gives them, and this module reads them.
        clause = sa.table(
            sa.sql.quoted_name(name, True), *(sa.column(sa.sql.quoted_name(c, True)) for c in columns),
            schema=sa.sql.quoted_name(schema, True) if schema else None,
        )  # fmt: skip
        return clause, types

    def _secretless(self, error: SQLAlchemyError) -> PlatformError:
        """What the driver said, without the URL's secrets, sorted by what is to be done."""
        said = str(error.orig) if isinstance(error, DBAPIError) else type(error).__name__
        said = Scrubber(self.secrets)(said)
        cause = error.orig if isinstance(error, DBAPIError) else None
        state = str(getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or "")
        number = cause.args[0] if cause is not None and cause.args and isinstance(cause.args[0], int) else 0
        if state.startswith(_REFUSED_STATES) or number in _REFUSED_NUMBERS or _REFUSED_WORDS.search(said):
            text = "the database refuses this user. Check AELP_ORDERS_URL and the right to read the table"
            return PlatformError(ErrorClass.AUTH, f"orders: {text}: {said}")
        if state in _TOO_LONG_STATES or number in _TOO_LONG_NUMBERS or _TOO_LONG_WORDS.search(said):
            return PlatformError(ErrorClass.SHRINK, f"orders: the query took too long: {said}")
        if isinstance(error, sa.exc.ProgrammingError | sa.exc.DataError):
            return PlatformError(ErrorClass.PERMANENT, f"orders: the database refuses the query: {said}")
        return PlatformError(ErrorClass.TRANSIENT, f"orders: the database cannot be reached or read: {said}")


class _Connection:
    """A read transaction whose database errors leave as PlatformError."""

    def __init__(self, engine: sa.Engine, convert: Callable[[SQLAlchemyError], PlatformError]) -> None:
        self._engine, self._convert = engine, convert

    def __enter__(self) -> sa.Connection:
        try:
            self._opened = self._engine.connect()
            if self._engine.dialect.name == "postgresql":
                self._opened = self._opened.execution_options(postgresql_readonly=True)
            return self._opened
        except SQLAlchemyError as error:
            converted = self._convert(error)
        raise converted

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._opened.close()
        if isinstance(error, SQLAlchemyError):
            raise self._convert(error) from None


def _reading(url: URL) -> URL:
    """SQLite opened for reading only: a mistyped path must not create an empty database."""
    if (
        url.get_backend_name() != "sqlite"
        or not url.database
        or url.database.startswith(("file:", ":memory:"))
    ):
        return url
    return url.set(database=f"file:{quote(url.database)}", query={**url.query, "mode": "ro", "uri": "true"})


def _is_text(connection: sa.Connection, kind: SqlType) -> bool:
    """Whether moments compare as text; SQLite has no type for them, whatever the column declares."""
    return connection.dialect.name == "sqlite" or isinstance(kind, sa.String)


def _any(connection: sa.Connection, source: sa.TableClause, where: list[sa.ColumnElement[bool]]) -> bool:
    query = sa.select(sa.literal(1)).select_from(source).where(*where).limit(1)
    return connection.execute(query).first() is not None


def _written(value: Any) -> str:
    return "" if value is None else str(value)


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:20]) + (f" and {len(shown) - 20} more" if len(shown) > 20 else "") or "nothing"
