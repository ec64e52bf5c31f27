"""Features of images: known pictures have known colours, contrast, edges and shares."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.creatives.image_features import (
    DETECTED_FEATURES,
    IMAGE_FEATURES,
    ImageDetections,
    image_features,
    palette,
)


def flat(colour, height=60, width=80):
    return np.full((height, width, 3), colour, dtype=np.uint8)


def noise(seed=1, height=200, width=300):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_flat_picture_has_one_colour_and_neither_contrast_nor_edges():
    found = image_features(flat((255, 255, 255)))
    assert list(found) == list(IMAGE_FEATURES)
    assert (found["brightness"], found["contrast"], found["edge_density"]) == pytest.approx((1, 0, 0))
    assert found["palette_1_lightness"] == pytest.approx(100, abs=0.1)
    assert found["palette_1_share"] == 1
    assert found["palette_2_lightness"] is found["palette_5_share"] is None
    assert found["aspect_ratio"] == pytest.approx(80 / 60)


def test_half_black_half_white_has_the_largest_contrast_there_is():
    image = flat((0, 0, 0))
    image[:, 40:] = 255
    found = image_features(image)
    assert found["contrast"] == pytest.approx(0.5)
    assert found["colourfulness"] == pytest.approx(0)
    assert found["edge_density"] > 0


def test_colourfulness_follows_its_formula_on_two_colours():
    image = flat((255, 0, 0))
    image[:, 40:] = (0, 0, 255)
    # rg is 255 or 0, yb 127.5 or -255.
    spread, centre = np.hypot(127.5, 191.25), np.hypot(127.5, -63.75)
    assert image_features(image)["colourfulness"] == pytest.approx(spread + 0.3 * centre)


def test_the_palette_holds_the_pictures_colours_with_their_shares():
    image = flat((255, 255, 255), 60, 100)
    image[:, :30] = (200, 30, 30)
    image[:, 30:40] = (20, 40, 160)
    colours, shares = palette(image)
    # Where two colours meet, reduced pixels are a mixture of both.
    assert shares[:3] == pytest.approx([0.6, 0.3, 0.1], abs=0.03)
    red = cv2.cvtColor(np.float32([[[200, 30, 30]]]) / 255, cv2.COLOR_RGB2Lab)[0, 0]
    assert colours[1] == pytest.approx(red, abs=1.0)
    assert shares.sum() == pytest.approx(1)


def test_the_same_picture_measures_the_same_again_and_nearly_so_in_another_size():
    image = cv2.GaussianBlur(noise(height=600, width=900), (0, 0), 12)
    again, smaller = (
        image_features(image),
        image_features(cv2.resize(image, (450, 300), interpolation=cv2.INTER_AREA)),
    )
    assert again == image_features(image.copy())
    for name in ("brightness", "contrast", "colourfulness"):
        assert smaller[name] == pytest.approx(again[name], rel=0.02)


def test_clutter_has_more_edges_than_a_blurred_picture():
    image = noise()
    blurred = cv2.GaussianBlur(image, (0, 0), 8)
    assert image_features(image)["edge_density"] > 5 * image_features(blurred)["edge_density"]


def test_what_no_detector_looked_for_is_not_available_and_what_none_found_is_zero():
    unseen = image_features(noise())
    assert {unseen[name] for name in DETECTED_FEATURES} == {None}
    nothing = ImageDetections(text_boxes=np.empty((0, 4)), faces=np.empty((0, 4)), unsafe_probability=0.01)
    seen = image_features(noise(), nothing)
    assert (seen["text_share"], seen["face_count"], seen["largest_face_share"], seen["is_unsafe"]) == (
        0,
        0,
        0,
        0,
    )
    assert seen["text_contrast"] is None


def test_overlapping_text_boxes_are_counted_once():
    boxes = np.array([[0.0, 0.0, 0.5, 1.0], [0.25, 0.0, 0.5, 1.0]])
    found = image_features(noise(), ImageDetections(text_boxes=boxes))
    assert found["text_share"] == pytest.approx(0.5)
    assert found["text_box_count"] == 2


def test_black_on_white_has_the_contrast_the_guideline_names():
    image = flat((255, 255, 255))
    image[20:40, ::3] = 0
    found = image_features(image, ImageDetections(text_boxes=np.array([[0.0, 1 / 3, 1.0, 2 / 3]])))
    assert found["text_contrast"] == pytest.approx(21.0)
    grey = np.where(image == 0, 150, 160).astype(np.uint8)
    faint = image_features(grey, ImageDetections(text_boxes=np.array([[0.0, 1 / 3, 1.0, 2 / 3]])))
    assert faint["text_contrast"] < 1.5


def test_the_largest_face_and_the_brand_safety_flag_are_read_off():
    faces = np.array([[0.0, 0.0, 0.1, 0.1], [0.5, 0.5, 1.0, 0.9]])
    found = image_features(noise(), ImageDetections(faces=faces, unsafe_probability=0.8))
    assert (found["face_count"], found["is_unsafe"]) == (2, 1)
    assert found["largest_face_share"] == pytest.approx(0.2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (2, 3)])
def test_the_smallest_and_thinnest_pictures_are_measured(shape):
    found = image_features(noise(height=shape[0], width=shape[1]))
    assert all(np.isfinite(value) for value in found.values() if value is not None)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_rgb_picture_is_refused(image):
    with pytest.raises(ValueError, match="RGB"):
        image_features(image)


def test_boxes_outside_the_picture_are_refused():
    with pytest.raises(ValueError, match="faces"):
        ImageDetections(faces=np.array([[0.0, 0.0, 12.0, 0.5]]))
