"""A slice of the fault soak: scripts against real SDKs and sandbox servers end in the truth."""

from __future__ import annotations

import pytest

from benchmarks.fault_soak import run_script_of
from benchmarks.soaked_sources import SOURCES


@pytest.mark.parametrize("seed", range(20))
def test_no_fault_script_loses_or_doubles_a_row(seed: int) -> None:
    outcome = run_script_of(seed)
    assert outcome["ended"], outcome
    assert (outcome["lost"], outcome["doubled"], outcome["wrong_days"]) == (0, 0, 0), outcome
    assert outcome["slices"] > 12
    assert outcome["rows"] > 0


def test_the_slice_covers_every_source() -> None:
    names = {SOURCES[seed % len(SOURCES)].name for seed in range(20)}
    assert names == {"meta", "google_ads", "tiktok", "linkedin", "impact", "ga4", "vendor_files"}
