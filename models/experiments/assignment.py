"""The draw that assigns a unit to an arm: reproducible from its name, chosen by nobody.

Here: the number. Not here: what an arm does, and keeping it.
"""

from __future__ import annotations

import hashlib


def assignment_draw(seed: int, *name: str) -> float:
    """A number in [0, 1) that is uniform over names: sha256 of seed and name, as a fraction.

    Neither the amount, the day's order nor who decides is part of it, so asking again draws the same.

    Args:
        name: of the unit, such as platform, account, lever and morning.
    """
    digest = hashlib.sha256("|".join((str(seed), *name)).encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53  # 53 bits: what a float holds exactly
