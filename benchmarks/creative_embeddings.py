"""Texts and pictures a processor turns into vectors in a second, with the weights that are installed.

Here: timing the default embedders on made-up items. Not here: whether the vectors are any good
(`tests/resources/embedders`, the study of headlines).
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np

from benchmarks.forecast_draws import best_of
from benchmarks.record import Figure, Record
from models.embeddings import Image
from resources.embedders import (
    IMAGE_EMBEDDER,
    TEXT_EMBEDDER,
    open_image_embedder,
    open_text_embedder,
)

LARGE_ACCOUNT = 52_000
"""Texts: the headlines of a large archive of split tests."""

_SENTENCE = (
    "keep your family and every phone at home safe now because nobody else will tell you what this really "
    "means for children parents teachers doctors when money runs out in the middle of one long year"
)


def creative_embeddings(texts: int = 500, pictures: int = 40) -> Record:
    """Time the default embedders, one thread each.

    Texts have 8 to 24 words, as headlines do. Pictures are decoded already, square, portrait and wide; fewer
    of them than of texts, because each is one run.
    """
    rng = np.random.default_rng(1)
    words = _SENTENCE.split()
    headlines = [" ".join(rng.choice(words, rng.integers(8, 25))) for _ in range(texts)]
    shapes = [(1080, 1080), (1920, 1080), (628, 1200)]
    drawn: list[Image] = [
        rng.integers(0, 256, (*shapes[each % 3], 3), dtype=np.uint8) for each in range(pictures)
    ]
    opening = {
        "text": best_of(open_text_embedder, clock=time.process_time),
        "picture": best_of(open_image_embedder, clock=time.process_time),
    }
    text_seconds = best_of(partial(open_text_embedder().embed, headlines), clock=time.process_time)
    picture_seconds = best_of(partial(open_image_embedder().embed, drawn), clock=time.process_time)
    return Record(
        "creative_embeddings",
        {"texts": texts, "pictures": pictures},
        [
            Figure(f"texts, {TEXT_EMBEDDER}", texts / text_seconds, "per CPU second"),
            Figure(f"pictures, {IMAGE_EMBEDDER}", pictures / picture_seconds, "per CPU second"),
            Figure(
                f"{LARGE_ACCOUNT:,} texts, reckoned", LARGE_ACCOUNT * text_seconds / texts / 60, "CPU min"
            ),
            Figure("opening the text embedder", opening["text"], "CPU s"),
            Figure("opening the image embedder", opening["picture"], "CPU s"),
        ],
        note="One thread; tokens and scaling counted, decoding not. Files are verified once a process: the "
        "opening times are of later openings.",
    )
