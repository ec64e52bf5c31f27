"""What came of people's choices in the place of proposals, and what is to be learnt from them.

Here: reading decisions, snapshots and matured days, calling `models.overrides`. Not here: the mathematics,
and who chose: no person's name leaves the control store's own tables.
"""

from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg
import polars as pl

from aelp_assets.bandits import contributions
from aelp_assets.metadata import asset_key, check, markdown_table, result, table_out
from aelp_assets.ownership import MARKETING_SCIENCE, REVIEW_FRESHNESS
from aelp_assets.partitions import (
    HISTORY_DAYS,
    WAREHOUSE_POOL,
    days_before,
    decision_days,
    morning_of,
    seeded_rng,
)
from models.overrides.choices import find_choices, standing_days
from models.overrides.outcomes import judged_choices, learnings, score_choices
from models.quantiles import out_of_order
from resources.code_version import module_hash, used_by
from resources.settings import Settings
from resources.warehouse.tables import OVERRIDE_LEARNINGS, OVERRIDE_OUTCOMES

_OUTCOMES, _LEARNINGS = str(OVERRIDE_OUTCOMES.name), str(OVERRIDE_LEARNINGS.name)
_CODE = module_hash(*used_by(__name__))
_DECIDED = ("proposals", "approvals", "canary_changes", "canary_budgets_snapshot", "external_edits")
_QUANTILES = [
    *(
        f"{path}_{metric}"
        for path in ("chosen", "proposed")
        for metric in ("signups", "spend", "contribution")
    ),
    "difference",
]
_SHOWN = [
    *("kind", "made_on", "lever_id", "current_budget", "proposed_budget", "chosen_budget", "days"),
    *("realised_contribution", "difference_p10", "difference_p50", "difference_p90", "p_ahead"),
]


@dg.multi_asset(
    name="override_review",
    ins={
        **{name: dg.AssetIn(key=["ops", name]) for name in _DECIDED},
        "bandit_posteriors": dg.AssetIn(
            key=["gaelp_training", "bandit_posteriors"], partition_mapping=days_before(HISTORY_DAYS)
        ),
        "reward_daily": dg.AssetIn(
            key=["gaelp_training", "reward_daily"], partition_mapping=days_before(HISTORY_DAYS)
        ),
        "budget_levers": dg.AssetIn(
            key=["gaelp_training", "budget_levers"], partition_mapping=days_before(HISTORY_DAYS)
        ),
    },
    outs={
        OVERRIDE_OUTCOMES.name.table: table_out(_OUTCOMES, MARKETING_SCIENCE, REVIEW_FRESHNESS, _CODE),
        OVERRIDE_LEARNINGS.name.table: table_out(_LEARNINGS, MARKETING_SCIENCE, REVIEW_FRESHNESS, _CODE),
    },
    check_specs=[
        dg.AssetCheckSpec(
            "override_quantiles_in_order",
            asset=asset_key(_OUTCOMES),
            description="Forecasts of both paths and the difference: p10 <= p50 <= p90.",
        ),
        dg.AssetCheckSpec(
            "nothing_is_said_of_too_few",
            asset=asset_key(_LEARNINGS),
            description="A kind has a difference exactly where there are overrides enough.",
        ),
    ],
    group_name="monitoring",
    partitions_def=decision_days,
    pool=WAREHOUSE_POOL,
)
def override_review(
    context: dg.AssetExecutionContext,
    proposals: pl.DataFrame,
    approvals: pl.DataFrame,
    canary_changes: pl.DataFrame,
    canary_budgets_snapshot: pl.DataFrame,
    external_edits: pl.DataFrame,
    bandit_posteriors: pl.DataFrame,
    reward_daily: pl.DataFrame,
    budget_levers: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.MaterializeResult]:
    """Each matured override of the last half year, scored; and what those of a kind come to."""
    outcomes, learnt = review_overrides(
        (proposals, approvals, canary_changes, canary_budgets_snapshot, external_edits),
        bandit_posteriors,
        reward_daily,
        budget_levers,
        settings,
        morning_of(context),
    )
    wrong = out_of_order(outcomes, _QUANTILES)
    yield result(
        outcomes,
        checks=[
            check(
                "override_quantiles_in_order", wrong == 0, f"{wrong} rows break p10 <= p50 <= p90.", _OUTCOMES
            )
        ],
        columns=_SHOWN,
        key=_OUTCOMES,
    )
    said = learnt.filter(pl.col("difference").is_not_null() != pl.col("is_enough"))
    yield result(
        learnt,
        checks=[
            check(
                "nothing_is_said_of_too_few",
                said.is_empty(),
                f"Of {', '.join(said['kind'])} a mean is told that is not theirs to tell, or is missing.",
                _LEARNINGS,
            )
        ],
        key=_LEARNINGS,
        learnt=markdown_table(learnt.select("sentence")),
    )


def review_overrides(
    decided: Sequence[pl.DataFrame],
    beliefs: pl.DataFrame,
    days: pl.DataFrame,
    levers: pl.DataFrame,
    settings: Settings,
    morning: date,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """OVERRIDE_OUTCOMES and OVERRIDE_LEARNINGS of a morning.

    Args:
        decided: rows of `ops.proposals`, `approvals`, `canary_changes`, `canary_budgets_snapshot` and
            `external_edits`.
        beliefs, days, levers: rows of `bandit_posteriors`, `reward_daily` and `budget_levers`.
    """
    proposals, *rest = decided
    chosen = find_choices(
        proposals.filter(pl.col("as_of_date") < morning), *rest, timezone=settings.business_timezone
    )
    ordered = days.sort("date", "platform", "account_id", "lever_id", "track")  # sums of floats depend on it
    rng = seeded_rng(settings.seed, "override_outcomes", morning)
    scored, differences = score_choices(
        judged_choices(standing_days(chosen, levers), ordered),
        beliefs,
        ordered,
        contributions=contributions(settings),
        elasticity=settings.bandit.elasticity,
        rng=rng,
    )
    dated = pl.lit(morning).alias("as_of_date")
    learnt = learnings(scored, differences, rng)
    return (
        OVERRIDE_OUTCOMES.conform(scored.with_columns(dated)),
        OVERRIDE_LEARNINGS.conform(learnt.with_columns(dated)),
    )
