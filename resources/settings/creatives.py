"""What reads creatives: which networks turn their texts and images into vectors.

Here: the embedders. Not here: what creatives may say (`policy.py`), the lists features count by
(`creative_texts.py`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from resources.settings.values import Section, written_as

Embedder = Annotated[
    str,
    written_as(
        r"bundled:\S+|hf:[\w./-]+@[0-9a-f]{40}|path:/.+",
        "bundled:NAME, hf:ORGANISATION/NAME@COMMIT (40 hexadecimal digits) or path:/FOLDER",
    ),
]


class Creatives(Section):
    """Embedders of texts and images by specification, and the threads one of them may use.

    Another embedder reads every creative anew; vectors of two embedders are kept apart.
    """

    text_embedder: Embedder = "bundled:minilm-l6-v2-int8"
    image_embedder: Embedder = "bundled:efficientnet-lite0"
    threads: Annotated[int, Field(ge=1, le=64)] = 1
