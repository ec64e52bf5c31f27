"""A control store on each database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from resources.control.store import open_control_store


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'control.sqlite'}"
    return request.getfixturevalue("postgresql").new_database()


@pytest.fixture
def engine(url) -> Iterator[sa.Engine]:
    engine = open_control_store(url)
    yield engine
    engine.dispose()
