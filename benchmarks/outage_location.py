"""A code location of one asset on the warehouse, for killing what runs it: `dagster-daemon run -f` this.

`slow` begins, then waits until the file `go` lies in AELP_HOME, then writes. The warehouse and its pool are
the project's own; nothing else of its graph, which takes longer to load.
"""

import os
import time
from pathlib import Path

import dagster as dg
import polars as pl

from resources.settings import read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.interface import Append
from resources.warehouse.schema import Column, Table, TableName

HOME = Path(os.environ["AELP_HOME"])
ROWS = Table(
    TableName("ops", "outages"),
    "A row per finished run.",
    (Column("run_id", "STRING", "The run."), Column("rows", "INT64", "How many there were before.")),
    grain=("run_id",),
)


@dg.asset(pool="warehouse")
def slow(context: dg.AssetExecutionContext) -> None:
    """Waits in the pool for `go`, then writes."""
    warehouse = open_warehouse(read_environment())
    warehouse.ensure_tables([ROWS])
    before = warehouse.row_counts([ROWS.name])[str(ROWS.name)]
    (HOME / "begun").write_text(f"{os.getpid()}\n")
    while not (HOME / "go").exists():
        time.sleep(0.05)
    warehouse.write(Append(ROWS, pl.DataFrame({"run_id": [context.run_id], "rows": [before]})))


slow_job = dg.define_asset_job("slow_job", [slow], executor_def=dg.in_process_executor)


@dg.sensor(job=slow_job, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def dropped(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """One run per file in `wanted`, whatever is asked twice."""
    found = sorted(path.name for path in (HOME / "wanted").iterdir())
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=name) for name in found])


defs = dg.Definitions([slow], jobs=[slow_job], sensors=[dropped])
