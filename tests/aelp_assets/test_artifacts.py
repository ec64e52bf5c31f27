from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from aelp_assets.artifacts import load_frames, store_frames

FRAMES = {
    "levers": pl.DataFrame(
        {"lever_id": ["a", "b"], "date": [date(2026, 6, 1)] * 2, "budget": [Decimal("1.10"), None]},
        schema={"lever_id": pl.String, "date": pl.Date, "budget": pl.Decimal(38, 9)},
    ),
    "days": pl.DataFrame({"x": [0.1, float("inf")]}),
}


def test_what_was_stored_comes_back_bit_for_bit(tmp_path):
    artifact = store_frames(tmp_path, FRAMES)
    loaded = load_frames(tmp_path, artifact.sha256)
    assert loaded["levers"].equals(FRAMES["levers"])
    assert loaded["levers"].schema == FRAMES["levers"].schema


def test_the_hash_does_not_depend_on_the_order_rows_arrive_in(tmp_path):
    shuffled = {name: frame.reverse() for name, frame in FRAMES.items()}
    assert store_frames(tmp_path, FRAMES).sha256 == store_frames(tmp_path, shuffled).sha256


def test_an_input_changed_after_the_decision_is_refused(tmp_path):
    artifact = store_frames(tmp_path, FRAMES)
    pl.DataFrame({"x": [9.9]}).write_ipc(artifact.path / "days.arrow")
    with pytest.raises(ValueError, match="changed after the decision"):
        load_frames(tmp_path, artifact.sha256)
