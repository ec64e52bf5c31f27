"""Networks that turn texts and images into vectors; weights are files, verified before they are read.

Here: nothing but the door. Not here: the interface and its arithmetic (`models.embeddings`), decoding.
"""

from __future__ import annotations

from resources.embedders.opening import (
    IMAGE_EMBEDDER,
    TEXT_EMBEDDER,
    open_image_embedder,
    open_text_embedder,
    weights_sha256,
)

__all__ = ["IMAGE_EMBEDDER", "TEXT_EMBEDDER", "open_image_embedder", "open_text_embedder", "weights_sha256"]
