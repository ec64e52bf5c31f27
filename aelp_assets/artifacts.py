"""Content-hashed inputs of decisions: what a replay reads.

Here: frames and texts to files named by their content, and back. Not here: which a decision needs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl


@dataclass(frozen=True)
class Artifact:
    """A stored input: its sha256 and folder."""

    sha256: str
    path: Path


def store_frames(folder: Path, frames: Mapping[str, pl.DataFrame]) -> Artifact:
    """Write frames under `folder/<sha256>/`, once per content.

    The hash covers names, types and values in sorted order: neither the order rows arrived in nor the
    warehouse they came from changes it.
    """
    sorted_frames = {name: frame.sort(frame.columns) for name, frame in sorted(frames.items())}
    sha256 = content_hash(sorted_frames)
    target = folder / sha256
    if not target.exists():
        staged = folder / f".{sha256}.{os.getpid()}"
        staged.mkdir(parents=True, exist_ok=True)
        for name, frame in sorted_frames.items():
            frame.write_ipc(staged / f"{name}.arrow", compression="lz4")
        staged.rename(target)
    return Artifact(sha256, target)


def load_frames(folder: Path, sha256: str) -> dict[str, pl.DataFrame]:
    """The frames stored under a hash.

    Raises:
        ValueError: the stored content no longer has that hash.
        FileNotFoundError: nothing is stored under it.
    """
    files = sorted((folder / sha256).glob("*.arrow"))
    if not files:
        raise FileNotFoundError(f"no inputs are stored under {folder / sha256}")
    frames = {file.stem: pl.read_ipc(file) for file in files}
    if content_hash(frames) != sha256:
        raise ValueError(f"{folder / sha256}: the stored inputs were changed after the decision")
    return frames


def store_text(folder: Path, text: str) -> str:
    """Write a text as `folder/<sha256>.json`, once per content; returns the sha256."""
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    target = folder / f"{sha256}.json"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        staged = folder / f".{sha256}.{os.getpid()}"
        staged.write_text(text, encoding="utf-8")
        staged.rename(target)
    return sha256


def load_text(folder: Path, sha256: str) -> str:
    """The text stored under a hash.

    Raises:
        ValueError: the stored text no longer has that hash.
        FileNotFoundError: nothing is stored under it.
    """
    path = folder / f"{sha256}.json"
    if not path.exists():
        raise FileNotFoundError(f"no settings are stored under {path}")
    text = path.read_text(encoding="utf-8")
    if hashlib.sha256(text.encode()).hexdigest() != sha256:
        raise ValueError(f"{path}: the stored text was changed after the decision")
    return text


def content_hash(frames: Mapping[str, pl.DataFrame]) -> str:
    """sha256 over names, types and values, as text.

    Arrow's own bytes differ between equal frames (validity maps, string buffers).
    """
    digest = hashlib.sha256()
    for name, frame in frames.items():
        digest.update(f"{name}:{frame.schema}\n".encode())
        digest.update(frame.write_csv(null_value="\\N").encode())
    return digest.hexdigest()
