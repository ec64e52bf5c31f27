"""The bundled image embedder: the graph is Lite0's, pictures of any shape are read whole."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Pillow

from resources.embedders import IMAGE_EMBEDDER, open_image_embedder
from resources.embedders.image import prepared
from resources.embedders.legacy_checkpoint import read_legacy_checkpoint
from resources.embedders.lite0 import INPUT, LOGITS, lite0_graph
from resources.embedders.sessions import open_session
from resources.embedders.weights import EFFICIENTNET_LITE0, verified


@pytest.fixture(scope="module")
def embedder():
    return open_image_embedder()


@pytest.fixture(scope="module")
def tensors():
    return read_legacy_checkpoint(verified(EFFICIENTNET_LITE0).read_bytes())


@pytest.fixture(scope="module")
def classifier(tensors):
    return open_session(lite0_graph(tensors), threads=1)


@pytest.fixture
def photo(shared_data):
    """Reads a public photo by name."""

    def read(name: str) -> np.ndarray:
        paths = list((shared_data / "creatives" / "images").glob(f"*{name}.*"))
        if not paths:
            pytest.skip(f"no public photo {name!r} in {shared_data}")
        return np.asarray(Pillow.open(paths[0]).convert("RGB"))

    return read


def drawn(height: int, width: int, seed: int = 1) -> np.ndarray:
    """Soft coloured patches: something to see at every scale."""
    patches = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Pillow.fromarray(patches).resize((width, height), Pillow.Resampling.BICUBIC))


def test_the_default_comes_from_installed_weights_and_says_which(embedder):
    assert embedder.specification == IMAGE_EMBEDDER == "bundled:efficientnet-lite0"
    assert embedder.weights_sha256 == EFFICIENTNET_LITE0.sha256
    assert embedder.dimensions == 1280


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("coffee", {967, 968, 504}),  # espresso, cup, coffee mug
        ("chelsea", set(range(281, 288))),  # cats
        ("motorcycle_left", {665, 670}),  # moped, motor scooter
        ("rocket", {657, 744, 540}),  # missile, projectile, drilling platform
    ],
)
def test_the_network_sees_what_is_on_public_photos(classifier, photo, name, classes):
    (logits,) = classifier.run([LOGITS], {INPUT: prepared(photo(name))})
    assert int(logits[0].argmax()) in classes


def test_a_photo_is_nearer_to_itself_smaller_than_to_any_other(embedder, photo):
    cat, coffee, flower = (photo(name) for name in ("chelsea", "coffee", "flower"))
    smaller = np.asarray(Pillow.fromarray(cat).resize((300, 200)))
    vectors = embedder.embed([cat, smaller, coffee, flower])
    near, *far = vectors[1:] @ vectors[0]
    assert near > 0.9 > 0.6 > max(far)


def test_features_of_a_fixed_picture_are_those_of_the_reference(embedder):
    """The largest five as efficientnet_lite_pytorch 0.1.0 on PyTorch 2.13.0 computes them."""
    place = np.arange(224)
    waves = np.sin(place[:, None, None] / 9 + place[None, :, None] / [23, 11, 5] + [0, 1, 2])
    (vector,) = embedder.embed([np.rint(127 + 120 * waves).astype(np.uint8)])
    largest = np.argsort(-vector)[:5]
    assert largest.tolist() == [949, 600, 400, 405, 439]
    np.testing.assert_allclose(vector[largest], [0.235105, 0.234361, 0.205775, 0.201468, 0.186256], atol=1e-5)


@pytest.mark.parametrize(
    ("height", "width"), [(1080, 1080), (628, 1200), (1920, 1080), (90, 728), (1, 1), (1, 3000), (17, 5)]
)
def test_pictures_of_any_shape_are_read(embedder, height, width):
    (vector,) = embedder.embed([drawn(height, width)])
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)
    pixels = prepared(drawn(height, width))
    assert pixels.shape[:2] == (1, 3)
    assert pixels[0, 0].size == pytest.approx(224**2, rel=0.02)
    assert -1 <= pixels.min() <= pixels.max() <= 1


def test_the_edges_of_a_wide_picture_count(embedder):
    plain = np.full((628, 1200, 3), 200, dtype=np.uint8)
    marked = plain.copy()
    marked[:, -200:] = drawn(628, 200)
    first, second = embedder.embed([plain, marked])
    assert first @ second < 0.95


def test_a_vector_depends_on_nothing_beside_its_picture(embedder):
    pictures = [drawn(300, 200, 1), drawn(100, 500, 2), drawn(300, 200, 3), drawn(300, 200, 1)]
    together = embedder.embed(pictures)
    np.testing.assert_array_equal(together, np.concatenate([embedder.embed([each]) for each in pictures]))
    np.testing.assert_array_equal(together[0], together[3])
    np.testing.assert_array_equal(together, embedder.embed(pictures[::-1])[::-1])


def test_a_single_colour_has_a_vector(embedder):
    pictures = [np.full((50, 50, 3), value, dtype=np.uint8) for value in (0, 127, 255)]
    np.testing.assert_allclose(np.linalg.norm(embedder.embed(pictures), axis=1), 1.0, atol=1e-6)


def test_no_pictures_give_no_rows(embedder):
    assert embedder.embed([]).shape == (0, 1280)


@pytest.mark.parametrize(
    ("picture", "error", "found"),
    [
        (np.zeros((5, 5, 3)), TypeError, "float64"),
        ("photo.jpg", TypeError, "str"),
        (np.zeros((5, 5), dtype=np.uint8), ValueError, r"\(5, 5\)"),
        (np.zeros((5, 5, 4), dtype=np.uint8), ValueError, r"\(5, 5, 4\)"),
        (np.zeros((0, 5, 3), dtype=np.uint8), ValueError, r"\(0, 5, 3\)"),
    ],
)
def test_what_is_no_picture_is_named_by_its_position(embedder, picture, error, found):
    with pytest.raises(error, match=f"item 1: .*{found}"):
        embedder.embed([drawn(9, 9), picture])


def test_progress_is_told_picture_by_picture(embedder):
    told = []
    embedder.embed([drawn(64, 64)] * 2, lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]


def test_other_weights_are_no_lite0(tensors):
    without = {name: value for name, value in tensors.items() if name != "_blocks.3._bn1.bias"}
    with pytest.raises(ValueError, match=r"needs _blocks\.3\._bn1\.bias of shape \(144,\); it is absent"):
        lite0_graph(without)
    with pytest.raises(ValueError, match=r"_fc\.bias.*of shape \(10,\)"):
        lite0_graph(tensors | {"_fc.bias": np.zeros(10, dtype=np.float32)})
    with pytest.raises(ValueError, match=r"no place for.*_se_reduce"):
        lite0_graph(tensors | {"_se_reduce.weight": np.zeros(10, dtype=np.float32)})
