"""Opening an embedder by its specification.

Here: which specification means what, and the hash of its weights without opening it. Not here: any embedder;
each is imported when it is asked for, so that naming one costs nothing.
"""

from __future__ import annotations

from models.embeddings import Embedder, Image, Specification, parse_specification
from resources.embedders.weights import LITE0, MINILM, bundled_sha256

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
        from resources.embedders.checkpoints import TextCheckpoint  # noqa: PLC0415

        return TextCheckpoint(asked, threads)
    _known(asked, TEXT_EMBEDDER, "texts")
    from resources.embedders.text import MiniLM  # noqa: PLC0415

    return MiniLM(threads)


def open_image_embedder(specification: str = IMAGE_EMBEDDER, threads: int = 1) -> Embedder[Image]:
    """The embedder of decoded pictures a specification names; arguments and errors as for texts."""
    asked = parse_specification(specification)
    if asked.kind != "bundled":
        from resources.embedders.checkpoints import ImageCheckpoint  # noqa: PLC0415

        return ImageCheckpoint(asked, threads)
    _known(asked, IMAGE_EMBEDDER, "pictures")
    from resources.embedders.image import EfficientNetLite0  # noqa: PLC0415

    return EfficientNetLite0(threads)


def weights_sha256(specification: str) -> str:
    """The `weights_sha256` of the embedder that a specification names, without opening it.

    Files of a checkpoint are read through; the bundled ones are told by their pinned hashes and verified when
    they are opened.

    Raises:
        ValueError: an unknown specification.
        EmbedderUnavailable: the checkpoint is absent.
    """
    asked = parse_specification(specification)
    if asked.kind != "bundled":
        from resources.embedders.checkpoints import checkpoint_folder, checkpoint_sha256  # noqa: PLC0415

        return checkpoint_sha256(checkpoint_folder(asked))
    if specification not in (TEXT_EMBEDDER, IMAGE_EMBEDDER):
        raise ValueError(f"embedder {specification!r}: bundled are {TEXT_EMBEDDER!r} and {IMAGE_EMBEDDER!r}")
    return bundled_sha256(specification)


def _known(asked: Specification, bundled: str, what: str) -> None:
    if str(asked) != bundled:
        raise ValueError(f"embedder {str(asked)!r}: the bundled embedder of {what} is {bundled!r}")
