"""Fitted rankers as files, named by what is in them; a file that was changed is never read.

Here: bytes of a ranker, writing them whole, reading them back, removing those out of force. Not here: what a
ranker is made of (`models.ranking.storage`), which one scores (the assets).

A file is a zip of `ranker.json` and one array of numpy's own format (`.npy`) for each name: any language
reads it, and reading it runs nothing. Times and compression are left out, so one ranker has one sequence of
bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.ranking.storage import KeptState, RankerModel, Reading, kept_state, restored_model
from resources.whole_files import write_whole

FOLDER = "rankers"
"""Below the artifacts' folder."""

KEPT_RANKINGS = 8
"""Mornings whose rankers' files stay: of weekly rankings as many as drift is told by, so that whoever looks
into its verdict can score again as then."""

_DESCRIPTION = "ranker.json"
_ARTIFACT = re.compile(rf"{FOLDER}/[0-9a-f]{{64}}\.zip")
_log = logging.getLogger(__name__)
_ARRAY = ".npy"
_RANK_AGAIN = "rank again (job rank_creatives)"


class RankerFileError(Exception):
    """A kept ranker that cannot be used: which file, why, and what to do."""


@dataclass(frozen=True)
class KeptRanker:
    """Where a ranker is kept. artifact: path below the artifacts' folder."""

    artifact: str
    sha256: str
    byte_count: int


def keep_ranker(artifacts: Path, model: RankerModel) -> KeptRanker:
    """Write a ranker's file, whole or not at all; one that stands already, unchanged, is left alone.

    Raises:
        TypeError: a kind of ranker that has no format.
    """
    content = ranker_bytes(kept_state(model))
    sha256 = hashlib.sha256(content).hexdigest()
    kept = KeptRanker(f"{FOLDER}/{sha256}.zip", sha256, len(content))
    path = artifacts / kept.artifact
    if not path.exists() or _sha256(path.read_bytes()) != sha256:
        write_whole(path, content)
    return kept


def load_ranker(artifacts: Path, artifact: str, sha256: str, reading: Reading | None = None) -> RankerModel:
    """The ranker of a file, whose scores are those of the fitted one to the last bit.

    Args:
        artifact, sha256: as they were kept; nothing of other bytes is looked into.
        reading: how creatives are read now; None: none are scored.
    Raises:
        RankerFileError: the file is gone, was changed, has another format, or learnt from creatives that were
            read otherwise.
    """
    path = artifacts / artifact
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise RankerFileError(
            f"{path}: it is gone. Files stay of the newest rankers and of those of the last {KEPT_RANKINGS} "
            "rankings; older ones are removed, their rows in ranker_models stay. Put it back from a copy of "
            f"the artifacts, or {_RANK_AGAIN}."
        ) from None
    except OSError as error:
        raise RankerFileError(
            f"{path}: cannot be read ({error.strerror}). Put it back from a copy of the artifacts, or "
            f"{_RANK_AGAIN}."
        ) from None
    if (found := _sha256(content)) != sha256:
        raise RankerFileError(
            f"{path}: its sha256 is {found}, ranker_models says {sha256}. It was changed after it was kept "
            f"and is not read; put it back from a copy of the artifacts, or {_RANK_AGAIN}."
        )
    try:
        model = restored_model(_state(content))
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise RankerFileError(f"{path}: {error}.") from error
    if reading is not None and (misread := model.misread(reading)):
        raise RankerFileError(f"{path}: {'; '.join(misread)}.")
    return model


def remove_rankers(artifacts: Path, known: pl.DataFrame, rows: pl.DataFrame, morning: date) -> list[str]:
    """Remove files of rankers that nobody scores by any more; one that cannot be removed is logged and stays.

    Args:
        known: as_of_date, rate, artifact of RANKER_MODELS before the last write; other files are left alone,
            for they may be another warehouse's.
        rows: the same as it stands now. Files stay of the newest row of each rate and of the newest
            `KEPT_RANKINGS` mornings.
        morning: just ranked; its files stay, however long ago it was.
    Returns:
        the artifacts removed, sorted.
    """
    day = pl.col("as_of_date")
    is_recent = day.rank("dense", descending=True) <= KEPT_RANKINGS
    is_in_force = day == day.max().over("rate")
    staying = {*rows.filter(is_recent | is_in_force | (day == morning))["artifact"]}
    removed = []
    for artifact in sorted({*known["artifact"], *rows["artifact"]} - staying):
        path = artifacts / artifact
        if not _ARTIFACT.fullmatch(artifact) or not path.exists():
            continue
        try:
            path.unlink()
        except OSError as error:
            _log.warning("%s: a ranker out of force cannot be removed (%s); it stays.", path, error.strerror)
            continue
        removed.append(artifact)
    return removed


def ranker_bytes(state: KeptState) -> bytes:
    """The content of a ranker's file; equal states give equal bytes."""
    described = json.dumps(state.described, sort_keys=True, allow_nan=False)
    members = {_DESCRIPTION: described.encode("ascii")}
    members |= {f"{name}{_ARRAY}": _npy(state.arrays[name]) for name in sorted(state.arrays)}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def _state(content: bytes) -> KeptState:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        described: Mapping[str, Any] = json.loads(archive.read(_DESCRIPTION))
        arrays = {
            name.removesuffix(_ARRAY): np.lib.format.read_array(
                io.BytesIO(archive.read(name)), allow_pickle=False
            )
            for name in archive.namelist()
            if name.endswith(_ARRAY)
        }
    return KeptState(dict(described), arrays)


def _npy(array: npt.NDArray[Any]) -> bytes:
    file = io.BytesIO()
    ordered = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    np.lib.format.write_array(file, ordered, version=(1, 0), allow_pickle=False)
    return file.getvalue()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
