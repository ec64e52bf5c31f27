"""Images and videos of creatives as pixels, and what becomes of those that cannot be shown.

Here: from a content's hash to its file and its pixels, rows of `ops.quarantine`. Not here: the store
(`creative_assets`), decoding (`creative_media`), what is read in pixels.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import polars as pl

from models.embeddings import Image
from resources.code_version import module_hash
from resources.creative_assets import FOLDER, AssetStore
from resources.creative_media.images import DecodedImage, decode_image
from resources.creative_media.refusals import Reason, Refused
from resources.creative_media.videos import DecodedVideo, decode_video
from resources.warehouse.interface import Append, Warehouse
from resources.warehouse.tables import CREATIVE_ASSETS, QUARANTINE

Decoded = TypeVar("Decoded")
Shown = Callable[[dict[str, Any], Image], None]
"""Told of each new image or video: its row in the contents, its pixels."""

STREAM = CREATIVE_ASSETS.name.table
_READ = "read"


def media_reader() -> str:
    """Which reader of files this is: the code that decodes them, and its libraries' versions.

    Bytes are refused for good by one reader alone: a mended one may read them.
    """
    code = module_hash("resources.creative_media.images", "resources.creative_media.videos")
    return "+".join([code, *(f"{package}-{version(package)}" for package in ("pillow", "av"))])


@dataclass(frozen=True)
class SetAside:
    """Hashes of images and videos that were refused before.

    Attributes:
        standing: by the present reader, which would refuse the same bytes again.
        outdated: by an earlier reader; they are tried again.
    """

    standing: frozenset[str]
    outdated: frozenset[str]


@dataclass
class Unshown:
    """Files that were not decoded.

    Attributes:
        aside: set aside by an earlier run. refused: set aside by this one, by reason. missing: the file is
            gone; it is looked for again next time. first: what was said of the first one.
    """

    aside: int = 0
    missing: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    first: str | None = None

    @property
    def count(self) -> int:
        return self.aside + self.missing + self.refused.total()


class CreativeFiles(ABC, Generic[Decoded]):
    """The files of `contents`, decoded in turn; what cannot be is remembered in `unshown` and `set_aside`.

    Args:
        contents: `models.creatives.contents.image_contents`, without what need not be read.
        aside: what earlier runs refused.
    """

    def __init__(self, contents: pl.DataFrame, aside: SetAside, store: AssetStore, moment: datetime) -> None:
        is_aside = pl.col("content_sha256").is_in(list(aside.standing))
        self.to_read = contents.filter(~is_aside)
        self.refused: list[str] = contents.filter(is_aside)["content_sha256"].to_list()
        """Hashes of what was set aside, by this run or an earlier one."""
        self.unshown = Unshown(aside=len(self.refused))
        self.read_after_all = 0
        """How many were decoded that an earlier reader had refused."""
        self._outdated = aside.outdated
        self._store = store
        self._moment = moment
        self._rows: list[dict[str, Any]] = []

    @abstractmethod
    def shown(self, path: Path) -> Decoded | Refused:
        """A file as pixels, or why there are none."""

    def parts(self, size: int) -> Iterator[list[tuple[dict[str, Any], Decoded]]]:
        """Each content's row and its pixels, so many at a time; the others are left out, and counted."""
        decoded = self._decoded()
        while part := list(islice(decoded, size)):
            yield part

    @property
    def changes_quarantine(self) -> bool:
        return bool(self.unshown.refused or self.read_after_all)

    def set_aside(self) -> list[Append]:
        """The write of what was refused, or read after all, since the last call; nothing where none was."""
        rows, self._rows = self._rows, []
        return [Append(QUARANTINE, pl.DataFrame(rows, schema=QUARANTINE.polars_schema))] if rows else []

    def _decoded(self) -> Iterator[tuple[dict[str, Any], Decoded]]:
        for content in self.to_read.iter_rows(named=True):
            shown = self._decode(content)
            if shown is not None:
                yield content, shown

    def _decode(self, content: dict[str, Any]) -> Decoded | None:
        path = self._store.path(content["content_sha256"])
        if path is None:
            self.unshown.missing += 1
            self._say(f"{FOLDER} holds no file {content['content_sha256']}; the next pull fetches it again")
            return None
        shown = self.shown(path)
        file = f"{FOLDER}/{path.parent.name}/{path.name}"
        if not isinstance(shown, Refused):
            if content["content_sha256"] in self._outdated:
                self.read_after_all += 1
                said = "The file is read now: what refused it before has been mended."
                self._rows.append(self._quarantined(content, file, _READ, said))
            return shown
        if shown.reason is Reason.MISSING:
            self.unshown.missing += 1
        else:
            self.unshown.refused[shown.reason.value] += 1
            self.refused.append(content["content_sha256"])
            self._rows.append(self._quarantined(content, file, "refused", shown.detail))
        self._say(f"{path.name}: {shown.detail}")
        return None

    def _say(self, words: str) -> None:
        self.unshown.first = self.unshown.first or words

    def _quarantined(self, content: dict[str, Any], file: str, severity: str, reason: str) -> dict[str, Any]:
        return {
            "source": content["platform"],
            "stream": STREAM,
            "account_id": content["account_id"],
            "file": file,
            "file_hash": content["content_sha256"],
            "line": None,
            "severity": severity,
            "reason": reason,
            "record": json.dumps({"reader": media_reader()}),
            "quarantined_at": self._moment,
        }


class CreativeImages(CreativeFiles[DecodedImage]):
    """Images of creatives."""

    def shown(self, path: Path) -> DecodedImage | Refused:
        return decode_image(path)


class CreativeVideos(CreativeFiles[DecodedVideo]):
    """Videos of creatives."""

    def shown(self, path: Path) -> DecodedVideo | Refused:
        return decode_video(path)


def images_set_aside(warehouse: Warehouse) -> SetAside:
    """The images and videos that were refused before, by which reader, but for those that were read later."""
    rows = warehouse.query(
        "select file_hash, stream, severity, record, quarantined_at from ops.quarantine "
        "where stream = $stream",
        {"stream": STREAM},
    )
    aside = set(still_set_aside(rows)["file_hash"])
    by = rows["record"].str.json_path_match("$.reader")
    refused = (by == media_reader()) & (rows["severity"] != _READ)
    standing = aside.intersection(rows.filter(refused.fill_null(False))["file_hash"])
    return SetAside(frozenset(standing), frozenset(aside - standing))


def still_set_aside(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of `ops.quarantine` less those on media that a later row speaks of: refused again, or read."""
    is_image = pl.col("stream").eq_missing(pl.lit(STREAM))
    # At one moment, of two runs, what one of them has read is not set aside.
    last = (
        rows.filter(is_image)
        .sort("quarantined_at", pl.col("severity") == _READ)
        .unique("file_hash", keep="last", maintain_order=True)
        .filter(pl.col("severity") != _READ)
    )
    return pl.concat([rows.filter(~is_image), last])
