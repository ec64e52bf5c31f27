"""What was written through an API to a simulated account: each entity's latest budget and status, and when.

Here: remembering it, for platforms that show edits only as the entity's own last change (TikTok, LinkedIn).
Not here: what a platform accepts (its `writes`), how its lists show it (its `entities`).
The account behind the server is told, too: a living one goes on at what was written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from resources.sandbox.servers.account import Served

_RUNNING = ("ACTIVE", "ENABLE")


@dataclass(frozen=True)
class Written:
    """The latest of what was written to one entity; None: nothing was.

    Attributes:
        budget: in the account's currency.
        status: in the platform's own word.
        moment: of the latest write.
    """

    budget: Decimal | None = None
    status: str | None = None
    moment: datetime | None = None


class WrittenChanges:
    """Accepted writes by entity id.

    Args:
        served: the account; its moment stamps a write.
    """

    def __init__(self, served: Served) -> None:
        self._served = served
        self._latest: dict[str, Written] = {}

    def of(self, entity_id: str) -> Written:
        return self._latest.get(entity_id, Written())

    def add(self, entity_id: str, *, budget: Decimal | None = None, status: str | None = None) -> None:
        """Remember a write; what is not given stays as it was."""
        before = self.of(entity_id)
        self._latest[entity_id] = Written(
            before.budget if budget is None else budget, status or before.status, self._served.now()
        )
        runs = None if status is None else status in _RUNNING
        self._served.take_write(entity_id, budget=budget, runs=runs)

    def last_edit(self, entity_id: str, simulated: datetime) -> datetime:
        """The later of the simulated manager's last edit and the latest write."""
        moment = self.of(entity_id).moment
        return simulated if moment is None else max(simulated, moment)
