"""A shop's database: a SQLite file with its orders, those of the simulated business as they stood last night.

Here: one table, written whole. Not here: the orders (`resources.sandbox.orders`), reading them back.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import polars as pl

from resources.sandbox.backend_frames import orders_frame
from resources.sandbox.servers.account import ServedAccount

TABLE = "orders"


def write_shop(served: ServedAccount, path: Path) -> str:
    """Write every order up to yesterday into a new database; its SQLAlchemy URL.

    Raises:
        ValueError: the business has no day before today.
    """
    simulated = served.simulated
    window = served.window(simulated.business.start, served.today - timedelta(days=1))
    if window is None:
        raise ValueError(f"nothing is known before {served.today}")
    return write_orders(orders_frame(simulated.business, simulated.orders, window), path)


def write_orders(orders: pl.DataFrame, path: Path) -> str:
    """Write these orders, one row each with an order_id, into a new database; its SQLAlchemy URL."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = ", ".join(f'"{name}"' for name in orders.columns)
    marks = ", ".join("?" * orders.width)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"create table {TABLE} ({columns}, primary key (order_id))")
        database.executemany(f"insert into {TABLE} values ({marks})", orders.rows())  # noqa: S608 - our names
    return f"sqlite:///{path}"
