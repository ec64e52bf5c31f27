"""A folder of exports: which files are in it, which are finished, and what each one is.

Here: listing, settling and recognising. Not here: reading rows (`fetching.py`) or the warehouse
(`publishing.py`).
"""

from __future__ import annotations

import hashlib
import posixpath
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

from resources.clock import Clock
from resources.files.fetched import FetchedFile, RecognisedFile, Tolerance
from resources.files.fetching import Fetcher
from resources.files.mapping import Mapping, shipped_mappings, user_mappings
from resources.files.names import leads_outside, told
from resources.files.opening import (
    CHANGED,
    Inspection,
    Limits,
    OutOfReach,
    UnreadableFile,
    head_text,
    inspect,
    parquet_columns,
    read_blocks,
)
from resources.files.recognition import Header, Recognition, find_header, recognise
from resources.files.seen import SeenFiles
from resources.files.workbooks import read_workbook
from resources.landing.pages import Stamp

MAPPING_FOLDERS = ("_mappings", "mappings")
# Uploaders and browsers write under these names and rename when done.
UNFINISHED_SUFFIXES = (".part", ".tmp", ".partial", ".filepart", ".crdownload", ".download")


@dataclass(frozen=True)
class Unrecognised:
    """A file that is no known export, and why. `is_table` is false for images, notes and the like."""

    path: str
    location: str
    reason: str
    is_table: bool


@dataclass(frozen=True)
class DropListing:
    """What a folder holds, oldest file first. `unsettled`: path to the reason it is left alone for now."""

    recognised: tuple[RecognisedFile, ...]
    unrecognised: tuple[Unrecognised, ...]
    unsettled: dict[str, str]


@dataclass(frozen=True)
class _Entry:
    path: str
    location: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class FileDrop:
    """A drop folder.

    Args:
        folder: a path or any fsspec URL.
        work_dir: local folder for spooled copies and pages; its contents are this drop's to delete.
        clock: what "now" is, for unfinished files and days in the future.
        history_start: earlier days are refused.
        business_timezone: zone of accounts whose mapping names none.
        week_starts_on: weekday of the media mix's weeks, 0 is Monday.
        settle_seconds: a file changed less than this ago is looked at twice, this far apart.
        mappings: formats known; a person's own in `_mappings/` or `mappings/` inside the folder go first.
    """

    folder: str
    work_dir: Path
    clock: Clock
    history_start: date
    business_timezone: str
    week_starts_on: int = 0
    settle_seconds: float = 2.0
    sleep: Callable[[float], None] = time.sleep
    mappings: tuple[Mapping, ...] = field(default_factory=shipped_mappings)
    limits: Limits = field(default_factory=Limits)
    tolerance: Tolerance = field(default_factory=Tolerance)

    def scan(self) -> DropListing:
        """List the folder; an absent folder is an empty one.

        Raises:
            MappingError: a mapping file in the folder cannot be used.
        """
        filesystem, root = self._open()
        known = (self.user_mappings(), self.mappings)
        entries, refused, unsettled = _list(filesystem, root)
        settled = self._settled(filesystem, entries, unsettled)
        recognised, unrecognised = [], list(refused)
        for entry in sorted(settled, key=lambda entry: (entry.modified, entry.path)):
            found = self._recognise(filesystem, entry, known)
            if isinstance(found, Unrecognised):
                unrecognised.append(found)
            else:
                recognised.append(found)
        unrecognised.sort(key=lambda file: file.path)
        return DropListing(tuple(recognised), tuple(unrecognised), unsettled)

    def user_mappings(self) -> tuple[Mapping, ...]:
        """Mappings a person put into the folder."""
        filesystem, root = self._open()
        return user_mappings(filesystem, root, MAPPING_FOLDERS)

    def seen(self) -> SeenFiles:
        """What earlier landings found files to be; kept beside the work folder, lost without harm."""
        return SeenFiles(self.work_dir.with_name(f"{self.work_dir.name}_seen.json"))

    def inspect(self, file: RecognisedFile, seen: SeenFiles) -> Inspection:
        """Digest and encoding of a file: one pass over its bytes, none if they were seen before.

        Raises:
            UnreadableFile: a broken archive, a decompression bomb, or a file that changed since it was
                recognised.
        """
        filesystem, _ = self._open()
        encoding = file.mapping.encoding
        found = seen.inspection(
            filesystem,
            file.location,
            encoding,
            lambda: inspect(filesystem, file.location, self.limits, encoding),
        )
        # Columns are found by the header as it was recognised: the digest must be of the same bytes.
        if _stat(filesystem, file.location) != (file.size, file.modified):
            raise UnreadableFile(CHANGED)
        return found

    def digest(self, location: str) -> str | None:
        """sha256 of a file's bytes; None where they cannot be had any more."""
        filesystem, _ = self._open()
        digest = hashlib.sha256()
        try:
            for block in read_blocks(filesystem, location):
                digest.update(block)
        except OutOfReach:
            return None
        return digest.hexdigest()

    def fetch(self, file: RecognisedFile, inspection: Inspection, stamp: Stamp) -> FetchedFile:
        """Read one file into pages under the work folder; touches no warehouse."""
        filesystem, _ = self._open()
        fetcher = Fetcher(
            filesystem,
            self.business_timezone,
            self.history_start,
            self.clock.now(),
            self.week_starts_on,
            self.limits,
            self.tolerance,
        )
        return fetcher.fetch(file, inspection, stamp, self.work_dir / stamp.batch_id)

    def clean(self) -> None:
        """Forget pages of this and of interrupted landings: a file is read again, never half-used."""
        shutil.rmtree(self.work_dir, ignore_errors=True)

    def _open(self) -> tuple[AbstractFileSystem, str]:
        filesystem, root = url_to_fs(str(self.folder))
        return filesystem, str(root).rstrip("/")

    def _settled(
        self, filesystem: AbstractFileSystem, entries: list[_Entry], unsettled: dict[str, str]
    ) -> list[_Entry]:
        """Entries nobody writes any more: old enough, or unchanged over the settle time."""
        now = self.clock.now()
        # A clock behind the files' own (a replay, a simulated account) proves nothing: look twice.
        young = [e for e in entries if (now - e.modified).total_seconds() < self.settle_seconds]
        if not young:
            return entries
        self.sleep(self.settle_seconds)
        changed = set()
        for entry in young:
            try:
                again = _stat(filesystem, entry.location)
            except FileNotFoundError:
                again = None
            if again != (entry.size, entry.modified):
                changed.add(entry.path)
                unsettled[entry.path] = "still being written; it will be taken up at the next landing"
        return [entry for entry in entries if entry.path not in changed]

    def _recognise(
        self, filesystem: AbstractFileSystem, entry: _Entry, known: Sequence[Sequence[Mapping]]
    ) -> RecognisedFile | Unrecognised:
        sheet: str | None = None
        is_table = False
        try:
            kind, text = head_text(filesystem, entry.location, self.limits)
            if kind == "text":
                found = find_header(text, known)
            elif kind == "parquet":
                found = recognise(Header(parquet_columns(filesystem, entry.location)), known)
            else:
                found, sheet = self._recognise_workbook(filesystem, entry, known)
            is_table = found.header is not None
            if found.mapping is not None and found.header is not None:
                return RecognisedFile(
                    entry.path, entry.location, entry.size, entry.modified, found.mapping, found.header, sheet
                )
            reason = found.reason
        except UnreadableFile as error:
            reason = str(error)
            is_table = not isinstance(error, OutOfReach) and "binary" not in reason
        return Unrecognised(entry.path, entry.location, reason, is_table)

    def _recognise_workbook(
        self, filesystem: AbstractFileSystem, entry: _Entry, known: Sequence[Sequence[Mapping]]
    ) -> tuple[Recognition, str | None]:
        sheets = read_workbook(filesystem, entry.location, self.limits)
        if not sheets:
            return Recognition(None, None, "no sheet of the workbook holds a table"), None
        found = [(find_header(sheet.head(), known), sheet.name) for sheet in sheets]
        fits = [(recognition, name) for recognition, name in found if recognition.mapping is not None]
        if len(fits) > 1:
            names = ", ".join(name for _, name in fits)
            reason = f"sheets {names} all hold exports: save each as a file of its own"
            return Recognition(fits[0][0].header, None, reason), None
        return fits[0] if fits else found[0]


def _list(
    filesystem: AbstractFileSystem, root: str
) -> tuple[list[_Entry], list[Unrecognised], dict[str, str]]:
    """Files under `root`; links that lead out of it are refused, linked folders are not entered.

    Paths are told with what cannot be printed escaped; no such file is an entry.
    """
    entries: list[_Entry] = []
    refused: list[Unrecognised] = []
    unsettled: dict[str, str] = {}
    pending = [root] if filesystem.isdir(root) else []
    while pending:
        folder = pending.pop()
        try:
            found = filesystem.ls(folder, detail=True)
        except PermissionError as error:
            if folder == root:
                raise
            reason = f"a folder that cannot be listed ({error.strerror or error}): none of its files are read"
            path = told(posixpath.relpath(folder, root))
            refused.append(Unrecognised(path, folder, reason, is_table=False))
            continue
        for info in found:
            location = str(info["name"])
            path = told(posixpath.relpath(location, root))
            name = posixpath.basename(location.rstrip("/"))
            if location.rstrip("/") == folder or name.startswith((".", "~$")):
                continue
            if told(name) != name:
                reason = "its name holds characters that cannot be printed: rename it"
                refused.append(Unrecognised(path, location, reason, is_table=False))
            elif leads_outside(filesystem, location, root):
                reason = "leads outside the drop folder, so it is not followed"
                refused.append(Unrecognised(path, location, reason, is_table=False))
            elif info.get("islink") and filesystem.isdir(location):
                refused.append(Unrecognised(path, location, "a linked folder is not entered", is_table=False))
            elif info["type"] == "directory":
                if not (folder == root and name in MAPPING_FOLDERS):
                    pending.append(location)
            elif name.endswith(UNFINISHED_SUFFIXES):
                unsettled[path] = "its name says that it is still being written"
            elif info.get("islink") and not filesystem.isfile(location):
                # A pipe would be waited for without end.
                refused.append(Unrecognised(path, location, "a link to no file", is_table=False))
            elif info["type"] == "file" or info.get("islink"):
                entries.append(_Entry(path, location, *_stat(filesystem, location)))
    return entries, refused, unsettled


def _stat(filesystem: AbstractFileSystem, location: str) -> tuple[int, datetime]:
    filesystem.invalidate_cache()
    info: dict[str, Any] = filesystem.info(location)
    try:
        modified = filesystem.modified(location)
    except NotImplementedError:
        # A store without times keeps files in the order of their names.
        modified = datetime.fromtimestamp(0, UTC)
    if modified.tzinfo is None:
        modified = modified.replace(tzinfo=UTC)
    return int(info["size"]), modified
