"""What this process has asked of its warehouse so far: seconds on DuckDB, bytes billed on BigQuery.

Here: two sums that only grow. Not here: whose they are (`io_manager` takes the difference over a step).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """Seconds a DuckDB file was held; bytes BigQuery bills for queries, not for loads and Storage reads."""

    seconds: float = 0.0
    bytes_billed: int = 0

    def __sub__(self, earlier: Usage) -> Usage:
        return Usage(self.seconds - earlier.seconds, self.bytes_billed - earlier.bytes_billed)

    def as_metadata(self) -> dict[str, float | int]:
        """Numbers Dagster draws over time; what was not measured is not told."""
        told: dict[str, float | int] = {}
        if self.seconds > 0:
            told[SECONDS] = round(self.seconds, 3)
        if self.bytes_billed > 0:
            told[BYTES] = self.bytes_billed
        return told


SECONDS, BYTES = "warehouse_seconds", "bytes_billed"
_lock = threading.Lock()
_spent = Usage()


def spent() -> Usage:
    """Everything since the process began."""
    return _spent


def note(*, seconds: float = 0.0, bytes_billed: int = 0) -> None:
    """Add what one call took; threads may call it at once."""
    global _spent
    with _lock:
        _spent = Usage(_spent.seconds + seconds, _spent.bytes_billed + bytes_billed)
