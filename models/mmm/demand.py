"""What spend itself tells of demand that nobody measured.

Here: columns that let a baseline credit demand, not media, for what moves with budgets. Not here: their
prior (`baseline`), controls that somebody did measure.

Where people (or platforms) spend more in weeks that sell anyway, outcome and spend rise together though no
ad caused it. Demand that lifts many budgets at once is their common movement: given it, what is left of each
budget tells of the channel alone (a common factor as substitute confounder: Wang & Blei 2019, with the
caution of Ogburn, Shpitser & Tchetgen Tchetgen 2020: a prior to widen intervals by, no proof). A channel that
meets demand others made (brand search) follows it by its nature, so its own movement is a column.
"""

from __future__ import annotations

import numpy as np

from models.mmm.response import FloatArray
from models.mmm.weeks import MediaWeeks

COMMON = "budgets_together"
LEAST_CHANNELS = 3
"""Of two moving together nobody can say how much each follows."""
_LEAST_OWN_SHARE = 0.05
"""Of a channel's movement is its own: the factor's fit may otherwise end at one channel alone."""
_LEAST_MOVEMENT = 1e-6
_ROUNDS = 500


def demand_columns(weeks: MediaWeeks, others: FloatArray) -> tuple[tuple[str, ...], FloatArray]:
    """Names and columns of mean square 1 over the weeks: the common movement of budgets, where three channels
    move, and each harvesting channel's own.

    Args:
        others: the baseline's other columns, (weeks, columns): movement is what they leave of logged spend.
    """
    movement, moving = _movement(weeks, others)
    names, columns = [], []
    making = [at for at, name in enumerate(weeks.channels) if moving[at] and name not in weeks.harvests]
    if len(making) >= LEAST_CHANNELS:
        names.append(COMMON)
        columns.append(common_movement(movement[:, making]))
    for at, name in enumerate(weeks.channels):
        if moving[at] and name in weeks.harvests:
            names.append(f"{name}_demand")
            columns.append(movement[:, at])
    return tuple(names), np.column_stack(columns) if columns else np.zeros((weeks.number, 0))


def common_movement(movement: FloatArray) -> FloatArray:
    """Scores of one common factor by maximum likelihood, mean square 1; (weeks,) of (weeks, channels)."""
    correlation = movement.T @ movement / movement.shape[0]
    own = np.full(movement.shape[1], 0.5)
    for _ in range(_ROUNDS):
        root = np.sqrt(own)
        values, axes = np.linalg.eigh(correlation / np.outer(root, root))
        loading = root * axes[:, -1] * np.sqrt(max(values[-1] - 1.0, 0.0))
        fitted = np.clip(1.0 - loading**2, _LEAST_OWN_SHARE, 1.0)
        settled = np.abs(fitted - own).max() < 1e-6
        own = fitted
        if settled:
            break
    weights = axes[:, -1] / np.sqrt(own)
    scores = movement @ (weights * np.sign(weights.sum() or 1.0))
    found: FloatArray = scores / np.sqrt((scores**2).mean())
    return found


def _movement(weeks: MediaWeeks, others: FloatArray) -> tuple[FloatArray, np.ndarray]:
    """Logged spend less what the other columns hold, mean square 1, and which channels have any.

    Over the weeks in which a channel spent: that it was off, somebody had planned, and it tells of no demand.
    """
    movement = np.zeros_like(weeks.spend)
    for at, spend in enumerate(weeks.spend.T):
        on = spend > 0
        if on.sum() > others.shape[1]:
            axes = np.linalg.qr(others[on])[0]
            logged = np.log(spend[on])
            movement[on, at] = logged - axes @ (axes.T @ logged)
    size = np.sqrt((movement**2).mean(axis=0))
    moving = size > _LEAST_MOVEMENT
    return movement / np.where(moving, size, 1.0), moving
