"""Fixtures of the end-to-end tests: a finished morning and the one after it, built once a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from aelp_assets.runner import Morning
from tests.e2e import homes
from tests.e2e.homes import Home


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Morning]:
    return homes.finished(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def next_day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Morning]:
    return homes.next_day(tmp_path_factory.getbasetemp())


@pytest.fixture
def home(finished: tuple[Home, Morning], tmp_path: Path) -> Home:
    """A copy of the finished morning to do anything with."""
    return finished[0].copy(tmp_path / "home")
