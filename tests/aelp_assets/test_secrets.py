"""No credential is told: not by the event log, the warehouse, files of AELP_HOME, or what the UI is given."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import dagster as dg
import duckdb
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap

from aelp_assets.definitions import build_defs
from aelp_assets.runner import open_instance, prepare_warehouse
from resources.clock import FixedClock, SystemClock
from resources.connectors.registry import Sources
from resources.control.store import open_control_store
from resources.settings import PROJECT_ROOT, load_settings, read_environment
from resources.warehouse import open_warehouse

NOW = datetime(2026, 6, 30, 13, tzinfo=UTC)


class Echo(BaseHTTPRequestHandler):
    """Refuses every call and repeats all of it: the most a platform's message can give away."""

    heard: ClassVar[list[str]] = []

    def answer(self) -> None:
        asked = self.rfile.read(int(self.headers.get("content-length") or 0)).decode(errors="replace")
        said = f"{self.command} {self.path} {dict(self.headers)} {asked} is refused"
        self.heard.append(said)
        body = json.dumps(
            {"error": {"message": said, "code": 190, "type": "OAuthException"}, "message": said}
        )
        self.send_response(401)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = answer  # noqa: N815 - named by http.server

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def refusing() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def credentials(endpoint: str) -> tuple[dict[str, str], list[str]]:
    """Every secret variable set to something recognisable, and what that was."""
    named = (
        "META_ACCESS_TOKEN", "META_APP_SECRET", "TIKTOK_ACCESS_TOKEN", "LINKEDIN_ACCESS_TOKEN",
        "IMPACT_AUTH_TOKEN", "AD_LIBRARY_ACCESS_TOKEN", "VENDOR_FILES_PASSWORD", "APPROVER_KEY_MAYA",
        "NOTIFY_SMTP_PASSWORD", "IDENTIFIER_SALT",
    )  # fmt: skip
    secrets = {f"AELP_{name}": f"canary7{name.lower().replace('_', '')}" for name in named}
    in_links = {
        "AELP_ORDERS_URL": "postgresql+psycopg2://reader:canary7orders@127.0.0.1:1/shop",
        "AELP_CONTROL_URL": "postgresql+psycopg2://aelp:canary7control@127.0.0.1:1/control",
        "AELP_NOTIFY_WEBHOOK": "https://hooks.invalid/canary7webhook",
    }
    places = {
        f"AELP_{name}_ENDPOINT": endpoint for name in ("META", "TIKTOK", "LINKEDIN", "IMPACT", "AD_LIBRARY")
    }
    others = {
        "AELP_IMPACT_ACCOUNT_SID": "IRsid",
        "AELP_VENDOR_FILES_HOST": "127.0.0.1",
        "AELP_VENDOR_FILES_PORT": "1",
        "AELP_VENDOR_FILES_USER": "vendor",
        "AELP_VENDOR_FILES_HOST_KEY": "ssh-ed25519 AAAA",
        "AELP_NOTIFY_SMTP_HOST": "127.0.0.1",
        "AELP_NOTIFY_SMTP_PORT": "1",
    }
    canaries = [*secrets.values(), "canary7orders", "canary7control", "canary7webhook"]
    return {**secrets, **in_links, **places, **others}, canaries


def told_below(folder: Path, canaries: list[str]) -> dict[str, list[str]]:
    """Files whose bytes hold a canary."""
    found = {}
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if held := [canary for canary in canaries if canary.encode() in content]:
            found[str(path.relative_to(folder))] = held
    return found


def told_in_tables(database: Path, canaries: list[str]) -> list[str]:
    """Tables that hold a canary; a file's compressed bytes would hide it."""
    with duckdb.connect(str(database), read_only=True) as connection:
        names = connection.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
        return [
            name
            for (name,) in names
            if any(
                canary in str(row)
                for row in connection.execute(f"select * from {name}").fetchall()
                for canary in canaries
            )
        ]


def test_what_fails_loudly_tells_no_secret_anywhere(tmp_path, refusing, monkeypatch, capfd):
    variables, canaries = credentials(refusing)
    home = tmp_path / "home"
    for name, value in {**variables, "AELP_HOME": str(home), "AELP_CLOCK": NOW.isoformat()}.items():
        monkeypatch.setenv(name, value)
    environment = read_environment()
    settings = load_settings(PROJECT_ROOT / "aelp.yaml")
    prepare_warehouse(open_warehouse(environment))
    engine = open_control_store(f"sqlite:///{home}/control.sqlite")
    sources = Sources(
        settings,
        FixedClock(NOW),
        SystemClock(),
        lambda _: None,
        lambda: engine,
        home / "work",
        home,
        variables,
    )
    called = sources.with_credentials()
    assert {"meta", "tiktok", "linkedin", "impact", "ad_library", "orders", "vendor_files"} <= set(called)
    defs = build_defs({"sources": sources})
    with open_instance(environment) as instance:
        job = defs.resolve_job_def("pull_sources")
        ran = job.execute_in_process(instance=instance, raise_on_error=False)
        messages = [entry.to_json() for entry in instance.all_logs(ran.run_id)]
        assert len(messages) > 50
        for token in ("canary7metaaccesstoken", "canary7tiktokaccesstoken", "canary7linkedinaccesstoken"):
            assert any(token in said for said in Echo.heard), "it was sent, and sent back"
        assert not [message[:500] for message in messages for canary in canaries if canary in message]
        shown = instance.info_str()
    said = capfd.readouterr()
    # What a code server gives to the webserver and the daemon of the definitions.
    snapshot = dg.serialize_value(RepositorySnap.from_def(defs.get_repository_def()))
    assert "pull_sources" in snapshot
    for canary in canaries:
        assert canary not in snapshot
        assert canary not in shown
        assert canary not in said.out + said.err
    assert told_below(home, canaries) == {}
    assert told_in_tables(environment.duckdb_path, canaries) == []


def test_the_search_for_canaries_finds_one(tmp_path):
    (tmp_path / "log").write_bytes(b"token=canary7x")
    assert told_below(tmp_path, ["canary7x", "canary7y"]) == {"log": ["canary7x"]}
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute("create schema ops; create table ops.t as select 'a canary7x' as said")
    assert told_in_tables(tmp_path / "w.duckdb", ["canary7x"]) == ["ops.t"]
