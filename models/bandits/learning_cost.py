"""What an edit costs while the platform learns again, and whether the edit repays it.

Here: the cost, and a request's worth beside it. Not here: rules no request can override
(`models.guardrails`); safety stops and cuts for a cap are theirs and wait for no repayment.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from models.bandits.evidence import LEVER_KEY
from models.rewards import FloatArray

_KEY = list(LEVER_KEY)


@dataclass(frozen=True)
class LearningCost:
    """Expected loss of an edit: a share of the lever's spend on each day the platform learns.

    A step of more than `large_step` (of the budget in force) makes platforms start over, so it costs
    `large_step_loss_share`. What an edit gains counts for `repaid_within_days`.

    Raises:
        ValueError: a share outside [0, 1], a large step that costs less, or days that are not positive.
    """

    days: float = 7.0
    loss_share: float = 0.01
    large_step: float = 0.20
    large_step_loss_share: float = 0.20
    repaid_within_days: float = 28.0

    def __post_init__(self) -> None:
        if not 0 <= self.loss_share <= self.large_step_loss_share <= 1 or not self.large_step > 0:
            raise ValueError(
                "learning cost: needs 0 <= loss_share <= large_step_loss_share <= 1, large_step > 0"
            )
        if not (self.days > 0 and self.repaid_within_days > 0):
            raise ValueError("learning cost: days and repaid_within_days must be positive")

    def of_edit(self, current: pl.Expr, proposed: pl.Expr) -> pl.Expr:
        """Dollars lost by editing `current` to `proposed` (dollars a day); 0 where nothing is edited."""
        step = ((proposed - current) / current).abs()
        # A hair above: a step of exactly 20 % in cents is not a large one.
        share = pl.when(step > self.large_step + 1e-9).then(self.large_step_loss_share)
        cost = share.otherwise(self.loss_share) * self.days * proposed
        return pl.when((proposed == current) | (proposed == 0)).then(0.0).otherwise(cost)

    def least_step_value(self, step: FloatArray) -> FloatArray:
        """Value a day, per dollar of budget in force, from which a small step (a fraction) repays itself."""
        return self.loss_share * self.days * (1 + step) / self.repaid_within_days


def unpaid_edits(
    plan: pl.DataFrame, requests: pl.DataFrame, cost: LearningCost
) -> dict[tuple[str, str, str], str]:
    """Raises and cuts that gain less than their learning costs, each with that reason in words.

    Args:
        plan: rows of `plan_decisions`.
        requests: platform, account_id, lever_id, marginal_value (dollars of contribution that one more budget
            dollar brings, net of what it is worth elsewhere). A lever without one is left out.
        cost: the learning cost.
    """
    current, proposed = (pl.col(name).cast(pl.Float64) for name in ("current_budget", "proposed_budget"))
    edits = (
        plan.filter(pl.col("type").is_in(["raise", "cut"]))
        .join(requests.select(*_KEY, "marginal_value"), on=_KEY, how="inner")
        .with_columns(
            gain=pl.col("marginal_value") * (proposed - current) * cost.repaid_within_days,
            cost=cost.of_edit(current, proposed),
        )
        .filter(pl.col("gain") < pl.col("cost"))
    )
    return {
        (row["platform"], row["account_id"], row["lever_id"]): (
            f"a step to {row['proposed_budget']:,.2f} would gain {max(row['gain'], 0):,.2f} in "
            f"{cost.repaid_within_days:g} days and cost {row['cost']:,.2f} while the platform learns"
        )
        for row in edits.iter_rows(named=True)
    }
