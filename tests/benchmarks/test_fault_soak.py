"""A slice of the fault soak: scripts against real SDKs and sandbox servers end in the truth."""

from __future__ import annotations

import pytest

from benchmarks.fault_soak import PLATFORMS, run_script_of


@pytest.mark.parametrize("seed", range(20))
def test_no_fault_script_loses_or_doubles_a_row(seed: int) -> None:
    outcome = run_script_of(seed)
    assert outcome["ended"], outcome
    assert (outcome["lost"], outcome["doubled"], outcome["wrong_days"]) == (0, 0, 0), outcome
    assert outcome["slices"] > 12


def test_the_slice_covers_every_platform() -> None:
    assert len({seed % len(PLATFORMS) for seed in range(20)}) == len(PLATFORMS) == 4
