"""Rankers' files: one ranker, one sequence of bytes; read only where nobody changed them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import replace
from datetime import date, timedelta
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.ranking.storage import VERSION, KeptState, kept_state
from resources.ranker_models import (
    KEPT_RANKINGS,
    RankerFileError,
    keep_ranker,
    load_ranker,
    ranker_bytes,
    remove_rankers,
)
from resources.whole_files import write_whole
from tests.models.test_ranker_storage import NAMES, READING, blocks, fitted


@pytest.mark.parametrize("candidate", NAMES)
def test_a_ranker_comes_back_from_its_file(tmp_path, candidate):
    model = fitted(candidate, blocks(1))
    kept = keep_ranker(tmp_path, model)
    again = load_ranker(tmp_path, kept.artifact, kept.sha256, READING)
    asked = blocks(2, count=25)
    assert np.array_equal(model.ranker.scores(asked).mean, again.ranker.scores(asked).mean)
    assert keep_ranker(tmp_path, again) == kept, "the same bytes"
    assert [path.name for path in (tmp_path / "rankers").iterdir()] == [f"{kept.sha256}.zip"]
    assert (tmp_path / kept.artifact).stat().st_size == kept.byte_count


@pytest.mark.parametrize("candidate", NAMES)
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
    with pytest.raises(RankerFileError, match=f"{kept.artifact}: it is gone.* copy of the artifacts.* rank"):
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
    with pytest.raises(
        RankerFileError, match=rf"newer.zip: it has format version 9, this code reads {VERSION}"
    ):
        load_ranker(tmp_path, "newer.zip", _sha256(newer))
    path.write_bytes(b"no zip")
    with pytest.raises(RankerFileError, match=r"newer.zip: File is not a zip file"):
        load_ranker(tmp_path, "newer.zip", _sha256(b"no zip"))


class Kept:
    """Files of weekly rankings, the first the oldest, and their rows."""

    def __init__(self, artifacts, weeks, rates=("ctr", "cvr")):
        self.artifacts, self.rows = artifacts, []
        for week, rate in product(range(weeks), rates):
            row = {"as_of_date": self.morning(week), "rate": rate, "artifact": self.file(week, rate)}
            self.rows.append(row)

    @staticmethod
    def morning(week):
        return date(2026, 1, 5) + timedelta(days=7 * week)

    def file(self, week, rate):
        artifact = f"rankers/{_sha256(f'{week} {rate}'.encode())}.zip"
        write_whole(self.artifacts / artifact, b"a ranker")
        return artifact

    def removed(self, week, known=None):
        """Of a ranking of that week: week and rate of each file that is gone."""
        remove_rankers(
            self.artifacts, pl.DataFrame(known or self.rows), pl.DataFrame(self.rows), self.morning(week)
        )
        return [
            ((row["as_of_date"] - self.morning(0)).days // 7, row["rate"])
            for row in known or self.rows
            if not (self.artifacts / row["artifact"]).exists()
        ]


def test_files_of_the_last_rankings_stay_and_older_ones_go(tmp_path):
    kept = Kept(tmp_path, KEPT_RANKINGS + 2)
    assert kept.removed(KEPT_RANKINGS + 1) == [(0, "ctr"), (0, "cvr"), (1, "ctr"), (1, "cvr")]
    assert kept.removed(KEPT_RANKINGS + 1) == [(0, "ctr"), (0, "cvr"), (1, "ctr"), (1, "cvr")]


def test_a_ranker_in_force_stays_however_old(tmp_path):
    kept = Kept(tmp_path, KEPT_RANKINGS + 3)
    # CVR was let score in the second week last.
    kept.rows = [row for row in kept.rows if row["rate"] == "ctr" or row["as_of_date"] <= kept.morning(1)]
    assert kept.removed(KEPT_RANKINGS + 2) == [(0, "ctr"), (0, "cvr"), (1, "ctr"), (2, "ctr")]


def test_a_file_that_several_mornings_name_stays_with_the_newest(tmp_path):
    kept = Kept(tmp_path, KEPT_RANKINGS + 3, ("ctr",))
    kept.rows[0]["artifact"] = kept.rows[-1]["artifact"]
    assert kept.removed(KEPT_RANKINGS + 2) == [(1, "ctr"), (2, "ctr")]


def test_a_past_morning_that_was_just_ranked_again_has_its_files_and_the_replaced_ones_go(tmp_path):
    kept = Kept(tmp_path, KEPT_RANKINGS + 1, ("ctr",))
    known = [dict(row) for row in kept.rows]
    kept.rows[0]["artifact"] = kept.file(99, "ctr")
    assert kept.removed(0, known) == [(0, "ctr")]
    assert (tmp_path / kept.rows[0]["artifact"]).exists()


def test_a_file_that_no_row_names_and_one_elsewhere_are_left_alone(tmp_path):
    kept = Kept(tmp_path, KEPT_RANKINGS + 1, ("ctr",))
    other = tmp_path / kept.file(99, "ctr")
    beyond = tmp_path / "control.zip"
    beyond.write_bytes(b"another's")
    known = [*kept.rows, {"as_of_date": kept.morning(0), "rate": "cvr", "artifact": "rankers/../control.zip"}]
    assert kept.removed(KEPT_RANKINGS, known) == [(0, "ctr")]
    assert other.exists()
    assert beyond.exists()


def test_a_file_that_cannot_be_removed_is_logged_and_the_others_go(tmp_path, monkeypatch, caplog):
    kept = Kept(tmp_path, KEPT_RANKINGS + 2, ("ctr",))
    stuck, unlink = tmp_path / kept.rows[0]["artifact"], Path.unlink

    def removed(path, missing_ok=False):
        if path == stuck:
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", removed)
    assert kept.removed(KEPT_RANKINGS + 1) == [(1, "ctr")]
    assert f"{stuck}: a ranker out of force cannot be removed (Permission denied)" in caplog.text


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
