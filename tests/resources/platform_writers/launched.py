"""A launch on Meta's sandbox server, before people and a writer: proposed, approved, made, looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from resources.connectors.meta.credentials import MetaCredentials
from resources.control.governance import Governance
from resources.control.launch_payloads import Launch
from resources.control.payloads import LeverTarget, LeverValue
from resources.control.store import open_control_store
from resources.control.writer import Outcome, Writer
from resources.platform_writers.interface import Made, PlatformWriter
from resources.platform_writers.meta import MetaWriter
from resources.sandbox.servers.account import Served
from resources.sandbox.servers.faults import Fault, FaultScript
from resources.sandbox.servers.meta import MetaServer
from tests.resources.connectors.test_budget_writes import TOKEN
from tests.resources.control.proposing import LAUNCH, NINE, governing, put_launches
from tests.resources.platform_writers.loopback import SOON

EDGES = ("campaigns", "adsets", "adcreatives", "ads")
LATER = SOON + timedelta(minutes=10)


class Paper:
    """A platform in memory that takes the calls of launches, for rounds by the hundred.

    Attributes:
        made: everything created, by id.
    """

    def __init__(self) -> None:
        self.made: dict[str, dict[str, str]] = {}

    def read(self, target: LeverTarget) -> LeverValue:
        raise NotImplementedError(target)

    def close(self) -> None:
        return

    def create(self, request: Mapping[str, Any]) -> str:
        entity_id = str(900 + len(self.made))
        edge = request["path"].rpartition("/")[2]
        self.made[entity_id] = {"edge": edge, "status": "PAUSED", **request["form"]}
        return entity_id

    def send(self, request: Mapping[str, Any]) -> None:
        self.made[request["path"].rpartition("/")[2]].update(request["form"])

    def listed(self, path: str) -> list[tuple[str, str]]:
        _, _, holder, edge = path.split("/")
        return [
            (entity_id, row["name"])
            for entity_id, row in self.living(edge).items()
            if holder.startswith("act_") or holder in (row.get("campaign_id"), row.get("adset_id"))
        ]

    def look(self, kind: str, entity_id: str, currency: str) -> Made:
        row = self.made[entity_id]
        if row["status"] == "DELETED":
            return Made("gone")
        parents = {"adset": "campaign_id", "ad": "adset_id"}
        budget = Decimal(row["daily_budget"]) / 100 if "daily_budget" in row else None
        status = "active" if kind == "creative" else row["status"].lower()
        return Made(status, budget, row.get(parents.get(kind, "")))

    def living(self, edge: str) -> dict[str, dict[str, str]]:
        """What was created in an edge and not deleted."""
        return {
            entity_id: row
            for entity_id, row in self.made.items()
            if row["edge"] == edge and row["status"] != "DELETED"
        }


@dataclass
class Account:
    """Meta's server, a control store in memory, and launches that fit the account."""

    server: MetaServer
    writer_of: PlatformWriter
    engine: sa.Engine = field(default_factory=lambda: open_control_store("sqlite:///:memory:"))

    @property
    def governance(self) -> Governance:
        return governing(self.engine, mode="sandbox")

    def launch(self, name: str = "c1", **changes: Any) -> Launch:
        """A launch the server takes, in a campaign that leaves budgets to its ad sets."""
        entities = self.server.entities
        (campaign, *_) = [row["id"] for row in entities.campaigns() if "daily_budget" not in row]
        image = next(row["image_hash"] for row in entities.creatives() if row["object_type"] == "SHARE")
        about = {"account_id": entities.account()["account_id"], "image_hash": image}
        named = {"launch_id": f"launch_{name}", "creative_id": name, "entity_name": f"AELP | {name}"}
        return replace(LAUNCH, **{"parent_campaign_id": campaign, **about, **named} | changes)

    def approved(self, launch: Launch) -> str:
        """Its proposal, put before people and signed."""
        outcome = put_launches(self.governance, launch)
        assert outcome.left_out == []
        (proposal_id,) = outcome.new
        self.governance.approve(proposal_id, "sam", "worth a try", NINE)
        return proposal_id

    def change(self) -> dict[str, Any]:
        """The newest launch's change."""
        return dict(next(row for row in self.governance.changes() if row["kind"] == "apply"))

    def write(self, at=SOON) -> Outcome:
        """One round of the writer for the one change there is to send."""
        (outcome,) = Writer(self.engine, self.governance, lambda _: self.writer_of, lambda: at).apply()
        return outcome

    def made(self) -> dict[str, list[dict[str, Any]]]:
        """What was made and not deleted, by edge."""
        living = self.server.entities.created.of
        return {
            edge: [row for row in living(edge) if row["status"] != "DELETED"]
            for edge in EDGES
            if any(row["status"] != "DELETED" for row in living(edge))
        }


@contextmanager
def launching(served: Served, *faults: Fault, timeout_seconds: float = 10.0) -> Iterator[Account]:
    """A server of the account, and the writer that calls it."""
    with MetaServer(served, TOKEN, FaultScript(faults), stall_seconds=0.6) as server:
        writer = MetaWriter(MetaCredentials(TOKEN), endpoint=server.url, timeout_seconds=timeout_seconds)
        here = Account(server, writer)
        yield here
        here.engine.dispose()
    assert server._server.errors == []


def paper_launch(name: str, **changes: Any) -> Launch:
    """A launch that paper takes, by default with a campaign of its own."""
    named = {"launch_id": f"launch_{name}", "creative_id": name, "entity_name": f"AELP | {name}"}
    about = {"parent_campaign_id": None, "daily_budget": Decimal("1.01"), **named}
    return replace(LAUNCH, **about | changes)
