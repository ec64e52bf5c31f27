"""The asset that measures AELP's own raises: applied beside held, and beside windows nothing was done in.

Here: reading draws and lever days, calling `models.experiments`, drawing the sequence. Not here: the draw
itself (`resources.control.holds`), the mathematics.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.bandits import cac_caps, contributions, reward_definition
from aelp_assets.metadata import FRAME, asset_key, check, result, table_metadata
from aelp_assets.ownership import DECISION_FRESHNESS, MARKETING_SCIENCE
from aelp_assets.partitions import WAREHOUSE_POOL, days_before, decision_days, morning_of, same_morning
from models.experiments.lift import (
    METRICS,
    WINDOW_SCHEMA,
    lift_sequence,
    placebo_windows,
    window_outcomes,
)
from resources.code_version import module_hash, used_by
from resources.settings import Settings
from resources.warehouse.tables import APPLY_HOLD_LIFT

MEASURED_DAYS = 730  # a window older than two years no longer counts
_ALPHA = 0.05
NOTHING_SENT = ("shadow", "past")
_COMPARISONS = ("live", "sandbox", *NOTHING_SENT)


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "apply_hold_lift"],
    ins={
        "int_lever_daily": dg.AssetIn(
            key=["intermediate", "int_lever_daily"], partition_mapping=days_before(MEASURED_DAYS)
        ),
        "decision_accounts": dg.AssetIn(key=["ops", "decision_accounts"], partition_mapping=same_morning),
        "apply_hold_assignments": dg.AssetIn(key=["ops", "apply_hold_assignments"]),
    },
    check_specs=[
        dg.AssetCheckSpec(
            "no_lift_where_nothing_was_sent",
            asset=asset_key("gaelp_training.apply_hold_lift"),
            description="A/A: windows in which neither arm was sent show no lift. The interval holds at "
            "every look, so a single morning outside it says that draws, outcomes or weights are wrong.",
        )
    ],
    group_name="governance",
    kinds={"polars"},
    owners=MARKETING_SCIENCE,
    partitions_def=decision_days,
    freshness_policy=DECISION_FRESHNESS,
    metadata=table_metadata("gaelp_training.apply_hold_lift"),
    code_version=module_hash(*used_by(__name__)),
    pool=WAREHOUSE_POOL,
)
def apply_hold_lift(
    context: dg.AssetExecutionContext,
    int_lever_daily: pl.DataFrame,
    decision_accounts: pl.DataFrame,
    apply_hold_assignments: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """The lift of applied raises over held ones so far, with the same of windows nothing was sent in."""
    morning = morning_of(context)
    drawn = {
        mode: apply_hold_assignments.filter(pl.col("mode") == mode).select(WINDOW_SCHEMA.names())
        for mode in _COMPARISONS
    }
    window_days = settings.governance.hold_days
    drawn["past"] = placebo_windows(int_lever_daily, window_days=window_days, seed=settings.seed)
    outcomes = {
        comparison: window_outcomes(
            windows,
            int_lever_daily,
            decision_accounts,
            as_of_date=morning,
            reward=reward_definition(settings),
            contributions=contributions(settings),
            caps=cac_caps(settings),
        )
        for comparison, windows in drawn.items()
    }
    sequences = {
        (comparison, metric): lift_sequence(rows, metric, alpha=_ALPHA)
        for comparison, rows in outcomes.items()
        for metric in METRICS
    }
    table = lift_table(morning, outcomes, sequences)
    seen = table.filter(pl.col("comparison").is_in(NOTHING_SENT) & pl.col("verdict").is_in(["gain", "loss"]))
    return result(
        table,
        plots.lift_sequences({key: rows for key, rows in sequences.items() if key[1] == "net"}),
        [
            check(
                "no_lift_where_nothing_was_sent",
                seen.is_empty(),
                f"A lift shows where nothing was sent: {seen.select('comparison', 'metric').rows()}. Draws, "
                "outcomes or weights are wrong, and so is any lift beside them.",
                "gaelp_training.apply_hold_lift",
                severity=dg.AssetCheckSeverity.WARN,
            )
        ],
        [
            "comparison",
            "metric",
            "windows_applied",
            "windows_held",
            "lift",
            "lift_low",
            "lift_high",
            "verdict",
        ],
    )


def lift_table(
    morning: date,
    outcomes: Mapping[str, pl.DataFrame],
    sequences: Mapping[tuple[str, str], pl.DataFrame],
) -> pl.DataFrame:
    """Rows of `apply_hold_lift`: where each sequence stands on a morning."""
    rows: list[dict[str, Any]] = []
    for (comparison, metric), sequence in sequences.items():
        arms = outcomes[comparison]["arm"]
        last = sequence.row(-1, named=True) if sequence.height else {}
        rows.append(
            {
                "as_of_date": morning,
                "comparison": comparison,
                "metric": metric,
                "windows_applied": int((arms == "apply").sum()),
                "windows_held": int((arms == "hold").sum()),
                "first_window": sequence["as_of_date"].min(),
                "last_window": sequence["as_of_date"].max(),
                "lift": last.get("lift"),
                "lift_low": last.get("lift_low"),
                "lift_high": last.get("lift_high"),
                "confidence": 1 - _ALPHA,
                "verdict": _verdict(last.get("lift_low"), last.get("lift_high")),
            }
        )
    return pl.DataFrame(rows, schema=APPLY_HOLD_LIFT.polars_schema)


def _verdict(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "no window yet"
    return "gain" if low > 0 else "loss" if high < 0 else "open"
