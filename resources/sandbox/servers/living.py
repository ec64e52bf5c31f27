"""A simulated account that goes on: what is written to it decides what happens next.

Here: the budgets in force and the days lived at them. Not here: the laws of the world (`kernel`), what a
platform accepts (its server).

From its first live day the account's manager rests: budgets move by writes alone. A day is lived at what is
in force when it is lived, so a morning's writes hold for that whole day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
    """Dollars a day and whether it runs, by lever; which ads and ad sets are switched off themselves."""

    budget: FloatArray
    runs: np.ndarray[tuple[int], np.dtype[np.bool_]]
    off: set[str] = field(default_factory=set)


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
        self._arms = {*business.ads.id, *business.adsets.id}
        last_paid = np.where(history > 0, np.arange(len(history))[:, None], 0).max(axis=0)
        self._in_force = _InForce(history[last_paid, np.arange(history.shape[1])].copy(), history[-1] > 0)
        super().__init__(self._simulated(), now)

    def in_force(self) -> FloatArray:
        """Dollars by lever that a day lived now is lived at; 0 where paused."""
        return np.where(self._in_force.runs, self._in_force.budget, 0.0)

    def live(self) -> None:
        """Live through the next day at the budgets in force."""
        self._run.advance(self.in_force(), self._resting())
        self.simulated = self._simulated()
        self.__dict__.pop("reports", None)

    def take_write(self, entity_id: str, *, budget: Decimal | None, runs: bool | None) -> None:
        """Let the lever of this entity go on at what was written, or the ad or ad set be switched.

        Raises:
            ValueError: the entity carries no budget and is no ad, so the world would not notice.
        """
        lever = self._lever_of.get(entity_id)
        if lever is None and budget is None and entity_id in self._arms:
            (self._in_force.off.discard if runs else self._in_force.off.add)(entity_id)
            return
        if lever is None:
            raise ValueError(f"{entity_id} carries no budget: the world has no such lever")
        if budget is not None:
            self._in_force.budget[lever] = float(budget)
        if runs is not None:
            self._in_force.runs[lever] = runs

    def _resting(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Ads that do not deliver, whatever their lever does."""
        ads, adsets, off = self._business.ads, self._business.adsets, self._in_force.off
        return np.array(
            [ad in off or adsets.id[adset] in off for ad, adset in zip(ads.id, ads.adset, strict=True)]
        )

    def budget_edits(self, platform: int) -> Sequence[BudgetEdit]:
        """The manager's, all before the first live day; later ones are in the servers' own logs."""
        first = self._business.date_of(self._business.days)
        return [edit for edit in super().budget_edits(platform) if edit.moment.date() < first]

    def _simulated(self) -> Simulated:
        ledger = self._run.ledger()
        return Simulated(self._business, ledger, backend_orders(self._business, ledger))
