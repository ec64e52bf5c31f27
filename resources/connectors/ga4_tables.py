"""The tables GA4 exports for a property, wherever they lie, and those in Parquet files.

Here: which tables of which days there are, and their rows as they stand. Not here: which table counts for a
day and what of an event may be kept (`ga4_export`), tables where Google writes them (`ga4_bigquery`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from resources.connectors.errors import ErrorClass, PlatformError

Kind = str
"""daily, fresh or intraday."""
# What an event is told apart by and what is kept of it. The others, `items` above all, are most of the bytes.
COLUMNS = (
    "event_date",
    "event_timestamp",
    "event_name",
    "event_params",
    "event_previous_timestamp",
    "event_bundle_sequence_id",
    "event_server_timestamp_offset",
    "batch_event_index",
    "batch_ordering_id",
    "batch_page_id",
    "user_id",
    "user_pseudo_id",
    "privacy_info",
    "user_properties",
    "device",
    "geo",
    "stream_id",
    "ecommerce",
    "collected_traffic_source",
)
ROWS_PER_BATCH = 20_000

_TABLE = re.compile(r"^events_(?:(fresh|intraday)_)?(\d{8})$")
_FILE = re.compile(r"^(events_(?:(?:fresh|intraday)_)?\d{8})(?:[-_](\d+))?\.parquet$")


class ExportedTables(Protocol):
    """Where properties' tables lie. Every failure is a PlatformError."""

    def where(self, property_id: str) -> str:
        """The place, for a person."""
        ...

    def found(self, property_id: str) -> set[tuple[date, Kind]]:
        """The property's tables. Raises: PlatformError PERMANENT where there is none at all."""
        ...

    def events(self, property_id: str, day: date, kind: Kind) -> Iterator[Sequence[Mapping[str, Any]]]:
        """The events of a table that is there, batch by batch, as far as it has `COLUMNS`."""
        ...


def table_name(day: date, kind: Kind) -> str:
    """As BigQuery names it: events_20260630, events_fresh_20260630, events_intraday_20260630."""
    return f"events_{'' if kind == 'daily' else kind + '_'}{day:%Y%m%d}"


def day_and_kind(name: str) -> tuple[date, Kind] | None:
    """What a table's name says; None where it is no table of events."""
    named = _TABLE.match(name)
    if named is None:
        return None
    return datetime.strptime(named[2], "%Y%m%d").date(), named[1] or "daily"  # noqa: DTZ007 - a day has no zone


@dataclass(frozen=True)
class ParquetTables:
    """Tables exported to files, `events_20260630.parquet` or numbered parts of it, in or below `folder`.

    Args:
        folder: holds a folder `analytics_<property id>` per property.
    """

    folder: Path

    def where(self, property_id: str) -> str:
        return str(self._of(property_id))

    def found(self, property_id: str) -> set[tuple[date, Kind]]:
        tables = set(self._files(property_id))
        if not tables:
            raise PlatformError(
                ErrorClass.PERMANENT,
                f"GA4 export: {self._of(property_id)} holds no events_*.parquet. Export the property's "
                "BigQuery tables there under their own names.",
            )
        return tables

    def events(self, property_id: str, day: date, kind: Kind) -> Iterator[Sequence[Mapping[str, Any]]]:
        paths = self._files(property_id)[day, kind]
        self._require_one_table(paths, day, self._of(property_id))
        for path in paths:
            try:
                with pq.ParquetFile(path) as file:
                    columns = [name for name in COLUMNS if name in file.schema_arrow.names]
                    for batch in file.iter_batches(batch_size=ROWS_PER_BATCH, columns=columns):
                        yield batch.to_pylist()
            except (pa.ArrowException, OSError) as error:
                # A file still being copied reads like a broken one: the next look may find it whole.
                raise PlatformError(
                    ErrorClass.TRANSIENT, f"GA4 export: {path.name} cannot be read ({type(error).__name__})"
                ) from None

    def _of(self, property_id: str) -> Path:
        return self.folder / f"analytics_{property_id}"

    def _files(self, property_id: str) -> dict[tuple[date, Kind], list[Path]]:
        found: dict[tuple[date, Kind], list[Path]] = {}
        for path in sorted(self._of(property_id).rglob("events_*.parquet")):
            named = _FILE.match(path.name)
            table = None if named is None else day_and_kind(named[1])
            if table is None:
                raise PlatformError(
                    ErrorClass.PERMANENT,
                    f"GA4 export: {path.name} is not named as exported tables are (events_20260630.parquet). "
                    "Export it again.",
                )
            found.setdefault(table, []).append(path)
        return found

    def _require_one_table(self, paths: Sequence[Path], day: date, folder: Path) -> None:
        """Read beside its own copy, every event would count twice."""
        shards = [None if named is None else named[2] for named in (_FILE.match(p.name) for p in paths)]
        numbers = {None if shard is None else int(shard) for shard in shards}
        is_whole = len(numbers) == len(paths) and (None not in numbers or len(paths) == 1)
        if is_whole and len({path.parent for path in paths}) == 1:
            return
        names = [str(path.relative_to(folder)) for path in paths]
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        raise PlatformError(
            ErrorClass.PERMANENT,
            f"GA4 export: {folder} holds the table of {day} more than once: {shown}. Keep one file, or the "
            "numbered parts of one export in one folder, and move the others away.",
        )
