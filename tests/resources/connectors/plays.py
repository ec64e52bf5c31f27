"""How often the sandbox's videos are played, worked out row by row.

Here: the count of one row. Not here: the shares themselves (`resources.sandbox.servers.plays`).
"""

from __future__ import annotations

from resources.sandbox.clips import hook_of
from resources.sandbox.servers.plays import OPENINGS, SHARES, STARTED


def played(impressions: int, depth: str, clip: str | None) -> str:
    """Plays of a clip until there, as text; none where an ad shows no clip."""
    if clip is None:
        return "0"
    opening = 100 if depth == STARTED else OPENINGS[hook_of(clip)]
    return str(impressions * SHARES[depth] * opening // 10_000)
