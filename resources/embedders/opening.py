"""Opening an embedder by its specification.

Here: which specification means what. Not here: any embedder.
"""

from __future__ import annotations

from models.embeddings import Embedder, Image, Specification, parse_specification
from resources.embedders.checkpoints import ImageCheckpoint, TextCheckpoint
from resources.embedders.image import LITE0, EfficientNetLite0
from resources.embedders.text import MINILM, MiniLM

TEXT_EMBEDDER = MINILM
IMAGE_EMBEDDER = LITE0


def open_text_embedder(specification: str = TEXT_EMBEDDER, threads: int = 1) -> Embedder[str]:
    """The embedder of texts a specification names.

    Args:
        specification: `bundled:minilm-l6-v2-int8`, `hf:ORGANISATION/NAME@COMMIT` or `path:FOLDER`.
        threads: it may use.
    Raises:
        ValueError: an unknown specification.
        WeightsError: bundled weights are absent or changed.
        EmbedderUnavailable: a library or checkpoint of `hf:` or `path:` is absent.
    """
    asked = parse_specification(specification)
    if asked.kind != "bundled":
        return TextCheckpoint(asked, threads)
    _known(asked, TEXT_EMBEDDER, "texts")
    return MiniLM(threads)


def open_image_embedder(specification: str = IMAGE_EMBEDDER, threads: int = 1) -> Embedder[Image]:
    """The embedder of decoded pictures a specification names; arguments and errors as for texts."""
    asked = parse_specification(specification)
    if asked.kind != "bundled":
        return ImageCheckpoint(asked, threads)
    _known(asked, IMAGE_EMBEDDER, "pictures")
    return EfficientNetLite0(threads)


def _known(asked: Specification, bundled: str, what: str) -> None:
    if str(asked) != bundled:
        raise ValueError(f"embedder {str(asked)!r}: the bundled embedder of {what} is {bundled!r}")
