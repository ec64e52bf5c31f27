"""What runs leave on disk between steps goes after a day, and nothing younger."""

from __future__ import annotations

import os
import time

import dagster as dg

from resources.work_files import StepFiles, clear_left_over


def age(folder, hours: float) -> None:
    moment = time.time() - 3600 * hours
    os.utime(folder, (moment, moment))


def test_only_folders_nobody_touched_for_a_day_go(tmp_path):
    for name, hours in (("old", 25), ("young", 23)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "page.parquet").write_text("x")
        age(tmp_path / name, hours)
    (tmp_path / "note.txt").write_text("a file is nobody's pages")
    age(tmp_path / "note.txt", 100)
    clear_left_over(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"young", "note.txt"}
    clear_left_over(tmp_path / "never made")


def test_a_run_clears_the_values_of_yesterday_s_runs_and_keeps_its_own(tmp_path):
    @dg.op
    def one() -> int:
        return 1

    @dg.op
    def read(one: int) -> int:
        return one + 1

    @dg.job(resource_defs={"io_manager": StepFiles(base_dir=str(tmp_path))})
    def both() -> None:
        read(one())

    earlier = both.execute_in_process()
    age(tmp_path / earlier.run_id, 30)
    later = both.execute_in_process()
    assert later.output_for_node("read") == 2
    assert {path.name for path in tmp_path.iterdir()} == {later.run_id}
