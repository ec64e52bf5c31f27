"""The project's event log stores exactly what Dagster's own would, however its events come in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetKeyTable, SqlEventLogStorageTable

from resources.event_log import OpenSqliteEventLog

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
