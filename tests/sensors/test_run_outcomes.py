"""Failed runs over a real instance and control store: told once, with the cause, until they heal."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from aelp_assets.alerts import LOCAL_UI, scrubber, ui_address
from aelp_assets.run_failures import what
from resources.clock import FixedClock, SystemClock
from resources.control.store import NOTIFICATIONS, control_url, open_control_store
from resources.notifier import DeliveryFailed
from resources.settings import PROJECT_ROOT, load_settings, read_environment
from resources.warehouse.interface import WarehouseLocked
from sensors.run_outcomes import run_outcomes

SETTINGS = load_settings(PROJECT_ROOT / "aelp.yaml")
CLOCK = FixedClock(datetime(2026, 6, 30, 13, tzinfo=UTC))
DAYS = dg.DailyPartitionsDefinition(start_date="2026-06-01")
FAULTS: list[Exception] = []
WORKS = dg.DagsterRunStatus.SUCCESS
ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("aelp"), "__repository__"),
    "decide",
)


@dg.asset(key=["gaelp_training", "placement_baselines"], partitions_def=DAYS)
def baselines() -> None:
    if FAULTS:
        raise FAULTS[0]


@dg.asset_check(asset=["gaelp_training", "placement_baselines"], blocking=True)
def nobody_may_be_decided_on() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, description="No account may be decided on: meta/1 is stale.")


@dg.asset_check(
    asset=["gaelp_training", "placement_baselines"], name="nobody_may_be_decided_on", blocking=True
)
def somebody_may_be_decided_on() -> dg.AssetCheckResult:
    if FAULTS:
        raise FAULTS[0]
    return dg.AssetCheckResult(passed=True)


def job_named(name, *checks):
    job = dg.define_asset_job(name, dg.AssetSelection.all() | dg.AssetSelection.all_asset_checks())
    return dg.Definitions([baselines], asset_checks=checks, jobs=[job]).resolve_job_def(name)


DECIDE, GUARD, BLOCKED = (
    job_named("decide"),
    job_named("guard_spend"),
    job_named("decide", nobody_may_be_decided_on),
)


@dg.asset(key=["gaelp_training", "bandit_decisions"], deps=[baselines], partitions_def=DAYS)
def decisions() -> None: ...


def decide_and_more(*checks):
    """A job that decides on baselines, and one that only makes them."""
    jobs = [
        dg.define_asset_job("decide", dg.AssetSelection.all() | dg.AssetSelection.all_asset_checks()),
        dg.define_asset_job("refresh_models", dg.AssetSelection.assets(baselines).without_checks()),
    ]
    defs = dg.Definitions([baselines, decisions], asset_checks=checks, jobs=jobs)
    return defs.resolve_job_def("decide"), defs.resolve_job_def("refresh_models")


VIEW = dg.AssetSpec(["staging", "meta_insights"])
MART = dg.AssetSpec(["gaelp_training", "ads_ad_daily"], deps=[VIEW], partitions_def=DAYS)


@dg.multi_asset(specs=[VIEW, MART], backfill_policy=dg.BackfillPolicy.single_run())
def transform():
    if FAULTS:
        raise FAULTS[0]
    yield from (dg.MaterializeResult(spec.key) for spec in (VIEW, MART))


MARTS = dg.Definitions([transform], jobs=[dg.define_asset_job("transform_days", dg.AssetSelection.all())])


@dg.asset(key=["raw", "meta"])
def meta() -> None:
    if FAULTS[1:]:
        raise FAULTS[1]


@dg.asset(key=["raw", "tiktok"])
def tiktok() -> None:
    if FAULTS:
        raise FAULTS[0]


JOBS = dg.Definitions(
    [meta, tiktok],
    jobs=[dg.define_asset_job(name, dg.AssetSelection.all()) for name in ("pull_sources", "transform_days")],
)


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def environment(tmp_path, monkeypatch):
    monkeypatch.delenv("AELP_CONTROL_URL", raising=False)
    monkeypatch.delenv("AELP_UI_URL", raising=False)
    return read_environment({"AELP_HOME": str(tmp_path)})


@pytest.fixture
def tick(environment, instance):
    """A tick from a cursor; returns its cursor."""

    def ticked(cursor=None):
        resources = {"environment": environment, "settings": SETTINGS, "clock": CLOCK}
        with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
            return run_outcomes(context).cursor

    return ticked


@pytest.fixture
def run(instance):
    """Run a job for a morning, failing with a fault where one is given."""

    def ran(job=DECIDE, morning="2026-06-30", fault=None, **tags):
        FAULTS[:] = [fault] if fault else []
        done = job.execute_in_process(
            instance=instance, partition_key=morning, tags=tags, raise_on_error=False
        )
        return done.run_id

    return ran


@pytest.fixture
def ended(instance):
    """A run of a job that ended with a status, as the daemon would have launched it; no step ran."""

    def ends(job, status=dg.DagsterRunStatus.FAILURE, assets=None, is_launched=True, **tags):
        keys = None if assets is None else {dg.AssetKey(["raw", name]) for name in assets}
        run = instance.create_run_for_job(
            JOBS.resolve_job_def(job),
            asset_selection=keys and frozenset(keys),
            remote_job_origin=ORIGIN if is_launched else None,
            tags={name.replace("__", "/"): value for name, value in tags.items()},
        )
        if status is dg.DagsterRunStatus.FAILURE:
            instance.report_run_failed(run, message="The machine went away.")
        else:
            success = dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, run.job_name)
            instance.report_dagster_event(success, run.run_id)
        return run.run_id

    return ends


def told(environment):
    """What was put before people, oldest first: severity, sentence, remedy."""
    engine = open_control_store(control_url(environment.home, {}))
    columns = NOTIFICATIONS.c.severity, NOTIFICATIONS.c.sentence, NOTIFICATIONS.c.remedy
    with engine.begin() as connection:
        rows = connection.execute(sa.select(*columns).order_by(sa.literal_column("rowid"))).all()
    return [tuple(row) for row in rows]


def test_a_failed_run_is_told_with_its_cause_what_to_do_and_where_to_look(environment, tick, run):
    failed = run(fault=ValueError("no baseline of meta"))
    tick()
    ((severity, sentence, remedy),) = told(environment)
    assert severity == "critical", "no decision, no money moved: somebody must know"
    assert sentence.startswith("decide of 2026-06-30 failed at gaelp_training.placement_baselines (")
    assert sentence.endswith("): ValueError: no baseline of meta")
    assert f"re-execute it from failure: http://127.0.0.1:3000/runs/{failed}" in remedy


def test_the_link_leads_where_people_open_the_ui(environment, tick, run, monkeypatch):
    monkeypatch.setenv("AELP_UI_URL", "https://dagster.example.com/prod/")
    failed = run(fault=ValueError("x"))
    tick()
    assert f"https://dagster.example.com/prod/runs/{failed}" in told(environment)[0][2]


def test_a_blocking_check_is_named_with_what_it_found(environment, tick, run):
    run(BLOCKED)
    tick()
    ((_, sentence, remedy),) = told(environment)
    assert "blocking check nobody_may_be_decided_on of gaelp_training.placement_baselines" in sentence
    assert "No account may be decided on: meta/1 is stale." in sentence
    assert remedy.startswith("Mend what the check names")


def test_a_held_warehouse_is_told_without_it_and_says_who_to_end(environment, tick, run):
    run(GUARD, fault=WarehouseLocked("warehouse.duckdb is held by process 4711 (python)"))
    tick()
    ((severity, sentence, remedy),) = told(environment)
    assert severity == "critical", "unguarded spend runs on"
    assert "guard_spend of 2026-06-30 failed" in sentence
    assert "held by process 4711" in sentence
    assert "WarehouseLocked:" not in sentence, "our own errors are sentences"
    assert "end the one it names" in remedy


def test_nothing_new_tells_nothing_and_keeps_the_place(environment, tick, run):
    assert json.loads(tick())["ill"] == {}, "an instance without runs"
    run(fault=ValueError("x"))
    cursor = tick()
    assert tick(cursor) == cursor
    assert len(told(environment)) == 1


def test_a_tick_repeated_with_the_old_cursor_tells_nothing_twice(environment, tick, run):
    before = tick()
    run(fault=ValueError("x"))
    assert tick(before) == tick(before)
    assert len(told(environment)) == 1


@pytest.mark.parametrize("cursor", ["not json", "[]", "null", '{"ill": {"decide": 7}}', '{"since": "x"}'])
def test_an_unreadable_cursor_tells_what_was_told_no_second_time(environment, tick, run, cursor):
    run(fault=ValueError("x"))
    assert tick(cursor) == tick()
    assert len(told(environment)) == 1


def test_the_same_cause_is_told_once_until_it_heals_and_the_healing_too(environment, tick, run):
    cursor = None
    for number, morning in enumerate(("2026-06-28", "2026-06-29", "2026-06-30")):
        run(morning=morning, fault=ValueError(f"row {number} of batch 0123456789ab{number}"))
        cursor = tick(cursor)
    assert len(told(environment)) == 1, "the numbers in it make no new cause"
    run(morning="2026-06-30", fault=TypeError("another cause"))
    cursor = tick(cursor)
    assert len(told(environment)) == 2
    healed = run(morning="2026-06-30")
    cursor = tick(cursor)
    _, sentence, remedy = told(environment)[-1]
    assert "decide of 2026-06-30 works again" in sentence
    assert "had failed 4 times since" in sentence
    assert healed in remedy
    run(morning="2026-06-30", fault=ValueError("row 9 of batch 0123456789ab9"))
    tick(cursor)
    assert len(told(environment)) == 4, "ill again after it was healthy: news"


def test_what_a_cursor_of_before_holds_as_ill_stays_so_until_its_job_works_again(environment, tick, run):
    decide, refresh = decide_and_more()
    then = datetime.now(UTC).timestamp() - 3600
    known = {
        "assets": ["gaelp_training.placement_baselines"],
        "causes": ["0123456789abcdef"],
        "failures": 2,
        "first_at": then,
        "first_run": "11111111-1111-1111-1111-111111111111",
        "job": "decide",
        "last_at": then,
        "parts": [["2026-06-29", "2026-06-29"], ["2026-06-30", "2026-06-30"]],
    }
    cursor = json.dumps({"ill": {"decide": known}, "left": [], "seen": [], "since": then})
    run(refresh)
    cursor = tick(cursor)
    assert told(environment) == [], "it knew what the failed step makes, not that nothing was decided"
    run(decide, "2026-07-01")
    tick(cursor)
    ((_, sentence, _),) = told(environment)
    assert sentence.startswith("decide of 2026-07-01 works again (")
    assert "it had failed 2 times since" in sentence


def test_an_older_morning_heals_nothing(environment, tick, run):
    run(morning="2026-06-30", fault=ValueError("x"))
    cursor = tick()
    run(morning="2026-06-29")
    assert list(json.loads(tick(cursor))["ill"]) == ["decide"]
    assert len(told(environment)) == 1


def test_what_another_job_has_made_since_is_well_and_may_fall_ill_again(environment, tick, run):
    decide, refresh = decide_and_more()
    run(refresh, fault=ValueError("x"))
    cursor = tick()
    run(decide, "2026-06-29")
    cursor = tick(cursor)
    assert len(told(environment)) == 1, "an older morning"
    run(decide)
    cursor = tick(cursor)
    assert json.loads(cursor)["ill"] == {}
    assert told(environment)[-1][1].startswith(
        "Other runs have done what refresh_models of 2026-06-30 was to do; it had failed once since "
    )
    run(refresh, "2026-07-01", fault=ValueError("x"))
    tick(cursor)
    assert len(told(environment)) == 3, "the same cause, and news again"


@pytest.mark.parametrize("checks", [(), (nobody_may_be_decided_on,)])
def test_a_decision_is_not_made_up_for_by_what_it_was_to_rest_on(environment, tick, run, checks):
    decide, refresh = decide_and_more(*checks)
    run(decide, fault=None if checks else ValueError("x"))
    cursor = tick()
    run(refresh)
    assert list(json.loads(tick(cursor))["ill"]) == ["decide"]
    assert len(told(environment)) == 1


def test_what_failed_for_its_check_alone_is_well_once_it_is_made_anew_and_passes(environment, tick, run):
    run(BLOCKED)
    cursor = tick()
    run(job_named("guard_spend", nobody_may_be_decided_on))
    cursor = tick(cursor)
    assert list(json.loads(cursor)["ill"]) == ["decide", "guard_spend"]
    run(job_named("refresh_models", somebody_may_be_decided_on))
    assert json.loads(tick(cursor))["ill"] == {}


def test_a_check_asked_by_itself_that_crashed_is_well_once_it_is_asked_again(
    environment, tick, run, instance
):
    check = somebody_may_be_decided_on.check_key
    defs = dg.Definitions([baselines], asset_checks=[somebody_may_be_decided_on])
    asking = defs.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection=set(), asset_check_selection={check}
    )
    cursor = None
    for _ in range(2):
        FAULTS[:] = [WarehouseLocked("warehouse.duckdb is held by process 4711 (python)")]
        asking.execute_in_process(instance=instance, raise_on_error=False)
        cursor = tick(cursor)
        FAULTS.clear()
        run(GUARD)
        cursor = tick(cursor)
        assert len(json.loads(cursor)["ill"]) == 1, "made, and not asked"
        asking.execute_in_process(instance=instance)
        cursor = tick(cursor)
        assert json.loads(cursor)["ill"] == {}
    assert "held by process 4711" in told(environment)[0][1]
    assert len(told(environment)) == 4, "ill and well again, twice"
    told_by_name = dg.DagsterRun("__ASSET_JOB", asset_check_selection=frozenset({check}))
    assert what(told_by_name) == "Checking gaelp_training.placement_baselines:nobody_may_be_decided_on"


def days(first, last):
    return {
        "dagster__asset_partition_range_start": f"2026-06-{first:02}",
        "dagster__asset_partition_range_end": f"2026-06-{last:02}",
    }


@pytest.fixture
def built(instance):
    """A job builds the marts of a range of days, and fails with a fault where one is given."""

    def builds(job, first, last, fault=None):
        FAULTS[:] = [fault] if fault else []
        tags = {name.replace("__", "/"): value for name, value in days(first, last).items()}
        MARTS.resolve_job_def(job).execute_in_process(instance=instance, tags=tags, raise_on_error=False)

    return builds


def ill_days(cursor):
    """The first and last day of each range that still fails."""
    (ill,) = json.loads(cursor)["ill"].values()
    return [[int(day[-2:]) for day in part[:2]] for part in ill["parts"]]


def test_each_range_of_days_heals_by_itself(environment, tick, ended):
    ended("transform_days", **days(1, 3))
    ended("transform_days", WORKS, **days(29, 30))
    cursor = tick()
    assert len(told(environment)) == 1, "a newer range says nothing of an older one"
    ended("transform_days", **days(10, 12))
    ended("transform_days", WORKS, **days(1, 4))
    cursor = tick(cursor)
    assert list(json.loads(cursor)["ill"]) == ["transform_days"]
    ended("transform_days", WORKS, dagster__partition="2026-06-30")
    cursor = tick(cursor)
    assert len(told(environment)) == 1, "a newer day made none of the older ones"
    ended("transform_days", WORKS, **days(10, 12))
    assert json.loads(tick(cursor))["ill"] == {}
    assert told(environment)[-1][1].startswith("transform_days of 2026-06-10 to 2026-06-12 works again")


def test_days_are_made_up_for_by_themselves_alone_with_the_view_they_are_read_through(
    environment, tick, built
):
    built("transform_days", 10, 10, ValueError("x"))
    built("transform_days", 11, 13, ValueError("x"))
    cursor = tick()
    built("transform_days", 20, 20)
    cursor = tick(cursor)
    assert ill_days(cursor) == [[10, 10], [11, 13]], "the marts of a newer day"
    built("__ASSET_JOB", 10, 11)
    built("__ASSET_JOB", 13, 13)
    cursor = tick(cursor)
    assert ill_days(cursor) == [[11, 13]], "nobody made the twelfth"
    built("__ASSET_JOB", 12, 12)
    assert json.loads(tick(cursor))["ill"] == {}
    assert len(told(environment)) == 2


def test_a_pull_of_one_source_does_not_heal_another(environment, tick, instance, ended):
    FAULTS[:] = [ValueError("HTTP 500")]
    JOBS.resolve_job_def("pull_sources").execute_in_process(instance=instance, raise_on_error=False)
    ended("pull_sources", WORKS, ["meta"])
    cursor = tick()
    assert len(told(environment)) == 1
    ended("pull_sources", WORKS, ["meta", "tiktok"])
    assert json.loads(tick(cursor))["ill"] == {}


def test_an_ad_hoc_run_lost_before_its_first_step_is_healed_by_its_own_assets_alone(environment, tick, ended):
    ended("__ASSET_JOB", assets=["meta"])
    ended("__ASSET_JOB", WORKS, ["tiktok"])
    cursor = tick()
    assert len(told(environment)) == 1
    ended("__ASSET_JOB", assets=["tiktok"])
    cursor = tick(cursor)
    assert len(told(environment)) == 2, "other assets are another illness"
    ended("__ASSET_JOB", WORKS, ["meta"])
    assert list(json.loads(tick(cursor))["ill"]) == ["__ASSET_JOB raw.tiktok"]


def test_a_run_nobody_can_try_again_is_told(environment, tick, ended):
    ended("pull_sources", is_launched=False, dagster__will_retry="true")
    tick()
    assert len(told(environment)) == 1, "begun in a shell: Dagster has no way to launch it"


def test_a_retry_that_could_not_be_launched_is_told(environment, tick, instance, ended):
    run_id = ended("pull_sources", dagster__will_retry="true")
    cursor = tick()
    assert told(environment) == []
    instance.add_run_tags(run_id, {"dagster/will_retry": "false"})
    cursor = tick(cursor)
    assert len(told(environment)) == 1
    assert tick(cursor) == cursor


def test_a_failure_of_which_dagster_has_not_said_whether_it_tries_again_waits_a_tick(
    environment, tick, ended, instance, monkeypatch
):
    monkeypatch.setattr(type(instance), "run_retries_enabled", False)
    ended("transform_days")
    told_later = ended("pull_sources")
    monkeypatch.setattr(type(instance), "run_retries_enabled", True)
    cursor = tick()
    assert told(environment) == []
    instance.add_run_tags(told_later, {"dagster/will_retry": "true"})
    tick(cursor)
    ((_, sentence, _),) = told(environment)
    assert sentence.startswith("transform_days failed"), "whoever should have said it died"


def test_what_heals_between_two_ticks_and_what_dagster_tries_again_is_no_news(environment, tick, run, ended):
    cursor = tick()
    run(fault=ValueError("x"))
    run()
    ended("pull_sources", dagster__will_retry="true")
    assert json.loads(tick(cursor))["ill"] == {}
    assert told(environment) == []


def test_a_run_whose_process_died_says_so(environment, tick, instance):
    run = instance.create_run_for_job(DECIDE, tags={"dagster/partition": "2026-06-30"})
    instance.report_run_failed(run, message="The process of this run (4711@17) is gone.")
    tick()
    ((_, sentence, remedy),) = told(environment)
    assert "decide of 2026-06-30 failed (" in sentence
    assert "The process of this run (4711@17) is gone." in sentence
    assert remedy.startswith("Its process is gone")


def test_an_interrupted_run_says_so(environment, tick, run):
    run(fault=dg.DagsterExecutionInterruptedError())
    tick()
    ((_, sentence, remedy),) = told(environment)
    assert sentence.endswith("it was interrupted: somebody or something ended its process")
    assert remedy.startswith("Its process is gone")


def test_no_secret_is_told(environment, tick, run, monkeypatch):
    monkeypatch.setenv("AELP_META_ACCESS_TOKEN", "EAAB-very-secret")
    monkeypatch.setenv("AELP_CONTROL_URL", f"sqlite:///{environment.home}/control.sqlite")
    run(fault=ValueError("GET /me?access_token=EAAB-very-secret failed; Bearer EAAB-very-secret"))
    tick()
    ((_, sentence, _),) = told(environment)
    assert "very-secret" not in sentence
    assert "[secret]" in sentence


def test_two_sources_that_fail_in_one_run_are_both_told_with_cause_and_remedy(environment, tick, instance):
    FAULTS[:] = [ValueError("HTTP 500"), OSError("No space left on device")]
    JOBS.resolve_job_def("pull_sources").execute_in_process(instance=instance, raise_on_error=False)
    tick()
    ((_, sentence, remedy),) = told(environment)
    assert "raw.meta, raw.tiktok" in sentence
    assert "ValueError: HTTP 500" in sentence
    assert "OSError: No space left on device" in sentence
    assert "Free space on the disk" in remedy
    assert "Read the log of the failed step" in remedy


def test_a_channel_that_refused_once_is_tried_again_whatever_the_clock_of_the_run(
    environment, tick, run, monkeypatch
):
    class Down:
        name, asked = "webhook", 0

        def send(self, message):
            Down.asked += 1
            raise DeliveryFailed("HTTP 503")

    monkeypatch.setattr("aelp_assets.alerts.open_channels", lambda *_: ([Down()], []))
    run(fault=ValueError("x"))
    cursor = tick()
    tick(cursor)
    assert Down.asked == 1
    later = SystemClock().now() + timedelta(minutes=11)
    monkeypatch.setattr(SystemClock, "now", lambda _: later)
    tick(cursor)
    assert Down.asked == 2


def test_a_link_that_holds_a_password_goes_into_no_message():
    for told_address in ("https://pat:hush@dagster.example.com", "https://token@dagster.example.com"):
        assert ui_address({"AELP_UI_URL": told_address}) == LOCAL_UI


@pytest.mark.parametrize(
    "url", ["postgresql://u:hush%40hush@db/aelp", "postgresql://db/aelp?user=u&password=hush%40hush"]
)
def test_the_password_of_a_database_is_told_in_neither_spelling(environment, monkeypatch, url):
    monkeypatch.setenv("AELP_DAGSTER_URL", url)
    assert "hush@hush" not in scrubber(environment)("cannot connect as u with hush@hush")
    assert "hush" not in scrubber(environment)(f"cannot connect to {url}")
