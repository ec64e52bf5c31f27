"""Which specification opens what, and what a person is told who lacks something."""

from __future__ import annotations

import importlib

import pytest

from resources.embedders import open_image_embedder, open_text_embedder
from resources.embedders.checkpoints import EmbedderUnavailable

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OPENERS = [open_text_embedder, open_image_embedder]


@pytest.mark.parametrize("opening", OPENERS)
def test_bundled_weights_nobody_bundled_are_refused_with_those_there_are(opening):
    with pytest.raises(ValueError, match=r"'bundled:glove'.*the bundled embedder of \w+ is 'bundled:"):
        opening("bundled:glove")


def test_a_text_embedder_is_no_image_embedder():
    with pytest.raises(ValueError, match="bundled:efficientnet-lite0"):
        open_image_embedder("bundled:minilm-l6-v2-int8")


@pytest.mark.parametrize("opening", OPENERS)
def test_no_thread_is_too_few(opening):
    with pytest.raises(ValueError, match="threads: must be at least 1"):
        opening(threads=0)


@pytest.mark.parametrize("opening", OPENERS)
@pytest.mark.parametrize("specification", [f"hf:openai/clip@{COMMIT}", "path:/models/clip"])
def test_without_pytorch_a_checkpoint_says_what_to_install(opening, specification, monkeypatch):
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(EmbedderUnavailable, match="pip install torch transformers sentence-transformers"):
        opening(specification)


def test_the_bundled_embedders_need_no_pytorch():
    """Nor does importing the package, or every run of the graph would pay for it."""
    import subprocess
    import sys

    script = (
        "import sys; from resources.embedders import open_text_embedder, open_image_embedder; "
        "open_text_embedder(); open_image_embedder(); "
        "print({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
