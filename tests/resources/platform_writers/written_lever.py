"""A lever on a sandbox server, before people and a writer: proposed, approved, sent, read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from resources.control.governance import Governance
from resources.control.payloads import LeverTarget
from resources.control.store import open_control_store
from resources.control.writer import Outcome, Writer
from resources.platform_writers.opening import PlatformWriters
from resources.sandbox.servers.account import ServedAccount
from resources.sandbox.servers.faults import Fault
from tests.resources.connectors.test_budget_writes import (
    PLATFORMS,
    TOKEN,
    Platform,
    Row,
    a_running_lever,
    running,
)
from tests.resources.control.proposing import NINE, decisions_of, governing, lever, states_of
from tests.resources.platform_writers.loopback import SOON, sources_at, variables_at


@dataclass
class Account:
    """One platform's server with a lever of it before people."""

    name: str
    platform: Platform
    server: Any
    pulled: Callable[[], dict[str, Row]]
    row: Row
    engine: sa.Engine
    writers: PlatformWriters

    @property
    def governance(self) -> Governance:
        return governing(self.engine, mode="sandbox")

    def propose(self, at=NINE, **changes: Any) -> str:
        """The lever's proposal of a morning, approved."""
        row, budget = self.row, Decimal(self.row["budget"])
        states = states_of(
            lever(
                row["lever_id"],
                platform=self.name,
                account_id=self.platform.account_id,
                lever_level=row["lever_level"],
                budget_increment=Decimal(row["budget_increment"]),
                minimum_budget=Decimal(row["minimum_budget"]),
                **dict.fromkeys(("current_budget", "midnight_budget", "budget_7_days_ago"), budget),
                **{"thompson_budget": float(2 * budget)} | changes,
            )
        )
        names = ("lever_level", "entity_id", "entity_name", "currency")
        target = LeverTarget(
            self.name,
            self.platform.account_id,
            row["lever_id"],
            *(row[name] for name in names),
            budget_id=row.get("budget_id"),
        )
        key = (self.name, self.platform.account_id, row["lever_id"])
        governance = self.governance
        (proposal_id,) = governance.propose(
            decisions_of(states), states, {key: target}, as_of_date=at.date(), settings_hash="s", now=at
        ).new
        governance.approve(proposal_id, "sam", "it pays", at)
        return proposal_id

    def writer(self, at=SOON) -> Writer:
        return Writer(self.engine, self.governance, self.writers, lambda: at)

    def write(self, at=SOON) -> Outcome:
        (outcome,) = self.writer(at).apply()
        return outcome

    def shown(self) -> tuple[Decimal, str]:
        row = self.pulled()[self.row["lever_id"]]
        return Decimal(row["budget"]), row["status"]

    def calls(self) -> int:
        """How many writes the server was asked for."""
        asked = self.server.requests
        if self.name == "google_ads":
            return sum(each.method.startswith("Mutate") for each in asked)
        return sum(each.method == "POST" for each in asked)


@contextmanager
def account(
    name: str,
    served: ServedAccount,
    home: Path,
    *faults: Fault,
    timeout_seconds: float = 10.0,
    url: str | None = None,
) -> Iterator[Account]:
    """A platform's server, and a control store at `url`, by default SQLite in `home`."""
    platform = PLATFORMS[name]
    engine = open_control_store(url or f"sqlite:///{home / 'control.sqlite'}")
    with running(platform, served, *faults) as (server, pulled):
        endpoint = server.endpoint if name == "google_ads" else server.url
        sources = sources_at(home, variables_at(name, endpoint, TOKEN))
        with PlatformWriters(sources, "sandbox", timeout_seconds=timeout_seconds) as writers:
            yield Account(name, platform, server, pulled, a_running_lever(pulled()), engine, writers)
    engine.dispose()
