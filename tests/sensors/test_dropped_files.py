"""The file-drop sensor over a real folder: one landing per state of the folder."""

import os
import uuid
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from aelp_assets.jobs import land_files
from resources.clock import FixedClock
from resources.settings import load_settings, read_environment
from sensors.attempts import MAX_ATTEMPTS
from sensors.file_drop import dropped_files, folder_state, read_cursor


@pytest.fixture
def environment(tmp_path):
    return read_environment({"AELP_HOME": str(tmp_path)})


@pytest.fixture
def drop(environment):
    folder = Path(environment.drop_folder)
    folder.mkdir(parents=True)
    (folder / "june.csv").write_text("Day,Cost\n2026-06-01,1\n")
    return folder


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


SETTINGS = load_settings(read_environment().settings_path)


MONDAY = datetime(2026, 6, 29, 12, tzinfo=UTC)


def tick(environment, cursor=None, instance=None, settings=None, now=MONDAY):
    resources = {"environment": environment, "settings": settings or SETTINGS, "clock": FixedClock(now)}
    with nullcontext(instance) if instance else dg.DagsterInstance.ephemeral() as used:
        with dg.build_sensor_context(instance=used, cursor=cursor, resources=resources) as context:
            return dropped_files(context)


def asked(result):
    return [request.run_key for request in result.run_requests or []]


def test_the_first_tick_asks_for_one_landing(environment, drop):
    assert len(asked(tick(environment))) == 1


def test_an_unchanged_folder_asks_for_nothing_and_says_why(environment, drop):
    first = tick(environment)
    second = tick(environment, first.cursor)
    assert asked(second) == []
    assert second.skip_reason.skip_message == "no file, setting or week is new since the last landing"
    assert second.cursor == first.cursor


def test_a_new_week_asks_once_because_the_media_mix_s_weeks_are_landed(environment, drop):
    cursor = tick(environment).cursor
    for days, landings in ((6, 0), (7, 1), (8, 0), (13, 0), (14, 1)):
        result = tick(environment, cursor, now=MONDAY + timedelta(days=days))
        assert len(asked(result)) == landings, days
        cursor = result.cursor


def test_a_new_file_a_changed_file_and_a_removed_file_each_ask_again(environment, drop):
    cursors = [tick(environment).cursor]
    keys = set(asked(tick(environment)))

    def next_tick():
        result = tick(environment, cursors[-1])
        cursors.append(result.cursor)
        assert len(asked(result)) == 1
        keys.update(asked(result))

    (drop / "july.csv").write_text("Day,Cost\n")
    next_tick()
    (drop / "july.csv").write_text("Day,Cost\n2026-07-01,2\n")
    next_tick()
    (drop / "june.csv").unlink()
    next_tick()
    assert len(keys) == 4, "every state of the folder has its own run key"


def test_a_file_touched_but_not_rewritten_asks_again(environment, drop):
    first = tick(environment)
    os.utime(drop / "june.csv", (1_780_000_000, 1_780_000_000))
    assert len(asked(tick(environment, first.cursor))) == 1


def test_a_file_that_may_now_be_read_asks_again(environment, drop):
    (drop / "june.csv").chmod(0)
    first = tick(environment)
    (drop / "june.csv").chmod(0o644)
    second = tick(environment, first.cursor)
    assert len(asked(second)) == 1
    assert asked(tick(environment, second.cursor)) == []


def test_a_tick_repeated_with_the_old_cursor_repeats_its_run_key(environment, drop):
    # Dagster launches one run per key: a tick that crashed after asking does not land twice.
    assert asked(tick(environment)) == asked(tick(environment))


@pytest.mark.parametrize("cursor", ["not json", "[]", "null", '{"folder": 7}', '"text"', ""])
def test_an_unreadable_cursor_is_a_first_tick(environment, drop, cursor):
    assert asked(tick(environment, cursor)) == asked(tick(environment))
    assert asked(tick(environment, tick(environment, cursor).cursor)) == []


@pytest.mark.parametrize("exists", [True, False])
def test_an_empty_or_absent_folder_is_landed_once_for_the_settings_rules(environment, exists):
    if exists:
        (Path(environment.drop_folder) / "empty").mkdir(parents=True)
    first = tick(environment)
    assert len(asked(first)) == 1
    assert asked(tick(environment, first.cursor)) == []


def test_changed_settings_ask_again(environment, drop):
    first = tick(environment)
    other = type(SETTINGS).model_validate({**SETTINGS.model_dump(), "seed": SETTINGS.seed + 1})
    second = tick(environment, first.cursor, settings=other)
    assert len(asked(second)) == 1
    assert asked(second) != asked(first)
    assert asked(tick(environment, second.cursor, settings=other)) == []


def test_the_folder_state_does_not_depend_on_the_order_files_are_listed_in(environment, drop):
    for name in ("b.csv", "a.csv", "sub/c.csv"):
        (drop / name).parent.mkdir(exist_ok=True)
        (drop / name).write_text(name)
    state = folder_state(str(drop))
    times = {path: path.stat().st_mtime_ns for path in drop.rglob("*.csv")}
    for path in sorted(times, reverse=True):  # rewritten in another order, with the same bytes and times
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
        os.utime(path, ns=(times[path], times[path]))
    assert folder_state(str(drop)) == state
    assert read_cursor(tick(environment).cursor) == (
        f"{state}-{SETTINGS.content_hash[:8]}-{MONDAY:%Y-%m-%d}",
        1,
    )


def landed(instance, status):
    """A landing that ended so, whoever started it."""
    run = dg.DagsterRun(job_name=land_files.name, run_id=str(uuid.uuid4()), status=status)
    return instance.add_run(run)


def test_a_failed_landing_is_asked_for_again_a_bounded_number_of_times_and_then_said(
    environment, drop, instance
):
    cursor, keys = None, []
    for _ in range(MAX_ATTEMPTS):
        result = tick(environment, cursor, instance)
        keys += asked(result)
        cursor = result.cursor
        failed = landed(instance, dg.DagsterRunStatus.FAILURE)
    assert len(set(keys)) == len(keys) == MAX_ATTEMPTS, "Dagster launches a run key once"
    for _ in range(3):
        given_up = tick(environment, cursor, instance)
        assert asked(given_up) == []
        said = given_up.skip_reason.skip_message
        assert "files are not landed" in said
        assert failed.run_id[:8] in said
        assert f"{MAX_ATTEMPTS} attempts" in said
    landed(instance, dg.DagsterRunStatus.SUCCESS)  # a person mended it and relaunched it
    assert "no file" in tick(environment, cursor, instance).skip_reason.skip_message


def test_a_changed_folder_is_asked_for_after_the_attempts_are_used_up(environment, drop, instance):
    state = f"{folder_state(str(drop))}-{SETTINGS.content_hash[:8]}-{MONDAY:%Y-%m-%d}"
    landed(instance, dg.DagsterRunStatus.FAILURE)
    cursor = f'{{"attempts": {MAX_ATTEMPTS}, "folder": "{state}"}}'
    assert asked(tick(environment, cursor, instance)) == []
    (drop / "july.csv").write_text("Day,Cost\n")
    assert len(asked(tick(environment, cursor, instance))) == 1


def test_settings_that_are_taken_back_are_landed_again_however_often(environment, drop, instance):
    tried = type(SETTINGS).model_validate({**SETTINGS.model_dump(), "seed": SETTINGS.seed + 1})
    cursor, keys = None, []
    for settings in (SETTINGS, tried, SETTINGS, tried, SETTINGS):
        result = tick(environment, cursor, instance, settings)
        cursor = result.cursor
        keys += asked(result)
        landed(instance, dg.DagsterRunStatus.SUCCESS)
    assert len(set(keys)) == 5, "Dagster launches a run key once"


def test_a_canceled_landing_is_left_to_the_person_who_canceled_it(environment, drop, instance):
    cursor = tick(environment, None, instance).cursor
    landed(instance, dg.DagsterRunStatus.CANCELED)
    result = tick(environment, cursor, instance)
    assert asked(result) == []
    assert "was canceled" in result.skip_reason.skip_message


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
)
def test_nothing_is_asked_for_while_a_landing_is_under_way_and_nothing_is_forgotten(
    environment, drop, instance, status
):
    cursor = tick(environment, None, instance).cursor
    landed(instance, status)
    (drop / "july.csv").write_text("Day,Cost\n")
    waiting = tick(environment, cursor, instance)
    assert asked(waiting) == []
    assert waiting.skip_reason.skip_message == "a landing is under way"
    assert waiting.cursor == cursor
