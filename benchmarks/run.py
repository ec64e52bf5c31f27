"""`python -m benchmarks.run`: measure, print a table, keep the figures in benchmarks/results.

Here: which measurements there are and which are due. Not here: any of them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.accounts import Account, Home, scratch_folder
from benchmarks.record import RESULTS, Record, amount, code_hash, load, provenance, save, verdict
from resources.settings import read_environment

SPINE = RESULTS / "spine.json"

Measure = Callable[[], Record]


def small_measurements() -> dict[str, Measure]:
    """Measurements that need no built account: seconds each, the pull minutes."""
    from benchmarks.creative_cold_start import creative_cold_start
    from benchmarks.creative_embeddings import creative_embeddings
    from benchmarks.creative_features import creative_features
    from benchmarks.creative_reruns import creative_reruns
    from benchmarks.decisions import bandit_decisions, closed_form_tails, thompson_choices
    from benchmarks.definitions_load import definitions_load
    from benchmarks.forecast_draws import forecast_draws
    from benchmarks.insights_pull import insights_pull
    from benchmarks.mmm_allocation import mmm_allocation, mmm_allocation_library
    from benchmarks.storage import warehouse_throughput

    return {
        "creative_cold_start": creative_cold_start,
        "creative_embeddings": creative_embeddings,
        "definitions_load": definitions_load,
        "forecast_draws": forecast_draws,
        "mmm_allocation": mmm_allocation,
        "mmm_allocation_library": mmm_allocation_library,
        "bandit_decisions": bandit_decisions,
        "closed_form_tails": closed_form_tails,
        "thompson_choices": thompson_choices,
        "creative_features": creative_features,
        "creative_reruns": creative_reruns,
        "warehouse_throughput": warehouse_throughput,
        "insights_pull": insights_pull,
    }


def studies() -> dict[str, Measure]:
    """Long studies: minutes to an hour, with --evidence or by name only."""
    from benchmarks.bandit_study import bandit_study
    from benchmarks.best_creative import best_creative
    from benchmarks.capacity import capacity
    from benchmarks.closed_loop import closed_loop
    from benchmarks.creative_ranking import creative_ranking
    from benchmarks.fault_soak import fault_soak
    from benchmarks.forecast_coverage import forecast_coverage
    from benchmarks.large_file import large_file
    from benchmarks.mmm_peers.study import mmm_peers
    from benchmarks.mmm_planned_tests import mmm_planned_tests
    from benchmarks.mmm_real import mmm_real
    from benchmarks.mmm_recovery import mmm_recovery
    from benchmarks.mmm_reference import mmm_reference
    from benchmarks.mmm_sampling import mmm_sampling
    from benchmarks.outages import outages
    from benchmarks.simulated_month import simulated_month
    from benchmarks.upworthy_ranking import upworthy_ranking
    from benchmarks.video_openings import video_openings

    return {
        "bandit_study": bandit_study,
        "best_creative": best_creative,
        "capacity": capacity,
        "closed_loop": closed_loop,
        "creative_ranking": creative_ranking,
        "fault_soak": fault_soak,
        "forecast_coverage": forecast_coverage,
        "large_file": large_file,
        "mmm_peers": mmm_peers,
        "mmm_planned_tests": mmm_planned_tests,
        "mmm_real": mmm_real,
        "mmm_recovery": mmm_recovery,
        "mmm_reference": mmm_reference,
        "mmm_sampling": mmm_sampling,
        "simulated_month": simulated_month,
        "outages": outages,
        "upworthy_ranking": upworthy_ranking,
        "video_openings": video_openings,
    }


ACCOUNT_MEASUREMENTS = ("cold_build", "one_new_day", "marts_vs_handwritten")


def on_account(account: Account, wanted: set[str], mornings: int) -> Iterator[Record]:
    """The wanted measurements of one account, all in one home, which is thrown away after."""
    from benchmarks.marts import marts_vs_handwritten
    from benchmarks.spine import cold_build, one_new_day

    home: Home = account.fresh_home()
    try:
        built = cold_build(account, home)  # the others need a built home
        if "cold_build" in wanted:
            yield built
        if "marts_vs_handwritten" in wanted:
            yield marts_vs_handwritten(account, home)
        if "one_new_day" in wanted:
            yield one_new_day(home, mornings)
    finally:
        home.remove()


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument(
        "--evidence", action="store_true", help="all accounts and studies; goes on where it was cut off"
    )
    parser.add_argument("--scale", default="seed", help="account of the quick set: tiny, demo, medium, seed")
    parser.add_argument("--only", action="append", metavar="NAME", help="this measurement; may be repeated")
    parser.add_argument("--again", action="store_true", help="measure even what is there for this code")
    parser.add_argument(
        "--output", type=Path, help="results file (default: in benchmarks/results or AELP_HOME)"
    )
    chosen = parser.parse_args(arguments)
    known = {*small_measurements(), *ACCOUNT_MEASUREMENTS, *studies()}
    wanted = set(chosen.only or (known if chosen.evidence else known - set(studies())))
    if wanted - known:
        parser.error(f"unknown: {', '.join(sorted(wanted - known))}; there are {', '.join(sorted(known))}")
    command = "python -m benchmarks.run " + " ".join(arguments if arguments is not None else sys.argv[1:])
    accounts = (
        [Account("seed"), Account("medium"), Account("medium", history=4)]
        if chosen.evidence
        else [Account(chosen.scale)]
    )
    session = Session(
        chosen.output or (SPINE if chosen.evidence else read_environment().home / "benchmarks.json"),
        command.strip(),
        resume=chosen.evidence and not chosen.again,
    )
    for name, measure in small_measurements().items():
        if name in wanted:
            session.small(name, measure)
    for name, study in studies().items():
        if name in wanted:
            session.small(name, study)
    for account in accounts:
        session.account(account, wanted, mornings=2 if chosen.evidence else 1)
    session.compare_histories()
    shutil.rmtree(scratch_folder(), ignore_errors=True)
    return 0


class Session:
    """One run of the command: records kept in a file as they are made, so that it can be cut off."""

    def __init__(self, path: Path, command: str, resume: bool) -> None:
        self.path = path
        self.command = command
        self.resume = resume
        self.console = Console(highlight=False)
        self.records = load(path)
        self.code = code_hash()

    def small(self, name: str, measure: Measure) -> None:
        if self.resume and any(self._is_there(record, name) for record in self.records.values()):
            self.console.print(f"{name}: there for this code", style="dim")
            return
        self._keep(measure)

    def account(self, account: Account, wanted: set[str], mornings: int) -> None:
        due = {
            name
            for name in wanted & set(ACCOUNT_MEASUREMENTS)
            if not (
                self.resume
                and any(
                    self._is_there(record, name)
                    and record.config == {"scale": account.scale, "history": account.history}
                    for record in self.records.values()
                )
            )
        }
        if not due:
            return
        self.console.print(f"Account {account.name}: writing its exports, then a cold build", style="dim")
        measurements = on_account(account, due, mornings)
        while True:
            made = provenance()
            record = next(measurements, None)
            if record is None:
                return
            self._store(replace(record, command=self.command, provenance=made))

    def compare_histories(self) -> None:
        from benchmarks.spine import history_ratio

        days = {
            (record.config["scale"], record.config["history"]): record
            for record in self.records.values()
            if record.benchmark == "one_new_day" and record.provenance.get("code") == self.code
        }
        for (scale, history), long in days.items():
            if history > 1 and (scale, 1) in days:
                ratio = history_ratio(days[scale, 1], long)
                self._store(replace(ratio, command=self.command, provenance=long.provenance))

    def _is_there(self, record: Record, name: str) -> bool:
        return record.benchmark == name and record.provenance.get("code") == self.code

    def _keep(self, measure: Measure) -> None:
        made = provenance()
        self._store(replace(measure(), command=self.command, provenance=made))

    def _store(self, record: Record) -> None:
        self.records[record.key] = record
        save(self.path, self.records)
        grid = Table(
            title=record.title, title_justify="left", title_style="bold", box=None, header_style="dim"
        )
        for name in ("figure", "value", "unit", "aim"):
            grid.add_column(name, justify="right" if name == "value" else "left")
        for figure in record.figures:
            grid.add_row(figure.name, amount(figure.value), figure.unit, verdict(figure))
        self.console.print(grid)
        if record.note:
            self.console.print(record.note, style="dim")
        self.console.print()


if __name__ == "__main__":
    sys.exit(main())
