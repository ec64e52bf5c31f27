"""Switches of ads, ad groups and keywords: sent to a platform's server, read back by its connector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from resources.connectors.source import Account, Pull
from resources.control.records import Refused
from resources.control.store import open_control_store
from resources.control.writer import Outcome, Writer
from resources.platform_writers.opening import PlatformWriters
from resources.sandbox.servers.account import ServedAccount
from resources.sandbox.servers.faults import FaultScript
from tests.resources.connectors.test_budget_writes import PLATFORMS, TODAY, TOKEN
from tests.resources.control.arm_mornings import LOSING, arm, put_arms
from tests.resources.control.proposing import NINE, TEN, governing
from tests.resources.platform_writers.loopback import SOON, sources_at, variables_at

# Platform, kind of arm, and what its entities are called.
ARMS = (
    ("meta", "ad", "ad"),
    ("meta", "adgroup", "adset"),
    ("google_ads", "ad", "ad"),
    ("google_ads", "adgroup", "ad_group"),
    ("google_ads", "keyword", "keyword"),
)
TOMORROW = NINE + timedelta(days=1)


@dataclass
class Arm:
    """One running arm of a served platform, with the evidence that it loses."""

    platform: str
    kind: str
    arm_id: str
    adgroup_id: str | None
    engine: sa.Engine
    writers: PlatformWriters
    statuses: Callable[[], dict[str, str]]

    def morning(self, at=NINE, **changes: Any) -> Any:
        """What a morning makes of it, beside another arm that runs."""
        common = {
            **{"platform": self.platform, "account_id": PLATFORMS[self.platform].account_id},
            **{"arm_kind": self.kind, "adgroup_id": self.adgroup_id},
        }
        mine = arm(self.arm_id, **(common | changes))
        return put_arms(governing(self.engine, mode="sandbox"), mine, arm("other", **common), at=at)

    def pause(self) -> str:
        """Approved."""
        (proposal_id,) = self.morning(**LOSING).new
        governing(self.engine, mode="sandbox").approve(proposal_id, "sam", "it loses", TEN)
        return proposal_id

    def write(self, at=SOON) -> Outcome:
        governance = governing(self.engine, mode="sandbox")
        (outcome,) = Writer(self.engine, governance, self.writers, lambda: at).apply()
        return outcome


@contextmanager
def serving(name: str, kind: str, entity_type: str, served: ServedAccount, home: Path) -> Iterator[Arm]:
    platform, engine = PLATFORMS[name], open_control_store(f"sqlite:///{home / 'control.sqlite'}")
    with platform.serve(served, TOKEN, FaultScript(())) as server:

        def rows() -> list[dict[str, Any]]:
            source = platform.connect(server, served)
            report = next(r for r in source.reports if r.name.endswith("entities/none"))
            account = Account(platform.account_id, "Northstar", "USD", "America/New_York")
            try:
                pages = list(source.pages(Pull(account, report, TODAY, TODAY)))
            finally:
                getattr(source, "close", lambda: None)()  # Meta's keeps nothing open
            found = pl.concat([page.rows for page in pages], how="diagonal_relaxed")
            return found.filter(pl.col("entity_type") == entity_type).to_dicts()

        def statuses() -> dict[str, str]:
            return {row["entity_id"]: row["status"] for row in rows()}

        runs = next(row for row in rows() if row["status"] in ("ACTIVE", "ENABLED"))
        group, _, own = runs["entity_id"].rpartition("~")
        arm_id = own if kind == "ad" else runs["entity_id"]
        endpoint = server.endpoint if name == "google_ads" else server.url
        sources = sources_at(home, variables_at(name, endpoint, TOKEN))
        with PlatformWriters(sources, "sandbox", timeout_seconds=10.0) as writers:
            yield Arm(name, kind, arm_id, group or None, engine, writers, statuses)
    engine.dispose()


@pytest.mark.parametrize(("name", "kind", "entity_type"), ARMS)
def test_an_arm_is_paused_shown_so_by_the_next_pull_and_started_again(
    name, kind, entity_type, served, tmp_path
):
    with serving(name, kind, entity_type, served, tmp_path) as here:
        before = here.statuses()
        here.pause()
        done = here.write()
        assert (done.status, done.message) == ("applied", None)
        after = here.statuses()
        changed = {entity: status for entity, status in after.items() if before[entity] != status}
        assert list(changed.values()) == ["PAUSED"]
        assert next(iter(changed)).endswith(here.arm_id)
        governance = governing(here.engine, mode="sandbox")
        with pytest.raises(Refused, match="still demands the pause"):
            governance.roll_back(done.change_id, "sam", "I miss it", SOON)
        here.morning(at=TOMORROW, status="paused", p_cac_above_cap=0.5)
        governance.roll_back(done.change_id, "sam", "restated", TOMORROW)
        assert here.write(TOMORROW).status == "applied"
        assert here.statuses() == before


@pytest.mark.parametrize(("name", "kind", "entity_type"), [ARMS[0], ARMS[4]])
def test_an_arm_a_person_paused_first_is_left_alone(name, kind, entity_type, served, tmp_path):
    with serving(name, kind, entity_type, served, tmp_path) as here:
        here.pause()
        # Somebody else's writer, with a store of its own.
        other = open_control_store(f"sqlite:///{tmp_path / 'other.sqlite'}")
        theirs = Arm(name, kind, here.arm_id, here.adgroup_id, other, here.writers, here.statuses)
        theirs.pause()
        assert theirs.write().status == "applied"
        outcome = here.write()
        assert outcome.status == "conflict"
        assert "paused" in str(outcome.message)
        other.dispose()
