"""`aelp docs`: one page in the home, or dbt's own words."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from aelp_assets import dbt_docs
from resources.settings import read_environment


def dbt_that(says, code, page=None):
    """Stands in for a dbt of 12 s; what it is asked for is the real call."""

    def run(command, **_):
        target = Path(command[command.index("--target-path") + 1])
        assert command[command.index("docs") :][:3] == ["docs", "generate", "--static"]
        if page is not None:
            (target / "static_index.html").write_text(page)
        return subprocess.CompletedProcess(command, code, says, "")

    return run


@pytest.fixture
def environment(tmp_path):
    return read_environment({"AELP_HOME": str(tmp_path / "home")})


def test_the_documentation_is_one_page_in_the_home(environment, monkeypatch):
    monkeypatch.setattr(dbt_docs.subprocess, "run", dbt_that("", 0, "<html>metrics</html>"))
    monkeypatch.setattr(dbt_docs, "ensure_manifest", lambda _: None)
    page = dbt_docs.write_docs(environment)
    assert page == environment.home / "docs" / "index.html"
    assert page.read_text() == "<html>metrics</html>"


def test_a_warehouse_that_is_held_leaves_the_page_as_it_was_and_says_why(environment, monkeypatch):
    monkeypatch.setattr(dbt_docs, "ensure_manifest", lambda _: None)
    monkeypatch.setattr(dbt_docs.subprocess, "run", dbt_that("", 0, "<html>yesterday</html>"))
    page = dbt_docs.write_docs(environment)
    monkeypatch.setattr(dbt_docs.subprocess, "run", dbt_that("Could not set lock on file", 1))
    with pytest.raises(RuntimeError, match="Could not set lock"):
        dbt_docs.write_docs(environment)
    assert page.read_text() == "<html>yesterday</html>"
