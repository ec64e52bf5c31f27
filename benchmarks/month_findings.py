"""What must be true of a month that ran itself: tables, numbers of runs, decisions.

Here: questions to the warehouse, the log of runs and a home that never saw a fault. Not here: living the
month (`simulated_month`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime

import dagster as dg
import polars as pl

from benchmarks.unattended import Ran
from resources.ledger import contiguous
from resources.warehouse.interface import Warehouse
from resources.warehouse.schema import TableName

_UNDATED = date(1970, 1, 1)
BUILT = [
    "ads_ad_daily",
    "ads_campaign_daily",
    "context_daily",
    "creative_objects",
    "creative_history",
    "meta_ad_performance",
    "meta_ad_performance_by_place",
    "ads_campaign_performance",
    "ads_conversion_action_stats",
    "orders",
    "platform_vs_backend",
    "reward_daily",
    "unified_ctr",
    "creative_video_views",
    "mmm_input_weekly",
]
"""Marts whose rows follow from the account alone; the others say when something became known."""
_AS_KNOWN = {
    "creative_objects": ["first_seen"],
    "reward_daily": [
        "completion",
        "completion_sd",
        "corrected_click_conversions",
        "corrected_view_conversions",
        "reward",
    ],
}
"""Columns that do, too: who reads an account late has followed no conversion as it came."""
_READ_UNTIL = 28
"""The shortest lookback, in days: who reads an account late has read older days at a greater age."""

_CHANGES = """
select
    coalesce(report_date, date '1970-01-01') as report_date,
    date_trunc('second', completed_at) as completed_at
from ops.ingest_slices
where status = 'complete' and data_batch_id = batch_id
"""
"""When days changed, by the walked clock: what came while it stood is numbered by microseconds after it."""


def wrong_tables(lived: Warehouse, untroubled: Warehouse, since: date) -> dict[str, int]:
    """Rows of each mart that one home has and the other has not, in either direction; only marts with any.

    A mart empty in both is among them, with 0: nothing was compared.
    """
    found = {}
    for table in BUILT:
        ours, theirs = (_comparable(home, table, since) for home in (lived, untroubled))
        columns = ours.columns
        apart = ours.join(theirs, on=columns, how="anti", nulls_equal=True).height
        apart += theirs.join(ours, on=columns, how="anti", nulls_equal=True).height
        if apart or ours.height != theirs.height or theirs.is_empty():
            found[table] = apart
    return found


def _comparable(home: Warehouse, table: str, since: date) -> pl.DataFrame:
    rows = home.read(TableName("gaelp_training", table)).drop(_AS_KNOWN.get(table, []))
    if "date" in rows.columns:
        rows = rows.filter(pl.col("date") >= since)
    if "age" in rows.columns:
        rows = rows.with_columns(pl.col("age").clip(upper_bound=_READ_UNTIL))
    return rows


def rebuilt_without_change(runs: Sequence[Ran], warehouse: Warehouse) -> list[str]:
    """Days whose marts a run rebuilt although no slice of theirs had changed since their last build.

    Not those between two changed days of a week: a range is run through such gaps, because starting dbt
    costs more than the SQL of a day (`resources.ledger.contiguous`).
    """
    changes = warehouse.query(_CHANGES).sort("completed_at")
    undated = changes.filter(pl.col("report_date") == _UNDATED)["completed_at"].to_list()
    by_day: dict[date, list[datetime]] = {}
    for day, moment in changes.iter_rows():
        by_day.setdefault(day, []).append(moment)
    built: dict[date, datetime] = {}
    excess = []
    for run in _successful(runs, "transform_days"):
        moment = datetime.fromisoformat(run.moment)
        days = sorted({date.fromisoformat(partition) for _, partition in run.brought if partition})
        due = [
            day
            for day in days
            if day not in built
            or any(built[day] < change <= moment for change in [*by_day.get(day, []), *undated])
        ]
        ranges = contiguous(due)
        excess += [
            f"{run.moment} {day}" for day in days if not any(first <= day <= last for first, last in ranges)
        ]
        built |= dict.fromkeys(days, moment)
    return excess


def refreshed_without_change(runs: Sequence[Ran], graph: dg.AssetGraph) -> list[str]:
    """Partitions that conditions asked for although nothing they read had been brought since."""
    brought: dict[str, int] = {}
    made: dict[tuple[str, str | None], int] = {}
    excess = []
    for number, run in enumerate(runs):
        keys = {table for table, _ in run.brought}
        if run.job == "conditions":
            for table, partition in run.brought:
                parents = graph.get(dg.AssetKey(table.split("."))).parent_keys
                newest = max((brought.get(".".join(key.path), -1) for key in parents), default=-1)
                same_run = any(".".join(key.path) in keys for key in parents)
                before = made.get((table, partition))
                if before is not None and newest <= before and not same_run:
                    excess.append(f"{run.moment} {table} {partition}")
        for table, partition in run.brought:
            brought[table] = made[table, partition] = number
    return excess


def refreshed_to_no_effect(runs: Sequence[Ran]) -> list[str]:
    """Runs of conditions after which every table they asked for held the rows it had before.

    Not wrong: a restated day need not show in what is read of it. Many of them would be a storm.
    """
    return [
        f"{run.moment} {run.asked_by}"
        for run in runs
        if run.job == "conditions" and run.succeeded and not run.changed
    ]


def unready_decisions(runs: Sequence[Ran], warehouse: Warehouse) -> list[str]:
    """Mornings decided on marts behind the ledger, past a gate that refused, or for an account set aside."""
    changes = warehouse.query(_CHANGES)
    built: dict[str, datetime] = {}
    wrong = []
    for run in runs:
        moment = datetime.fromisoformat(run.moment)
        if run.job == "transform_days" and run.succeeded:
            built |= {partition: moment for _, partition in run.brought if partition is not None}
        decided = [partition for table, partition in run.brought if table.endswith(".bandit_decisions")]
        if not decided:
            continue
        known = changes.filter(pl.col("completed_at") < moment, pl.col("report_date") > _UNDATED)
        newest = known.group_by("report_date").agg(pl.col("completed_at").max())
        wrong += [
            f"{run.moment}: marts of {day} are behind"
            for day, changed in newest.iter_rows()
            if str(day) in built and built[str(day)] < changed
        ]
        wrong += [f"{run.moment}: decided past {check}" for check in run.refused]
    aside = warehouse.query(
        """
        select decisions.as_of_date, decisions.platform, count(*) as decisions
        from gaelp_training.bandit_decisions as decisions
        left join ops.decision_accounts as accounts
            on accounts.as_of_date = decisions.as_of_date
            and accounts.platform = decisions.platform
            and accounts.account_id = decisions.account_id
            and accounts.eligible
        where accounts.platform is null
        group by decisions.as_of_date, decisions.platform
        order by decisions.as_of_date, decisions.platform
        """
    )
    return wrong + [f"{day}: {count} decisions for {platform}" for day, platform, count in aside.iter_rows()]


def table_of_runs(runs: Sequence[Ran]) -> list[Mapping[str, object]]:
    """Runs, failures, partitions and seconds by job and by who asked."""
    kinds = Counter((run.job, run.asked_by) for run in runs)
    rows: list[Mapping[str, object]] = []
    for (job, asked_by), count in sorted(kinds.items()):
        mine = [run for run in runs if (run.job, run.asked_by) == (job, asked_by)]
        rows.append(
            {
                "job": job,
                "asked by": asked_by,
                "runs": count,
                "failed": sum(not run.succeeded for run in mine),
                "partitions": sum(len(run.brought) for run in mine),
                "seconds": round(sum(run.seconds for run in mine), 1),
            }
        )
    return rows


def _successful(runs: Sequence[Ran], job: str) -> list[Ran]:
    return [run for run in runs if run.job == job and run.succeeded]
