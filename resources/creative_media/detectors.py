"""Faces, text and unsafe content in pictures, found by small networks on one thread.

Here: what each network wants to see and what its numbers mean. Not here: where weights lie and whether they
are the right ones (`resources.embedders.weights`), what is measured of the findings (`models.creatives`).

Each detector is constructed with the file of its weights and has a `version` of everything around them; the
same pictures give the same findings in every batch. Boxes are left, top, right, bottom as fractions of width
and height, shape (boxes, 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from resources.embedders.sessions import open_session

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]
# More sum in another order: the last digits would depend on the machine.
_THREADS = 1


@dataclass(frozen=True)
class BlazeFaceModel:
    """How a BlazeFace network looks at a picture: side of its input; side and anchors a cell of its grids."""

    side: int
    grids: tuple[tuple[int, int], ...]


# From mediapipe/modules/face_detection/*.pbtxt.
BACK_CAMERA = BlazeFaceModel(256, ((16, 2), (8, 6)))
SHORT_RANGE = BlazeFaceModel(128, ((16, 2), (8, 6)))
FULL_RANGE = BlazeFaceModel(192, ((48, 1),))

_FACE_FROM = 0.5
_SAME_FACE = 0.3
_LARGEST_LOGIT = 80.0


class FaceDetector:
    """BlazeFace (Bazarevsky et al. 2019), with the decoder of MediaPipe's face detection.

    Args:
        weights: a BlazeFace .tflite file.
        model: which of them it is. The others take cats and coffee cups for faces (of 19 sample photographs
            BACK_CAMERA and SHORT_RANGE three each, FULL_RANGE none).
    """

    version = "blazeface_v1"

    def __init__(self, weights: Path, model: BlazeFaceModel = FULL_RANGE) -> None:
        cv2.setNumThreads(_THREADS)
        self._network = cv2.dnn.readNetFromTFLite(np.frombuffer(weights.read_bytes(), dtype=np.uint8))
        self._model = model
        self._anchors = _anchors(model)

    def faces(self, images: Sequence[UInt8Array]) -> list[FloatArray]:
        """Boxes of the faces in each RGB image, surest first."""
        return [self._faces(image) for image in images]

    def _faces(self, image: UInt8Array) -> FloatArray:
        side = self._model.side
        height, width = image.shape[:2]
        scale = side / max(height, width)
        small = cv2.resize(
            image, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA
        )
        top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
        seen = np.zeros((side, side, 3), dtype=np.float32)
        seen[top : top + small.shape[0], left : left + small.shape[1]] = small / 127.5 - 1
        self._network.setInput(np.ascontiguousarray(seen.transpose(2, 0, 1)[None]))
        outputs: list[Any] = list(self._network.forward(self._network.getUnconnectedOutLayersNames()))
        logits, regressed = sorted(
            (np.asarray(output)[0] for output in outputs), key=lambda each: each.shape[1]
        )
        scores = 1 / (1 + np.exp(-logits[:, 0].astype(np.float64).clip(-_LARGEST_LOGIT, _LARGEST_LOGIT)))
        found = scores >= _FACE_FROM
        centres = regressed[found, :2] / side + self._anchors[found]
        halves = regressed[found, 2:4] / (2 * side)
        merged = _merged(np.hstack([centres - halves, centres + halves]).astype(np.float64), scores[found])
        # From the padded square back to the picture.
        origin = np.tile((left, top), 2)
        boxes = (merged * side - origin) / np.tile((small.shape[1], small.shape[0]), 2)
        return np.asarray(boxes.clip(0.0, 1.0))


def _anchors(model: BlazeFaceModel) -> FloatArray:
    """Centres of anchors as fractions, in the network's order, shape (anchors, 2)."""
    places = []
    for side, repeats in model.grids:
        across = (np.arange(side) + 0.5) / side
        rows, columns = np.meshgrid(across, across, indexing="ij")
        places.append(np.repeat(np.stack([columns.ravel(), rows.ravel()], axis=1), repeats, axis=0))
    return np.concatenate(places)


def _merged(boxes: FloatArray, scores: FloatArray) -> FloatArray:
    """Boxes of one face made one: their mean, weighted by score (weighted non-maximum suppression)."""
    left = np.argsort(-scores, kind="stable")
    merged = []
    while left.size:
        overlap = _overlap(boxes[left[0]], boxes[left])
        same = overlap > _SAME_FACE
        same[0] = True
        merged.append(np.average(boxes[left[same]], axis=0, weights=scores[left[same]]))
        left = left[~same]
    return np.stack(merged) if merged else np.empty((0, 4))


def _overlap(box: FloatArray, boxes: FloatArray) -> FloatArray:
    """Intersection over union of a box with each of some."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = (high - low).clip(0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1)
    union = (box[2:] - box[:2]).clip(0).prod() + areas - shared
    return np.asarray(shared / np.maximum(union, 1e-12))


# A smaller side is faster and finds less. Of 76 lines in the sandbox's images 512 finds 73 and 384 64; of 19
# photographs and 23 frames of public clips, two and three are told otherwise at 512.
_TEXT_SIDE = 640
_TEXT_MULTIPLE = 32
_TEXT_PIXEL_FROM, _TEXT_BOX_FROM = 0.3, 0.5
_UNCLIP = 1.6
_MOST_BOXES = 1000
_SMALLEST_SIDE = 3.0
# A cup looks like an O. What is this large and nearly square is no line of text.
_OBJECT_SIDE, _OBJECT_RATIO = 0.25, 2.0


class TextDetector:
    """Where text stands: differentiable binarisation (Liao et al. 2020), as PaddleOCR's detectors do it.

    The network shrinks each line; boxes are grown back by area * 1.6 / circumference. They are upright: a
    slanted line's box holds more than the line. What the network finds it does not read: a row of coins is a
    line to it.

    Args:
        weights: a PP-OCR detection .onnx file.
    """

    version = "db_text_v1"

    def __init__(self, weights: Path) -> None:
        self._session = open_session(weights, _THREADS)
        self._input = self._session.get_inputs()[0].name

    def text_boxes(self, images: Sequence[UInt8Array]) -> list[FloatArray]:
        """Boxes of the lines of text in each RGB image, from top to bottom."""
        return [_line_boxes(self._probabilities(image)) for image in images]

    def _probabilities(self, image: UInt8Array) -> Float32Array:
        height, width = image.shape[:2]
        scale = _TEXT_SIDE / max(height, width)
        size = [max(1, round(side * scale / _TEXT_MULTIPLE)) * _TEXT_MULTIPLE for side in (width, height)]
        resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        seen = resized[:, :, ::-1].astype(np.float32) / np.float32(127.5) - np.float32(1)  # BGR
        (found,) = self._session.run(None, {self._input: seen.transpose(2, 0, 1)[None]})
        return np.asarray(found[0, 0], dtype=np.float32)


def _line_boxes(probabilities: Float32Array) -> FloatArray:
    height, width = probabilities.shape
    mask = cv2.dilate((probabilities > _TEXT_PIXEL_FROM).astype(np.uint8), np.ones((2, 2), dtype=np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    boxes = []
    for contour in contours[:_MOST_BOXES]:
        _, sides, _ = rectangle = cv2.minAreaRect(contour)
        is_object = min(sides) > _OBJECT_SIDE * min(height, width) and max(sides) < _OBJECT_RATIO * min(sides)
        if min(sides) < _SMALLEST_SIDE or is_object:
            continue
        corners = cv2.boxPoints(rectangle)
        left, top = np.floor(corners.min(axis=0)).astype(int).clip(0)
        right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 1
        inside = np.zeros_like(mask[top:bottom, left:right])
        cv2.fillPoly(inside, [np.rint(corners - (left, top)).astype(np.int32)], (1,))
        if cv2.mean(probabilities[top:bottom, left:right], inside)[0] < _TEXT_BOX_FROM:
            continue
        grown = sides[0] * sides[1] * _UNCLIP / (2 * (sides[0] + sides[1]))
        low, high = corners.min(axis=0) - grown, corners.max(axis=0) + grown
        boxes.append(np.concatenate([low, high]) / (width, height, width, height))
    if not boxes:
        return np.empty((0, 4))
    found = np.stack(boxes).clip(0.0, 1.0)
    return found[np.lexsort((found[:, 0], found[:, 1]))]


_UNSAFE_SIDE, _UNSAFE_CROP = 256, 224
_MEAN_BGR = np.array([104, 117, 123], dtype=np.float32)


class UnsafeContentDetector:
    """How likely a picture is not safe for work: Yahoo's open_nsfw, with the preprocessing it was trained on.

    It knows nudity alone: weapons, blood and slurs are not what it looks for.

    Args:
        weights: open-nsfw.onnx.
    """

    version = "open_nsfw_v1"

    def __init__(self, weights: Path) -> None:
        self._session = open_session(weights, _THREADS)
        self._input = self._session.get_inputs()[0].name

    def probabilities(self, images: Sequence[UInt8Array]) -> list[float]:
        """P(not safe for work) of each RGB image."""
        return [self._probability(image) for image in images]

    def _probability(self, image: UInt8Array) -> float:
        edge = (_UNSAFE_SIDE - _UNSAFE_CROP) // 2
        resized = Image.fromarray(image).resize((_UNSAFE_SIDE, _UNSAFE_SIDE), Image.Resampling.BILINEAR)
        cropped = resized.crop((edge, edge, edge + _UNSAFE_CROP, edge + _UNSAFE_CROP))
        with BytesIO() as file:  # the network has only ever seen JPEGs
            cropped.save(file, format="JPEG")
            seen = np.asarray(Image.open(file), dtype=np.float32)[:, :, ::-1] - _MEAN_BGR
        (found,) = self._session.run(None, {self._input: np.ascontiguousarray(seen[None])})
        return float(found[0, 1])
