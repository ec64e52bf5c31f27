"""Small pictures of what was newly seen, as one image in a run's metadata.

Here: thumbnails, the sheet, the words beside it. Not here: decoding (`resources.creative_media`).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from models.creatives.contents import CREATIVE
from models.embeddings import Image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MOST_SHOWN = 40
_ACROSS = 8
_SIDE, _GAP = 96, 4  # pixels; a full sheet is 804 wide
_PAPER = "#f2f2f2"


class ContactSheet:
    """The first `MOST_SHOWN` pictures, each with a name; the rest is counted."""

    def __init__(self) -> None:
        self._shown: list[tuple[str, Picture]] = []
        self._left_out = 0

    def add(self, content: Mapping[str, Any], pixels: Image) -> None:
        """One more picture.

        Args:
            content: platform, account_id and creative_id of a creative that shows it.
            pixels: RGB, shape (height, width, 3).
        """
        if len(self._shown) == MOST_SHOWN:
            self._left_out += 1
            return
        from PIL import Image as Pillow  # noqa: PLC0415 - only where something is new

        small = Pillow.fromarray(pixels)
        small.thumbnail((_SIDE, _SIDE), reducing_gap=3.0)
        self._shown.append(("/".join(content[part] for part in CREATIVE), small))

    def markdown(self) -> dg.MarkdownMetadataValue:
        """The sheet, row by row, and the names in the same order."""
        if not self._shown:
            return dg.MetadataValue.md("No image was newly seen.")
        encoded = base64.b64encode(self._png()).decode()
        names = ", ".join(name.replace("|", "\\|") for name, _ in self._shown)
        more = f", and {self._left_out:,} more" if self._left_out else ""
        return dg.MetadataValue.md(f"![contact sheet](data:image/png;base64,{encoded})\n\n{names}{more}")

    def _png(self) -> bytes:
        from PIL import Image as Pillow  # noqa: PLC0415

        pitch = _SIDE + _GAP
        rows = -(-len(self._shown) // _ACROSS)
        across = min(len(self._shown), _ACROSS)
        sheet = Pillow.new("RGB", (across * pitch + _GAP, rows * pitch + _GAP), _PAPER)
        for place, (_, small) in enumerate(self._shown):
            left = place % _ACROSS * pitch + _GAP + (_SIDE - small.width) // 2
            top = place // _ACROSS * pitch + _GAP + (_SIDE - small.height) // 2
            sheet.paste(small, (left, top))
        buffer = io.BytesIO()
        # A palette: a quarter of the bytes, and metadata is read with every page.
        sheet.quantize(128).save(buffer, format="png", optimize=True)
        return buffer.getvalue()
