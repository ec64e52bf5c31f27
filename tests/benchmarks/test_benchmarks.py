"""The benchmarks measure what they say: small slices of each, on the real code."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks.accounts import TODAY, Account, Home
from benchmarks.creative_embeddings import creative_embeddings
from benchmarks.creative_reruns import creative_reruns
from benchmarks.decisions import bandit_decisions, closed_form_tails, thompson_choices
from benchmarks.forecast_draws import forecast_draws
from benchmarks.insights_pull import insights_pull
from benchmarks.large_file import large_file, write_export
from benchmarks.marts import marts_vs_handwritten
from benchmarks.mmm_allocation import mmm_allocation
from benchmarks.processes import CommandFailed, measured
from benchmarks.record import Figure, Record, load, save
from benchmarks.run import Session
from benchmarks.sampled_run import Sampler
from benchmarks.spine import cold_build, history_ratio, one_new_day
from benchmarks.storage import warehouse_throughput
from tests.e2e import homes


def figures(record: Record) -> dict[str, float]:
    return {figure.name: figure.value for figure in record.figures}


# --- small measurements ------------------------------------------------------------------------------


def test_forecast_draws_are_counted_and_set_beside_both_peers() -> None:
    found = figures(forecast_draws(levers=6, days=40, draws=200))
    per_second = found["forecast draws"] * 1e6
    # 6 levers, 7 days, 6 budgets, 200 draws each.
    assert per_second * found["all levers, budgets and dates"] == pytest.approx(6 * 7 * 6 * 200)
    ratio = found["classic triangular draws"] / found["forecast draws"]
    assert found["time, ours / classic"] == pytest.approx(ratio)


def test_the_closed_form_answers_what_sampling_only_comes_near_to() -> None:
    rough = figures(closed_form_tails(arms=50, draws=400))["largest error of sampling"]
    fine = figures(closed_form_tails(arms=50, draws=40_000))["largest error of sampling"]
    assert 0 < fine < rough / 2 < 0.1


def test_a_small_decision_is_timed() -> None:
    found = figures(bandit_decisions(levers=20, draws=480))
    assert found["per lever"] == pytest.approx(found["one morning's decision"] / 20 * 1e3)


def test_aims_hold_for_the_full_size_alone() -> None:
    assert not any(figure.aim for figure in bandit_decisions(levers=20, draws=480).figures)
    assert [figure.aim for figure in closed_form_tails(arms=1000, draws=96).figures].count("≤ 20 ms") == 1


def test_allocations_are_timed_beside_scipy_and_break_no_rule() -> None:
    found = figures(mmm_allocation(channels=4, draws=100, problems=2))
    assert found["allocation under all rules, slowest problem"] > 0
    assert found["rules broken"] == 0
    assert -1e4 < found["scipy's best answer over ours"] <= 0.01


def test_thompson_choices_are_counted_beside_the_library() -> None:
    found = figures(thompson_choices(arms=10, draws=400, pulls=1_000))
    ratio = found["aelp, gamma posteriors"] / found["MABWiser, exact Betas one by one"]
    assert found["aelp / MABWiser"] == pytest.approx(ratio)


def test_embeddings_are_counted_and_a_large_account_reckoned_from_them() -> None:
    found = figures(creative_embeddings(texts=12, pictures=3))
    per_second = found["texts, bundled:minilm-l6-v2-int8"]
    assert found["52,000 texts, reckoned"] * 60 * per_second == pytest.approx(52_000)
    assert found["pictures, bundled:efficientnet-lite0"] > 0


def test_runs_over_creatives_are_timed_and_leave_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELP_BENCH", str(tmp_path))
    found = figures(creative_reruns(creatives=20, new=2))
    assert found["both, nothing new"] == found["embeddings, nothing new"] + found["features, nothing new"]
    assert list(tmp_path.iterdir()) == []


def test_warehouse_throughput_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AELP_BENCH", str(tmp_path))
    assert all(value > 0 for value in figures(warehouse_throughput(rows=5_000)).values())
    assert list(tmp_path.iterdir()) == []


def test_a_pull_brings_every_row_and_says_where_the_time_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELP_BENCH", str(tmp_path))
    # Raises unless rows, spend and the days in the ledger are the server's; dlt is not asked.
    pulled = insights_pull(rows=3_000, scale="tiny", peer=False)
    found, seconds = figures(pulled), pulled.details["busy with, seconds"]
    assert pulled.config == {"scale": "tiny", "rows": 3_000}
    assert found["rows pulled and published"] * found["whole pull"] == pytest.approx(3_000)
    assert sum(seconds.values()) == pytest.approx(found["whole pull"], rel=0.5)
    assert {"HTTP", "answers as rows", "pages and hashes", "publishing"} <= set(seconds)
    assert 0 < found["share the server was busy"] < 1
    assert list(tmp_path.iterdir()) == []


def test_a_large_file_lands_whole_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELP_BENCH", str(tmp_path))
    # Raises unless rows, days and spend in the warehouse are the file's.
    landed = large_file(rows=20_000)
    found = figures(landed)
    assert landed.config == {"rows": 20_000}
    assert found["rows landed"] * found["whole landing"] == pytest.approx(20_000)
    halves = found["of it, reading and checking the file"] + found["of it, publishing"]
    assert 0 < halves < found["whole landing"]
    assert found["peak memory until the file is read"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_large_file_is_as_long_as_asked_for_and_its_spend_is_known(tmp_path: Path) -> None:
    export = write_export(tmp_path / "drop" / "file.csv", 23_457)
    rows = pl.read_csv(export.path, schema_overrides={"Account ID": pl.String, "Ad ID": pl.String})
    assert (rows.height, rows["Reporting starts"].n_unique()) == (export.rows, export.days) == (23_457, 5)
    assert int((rows["Amount spent (USD)"] * 100).round().cast(pl.Int64).sum()) == export.cents
    assert rows["Account ID"].n_unique() == 4
    assert not rows.select("Reporting starts", "Ad ID", "Platform", "Placement").is_duplicated().any()


# --- the instruments -----------------------------------------------------------------------------------


def test_cost_counts_children_and_their_memory(tmp_path: Path) -> None:
    spin = "import time; x = bytearray(60_000_000); end = time.process_time() + 0.4\n"
    spin += "while time.process_time() < end: pass"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {spin!r}], check=True)"
    cost = measured([sys.executable, "-c", parent], {}, tmp_path / "log")
    assert 0.4 <= cost.cpu_seconds < 5
    assert cost.wall_seconds >= 0.4
    assert cost.peak_bytes > 60_000_000


def test_a_failed_command_says_what_it_printed(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="no such thing"):
        measured([sys.executable, "-c", "raise SystemExit('no such thing')"], {}, tmp_path / "log")


def test_the_sampler_gives_time_to_the_innermost_known_place() -> None:
    sampler = Sampler(threading.get_ident())
    sampler.start()
    time.sleep(0.1)  # the first look takes all the time since the process began
    sampler.stage = "one"
    place: dict[str, Any] = {}
    # A file name is all the sampler goes by.
    code = "def work(seconds):\n    end = time.perf_counter() + seconds\n"
    code += "    while time.perf_counter() < end: pass"
    exec(compile(code, "/somewhere/resources/warehouse/duckdb.py", "exec"), {"time": time}, place)
    place["work"](0.3)
    sampler.stop()
    assert 0.25 < sampler.seconds["one", "warehouse"] < 0.6


# --- results ---------------------------------------------------------------------------------------------


def record(benchmark: str, value: float, **config: Any) -> Record:
    names = ("warehouse and model work", "whole command", "CPU time")
    return Record(benchmark, config, [Figure(name, value, "s", "≤ 15 s", value <= 15) for name in names])


def test_results_come_back_as_saved_and_say_which_aims_are_missed(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    kept = {entry.key: entry for entry in (record("a", 1.0, rows=1), record("a", 20.0, rows=2))}
    save(path, kept)
    assert load(path) == kept
    text = path.with_suffix(".md").read_text()
    assert "| whole command | 1 s | ≤ 15 s: met |" in text
    assert "| whole command | 20 s | ≤ 15 s: missed |" in text


def test_evidence_is_resumed_per_code_and_kept_as_it_is_made(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    made: list[int] = []

    def measure() -> Record:
        made.append(1)
        return record("slow", 1.0)

    Session(path, "command", resume=True).small("slow", measure)
    Session(path, "command", resume=True).small("slow", measure)
    assert len(made) == 1
    stored = json.loads(path.read_text())[0]
    assert stored["command"] == "command"
    assert stored["provenance"]["commit"]
    stored["provenance"]["code"] = "of another day"
    path.write_text(json.dumps([stored]))
    Session(path, "command", resume=True).small("slow", measure)
    assert len(made) == 2


def test_histories_are_compared_by_ratio() -> None:
    ratio = history_ratio(
        record("one_new_day", 10.0, scale="medium", history=1),
        record("one_new_day", 11.0, scale="medium", history=4),
    )
    assert figures(ratio)["CPU time, 4× / 1× history"] == pytest.approx(1.1)


# --- a whole account -------------------------------------------------------------------------------------


@pytest.mark.e2e
def test_marts_and_mornings_are_measured_on_a_built_home(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELP_BENCH", str(tmp_path / "scratch"))
    assert homes.TODAY == TODAY
    built, _ = homes.finished(tmp_path_factory.getbasetemp())
    home = Home(Account("tiny"), built.copy(tmp_path / "home").path)

    # Raises unless every column of three marts is equal, row by row.
    compared = figures(marts_vs_handwritten(home.account, home))
    assert compared["rows compared equal"] > 1_000

    mornings = []
    real = Home.morning
    monkeypatch.setattr(Home, "morning", lambda *given: mornings.append(real(*given)) or mornings[-1])
    day = one_new_day(home, mornings=1)
    found = figures(day)
    assert 0 < found["warehouse and model work"] < found["whole command"]
    assert found["busy with dbt"] > found["of it, dbt before and after its models and tests"] > 0
    assert {"decide.bandit", "transform_days.transform"} <= set(day.details["steps, seconds"])
    assert "meta_ad_performance" in day.details["dbt models, seconds"]
    places = sum(value for name, value in found.items() if name.startswith("busy with"))
    assert places == pytest.approx(found["whole command"], rel=0.25)

    # A cold build is the same morning in an empty home: read as one, for this test's sake.
    monkeypatch.setattr(Home, "morning", lambda *_: mornings[0])
    cold = figures(cold_build(home.account, home))
    assert cold["raw to slates"] == found["whole command"]
    assert cold["export rows landed"] > 10_000
