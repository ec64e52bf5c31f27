"""Videos of creatives: measured once per content and version, and a vector of their key frames.

Here: which videos are new to the present formulas or embedder, looking at those, keeping rows. Not here: the
formulas (`models.creatives.video_features`), decoding (`creative_media.videos`), which files people dropped
(`dropped_videos`).

Detectors look at ten pictures a second, so they look at key frames alone; colours, cuts and motion come from
every frame that was sampled. The vector is the mean of the key frames', of length 1: it stands in a space of
its own, named after the embedder and the choice of frames, and is never compared with a still image's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from models.creatives.contents import CREATIVE, image_contents
from models.creatives.video_features import (
    VIDEO_FEATURES,
    VIDEO_FEATURES_VERSION,
    Glimpses,
    SampledFrame,
    VideoFacts,
    video_features,
)
from models.embeddings import Embedder, FloatArray, Image, unit_length
from resources import embedders
from resources.creative_images import CreativeVideos, Shown, media_reader
from resources.creative_measures import Detectors, measured_by
from resources.creative_media.videos import DecodedVideo, VideoFrame
from resources.creative_vectors import VectorKeeper, VectorSpace, vector_rows
from resources.warehouse.interface import Append, Warehouse
from resources.warehouse.retrying import waited_for
from resources.warehouse.tables import CREATIVE_EMBEDDINGS, CREATIVE_VIDEO_FEATURES

KEY_FRAMES_VERSION = "key_frames_v1"
_HOOK_MOMENTS = (0.0, 1.0, 2.0)  # seconds
_LATER_FRAMES = 5
_PAIR = [*CREATIVE, "content_sha256"]
_VIDEO_COLUMNS = ["video_status", "video_notes", *(f"video_{name}" for name in VIDEO_FEATURES)]
_KNOWN = """
select platform, account_id, creative_id, content_sha256, video_status
from gaelp_training.creative_video_features
where (video_version = $video_version and video_status <> 'refused') or video_version = $refused_version
"""
_ROWS = """
select *
from gaelp_training.creative_video_features
where (video_version = $video_version and video_status <> 'refused') or video_version = $refused_version
"""


def video_version() -> str:
    """Formulas, choice of key frames, detectors and their weights, in short; no network is opened."""
    return measured_by(f"{VIDEO_FEATURES_VERSION}+{KEY_FRAMES_VERSION}")


def video_space(specification: str) -> VectorSpace:
    """The space of key frames' means under an image embedder.

    Raises:
        ValueError, EmbedderUnavailable: as `embedders.weights_sha256`.
    """
    weights = embedders.weights_sha256(specification)
    return VectorSpace("video", f"{specification}+{KEY_FRAMES_VERSION}", weights)


def key_frames(frames: Sequence[VideoFrame]) -> list[int]:
    """Places of the frames that detectors and embedders look at: of each second of the hook, then spread.

    Args:
        frames: of a video, in order.
    """
    seconds = np.array([frame.seconds for frame in frames])
    last = float(seconds[-1])
    moments = [moment for moment in _HOOK_MOMENTS if moment <= last]
    if last > _HOOK_MOMENTS[-1]:
        moments += np.linspace(_HOOK_MOMENTS[-1], last, _LATER_FRAMES + 1)[1:].tolist()
    return sorted({int(np.abs(seconds - moment).argmin()) for moment in moments})


def pooled(vectors: FloatArray) -> FloatArray:
    """The mean of vectors, of length 1; shape (frames, dimensions) to (1, dimensions)."""
    return unit_length(vectors.mean(axis=0, keepdims=True))


@dataclass(frozen=True)
class Watching:
    """What became of videos: rows kept, videos watched now, the seconds these last and it took."""

    rows: int
    videos: int
    shown_seconds: float
    seconds: float


class VideoKeeper:
    """Watches what is new and keeps its rows and vectors.

    Args:
        specification: of the image embedder.
        threads: an embedder may use.
        moment: noted with each row.
        say: told of progress.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        specification: str,
        threads: int,
        moment: datetime,
        say: Callable[[str], None],
    ) -> None:
        self._warehouse = warehouse
        self._specification = specification
        self._threads = threads
        self._moment = moment
        self._say = say
        self._version = video_version()
        # Another reader's refusals are tried again.
        self._refused_version = f"{self._version}-{media_reader()}"
        self._asked = {"video_version": self._version, "refused_version": self._refused_version}
        self._space = video_space(specification)
        self._vectors = VectorKeeper(warehouse, threads, moment, say)
        self._written = 0

    def states(self, videos: pl.DataFrame) -> pl.DataFrame:
        """The pairs with the video_status of their row, null where no row of the present version is kept.

        Args:
            videos: platform, account_id, creative_id, content_sha256, origin.
        """
        return videos.join(self._known(), on=_PAIR, how="left", maintain_order="left")

    def rows(self, videos: pl.DataFrame) -> pl.DataFrame:
        """CREATIVE_VIDEO_FEATURES of the present version, of these pairs."""
        kept = self._warehouse.query(_ROWS, self._asked)
        return kept.join(videos, on=_PAIR, how="semi").sort("measured_at", *_PAIR)

    def unwatched(self, videos: pl.DataFrame) -> pl.DataFrame:
        """Contents without measures of the present version, or without a vector, each once.

        Returns:
            as `models.creatives.contents.image_contents`.
        """
        contents = image_contents(videos)
        measured = self._known().filter(video_status="measured").select("content_sha256").unique()
        without = self._vectors.without_vector(contents, self._space)["content_sha256"]
        has_both = pl.col("content_sha256").is_in(measured["content_sha256"].implode()) & ~pl.col(
            "content_sha256"
        ).is_in(without.implode())
        return contents.filter(~has_both)

    def watch(self, videos: pl.DataFrame, files: CreativeVideos, shown: Shown) -> Watching:
        """Rows of the pairs that have none, and vectors; those whose file is missing wait for it.

        Args:
            videos: as `states` takes them.
            files: of the contents that `unwatched` gives.
        """
        started, watched, shown_seconds = time.monotonic(), 0, 0.0
        new = self.states(videos).filter(pl.col("video_status").is_null()).drop("video_status")
        measured = self._measured(new)
        self._keep(new.join(measured, on="content_sha256"))
        new = new.join(measured, on="content_sha256", how="anti")
        detectors: Detectors | None = None
        embedder: Embedder[Image] | None = None
        for part in files.parts(1):
            detectors = detectors or Detectors()
            if embedder is None:
                embedder = embedders.open_image_embedder(self._specification, self._threads)
            for content, video in part:
                frames = [video.frames[place] for place in key_frames(video.frames)]
                shown(content, frames[0].pixels)
                row = _row(content["content_sha256"], video, detectors)
                vector = pooled(embedder.embed([frame.pixels for frame in frames]))
                rows = vector_rows(self._space, [content["content_sha256"]], vector, self._moment)
                self._keep(new.join(_rows([row]), on="content_sha256"), rows, *files.set_aside())
                shown_seconds += video.duration_seconds
            watched += len(part)
            self._say(f"{watched:,} of {files.to_read.height:,} new videos watched")
        refused = _rows([{"content_sha256": sha256, "video_status": "refused"} for sha256 in files.refused])
        self._keep(new.join(refused, on="content_sha256"), None, *files.set_aside())
        return Watching(self._written, watched, shown_seconds, time.monotonic() - started)

    def _measured(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """What was measured before of the pairs' videos by the present version, a row each."""
        if pairs.is_empty():
            return _rows([])
        kept = self._warehouse.query(_ROWS, self._asked).filter(video_status="measured")
        kept = kept.join(pairs, on="content_sha256", how="semi")
        return kept.select("content_sha256", *_VIDEO_COLUMNS).unique("content_sha256", maintain_order=True)

    def _known(self) -> pl.DataFrame:
        return self._warehouse.query(_KNOWN, self._asked)

    def _keep(self, watched: pl.DataFrame, vectors: pl.DataFrame | None = None, *others: Append) -> None:
        """Write pairs that have their video's columns, a vector and `others`, at once."""
        made = watched.with_columns(
            video_version=pl.when(pl.col("video_status") == "refused")
            .then(pl.lit(self._refused_version))
            .otherwise(pl.lit(self._version)),
            measured_at=pl.lit(self._moment).cast(pl.Datetime("us", "UTC")),
        ).select(CREATIVE_VIDEO_FEATURES.column_names)

        def write() -> None:
            known = self._known()
            writes = [Append(CREATIVE_VIDEO_FEATURES, made.join(known, on=_PAIR, how="anti")), *others]
            if vectors is not None:
                writes.append(Append(CREATIVE_EMBEDDINGS, self._vectors.without_vector(vectors, self._space)))
            self._warehouse.write(*writes)

        if made.height or vectors is not None or others:
            waited_for(write)
        self._written += made.height


def _row(sha256: str, video: DecodedVideo, detectors: Detectors) -> dict[str, Any]:
    looked_at = set(key_frames(video.frames))
    frames = (
        SampledFrame(frame.seconds, frame.pixels, detectors.look_at(frame.pixels))
        if place in looked_at
        else SampledFrame(frame.seconds, frame.pixels)
        for place, frame in enumerate(video.frames)
    )
    facts = VideoFacts(video.duration_seconds, video.width, video.height, video.has_audio)
    features = video_features(frames, Glimpses(video.glimpse_seconds, video.glimpses), facts)
    return {
        "content_sha256": sha256,
        "video_status": "measured",
        "video_notes": " ".join(video.notes) or None,
        **{f"video_{name}": value for name, value in features.items()},
    }


def _rows(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """The video columns; what a row does not say is null."""
    schema = {
        name: CREATIVE_VIDEO_FEATURES.polars_schema[name] for name in ("content_sha256", *_VIDEO_COLUMNS)
    }
    return pl.DataFrame(rows, schema=schema)
