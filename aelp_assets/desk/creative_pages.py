"""Pages of creatives on the desk: the list, a card, small pictures. They show, they decide nothing.

Here: routes and what is asked of them. Not here: what is read (`creatives`), layout (the templates).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Protocol
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aelp_assets.desk import creatives
from aelp_assets.desk.creative_drawings import HEIGHT, WIDTH
from resources.control.records import Record
from resources.creative_assets import AssetStore
from resources.creative_media.images import decode_image
from resources.creative_media.refusals import Refused as Undecodable
from resources.warehouse.interface import Warehouse

_SIDE = 320  # pixels: twice what the card shows, for dense screens
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Render(Protocol):
    """A template as an answer."""

    def __call__(self, request: Request, template: str, **shown: object) -> Response: ...


class CreativePages:
    """Args: warehouses: opened anew for each page. pictures: images by their hash. render: the desk's own."""

    def __init__(
        self, warehouses: Callable[[], Sequence[Warehouse]], pictures: AssetStore, render: Render
    ) -> None:
        self._warehouses = warehouses
        self._pictures = pictures
        self._render = render

    def routes(self) -> list[Route]:
        """All of them answer GET alone."""
        return [
            Route("/creatives", self.listed),
            Route("/creatives/{platform}/{account_id}/{creative_id:path}", self.card),
            Route("/pictures/{sha256}", self.picture),
        ]

    def listed(self, request: Request) -> Response:
        """Creatives of a track on a placement, the highest bound first."""
        asked = (request.query_params.get(name, "") for name in ("sort", "track", "placement"))
        found = creatives.read_list(self._warehouses(), *asked)
        return self._render(
            request,
            "creatives.html",
            found=found,
            orders=list(creatives.ORDERS),
            most=creatives.MOST_LISTED,
            link=card_link,
        )

    def card(self, request: Request) -> Response:
        """All that is known of one creative."""
        asked = (unquote(request.path_params[name]) for name in ("platform", "account_id", "creative_id"))
        found = creatives.read_card(self._warehouses(), *asked)
        answer = self._render(
            request, "creative.html", found=found, width=WIDTH, height=HEIGHT, link=card_link
        )
        answer.status_code = 200 if found.creative or found.missing else 404
        return answer

    def picture(self, request: Request) -> Response:
        """A small copy of an image that was kept; never the bytes a platform gave."""
        sha256 = request.path_params["sha256"]
        path = self._pictures.path(sha256) if _SHA256.fullmatch(sha256) else None
        image = None if path is None else decode_image(path)
        if image is None or isinstance(image, Undecodable):
            return Response("No such picture.\n", 404, media_type="text/plain")
        from PIL import Image as Pillow  # noqa: PLC0415 - only where a picture is shown

        small = Pillow.fromarray(image.pixels)
        small.thumbnail((_SIDE, _SIDE), reducing_gap=3.0)
        buffer = io.BytesIO()
        small.save(buffer, format="png")
        return Response(buffer.getvalue(), media_type="image/png")


def card_link(row: Record, prefix: str = "") -> str:
    """Where the card of a row's creative is; `prefix` before its columns' names.

    Servers undo one quoting before the path is parted, so that a slash of an id needs two.
    """
    parts = (str(row[f"{prefix}{name}"]) for name in ("platform", "account_id", "creative_id"))
    return "/creatives/" + "/".join(quote(quote(part, safe=""), safe="") for part in parts)
