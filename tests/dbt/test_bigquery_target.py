"""What dbt would make on BigQuery and how it asks: partitions, clusters, labels, a cap on every job.

The emulator keeps neither clusters nor the labels of such jobs; here the first job is caught as it is sent.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.parity.project import DbtProject

pytestmark = pytest.mark.dbt

# Dated, and yet made anew whole with every build: sums by week or placement, small beside what they sum.
WHOLE = {"int_channel_weekly", "int_placement_market_daily", "mmm_input_weekly"}


@dataclass(frozen=True)
class Caught:
    """The project as parsed for BigQuery, and the jobs it sent."""

    models: dict[str, dict[str, Any]]
    jobs: list[dict[str, Any]]


@pytest.fixture(scope="module")
def caught(tmp_path_factory: pytest.TempPathFactory) -> Caught:
    """One run against a server that knows no dataset and refuses every job."""
    folder = tmp_path_factory.mktemp("dbt_bigquery_target")
    jobs: list[dict[str, Any]] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, {})

        def do_POST(self) -> None:
            jobs.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            reason = {"reason": "accessDenied", "message": "refused by the test"}
            self._answer(403, {"error": {"code": 403, "message": "refused", "errors": [reason]}})

        def _answer(self, code: int, document: dict[str, Any]) -> None:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    variables = {
        "AELP_HOME": str(folder / "home"),
        "AELP_WAREHOUSE": "bigquery",
        "AELP_BIGQUERY_PROJECT": "no-project",
        "AELP_BIGQUERY_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
    }
    try:
        with pytest.raises(AssertionError, match="refused"):
            DbtProject(variables, folder).run("run", "--select", "stg_orders__orders")
    finally:
        server.shutdown()
        server.server_close()
    manifest = json.loads((folder / "target" / "manifest.json").read_text(encoding="utf-8"))
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    return Caught({model["name"]: model for model in models}, jobs)


def stored(caught: Caught) -> dict[str, dict[str, Any]]:
    """Models that are tables, with how they are configured."""
    configs = {name: model["config"] for name, model in caught.models.items()}
    return {name: config for name, config in configs.items() if config["materialized"] != "view"}


def test_every_mart_by_day_is_partitioned_by_it_and_clustered(caught: Caught) -> None:
    by_day = {name for name, config in stored(caught).items() if config["materialized"] == "incremental"}
    assert len(by_day) > 10
    for name in by_day:
        config = caught.models[name]["config"]
        assert "daily" in caught.models[name]["tags"], name
        assert config["incremental_strategy"] == "insert_overwrite", name
        assert config["partition_by"] == {"field": "date", "data_type": "date"}, name
        assert 1 <= len(config["cluster_by"]) <= 4, name
        if config["contract"]["enforced"]:
            assert set(config["cluster_by"]) <= caught.models[name]["columns"].keys(), name


def test_no_other_dated_model_is_stored_but_the_small_ones(caught: Caught) -> None:
    dated = {
        name
        for name, config in stored(caught).items()
        if config["materialized"] != "incremental"
        and {"date", "week", "as_of_date"} & caught.models[name]["columns"].keys()
    }
    assert dated <= WHOLE


def test_whatever_dbt_makes_and_whatever_it_runs_is_labelled(caught: Caught) -> None:
    assert {model["config"]["labels"]["aelp_component"] for model in caught.models.values()} == {"dbt"}
    queries = [job["configuration"] for job in caught.jobs if "configuration" in job]
    assert queries
    for query in queries:
        assert query["labels"]["aelp_component"] == "dbt"
        assert query["query"]["maximumBytesBilled"] == str(200 * 2**30)
