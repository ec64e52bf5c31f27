"""Pictures to vectors with the EfficientNet-Lite0 that is installed: onnxruntime, no PyTorch.

Here: scaling a decoded picture, the run. Not here: decoding, the network's graph (`lite0`), other image
models (`checkpoints`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from models.embeddings import FloatArray, Image, Progress, unit_length, untold
from resources.embedders.legacy_checkpoint import read_legacy_checkpoint
from resources.embedders.lite0 import DIMENSIONS, FEATURES, INPUT, lite0_graph
from resources.embedders.sessions import open_session
from resources.embedders.weights import EFFICIENTNET_LITE0, LITE0, WEIGHTS_FOLDER, verified

_PIXELS = 224**2  # what the network was trained on
_MOST_STRETCHED = 8.0  # beyond it the short side would keep too few pixels for the network's five halvings


class EfficientNetLite0:
    """The bundled image embedder: 1,280 features averaged over the picture.

    Args:
        threads: a run may use.
        folder: of the weights.
    Raises:
        WeightsError: the weight file is absent or not the pinned one.
    """

    specification = LITE0
    dimensions = DIMENSIONS
    weights_sha256 = EFFICIENTNET_LITE0.sha256

    def __init__(self, threads: int = 1, folder: Path = WEIGHTS_FOLDER) -> None:
        content = verified(EFFICIENTNET_LITE0, folder).read_bytes()
        # Built anew each time: 0.2 s, and no second copy of the weights to keep in step.
        self._session = open_session(lite0_graph(read_legacy_checkpoint(content)), threads)

    def embed(self, items: Sequence[Image], progress: Progress = untold) -> FloatArray:
        """Vectors of decoded pictures, RGB, shape (height, width, 3) each, of any size.

        One picture a run: their shapes differ, and on a processor several at once are no faster (the network
        alone: 173 per CPU second one at a time, 116 in eights).
        """
        vectors = np.empty((len(items), DIMENSIONS), dtype=np.float32)
        for position, picture in enumerate(items):
            check_picture(picture, position)
            (features,) = self._session.run([FEATURES], {INPUT: prepared(picture)})
            vectors[position] = unit_length(features)[0]
            progress(position + 1, len(items))
        return vectors


def check_picture(picture: Image, position: int) -> None:
    """Refuse what is no decoded RGB picture.

    Raises:
        TypeError, ValueError: with the item's position.
    """
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8:
        found = getattr(picture, "dtype", type(picture).__name__)
        raise TypeError(f"item {position}: expected an array of 8-bit pixels, found {found}")
    if picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise ValueError(f"item {position}: expected shape (height, width, 3), found {picture.shape}")


def prepared(picture: Image) -> FloatArray:
    """A picture as Lite0 reads it: shape (1, 3, height, width), about 224² pixels, (value - 127) / 128.

    ImageNet's evaluation cuts a square out of the middle. An advertisement says something at its edges too,
    and of a 1200 × 628 one the cut would lose three fifths; the network averages over any shape, so the whole
    picture is kept at its own proportions (up to 8:1).
    """
    height, width = picture.shape[:2]
    stretch = math.sqrt(min(max(width / height, 1 / _MOST_STRETCHED), _MOST_STRETCHED))
    side = math.sqrt(_PIXELS)
    size = (round(side * stretch), round(side / stretch))
    # Averaging whole pixels first, down to three times the size: twice as fast, cosine at least 0.9995.
    scaled = Pillow.fromarray(picture).resize(size, Pillow.Resampling.BICUBIC, reducing_gap=3.0)
    pixels = (np.asarray(scaled, dtype=np.float32) - np.float32(127)) / np.float32(128)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])
