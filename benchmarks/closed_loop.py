"""Thirty mornings with the loop closed: decide, approve, send, live the day at what was written, pull.

Here: the month and what is asked of it at its end. Not here: the living account (`resources.sandbox`), any
part of the loop itself: every morning is `aelp run` in a process of its own on what the servers serve.

Every open proposal is approved by the simulated approver; on one morning a change is rolled back. The same
world lived at its first morning's budgets is the comparison.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from unittest import mock
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import yaml

from aelp_assets.governance import apply_changes, open_governance
from benchmarks.accounts import TODAY, sandbox_seed, scratch_folder
from benchmarks.processes import measured
from benchmarks.record import Figure, Record
from resources.clock import FixedClock
from resources.connectors.registry import open_sources
from resources.control.governance import Governance
from resources.control.signing import key_variable
from resources.sandbox.catalogue import TRACKS
from resources.sandbox.laws import FloatArray
from resources.sandbox.servers.account import ACCOUNT_ZONE
from resources.sandbox.servers.living import LivingAccount
from resources.sandbox.servers.platforms import served_platforms
from resources.sandbox.servers.shop import write_shop
from resources.sandbox.truth import true_levers
from resources.settings import PROJECT_ROOT, Settings, load_settings, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.schema import TableName

APPROVER = "simulator"
_SOURCES = ("meta", "google_ads", "tiktok", "linkedin", "orders")
_RUN = [str(Path(sys.executable).with_name("aelp")), "run"]
_HISTORY_DAYS = 60  # of it that is pulled on the first morning
_MATURED_DAYS = 14


@dataclass
class Day:
    """One morning: what was approved, what became of it, and the budgets the day was lived at."""

    morning: date
    approved: int
    outcomes: dict[str, int]
    rolled_back: list[str]
    in_force: FloatArray
    seconds: float


@dataclass
class Month:
    """A closed loop under way.

    Attributes:
        path: AELP_HOME; emptied first.
        scale: of the sandbox.
        today: the first live morning.
    """

    path: Path
    scale: str
    today: date = TODAY
    days: list[Day] = field(default_factory=list)

    def __post_init__(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        (self.path / "drop").mkdir(parents=True)
        self._write_settings()
        self._now = self._nine(self.today)
        self.account = LivingAccount(self.scale, sandbox_seed(), self.today, lambda: self._now)
        self.before = self.account.in_force()

    @property
    def settings(self) -> Settings:
        return load_settings(self.path / "aelp.yaml")

    def _write_settings(self) -> None:
        """The project's own, in sandbox mode, signed by the simulated approver, over what has money."""
        told = yaml.safe_load((PROJECT_ROOT / "aelp.yaml").read_text())
        told["governance"] = {"mode": "sandbox", "approvers": [{"name": APPROVER, "kind": "simulated"}]}
        told["sources"] = {
            name: {**told["sources"][name], "backfill_days": _HISTORY_DAYS, "calls_per_hour": 100_000}
            for name in _SOURCES
        }
        (self.path / "aelp.yaml").write_text(yaml.safe_dump(told, sort_keys=False))

    def _nine(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, 9, tzinfo=ZoneInfo(ACCOUNT_ZONE))

    @contextmanager
    def entered(self, served: Mapping[str, str]) -> Iterator[None]:
        """This process, and those it starts, in the month's home at its present moment."""
        own = {
            "AELP_HOME": str(self.path),
            "AELP_SETTINGS": str(self.path / "aelp.yaml"),
            "AELP_DROP": str(self.path / "drop"),
            "AELP_CLOCK": self._now.isoformat(),
            key_variable(APPROVER): "the simulated approver's key, good in the sandbox alone",
        }
        others = {k: v for k, v in os.environ.items() if not k.startswith(("AELP_", "DAGSTER_"))}
        with mock.patch.dict(os.environ, {**others, **served, **own}, clear=True):
            yield

    def live(self, days: int, roll_back_on: int | None = None) -> None:
        """Go through so many mornings and days.

        Args:
            roll_back_on: number of the morning on which one applied raise is rolled back; None: none is.
        Raises:
            CommandFailed: a morning failed; its log is in the home.
        """
        with served_platforms(self.account, self.path / "sandbox") as served:
            for number in range(days):
                morning = self.today + timedelta(days=number)
                self._now = self._nine(morning)
                write_shop(self.account, self.path / "sandbox" / "shop.sqlite")
                with self.entered(served):
                    cost = measured(_RUN, {}, self.path / "logs" / f"{morning}.log")
                    undone = self._roll_back() if number == roll_back_on else []
                    approved, outcomes = self._decide_and_send()
                self.days.append(
                    Day(morning, approved, outcomes, undone, self.account.in_force(), cost.wall_seconds)
                )
                self.account.live()
            self._now = self._nine(self.today + timedelta(days=days))
            write_shop(self.account, self.path / "sandbox" / "shop.sqlite")
            with self.entered(served):
                measured(_RUN, {}, self.path / "logs" / "last.log")

    def _governance(self) -> Governance:
        return open_governance(read_environment(), self.settings)

    def _decide_and_send(self) -> tuple[int, dict[str, int]]:
        governance = self._governance()
        # The month is about budgets: arms stay as they are, and a launch, paused until a person switches it
        # on, would only hold room.
        waiting = [row for row in governance.proposals(self._now) if row["status"] == "pending"]
        pending = [row for row in waiting if row["type"] in ("raise", "cut", "stop")]
        for row in pending:
            governance.approve(
                row["proposal_id"], APPROVER, "the simulated month approves everything", self._now
            )
        environment, settings = read_environment(), self.settings
        sources = open_sources(environment, settings, FixedClock(self._now))
        sent = apply_changes(environment, settings, sources)
        counts: dict[str, int] = {}
        for outcome in sent:
            counts[outcome.status] = counts.get(outcome.status, 0) + 1
        return len(pending), counts

    def _roll_back(self) -> list[str]:
        """The oldest applied raise not followed by another change (what the stop rule demanded stays)."""
        governance = self._governance()
        applied = [c for c in governance.changes() if c["kind"] == "apply" and c["status"] == "applied"]
        levers = [change["lever_id"] for change in applied]
        raised = [
            c
            for c in applied
            if _spends(c["after"]) > _spends(c["before"]) and levers.count(c["lever_id"]) == 1
        ]
        if not raised:
            return []
        return governance.roll_back(raised[-1]["change_id"], APPROVER, "the month's one rollback", self._now)

    # --- what it must show ---------------------------------------------------------------------------

    def budgets_without_a_change(self) -> list[str]:
        """Lever-days whose budget moved although no applied change says so, or not to what it says."""
        business = self.account.simulated.business
        written = self._written()
        wrong, before = [], self.before
        for day in self.days:
            for lever, (old, new) in enumerate(zip(before, day.in_force, strict=True)):
                told = written.get((day.morning, business.levers.id[lever]), old)
                if abs(told - new) > 1e-9:
                    wrong.append(f"{day.morning} {business.levers.id[lever]}: {old} -> {new}, told {told}")
            before = day.in_force
        return wrong

    def _written(self) -> dict[tuple[date, str], float]:
        """What each applied change or rollback says its lever spends at most, by day; the last of a day."""
        with self.entered({}):
            changes = self._governance().changes()
        said = {}
        for change in reversed(changes):
            if change["status"] not in ("applied", "rolled_back"):
                continue
            day = datetime.fromtimestamp(change["finished_at"], ZoneInfo(ACCOUNT_ZONE)).date()
            said[day, change["lever_id"]] = _spends(change["after"])
        return said

    def table(self, dotted: str) -> pl.DataFrame:
        with self.entered({}):
            return open_warehouse(read_environment()).read(TableName.parse(dotted))

    def contribution(self, budgets_held: bool) -> dict[str, float]:
        """Spend, incremental orders and contribution over the live days, by the world's own truth.

        Args:
            budgets_held: of the same world lived at the first morning's budgets throughout.
        """
        account = self.account
        if budgets_held:
            account = LivingAccount(self.scale, sandbox_seed(), self.today, lambda: self._now)
            for _ in self.days:
                account.live()
        business, ledger = account.simulated.business, account.simulated.ledger
        truth = true_levers(business, ledger, business.days, business.days + len(self.days) - 1)
        worth = {name: track.contribution_per_signup for name, track in self.settings.tracks.items()}
        each = truth["track"].replace_strict(worth, return_dtype=pl.Float64) * truth["incremental_orders"]
        return {
            "spend": float(truth["spend"].sum()),
            "orders": float(truth["incremental_orders"].sum()),
            "contribution": float(each.sum() - truth["spend"].sum()),
        }

    def coverage(self) -> dict[str, tuple[int, float]]:
        """Scored lever-days and share inside p10-p90, of what each morning forecast for its own day.

        Signups only of days that have matured since.
        """
        scored = self.table("gaelp_training.forecast_vs_actual").filter(
            pl.col("as_of_date") == pl.col("target_date"), pl.col("actual_spend").is_not_null()
        )
        reward = self.settings.reward
        matured = self.today + timedelta(days=len(self.days) - _MATURED_DAYS)
        signups = (
            pl.col("actual_conversions_click").cast(pl.Float64) * reward.click_incrementality_mean
            + pl.col("actual_conversions_view").cast(pl.Float64) * reward.view_incrementality_mean
        )
        old = scored.filter(pl.col("target_date") < matured).with_columns(actual_signups=signups)
        return {
            name: (rows.height, float(rows.select(inside.mean()).item() or np.nan))
            for name, rows in (("spend", scored), ("signups", old))
            for inside in [
                pl.col(f"actual_{name}")
                .cast(pl.Float64)
                .is_between(pl.col(f"{name}_p10"), pl.col(f"{name}_p90"))
            ]
        }


def _spends(state: str) -> float:
    """Dollars a day at a change's before or after."""
    told = json.loads(state)
    return 0.0 if told["status"] == "paused" else float(told["budget"])


def closed_loop(days: int = 30, scale: str = "demo", roll_back_on: int = 12) -> Record:
    """A month with the loop closed, and what became of it.

    Raises:
        CommandFailed: a morning failed.
    """
    month = Month(scratch_folder() / "closed_loop", scale)
    month.live(days, roll_back_on)
    return month_record(month)


def month_record(month: Month) -> Record:
    """The month's figures."""
    unexplained = month.budgets_without_a_change()
    lived, held = month.contribution(budgets_held=False), month.contribution(budgets_held=True)
    counts: dict[str, int] = {}
    for day in month.days:
        for status, count in day.outcomes.items():
            counts[status] = counts.get(status, 0) + count
    seconds = np.array([day.seconds for day in month.days])
    covered = month.coverage()
    figures = [
        Figure("mornings", len(month.days), ""),
        Figure("proposals approved", sum(day.approved for day in month.days), ""),
        *(Figure(f"changes {status}", count, "") for status, count in sorted(counts.items())),
        Figure("rollbacks", sum(len(day.rolled_back) for day in month.days), "", ">= 1", None),
        Figure(
            "lever-days whose budget moved without an applied change",
            len(unexplained),
            "",
            "0",
            not unexplained,
        ),
        *(
            Figure(f"forecasts of the day's {name} inside p10-p90 ({rows} lever-days)", 100 * share, "%")
            for name, (rows, share) in covered.items()
        ),
        Figure("spend", lived["spend"], "$"),
        Figure("spend, budgets held", held["spend"], "$"),
        Figure("incremental orders", lived["orders"], ""),
        Figure("incremental orders, budgets held", held["orders"], ""),
        Figure("contribution after spend", lived["contribution"], "$"),
        Figure("contribution after spend, budgets held", held["contribution"], "$"),
        Figure("a morning", float(np.median(seconds)), "s"),
    ]
    daily = [
        {
            "morning": day.morning.isoformat(),
            "approved": day.approved,
            **day.outcomes,
            "rolled_back": len(day.rolled_back),
            "budget": float(day.in_force.sum()),
            "seconds": round(day.seconds, 1),
        }
        for day in month.days
    ]
    return Record(
        "closed_loop",
        {"days": len(month.days), "scale": month.scale},
        figures,
        "Simulated business; every proposal approved by the simulated approver in sandbox mode. Truth is the "
        f"simulation's; tracks {', '.join(track.name for track in TRACKS)}.",
        {"unexplained": unexplained, "days": daily},
    )
