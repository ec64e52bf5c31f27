"""Which candidates an account's ranking tries: by default those that need nothing beyond the lock.

Here: names to candidates. Not here: the candidates (`candidates`, `two_towers`), who wins (`promotion`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from models.ranking.candidates import CANDIDATES, Fit
from models.ranking.two_towers import TOWERS, fit_towers, torch_library

ROSTER: Mapping[str, Fit] = {**CANDIDATES, TOWERS: fit_towers}
"""Every candidate there is; those beyond CANDIDATES need an optional library to be fitted."""


def chosen_candidates(names: Collection[str]) -> dict[str, Fit]:
    """Candidates by name, in the roster's order.

    Raises:
        TorchMissing: towers are named and torch is not installed.
        ValueError: a name that no candidate has.
    """
    if unknown := sorted(set(names) - set(ROSTER)):
        raise ValueError(f"no candidate is called {', '.join(unknown)}; there are {', '.join(ROSTER)}")
    if TOWERS in names:
        torch_library()  # told now, not once the others have been fitted
    return {name: fit for name, fit in ROSTER.items() if name in names}
