"""The project's event log stores exactly what Dagster's own would, however its events come in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetKeyTable, SqlEventLogStorageTable

from resources.event_log import _OPEN_SHARDS, OpenSqliteEventLog
from resources.settings import PROJECT_ROOT

RUN = "0a1b2c3d"


def materialised(asset: str, day: str, seconds: float) -> dg.EventLogEntry:
    """The entry of one materialised day, as a step of a run writes it."""
    from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData

    materialization = dg.AssetMaterialization(
        asset, partition=day, metadata={"rows": 1}, tags={"dagster/code_version": "1"}
    )
    return dg.EventLogEntry(
        error_info=None,
        level=10,
        user_message="",
        run_id=RUN,
        timestamp=seconds,
        step_key="step",
        dagster_event=DagsterEvent(
            event_type_value=DagsterEventType.ASSET_MATERIALIZATION.value,
            job_name="job",
            step_key="step",
            event_specific_data=StepMaterializationData(materialization, []),
        ),
    )


ENTRIES = [materialised(asset, f"2026-06-{day:02d}", 1e9 + day) for asset in ("a", "b") for day in (3, 1, 2)]


def stored(storage: Any, store: Callable[[Any], None]) -> dict[str, list[Any]]:
    """Every row of the run's database and of the index after storing ENTRIES."""
    store(storage)
    found = {}
    with storage.run_connection(RUN) as connection:
        found["run"] = connection.execute(sa.select(SqlEventLogStorageTable)).fetchall()
    with storage.index_connection() as connection:
        found["index"] = connection.execute(sa.select(SqlEventLogStorageTable)).fetchall()
        # Its own creation time aside, an asset's row is what its last events say.
        columns = [column for column in AssetKeyTable.c if column.name not in ("id", "create_timestamp")]
        assets = sa.select(*columns).order_by(AssetKeyTable.c.asset_key)
        found["assets"] = connection.execute(assets).fetchall()
    storage.dispose()
    return found


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, list[Any]]:
    """What Dagster's own storage keeps of ENTRIES."""
    (tmp_path / "dagster").mkdir()
    return stored(
        SqliteEventLogStorage(str(tmp_path / "dagster")),
        lambda storage: [storage.store_event(entry) for entry in ENTRIES],
    )


def test_a_batch_leaves_the_rows_that_dagster_leaves_one_by_one(
    tmp_path: Path, expected: dict[str, list[Any]]
) -> None:
    ours = OpenSqliteEventLog(str(tmp_path / "ours"))
    assert stored(ours, lambda storage: storage.store_event_batch(ENTRIES)) == expected
    assert len(expected["run"]) == len(expected["index"]) == 6
    assert len(expected["assets"]) == 2


def test_single_events_leave_the_rows_that_dagster_leaves(
    tmp_path: Path, expected: dict[str, list[Any]]
) -> None:
    ours = OpenSqliteEventLog(str(tmp_path / "ours"))
    assert stored(ours, lambda storage: [storage.store_event(entry) for entry in ENTRIES]) == expected


def test_a_batch_of_several_runs_is_stored_too(tmp_path: Path) -> None:
    ours = OpenSqliteEventLog(str(tmp_path / "ours"))
    ours.store_event_batch([ENTRIES[0], ENTRIES[1]._replace(run_id="another")])
    assert len(ours.get_logs_for_run(RUN)) == len(ours.get_logs_for_run("another")) == 1
    ours.dispose()


def run_of(number: int) -> list[dg.EventLogEntry]:
    """A run's entries: one asset, two days."""
    return [
        materialised(f"asset_{number % 3}", f"2026-06-{day:02d}", 1e9 + 10 * number + day)._replace(
            run_id=f"run-{number:03d}"
        )
        for day in (1, 2)
    ]


def test_runs_long_closed_are_read_and_written_again_with_few_files_open(tmp_path: Path) -> None:
    ours = OpenSqliteEventLog(str(tmp_path))
    runs = 4 * _OPEN_SHARDS
    for number in range(runs):
        ours.store_event_batch(run_of(number))
    for number in range(runs):
        ours.store_event(run_of(number)[0])  # each of them was closed since
    assert [len(ours.get_logs_for_run(f"run-{number:03d}")) for number in range(runs)] == [3] * runs
    open_now = {Path(file.path).stem for file in psutil.Process().open_files() if str(tmp_path) in file.path}
    assert len({name.removesuffix(".db") for name in open_now}) <= _OPEN_SHARDS
    ours.dispose()
    assert not [file for file in psutil.Process().open_files() if str(tmp_path) in file.path]


def test_dagster_s_own_storage_reads_along_in_another_process_while_runs_are_written(tmp_path: Path) -> None:
    ours = OpenSqliteEventLog(str(tmp_path))
    ours.store_event_batch(run_of(0))
    reader = start(
        tmp_path,
        """
from dagster._core.storage.event_log import SqliteEventLogStorage
storage = SqliteEventLogStorage(folder)
print("ready", flush=True)
last = 0
while last < 120:
    seen = len(storage.fetch_materializations(dg.AssetKey("asset_0"), limit=1000).records) + len(
        storage.fetch_materializations(dg.AssetKey("asset_1"), limit=1000).records
    ) + len(storage.fetch_materializations(dg.AssetKey("asset_2"), limit=1000).records)
    assert seen >= last, (seen, last)
    last = seen
print(last, flush=True)
""",
    )
    assert reader.stdout.readline() == "ready\n"
    for number in range(1, 60):
        ours.store_event_batch(run_of(number))
    said, complaints = reader.communicate(timeout=60)
    ours.dispose()
    assert reader.returncode == 0, complaints
    assert said.split() == ["120"]


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    ours = OpenSqliteEventLog(str(tmp_path))
    ours.store_event_batch(run_of(0))
    writer = start(
        tmp_path,
        """
from resources.event_log import OpenSqliteEventLog
from tests.resources.test_event_log import run_of
storage = OpenSqliteEventLog(folder.removesuffix("/history/runs"))
print("ready", flush=True)
for number in range(100, 140):
    storage.store_event_batch(run_of(number))
""",
    )
    assert writer.stdout.readline() == "ready\n"
    for number in range(1, 40):
        ours.store_event_batch(run_of(number))
    _, complaints = writer.communicate(timeout=60)
    assert writer.returncode == 0, complaints
    found = [
        record
        for name in range(3)
        for record in ours.fetch_materializations(dg.AssetKey(f"asset_{name}"), limit=1000).records
    ]
    ours.dispose()
    assert len(found) == 2 * (40 + 40)
    assert len({record.storage_id for record in found}) == len(found)


def start(folder: Path, program: str) -> subprocess.Popen[str]:
    head = f"import dagster as dg\nfolder = {str(folder / 'history' / 'runs')!r}\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + program],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_wiped_log_is_empty_and_can_be_written_again(tmp_path: Path) -> None:
    ours = OpenSqliteEventLog(str(tmp_path))
    ours.store_event_batch(run_of(1))
    ours.wipe()
    assert not ours.get_logs_for_run("run-001")
    ours.store_event_batch(run_of(1))
    ours.dispose()
    theirs = SqliteEventLogStorage(str(tmp_path / "history" / "runs"))
    assert len(theirs.get_logs_for_run("run-001")) == 2, "written to the file, not to its deleted predecessor"
    theirs.dispose()


def test_a_whole_run_through_an_instance_is_told_as_with_dagster_s_own(tmp_path: Path) -> None:
    told = {}
    for name, overrides in {
        "ours": {
            "event_log_storage": {
                "module": "resources.event_log",
                "class": "OpenSqliteEventLog",
                "config": {"base_dir": str(tmp_path / "ours")},
            }
        },
        "dagster": {},
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "dagster.yaml").write_text(json.dumps(overrides))
        with dg.DagsterInstance.from_config(str(tmp_path / name)) as instance:
            told[name] = _story(instance)
            assert isinstance(instance.event_log_storage, OpenSqliteEventLog) is (name == "ours")
    assert told["ours"] == told["dagster"]


def _story(instance: dg.DagsterInstance) -> dict[str, Any]:
    """What the instance says of a range run, a failed run and a repeated one."""
    days = dg.DailyPartitionsDefinition("2026-06-01", end_date="2026-06-20")

    @dg.asset(partitions_def=days, backfill_policy=dg.BackfillPolicy.single_run())
    def marts() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"rows": 1})

    @dg.asset(deps=[marts], check_specs=[dg.AssetCheckSpec("sound", asset="models")])
    def models(context) -> dg.MaterializeResult:
        if context.run.tags.get("fail"):
            raise RuntimeError("told to")
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])

    span = {
        "dagster/asset_partition_range_start": "2026-06-01",
        "dagster/asset_partition_range_end": "2026-06-10",
    }
    dg.materialize([marts], instance=instance, tags=span)
    dg.materialize([models], instance=instance, tags={"fail": "yes"}, raise_on_error=False)
    dg.materialize([models], instance=instance)
    runs = list(reversed(instance.get_runs()))
    return {
        "statuses": [run.status for run in runs],
        "events": [
            [entry.dagster_event_type for entry in instance.all_logs(run.run_id) if entry.is_dagster_event]
            for run in runs
        ],
        "days": sorted(instance.get_materialized_partitions(dg.AssetKey("marts"))),
        "marts": instance.get_latest_materialization_event(
            dg.AssetKey("marts")
        ).asset_materialization.metadata,
        "runs of models": len(instance.fetch_materializations(dg.AssetKey("models"), limit=10).records),
        "check": [
            record.status
            for record in instance.event_log_storage.get_asset_check_execution_history(
                dg.AssetCheckKey(dg.AssetKey("models"), "sound"), limit=10
            )
        ],
        "slots": instance.event_log_storage.get_concurrency_keys(),
    }
