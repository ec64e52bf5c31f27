"""Databases a person names by URL.

Here: reading the URL, with the driver that is installed. Not here: what is kept there (`control`) or read
from there (`connectors.orders`).
"""

from __future__ import annotations

import sqlalchemy as sa

# SQLAlchemy's own choice where a URL names no driver is one that this project does not install.
_INSTALLED = {
    "postgres": "postgresql+psycopg2",
    "postgresql": "postgresql+psycopg2",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}


def read_url(text: str) -> sa.URL:
    """A SQLAlchemy URL; one that names no driver gets the installed one.

    Raises:
        sqlalchemy.exc.ArgumentError: it is none.
    """
    try:
        url = sa.make_url(text)
    except ValueError:
        raise sa.exc.ArgumentError("the port is no number") from None
    if "@" in (
        url.host or ""
    ):  # what stands before it is a piece of the password, and would be told as a host
        raise sa.exc.ArgumentError("an @ of the password must be written as %40")
    return url.set(drivername=_INSTALLED.get(url.drivername, url.drivername))
