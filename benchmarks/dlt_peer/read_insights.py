"""The peer of `insights_pull`: dlt reads the edge with its own client and paginator into DuckDB.

Runs in the environment that `install_peer.sh` makes, without the project. dlt is set to its quick ways:
Parquet between its steps instead of INSERT statements, nested fields as JSON columns instead of child tables.
Usage: read_insights.py TASK.json
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "WARNING"}

import dlt  # type: ignore[import-not-found]
from dlt.sources.helpers.rest_client import RESTClient  # type: ignore[import-not-found]
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth  # type: ignore[import-not-found]
from dlt.sources.helpers.rest_client.paginators import (  # type: ignore[import-not-found]
    JSONLinkPaginator,
)


def main(task: dict[str, Any]) -> None:
    """Read all spans of the task, one after the other, and load them in one go."""
    client = RESTClient(task["url"], auth=BearerTokenAuth(task["token"]))

    @dlt.resource(name="insights", max_table_nesting=0, write_disposition="append")  # type: ignore[untyped-decorator]
    def insights() -> Iterator[Any]:
        for parameters in task["spans"]:
            yield from client.paginate(
                task["path"],
                params=parameters,
                paginator=JSONLinkPaginator(next_url_path="paging.next"),
                data_selector="data",
            )

    folder = Path(task["folder"])
    pipeline = dlt.pipeline(
        pipeline_name="insights_peer",
        destination=dlt.destinations.duckdb(str(folder / "peer.duckdb")),
        dataset_name="landed",
        pipelines_dir=str(folder / "pipelines"),
    )
    pipeline.run(insights(), loader_file_format="parquet").raise_on_failed_jobs()


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
