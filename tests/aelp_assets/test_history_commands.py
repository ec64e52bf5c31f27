"""`aelp as-of` and `aelp export` on a small home: mornings decided twice, files, words of refusals."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from unittest import mock

import dagster as dg
import polars as pl
import pytest

from aelp_assets import cli
from aelp_assets.column_sources import MOMENTARY_COLUMNS
from aelp_assets.decision_records import keep_decisions
from aelp_assets.partitions import decision_days
from aelp_assets.runner import open_instance, prepare_warehouse
from resources.history.written import MOMENT_TAG
from resources.settings import Environment, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.content import content_version
from resources.warehouse.interface import Append, ReplacePartitions, ReplaceTable
from resources.warehouse.io_manager import WarehouseIOManager
from resources.warehouse.schema import Table
from resources.warehouse.tables import (
    ACCOUNT_AUDITS,
    ACCOUNTS,
    BANDIT_DECISIONS,
    BANDIT_POSTERIORS,
    INGEST_SLICES,
    NOTIFICATIONS,
    POLICY_RUNS,
    QUARANTINE,
    REWARD_DEFINITIONS,
)

MORNING, NEXT = date(2026, 6, 30), date(2026, 7, 1)
NINE = datetime(2026, 6, 30, 13, tzinfo=UTC)
TEN, ELEVEN = NINE + timedelta(hours=1), NINE + timedelta(hours=2)
TOMORROW = NINE + timedelta(days=1)
FIELDS = {"STRING": "x", "INT64": 1, "FLOAT64": 0.5, "NUMERIC": Decimal(1), "BOOL": False, "TIMESTAMP": NINE}


def row_of(table: Table, morning: date, **said: object) -> pl.DataFrame:
    row = {column.name: FIELDS.get(column.type, morning) for column in table.columns} | said
    return pl.DataFrame([row], schema=table.polars_schema)


def decide(environment, instance: dg.DagsterInstance, morning: date, moment: datetime, budget: int) -> str:
    """What a morning's run leaves behind: rows in its tables, the decisions kept, events; its id."""
    warehouse = open_warehouse(environment)
    partitioned = {"partitions_def": decision_days, "key_prefix": "gaelp_training"}

    def publish(table: Table, rows: pl.DataFrame) -> None:
        warehouse.write(ReplacePartitions(table, rows, morning, morning))

    @dg.asset(name="bandit_decisions", **partitioned)
    def decisions(context: dg.AssetExecutionContext) -> None:
        told = {"proposed_budget": Decimal(budget), "run_id": context.run.run_id}
        rows = row_of(BANDIT_DECISIONS, morning, **told)
        posteriors = row_of(BANDIT_POSTERIORS, morning)
        keep_decisions(environment, morning, rows, posteriors)
        publish(BANDIT_DECISIONS, rows)

    @dg.asset(name="policy_runs", **partitioned)
    def runs(context: dg.AssetExecutionContext) -> None:
        publish(POLICY_RUNS, row_of(POLICY_RUNS, morning, seed=budget, run_id=context.run.run_id))

    @dg.asset(key=["ops", "account_audits"], partitions_def=decision_days)
    def audits() -> pl.DataFrame:
        return row_of(ACCOUNT_AUDITS, morning, statistic=float(budget))

    done = dg.materialize(
        [decisions, runs, audits],
        instance=instance,
        partition_key=morning.isoformat(),
        tags={MOMENT_TAG: moment.isoformat()},
        resources={"io_manager": WarehouseIOManager(warehouse, MOMENTARY_COLUMNS)},
    )
    assert done.success
    return done.run_id


@contextmanager
def entered(folder: Path) -> Iterator[Environment]:
    """This process in a home whose tables are there, on the day after the mornings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AELP_", "DAGSTER_"))}
    now = {"AELP_HOME": str(folder), "AELP_CLOCK": (TOMORROW + timedelta(hours=1)).isoformat()}
    with mock.patch.dict(os.environ, {**clean, **now}, clear=True):
        environment = read_environment()
        prepare_warehouse(open_warehouse(environment))
        yield environment


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The morning of 30 June decided at nine and again at eleven, the next one the day after."""
    folder = tmp_path_factory.mktemp("decided") / "home"
    with entered(folder) as environment:
        aside = row_of(QUARANTINE, MORNING, record="=cmd|'/c calc'!A1", quarantined_at=NINE, line=1)
        later = aside.with_columns(line=pl.lit(2, pl.Int64), quarantined_at=pl.lit(ELEVEN))
        open_warehouse(environment).write(Append(QUARANTINE, QUARANTINE.conform(pl.concat([aside, later]))))
        with open_instance(environment) as instance:
            decide(environment, instance, MORNING, NINE, 100)
            decide(environment, instance, MORNING, ELEVEN, 200)
            decide(environment, instance, NEXT, TOMORROW, 300)
        yield folder


def run(*words: object) -> None:
    """The command as `main` runs it; its refusals end in exit code 2."""
    with mock.patch("sys.argv", ["aelp", *map(str, words)]), pytest.raises(SystemExit) as ended:
        cli.main()
    if ended.value.code:
        raise RuntimeError(ended.value.code)


def budgets(home, tmp_path, moment: datetime, *more: str) -> dict[date, int]:
    target = tmp_path / "decisions.csv"
    run("as-of", "bandit_decisions", moment.isoformat(), "--csv", target, "--replace", *more)
    told = pl.read_csv(target, try_parse_dates=True)
    return {day: int(budget) for day, budget in told.select("as_of_date", "proposed_budget").rows()}


def test_a_morning_decided_twice_is_told_as_it_was_decided_first(home, tmp_path, capsys):
    assert budgets(home, tmp_path, NINE - timedelta(minutes=1)) == {}
    assert budgets(home, tmp_path, TEN) == {MORNING: 100}
    assert "Decided again since, as kept of the run of then: 2026-06-30." in capsys.readouterr().out
    assert budgets(home, tmp_path, ELEVEN) == {MORNING: 200}
    assert "Left out, written only later: 2026-07-01" in capsys.readouterr().out
    assert budgets(home, tmp_path, TOMORROW) == {MORNING: 200, NEXT: 300}
    assert budgets(home, tmp_path, TOMORROW, "--since", "2026-07-01") == {NEXT: 300}


def test_rows_that_are_kept_nowhere_are_refused_with_what_wrote_over_them_and_when(home, capsys):
    with pytest.raises(RuntimeError, match="2"):
        run("as-of", "policy_runs", TEN.isoformat())
    said = capsys.readouterr().err
    assert "gaelp_training.policy_runs as known at 2026-06-30 10:00:00 EDT is not kept" in said
    assert "2026-06-30, known since 2026-06-30 09:00:00 EDT, was written over 2026-06-30 11:00:00 EDT" in said
    run("as-of", "policy_runs", ELEVEN.isoformat())
    assert "1 rows" in capsys.readouterr().out


def test_a_table_without_partitions_that_each_morning_writes_whole_is_refused_once_written_over(
    tmp_path, capsys
):
    def tell(morning: date, moment: datetime) -> None:
        @dg.asset(key=["ops", "notifications"], partitions_def=decision_days)
        def notifications() -> pl.DataFrame:
            return row_of(NOTIFICATIONS, morning, sentence=f"of {morning}")

        done = dg.materialize(
            [notifications],
            instance=instance,
            partition_key=morning.isoformat(),
            tags={MOMENT_TAG: moment.isoformat()},
            resources={"io_manager": WarehouseIOManager(open_warehouse(environment), MOMENTARY_COLUMNS)},
        )
        assert done.success

    with entered(tmp_path / "home") as environment, open_instance(environment) as instance:
        tell(MORNING, NINE)
        run("as-of", "ops.notifications", TEN.isoformat())
        assert "1 rows" in capsys.readouterr().out
        tell(NEXT, TOMORROW)
        run("as-of", "ops.notifications", (NINE - timedelta(hours=1)).isoformat())
        assert "ops.notifications was first written 2026-06-30 09:00:00 EDT" in capsys.readouterr().out
        with pytest.raises(RuntimeError, match="2"):
            run("as-of", "ops.notifications", TEN.isoformat())
        assert "was written over 2026-07-01 09:00:00 EDT" in capsys.readouterr().err
        run("as-of", "ops.notifications", TOMORROW.isoformat())
        assert "1 rows" in capsys.readouterr().out


def test_rows_of_a_run_since_deleted_are_not_told_as_those_of_the_run_before(tmp_path, capsys):
    with entered(tmp_path / "home") as environment, open_instance(environment) as instance:
        decide(environment, instance, MORNING, NINE, 100)
        assert budgets(tmp_path, tmp_path, TEN) == {MORNING: 100}
        instance.delete_run(decide(environment, instance, MORNING, ELEVEN, 200))
        assert budgets(tmp_path, tmp_path, TEN) == {MORNING: 100}  # as kept
        capsys.readouterr()
        for table in ("gaelp_training.policy_runs", "ops.account_audits"):
            with pytest.raises(RuntimeError, match="2"):
                run("as-of", table, TEN.isoformat())
            said = capsys.readouterr().err
            assert f"{table} (2026-06-30) was changed after 2026-06-30 09:00:00 EDT" in said
            assert "by a run that was cut off or deleted" in said


def note_rewards(environment: Environment, content: str) -> None:
    """An event of nine that says this of the reward's rows."""

    @dg.asset(name="reward_definitions", key_prefix="ops")
    def noted() -> dg.MaterializeResult:
        return dg.MaterializeResult(data_version=dg.DataVersion(content))

    with open_instance(environment) as instance:
        assert dg.materialize([noted], instance=instance, tags={MOMENT_TAG: NINE.isoformat()}).success


def test_rules_that_a_cut_off_landing_changed_after_they_were_noted_are_refused(home, capsys):
    warehouse = open_warehouse(read_environment())
    rows = row_of(REWARD_DEFINITIONS, MORNING)
    warehouse.write(ReplaceTable(REWARD_DEFINITIONS, rows))
    note_rewards(read_environment(), content_version(rows))
    run("as-of", "reward_definitions", TEN.isoformat())
    assert "1 rows" in capsys.readouterr().out
    warehouse.write(ReplaceTable(REWARD_DEFINITIONS, pl.concat([rows, rows])))
    with pytest.raises(RuntimeError, match="2"):
        run("as-of", "reward_definitions", TEN.isoformat())
    assert "was changed after 2026-06-30 09:00:00 EDT, when it was noted last" in capsys.readouterr().err


@pytest.mark.parametrize("left_out_then", [None, ["maturity_days"]], ids=["an older hash", "other columns"])
def test_what_another_release_noted_in_its_own_way_is_not_called_changed(tmp_path, capsys, left_out_then):
    rows = row_of(REWARD_DEFINITIONS, MORNING)
    with entered(tmp_path / "home") as environment:
        open_warehouse(environment).write(ReplaceTable(REWARD_DEFINITIONS, rows))
        older = "0123456789abcdef" if left_out_then is None else content_version(rows, left_out_then)
        note_rewards(environment, older)
        run("as-of", "reward_definitions", TEN.isoformat())
    assert "1 rows" in capsys.readouterr().out


def test_accounts_described_anew_since_are_refused_though_no_event_speaks_of_a_pull(home, capsys):
    warehouse = open_warehouse(read_environment())
    known = row_of(INGEST_SLICES, MORNING, completed_at=NINE)
    warehouse.write(Append(INGEST_SLICES, known))
    warehouse.write(ReplaceTable(ACCOUNTS, row_of(ACCOUNTS, MORNING, last_landed_at=NINE)))
    run("as-of", "ops.accounts", TEN.isoformat())
    assert "1 rows" in capsys.readouterr().out
    warehouse.write(ReplaceTable(ACCOUNTS, row_of(ACCOUNTS, MORNING, last_landed_at=ELEVEN)))
    with pytest.raises(RuntimeError, match="2"):
        run("as-of", "ops.accounts", TEN.isoformat())
    assert "of 1 accounts as described now: a landing describes its accounts anew" in capsys.readouterr().err


def test_what_was_set_aside_later_is_not_among_the_rows_and_text_is_no_formula(home, tmp_path, capsys):
    target = tmp_path / "aside.xlsx"
    run("as-of", "quarantine", TEN.isoformat(), "--xlsx", target)
    told = pl.read_excel(target, sheet_name="quarantine")
    assert told.select("line", "record").rows() == [(1, "=cmd|'/c calc'!A1")]
    run("export", "ops.quarantine", "--xlsx", target, "--replace")
    assert pl.read_excel(target, sheet_name="quarantine")["line"].to_list() == [1, 2]


def test_a_file_that_is_there_is_written_over_only_when_told_to(home, tmp_path, capsys):
    target = tmp_path / "mine.xlsx"
    target.write_text("mine")
    for words in (["export", "policy_runs"], ["as-of", "policy_runs", "2026-07-01"]):
        with pytest.raises(RuntimeError, match="2"):
            run(*words, "--xlsx", target)
        assert "is there already; name another file, or say --replace" in capsys.readouterr().err
    assert target.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export", "policy_runs"], "Say where to"),
        (["export", "policy_run", "--csv", "{}/a.csv"], "Did you mean gaelp_training.policy_runs"),
        (["export", 'x" --', "--csv", "{}/a.csv"], "names no table"),
        (["export", "policy_runs", "--xlsx", "{}/a.ods"], "ends in .xlsx"),
        (["export", "policy_runs", "--csv", "{}/nowhere/a.csv"], "a folder that exists"),
        (
            ["export", "ops.approvals", "--csv", "{}/a.csv", "--since", "2026-06-30"],
            "no column says which day",
        ),
        (["export", "ads_ad_daily", "--csv", "{}/a.csv"], "is not built yet"),
        (["as-of", "ops.transformed_days", "soon"], "no moment"),
    ],
)
def test_what_cannot_be_asked_for_is_told_with_what_can(home, tmp_path, capsys, words, said):
    with pytest.raises(RuntimeError, match="2"):
        run(*(word.format(tmp_path) for word in words))
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
