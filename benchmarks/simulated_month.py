"""Thirty days that run themselves on an injected clock, with things going wrong on ten of them.

Here: the lived account, what goes wrong on ten of its days, and what must be true at the end. Not here: who
asks for which run (`unattended`), the loop closed by approvals (`closed_loop`).

The month is kept each evening: cut off, it goes back to the last one and goes on from there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from unittest import mock
from zoneinfo import ZoneInfo

import dagster as dg
import numpy as np
import polars as pl
import yaml
from dagster._core.storage.defs_state.base import set_defs_state_storage
from dagster._core.test_utils import freeze_time

from benchmarks.accounts import sandbox_seed, scratch_folder
from benchmarks.month_findings import (
    rebuilt_without_change,
    refreshed_to_no_effect,
    refreshed_without_change,
    table_of_runs,
    unready_decisions,
    wrong_tables,
)
from benchmarks.record import Figure, Record, code_hash
from benchmarks.unattended import Daemon, Memory, SteppedClock
from resources.connectors.registry import open_sources
from resources.sandbox.build import Simulated, simulate_account
from resources.sandbox.servers.account import ACCOUNT_ZONE, Report, ServedAccount
from resources.sandbox.servers.platforms import served_platforms
from resources.sandbox.servers.shop import write_shop
from resources.sandbox.split_tests import write_split_tests
from resources.settings import PROJECT_ROOT, load_settings, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.interface import Warehouse

FIRST_DAY = date(2026, 10, 16)  # with the night on which New York's clocks are put back
LOOKS: Sequence[str] = (
    "00:00",
    "04:00",
    "05:00",
    "05:30",
    "06:00",
    "07:00",
    "09:00",
    "09:30",
    "12:00",
    "14:00",
    "18:30",
)
"""Moments of a day at which the daemon looks: every schedule's own, and some of the hourly ones'."""
_SOURCES = ("meta", "google_ads", "tiktok", "linkedin", "orders")
_HISTORY_DAYS = 45
_COMPARED_DAYS = 20  # of the history before
_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_TESTS_DROPPED = 2  # day of the month on which split tests' file appears


class Fault:
    """Something goes wrong on a day between two looks (HH:MM), and is mended at the second."""

    name: str
    span: tuple[str, str]

    def begin(self, month: Month) -> None:
        """Break it."""

    def end(self, month: Month) -> None:
        """Mend it."""


class Outage(Fault):
    """A platform does not answer all morning."""

    def __init__(self, source: str) -> None:
        self.name, self.span, self._source = f"{source} does not answer", ("04:00", "14:00"), source

    def begin(self, month: Month) -> None:
        month.variables[f"AELP_{self._source.upper()}_ENDPOINT"] = "http://127.0.0.1:9"

    def end(self, month: Month) -> None:
        del month.variables[f"AELP_{self._source.upper()}_ENDPOINT"]


class RefusedCredentials(Fault):
    """A token is revoked; somebody renews it at noon."""

    def __init__(self, source: str) -> None:
        self.name, self.span, self._source = f"{source} refuses its token", ("00:00", "12:00"), source

    def begin(self, month: Month) -> None:
        month.variables[f"AELP_{self._source.upper()}_ACCESS_TOKEN"] = "revoked"

    def end(self, month: Month) -> None:
        del month.variables[f"AELP_{self._source.upper()}_ACCESS_TOKEN"]


class BadRestatement(Fault):
    """Meta reports a thousand times the clicks it had, and takes it back the same evening."""

    name, span = "meta restates clicks a thousandfold", ("04:00", "14:00")

    def begin(self, month: Month) -> None:
        month.account.distorted = True

    def end(self, month: Month) -> None:
        month.account.distorted = False


class DaemonDown(Fault):
    """Nothing looks from five to noon: schedules are made up for, sensors see what came meanwhile."""

    name, span = "the daemon is down", ("05:00", "12:00")


class FullDisk(Fault):
    """No table can be written in the early morning."""

    name, span = "the disk is full", ("04:00", "06:00")

    def begin(self, month: Month) -> None:
        month.disk_is_full = True

    def end(self, month: Month) -> None:
        month.disk_is_full = False


class TornFile(Fault):
    """Half a file appears in the drop folder, the whole one later."""

    name, span = "a file arrives torn", ("05:00", "09:30")

    def begin(self, month: Month) -> None:
        whole = month.vendor_file()
        month.drop("weekly.csv", whole[: len(whole) // 2 - 3])

    def end(self, month: Month) -> None:
        month.drop("weekly.csv", month.vendor_file())


_HOLDING = "import duckdb, sys, time; duckdb.connect(sys.argv[1]); print('held', flush=True); time.sleep(25)"


class HeldWarehouse(Fault):
    """Somebody else's program holds the warehouse file while a morning is decided."""

    name, span = "another program holds the warehouse", ("09:00", "09:30")

    def begin(self, month: Month) -> None:
        holding = [sys.executable, "-c", _HOLDING, str(month.environment.duckdb_path)]
        self._holder = subprocess.Popen(holding, stdout=subprocess.PIPE)
        assert self._holder.stdout is not None
        self._holder.stdout.readline()

    def end(self, month: Month) -> None:
        self._holder.wait()


def random_faults(rng: np.random.Generator, days: int, faults: int) -> dict[int, Fault]:
    """So many faults on as many different days after the first; every kind before any comes twice."""
    kinds: list[Callable[[], Fault]] = [
        lambda: Outage("meta"),
        lambda: RefusedCredentials("tiktok"),
        BadRestatement,
        DaemonDown,
        FullDisk,
        HeldWarehouse,
        TornFile,
        lambda: Outage("google_ads"),
        lambda: RefusedCredentials("linkedin"),
        lambda: Outage("tiktok"),
    ]
    on = rng.choice(np.arange(1, days), size=faults, replace=False)
    order = [*rng.permutation(7), *rng.permutation(len(kinds))]
    return {int(day): kinds[which]() for day, which in zip(on, order[:faults], strict=True)}


class DistortedAccount(ServedAccount):
    """A served account whose Meta reports may be wrong for a while."""

    distorted = False

    def rows(self, report: Report, first: date, last: date) -> pl.DataFrame:
        frame = super().rows(report, first, last)
        if not self.distorted or "Link clicks" not in frame.columns:
            return frame
        return frame.with_columns(pl.col("Clicks (all)", "Link clicks") * 1000)


@dataclass
class Month:
    """A month under way.

    Attributes:
        path: AELP_HOME, as it was on the evening last lived.
        scale: of the sandbox.
        days: to live.
        faults: what goes wrong, by number of the day.
        looks: moments of each day at which the daemon looks; faults begin and end at such.
        backfill_days: how far back what was never read is wanted.
    """

    path: Path
    scale: str
    days: int
    faults: Mapping[int, Fault]
    looks: Sequence[str] = LOOKS
    backfill_days: int = _HISTORY_DAYS
    variables: dict[str, str] = field(default_factory=dict)
    disk_is_full: bool = False

    def __post_init__(self) -> None:
        self._go_back_to_last_evening()
        (self.path / "drop").mkdir(parents=True, exist_ok=True)
        self.memory = Memory.load(self.path / "daemon.json")
        ticked = self.memory.ticked
        self.clock = SteppedClock(datetime.fromisoformat(ticked) if ticked else self._at(0, "00:00"))
        self.account = DistortedAccount(self.simulated, self.clock.now)
        if not (self.path / "aelp.yaml").exists():
            self._write_settings()

    @cached_property
    def simulated(self) -> Simulated:
        return simulate_account(self.scale, sandbox_seed(), FIRST_DAY, further_days=self.days + 1)

    def _write_settings(self) -> None:
        told = yaml.safe_load((PROJECT_ROOT / "aelp.yaml").read_text())
        told["sources"] = {
            name: {**told["sources"][name], "backfill_days": self.backfill_days, "calls_per_hour": 100_000}
            for name in _SOURCES
        }
        (self.path / "aelp.yaml").write_text(yaml.safe_dump(told, sort_keys=False))

    def _at(self, day: int, look: str) -> datetime:
        hour, minute = map(int, look.split(":"))
        on = FIRST_DAY + timedelta(days=day)
        return datetime(on.year, on.month, on.day, hour, minute, tzinfo=ZoneInfo(ACCOUNT_ZONE))

    # --- what faults move ----------------------------------------------------------------------------

    def drop(self, name: str, content: bytes) -> None:
        (self.path / "drop" / name).write_bytes(content)

    def vendor_file(self) -> bytes:
        """Split tests as a testing tool exports them."""
        scratch = self.path / "tests"
        return write_split_tests(self.simulated.business, scratch).path.read_bytes()

    # --- living --------------------------------------------------------------------------------------

    @contextmanager
    def entered(self, served: Mapping[str, str]) -> Iterator[None]:
        own = {
            "AELP_HOME": str(self.path),
            "AELP_SETTINGS": str(self.path / "aelp.yaml"),
            "AELP_DROP": str(self.path / "drop"),
        }
        others = {k: v for k, v in os.environ.items() if not k.startswith(("AELP_", "DAGSTER_"))}
        with mock.patch.dict(os.environ, {**others, **served, **own}, clear=True):
            yield

    def live(self) -> None:
        """Go through the days that are left."""
        with ExitStack() as stack:
            # Contexts that enter an instance twice leave it here, for definitions made later to ask in vain.
            stack.enter_context(set_defs_state_storage(None))
            served = stack.enter_context(served_platforms(self.account, self.path / "sandbox"))
            stack.enter_context(self.entered(served))
            from aelp_assets.runner import open_instance, prepare_warehouse

            self.environment = read_environment()
            warehouse = open_warehouse(self.environment)
            prepare_warehouse(warehouse)
            instance = open_instance(self.environment)
            daemon = Daemon(self._definitions(served, warehouse), instance, self.clock, self.memory)
            for day in range(self._lived, self.days):
                self._live(daemon, day)
                self.memory.save(self.path / "daemon.json")
                self._keep_evening()

    @property
    def _evening(self) -> Path:
        return self.path.with_name(f"{self.path.name}_evening")

    def _keep_evening(self) -> None:
        staged, earlier = (self._evening.with_suffix(suffix) for suffix in (".new", ".old"))
        shutil.rmtree(staged, ignore_errors=True)
        shutil.copytree(self.path, staged)
        if self._evening.exists():
            self._evening.rename(earlier)
        staged.rename(self._evening)
        shutil.rmtree(earlier, ignore_errors=True)

    def _go_back_to_last_evening(self) -> None:
        """Undo what a day that was cut off left: its dead runs hold their pools, and under a clock that
        stands whoever waits for one waits forever.
        """
        earlier = self._evening.with_suffix(".old")
        if earlier.exists() and not self._evening.exists():
            earlier.rename(self._evening)
        shutil.rmtree(self.path, ignore_errors=True)
        if self._evening.exists():
            shutil.copytree(self._evening, self.path)

    @property
    def _lived(self) -> int:
        ticked = self.memory.ticked
        return 0 if ticked is None else (datetime.fromisoformat(ticked).date() - FIRST_DAY).days + 1

    def _live(self, daemon: Daemon, day: int) -> None:
        fault = self.faults.get(day)
        if day == _TESTS_DROPPED:
            self.drop("split_tests.csv", self.vendor_file())
        for look in self.looks:
            self.clock.moment = self._at(day, look)
            if fault is not None and look == fault.span[0]:
                fault.begin(self)
            if fault is not None and look == fault.span[1]:
                fault.end(self)
            write_shop(self.account, self.path / "sandbox" / "shop.sqlite")
            if isinstance(fault, DaemonDown) and fault.span[0] <= look < fault.span[1]:
                continue
            daemon.tick(self.clock.moment)

    def _definitions(self, served: Mapping[str, str], warehouse: Warehouse) -> dg.Definitions:
        from aelp_assets.definitions import build_defs
        from aelp_assets.ingest.file_drop import open_drop
        from resources.warehouse.io_manager import WarehouseIOManager

        settings = load_settings(self.environment.settings_path)
        sources = replace(
            open_sources(self.environment, settings, self.clock),
            pacing_clock=self.clock,
            sleep=lambda _: None,
            variables=_Overlaid(served, self.variables),
        )
        filling = _FillingUp(warehouse, self)
        return build_defs(
            {
                "clock": self.clock,
                "sources": sources,
                "drop": open_drop(self.environment, settings, self.clock),
                "warehouse": filling,
                "io_manager": WarehouseIOManager(filling),
            }
        )

    # --- what it must show ---------------------------------------------------------------------------

    def untroubled(self) -> Warehouse:
        """A home that read the same days of the same account once, at the month's last moment."""
        home = self.path.with_name(f"{self.path.name}_untroubled")
        lived = (self.clock.moment.date() - FIRST_DAY).days
        other = Month(home, self.scale, self.days, {}, backfill_days=self.backfill_days + lived)
        other.clock.moment = self.clock.moment
        other.drop("split_tests.csv", self.vendor_file())
        with ExitStack() as stack:
            served = stack.enter_context(served_platforms(other.account, home / "sandbox"))
            stack.enter_context(other.entered(served))
            from aelp_assets.runner import open_instance, prepare_warehouse, stale_ranges

            other.environment = read_environment()
            warehouse = open_warehouse(other.environment)
            prepare_warehouse(warehouse)
            with freeze_time(self.clock.moment):
                write_shop(other.account, home / "sandbox" / "shop.sqlite")
                defs, instance = other._definitions(served, warehouse), open_instance(other.environment)
                for job in ("pull_sources", "land_files"):
                    assert defs.resolve_job_def(job).execute_in_process(instance=instance).success
                for first, last in stale_ranges(warehouse, self.clock.moment.date()):
                    days = {_RANGE_START: first.isoformat(), _RANGE_END: last.isoformat()}
                    job = defs.resolve_job_def("transform_days")
                    assert job.execute_in_process(instance=instance, tags=days).success
        return warehouse

    @property
    def warehouse(self) -> Warehouse:
        with self.entered({}):
            return open_warehouse(read_environment())


class _Overlaid(Mapping[str, str]):
    """Variables with some of them changed for a while."""

    def __init__(self, below: Mapping[str, str], above: Mapping[str, str]) -> None:
        self._below, self._above = below, above

    def __getitem__(self, key: str) -> str:
        return self._above[key] if key in self._above else self._below[key]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._below, **self._above})

    def __len__(self) -> int:
        return len({**self._below, **self._above})


class _FillingUp:
    """The warehouse, whose disk is full while the month says so."""

    def __init__(self, warehouse: Warehouse, month: Month) -> None:
        self._warehouse, self._month = warehouse, month

    def __getattr__(self, name: str):
        if self._month.disk_is_full and name in ("write", "ensure_tables"):
            raise OSError(28, "No space left on device")
        return getattr(self._warehouse, name)


def simulated_month(days: int = 30, scale: str = "tiny", faults: int = 10) -> Record:
    """A month that ran itself, and what became of it."""
    planned = random_faults(np.random.default_rng(sandbox_seed()), days, faults)
    # By code: a month half lived by other code is none.
    month = Month(scratch_folder() / f"simulated_month_{code_hash()}", scale, days, planned)
    month.live()
    return month_record(month)


def month_record(month: Month) -> Record:
    """The month's figures and its table of runs."""
    from aelp_assets.definitions import build_defs

    runs, lived = month.memory.runs, month.warehouse
    wrong = wrong_tables(lived, month.untroubled(), FIRST_DAY - timedelta(days=_COMPARED_DAYS))
    rebuilt = rebuilt_without_change(runs, lived)
    refreshed = refreshed_without_change(runs, build_defs().resolve_asset_graph())
    idle = refreshed_to_no_effect(runs)
    asked = sum(run.job == "conditions" for run in runs)
    unready = unready_decisions(runs, lived)
    decided = lived.query("select distinct as_of_date from gaelp_training.bandit_decisions").height
    conditions = [s for name in ("model_refresh", "creative_refresh") for s in month.memory.ticks[name]]
    went_wrong = "; ".join(f"day {day}: {fault.name}" for day, fault in sorted(month.faults.items()))
    figures = [
        Figure("days", month.days, ""),
        Figure("days on which something went wrong", len(month.faults), ""),
        Figure("runs", len(runs), ""),
        Figure("runs that failed", sum(not run.succeeded for run in runs), ""),
        Figure("mornings decided", decided, "", f"{month.days}", decided == month.days),
        Figure("marts that differ from an untroubled home's", len(wrong), "", "0", not wrong),
        Figure("days rebuilt without a change of theirs or beside it", len(rebuilt), "", "0", not rebuilt),
        Figure("partitions refreshed without a change", len(refreshed), "", "0", not refreshed),
        Figure("runs that conditions asked for", asked, ""),
        Figure("of these, runs that changed no row", len(idle), ""),
        Figure("decisions on stale or refused inputs", len(unready), "", "0", not unready),
        Figure("ticks of sensors that failed", len(month.memory.failed_ticks), ""),
        Figure("an automation tick, median", float(np.median(conditions)), "s", "<= 1 s", None),
        Figure("an automation tick, slowest", max(conditions), "s", "<= 1 s", max(conditions) <= 1),
        Figure("a day", sum(run.seconds for run in runs) / month.days, "s"),
    ]
    return Record(
        "simulated_month",
        {"days": month.days, "scale": month.scale},
        figures,
        f"Faults: {went_wrong}.",
        {
            "table_of_runs": table_of_runs(runs),
            "wrong_tables": wrong,
            "rebuilt_without_change": rebuilt,
            "refreshed_without_change": refreshed,
            "refreshed_to_no_effect": idle,
            "unready_decisions": unready,
            "failed_ticks": month.memory.failed_ticks,
        },
    )
