"""`aelp status`: what needs a person, over a real home with runs, decisions and a held warehouse."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)
from dagster._utils.error import SerializableErrorInfo
from rich.console import Console
from typer.testing import CliRunner

from aelp_assets import cli
from aelp_assets.health import read_health
from aelp_assets.health_report import as_json, print_health
from aelp_assets.runs import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG
from resources.clock import FixedClock, SystemClock
from resources.connectors.registry import open_sources
from resources.control.ingestion import IngestionControl, Waiting
from resources.control.store import control_url, open_control_store
from resources.notifier import DeliveryFailed, Message, Notifier
from resources.settings import PROJECT_ROOT, load_settings, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.interface import Append
from resources.warehouse.tables import QUARANTINE
from tests.resources.control.proposing import NINE, governing, lever, proposed

SETTINGS = load_settings(PROJECT_ROOT / "aelp.yaml")
TEN = FixedClock(NINE + timedelta(hours=1))
FAULTS: list[str] = []
SECRET = "EAAB-not-to-be-told"
HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@dg.asset(
    key=["gaelp_training", "forecast_results"],
    group_name="forecasts",
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=48)),
    check_specs=[
        dg.AssetCheckSpec("quantiles_ordered", asset=["gaelp_training", "forecast_results"], blocking=True)
    ],
)
def forecast_results() -> dg.MaterializeResult:
    if "crash" in FAULTS:
        raise ValueError("no forecast today")
    said = f"p10 > p50 on 3 levers{SECRET if 'talkative' in FAULTS else ''}" if FAULTS else None
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=said is None, description=said)])


DECIDE = dg.define_asset_job("decide", dg.AssetSelection.all())
AT_NINE = dg.ScheduleDefinition(
    name="daily_decision",
    job=DECIDE,
    cron_schedule="0 9 * * *",
    execution_timezone="America/New_York",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
DEFS = dg.Definitions([forecast_results], jobs=[DECIDE], schedules=[AT_NINE])


@pytest.fixture
def environment(tmp_path, monkeypatch):
    monkeypatch.delenv("AELP_CONTROL_URL", raising=False)
    FAULTS.clear()
    return read_environment({"AELP_HOME": str(tmp_path / "home")})


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    """An instance nothing has run in: making its tables takes seconds, copying them does not."""
    home = tmp_path_factory.mktemp("blank")
    shutil.copyfile(PROJECT_ROOT / "dagster.yaml", home / "dagster.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        with dg.DagsterInstance.from_config(str(home)) as made:
            made.event_log_storage.get_asset_records()
            made.all_instigator_state()
    return home


@pytest.fixture
def instance(environment, blank, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(environment.dagster_home))
    shutil.copytree(blank, environment.dagster_home)
    with dg.DagsterInstance.from_config(str(environment.dagster_home)) as made:
        yield made


def ran(instance, *faults):
    FAULTS[:] = faults
    return DEFS.resolve_job_def("decide").execute_in_process(instance=instance, raise_on_error=False)


def screen(health):
    out = io.StringIO()
    print_health(Console(file=out, width=100, markup=False, emoji=False), health, SETTINGS.timezone)
    return out.getvalue()


def test_an_empty_home_is_well_and_stays_empty(environment):
    health = read_health(environment, SETTINGS, SystemClock(), DEFS)
    assert health.is_well
    assert "All is well" in screen(health)
    assert "none yet" in screen(health)
    assert not environment.home.exists()


def test_the_command_answers_machines_and_says_by_its_exit_code_whether_somebody_is_needed(
    environment, monkeypatch
):
    monkeypatch.setenv("AELP_HOME", str(environment.home))
    for name in ("AELP_CLOCK", "AELP_SETTINGS", "AELP_DROP"):
        monkeypatch.delenv(name, raising=False)
    well = CliRunner().invoke(cli.app, ["status", "--json"])
    assert well.exit_code == 0, well.output
    told = json.loads(well.stdout)
    assert told["is_well"] is True
    assert [row["source"] for row in told["sources"]] == list(SETTINGS.source_names)
    governing(open_control_store(control_url(environment.home, {}))).kill(
        is_on=True, person="pat", reason="strange spend", now=NINE
    )
    stopped = CliRunner().invoke(cli.app, ["status"])
    assert stopped.exit_code == 1
    assert "strange spend" in stopped.stdout
    assert len(stopped.stdout.splitlines()) <= 40


def test_a_failed_run_needs_a_person_until_the_job_works_again(environment, instance):
    ran(instance, "crash")
    health = read_health(environment, SETTINGS, SystemClock(), DEFS)
    assert health.needs == ["decide failed; `aelp ui` shows why."]
    (row,) = [line for line in screen(health).splitlines() if line.startswith("decide")]
    assert "failure" in row
    assert "09:00" in row, "when it is next due"
    ran(instance)
    assert read_health(environment, SETTINGS, SystemClock(), DEFS).is_well


def test_a_failed_run_is_made_up_for_by_whatever_makes_its_tables(environment, instance):
    ran(instance, "crash")
    FAULTS.clear()
    assert dg.materialize([forecast_results], instance=instance).success
    assert read_health(environment, SETTINGS, SystemClock(), DEFS).is_well


def test_a_run_asked_for_by_its_assets_that_fails_needs_a_person_until_they_are_made(environment, instance):
    FAULTS[:] = ["crash"]
    DEFS.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, asset_selection=[forecast_results.key], raise_on_error=False
    )
    health = read_health(environment, SETTINGS, SystemClock(), DEFS)
    said = "Materialising gaelp_training.forecast_results failed; `aelp ui` shows why."
    assert health.needs == [said]
    assert json.loads(as_json(health, None))["failed"] == ["Materialising gaelp_training.forecast_results"]
    ran(instance)
    assert read_health(environment, SETTINGS, SystemClock(), DEFS).is_well


@dg.asset_check(asset=forecast_results)
def nothing_waits() -> dg.AssetCheckResult:
    if FAULTS:
        raise ValueError("the warehouse is held")
    return dg.AssetCheckResult(passed=True)


def test_a_check_asked_by_itself_that_crashes_needs_a_person_until_it_is_asked_again(environment, instance):
    defs = dg.Definitions([forecast_results], asset_checks=[nothing_waits])
    job = defs.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection=set(), asset_check_selection={nothing_waits.check_key}
    )
    FAULTS[:] = ["crash"]
    job.execute_in_process(instance=instance, raise_on_error=False)
    ran(instance)
    (need,) = read_health(environment, SETTINGS, SystemClock(), DEFS).needs
    assert need == "A run of assets failed; `aelp ui` shows why."
    job.execute_in_process(instance=instance)
    assert read_health(environment, SETTINGS, SystemClock(), DEFS).is_well


DAYS = dg.DailyPartitionsDefinition(start_date="2026-06-01")


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def marts() -> None:
    if "marts" in FAULTS:
        raise ValueError("no marts")


@dg.asset(partitions_def=DAYS)
def slates() -> None:
    if "slates" in FAULTS:
        raise ValueError("no slates")


@dg.asset(key=["ops", "source_pulls", "meta"])
def meta() -> None:
    if "meta" in FAULTS:
        raise ValueError("no meta")


@dg.asset(key=["ops", "source_pulls", "tiktok"])
def tiktok() -> None: ...


@dg.op
def sends() -> None:
    if "sends" in FAULTS:
        raise ValueError("nothing sent")


@dg.job
def send_approved() -> None:
    sends()


MANY = dg.Definitions(
    [marts, slates, meta, tiktok],
    jobs=[
        dg.define_asset_job("transform_days", dg.AssetSelection.assets(marts)),
        dg.define_asset_job("decide", dg.AssetSelection.assets(slates)),
        dg.define_asset_job("pull_sources", dg.AssetSelection.assets(meta, tiktok)),
        send_approved,
    ],
)


def ran_of_many(instance, job, *faults, day=None, last=None, assets=None):
    FAULTS[:] = faults
    spans = {RANGE_START_TAG: day, RANGE_END_TAG: last}
    MANY.resolve_job_def(job).execute_in_process(
        instance=instance,
        tags=spans if last else {PARTITION_TAG: day} if day else {},
        asset_selection=assets,
        raise_on_error=False,
    )


def needed(environment):
    return read_health(environment, SETTINGS, SystemClock(), MANY).needs


def test_a_day_given_up_needs_a_person_though_a_later_day_is_built(environment, instance):
    for _ in range(3):
        ran_of_many(instance, "transform_days", "marts", day="2026-06-27", last="2026-06-28")
    ran_of_many(instance, "transform_days", day="2026-06-29", last="2026-06-30")
    assert needed(environment) == ["transform_days of 2026-06-27 to 2026-06-28 failed; `aelp ui` shows why."]
    ran_of_many(instance, "transform_days", day="2026-06-27", last="2026-06-30")
    assert needed(environment) == []


def test_a_source_that_crashes_needs_a_person_though_another_is_pulled(environment, instance):
    ran_of_many(instance, "pull_sources", "meta")
    ran_of_many(instance, "pull_sources", assets=[tiktok.key])
    assert needed(environment) == ["pull_sources failed; `aelp ui` shows why."]
    ran_of_many(instance, "pull_sources", assets=[meta.key])
    assert needed(environment) == []


def test_a_failed_decision_needs_a_person_though_an_older_morning_is_decided_again(environment, instance):
    ran_of_many(instance, "decide", "slates", day="2026-06-30")
    ran_of_many(instance, "decide", day="2026-06-20")
    assert needed(environment) == ["decide of 2026-06-30 failed; `aelp ui` shows why."]
    ran_of_many(instance, "decide", day="2026-07-01")
    assert needed(environment) == []


def test_what_makes_no_table_is_well_once_its_newest_run_is(environment, instance):
    ran_of_many(instance, "send_approved", "sends")
    assert needed(environment) == ["send_approved failed; `aelp ui` shows why."]
    ran_of_many(instance, "send_approved")
    assert needed(environment) == []


def test_a_failure_that_could_not_say_what_it_was_to_make_ends_with_the_next_run(environment, instance):
    instance.add_run(dg.DagsterRun("decide", str(uuid.uuid4()), status=dg.DagsterRunStatus.FAILURE))
    assert needed(environment) == ["decide failed; `aelp ui` shows why."]
    ran_of_many(instance, "decide", day="2026-06-30")
    assert needed(environment) == []


def test_a_blocking_check_that_fails_says_what_it_found(environment, instance):
    ran(instance, "disordered")
    health = read_health(environment, SETTINGS, SystemClock(), DEFS)
    assert (
        "Blocking check quantiles_ordered of gaelp_training.forecast_results fails: p10 > p50 on 3 levers"
        in health.needs
    )
    ran(instance)
    assert read_health(environment, SETTINGS, SystemClock(), DEFS).is_well


def ticked_in_vain(instance, times, counted=1):
    location = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("aelp"), "__repository__")
    origin = RemoteInstigatorOrigin(location, "daily_decision")
    data = ScheduleInstigatorData("0 9 * * *")
    state = InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.DECLARED_IN_CODE, data)
    instance.add_instigator_state(state)
    kind = state.instigator_origin_id, "daily_decision", InstigatorType.SCHEDULE, TickStatus.FAILURE
    for tick in range(times):
        error = SerializableErrorInfo(f"401 for {SECRET}", [], "OSError")
        instance.create_tick(
            TickData(*kind, 1.7e9 + tick, error=error, failure_count=counted, selector_id=state.selector_id)
        )


@pytest.mark.parametrize(("times", "counted", "said"), [(1, 1, "tick"), (2, 0, "tick"), (2, 1, "ticks")])
def test_a_tick_that_failed_is_no_more_than_that(environment, instance, times, counted, said):
    ticked_in_vain(instance, times, counted)
    (need,) = read_health(environment, SETTINGS, SystemClock(), DEFS).needs
    assert need.startswith(f"daily_decision failed at its last {said}: 401")


def test_no_secret_of_an_error_is_on_the_screen_or_told_to_machines(environment, instance, monkeypatch):
    monkeypatch.setenv("AELP_META_ACCESS_TOKEN", SECRET)
    ticked_in_vain(instance, 1)
    ran(instance, "talkative")
    health = read_health(environment, SETTINGS, SystemClock(), DEFS)
    assert len(health.needs) == 3, "the run, its check and the tick"
    assert as_json(health, None).count("[secret]") == 4, "in what is so, and in what it needs"
    assert SECRET not in screen(health) + as_json(health, None)


def test_lateness_is_judged_by_the_calendar_alone(environment, instance, monkeypatch):
    ran(instance)
    later = datetime.now(UTC) + timedelta(days=3)
    monkeypatch.setattr(SystemClock, "now", lambda _: later)
    health = read_health(environment, SETTINGS, SystemClock(), DEFS)
    assert health.needs == ["Later than promised: 1 table, in forecasts."]
    assert read_health(environment, SETTINGS, FixedClock(later), DEFS).late is None


def test_what_waits_for_a_signature_is_counted_by_type_and_end(environment):
    governance = governing(open_control_store(control_url(environment.home, {})))
    proposed(governance, lever("l1"), lever("l2"))
    health = read_health(environment, SETTINGS, TEN, DEFS)
    assert health.needs == ["Waiting for a signature: 2 proposals (`aelp proposals`)."]
    assert "2 raise; the oldest since Tue 30 Jun 09:00, the first runs out Wed 01 Jul 09:00" in " ".join(
        screen(health).split()
    )
    nearly = FixedClock(NINE + timedelta(hours=23))
    assert "within two hours" in read_health(environment, SETTINGS, nearly, DEFS).needs[0]
    governance.kill(is_on=True, person="pat", reason="strange spend", now=NINE)
    assert "strange spend" in read_health(environment, SETTINGS, TEN, DEFS).needs[0], "before all else"


class Down:
    name = "webhook"

    def send(self, message):
        raise DeliveryFailed("the webhook answered HTTP 503")


def test_what_could_not_be_told_is_said_with_the_reason(environment, monkeypatch):
    monkeypatch.setenv("AELP_NOTIFY_WEBHOOK", "https://hooks.example/secret")
    notifier = Notifier(open_control_store(control_url(environment.home, {})), [Down()], TEN.now)
    notifier.announce([Message("e1", "critical", "A stop.", "Decide.")])
    notifier.deliver()
    health = read_health(environment, SETTINGS, TEN, DEFS)
    assert health.needs == ["Not everybody was told: 1 by webhook (the webhook answered HTTP 503)."]
    monkeypatch.delenv("AELP_NOTIFY_WEBHOOK")
    assert read_health(environment, SETTINGS, TEN, DEFS).is_well, "the channel is gone, and nobody misses it"


def test_a_misspelt_channel_is_named_and_the_other_opens(environment, monkeypatch):
    monkeypatch.setenv("AELP_NOTIFY_WEBHOOK", "hooks.example/secret")
    (need,) = read_health(environment, SETTINGS, TEN, DEFS).needs
    assert "AELP_NOTIFY_WEBHOOK: must be an https:// link" in need


def test_a_warehouse_that_cannot_be_read_needs_somebody(environment, monkeypatch):
    environment.duckdb_path.parent.mkdir(parents=True, exist_ok=True)
    environment.duckdb_path.write_bytes(b"no database" * 2000)
    health = read_health(environment, SETTINGS, TEN, DEFS)
    assert not health.is_well
    assert health.needs[0].startswith("The warehouse cannot be read: ")
    assert "cannot be read" in screen(health)
    monkeypatch.setenv("AELP_HOME", str(environment.home))
    for options in (["--json"], []):
        said = CliRunner().invoke(cli.app, ["status", *options])
        assert (said.exit_code, type(said.exception)) == (1, SystemExit), said.output


def test_a_source_that_refuses_its_credentials_needs_new_ones(environment, monkeypatch):
    monkeypatch.setenv("AELP_ORDERS_URL", "postgresql://shop/orders")
    control = IngestionControl(open_control_store(control_url(environment.home, {})))
    sources = open_sources(environment, SETTINGS, TEN)
    control.stop_source("orders", sources.credential_hash("orders"), "password expired.", NINE)
    health = read_health(environment, SETTINGS, TEN, DEFS)
    assert health.needs == [
        "orders refuses its credentials and is not called any more: password expired. `aelp connect orders` "
        "checks new ones."
    ]
    assert json.loads(as_json(health, None))["stopped"] == {"orders": "password expired."}
    monkeypatch.setenv("AELP_ORDERS_URL", "postgresql://shop/new_orders")
    assert read_health(environment, SETTINGS, TEN, DEFS).is_well, "they were renewed"


def test_a_source_that_lost_its_credentials_needs_them_back(environment, monkeypatch):
    control = IngestionControl(open_control_store(control_url(environment.home, {})))
    assert read_health(environment, SETTINGS, TEN, DEFS).is_well, "no source was ever read"
    (store,) = SETTINGS.sources["orders"].accounts
    control.note_zone("orders", store, "UTC")
    health = read_health(environment, SETTINGS, TEN, DEFS)
    (need,) = health.needs
    assert need.startswith("orders was read before and is not any more: ")
    assert "AELP_ORDERS_URL" in need
    assert "All is well" not in screen(health)
    assert json.loads(as_json(health, None))["unread"][0]["source"] == "orders"
    monkeypatch.setenv("AELP_ORDERS_URL", "postgresql://shop/orders")
    assert read_health(environment, SETTINGS, TEN, DEFS).is_well


def waits(environment, error_class, days):
    control = IngestionControl(open_control_store(control_url(environment.home, {})))
    (store,) = SETTINGS.sources["orders"].accounts
    slices = [("orders", "orders", "none", store, NINE.date() - timedelta(days=n + 1)) for n in range(days)]
    why = Waiting(1, error_class, "orders: shop has no column placed_at.", NINE + timedelta(days=1))
    control.settle([], [(key, why) for key in slices], NINE)
    return lambda: control.settle(slices, [], NINE)


def test_a_source_that_cannot_be_read_needs_somebody_whoever_holds_the_warehouse(environment, monkeypatch):
    mend = waits(environment, "PERMANENT", days=90)
    refused_rows(environment, NINE - timedelta(days=2))
    with holding(environment):
        health = read_health(environment, SETTINGS, TEN, DEFS)
    assert health.store.busy
    (need,) = health.needs
    (store,) = SETTINGS.sources["orders"].accounts
    said = f"orders of orders/{store} cannot be read (PERMANENT; 90 slices, the newest of 2026-06-29)"
    assert need.startswith(f"{said}: orders: shop has no column placed_at. ")
    assert "`aelp connect orders`" in need
    assert "All is well" not in screen(health)
    assert json.loads(as_json(health, None))["unread"][0]["slices"] == 90
    monkeypatch.setenv("AELP_HOME", str(environment.home))
    monkeypatch.setenv("AELP_CLOCK", TEN.now().isoformat())
    told = CliRunner().invoke(cli.app, ["status"])
    assert (told.exit_code, said in told.stdout) == (1, True), told.output
    mend()
    assert read_health(environment, SETTINGS, TEN, DEFS).is_well


def test_an_outage_needs_somebody_once_no_day_is_young_enough_to_decide_on(environment):
    waits(environment, "TRANSIENT", days=SETTINGS.max_data_age_days)
    assert read_health(environment, SETTINGS, TEN, DEFS).is_well
    waits(environment, "TRANSIENT", days=SETTINGS.max_data_age_days + 1)
    (need,) = read_health(environment, SETTINGS, TEN, DEFS).needs
    assert "(TRANSIENT; 4 slices" in need


def refused_rows(environment, moment):
    warehouse = open_warehouse(environment)
    warehouse.ensure_tables([QUARANTINE])
    row = {"file": "june.csv", "file_hash": "f", "line": 7, "severity": "refused", "reason": "spend is -1"}
    warehouse.write(
        Append(QUARANTINE, pl.DataFrame([row | {"quarantined_at": moment}], schema=QUARANTINE.polars_schema))
    )


def test_refused_rows_of_the_last_day_are_counted(environment):
    refused_rows(environment, NINE)
    assert read_health(environment, SETTINGS, TEN, DEFS).needs == [
        "Refused in the last day: 1 row (`aelp quarantine`)."
    ]
    assert read_health(environment, SETTINGS, FixedClock(NINE + timedelta(days=2)), DEFS).is_well


@contextmanager
def holding(environment):
    """Another process holds the warehouse."""
    command = [sys.executable, "-c", HOLD, str(environment.duckdb_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        yield holder


def test_a_held_warehouse_hides_only_what_it_knows(environment):
    refused_rows(environment, NINE)
    with holding(environment) as holder:
        health = read_health(environment, SETTINGS, TEN, DEFS)
    assert f"held by PID {holder.pid}" in health.store.busy
    assert health.is_well, "a run that works is no fault"
    assert f"busy: held by PID {holder.pid}" in " ".join(screen(health).split())
    told = json.loads(as_json(health, None))
    assert told["is_well"] is True
    assert told["sources"] is None
    assert told["store"]["set_aside"] is None


def test_the_screen_fits_even_where_everything_needs_somebody(environment, instance):
    ran(instance, "crash")
    health = read_health(environment, SETTINGS, SystemClock(), DEFS)
    many = health.__class__(**{**vars(health), "needs": ["x" * 300] * 40, "jobs": health.jobs * 30})
    lines = screen(many).splitlines()
    assert len(lines) <= 40
    assert "and 32 more" in "\n".join(lines)
