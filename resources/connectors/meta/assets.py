"""Images, videos and their thumbnails of an ad account: what Meta lists, with bytes fetched once.

Here: the lists, which assets are new, each as a row of `creative_assets`. Not here: calling a link
(`connectors.images`), keeping bytes (`resources.creative_assets`), creatives (`entities`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePosixPath
from typing import Any

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.images import Image, ImageClient, Outcome, without_query
from resources.connectors.meta.entities import Edge, Record, listed
from resources.connectors.meta.graph import Graph
from resources.connectors.meta.texts import moment, number, part, parts, required, text
from resources.connectors.source import Account
from resources.creative_assets import AssetKey, AssetStore, KeptAsset

IMAGES = Edge("image", "adimages", ("id", "hash", "name", "url", "width", "height", "status", "created_time"))
VIDEOS = Edge(
    "video_thumbnail",
    "advideos",
    (
        "id",
        "title",
        "source",
        "picture",
        "thumbnails{uri,width,height,is_preferred}",
        "length",
        "status",
        "created_time",
    ),
)
HOSTS = ("fbcdn.net", "fbsbx.com", "facebook.com", "cdninstagram.com")
MOST_NEW = 1000
"""Images one pull fetches, some minutes' worth: the first pull of a large library does not keep an account's
reports waiting; the rest comes with the next pulls."""
MOST_NEW_VIDEOS = 100
"""Videos one pull fetches: each is as long to fetch as dozens of images."""
VIDEO = "video"
"""asset_kind of a video's own file; that of its thumbnail is `VIDEOS.entity_type`."""
_OUT_AFTER = 3  # links in a row without an answer: their hosts are down


@dataclass
class _Look:
    """One reading of the lists."""

    account: Account
    day: date
    known: dict[AssetKey, KeptAsset]
    new: dict[AssetKey, KeptAsset] = field(default_factory=dict)
    first_failures: set[AssetKey] = field(default_factory=set)
    fetched: Counter[ImageClient] = field(default_factory=Counter)
    silent_in_a_row: int = 0


class MetaAssets:
    """Reads an account's assets; remembers which links failed, since a pull is read again after a failure."""

    def __init__(
        self, graph: Graph, store: AssetStore, images: ImageClient, videos: ImageClient, most_new: int
    ) -> None:
        self._graph = graph
        self._store = store
        self._clients = {IMAGES.entity_type: images, VIDEOS.entity_type: images, VIDEO: videos}
        self._most_new = {images: most_new, videos: MOST_NEW_VIDEOS}
        self._failed: set[AssetKey] = set()

    def pages(
        self, account: Account, day: date, page_size: int | None
    ) -> Iterator[tuple[list[Record], float]]:
        """Rows of all assets, page by page, each with the advised wait; bytes that are new are kept first.

        A link that gives no whole answer is told as `unavailable` once it has failed at two readings.

        Raises:
            PlatformError: also TRANSIENT, after the last page, where links failed for the first time.
        """
        self._store.clear_left_over()
        look = _Look(account, day, self._store.known("meta", account.account_id))
        for edge in (IMAGES, VIDEOS):
            for rows, wait in listed(self._graph, account, edge, page_size=page_size):
                try:
                    records = [self._record(edge, row, look) for row in rows]
                    if edge is VIDEOS:
                        records += [self._film(row, look) for row in rows if row.get("source")]
                finally:
                    self._store.note(look.new)
                    look.known |= look.new
                    look.new.clear()
                yield records, wait
        if look.first_failures:
            self._failed |= look.first_failures
            raise _no_answer(len(look.first_failures))
        self._failed.clear()

    def _record(self, edge: Edge, asset: Mapping[str, Any], look: _Look) -> Record:
        if edge is IMAGES:
            asset_id, named, shown = required(asset, "hash"), asset.get("name"), asset
            link, status = text(asset.get("url")), asset.get("status")
        else:
            shown = _thumbnail(asset)
            asset_id, named = required(asset, "id"), asset.get("title")
            link = text(shown.get("uri") or asset.get("picture"))
            status = part(asset, "status").get("video_status")
        key = AssetKey("meta", look.account.account_id, edge.entity_type, asset_id)
        # Meta names an image by its content. A thumbnail may be exchanged: then its link has another file.
        version = asset_id if edge is IMAGES else PurePosixPath(without_query(link or "")).name
        row = {
            "name": text(named),
            "width": number(shown.get("width"), "width"),
            "height": number(shown.get("height"), "height"),
            "length_seconds": number(asset.get("length"), "length"),
            "status": text(status),
            "created_at": moment(asset.get("created_time"), look.account.timezone),
        }
        return self._with_bytes(row, key, version, link, look)

    def _film(self, video: Mapping[str, Any], look: _Look) -> Record:
        """A video's own file, linked for whoever may see its page; another cut has another id."""
        asset_id = required(video, "id")
        row = {
            "name": text(video.get("title")),
            "width": None,
            "height": None,
            "length_seconds": number(video.get("length"), "length"),
            "status": text(part(video, "status").get("video_status")),
            "created_at": moment(video.get("created_time"), look.account.timezone),
        }
        key = AssetKey("meta", look.account.account_id, VIDEO, asset_id)
        return self._with_bytes(row, key, asset_id, text(video.get("source")), look)

    def _with_bytes(
        self, row: Mapping[str, Any], key: AssetKey, version: str, link: str | None, look: _Look
    ) -> Record:
        outcome, kept = self._bytes(key, version, link, look)
        return {
            "asset_kind": key.kind,
            "asset_id": key.asset_id,
            **row,
            # As fetched: the same image is listed under the name of another server every time.
            "url": kept.url if kept is not None else without_query(link or "") or None,
            "content_sha256": kept.sha256 if kept is not None else None,
            "content_type": kept.content_type if kept is not None else None,
            "byte_count": str(kept.byte_count) if kept is not None else None,
            "outcome": outcome,
        }

    def _bytes(
        self, key: AssetKey, version: str, link: str | None, look: _Look
    ) -> tuple[Outcome, KeptAsset | None]:
        kept = look.new.get(key) or look.known.get(key)
        if kept is not None and kept.version == version:
            return (Outcome.FETCHED if kept.fetched_on == look.day else Outcome.UNCHANGED), kept
        if not link:
            return Outcome.MISSING, None
        client = self._clients[key.kind]
        if look.fetched[client] >= self._most_new[client]:
            return Outcome.WAITING, None
        if look.silent_in_a_row >= _OUT_AFTER:
            return Outcome.UNAVAILABLE, None
        found = client.get(link)
        if isinstance(found, Image):
            look.fetched[client] += 1
            look.silent_in_a_row = 0
            sha256 = self._store.put(found.content, found.extension)
            look.new[key] = KeptAsset(
                version,
                sha256,
                found.content_type,
                found.extension,
                len(found.content),
                without_query(link),
                look.day,
            )
            return Outcome.FETCHED, look.new[key]
        if found is not Outcome.UNAVAILABLE:
            look.silent_in_a_row = 0
            return found, None
        look.silent_in_a_row += 1
        if key not in self._failed:
            look.first_failures.add(key)
            if look.silent_in_a_row >= _OUT_AFTER:
                self._failed |= look.first_failures
                raise _no_answer(len(look.first_failures))
        return Outcome.UNAVAILABLE, None


def _thumbnail(video: Mapping[str, Any]) -> Mapping[str, Any]:
    """The thumbnail that was chosen for the video, else the first; empty where none is listed."""
    listed_ones = parts(part(video, "thumbnails"), "data")
    preferred = [one for one in listed_ones if one.get("is_preferred") is True]
    return next(iter([*preferred, *listed_ones]), {})


def _no_answer(links: int) -> PlatformError:
    return PlatformError(ErrorClass.TRANSIENT, f"Meta's image servers gave no whole answer to {links} links.")
