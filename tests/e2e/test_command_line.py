"""`aelp` as people type it: exit codes and words, on folders with little or nothing in them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from resources.settings import PROJECT_ROOT
from tests.e2e.homes import TODAY, Home

pytestmark = [pytest.mark.e2e, pytest.mark.dbt]


def aelp(home: Home, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "aelp"), *arguments],
        cwd=PROJECT_ROOT,
        env={**os.environ, **home.variables(TODAY), **more},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_an_absent_drop_folder_ends_well_and_says_so(tmp_path):
    done = aelp(Home(tmp_path / "home"), "run")
    assert done.returncode == 0, done.stderr
    assert "Nothing to decide" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_folder_of_files_nobody_knows_lists_each_with_the_reason(tmp_path):
    home = Home(tmp_path / "home")
    home.drop.mkdir(parents=True)
    (home.drop / "shopping.csv").write_text("bread,butter\n1,2\n")
    (home.drop / "notes.txt").write_text("call the agency")
    done = aelp(home, "run")
    assert done.returncode == 0, done.stderr
    assert "shopping.csv" in done.stdout
    assert "Nothing to decide" in done.stdout
    reasons = home.sql("select file, reason from ops.quarantine")
    assert reasons["file"].to_list() == ["shopping.csv"]


def test_files_of_any_name_are_reported_once_a_run_and_told_again_on_request(tmp_path):
    """Brackets are no markup, and with a clock that stands still no landing is counted twice."""
    home = Home(tmp_path / "home")
    folder = home.drop / "x ["
    folder.mkdir(parents=True)
    (folder / "q].csv").write_text("bread,butter\n1,2\n")
    for _ in range(3):
        done = aelp(home, "run")
        assert done.returncode == 0, done.stderr
        assert "Files: 1 unrecognised" in done.stdout
        assert "x [/q].csv: not an advertising export" in done.stdout
    assert "x [/q].csv: unrecognised" in aelp(home, "files").stdout
    set_aside = aelp(home, "quarantine", "q].csv")
    assert "whole file refused: Not loaded: not an advertising export" in set_aside.stdout
    (folder / "q].csv").unlink()
    assert "Files: none in the drop folder" in aelp(home, "run").stdout


def test_a_warehouse_held_by_another_process_is_named_with_its_holder_and_left_alone(tmp_path):
    home = Home(tmp_path / "home")
    home.path.mkdir()
    program = (
        "import duckdb, sys\n"
        "connection = duckdb.connect(sys.argv[1])\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(home.database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        done = aelp(home, "run")
    finally:
        holder.communicate(timeout=20)
    assert done.returncode == 2
    assert f"{home.database} is in use by PID {holder.pid}" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert home.tables() == {}


def test_settings_that_cannot_be_used_end_in_one_message(tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((PROJECT_ROOT / "aelp.yaml").read_text() + "\nunknown_key: 1\n")
    done = aelp(Home(tmp_path / "home"), "run", AELP_SETTINGS=str(wrong))
    assert done.returncode == 2
    assert "unknown_key: unknown key" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["demo", "--scale", "[foo"], {}, "'[foo' is not one of"),
        (["demo", "--today", "2026-13-45"], {}, "2026-13-45 is no day; write it as 2026-06-30"),
        (["run"], {"AELP_CLOCK": "yesterday"}, "AELP_CLOCK: must be an ISO 8601 moment"),
        (["run"], {"AELP_CLOCK": "2026-06-30"}, "such as 2026-06-30T00:00:00+00:00 (found '2026-06-30')"),
        (["run"], {"AELP_SETTINGS": "/"}, "/: cannot be read as a settings file"),
        (["ui"], {"AELP_SETTINGS": "/"}, "/: cannot be read as a settings file"),
        (["ui"], {"AELP_CLOCK": "yesterday"}, "AELP_CLOCK: must be"),
        (["real", "/[/x] ["], {}, "/[/x] [: no such folder of exports"),
        (["quarantine", "--rows", "0"], {}, "greater than or equal to 1"),
    ],
)
def test_what_a_person_mistyped_ends_in_one_message_and_exit_code_two(tmp_path, arguments, variables, said):
    done = aelp(Home(tmp_path / "home"), *arguments, **variables)
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    assert said in " ".join(done.stderr.replace("│", "").split())
    assert not (tmp_path / "home").exists()
