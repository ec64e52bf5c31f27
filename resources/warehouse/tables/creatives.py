"""What is read in creatives: vectors of their texts and images.

Here: contents, each once. Not here: the creatives themselves (`raw.py`, dbt's `creative_objects`).
"""

from __future__ import annotations

from resources.warehouse.schema import Table, TableName
from resources.warehouse.tables.columns import columns

CREATIVE_EMBEDDINGS = Table(
    name=TableName("gaelp_training", "creative_embeddings"),
    description="Vectors of the texts and images of creatives, each content once per embedder. Vectors of "
    "two embedders, or of two weights of one, are never compared.",
    columns=columns(
        (
            "content_sha256",
            "STRING",
            "sha256 of the content: of a text's UTF-8 bytes (headline, body and call to action, a line "
            "each), or of an image's bytes, as in creative_objects.",
            True,
        ),
        ("modality", "STRING", "text or image.", True),
        ("embedder", "STRING", "Specification of the embedder.", True),
        ("weights_sha256", "STRING", "Hash of all files the vector depends on.", True),
        ("dimensions", "INT64", "Numbers in the vector.", True),
        ("vector", "STRING", "The numbers as float32, little-endian, in base64; of length 1.", True),
        ("embedded_at", "TIMESTAMP", "When it was made.", True),
    ),
    grain=("content_sha256", "modality", "embedder", "weights_sha256"),
    cluster=("modality", "embedder", "content_sha256"),
)
