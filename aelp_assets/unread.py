"""Accounts that cannot be read though nobody refuses their credentials, where a person must hear of it.

Here: which of the slices that wait are news. Not here: sources that refuse their credentials (they are
stopped, and told of by the pull), telling (`sensors.unread_sources`, `health`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import ClassVar

from aelp_assets.words import counted
from resources.connectors.errors import ErrorClass, MissingCredentials
from resources.connectors.registry import Sources
from resources.control.ingestion import IngestionControl, QueueKey, Waiting
from resources.landing.accounts import spelt
from resources.settings import SettingsError, SourceName
from resources.warehouse.interface import Warehouse
from resources.warehouse.tables import INGEST_SLICES

# Asking again mends none of these. AUTH is that of another place than the platform's API: it stops no source.
_LASTING = (ErrorClass.PERMANENT, ErrorClass.AUTH, ErrorClass.OTHER_FORMAT)


@dataclass(frozen=True)
class Unread:
    """What waits of an account for one reason.

    Attributes:
        streams: that wait.
        newest: the newest day among them.
        message: why that day does.
    """

    source: str
    account_id: str
    error_class: str
    streams: tuple[str, ...]
    slices: int
    newest: date
    message: str

    @property
    def name(self) -> str:
        return f"{self.source}/{self.account_id} {self.error_class}"

    @property
    def is_lasting(self) -> bool:
        """Whether it waits for a person, however often it is asked for again."""
        return self.error_class in _LASTING

    @property
    def sentence(self) -> str:
        what = self.streams[0] if len(self.streams) == 1 else counted(len(self.streams), "stream")
        return (
            f"{what} of {self.source}/{self.account_id} cannot be read ({self.error_class}; "
            f"{counted(self.slices, 'slice')}, the newest of {self.newest}): {self.message}"
        )

    @property
    def remedy(self) -> str:
        if self.is_lasting:
            return (
                f"See to what it names; `aelp connect {self.source}` checks it. The days are asked for again "
                f"within a day, at once as partitions of `ops/source_backfills/{self.source}`."
            )
        return (
            f"It is asked again by itself; `aelp connect {self.source}` says whether it answers. Meanwhile "
            "decisions rest on its last complete days."
        )


@dataclass(frozen=True)
class Unconnected:
    """A source that was read before and has no credentials now.

    Attributes:
        message: what it lacks, with the variables to set.
    """

    source: SourceName
    message: str
    is_lasting: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return f"{self.source} without credentials"

    @property
    def sentence(self) -> str:
        return f"{self.source} was read before and is not any more: {self.message}"

    @property
    def remedy(self) -> str:
        return (
            f"Set them again, or take {self.source} out of `sources` in the settings. Meanwhile decisions "
            "rest on its last complete days."
        )


def unread_accounts(
    sources: Sources, now: datetime, warehouse: Warehouse | None
) -> list[Unread | Unconnected]:
    """What waits for a person, what has waited until its report is too old, and what lost its credentials.

    Too old is a newest complete day further back than `max_data_age_days`, as for an account that decisions
    leave out. A shorter outage is told to nobody.

    Args:
        warehouse: how old a report is; asked only where something waits that may pass. None leaves that out.

    Raises:
        WarehouseError: it cannot be asked.
    """
    if not sources.has_control_store():
        return []
    waiting = _waiting(sources)
    passing = {key for key, why in waiting.items() if why.error_class not in _LASTING}
    old = _too_old(passing, sources, now, warehouse) if passing and warehouse is not None else set()
    found: dict[tuple[str, str, str], list[QueueKey]] = {}
    for key in sorted(waiting.keys() - passing | old, key=lambda key: (key[4], key)):
        found.setdefault((key[0], key[3], waiting[key].error_class), []).append(key)
    waits = [
        Unread(
            *about,
            streams=tuple(sorted({key[1] for key in keys})),
            slices=len(keys),
            newest=keys[-1][4],
            message=waiting[keys[-1]].message,
        )
        for about, keys in sorted(found.items())
    ]
    return [*_unconnected(sources), *waits]


def _unconnected(sources: Sources) -> list[Unconnected]:
    """Sources of which an account was once opened; the ledger holds days of what is only dropped as files."""
    control = IngestionControl(sources.control_store())
    found = []
    for name in sources.settings.source_names:
        accounts = sources.settings.sources[name].accounts
        if any(control.zone(name, spelt(name, account)) is not None for account in accounts):
            try:
                sources.open(name)
            except (MissingCredentials, SettingsError) as missing:
                found.append(Unconnected(name, str(missing)))
    return found


def _waiting(sources: Sources) -> dict[QueueKey, Waiting]:
    """What waits of the accounts in the settings, and not for a stopped source: that has no next try."""
    control = IngestionControl(sources.control_store())
    found: dict[QueueKey, Waiting] = {}
    for name in sources.settings.source_names:
        for account in sources.settings.sources[name].accounts:
            for key, why in control.waiting(name, spelt(name, account)).items():
                if why.error_class != ErrorClass.AUTH or why.next_attempt_at is not None:
                    found[key] = why
    return found


def _too_old(
    waiting: Iterable[QueueKey], sources: Sources, now: datetime, warehouse: Warehouse
) -> set[QueueKey]:
    settings = sources.settings
    oldest = now.astimezone(settings.timezone).date() - timedelta(days=settings.max_data_age_days)
    # Of an account that could never be opened the ledger has nothing, and the queue each yesterday since.
    newest = {key[:4]: key[4] for key in sorted(waiting, key=lambda key: key[4], reverse=True)}
    newest |= _read_up_to(warehouse)
    return {key for key in waiting if newest[key[:4]] < oldest}


def _read_up_to(warehouse: Warehouse) -> dict[tuple[str, str, str, str], date]:
    """Each report's newest complete day; of one that was never read, the day it was first asked for."""
    if not warehouse.exists(INGEST_SLICES.name):
        return {}
    reports = warehouse.query(
        """
        select source, stream, breakdown_set, account_id,
            max(case when status = 'complete' then report_date end) as newest_day,
            min(completed_at) as first_asked
        from ops.ingest_slices
        group by source, stream, breakdown_set, account_id
        """
    )
    return {
        (source, stream, breakdown_set, account_id): newest_day or first_asked.date()
        for source, stream, breakdown_set, account_id, newest_day, first_asked in reports.iter_rows()
    }
