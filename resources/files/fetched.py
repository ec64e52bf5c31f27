"""What one file of the drop folder is before and after it was read.

Here: the data handed from recognising to fetching to publishing. Not here: any reading or deciding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from resources.files.mapping import Mapping
from resources.files.opening import Inspection
from resources.files.recognition import Header
from resources.landing.pages import SLICE, SLICE_SCHEMA, Stamp
from resources.landing.streams import Stream
from resources.warehouse.tables import QUARANTINE

ACCOUNT_SCHEMA = pl.Schema(
    {
        "source": pl.String(),
        "account_id": pl.String(),
        "account_name": pl.String(),
        "currency": pl.String(),
    }
)
TORN_SCHEMA = pl.Schema({name: SLICE_SCHEMA[name] for name in SLICE})


@dataclass(frozen=True)
class Tolerance:
    """How many refused rows a file may have and still load: the larger of `rows` and `share` of the file,
    and never more than `most` of it.

    A handful of bad rows says something about those rows, a tenth of a file something about the file, and so
    does most of a small one.
    """

    rows: int = 10
    share: float = 0.10
    most: float = 0.50

    def exceeded(self, refused: int, total: int) -> bool:
        return refused > max(self.rows, self.share * total) or refused > self.most * total


@dataclass(frozen=True)
class RecognisedFile:
    """A settled file of the drop folder and the format its header has. `path` is relative to the folder."""

    path: str
    location: str
    size: int
    modified: datetime
    mapping: Mapping
    header: Header
    sheet: str | None = None


@dataclass
class FetchedFile:
    """What one file brings, on disk and in words; with a `fault` it brings no pages.

    `slices`: row_count and lane sums by slice. `campaigns`: distinct campaigns by slice (and period).
    `accounts`: source, account_id, account_name, currency. `torn`: slices in which rows were refused;
    `unplaced`: refused rows whose slice cannot be read. Counts are of records.
    """

    file: RecognisedFile
    inspection: Inspection
    stamp: Stamp
    folder: Path
    timezone: str
    fault: str | None = None
    pages: list[Path] = field(default_factory=list)
    slices: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SLICE_SCHEMA))
    campaigns: pl.DataFrame | None = None
    accounts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ACCOUNT_SCHEMA))
    torn: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=TORN_SCHEMA))
    unplaced: int = 0
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    read: int = 0
    accepted: int = 0
    refused: int = 0
    flagged: int = 0
    repeated: int = 0

    @property
    def stream(self) -> Stream:
        return self.file.mapping.target

    def refuse(self, reason: str) -> None:
        """Refuse the file whole: nothing of it is half-loaded."""
        self.fault = reason
        self.pages, self.accepted = [], 0
        self.slices = self.slices.clear()
        self.accounts = self.accounts.clear()
        self.campaigns = None
        # Of the rows, only what explains the refusal stays.
        self.quarantine = [row for row in self.quarantine if row["severity"] == "refused"]
        self.quarantine.insert(
            0, self.quarantine_row(None, "refused", f"{reason} None of its rows are loaded.")
        )

    def quarantine_row(
        self,
        line: int | None,
        severity: str,
        reason: str,
        record: str | None = None,
        account: str | None = None,
    ) -> dict[str, Any]:
        """A row of `ops.quarantine` but for its moment, which publishing knows."""
        constant = getattr(self.file.mapping.source, "constant", None)
        return {
            "source": constant,
            "stream": self.stream.name,
            "account_id": account,
            "file": self.file.path,
            "file_hash": self.inspection.sha256,
            "line": line,
            "severity": severity,
            "reason": reason,
            "record": record,
        }


def quarantine_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of `ops.quarantine`."""
    return pl.DataFrame(rows, schema=QUARANTINE.polars_schema, orient="row")
