"""Experiment assets: split tests that were landed, whether they may be judged, and who won.

Here: reading arms, calling `models.experiments`, drawing. Not here: the mathematics, how a file becomes arms
(`resources.files`), AELP's own randomised holds (`apply_hold`), tests the media mix plans (`media_mix`).
"""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.metadata import asset_key, check, markdown_table, result, table_out
from aelp_assets.ownership import MARKETING_SCIENCE, WEEKLY_FRESHNESS
from aelp_assets.partitions import WAREHOUSE_POOL, decision_days, morning_of
from models.experiments.split_test_results import (
    METRICS,
    shrunk_lifts,
    split_test_results,
    split_test_verdicts,
)
from models.experiments.split_test_validity import TEST, split_test_validity
from resources.code_version import module_hash, used_by
from resources.warehouse.tables import AB_EXPERIMENTS, AB_RESULTS

_EXPERIMENTS, _RESULTS = str(AB_EXPERIMENTS.name), str(AB_RESULTS.name)
_CODE = module_hash(*used_by(__name__))
_ALPHA = 0.05
_SHOWN = [
    *("test_id", "test_name", "metric", "last_day", "arms", "units", "sample_ratio_p", "verdict", "winner"),
    *("winner_lift", "reasons"),
]
_RESULTS_SHOWN = [
    *(
        "test_id",
        "metric",
        "arm",
        "is_control",
        "outcomes",
        "exposures",
        "rate",
        "lift",
        "lift_low",
        "lift_high",
    ),
    *("expected_lift", "p_adjusted"),
]
_COUNTS = sorted({column for metric in METRICS for column in (metric.outcomes, metric.exposures)})


@dg.multi_asset(
    name="split_tests",
    ins={"int_experiment_cells": dg.AssetIn(key=["intermediate", "int_experiment_cells"])},
    outs={
        table.name.table: table_out(str(table.name), MARKETING_SCIENCE, WEEKLY_FRESHNESS, _CODE)
        for table in (AB_EXPERIMENTS, AB_RESULTS)
    },
    check_specs=[
        dg.AssetCheckSpec(
            "an_invalid_test_has_no_winner",
            asset=asset_key(_EXPERIMENTS),
            description="Only a valid test has a winner, and it has one exactly where its verdict says so.",
        ),
        dg.AssetCheckSpec(
            "tests_were_split_as_planned",
            asset=asset_key(_EXPERIMENTS),
            description="No test is invalid; each that is, is named with what speaks against it.",
        ),
        dg.AssetCheckSpec(
            "intervals_hold_their_lift",
            asset=asset_key(_RESULTS),
            description="Each lift lies inside its interval, and each test and metric has one control.",
        ),
    ],
    group_name="experiments",
    partitions_def=decision_days,
    pool=WAREHOUSE_POOL,
)
def split_tests(
    context: dg.AssetExecutionContext, int_experiment_cells: pl.DataFrame
) -> Iterator[dg.MaterializeResult]:
    """Every split test with periods that ended before the morning: validity, lifts, verdict."""
    experiments, results = judge_split_tests(int_experiment_cells, morning_of(context))
    wrong = experiments.filter(
        (pl.col("winner").is_not_null() != (pl.col("verdict") == "winner"))
        | (pl.col("winner").is_not_null() & ~pl.col("is_valid"))
    )
    invalid = experiments.filter(~pl.col("is_valid")).sort("last_day", descending=True)
    yield result(
        experiments,
        plots.split_test_lifts(results, experiments),
        [
            check(
                "an_invalid_test_has_no_winner",
                wrong.is_empty(),
                f"{wrong.height} tests have a winner they may not: {wrong['test_id'].head(5).to_list()}.",
                _EXPERIMENTS,
            ),
            check(
                "tests_were_split_as_planned",
                invalid.is_empty(),
                f"{invalid.height} of {experiments.height} tests are invalid; the newest, "
                f"{_first(invalid, 'test_id')}: {_first(invalid, 'reasons')}. Mend how users are split and "
                "run it again; no formula repairs what it shows.",
                _EXPERIMENTS,
                metadata={
                    "invalid": markdown_table(invalid.select("test_id", "last_day", "units", "reasons"))
                },
                severity=dg.AssetCheckSeverity.WARN,
            ),
        ],
        _SHOWN,
        _EXPERIMENTS,
        verdicts=markdown_table(experiments["verdict"].value_counts(sort=True)),
    )
    outside = results.filter(
        (pl.col("lift") < pl.col("lift_low")) | (pl.col("lift") > pl.col("lift_high"))
    ).height
    controls = results.group_by(*TEST, "metric").agg(pl.col("is_control").sum())
    crowded = controls.filter(pl.col("is_control") != 1).height
    yield result(
        results,
        checks=[
            check(
                "intervals_hold_their_lift",
                not outside and not crowded,
                f"{outside} lifts lie outside their interval; {crowded} tests and metrics lack one control.",
                _RESULTS,
            )
        ],
        columns=_RESULTS_SHOWN,
        key=_RESULTS,
    )


def judge_split_tests(cells: pl.DataFrame, morning: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """AB_EXPERIMENTS and AB_RESULTS of a morning.

    Args:
        cells: rows of `int_experiment_cells`; periods that are not over are left out.
    """
    known = (
        cells.filter(pl.col("period_end") < morning)
        .with_columns(pl.col(*_COUNTS, "planned_share").cast(pl.Float64))
        .sort(*TEST, "arm", "period_start", "hour", "segment")
    )
    if known.is_empty():
        return (
            pl.DataFrame(schema=AB_EXPERIMENTS.polars_schema),
            pl.DataFrame(schema=AB_RESULTS.polars_schema),
        )
    validity = split_test_validity(known)
    results = split_test_results(known, alpha=_ALPHA)
    about = known.group_by(TEST).agg(
        pl.col("test_name", "kind", "track", "primary_metric").drop_nulls().first(),
        pl.col("period_start").min().alias("first_day"),
        pl.col("period_end").max().alias("last_day"),
    )
    tests = validity.join(about, on=TEST)
    verdicts = split_test_verdicts(tests, results, alpha=_ALPHA)
    dated = pl.lit(morning).alias("as_of_date")
    judged = tests.join(verdicts, on=TEST)
    results = (
        results.join(judged.select(*TEST, primary="metric", is_valid="valid"), on=TEST)
        .with_columns(
            (pl.col("metric") == pl.col("primary")).fill_null(False).alias("is_primary"),
            pl.lit(1 - _ALPHA).alias("confidence"),
        )
        .pipe(_with_expected_lifts)
    )
    won = judged.join(
        results.filter("is_primary").select(*TEST, winner="arm", winner_lift="expected_lift"),
        on=[*TEST, "winner"],
        how="left",
    )
    experiments = won.with_columns(
        pl.col("valid").alias("is_valid"),
        pl.concat_str(
            pl.col("verdict_reasons").list.join("; ").replace("", None),
            "time_note",
            separator="; ",
            ignore_nulls=True,
        )
        .replace("", None)
        .alias("reasons"),
    )
    return (
        AB_EXPERIMENTS.conform(
            experiments.with_columns(dated).sort(TEST).select(AB_EXPERIMENTS.column_names)
        ),
        AB_RESULTS.conform(
            results.with_columns(dated).sort(*TEST, "metric", "arm").select(AB_RESULTS.column_names)
        ),
    )


def _with_expected_lifts(results: pl.DataFrame) -> pl.DataFrame:
    """`expected_lift` of valid tests, metric by metric."""
    told = results.filter(pl.col("is_valid"), pl.col("log_lift").is_not_null())
    parts = [
        rows.select(
            *(*TEST, "metric", "arm"),
            (shrunk_lifts(rows["log_lift"], rows["standard_error"]).exp() - 1).alias("expected_lift"),
        )
        for rows in told.partition_by("metric", maintain_order=True)
    ]
    if not parts:
        return results.with_columns(pl.lit(None, dtype=pl.Float64).alias("expected_lift"))
    return results.join(pl.concat(parts), on=[*TEST, "metric", "arm"], how="left")


def _first(rows: pl.DataFrame, column: str) -> str:
    return "" if rows.is_empty() else str(rows[column][0])
