"""What texts and images of creatives are like: measured once per content and version, kept in the warehouse.

Here: which contents are new to the present formulas, measuring those in parts, keeping rows. Not here: the
formulas (`models.creatives`), networks (`creative_media.detectors`), pixels (`creative_images`).

An image is looked at once however many texts stand beside it, and a part is kept as soon as it is measured:
detectors look at two pictures a second, and a run that is killed is continued by the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from models.creatives.contents import CREATIVE, joined_text
from models.creatives.image_features import (
    IMAGE_FEATURES,
    IMAGE_FEATURES_VERSION,
    ImageDetections,
    image_features,
)
from models.creatives.text_features import (
    TEXT_FEATURES,
    TEXT_FEATURES_VERSION,
    TextLexicons,
    text_features,
)
from models.embeddings import Image, combined_sha256
from models.policy import TEXTS, as_read
from resources.creative_images import CreativeImages, Shown, media_reader
from resources.creative_media.detectors import FaceDetector, TextDetector, UnsafeContentDetector
from resources.creative_media.images import DecodedImage
from resources.embedders.weights import FACES_FULL_RANGE, NUDITY, TEXT_DETECTOR, verified
from resources.settings import Settings
from resources.warehouse.interface import Append, Warehouse
from resources.warehouse.retrying import waited_for
from resources.warehouse.tables import CREATIVE_FEATURES

PAIR = ["content_hash", "content_sha256"]
_DETECTORS = (FaceDetector, TextDetector, UnsafeContentDetector)
_WEIGHTS = (FACES_FULL_RANGE, TEXT_DETECTOR, NUDITY)
_IMAGES_PER_PART = 32
_TEXTS_PER_PART = 4096
_IMAGE_COLUMNS = [
    *("image_status", "image_content_type", "image_frames"),
    *(f"image_{name}" for name in IMAGE_FEATURES),
]
_KNOWN = """
select content_hash, content_sha256, image_status
from gaelp_training.creative_features
where text_version = $text_version and (
    (image_version = $image_version and image_status <> 'refused') or image_version = $refused_version
)
"""
_PRESENT = """
select *
from gaelp_training.creative_features
where text_version = $text_version and (
    (image_version = $image_version and image_status <> 'refused') or image_version = $refused_version
)
"""
_NEWEST = """
select
    content_hash,
    image_status,
    text_words,
    text_flesch_reading_ease,
    text_sentiment_compound,
    image_brightness,
    image_text_share,
    image_face_count
from gaelp_training.creative_features
where text_version = $text_version and image_version in ($image_version, $refused_version)
order by measured_at desc, content_hash
limit 50
"""


@dataclass(frozen=True)
class Versions:
    """What measures: formulas, lists, detectors and their weights, in short."""

    text: str
    image: str

    def parameters(self) -> dict[str, str]:
        """The columns that tell its rows from others."""
        return {"text_version": self.text, "image_version": self.image}

    @property
    def refused(self) -> str:
        """The image_version of what the present reader refuses: another reader's refusals are tried again."""
        return f"{self.image}-{media_reader()}"

    def asked(self) -> dict[str, str]:
        """Parameters of the queries here."""
        return self.parameters() | {"refused_version": self.refused}


def present_versions(lexicons: TextLexicons) -> Versions:
    """The versions of the formulas, lists and networks of this process; no network is opened."""
    return Versions(
        f"{TEXT_FEATURES_VERSION}-{lexicons.content_hash[:12]}", measured_by(IMAGE_FEATURES_VERSION)
    )


def measured_by(formulas: str) -> str:
    """Formulas, detectors and their weights as a version; no network is opened."""
    weights = combined_sha256({file.path: file.sha256 for file in _WEIGHTS})
    measuring = "+".join([formulas, *(detector.version for detector in _DETECTORS)])
    return f"{measuring}-{weights[:12]}"


def lexicons_of(settings: Settings) -> TextLexicons:
    """The settings' lists of words and limits of texts."""
    return TextLexicons(
        triggers=settings.creative_texts.model_dump(),
        regulated_terms=settings.policy.regulated_terms,
        length_limits=dict(settings.policy.text_limits.items()),
    )


def read_features(warehouse: Warehouse, lexicons: TextLexicons) -> pl.DataFrame:
    """CREATIVE_FEATURES of the present versions, a row per pair."""
    rows = warehouse.query(_PRESENT, present_versions(lexicons).asked())
    return rows.sort(*PAIR, "measured_at").unique(PAIR, keep="first", maintain_order=True)


@dataclass(frozen=True)
class Measuring:
    """What became of creatives' contents: how many pairs were measured now, how many images, in how long."""

    pairs: int
    images: int
    seconds: float

    @property
    def rate(self) -> float:
        """New images a second, opening the detectors included."""
        return self.images / self.seconds if self.images else 0.0


class FeatureKeeper:
    """Measures what is new and keeps its rows.

    Args:
        moment: noted with each row.
        say: told of progress.
    """

    def __init__(
        self, warehouse: Warehouse, lexicons: TextLexicons, moment: datetime, say: Callable[[str], None]
    ) -> None:
        self._warehouse = warehouse
        self._lexicons = lexicons
        self._versions = present_versions(lexicons)
        self._moment = moment
        self._say = say
        self._written = 0

    def states(self, creatives: pl.DataFrame) -> pl.DataFrame:
        """Distinct pairs of text and image, each of its first creative, with the image_status of its row.

        Args:
            creatives: platform, account_id, creative_id, content_hash, content_sha256 and the texts.
        Returns:
            the columns given and image_status, null where no row of the present versions is kept.
        """
        known = self._warehouse.query(_KNOWN, self._versions.asked())
        pairs = creatives.sort(CREATIVE).unique(PAIR, keep="first", maintain_order=True)
        return pairs.join(known, on=PAIR, how="left", nulls_equal=True, maintain_order="left")

    def unmeasured(self, creatives: pl.DataFrame) -> pl.DataFrame:
        """The pairs that have no row of the present versions."""
        return self.states(creatives).filter(pl.col("image_status").is_null()).drop("image_status")

    def known_images(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """What was measured before of the pairs' images by the present version, a row each."""
        if pairs["content_sha256"].is_null().all():
            return _image_rows([])
        columns = ", ".join(["content_sha256", *_IMAGE_COLUMNS])
        measured = self._warehouse.query(
            f"select {columns} from gaelp_training.creative_features "  # noqa: S608 - our own names
            "where image_version = $image_version and image_status = 'measured'",
            {"image_version": self._versions.image},
        )
        wanted = measured.join(pairs, on="content_sha256", how="semi")
        return wanted.unique("content_sha256", maintain_order=True)

    def newest(self, rows: int) -> pl.DataFrame:
        """Some of the rows measured last, with what tells most of them."""
        return self._warehouse.query(_NEWEST, self._versions.asked()).head(rows)

    def measure(
        self, pairs: pl.DataFrame, known: pl.DataFrame, images: CreativeImages, shown: Shown
    ) -> Measuring:
        """Features of pairs; those whose image's file is missing get a row when it is there again.

        Args:
            pairs: as `unmeasured` gives them.
            known: as `known_images` gives them.
            images: of the pairs' images that are not known.
        """
        started = time.monotonic()
        bare = pairs.filter(pl.col("content_sha256").is_null())
        self._keep(bare.join(_image_rows([]), on="content_sha256", how="left"))
        self._keep(pairs.join(known, on="content_sha256"))
        detectors: Detectors | None = None
        read = 0
        for part in images.parts(_IMAGES_PER_PART):
            detectors = detectors or Detectors()
            rows = []
            for content, image in part:
                shown(content, image.pixels)
                rows.append(_image_row(content["content_sha256"], image, detectors))
            self._keep(pairs.join(_image_rows(rows), on="content_sha256"), *images.set_aside())
            read += len(part)
            self._say(f"{read:,} of {images.to_read.height:,} new images measured")
        refused = [{"content_sha256": sha256, "image_status": "refused"} for sha256 in images.refused]
        self._keep(pairs.join(_image_rows(refused), on="content_sha256"), *images.set_aside())
        return Measuring(self._written, read, time.monotonic() - started)

    def _keep(self, measured: pl.DataFrame, *others: Append) -> None:
        """Write pairs that have their images' columns, with their texts measured, and `others`."""
        made = [self._rows(part) for part in measured.iter_slices(_TEXTS_PER_PART)]
        if made or others:
            waited_for(lambda: self._write(made, others))
        self._written += measured.height

    def _write(self, made: list[pl.DataFrame], others: tuple[Append, ...]) -> None:
        """All but the rows that another run has kept meanwhile."""
        known = self._warehouse.query(_KNOWN, self._versions.asked())
        new = [rows.join(known, on=PAIR, how="anti", nulls_equal=True) for rows in made]
        self._warehouse.write(*others, *(Append(CREATIVE_FEATURES, rows) for rows in new))

    def _rows(self, measured: pl.DataFrame) -> pl.DataFrame:
        return pl.concat(
            [measured.select(*PAIR, *_IMAGE_COLUMNS), self._text_columns(measured)], how="horizontal"
        ).with_columns(
            pl.col("image_status").fill_null("none"),
            text_version=pl.lit(self._versions.text),
            image_version=pl.when(pl.col("image_status") == "refused")
            .then(pl.lit(self._versions.refused))
            .otherwise(pl.lit(self._versions.image)),
            measured_at=pl.lit(self._moment).cast(pl.Datetime("us", "UTC")),
        )

    def _text_columns(self, measured: pl.DataFrame) -> pl.DataFrame:
        texts = measured.select(joined_text()).to_series().to_list()
        features = text_features(texts, self._lexicons).with_columns(
            self._over_limit(name, measured[name]) for name in TEXTS
        )
        return features.rename({name: f"text_{name}" for name in TEXT_FEATURES})

    def _over_limit(self, name: str, texts: pl.Series) -> pl.Series:
        """Of each text by its own limit: the joined one has none."""
        limit = self._lexicons.length_limits.get(name)
        over = [
            None if limit is None or text is None else float(max(len(as_read(text)) - limit, 0))
            for text in texts
        ]
        return pl.Series(f"over_{name}_limit", over, dtype=pl.Float64)


class Detectors:
    """All of them, opened together: half of one is no version.

    Raises:
        WeightsError: as `verified`.
    """

    def __init__(self) -> None:
        self._faces = FaceDetector(verified(FACES_FULL_RANGE))
        self._text = TextDetector(verified(TEXT_DETECTOR))
        self._unsafe = UnsafeContentDetector(verified(NUDITY))

    def look_at(self, pixels: Image) -> ImageDetections:
        """What each finds in a picture, RGB, shape (height, width, 3)."""
        return ImageDetections(
            text_boxes=self._text.text_boxes([pixels])[0],
            faces=self._faces.faces([pixels])[0],
            unsafe_probability=self._unsafe.probabilities([pixels])[0],
        )


def _image_row(sha256: str, image: DecodedImage, detectors: Detectors) -> dict[str, Any]:
    size = (image.width, image.height)
    features = image_features(image.pixels, detectors.look_at(image.pixels), original_size=size)
    return {
        "content_sha256": sha256,
        "image_status": "measured",
        "image_content_type": image.content_type,
        "image_frames": image.frames,
        **{f"image_{name}": value for name, value in features.items()},
    }


def _image_rows(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """The image columns; what a row does not say is null."""
    schema = {name: CREATIVE_FEATURES.polars_schema[name] for name in ("content_sha256", *_IMAGE_COLUMNS)}
    return pl.DataFrame(rows, schema=schema)
