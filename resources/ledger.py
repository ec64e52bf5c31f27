"""Questions to the slice ledger: which report days changed, and what the marts have not seen yet.

Here: reading `ops.ingest_slices` and `ops.transformed_days`. Not here: writing slices (each source's
publish step) and building marts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import date, timedelta

import polars as pl

from resources.warehouse.interface import ReplacePartitions, Warehouse
from resources.warehouse.tables import TRANSFORMED_DAYS

# Period rows have no day; this one stands for all of them (no slice can be as old).
UNDATED = date(1970, 1, 1)

# A slice changed when its attempt brought its own data (or emptied the day); an unchanged pull points back.
_CHANGED_DAYS = """
    select coalesce(report_date, date '1970-01-01') as report_date, max(completed_at) as ledger_completed_at
    from ops.ingest_slices
    where status = 'complete' and data_batch_id = batch_id
    group by coalesce(report_date, date '1970-01-01')
"""


def stale_report_days(warehouse: Warehouse, code_version: str) -> list[date]:
    """Report days whose slices changed since the marts last read them, oldest first.

    Days built by another version of the dbt project are stale too. `UNDATED` among them means period rows.
    """
    stale = warehouse.query(
        f"""
        with changed as ({_CHANGED_DAYS})
        select changed.report_date
        from changed
        left join ops.transformed_days as seen on seen.report_date = changed.report_date
        where seen.report_date is null
            or seen.ledger_completed_at < changed.ledger_completed_at
            or seen.code_version <> $code_version
        order by changed.report_date
        """,  # noqa: S608 - a constant, no input
        {"code_version": code_version},
    )
    return stale["report_date"].to_list()


def ledger_state(warehouse: Warehouse, first: date, last: date) -> pl.DataFrame:
    """Newest changed slice per report day in [first, last]: what marts built now will have seen."""
    return warehouse.query(
        f"select * from ({_CHANGED_DAYS}) as changed where report_date between $first and $last",  # noqa: S608
        {"first": first, "last": last},
    )


def undated_state(warehouse: Warehouse) -> pl.DataFrame:
    """The same for period rows, which any build of the marts reads whole."""
    return ledger_state(warehouse, UNDATED, UNDATED)


def slices_seen(warehouse: Warehouse, streams: Sequence[str], first: date, last: date) -> pl.DataFrame:
    """Whose rows the marts of [first, last] hold: per slice of these streams the batch they were built from.

    Slices of period rows, which have no day, are among them. A slice that changed after the marts were built
    is named by the batch before.

    Returns:
        source, stream, account_id, report_date, breakdown_set, batch_id, request_hash, row_count and
        completed_at, sorted.
    """
    names = ", ".join(f"$stream_{number}" for number, _ in enumerate(streams))
    return warehouse.query(
        f"""
        select source, stream, account_id, report_date, breakdown_set, batch_id, request_hash, row_count,
            completed_at
        from (
            select
                slices.*,
                row_number() over (
                    partition by slices.source, slices.stream, slices.account_id, slices.report_date,
                        slices.breakdown_set
                    order by slices.completed_at desc, slices.batch_id desc
                ) as recency
            from ops.ingest_slices as slices
            inner join ops.transformed_days as seen
                on seen.report_date = coalesce(slices.report_date, date '1970-01-01')
            where slices.status = 'complete'
                and slices.data_batch_id = slices.batch_id
                and slices.completed_at <= seen.ledger_completed_at
                and slices.stream in ({names})
                and (slices.report_date is null or slices.report_date between $first and $last)
        ) as attempts
        where recency = 1
        order by source, stream, account_id, report_date, breakdown_set
        """,  # noqa: S608 - names of parameters, no input
        {f"stream_{number}": stream for number, stream in enumerate(streams)}
        | {"first": first, "last": last},
    )


def landed_contents(warehouse: Warehouse, changed: pl.DataFrame) -> dict[tuple[str, date | None], str]:
    """What each changed day of a raw table now holds, as one short name: of its slices' content hashes.

    A day read again with the same content, or one that goes back to an earlier one, has that one's name.

    Args:
        changed: stream and report_date (null for period rows).
    """
    streams = changed["stream"].unique().sort().to_list()
    days = changed["report_date"].drop_nulls()
    names = ", ".join(f"$stream_{number}" for number, _ in enumerate(streams))
    slices = warehouse.query(
        f"""
        select stream, report_date, source, account_id, breakdown_set, content_hash
        from (
            select
                slices.*,
                row_number() over (
                    partition by source, stream, account_id, report_date, breakdown_set
                    order by completed_at desc, batch_id desc
                ) as recency
            from ops.ingest_slices as slices
            where status = 'complete' and data_batch_id = batch_id and stream in ({names})
                and (report_date is null or report_date between $first and $last)
        ) as attempts
        where recency = 1
        order by stream, report_date, source, account_id, breakdown_set
        """,  # noqa: S608 - names of parameters, no input
        {f"stream_{number}": stream for number, stream in enumerate(streams)}
        | {"first": days.min() or UNDATED, "last": days.max() or UNDATED},
    )
    held: dict[tuple[str, date | None], list[str]] = {}
    for stream, day, *slice_of_it in slices.iter_rows():
        held.setdefault((stream, day), []).append("\x1f".join(map(str, slice_of_it)))
    return {key: hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16] for key, rows in held.items()}


def mark_transformed(warehouse: Warehouse, state: pl.DataFrame, first: date, last: date, code: str) -> None:
    """Record that the marts of [first, last] have seen `state` (taken before they were built)."""
    rows = state.with_columns(code_version=pl.lit(code, dtype=pl.String))
    warehouse.write(ReplacePartitions(TRANSFORMED_DAYS, rows, first, last))


def contiguous(
    days: Sequence[date], bridge: timedelta = timedelta(days=7), apart: Collection[date] = ()
) -> list[tuple[date, date]]:
    """Sorted days as inclusive ranges; gaps up to `bridge` are run through rather than split.

    Args:
        apart: days that are in no range: a gap that holds one is split.
    """
    ranges: list[tuple[date, date]] = []
    for day in sorted(days):
        last = ranges[-1][1] if ranges else None
        if last is not None and day - last <= bridge and not any(last < other < day for other in apart):
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges
