"""Images of creatives by the sha256 of their bytes, and which asset of which account each one is.

Here: the store (`<first two>/<sha256>.<ext>`, each content once) and its index. Not here: fetching
(`connectors.images`), what a platform lists (each connector).
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass
from datetime import date
from pathlib import Path

from resources.whole_files import UNFINISHED, write_whole

FOLDER = "creative_assets"
"""Below AELP_HOME."""

_LEFT_OVER_SECONDS = 86_400.0  # no write lasts that long
_NOTED = "insert or replace into assets values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_READ = """
select kind, asset_id, version, sha256, content_type, extension, byte_count, url, fetched_on from assets
where platform = ? and account_id = ?
"""
_TABLE = """
create table if not exists assets (
    platform text not null, account_id text not null, kind text not null, asset_id text not null,
    version text not null, sha256 text not null, content_type text not null, extension text not null,
    byte_count integer not null, url text not null, fetched_on text not null,
    primary key (platform, account_id, kind, asset_id)
);
"""


@dataclass(frozen=True)
class AssetKey:
    """An asset as its platform names it."""

    platform: str
    account_id: str
    kind: str
    asset_id: str


@dataclass(frozen=True)
class KeptAsset:
    """What is known of an asset whose bytes are kept.

    Attributes:
        version: another one means that the platform shows other bytes under the same id.
        url: where it came from, without the query that signed the link.
        fetched_on: account-local day.
    """

    version: str
    sha256: str
    content_type: str
    extension: str
    byte_count: int
    url: str
    fetched_on: date


class AssetStore:
    """Images below one folder; safe for several processes at once.

    Bytes are written before the index names them, so what the index names is whole. Nothing is created before
    the first image is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path | None:
        """The file with this content; None where there is none."""
        return next(iter((self._folder / sha256[:2]).glob(f"{sha256}.*")), None)

    def known(self, platform: str, account_id: str) -> dict[AssetKey, KeptAsset]:
        """The account's assets whose bytes are still there."""
        if not self._index.exists():
            return {}
        try:
            with self._transaction() as index:
                rows = index.execute(_READ, (platform, account_id)).fetchall()
        except sqlite3.OperationalError:  # locked, or the disk
            raise
        except sqlite3.DatabaseError:  # no index any more: what it named is fetched again
            for broken in (self._index, self._index.with_name(f"{self._index.name}-journal")):
                broken.unlink(missing_ok=True)
            return {}
        found = {
            AssetKey(platform, account_id, kind, asset_id): KeptAsset(
                version, sha256, content_type, extension, byte_count, url, date.fromisoformat(fetched_on)
            )
            for kind, asset_id, version, sha256, content_type, extension, byte_count, url, fetched_on in rows
        }
        return {key: kept for key, kept in found.items() if self._is_there(kept)}

    def put(self, content: bytes, extension: str) -> str:
        """Keep some bytes; returns their sha256. The same content is written once."""
        digest = hashlib.sha256(content).hexdigest()
        path = self._file(digest, extension)
        if not path.exists() or path.stat().st_size != len(content):
            write_whole(path, content, self._folder / "incoming")
        return digest

    def note(self, assets: dict[AssetKey, KeptAsset]) -> None:
        """Remember whose bytes are kept; call it after `put`."""
        if not assets:
            return
        rows = [
            (*astuple(key), *astuple(kept)[:-1], kept.fetched_on.isoformat()) for key, kept in assets.items()
        ]
        with self._transaction() as index:
            index.executemany(_NOTED, rows)

    def clear_left_over(self) -> None:
        """Remove what killed processes left half written."""
        before = time.time() - _LEFT_OVER_SECONDS
        for left in (self._folder / "incoming").glob(f"{UNFINISHED}*"):
            with suppress(FileNotFoundError):  # another process has just finished it
                if left.stat().st_mtime < before:
                    left.unlink()

    def _is_there(self, kept: KeptAsset) -> bool:
        try:
            return self._file(kept.sha256, kept.extension).stat().st_size == kept.byte_count
        except FileNotFoundError:
            return False

    def _file(self, sha256: str, extension: str) -> Path:
        return self._folder / sha256[:2] / f"{sha256}.{extension}"

    @property
    def _index(self) -> Path:
        return self._folder / "index.sqlite"

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._index, timeout=30.0)) as index, index:
            index.execute(_TABLE)
            yield index
