"""What reads creatives and ranks them: networks that give texts and images vectors, rankers that compete.

Here: the embedders and the candidates. Not here: what creatives may say (`policy.py`), the lists features
count by (`creative_texts.py`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from resources.settings.values import Section, written_as

Embedder = Annotated[
    str,
    written_as(
        r"bundled:\S+|hf:[\w./-]+@[0-9a-f]{40}|path:/.+",
        "bundled:NAME, hf:ORGANISATION/NAME@COMMIT (40 hexadecimal digits) or path:/FOLDER",
    ),
]
Candidate = Literal["kernel", "ridge", "trees", "towers"]
"""Of `models.ranking.roster`; `towers` needs torch, an optional extra, where it is fitted."""


def _each_once(names: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    if len(set(names)) < len(names):
        raise ValueError("a candidate stands twice")
    return names


class Creatives(Section):
    """Embedders of texts and images by specification, the threads one of them may use, and who ranks.

    Another embedder reads every creative anew; vectors of two embedders are kept apart. Of the candidates
    the one that ranks later ads best scores.
    """

    text_embedder: Embedder = "bundled:minilm-l6-v2-int8"
    image_embedder: Embedder = "bundled:efficientnet-lite0"
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1), AfterValidator(_each_once)] = (
        "kernel",
        "ridge",
        "trees",
    )
