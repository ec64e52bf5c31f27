"""Checkpoints of one's own choice, tried on tiny random ones; skipped where PyTorch is not installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resources.embedders import open_image_embedder, open_text_embedder
from resources.embedders.checkpoints import EmbedderUnavailable

torch = pytest.importorskip("torch", reason="PyTorch is an optional extra, not installed here")
transformers = pytest.importorskip("transformers", reason="transformers is an optional extra")
sentence_transformers = pytest.importorskip("sentence_transformers", reason="an optional extra")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEXTS = ["red shoes", "", "blue shoes for the summer", "red shoes"]


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory) -> Path:
    """A BERT of two layers with random weights, pooled by sentence-transformers."""
    folder = tmp_path_factory.mktemp("text")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "blue", "shoes", "for", "the", "summer"]
    (folder / "vocab.txt").write_text("\n".join(words))
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
    )
    torch.manual_seed(1)
    transformers.BertModel(config).save_pretrained(folder / "bert")
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    # A plain BERT gets a mean over its tokens.
    sentence_transformers.SentenceTransformer(str(folder / "bert"), device="cpu").save(str(folder / "whole"))
    return folder / "whole"


def processor(side: int = 32) -> object:
    return transformers.CLIPImageProcessor(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )


def resnet(folder: Path) -> int:
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
    transformers.ResNetModel(config).save_pretrained(folder)
    return 16


def vision_transformer(folder: Path) -> int:
    config = transformers.ViTConfig(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        image_size=32,
        patch_size=8,
    )
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    return 24


def clip(folder: Path) -> int:
    small = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    config = transformers.CLIPConfig(
        text_config=small | {"vocab_size": 99},
        vision_config=small | {"image_size": 32, "patch_size": 8, "projection_dim": 20},
        projection_dim=20,
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    return 20


@pytest.fixture(params=[resnet, vision_transformer, clip], ids=lambda make: make.__name__)
def image_checkpoint(request, tmp_path) -> tuple[Path, int]:
    torch.manual_seed(1)
    dimensions = request.param(tmp_path)
    processor().save_pretrained(tmp_path)
    return tmp_path, dimensions


def pictures(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (40 + each, 60, 3), dtype=np.uint8) for each in range(count)]


def test_texts_become_vectors_of_the_checkpoint(text_folder):
    embedder = open_text_embedder(f"path:{text_folder}")
    told = []
    vectors = embedder.embed(TEXTS, lambda done, of: told.append((done, of)))
    assert embedder.dimensions == 32
    assert vectors.shape == (4, 32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    assert told[-1] == (4, 4)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(vectors, alone, atol=1e-5)
    assert embedder.embed([]).shape == (0, 32)
    with pytest.raises(TypeError, match="item 1"):
        embedder.embed(["a", None])
    model = sentence_transformers.SentenceTransformer(str(text_folder), device="cpu")
    np.testing.assert_allclose(vectors, model.encode(TEXTS, normalize_embeddings=True), atol=1e-5)


def test_pictures_become_vectors_of_the_checkpoint(image_checkpoint):
    folder, dimensions = image_checkpoint
    embedder = open_image_embedder(f"path:{folder}")
    told = []
    vectors = embedder.embed(pictures(10), lambda done, of: told.append((done, of)))
    assert embedder.dimensions == dimensions
    assert vectors.shape == (10, dimensions)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    assert told == [(8, 10), (10, 10)]
    alone = np.concatenate([embedder.embed([picture]) for picture in pictures(10)])
    np.testing.assert_allclose(vectors, alone, atol=1e-5)
    assert abs(vectors[0] - vectors[1]).max() > 1e-3
    assert embedder.embed([]).shape == (0, dimensions)
    with pytest.raises(ValueError, match="item 9"):
        embedder.embed([*pictures(9), np.zeros((4, 4), dtype=np.uint8)])


def test_clip_s_vectors_are_those_of_its_image_tower(tmp_path):
    from PIL import Image

    clip(tmp_path)
    processor().save_pretrained(tmp_path)
    tower = transformers.CLIPVisionModelWithProjection.from_pretrained(str(tmp_path)).eval()
    with torch.inference_mode():
        read = processor()([Image.fromarray(each) for each in pictures(3)], return_tensors="pt")
        expected = torch.nn.functional.normalize(tower(**read).image_embeds).numpy()
    found = open_image_embedder(f"path:{tmp_path}").embed(pictures(3))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_hash_is_of_weights_and_whatever_else_shapes_a_vector(text_folder, tmp_path):
    import shutil

    def opened(changed: str | None) -> str:
        folder = tmp_path / str(changed).replace("/", "_")
        shutil.copytree(text_folder, folder)
        (folder / "README.md").write_text("says nothing of the vectors")
        if changed is not None:
            (folder / changed).write_text((folder / changed).read_text() + "\n")
        return open_text_embedder(f"path:{folder}").weights_sha256

    assert opened(None) == open_text_embedder(f"path:{text_folder}").weights_sha256
    assert opened("tokenizer.json") != opened("modules.json") != opened("1_Pooling/config.json")


def test_missing_weights_are_refused_not_drawn_at_random(tmp_path):
    from safetensors.torch import load_file, save_file

    resnet(tmp_path)
    processor().save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights[next(name for name in weights if "encoder" in name)]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(EmbedderUnavailable, match="lacks 1 weights of its model"):
        open_image_embedder(f"path:{tmp_path}")


@pytest.mark.parametrize("opening", [open_text_embedder, open_image_embedder])
def test_a_folder_without_safetensors_is_refused(opening, tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(EmbedderUnavailable, match="holds no safetensors file"):
        opening(f"path:{tmp_path}")
    with pytest.raises(EmbedderUnavailable, match="is no folder"):
        opening(f"path:{tmp_path / 'nowhere'}")


def cached(text_folder: Path, cache: Path) -> None:
    """The hub's own layout of a repository it has downloaded."""
    import shutil

    repository = cache / "models--someone--tiny"
    shutil.copytree(text_folder, repository / "snapshots" / COMMIT)


def test_a_cached_model_of_the_hub_opens_without_a_network(text_folder, tmp_path, monkeypatch):
    cached(text_folder, tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    embedder = open_text_embedder(f"hf:someone/tiny@{COMMIT}")
    same = open_text_embedder(f"path:{text_folder}")
    assert embedder.specification == f"hf:someone/tiny@{COMMIT}"
    assert embedder.weights_sha256 == same.weights_sha256
    np.testing.assert_array_equal(embedder.embed(TEXTS), same.embed(TEXTS))


def test_a_model_that_is_neither_cached_nor_reachable_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # else it tries for half a minute
    with pytest.raises(EmbedderUnavailable, match=f"no cached copy.*someone/else --revision {COMMIT}`"):
        open_text_embedder(f"hf:someone/else@{COMMIT}")
