"""The slice ledger as a landing needs it: what each slice holds now, and what was tried last.

Here: reading `ops.ingest_slices` and the rows its entries point to. Not here: deciding what to write
(`publishing.py`).
"""
# ruff: noqa: S608 - table and column names come from the catalogue; values are bound

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import polars as pl

from resources.landing.pages import SLICE
from resources.landing.streams import Stream
from resources.warehouse.interface import Parameter, Warehouse
from resources.warehouse.tables import INGEST_SLICES

SliceKey = tuple[str, str, str, date | None, str]  # source, stream, account_id, report_date, breakdown_set

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Attempt:
    """One row of the ledger.

    `restates`, told by `read_ledger`: it brought other rows than the slice had been complete with before.
    """

    batch_id: str
    data_batch_id: str | None
    status: str
    attempts: int
    request_hash: str
    row_count: int
    content_hash: str | None
    completed_at: datetime
    restates: bool = False


@dataclass
class Ledger:
    """`complete`: the attempt whose rows count; `last`: the newest attempt of any outcome."""

    complete: dict[SliceKey, Attempt] = field(default_factory=dict)
    last: dict[SliceKey, Attempt] = field(default_factory=dict)
    latest_moment: datetime = _BEGINNING

    def note(self, key: SliceKey, attempt: Attempt) -> None:
        self.last[key] = attempt
        if attempt.status == "complete":
            self.complete[key] = attempt
        self.latest_moment = max(self.latest_moment, attempt.completed_at)

    def next_moment(self, now: datetime) -> datetime:
        """`now`, or just after the newest entry where the clock stands still or went back."""
        return max(now.astimezone(UTC), self.latest_moment + timedelta(microseconds=1))


def read_ledger(warehouse: Warehouse, source: str | None = None) -> Ledger:
    """The newest attempt and the newest complete attempt of every slice (of one source, if named)."""
    rows = warehouse.query(
        f"""
        with ranked as (
            select
                *,
                row_number() over (
                    partition by source, stream, account_id, report_date, breakdown_set, status = 'complete'
                    order by completed_at desc, batch_id desc
                ) as place,
                count(*) over (
                    partition by source, stream, account_id, report_date, breakdown_set, status = 'complete'
                ) as readings
            from ops.ingest_slices
            {"" if source is None else "where source = $source"}
        )
        select source, stream, account_id, report_date, breakdown_set, batch_id, data_batch_id, status,
               attempts, request_hash, row_count, content_hash, completed_at,
               status = 'complete' and readings > 1 and data_batch_id = batch_id as restates
        from ranked where place = 1
        order by completed_at, batch_id
        """,
        {} if source is None else {"source": source},
    )
    ledger = Ledger()
    for row in rows.iter_rows():
        ledger.note((row[0], row[1], row[2], row[3], row[4]), Attempt(*row[5:]))
    return ledger


def pulls_by_request(warehouse: Warehouse) -> dict[str, set[str]]:
    """Per request hash, the batches that finished with it."""
    rows = warehouse.query("select distinct request_hash, batch_id from ops.ingest_slices")
    pulls: dict[str, set[str]] = {}
    for request_hash, batch_id in rows.select("request_hash", "batch_id").iter_rows():
        pulls.setdefault(request_hash, set()).add(batch_id)
    return pulls


def slices_of_request(warehouse: Warehouse, request_hash: str) -> set[SliceKey]:
    """Slices a request once completed."""
    rows = warehouse.query(
        "select distinct source, stream, account_id, report_date, breakdown_set from ops.ingest_slices "
        "where request_hash = $request_hash and status = 'complete'",
        {"request_hash": request_hash},
    )
    return {(row[0], row[1], row[2], row[3], row[4]) for row in rows.iter_rows()}


def rows_in_force(
    warehouse: Warehouse,
    stream: Stream,
    attempts: dict[SliceKey, Attempt],
    columns: Iterable[str] | None = None,
) -> pl.DataFrame:
    """Raw rows behind those ledger entries; distinct values of `columns` (with the slice) if given."""
    wanted = ", ".join(dict.fromkeys([*SLICE, "_batch_id", *(columns or stream.table.column_names)]))
    distinct = "distinct " if columns is not None else ""
    found = []
    for (source, account), keys in _by_account(attempts).items():
        days = [key[3] for key in keys if key[3] is not None]
        parameters: dict[str, Parameter] = {"source": source, "account": account}
        condition = "report_date is null"
        if days:
            condition = "report_date between $first and $last"
            parameters |= {"first": min(days), "last": max(days)}
        rows = warehouse.query(
            f"select {distinct}{wanted} from {stream.table.name} "
            f"where source = $source and account_id = $account and {condition}",
            parameters,
        )
        in_force = pl.DataFrame(
            [(*_slice_columns(key), attempts[key].data_batch_id) for key in keys],
            schema={**_SLICE_TYPES, "_batch_id": pl.String()},
            orient="row",
        )
        found.append(rows.join(in_force, on=[*SLICE, "_batch_id"], how="semi", nulls_equal=True))
    schema = {name: stream.table.polars_schema[name] for name in wanted.split(", ")}
    return pl.concat([pl.DataFrame(schema=schema), *(rows.cast(pl.Schema(schema)) for rows in found)])


_SLICE_TYPES = {name: pl.Date() if name == "report_date" else pl.String() for name in SLICE}


def slice_frame(keys: Iterable[SliceKey]) -> pl.DataFrame:
    """Slice columns of those keys, without the stream."""
    return pl.DataFrame([_slice_columns(key) for key in keys], schema=_SLICE_TYPES, orient="row")


def _slice_columns(key: SliceKey) -> tuple[str, str, date | None, str]:
    return key[0], key[2], key[3], key[4]


def _by_account(attempts: dict[SliceKey, Attempt]) -> dict[tuple[str, str], list[SliceKey]]:
    grouped: dict[tuple[str, str], list[SliceKey]] = {}
    for key in attempts:
        grouped.setdefault((key[0], key[2]), []).append(key)
    return grouped


def ledger_frame(entries: list[tuple[SliceKey, Attempt, str | None]]) -> pl.DataFrame:
    """Rows of `ops.ingest_slices`; the third part of an entry is its error class."""
    rows = [
        (
            key[0],
            key[1],
            key[2],
            key[3],
            key[4],
            attempt.batch_id,
            attempt.data_batch_id,
            attempt.status,
            attempt.attempts,
            error_class,
            attempt.request_hash,
            attempt.row_count,
            attempt.content_hash,
            attempt.completed_at,
        )
        for key, attempt, error_class in entries
    ]
    return pl.DataFrame(rows, schema=INGEST_SLICES.polars_schema, orient="row")
