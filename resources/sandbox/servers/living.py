"""A simulated account that goes on: what is written to it decides what happens next.

Here: the budgets in force and the days lived at them. Not here: the laws of the world (`kernel`), what a
platform accepts (its server).

From its first live day the account's manager rests: budgets move by writes alone. A day is lived at what is
in force when it is lived, so a morning's writes hold for that whole day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import numpy as np

from resources.sandbox.build import Simulated
from resources.sandbox.business import draw_business
from resources.sandbox.catalogue import SCALES
from resources.sandbox.kernel import Run
from resources.sandbox.laws import FloatArray
from resources.sandbox.orders import backend_orders
from resources.sandbox.servers.account import BudgetEdit, ServedAccount


@dataclass
class _InForce:
    """Dollars a day and whether it runs, by lever."""

    budget: FloatArray
    runs: np.ndarray[tuple[int], np.dtype[np.bool_]]


class LivingAccount(ServedAccount):
    """A business with a history up to `today`, lived on from there one day at a time.

    Args:
        scale: of the sandbox.
        seed: of the world.
        today: the first live day.
        now: the servers' present moment, with its zone.
    Raises:
        KeyError: unknown scale.
    """

    def __init__(self, scale: str, seed: int, today: date, now: Callable[[], datetime]) -> None:
        self._business = business = draw_business(SCALES[scale], seed, today)
        history = business.budgets[: business.days]
        self._run = Run(business, history[0])
        for budgets in history:
            self._run.advance(budgets)
        self._lever_of = {entity: lever for lever, entity in enumerate(business.levers.entity_id)}
        last_paid = np.where(history > 0, np.arange(len(history))[:, None], 0).max(axis=0)
        self._in_force = _InForce(history[last_paid, np.arange(history.shape[1])].copy(), history[-1] > 0)
        super().__init__(self._simulated(), now)

    def in_force(self) -> FloatArray:
        """Dollars by lever that a day lived now is lived at; 0 where paused."""
        return np.where(self._in_force.runs, self._in_force.budget, 0.0)

    def live(self) -> None:
        """Live through the next day at the budgets in force."""
        self._run.advance(self.in_force())
        self.simulated = self._simulated()
        self.__dict__.pop("reports", None)

    def take_write(self, entity_id: str, *, budget: Decimal | None, runs: bool | None) -> None:
        """Let the lever of this entity go on at the budget or switch written.

        Raises:
            ValueError: the entity carries no budget, so the world would not notice.
        """
        lever = self._lever_of.get(entity_id)
        if lever is None:
            raise ValueError(f"{entity_id} carries no budget: the world has no such lever")
        if budget is not None:
            self._in_force.budget[lever] = float(budget)
        if runs is not None:
            self._in_force.runs[lever] = runs

    def budget_edits(self, platform: int) -> Sequence[BudgetEdit]:
        """The manager's, all before the first live day; later ones are in the servers' own logs."""
        first = self._business.date_of(self._business.days)
        return [edit for edit in super().budget_edits(platform) if edit.moment.date() < first]

    def _simulated(self) -> Simulated:
        ledger = self._run.ledger()
        return Simulated(self._business, ledger, backend_orders(self._business, ledger))
