"""Embedders from checkpoints of one's own choice, through PyTorch: sentence-transformers and transformers.

Here: finding a checkpoint's folder, hashing it, running it. Not here: the embedders that come with AELP
(`text`, `image`). The libraries are an optional extra and imported only here, when asked for.

Only weights in safetensors files are read: a pickle could run anything.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.embeddings import (
    FloatArray,
    Image,
    Progress,
    Specification,
    batches_by_length,
    combined_sha256,
    unit_length,
    untold,
)
from resources.embedders.image import check_picture
from resources.embedders.text import checked_text
from resources.embedders.weights import file_sha256

NEEDED = ("torch", "transformers", "sentence-transformers")
_READ = (".safetensors", ".json", ".txt", ".model")
_PATTERNS = [f"*{suffix}" for suffix in _READ]
_CHARACTERS_PER_BATCH = 8192
_PICTURES_PER_BATCH = 8


class EmbedderUnavailable(Exception):
    """What a specification names is not here: a library, a folder, a checkpoint."""


class TextCheckpoint:
    """A sentence-transformers model: its own tokens, pooling and most tokens.

    Raises:
        EmbedderUnavailable: a library or the checkpoint is absent.
    """

    def __init__(self, specification: Specification, threads: int = 1) -> None:
        torch, library = _library("torch"), _library("sentence_transformers")
        folder = checkpoint_folder(specification)
        torch.set_num_threads(threads)
        self.specification = str(specification)
        self.weights_sha256 = checkpoint_sha256(folder)
        self._model = library.SentenceTransformer(
            str(folder),
            device=_device(torch),
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
        self.dimensions = int(self._model.encode([""], show_progress_bar=False).shape[1])

    def embed(self, items: Sequence[str], progress: Progress = untold) -> FloatArray:
        """Vectors of texts; see `models.embeddings.Embedder`."""
        texts = [checked_text(text, position) for position, text in enumerate(items)]
        vectors = np.empty((len(items), self.dimensions), dtype=np.float32)
        done = 0
        for batch in batches_by_length([len(text) + 1 for text in texts], _CHARACTERS_PER_BATCH):
            read = [texts[position] for position in batch]
            vectors[batch] = unit_length(self._model.encode(read, show_progress_bar=False))
            done += len(batch)
            progress(done, len(items))
        return vectors


class ImageCheckpoint:
    """An image model of transformers: CLIP's image tower, a ResNet, a vision transformer.

    The vector is the model's projected image feature where it has one, else its pooled output, else the state
    of its first token.

    Raises:
        EmbedderUnavailable: a library or the checkpoint is absent, or some of the model's weights are.
    """

    def __init__(self, specification: Specification, threads: int = 1) -> None:
        self._torch, library = _library("torch"), _library("transformers")
        folder = checkpoint_folder(specification)
        self._torch.set_num_threads(threads)
        self.specification = str(specification)
        self.weights_sha256 = checkpoint_sha256(folder)
        self._device = _device(self._torch)
        self._processor = library.AutoImageProcessor.from_pretrained(str(folder), local_files_only=True)
        model, loading = library.AutoModel.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        absent = sorted(loading["missing_keys"])
        if any(not name.startswith("pooler.") for name in absent):
            raise EmbedderUnavailable(
                f"{folder}: the checkpoint lacks {len(absent)} weights of its model, such as {absent[0]}; "
                "random numbers would stand in for them"
            )
        self._pooler_is_trained = not absent
        self._model = model.to(self._device).eval()
        self.dimensions = self._run([np.zeros((64, 64, 3), dtype=np.uint8)]).shape[1]

    def embed(self, items: Sequence[Image], progress: Progress = untold) -> FloatArray:
        """Vectors of decoded pictures; see `models.embeddings.Embedder`."""
        vectors = np.empty((len(items), self.dimensions), dtype=np.float32)
        for start in range(0, len(items), _PICTURES_PER_BATCH):
            pictures = items[start : start + _PICTURES_PER_BATCH]
            for position, picture in enumerate(pictures, start):
                check_picture(picture, position)
            vectors[start : start + len(pictures)] = unit_length(self._run(pictures))
            progress(start + len(pictures), len(items))
        return vectors

    def _run(self, pictures: Sequence[Image]) -> FloatArray:
        read = self._processor(images=list(pictures), input_data_format="channels_last", return_tensors="pt")
        pixels = read["pixel_values"].to(self._device)
        with self._torch.inference_mode():
            features = self._features(pixels)
        vectors: FloatArray = features.flatten(1).float().cpu().numpy()
        return vectors

    def _features(self, pixels: Any) -> Any:
        if hasattr(self._model, "get_image_features"):
            found = self._model.get_image_features(pixel_values=pixels)
            return getattr(found, "pooler_output", found)  # older releases return the tensor itself
        found = self._model(pixel_values=pixels)
        if self._pooler_is_trained and getattr(found, "pooler_output", None) is not None:
            return found.pooler_output
        return found.last_hidden_state[:, 0]


def checkpoint_folder(specification: Specification) -> Path:
    """The folder of a checkpoint; one of the hub is downloaded unless a copy is cached.

    Raises:
        EmbedderUnavailable: no such folder, no safetensors file in it, neither a cached copy nor a network.
    """
    folder = Path(specification.name) if specification.kind == "path" else _from_the_hub(specification)
    if not any(folder.rglob("*.safetensors")):
        reason = "holds no safetensors file" if folder.is_dir() else "is no folder"
        raise EmbedderUnavailable(
            f"embedder {specification}: {folder} {reason}; expected what a model's `save_pretrained` writes"
        )
    return folder


def checkpoint_sha256(folder: Path) -> str:
    """One hash of a checkpoint: its weights, configurations and vocabulary, by their paths in the folder."""
    files = [path for path in folder.rglob("*") if path.suffix in _READ and path.is_file()]
    states = {path: path.stat() for path in files}
    return combined_sha256(
        {
            path.relative_to(folder).as_posix(): file_sha256(path, state.st_size, state.st_mtime_ns)
            for path, state in states.items()
        }
    )


def _from_the_hub(specification: Specification) -> Path:
    hub = _library("huggingface_hub")
    wanted = {
        "repo_id": specification.name,
        "revision": specification.revision,
        "allow_patterns": _PATTERNS,
        "ignore_patterns": ["onnx/*", "openvino/*"],
    }
    try:
        cached = Path(hub.snapshot_download(**wanted, local_files_only=True))
        if any(cached.rglob("*.safetensors")):  # else a copy that was cut off
            return cached
    except hub.errors.LocalEntryNotFoundError:
        pass
    try:
        return Path(hub.snapshot_download(**wanted))
    except Exception as error:  # of the network, the hub, the disk
        reason = str(error).partition("\n")[0]
        raise EmbedderUnavailable(
            f"embedder {specification}: no cached copy, and it could not be downloaded ({reason}). Where "
            f"there is a network, `hf download {specification.name} --revision {specification.revision}` "
            "fetches it; or copy the checkpoint here and name it as path:FOLDER"
        ) from error


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EmbedderUnavailable(
            f"{name.replace('_', '-')} is not installed ({error}). Embedders of `hf:` and `path:` need "
            f"`pip install {' '.join(NEEDED)}`; those of `bundled:` need none of them"
        ) from error


def _device(torch: Any) -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
