"""Rankers' files: one ranker, one sequence of bytes; read only where nobody changed them."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from models.ranking.storage import KeptState, kept_state
from resources.ranker_models import RankerFileError, keep_ranker, load_ranker, ranker_bytes
from tests.models.test_ranker_storage import READING, blocks, fitted


@pytest.mark.parametrize("candidate", ["kernel", "ridge", "trees"])
def test_a_ranker_comes_back_from_its_file(tmp_path, candidate):
    model = fitted(candidate, blocks(1))
    kept = keep_ranker(tmp_path, model)
    again = load_ranker(tmp_path, kept.artifact, kept.sha256, READING)
    asked = blocks(2, count=25)
    assert np.array_equal(model.ranker.scores(asked).mean, again.ranker.scores(asked).mean)
    assert keep_ranker(tmp_path, again) == kept, "the same bytes"
    assert [path.name for path in (tmp_path / "rankers").iterdir()] == [f"{kept.sha256}.zip"]
    assert (tmp_path / kept.artifact).stat().st_size == kept.byte_count


@pytest.mark.parametrize("candidate", ["kernel", "ridge", "trees"])
def test_the_same_evidence_gives_the_same_bytes(tmp_path, candidate):
    kept = [keep_ranker(tmp_path / place, fitted(candidate, blocks(1))) for place in ("one", "other")]
    assert kept[0] == kept[1]
    assert keep_ranker(tmp_path, fitted(candidate, blocks(3))).sha256 != kept[0].sha256


def test_no_pickle_is_ever_written_or_read(tmp_path):
    kept = keep_ranker(tmp_path, fitted("kernel", blocks(1)))
    with zipfile.ZipFile(tmp_path / kept.artifact) as archive:
        assert {name.rpartition(".")[2] for name in archive.namelist()} == {"json", "npy"}
        for name in archive.namelist():
            if name.endswith(".npy"):
                np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
    state = kept_state(fitted("ridge", blocks(1)))
    with pytest.raises(ValueError, match="allow_pickle"):
        ranker_bytes(KeptState(state.described, {"coefficients": np.array([{}], dtype=object)}))


def test_a_changed_file_is_not_read_and_kept_anew_by_the_next_ranking(tmp_path):
    model = fitted("ridge", blocks(1))
    kept = keep_ranker(tmp_path, model)
    path = tmp_path / kept.artifact
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(RankerFileError, match=f"{kept.artifact}: its sha256 is .* rank again"):
        load_ranker(tmp_path, kept.artifact, kept.sha256)
    assert keep_ranker(tmp_path, model) == kept
    load_ranker(tmp_path, kept.artifact, kept.sha256)


def test_a_file_that_is_gone_is_named_with_its_remedy(tmp_path):
    kept = keep_ranker(tmp_path, fitted("ridge", blocks(1)))
    (tmp_path / kept.artifact).unlink()
    with pytest.raises(RankerFileError, match=f"{kept.artifact}: cannot be read .* copy of the artifacts"):
        load_ranker(tmp_path, kept.artifact, kept.sha256)


def test_another_format_and_other_vectors_are_refused_by_file(tmp_path):
    model = fitted("ridge", blocks(1))
    kept = keep_ranker(tmp_path, model)
    with pytest.raises(RankerFileError, match=rf"{kept.artifact}: it learnt from vectors of bundled:texts"):
        load_ranker(tmp_path, kept.artifact, kept.sha256, replace(READING, text_embedder="path:/other"))
    state = kept_state(model)
    newer = ranker_bytes(KeptState(state.described | {"version": 9}, state.arrays))
    path = tmp_path / "newer.zip"
    path.write_bytes(newer)
    with pytest.raises(RankerFileError, match=r"newer.zip: it has format version 9, this code reads 1"):
        load_ranker(tmp_path, "newer.zip", _sha256(newer))
    path.write_bytes(b"no zip")
    with pytest.raises(RankerFileError, match=r"newer.zip: File is not a zip file"):
        load_ranker(tmp_path, "newer.zip", _sha256(b"no zip"))


def _sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()
