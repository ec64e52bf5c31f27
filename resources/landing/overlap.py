"""Days of an account that two formats claim: counted from both, every mart would hold them twice.

Here: comparing the days of a file or a pull with the other streams of the ledger. Not here: other campaigns
inside one stream (`resources.files.publishing`), which may be the rest of a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from resources.landing.ledger import Ledger, SliceKey
from resources.warehouse import tables

# Streams that `ads_ad_daily` adds up. Those of one group are breakdowns of the same rows, of which the
# marts count exactly one.
_TOTALS = (
    (tables.META_ADS_INSIGHTS, tables.META_ADS_INSIGHTS_BY_PLACEMENT),
    (tables.GOOGLE_ADS_AD_PERFORMANCE, tables.GOOGLE_ADS_CAMPAIGN_PERFORMANCE),
    (tables.TIKTOK_ADS_REPORT,),
    (tables.LINKEDIN_AD_ANALYTICS,),
    (tables.FILE_AD_PERFORMANCE,),
)
_GROUP = {table.name.table: group for group, together in enumerate(_TOTALS) for table in together}

AccountDay = tuple[str, str, date | None]  # source, account_id, report_date


class DailyTotals:
    """Which streams hold rows of an account's day; one pass over the ledger, then look-ups."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._slices: dict[AccountDay, list[SliceKey]] = {}
        for key in ledger.complete:
            self.note(key)

    def note(self, key: SliceKey) -> None:
        """Take up a slice that has just been entered into the ledger."""
        if key[1] in _GROUP:
            slices = self._slices.setdefault(_account_day(key), [])
            if key not in slices:
                slices.append(key)

    def fault(self, keys: Iterable[SliceKey], format_name: str, landing: Mapping[str, str]) -> str | None:
        """Why a file with those slices cannot land beside what is there; None where it can.

        Args:
            format_name: the file's format.
            landing: path of the file by batch, for those landing together with this one.
        """
        twice = [(key, other) for key in keys for other in self.elsewhere(key)[:1]]
        if not twice:
            return None
        key, other = min(twice, key=lambda pair: (pair[0][2], str(pair[0][3])))
        path = landing.get(self._ledger.complete[other].data_batch_id or "")
        origin = other[1] + ("" if path is None else f" ({path})")
        days = len({_account_day(key) for key, _ in twice})
        return (
            f"Account {key[2]} of {key[0]} already has rows in {origin} on {key[3]}, and this file "
            f"({format_name}) would add rows of the same day in {key[1]}: {days:,} such "
            f"{'day' if days == 1 else 'days'} would count twice. If it is the same advertising, drop one "
            "of the two formats only, or leave those days out here; if it is other advertising, give it a "
            "`source` or an account of its own."
        )

    def elsewhere(self, key: SliceKey) -> list[SliceKey]:
        """Slices of the same day with rows in another group of streams."""
        if key[1] not in _GROUP:
            return []
        return [
            other
            for other in self._slices.get(_account_day(key), ())
            if _GROUP[other[1]] != _GROUP[key[1]] and self._holds_rows(other)
        ]

    def _holds_rows(self, key: SliceKey) -> bool:
        attempt = self._ledger.complete.get(key)
        return attempt is not None and attempt.row_count > 0


def _account_day(key: SliceKey) -> AccountDay:
    return key[0], key[2], key[3]
