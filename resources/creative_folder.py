"""A folder of new creatives as somebody handed it over: images, texts beside them, a list.

Here: which creatives it holds, and what of it is set aside and why. Not here: reading pixels
(`creative_media`), what creatives are like (`creative_measures`), scoring them.

An image is a creative. Its texts stand in `creatives.csv`, else in a `.txt` of its name; a `.txt` alone is a
creative without an image. The first line of a `.txt` is the headline, the others are the primary text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from models.creatives.contents import text_sha256
from models.policy import TEXTS
from resources.connectors.vendor_rows import TEXT_LIMIT, csv_rows, decoded
from resources.creative_assets import AssetStore
from resources.creative_media.images import DEFAULT_IMAGE_LIMITS, read_file, recognise_image
from resources.creative_media.refusals import Reason, Refused

LIST = "creatives.csv"
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "file": ("file", "file_name", "filename", "image", "image_file"),
    "headline": ("headline", "title"),
    "body": ("primary_text", "body", "text", "description"),
    "call_to_action": ("call_to_action", "cta"),
}
"""Of the list, by what they hold; the first that is filled counts. Others are not read."""
SCHEMA = pl.Schema(
    dict.fromkeys(
        ("platform", "account_id", "creative_id", *TEXTS, "content_hash", "content_sha256"), pl.String()
    )
)
_LARGEST_LIST = 50_000_000  # bytes
_NAMED = 5  # faults spelt out in one message
_VIDEOS = frozenset({".mp4", ".mov", ".m4v", ".webm", ".avi", ".mkv", ".mpg", ".mpeg", ".wmv"})
_NO_VIDEOS = (
    "A video is not scored yet: rankers learn from texts and images. Hand over its first frame as an image."
)
_LEFT_BY_SYSTEMS = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
_Texts = Mapping[str, str | None]


class FolderError(Exception):
    """A folder that cannot be read as one of creatives: where, why, and what to do."""


@dataclass(frozen=True)
class SetAside:
    """A file, or a line of the list, that is no creative, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class CreativeFolder:
    """What a folder holds.

    Attributes:
        creatives: SCHEMA, a row per creative; creative_id is its file, or the list's line where that names no
            file or one of several lines.
        set_aside: the rest.
    """

    creatives: pl.DataFrame
    set_aside: tuple[SetAside, ...]


def folder_files(folder: Path) -> list[str]:
    """Paths of its files below the folder, in order; what systems hide or leave behind is left out.

    Raises:
        FolderError: no such folder, none that can be read, or nothing in it.
    """
    if not folder.exists():
        raise FolderError(f"{folder}: no such folder of creatives")
    if not folder.is_dir():
        raise FolderError(f"{folder} is a file; name the folder it lies in")
    found = []
    for place, inside, names in os.walk(folder, onerror=_unreadable):
        inside[:] = [name for name in inside if not _hidden(name)]
        found += [(Path(place) / name).relative_to(folder).as_posix() for name in names if not _hidden(name)]
    if not found:
        raise FolderError(f"{folder} holds no file: put images, .txt files or a {LIST} into it")
    return sorted(found)


def read_creative_folder(folder: Path, store: AssetStore) -> CreativeFolder:
    """The creatives of a folder; images that are whole are put into the store, everything else is set aside.

    Args:
        store: of its own, so that nothing of the folder is taken for an account's.
    Raises:
        FolderError: as `folder_files`; a list that cannot be read, or that names files which are not there.
    """
    files = folder_files(folder)
    lists = [name for name in files if name.casefold() == LIST]
    texts = [name for name in files if name.casefold().endswith(".txt")]
    listed = [] if not lists else _listed(folder, lists[0], frozenset(files))
    said = [line for line in listed if line.refusal is None]
    reader = _Reader(folder, store)
    reader.set_aside += [SetAside(line.name, line.refusal) for line in listed if line.refusal is not None]
    named = [line.file for line in said if line.file]
    for line in said:
        name = line.file if line.file and named.count(line.file) == 1 else line.name
        reader.add(name, line.file, line.texts)
    images = [name for name in files if name not in (*lists, *texts, *named)]
    beside = {_stem(name): name for name in texts}
    for image in images:
        reader.add(image, image, reader.texts_of(beside.get(_stem(image))))
    shown = {_stem(name) for name in (*images, *named)}
    for name in texts:
        if _stem(name) not in shown and name not in named:
            reader.add(name, None, reader.texts_of(name))
    return CreativeFolder(pl.DataFrame(reader.rows, schema=SCHEMA), tuple(reader.set_aside))


@dataclass(frozen=True)
class _Line:
    """A row of the list. refusal: why it is no creative."""

    name: str
    file: str | None
    texts: _Texts
    refusal: str | None = None


class _Reader:
    """Creatives, and what is set aside, as they are met."""

    def __init__(self, folder: Path, store: AssetStore) -> None:
        self.rows: list[dict[str, str | None]] = []
        self.set_aside: list[SetAside] = []
        self._folder = folder
        self._store = store
        self._known: dict[str, str | Refused] = {}

    def add(self, name: str, image: str | None, texts: _Texts | Refused) -> None:
        """A creative of these texts and this image, or what stands against it."""
        content = texts if isinstance(texts, Refused) or image is None else self._image(image)
        if isinstance(content, Refused):
            self.set_aside.append(SetAside(name, content.detail))
            return
        assert not isinstance(texts, Refused)
        if image is None and not any(texts.values()):
            self.set_aside.append(SetAside(name, "Neither an image nor a text: there is nothing to score."))
            return
        row = {text: texts.get(text) or None for text in TEXTS}
        written = text_sha256("\x00".join(row[text] or "" for text in TEXTS))
        sha256 = content if isinstance(content, str) else None
        of_folder = {"platform": "folder", "account_id": "folder", "creative_id": name}
        self.rows.append({**of_folder, **row, "content_hash": written, "content_sha256": sha256})

    def texts_of(self, name: str | None) -> _Texts | Refused:
        """What a `.txt` says; nothing where there is none."""
        if name is None:
            return {}
        content = self._bytes(name, TEXT_LIMIT)
        if isinstance(content, Refused):
            return Refused(content.reason, f"{name}: {content.detail}")
        try:
            text = decoded(content)
        except ValueError as error:
            return Refused(Reason.BROKEN, f"{name}: {error}")
        if "\x00" in text:
            return Refused(Reason.BROKEN, f"{name}: it holds null characters and is no text.")
        headline, _, body = text.strip().partition("\n")
        return {"headline": headline.strip(), "body": body.strip()}

    def _image(self, name: str) -> str | Refused:
        """The hash of an image that is whole, in the store from then on; or why it is none."""
        if name not in self._known:
            self._known[name] = self._kept(name)
        return self._known[name]

    def _kept(self, name: str) -> str | Refused:
        content = self._bytes(name, DEFAULT_IMAGE_LIMITS.most_bytes)
        found = content if isinstance(content, Refused) else recognise_image(content)
        if not isinstance(content, Refused) and not isinstance(found, Refused):
            return self._store.put(content, found.extension)
        if Path(name).suffix.casefold() in _VIDEOS:
            return Refused(Reason.NOT_AN_IMAGE, _NO_VIDEOS)
        assert isinstance(found, Refused)
        return found

    def _bytes(self, name: str, most: int) -> bytes | Refused:
        path = self._folder / name
        # A pipe would be waited for without end.
        return read_file(path, most) if path.is_file() else Refused(Reason.MISSING, "It is no ordinary file.")


def _listed(folder: Path, name: str, files: frozenset[str]) -> list[_Line]:
    content = read_file(folder / name, _LARGEST_LIST)
    if isinstance(content, Refused):
        raise FolderError(f"{folder / name}: {content.detail}")
    try:
        rows = csv_rows(decoded(content))
        header = _header(rows[0][1] if rows else [])
    except ValueError as error:
        raise FolderError(f"{folder / name}: {error}") from None
    lines = [_line(name, number, header, values) for number, values in rows[1:]]
    missing = [line for line in lines if line.file and line.file not in files]
    if missing:
        told = "; ".join(f"{line.name} names {line.file}" for line in missing[:_NAMED])
        more = f"; and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise FolderError(
            f"{folder / name}: {told}{more}. There is no such file in {folder}: put it there, write its path "
            "below the folder as it is spelt, or leave the row out. Nothing was scored."
        )
    return lines


def _header(names: Sequence[str]) -> list[str]:
    header = [re.sub(r"[\s-]+", "_", name.strip().casefold()) for name in names]
    known = [name for names_of in COLUMNS.values() for name in names_of]
    if twice := sorted({name for name in header if name in known and header.count(name) > 1}):
        raise ValueError(f"line 1: two columns are named {twice[0]}.")
    if not set(header) & {name for key in ("file", "headline", "body") for name in COLUMNS[key]}:
        found = ", ".join(header) or "nothing"
        raise ValueError(
            f"line 1: there is no column file, headline or primary text (found {found[:200]}). Name the "
            "columns there."
        )
    return header


def _line(name: str, number: int, header: Sequence[str], values: Sequence[str]) -> _Line:
    at = f"{name} line {number}"
    if len(values) != len(header):
        reason = f"It has {len(values)} cells, the header has {len(header)}. Quote cells that hold commas."
        return _Line(at, None, {}, reason)
    cells = {column: value.strip() for column, value in zip(header, values, strict=True)}
    said = {key: next(_filled(cells, names), None) for key, names in COLUMNS.items()}
    for key in TEXTS:
        text = said[key] or ""
        if len(text.encode()) > TEXT_LIMIT or "\x00" in text:
            reason = f"Its {key} is longer than {TEXT_LIMIT:,} bytes or holds null characters."
            return _Line(at, None, {}, reason)
    file = said["file"]
    return _Line(at, None if file is None else file.replace("\\", "/").removeprefix("./"), said)


def _filled(cells: Mapping[str, str], names: Sequence[str]) -> Iterator[str]:
    yield from (cells[name] for name in names if cells.get(name))


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _LEFT_BY_SYSTEMS


def _unreadable(error: OSError) -> None:
    raise FolderError(f"{error.filename}: cannot be read ({error.strerror}). Ask for access to it.") from None
