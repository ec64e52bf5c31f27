"""Slices in which rows were refused: what is left of one must not replace a whole one.

Here: telling whole slices from torn ones. Not here: which rows are refused (`validation.py`,
`reading.py`) and what is written (`publishing.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from resources.landing.ledger import Ledger, SliceKey
from resources.warehouse.interface import Warehouse

# Error class of the ledger. On a complete entry: the best there is, not the whole slice.
ROWS_REFUSED = "ROWS_REFUSED"
_MOST_DAYS_NAMED = 10


class TornSlices:
    """What of the ledger is whole, and whether a file's slice may stand in its place."""

    def __init__(self, warehouse: Warehouse, ledger: Ledger) -> None:
        self._ledger = ledger
        rows = warehouse.query(
            "select source, stream, account_id, report_date, breakdown_set, batch_id from ops.ingest_slices "
            "where status = 'complete' and error_class = $error_class",
            {"error_class": ROWS_REFUSED},
        )
        self._torn = {((row[0], row[1], row[2], row[3], row[4]), row[5]) for row in rows.iter_rows()}

    def note(self, key: SliceKey, batch_id: str) -> None:
        """Take up a complete entry that lacks refused rows."""
        self._torn.add((key, batch_id))

    def is_torn(self, key: SliceKey) -> bool:
        """Whether the rows in force lack refused ones."""
        before = self._ledger.complete.get(key)
        return before is not None and (key, before.batch_id) in self._torn

    def is_whole(self, key: SliceKey) -> bool:
        """Whether rows are in force that a torn slice must not replace (a torn one may follow a torn one)."""
        before = self._ledger.complete.get(key)
        return before is not None and before.row_count > 0 and not self.is_torn(key)

    def may_replace(self, key: SliceKey, rows: int, torn: bool, unplaced: int) -> bool:
        """Whether `rows` accepted rows may stand for the slice from now on.

        Args:
            torn: rows of this slice were refused.
            unplaced: refused rows of the file whose day or account cannot be read; they may belong to any
                slice that has become smaller.
        """
        if not self.is_whole(key):
            return True
        return not torn and not (unplaced and rows < self._ledger.complete[key].row_count)


def named_days(keys: Iterable[SliceKey]) -> str:
    """Days of slices for a person, the first ten by name."""
    days = sorted({"undated rows" if key[3] is None else str(key[3]) for key in keys})
    more = len(days) - _MOST_DAYS_NAMED
    return ", ".join(days[:_MOST_DAYS_NAMED]) + (f" and {more:,} more" if more > 0 else "")
