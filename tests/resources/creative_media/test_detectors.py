"""Detectors of faces, text and unsafe content: known pictures, whatever their shape and batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from models.creatives.image_features import ImageDetections, image_features
from resources.creative_media.detectors import (
    BACK_CAMERA,
    FULL_RANGE,
    SHORT_RANGE,
    FaceDetector,
    TextDetector,
    UnsafeContentDetector,
)
from resources.creative_media.images import DecodedImage, decode_image
from resources.embedders.weights import (
    FACES_BACK,
    FACES_FULL_RANGE,
    FACES_SHORT_RANGE,
    NUDITY,
    TEXT_DETECTOR,
    WEIGHTS_FOLDER,
    WeightFile,
    verified,
)


def pinned(file: WeightFile) -> Path:
    if not (WEIGHTS_FOLDER / file.path).is_file():
        pytest.skip(f"no {file.path} in {WEIGHTS_FOLDER}")
    return verified(file)


@pytest.fixture(scope="module")
def faces() -> FaceDetector:
    return FaceDetector(pinned(FACES_FULL_RANGE))


@pytest.fixture(scope="module")
def text() -> TextDetector:
    return TextDetector(pinned(TEXT_DETECTOR))


@pytest.fixture(scope="module")
def unsafe() -> UnsafeContentDetector:
    return UnsafeContentDetector(pinned(NUDITY))


@pytest.fixture
def photograph(shared_data):
    def opened(name: str) -> np.ndarray:
        path = shared_data / "creatives" / "images" / name
        if not path.is_file():
            pytest.skip(f"no photograph at {path}")
        found = decode_image(path)
        assert isinstance(found, DecodedImage)
        return found.pixels

    return opened


def banner(*lines: str, width: int = 600, height: int = 400, size: int = 48) -> np.ndarray:
    image = Image.new("RGB", (width, height), (240, 235, 225))
    for place, line in enumerate(lines):
        ImageDraw.Draw(image).text((40, 40 + place * 100), line, "black", font=ImageFont.load_default(size))
    return np.asarray(image)


def ground(height: int = 240, width: int = 320) -> np.ndarray:
    across = np.linspace(60, 200, width)[None, :, None]
    return np.broadcast_to(across, (height, width, 3)).astype(np.uint8)


def test_lines_of_text_are_found_where_they_stand(text):
    (boxes,) = text.text_boxes([banner("Calmer evenings", "start with a plan")])
    assert len(boxes) == 2
    for box, top in zip(boxes, (40 / 400, 140 / 400), strict=True):
        assert box[0] < 0.1
        assert top - 0.05 < box[1] < top + 0.06
        assert box[1] < box[3] < top + 0.2


def test_a_picture_without_text_has_no_boxes(text):
    assert [len(boxes) for boxes in text.text_boxes([ground(), np.zeros((50, 50, 3), np.uint8)])] == [0, 0]


@pytest.mark.parametrize("shape", [(1, 1), (5, 900), (900, 5), (33, 31)])
def test_pictures_of_any_shape_are_looked_at(faces, text, unsafe, shape):
    image = ground(*shape)
    (found,) = faces.faces([image])
    (boxes,) = text.text_boxes([image])
    assert found.shape[1] == boxes.shape[1] == 4
    assert 0 <= unsafe.probabilities([image])[0] <= 1
    ImageDetections(boxes, found)  # refuses boxes outside the picture


def test_no_pictures_give_no_findings(faces, text, unsafe):
    assert faces.faces([]) == text.text_boxes([]) == unsafe.probabilities([]) == []


def test_findings_do_not_depend_on_the_batch(faces, text, unsafe):
    pictures = [banner("Sleep better"), ground(), banner("Try it free", size=30)]
    for finder in (faces.faces, text.text_boxes, unsafe.probabilities):
        together = finder(pictures)
        alone = [finder([picture])[0] for picture in pictures]
        assert all(np.array_equal(one, other) for one, other in zip(together, alone, strict=True))


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("skimage_astronaut.png", 1),
        ("skimage_camera.png", 1),
        ("skimage_chelsea.png", 0),
        ("skimage_coffee.png", 0),
        ("sklearn_china.jpg", 0),
        ("sklearn_flower.jpg", 0),
    ],
)
def test_photographs_have_the_faces_a_person_sees(faces, photograph, name, count):
    (found,) = faces.faces([photograph(name)])
    assert len(found) == count


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("model", "file"),
    [(BACK_CAMERA, FACES_BACK), (SHORT_RANGE, FACES_SHORT_RANGE), (FULL_RANGE, FACES_FULL_RANGE)],
)
def test_each_network_puts_the_astronauts_face_in_its_place(photograph, model, file):
    detector = FaceDetector(pinned(file), model)
    (found,) = detector.faces([photograph("skimage_astronaut.png")])
    assert found == pytest.approx(np.array([[0.345, 0.145, 0.54, 0.345]]), abs=0.03)


@pytest.mark.real_data
def test_a_face_stays_in_its_place_in_a_wide_picture(faces, photograph):
    astronaut = photograph("skimage_astronaut.png")
    (found,) = faces.faces([np.hstack([astronaut, np.full_like(astronaut, 128)])])
    assert found == pytest.approx(np.array([[0.1725, 0.145, 0.27, 0.345]]), abs=0.02)


@pytest.mark.real_data
def test_a_page_is_mostly_text_and_photographs_are_not(text, photograph):
    def share(name: str) -> float | None:
        image = photograph(name)
        return image_features(image, ImageDetections(text_boxes=text.text_boxes([image])[0]))["text_share"]

    assert share("skimage_page.png") > 0.4
    assert share("skimage_text.png") > 0.4
    for name in ("skimage_coffee.png", "skimage_chelsea.png", "skimage_horse.png", "sklearn_china.jpg"):
        assert share(name) == 0


@pytest.mark.real_data
def test_harmless_photographs_are_safe(unsafe, photograph):
    names = ("skimage_astronaut.png", "skimage_coffee.png", "sklearn_flower.jpg", "skimage_page.png")
    assert max(unsafe.probabilities([photograph(name) for name in names])) < 0.1
