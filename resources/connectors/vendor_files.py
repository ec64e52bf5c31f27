"""Creatives that vendors deliver as CSV files over SFTP or into a folder.

Nothing here clicks or converts: a row is a creative a vendor made; its day is when its file was dropped.
Here: collecting settled files into an archive that keeps every version, and their rows. Not here: what makes
a row acceptable (`vendor_rows`).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NoReturn, Protocol
from zoneinfo import ZoneInfo

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.rows import page_rows
from resources.connectors.source import Account, Page, Pull, Report
from resources.connectors.vendor_rows import ReadFile, outcome_report, read_vendor_file
from resources.landing.streams import STREAMS
from resources.whole_files import write_whole

STREAM = STREAMS["vendor_creatives"]
LARGEST_FILE = 50_000_000  # bytes
LOOKBACK_DAYS = 90


@dataclass(frozen=True)
class Listed:
    """A file as an inbox lists it; `modified` in seconds since 1970, by the inbox's own clock."""

    name: str
    size: int
    modified: float


class Inbox(Protocol):
    """Where a vendor drops files. Every failure is a PlatformError."""

    @property
    def secrets(self) -> Sequence[str]: ...

    def listed(self) -> Sequence[Listed]:
        """The regular files there are. Only `.csv` is ever read: `.part` and the like are unfinished."""
        ...

    def read(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Content of those files, one at a time; a file that has gone since is left out.

        Of a file larger than LARGEST_FILE perhaps only the beginning.
        """
        ...


@dataclass(frozen=True)
class Delivery:
    """A version of a file that was collected.

    Attributes:
        name: what the vendor called it.
        dropped_on: account-local day of its time in the inbox, or of its collection if that is out of bounds.
        sha256: of its content; the archive keeps it under this name.
        refusal: why nothing of it could be read; empty where it could.
    """

    name: str
    size: int
    modified: float
    dropped_on: date
    sha256: str
    accepted_rows: int
    refused_rows: int
    refusal: str = ""


class FolderInbox:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def secrets(self) -> Sequence[str]:
        return ()

    def listed(self) -> Sequence[Listed]:
        try:
            stats = [
                (entry.name, entry.stat(follow_symlinks=False))
                for entry in os.scandir(self._folder)
                if entry.is_file(follow_symlinks=False)
            ]
        except OSError as error:
            self._refuse(error)
        return [Listed(name, stat.st_size, stat.st_mtime) for name, stat in stats]

    def read(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        for name in names:
            try:
                content = (self._folder / name).read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                self._refuse(error)
            yield name, content

    def _refuse(self, error: OSError) -> NoReturn:
        raise PlatformError(
            ErrorClass.PERMANENT, f"vendor files: {self._folder} cannot be read ({error.strerror})."
        ) from None


class VendorFiles:
    """One vendor's deliveries as a source.

    Args:
        vendor: the account the rows belong to.
        archive: folder that keeps every version collected, its index and the reports on its rows.
        zone: IANA zone of the days files are dropped on.
        settle_seconds: between two looks; a file that differs is still being written.
        now, sleep: the present moment with its zone, and how to wait.
    """

    name = "vendor_files"
    api_version = "csv"
    page_sizes: Sequence[int] = ()

    def __init__(
        self,
        inbox: Inbox,
        vendor: str,
        archive: Path,
        zone: str,
        *,
        settle_seconds: float = 5.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._inbox = inbox
        self._vendor = vendor
        self._archive = archive
        self._zone = ZoneInfo(zone)
        self._settle = settle_seconds
        self._now, self._sleep = now, sleep

    @property
    def reports(self) -> Sequence[Report]:
        return (Report(STREAM, "none", LOOKBACK_DAYS, longest_days=366, final_after_days=LOOKBACK_DAYS),)

    @property
    def secrets(self) -> Sequence[str]:
        return self._inbox.secrets

    def accounts(self) -> Sequence[Account]:
        """The vendor, after a look into the inbox. Creatives have no currency: XXX."""
        self._inbox.listed()
        return [Account(self._vendor, self._vendor, "XXX", self._zone.key)]

    def parents(self, pull: Pull) -> Sequence[str]:
        return ()

    def pages(self, pull: Pull) -> Iterator[Page]:
        """Collect what is new, then the rows of every version dropped on the pull's days: a page a file.

        Raises:
            PlatformError: the inbox cannot be read, or the archive lacks a file its index names.
        """
        self.collect()
        chosen = [d for d in self.deliveries() if pull.first <= d.dropped_on <= pull.last and not d.refusal]
        for delivery in chosen:
            rows = self._read(delivery).rows
            yield Page(
                page_rows(
                    [
                        {
                            **{_column(name): value for name, value in row.fields.items()},
                            "report_date": delivery.dropped_on,
                            "file_sha256": delivery.sha256,
                            "creative_id": row.creative_id,
                            "row_no": str(row.row_no),
                            "vendor": self._vendor,
                            "file_name": delivery.name,
                        }
                        for row in rows
                    ],
                    STREAM,
                )
            )
        if not chosen:
            yield Page(page_rows([], STREAM))

    def deliveries(self) -> list[Delivery]:
        """Every version collected so far, in the order it came."""
        try:
            listed = json.loads(self._index.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        return [
            Delivery(**entry | {"dropped_on": date.fromisoformat(entry["dropped_on"])}) for entry in listed
        ]

    def outcome_file(self, delivery: Delivery) -> Path:
        """The report on a version's rows: line, creative_id, outcome, reason."""
        return self._archive / "outcomes" / f"{delivery.sha256}.csv"

    def collect(self) -> list[Delivery]:
        """Fetch the settled files that are not in the archive yet; returns the new versions.

        Raises:
            PlatformError: the inbox cannot be read. What was collected before that stays.
        """
        before = self._candidates()
        if not before:
            return []
        self._sleep(self._settle)
        settled = {file.name: file for file in self._candidates() if file in before}
        found = [self._set_aside(file) for file in settled.values() if file.size > LARGEST_FILE]
        for name, content in self._inbox.read(
            sorted(n for n, f in settled.items() if f.size <= LARGEST_FILE)
        ):
            file = settled[name]
            # Another size than was listed: it is being written again.
            if len(content) == file.size:
                delivery = self._keep(file, content)
                found += [delivery] if delivery is not None else []
        return found

    def _candidates(self) -> list[Listed]:
        # What the archive lost is fetched again, even where the vendor's copy kept its time.
        known = {
            (d.name, d.size, d.modified)
            for d in self.deliveries()
            if d.size > LARGEST_FILE or (self._archive / "files" / d.sha256).exists()
        }
        return [
            file
            for file in self._inbox.listed()
            if file.name.casefold().endswith(".csv")
            and not file.name.startswith(".")
            and (file.name, file.size, file.modified) not in known
        ]

    def _keep(self, file: Listed, content: bytes) -> Delivery | None:
        """Archive a version; None where its content was there before, under whatever name.

        Delivered again, it also mends an archive that has lost it.
        """
        digest = hashlib.sha256(content).hexdigest()
        same = [delivery for delivery in self.deliveries() if delivery.sha256 == digest]
        is_new = not same
        read = read_vendor_file(content)
        refused = sum(row.outcome == "refused" for row in read.outcomes)
        reason = read.refusal if is_new else "its content was delivered before."
        delivery = Delivery(
            file.name,
            file.size,
            file.modified,
            self._dropped_on(file),
            digest,
            len(read.rows),
            refused,
            reason,
        )
        if self._archived(digest) is None:
            write_whole(self._archive / "files" / digest, content)
            write_whole(self.outcome_file(delivery), outcome_report(read).encode())
        # The index last: a version it names is whole.
        if all((d.name, d.size, d.modified) != (file.name, file.size, file.modified) for d in same):
            self._note(delivery)
        return delivery if is_new else None

    def _set_aside(self, file: Listed) -> Delivery:
        """Refuse a file for its size, unread: it is named by what its inbox says of it."""
        digest = hashlib.sha256(f"{file.name}/{file.size}/{file.modified}".encode()).hexdigest()
        reason = f"it has {file.size:,} bytes; {LARGEST_FILE:,} are accepted. Deliver it in parts."
        delivery = Delivery(file.name, file.size, file.modified, self._dropped_on(file), digest, 0, 0, reason)
        write_whole(self.outcome_file(delivery), outcome_report(ReadFile((), (), reason)).encode())
        self._note(delivery)
        return delivery

    def _note(self, delivery: Delivery) -> None:
        entries = [
            asdict(d) | {"dropped_on": d.dropped_on.isoformat()} for d in (*self.deliveries(), delivery)
        ]
        write_whole(self._index, json.dumps(entries, indent=1).encode())

    def _dropped_on(self, file: Listed) -> date:
        """A day that is still asked for: uploads may keep an old time, and a vendor's clock may be wrong."""
        today = self._now().astimezone(self._zone).date()
        day = datetime.fromtimestamp(file.modified, self._zone).date()
        return min(max(day, today - timedelta(days=LOOKBACK_DAYS - 1)), today)

    def _archived(self, digest: str) -> bytes | None:
        """A kept version; None where it is lost or no longer what was kept."""
        try:
            content = (self._archive / "files" / digest).read_bytes()
        except FileNotFoundError:
            return None
        return content if hashlib.sha256(content).hexdigest() == digest else None

    def _read(self, delivery: Delivery) -> ReadFile:
        content = self._archived(delivery.sha256)
        if content is None:
            raise PlatformError(
                ErrorClass.PERMANENT,
                f"vendor files: the archive has lost or changed {delivery.name} ({delivery.sha256[:12]}). "
                f"Restore it in {self._archive}, or ask the vendor to drop the file again.",
            )
        return read_vendor_file(content)

    @property
    def _index(self) -> Path:
        return self._archive / "index.json"


def _column(name: str) -> str:
    """A column the vendor added cannot take the place of one of ours."""
    return name if name in STREAM.fields else f"vendor_{name}"
