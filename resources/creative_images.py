"""Images of creatives as pixels, and what becomes of those that cannot be shown.

Here: from a content's hash to its file and its pixels, rows of `ops.quarantine`. Not here: the store
(`creative_assets`), decoding (`creative_media`), what is read in pixels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

import polars as pl

from models.embeddings import Image
from resources.creative_assets import FOLDER, AssetStore
from resources.creative_media.images import DecodedImage, decode_image
from resources.creative_media.refusals import Reason, Refused
from resources.warehouse.interface import Append, Warehouse
from resources.warehouse.tables import CREATIVE_ASSETS, QUARANTINE

Shown = Callable[[dict[str, Any], Image], None]
"""Told of each new image: its row in the contents, its pixels."""

STREAM = CREATIVE_ASSETS.name.table


@dataclass
class Unshown:
    """Images that were not decoded.

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


class CreativeImages:
    """The images of `contents`, decoded in turn; what cannot be is remembered in `unshown` and `set_aside`.

    Args:
        contents: `models.creatives.contents.image_contents`, without what need not be read.
        aside: hashes that an earlier run refused: the same bytes would be refused again.
    """

    def __init__(self, contents: pl.DataFrame, aside: pl.Series, store: AssetStore, moment: datetime) -> None:
        is_aside = pl.col("content_sha256").is_in(aside.implode())
        self.to_read = contents.filter(~is_aside)
        self.refused: list[str] = contents.filter(is_aside)["content_sha256"].to_list()
        """Hashes of what was set aside, by this run or an earlier one."""
        self.unshown = Unshown(aside=len(self.refused))
        self._store = store
        self._moment = moment
        self._rows: list[dict[str, Any]] = []

    def parts(self, size: int) -> Iterator[list[tuple[dict[str, Any], DecodedImage]]]:
        """Each content's row and its pixels, so many at a time; the others are left out, and counted."""
        decoded = self._decoded()
        while part := list(islice(decoded, size)):
            yield part

    def set_aside(self) -> list[Append]:
        """The write of what was refused since the last call; nothing where nothing was."""
        rows, self._rows = self._rows, []
        return [Append(QUARANTINE, pl.DataFrame(rows, schema=QUARANTINE.polars_schema))] if rows else []

    def _decoded(self) -> Iterator[tuple[dict[str, Any], DecodedImage]]:
        for content in self.to_read.iter_rows(named=True):
            image = self._decode(content)
            if image is not None:
                yield content, image

    def _decode(self, content: dict[str, Any]) -> DecodedImage | None:
        path = self._store.path(content["content_sha256"])
        if path is None:
            self.unshown.missing += 1
            self._say(f"{FOLDER} holds no file {content['content_sha256']}; the next pull fetches it again")
            return None
        image = decode_image(path)
        if not isinstance(image, Refused):
            return image
        if image.reason is Reason.MISSING:
            self.unshown.missing += 1
        else:
            self.unshown.refused[image.reason.value] += 1
            self.refused.append(content["content_sha256"])
            self._rows.append(self._quarantined(content, f"{FOLDER}/{path.parent.name}/{path.name}", image))
        self._say(f"{path.name}: {image.detail}")
        return None

    def _say(self, words: str) -> None:
        self.unshown.first = self.unshown.first or words

    def _quarantined(self, content: dict[str, Any], file: str, refused: Refused) -> dict[str, Any]:
        return {
            "source": content["platform"],
            "stream": STREAM,
            "account_id": content["account_id"],
            "file": file,
            "file_hash": content["content_sha256"],
            "line": None,
            "severity": "refused",
            "reason": refused.detail,
            "record": None,
            "quarantined_at": self._moment,
        }


def images_set_aside(warehouse: Warehouse) -> pl.Series:
    """Hashes of the images that were refused before."""
    found = warehouse.query(
        "select distinct file_hash from ops.quarantine where stream = $stream", {"stream": STREAM}
    )
    return found["file_hash"]
