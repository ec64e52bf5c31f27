"""Fixtures every test may use: a throwaway home, the warehouses and servers to test on, real exports."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from resources.settings import PROJECT_ROOT, Environment, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.interface import Warehouse
from tests.postgresql import PostgreSQL, running_postgresql

if TYPE_CHECKING:
    from google.cloud import bigquery

EMULATOR_ENVIRONMENT = PROJECT_ROOT / ".venv-bqemulator"
START_TIMEOUT = 60.0
# A file is one worker's: what takes longest starts first, or the other worker waits for it at the end.
LONGEST = (
    "tests/e2e/test_whole_graph_on_bigquery.py",
    "tests/parity/test_marts.py",
    "tests/faults/test_killed_runs.py",
    "tests/e2e/test_simulated_month.py",
    "tests/e2e/test_real_exports.py",
    "tests/e2e/test_morning.py",
    "tests/e2e/test_closed_loop.py",
    "tests/e2e/test_dormant_accounts.py",
    "tests/e2e/test_command_line.py",
    "tests/e2e/test_blocking_checks.py",
    "tests/models/test_mmm_collapsed.py",
    "tests/resources/connectors/test_runner.py",
    "tests/property/test_writer.py",
    "tests/property/test_money_invariants.py",
    "tests/benchmarks/test_benchmarks.py",
    "tests/benchmarks/test_bandit_study.py",
    "tests/aelp_assets/desk/test_opening.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest first, then those with the most tests; within a file nothing moves."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    files = [item.nodeid.partition("::")[0] for item in items]
    tests = Counter(files)
    known = dict.fromkeys(files)
    ordered = sorted(known, key=lambda name: (ranks.get(name, len(ranks)), -tests[name]))
    place = {name: number for number, name in enumerate(ordered)}
    items.sort(key=lambda item: place[item.nodeid.partition("::")[0]])


@pytest.fixture
def tmp_environment(tmp_path: Path) -> Environment:
    """A DuckDB environment whose home is this test's own folder."""
    return read_environment({"AELP_HOME": str(tmp_path / "home")})


@pytest.fixture
def duckdb_warehouse(tmp_environment: Environment) -> Warehouse:
    return open_warehouse(tmp_environment)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real exports (AELP_SHARED_DATA, by default beside the checkout)."""
    folder = Path(os.environ.get("AELP_SHARED_DATA") or PROJECT_ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real exports at {folder}; set AELP_SHARED_DATA to a folder of them")
    return folder


@dataclass(frozen=True)
class BigQueryEmulator:
    """A running emulator: its project, REST URL and gRPC address."""

    project: str
    endpoint: str
    storage_endpoint: str

    def variables(self, home: Path, dataset_prefix: str = "") -> dict[str, str]:
        """The `AELP_*` variables of a process that uses it."""
        return {
            "AELP_HOME": str(home),
            "AELP_WAREHOUSE": "bigquery",
            "AELP_BIGQUERY_PROJECT": self.project,
            "AELP_BIGQUERY_ENDPOINT": self.endpoint,
            "AELP_BIGQUERY_STORAGE_ENDPOINT": self.storage_endpoint,
            "AELP_DATASET_PREFIX": dataset_prefix,
        }


@pytest.fixture(scope="session")
def bigquery_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQueryEmulator]:
    """One emulator for the session, on free loopback ports, in memory, with files of its own."""
    python = EMULATOR_ENVIRONMENT / "bin" / "python"
    home = EMULATOR_ENVIRONMENT / "home"
    if not python.exists() or not home.exists():
        pytest.skip("the BigQuery emulator is not installed: make .venv-bqemulator/.ready")
    folder = tmp_path_factory.mktemp("bqemulator")
    rest, grpc = _free_ports(2)
    emulator = BigQueryEmulator("aelp-test", f"http://127.0.0.1:{rest}", f"127.0.0.1:{grpc}")
    program = PROJECT_ROOT / "tests" / "bqemulator" / "serve.py"
    command = [str(python), str(program), "start", "--ephemeral", "--project", emulator.project]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--log-level", "warning", "--rest-port", str(rest), "--grpc-port", str(grpc)],
            cwd=folder,
            # The spatial extension lies under this HOME; avro would be downloaded, and nothing here needs it.
            env=os.environ
            | {
                "HOME": str(home),
                "BQEMU_UPLOAD_STAGING_DIR": str(folder / "uploads"),
                "BQEMU_ENABLE_FORMAT_EXTENSIONS": "false",
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(process, [rest, grpc], folder / "log")
        yield emulator
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One cluster for the session; skips where PostgreSQL is not installed."""
    with running_postgresql() as server:
        yield server


def _free_ports(count: int) -> list[int]:
    # Held together until all are known, or the system may hand out the same one twice.
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _wait_for(process: subprocess.Popen[bytes], ports: list[int], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    waiting = list(ports)
    while waiting:
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the BigQuery emulator did not start: {log.read_text()[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", waiting[0]), timeout=1).close()
            waiting.pop(0)
        except OSError:
            time.sleep(0.1)


@pytest.fixture
def bigquery_environment(bigquery_emulator: BigQueryEmulator, tmp_path: Path) -> Environment:
    """A BigQuery environment whose datasets are this test's own."""
    return read_environment(bigquery_emulator.variables(tmp_path / "home", f"t{uuid.uuid4().hex[:12]}_"))


@pytest.fixture
def bigquery_warehouse(bigquery_environment: Environment) -> Warehouse:
    return open_warehouse(bigquery_environment)


@pytest.fixture
def bigquery_client(bigquery_emulator: BigQueryEmulator) -> bigquery.Client:
    """The plain client on the emulator: for looking at, or doing, what the warehouse does not offer."""
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    return bigquery.Client(
        project=bigquery_emulator.project,
        location="US",
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options=ClientOptions(api_endpoint=bigquery_emulator.endpoint),
    )
