"""Content-hashed inputs of decisions: what a replay reads.

Here: frames to one Arrow IPC file per content and back. Not here: which frames a decision needs.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import polars as pl


@dataclass(frozen=True)
class Artifact:
    """A stored input: its sha256 and folder."""

    sha256: str
    path: Path


def store_frames(folder: Path, frames: Mapping[str, pl.DataFrame]) -> Artifact:
    """Write frames under `folder/<sha256>/`, once per content; the hash covers names, order and bytes."""
    blobs = {name: _bytes(frame) for name, frame in sorted(frames.items())}
    digests = {name: hashlib.sha256(blob).hexdigest() for name, blob in blobs.items()}
    sha256 = hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
    target = folder / sha256
    if not target.exists():
        staged = folder / f".{sha256}.{os.getpid()}"
        staged.mkdir(parents=True, exist_ok=True)
        for name, blob in blobs.items():
            (staged / f"{name}.arrow").write_bytes(blob)
        staged.rename(target)
    return Artifact(sha256, target)


def load_frames(folder: Path, sha256: str) -> dict[str, pl.DataFrame]:
    """The frames stored under a hash.

    Raises:
        ValueError: the stored bytes no longer have that hash.
        FileNotFoundError: nothing is stored under it.
    """
    files = sorted((folder / sha256).glob("*.arrow"))
    if not files:
        raise FileNotFoundError(f"no inputs are stored under {folder / sha256}")
    blobs = {file.stem: file.read_bytes() for file in files}
    digests = {name: hashlib.sha256(blob).hexdigest() for name, blob in blobs.items()}
    if hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest() != sha256:
        raise ValueError(f"{folder / sha256}: the stored inputs were changed after the decision")
    return {name: pl.read_ipc(BytesIO(blob)) for name, blob in blobs.items()}


def _bytes(frame: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    # Rows arrive in no promised order: sorted, the same content has the same hash.
    frame.sort(frame.columns).rechunk().write_ipc(buffer, compression="lz4")
    return buffer.getvalue()
