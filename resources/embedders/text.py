"""Texts to vectors with the MiniLM that is installed: int8 weights, onnxruntime, no PyTorch.

Here: tokens, batches, the run. Not here: other text models (`checkpoints`), opening by name (`opening`).

all-MiniLM-L6-v2 (Wang et al. 2020, arXiv 2002.10957; sentence-transformers): the mean of the last layer over
a text's tokens, at most 256 of them. Only the weights are int8; they are widened when the session opens and
all arithmetic is in float32, so no vector depends on what stood beside it in a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from models.embeddings import (
    FloatArray,
    Progress,
    batches_by_length,
    mean_of_tokens,
    unit_length,
    untold,
)
from resources.embedders.sessions import open_session
from resources.embedders.weights import (
    MINILM,
    MINILM_INT8,
    MINILM_TOKENIZER,
    WEIGHTS_FOLDER,
    bundled_sha256,
    verified,
)

DIMENSIONS = 384
MOST_TOKENS = 256
"""What the model was trained to read; the rest of a longer text is left out."""

# Headlines per CPU second: 167 one by one, 339 at 512, 271 at 2,048.
_TOKENS_PER_BATCH = 512


class MiniLM:
    """The bundled text embedder.

    Args:
        threads: a run may use.
        tokens_per_batch: bounds memory, padding included; changes no vector.
        folder: of the weights.
    Raises:
        WeightsError: a weight file is absent or not the pinned one.
    """

    specification = MINILM
    dimensions = DIMENSIONS

    def __init__(
        self, threads: int = 1, tokens_per_batch: int = _TOKENS_PER_BATCH, folder: Path = WEIGHTS_FOLDER
    ) -> None:
        self._tokenizer = Tokenizer.from_file(str(verified(MINILM_TOKENIZER, folder)))
        # The file itself says 128, and pads every text to that.
        self._tokenizer.enable_truncation(MOST_TOKENS)
        self._tokenizer.no_padding()
        self._session = open_session(verified(MINILM_INT8, folder), threads)
        self._tokens_per_batch = tokens_per_batch
        self.weights_sha256 = bundled_sha256(MINILM)

    def embed(self, items: Sequence[str], progress: Progress = untold) -> FloatArray:
        """Vectors of texts; see `models.embeddings.Embedder`. The empty text has a vector too."""
        tokens = [self._tokens(checked_text(text, position)) for position, text in enumerate(items)]
        vectors = np.empty((len(tokens), DIMENSIONS), dtype=np.float32)
        done = 0
        for batch in batches_by_length([len(ids) for ids in tokens], self._tokens_per_batch):
            vectors[batch] = self._run([tokens[position] for position in batch])
            done += len(batch)
            progress(done, len(tokens))
        return vectors

    def _tokens(self, text: str) -> list[int]:
        # One text at a time: the tokenizer's own batches would use every processor of the machine.
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def _run(self, batch: list[list[int]]) -> FloatArray:
        longest = max(len(ids) for ids in batch)
        input_ids = np.zeros((len(batch), longest), dtype=np.int64)
        mask = np.zeros_like(input_ids)
        for row, ids in enumerate(batch):
            input_ids[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        feeds = {
            "input_ids": input_ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(input_ids),
        }
        (states,) = self._session.run(["last_hidden_state"], feeds)
        return unit_length(mean_of_tokens(states, mask))


def checked_text(text: str, position: int) -> str:
    """A text that UTF-8 can say: half a character, left where a platform cut within an emoji, becomes "?".

    Raises:
        TypeError: no text, with the item's position.
    """
    if not isinstance(text, str):
        raise TypeError(f"item {position}: expected a text, found {type(text).__name__}")
    return text.encode("utf-8", "replace").decode("utf-8")
