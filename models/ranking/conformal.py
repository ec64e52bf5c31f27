"""Lower bounds that hold where they are read: by traffic and placement, not only on average.

Here: Mondrian split-conformal bounds and their coverage. Not here: what is bounded (`candidates`' scores).

Vovk, Lindsay, Nouretdinov, Gammerman (2003), Mondrian confidence machine: within each stratum the bound is
the score less the ⌈(n+1)(1-α)⌉-th smallest of the n calibration errors, and covers with probability 1-α or
more there whatever the errors' law, if arms of a stratum are exchangeable. One quantile for all covered
83.5 % of the quarter of Upworthy's arms with the least traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
FEWEST = 100
"""Calibration errors of a stratum from which its own quantile is used; below, its placement's arms are joined
with every placement's of the same traffic, then all arms."""
EVERY = None
"""Stands for all placements: no name, because any name may be a placement's."""
TRAFFIC_STRATA = 4


@dataclass(frozen=True)
class ConformalBound:
    """How far below its score an arm may be, by stratum.

    Attributes:
        error: 1 - coverage.
        edges: expected successes that part the traffic strata, ascending.
        margins: by (placement, traffic stratum); EVERY stands for all placements, stratum -1 for all traffic.
    """

    error: float
    edges: tuple[float, ...]
    margins: Mapping[tuple[str | None, int], float]

    def traffic(self, expected_successes: FloatArray) -> IntArray:
        """Stratum of traffic, 0 the least; shape (arms,)."""
        return np.searchsorted(self.edges, expected_successes, side="right").astype(np.int64)

    def margin(self, placement: Sequence[str], expected_successes: FloatArray) -> FloatArray:
        """What is taken off each arm's score; shape (arms,). Inf where nothing can be said."""
        nothing = self.margins.get((EVERY, -1), float("inf"))
        return np.array(
            [
                self.margins.get((place, stratum), self.margins.get((EVERY, stratum), nothing))
                for place, stratum in zip(placement, self.traffic(expected_successes).tolist(), strict=True)
            ]
        )


def conformal_bound(
    predicted: FloatArray,
    observed: FloatArray,
    placement: Sequence[str],
    expected_successes: FloatArray,
    *,
    error: float,
) -> ConformalBound:
    """Margins from arms that the scores were not learnt from.

    Args:
        predicted: relative log-odds, shape (arms,).
        observed: the same as delivered, sampling error included: the bound is of what will be observed.
        placement: of each arm.
        expected_successes: trials times the placement's rate, known before the arm runs: traffic.
        error: in (0, 1); 0.1 for bounds that hold nine times in ten.
    Raises:
        ValueError: error outside (0, 1), or shapes differ.
    """
    if not 0 < error < 1:
        raise ValueError("error must lie between 0 and 1")
    if not len(predicted) == len(observed) == len(placement) == len(expected_successes):
        raise ValueError("one value per arm is needed of each")
    quantiles = np.arange(1, TRAFFIC_STRATA) / TRAFFIC_STRATA
    edges = (
        tuple(float(edge) for edge in np.quantile(expected_successes, quantiles)) if len(predicted) else ()
    )
    strata = np.searchsorted(edges, expected_successes, side="right")
    shortfall = predicted - observed
    places = np.asarray(placement, dtype=object)
    margins: dict[tuple[str | None, int], float] = {}
    for place in [EVERY, *sorted(set(placement))]:
        there = np.ones(len(places), dtype=bool) if place is EVERY else places == place
        for stratum in range(-1, TRAFFIC_STRATA):
            errors = shortfall[there & (strata == stratum)] if stratum >= 0 else shortfall[there]
            if len(errors) >= FEWEST and (stratum >= 0 or place is EVERY):
                margins[place, stratum] = _upper_quantile(errors, error)
    return ConformalBound(error, edges, margins)


def _upper_quantile(errors: FloatArray, error: float) -> float:
    rank = int(np.ceil((len(errors) + 1) * (1 - error)))
    return float(np.sort(errors)[rank - 1]) if rank <= len(errors) else float("inf")
