"""The landing as Dagster runs it: through a lock, from any store, and what it marks as written."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import dagster as dg
import fsspec
import pytest

from aelp_assets.column_sources import MOMENTARY_COLUMNS
from aelp_assets.ingest import file_drop
from aelp_assets.ingest.file_drop import file_landings, open_drop
from aelp_assets.jobs import land_files
from aelp_assets.metadata import asset_key
from resources.clock import FixedClock
from resources.history.written import writings
from resources.settings import PROJECT_ROOT, load_settings, read_environment
from resources.warehouse import retrying
from resources.warehouse.content import content_version
from resources.warehouse.duckdb import DuckDBWarehouse
from resources.warehouse.interface import WarehouseError
from resources.warehouse.tables import PYTHON_TABLES, TRACK_RULES

SETTINGS = load_settings(PROJECT_ROOT / "aelp.yaml")
CLOCK = FixedClock(datetime(2026, 6, 30, 13, tzinfo=UTC))
EXPORT = (
    "date,source,account_id,currency,campaign_id,campaign_name,impressions,clicks,cost,conversions_click\n"
    + "".join(
        f"2026-06-{day:02d},vendor,1,USD,7,Security,{1000 + day},{20 + day},{10 + day}.50,1\n"
        for day in range(1, 11)
    )
)
HOLD = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def warehouse(tmp_path):
    made = DuckDBWarehouse(tmp_path / "warehouse.duckdb", temporary=tmp_path / "spill", lock_timeout=0.2)
    made.ensure_tables(list(PYTHON_TABLES.values()))
    return made


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def land(tmp_path, warehouse, instance, drop=None):
    """One run of `land_files` over `drop` (by default the home's own folder)."""
    variables = {"AELP_HOME": str(tmp_path)} | ({"AELP_DROP": drop} if drop else {})
    environment = read_environment(variables)
    resources = {
        "environment": environment,
        "settings": SETTINGS,
        "clock": CLOCK,
        "warehouse": warehouse,
        "drop": open_drop(environment, SETTINGS, CLOCK),
        "step_io_manager": dg.FilesystemIOManager(base_dir=str(tmp_path / "steps")),
    }
    defs = dg.Definitions(
        assets=[file_landings], jobs=[land_files], resources=resources, executor=dg.in_process_executor
    )
    return defs.resolve_job_def("land_files").execute_in_process(instance=instance, raise_on_error=False)


def drop_export(tmp_path):
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "june.csv").write_text(EXPORT)


def landed_days(warehouse):
    return warehouse.query("select count(*) as days from ops.ingest_slices where status = 'complete'").item()


class Held:
    """Another process has the file open, until released."""

    def __init__(self, path):
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "held\n"

    def release(self):
        self.process.communicate("\n", timeout=20)


def test_a_landing_waits_for_a_warehouse_that_is_held_and_then_lands(
    tmp_path, warehouse, instance, monkeypatch
):
    monkeypatch.setattr(retrying, "LOCK_WAIT_SECONDS", 0.05)
    drop_export(tmp_path)
    held, ask = Held(warehouse.path), dg.RetryRequested

    def let_go_and_ask(**how):
        held.release()
        return ask(**how)

    monkeypatch.setattr(dg, "RetryRequested", let_go_and_ask)
    run = land(tmp_path, warehouse, instance)
    assert run.success
    assert any(event.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY for event in run.all_events)
    assert landed_days(warehouse) == 10


def test_a_warehouse_held_for_good_fails_the_run_after_bounded_attempts_naming_the_holder(
    tmp_path, warehouse, instance, monkeypatch
):
    monkeypatch.setattr(retrying, "LOCK_WAIT_SECONDS", 0.05)
    drop_export(tmp_path)
    held = Held(warehouse.path)
    try:
        run = land(tmp_path, warehouse, instance)
    finally:
        held.release()
    assert not run.success
    tries = [event for event in run.all_events if event.event_type == dg.DagsterEventType.STEP_RESTARTED]
    assert len(tries) == retrying.LOCK_RETRIES
    (failure,) = [event for event in run.all_events if event.is_step_failure]
    assert f"PID {held.process.pid}" in failure.step_failure_data.error.cause.message
    assert landed_days(warehouse) == 0


def test_an_error_that_is_no_lock_is_not_tried_again(tmp_path, warehouse, instance):
    drop_export(tmp_path)
    (tmp_path / "drop" / "_mappings").mkdir()
    (tmp_path / "drop" / "_mappings" / "broken.yaml").write_text("nonsense: true\n")
    run = land(tmp_path, warehouse, instance)
    assert not run.success
    assert not [e for e in run.all_events if e.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY]


@pytest.mark.parametrize("store", ["memory://exports", "file://"])
def test_a_drop_folder_named_by_url_is_landed(tmp_path, warehouse, instance, store):
    url = store if store.startswith("memory") else f"{store}{tmp_path}/elsewhere"
    filesystem, root = fsspec.core.url_to_fs(url)
    filesystem.makedirs(root, exist_ok=True)
    filesystem.pipe(f"{root}/june.csv", EXPORT.encode())
    run = land(tmp_path, warehouse, instance, drop=url)
    assert run.success
    assert landed_days(warehouse) == 10


def test_the_bookkeeping_tables_show_as_written_with_their_rows_only_when_they_were(
    tmp_path, warehouse, instance
):
    drop_export(tmp_path)
    assert land(tmp_path, warehouse, instance).success

    def seen():
        found = {}
        for table in ("ingest_slices", "accounts", "track_rules", "quarantine"):
            records = instance.fetch_materializations(asset_key(f"ops.{table}"), limit=10).records
            found[table] = [r.asset_materialization.metadata["dagster/row_count"].value for r in records]
        return found

    rules = warehouse.query("select count(*) as rules from ops.track_rules").item()
    first = seen()
    assert first == {"ingest_slices": [10], "accounts": [1], "track_rules": [rules], "quarantine": []}
    assert land(tmp_path, warehouse, instance).success
    assert seen() == first, "a landing without news writes none of them"
    (noted,) = writings(instance, asset_key("ops.track_rules"))
    momentary = MOMENTARY_COLUMNS[str(TRACK_RULES.name)]  # as-of compares where the same are left out
    assert noted.content == content_version(TRACK_RULES.conform(warehouse.read(TRACK_RULES.name)), momentary)


def test_a_landed_day_is_known_by_its_content_and_marked_all_the_same_where_that_cannot_be_read(
    tmp_path, warehouse, instance, monkeypatch
):
    raw = asset_key("raw.file_ad_performance")

    def versions():
        records = instance.fetch_materializations(raw, limit=50).records
        return {
            r.partition_key: r.asset_materialization.tags.get("dagster/data_version")
            for r in reversed(records)
        }

    drop_export(tmp_path)
    assert land(tmp_path, warehouse, instance).success
    first = versions()
    assert len(first) == len(set(first.values())) == 10
    restated = EXPORT.replace(
        "2026-06-03,vendor,1,USD,7,Security,1003", "2026-06-03,vendor,1,USD,7,Security,1004"
    )
    (tmp_path / "drop" / "june.csv").write_text(restated)
    monkeypatch.setattr(file_drop, "landed_contents", _unreadable)
    assert land(tmp_path, warehouse, instance).success
    assert versions() == first | {"2026-06-03": None}


def _unreadable(*_asked):
    raise WarehouseError("it went away")
