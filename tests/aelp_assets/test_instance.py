"""The Dagster instance on PostgreSQL: what one process writes another one sees, the password is nowhere."""

import json
import os
import platform
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickData, TickStatus

from aelp_assets import cli
from aelp_assets.instance import install_instance, instance_variables
from aelp_assets.runner import open_instance, prepare_warehouse
from resources.event_log import OpenSqliteEventLog
from resources.run_processes import PROCESS_TAG
from resources.settings import PROJECT_ROOT, Environment, SettingsError, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.tables import INGEST_SLICES

PASSWORD = "hush%40hush"  # of a URL: an @ is in it


@pytest.fixture
def url(postgresql) -> str:
    """An empty database, named with a password."""
    bare = sa.make_url(postgresql.new_database())
    return f"postgresql+psycopg2://{bare.username}:{PASSWORD}@/{bare.database}?host={bare.query['host']}"


@pytest.fixture
def variables(url, tmp_path) -> Iterator[Mapping[str, str]]:
    """This process in a home of its own, its instance on the database; every variable is put back."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AELP_", "DAGSTER_"))}
    told = {**clean, "AELP_HOME": str(tmp_path / "home"), "AELP_DAGSTER_URL": url}
    with mock.patch.dict(os.environ, told, clear=True):
        yield told


def settings_of(environment: Environment) -> dict:
    return yaml.safe_load((environment.dagster_home / "dagster.yaml").read_text())


def files_with(text: str, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


DAYS = dg.DailyPartitionsDefinition("2026-06-01", end_date="2026-06-20")


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run(), pool="the_file")
def marts() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"rows": 1})


@dg.asset(deps=[marts], check_specs=[dg.AssetCheckSpec("sound", asset="model")])
def model(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    context.log.info("fitting")
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])


LOOK = """
import json
from dagster import AssetCheckKey, AssetKey, DagsterInstance
with DagsterInstance.get() as instance:
    check = AssetCheckKey(AssetKey("model"), "sound")
    print(json.dumps({
        "runs": sorted(run.status.value for run in instance.get_runs()),
        "days": sorted(instance.get_materialized_partitions(AssetKey("marts"))),
        "checks": [
            found.status.value
            for found in instance.event_log_storage.get_asset_check_execution_history(check, limit=5)
        ],
        "ticks": [tick.status.value for tick in instance.get_ticks("origin", "watch")],
        "slots": instance.event_log_storage.get_pool_limits()[0].limit,
    }))
    print(instance.info_str())
"""


def test_what_one_process_runs_another_one_sees_and_the_password_is_in_no_file(variables, tmp_path):
    environment = read_environment()
    with open_instance(environment) as instance:
        assert not isinstance(instance.event_log_storage, OpenSqliteEventLog)
        instance.event_log_storage.set_concurrency_slots("the_file", 1)
        span = {
            "dagster/asset_partition_range_start": "2026-06-01",
            "dagster/asset_partition_range_end": "2026-06-10",
        }
        assert dg.materialize([marts], instance=instance, tags=span).success
        assert dg.materialize([marts, model], selection=[model], instance=instance).success
        instance.create_tick(
            TickData("origin", "watch", InstigatorType.SENSOR, TickStatus.SKIPPED, 0.0, selector_id="watch")
        )
    other = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=PROJECT_ROOT,
        env={**variables, **instance_variables(environment)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert other.returncode == 0, other.stderr
    first, _, rest = other.stdout.partition("\n")
    assert json.loads(first) == {
        "runs": ["SUCCESS", "SUCCESS"],
        "days": [f"2026-06-{day:02d}" for day in range(1, 11)],
        "checks": ["SUCCEEDED"],
        "ticks": ["SKIPPED"],
        "slots": 1,
    }
    for told in (PASSWORD, "hush@hush"):
        assert told not in rest + other.stderr
        assert files_with(told, environment.home) == []
    assert not list(environment.dagster_home.rglob("*.db")), "nothing is kept beside the database"


def test_a_run_of_another_machine_is_not_taken_for_a_killed_one(variables):
    environment = read_environment()
    with open_instance(environment) as instance:
        ids = {
            name: instance.add_run(
                dg.DagsterRun(
                    "decide",
                    run_id=str(uuid.uuid4()),
                    status=dg.DagsterRunStatus.STARTED,
                    tags={PROCESS_TAG: process},
                )
            ).run_id
            for name, process in {
                "gone": f"{os.getpid()}@1@{platform.node()}",
                "elsewhere": f"{os.getpid()}@1@another-machine",
            }.items()
        }
    with open_instance(environment) as instance:
        found = {name: instance.get_run_by_id(run_id).status for name, run_id in ids.items()}
    assert found == {"gone": dg.DagsterRunStatus.FAILURE, "elsewhere": dg.DagsterRunStatus.STARTED}


def test_a_user_who_may_only_read_and_write_uses_an_instance_whose_tables_are_there(variables, url):
    environment = read_environment()
    open_instance(environment).dispose()
    told = sa.make_url(url)
    user = f"writer_of_{told.database}"
    owner = sa.create_engine(told, isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        connection.exec_driver_sql(f"create user {user}")
        connection.exec_driver_sql("revoke create on schema public from public")
        connection.exec_driver_sql(
            f"grant select, insert, update, delete on all tables in schema public to {user}"
        )
        connection.exec_driver_sql(f"grant usage on all sequences in schema public to {user}")
    owner.dispose()
    os.environ["AELP_DAGSTER_URL"] = url.replace("//tester:", f"//{user}:")
    with open_instance(environment) as instance:
        assert dg.materialize([marts], instance=instance, partition_key="2026-06-01").success
        assert instance.get_materialized_partitions(dg.AssetKey("marts")) == {"2026-06-01"}


def test_only_where_the_storage_is_differs_and_without_a_url_it_is_the_event_log_in_the_home(variables):
    environment = read_environment()
    install_instance(environment)
    on_postgresql = settings_of(environment)
    with pytest.raises(
        SettingsError, match=r"AELP_DAGSTER_URL: unset, but the instance of .* is on PostgreSQL"
    ):
        install_instance(environment, {})
    assert settings_of(environment) == on_postgresql
    (environment.dagster_home / "dagster.yaml").unlink()
    install_instance(environment, {})
    in_the_home = settings_of(environment)
    assert on_postgresql.pop("storage") == {"postgres": {"postgres_url": {"env": "AELP_DAGSTER_URL"}}}
    assert in_the_home.pop("event_log_storage")["class"] == "OpenSqliteEventLog"
    assert on_postgresql == in_the_home


def test_prepare_makes_what_is_missing_and_tells_services_their_variables(variables, capsys):
    with mock.patch("sys.argv", ["aelp", "prepare"]), pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    said = capsys.readouterr().out
    environment = read_environment()
    told = dict(line.split("=", 1) for line in said.splitlines())
    assert told == {"AELP_HOME": str(environment.home), **instance_variables(environment)}
    assert PASSWORD not in said
    assert settings_of(environment)["storage"]
    assert (environment.home / "control.sqlite").is_file()
    assert open_warehouse(environment).exists(INGEST_SLICES.name)
    engine = sa.create_engine(variables["AELP_DAGSTER_URL"], poolclass=sa.pool.NullPool)
    assert {"runs", "event_logs", "job_ticks"} <= set(sa.inspect(engine).get_table_names())


@pytest.mark.parametrize("words", [["as-of", "policy_runs", "2026-06-30"], ["status"], ["costs"]])
@pytest.mark.parametrize(
    ("named", "said"),
    [
        (None, "AELP_DAGSTER_URL: unset, but the instance of"),
        (
            f"postgresql+psycopg2://user:{PASSWORD}@127.0.0.1:1/dagster",
            "127.0.0.1:1/dagster cannot be opened",
        ),
    ],
)
def test_who_only_reads_is_told_in_words_that_the_database_is_missing_or_away(
    variables, capsys, words, named, said
):
    environment = read_environment()
    open_instance(environment).dispose()
    prepare_warehouse(open_warehouse(environment))
    changed = {**os.environ, "AELP_DAGSTER_URL": named or ""}
    with (
        mock.patch.dict(os.environ, changed),
        mock.patch("sys.argv", ["aelp", *words]),
        pytest.raises(SystemExit) as ended,
    ):
        cli.main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert PASSWORD not in told


def test_services_started_together_after_prepare_find_dagster_s_tables_created(tmp_environment):
    with (
        mock.patch.dict(os.environ, {"AELP_HOME": str(tmp_environment.home)}),
        mock.patch("sys.argv", ["aelp", "prepare"]),
        pytest.raises(SystemExit) as ended,
    ):
        cli.main()
    assert not ended.value.code
    revised = [
        sa.create_engine(f"sqlite:///{path}").connect().exec_driver_sql("SELECT * FROM alembic_version").all()
        for path in sorted(tmp_environment.dagster_home.rglob("*.db"))
    ]
    assert [len(revisions) for revisions in revised] == [1, 1, 1]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////tmp/hush", "must be a URL of PostgreSQL"),
        ("postgresql://user:hush@host/dagster", "must be a URL of PostgreSQL"),
        ("postgresql+asyncpg://user:hush@host/dagster", "must be a URL of PostgreSQL"),
        ("hush", "must be a URL of PostgreSQL"),
        ("postgresql+psycopg2://user:hush@127.0.0.1:1/dagster", "127.0.0.1:1/dagster cannot be opened"),
    ],
)
def test_a_database_the_instance_cannot_use_is_refused_before_anything_is_written(tmp_environment, url, said):
    with pytest.raises(SettingsError, match=said) as refused:
        install_instance(tmp_environment, {"AELP_DAGSTER_URL": url})
    assert "AELP_DAGSTER_URL" in str(refused.value)
    assert "hush" not in str(refused.value)
    assert not tmp_environment.home.exists()
