"""The file-drop sensor over a real folder: one landing per state of the folder."""

import os

import dagster as dg
import pytest

from resources.settings import read_environment
from sensors.file_drop import dropped_files, folder_state, read_cursor


@pytest.fixture
def environment(tmp_path):
    return read_environment({"AELP_HOME": str(tmp_path)})


@pytest.fixture
def drop(environment):
    environment.drop_folder.mkdir(parents=True)
    (environment.drop_folder / "june.csv").write_text("Day,Cost\n2026-06-01,1\n")
    return environment.drop_folder


def tick(environment, cursor=None):
    with dg.build_sensor_context(cursor=cursor, resources={"environment": environment}) as context:
        return dropped_files(context)


def asked(result):
    return [request.run_key for request in result.run_requests or []]


def test_the_first_tick_asks_for_one_landing(environment, drop):
    assert len(asked(tick(environment))) == 1


def test_an_unchanged_folder_asks_for_nothing_and_says_why(environment, drop):
    first = tick(environment)
    second = tick(environment, first.cursor)
    assert asked(second) == []
    assert second.skip_reason.skip_message == "no file changed"
    assert second.cursor == first.cursor


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


def test_a_tick_repeated_with_the_old_cursor_repeats_its_run_key(environment, drop):
    # Dagster launches one run per key: a tick that crashed after asking does not land twice.
    assert asked(tick(environment)) == asked(tick(environment))


@pytest.mark.parametrize("cursor", ["not json", "[]", "null", '{"folder": 7}', '"text"', ""])
def test_an_unreadable_cursor_is_a_first_tick(environment, drop, cursor):
    assert asked(tick(environment, cursor)) == asked(tick(environment))
    assert asked(tick(environment, tick(environment, cursor).cursor)) == []


@pytest.mark.parametrize("exists", [True, False])
def test_an_empty_or_absent_folder_asks_for_nothing(environment, exists):
    if exists:
        (environment.drop_folder / "empty").mkdir(parents=True)
    result = tick(environment)
    assert asked(result) == []
    assert "empty" in result.skip_reason.skip_message


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
    assert read_cursor(tick(environment).cursor) == state
