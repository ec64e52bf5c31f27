"""Videos that people or vendors put into a folder: `creative_videos/PLATFORM/ACCOUNT/CREATIVE.mp4`.

Here: which files are new, their bytes into the store of contents. Not here: whether they can be shown
(`creative_media.videos`), files of reports (`resources.files`).

A file is read again when its size or time changes, so one that was read while it was still being copied is
read whole the next time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from models.creatives.contents import CREATIVE
from resources.creative_assets import AssetKey, AssetStore, KeptAsset
from resources.creative_media.videos import DEFAULT_VIDEO_LIMITS

DROP_FOLDER = "creative_videos"
"""Below AELP_HOME."""

_KIND = "dropped_video"
_EXTENSIONS = {"mp4": "video/mp4", "m4v": "video/mp4", "mov": "video/quicktime", "webm": "video/webm"}


@dataclass(frozen=True)
class DroppedVideos:
    """What lies in the folder.

    Attributes:
        videos: platform, account_id, creative_id, content_sha256 of each file that was taken in.
        left: what was not, each with the reason and the remedy.
    """

    videos: pl.DataFrame
    left: tuple[str, ...]


def take_in(folder: Path, store: AssetStore, day: date) -> DroppedVideos:
    """Keep the bytes of new files under their hash; files stay where they are.

    Args:
        folder: need not exist.
        day: noted with what is new.
    """
    rows: dict[tuple[str, str, str], str] = {}
    left: list[str] = []
    for path in _files(folder):
        platform, account_id, creative_id = (*path.relative_to(folder).parts[:2], path.stem)
        said = f"{DROP_FOLDER}/{path.relative_to(folder)}"
        if path.suffix.lower().removeprefix(".") not in _EXTENSIONS:
            left.append(f"{said} is named like no MP4, MOV or WebM. Export it as one of these.")
        elif (platform, account_id, creative_id) in rows:
            left.append(f"{said} is a second file of its creative. Keep one of them.")
        else:
            try:
                rows[platform, account_id, creative_id] = _taken(
                    path, AssetKey(platform, account_id, _KIND, creative_id), store, day
                )
            except (OSError, _TooLargeError) as error:
                left.append(f"{said}: {error}")
    found = [(*creative, sha256) for creative, sha256 in rows.items()]
    schema = dict.fromkeys((*CREATIVE, "content_sha256"), pl.String)
    return DroppedVideos(pl.DataFrame(found, schema=schema, orient="row"), tuple(left))


class _TooLargeError(Exception):
    pass


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.glob("*/*/*")):
        if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
            yield path


def _taken(path: Path, key: AssetKey, store: AssetStore, day: date) -> str:
    """The file's hash; its bytes are read where it is new or has changed."""
    stat = path.stat()
    version = f"{stat.st_size}-{stat.st_mtime_ns}"
    kept = store.known(key.platform, key.account_id).get(key)
    if kept is not None and kept.version == version:
        return kept.sha256
    if stat.st_size > (most := DEFAULT_VIDEO_LIMITS.most_bytes):
        raise _TooLargeError(
            f"it has {stat.st_size / 1e6:.0f} MB; at most {most / 1e6:.0f} MB are read. Export it smaller."
        )
    content, extension = path.read_bytes(), path.suffix.lower().removeprefix(".")
    sha256 = store.put(content, extension)
    kept = KeptAsset(version, sha256, _EXTENSIONS[extension], extension, len(content), path.name, day)
    store.note({key: kept})
    return sha256
