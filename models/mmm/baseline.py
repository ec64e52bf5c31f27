"""What the outcome would be without media: level, drift, the year's course, controls and demand.

Here: the linear columns with Normal priors, so that they can be integrated out; how long what is left
remembers. Not here: media.

The drift is a Hilbert-space Gaussian process (Solin & Särkkä 2020) with a squared-exponential kernel of fixed
length and amplitude: linear in its coefficients, and with those fixed as collapsible as an intercept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.mmm.demand import demand_columns
from models.mmm.response import FloatArray
from models.mmm.weeks import MediaWeeks

WEEKS_PER_YEAR = 365.25 / 7


@dataclass(frozen=True)
class BaselinePrior:
    """Prior standard deviations, in units of the outcome's scale.

    Attributes:
        yearly_orders: pairs of sine and cosine over the year.
        drift_sd: amplitude of the drift; 0 leaves it out.
        drift_weeks: its length scale.
        drift_functions: basis functions; enough where their number exceeds 1.75 · 1.2 · weeks / drift_weeks.
        demand_sd: of demand that budgets follow (`demand`); 0 leaves it out.
        memories: correlations of what is left with the week before, equally likely a priori. Demand that
            nobody measured lasts for weeks, and intervals that take weeks for independent are too narrow.
    """

    intercept_sd: float = 2.0
    control_sd: float = 2.0
    yearly_orders: int = 2
    yearly_sd: float = 0.5
    drift_sd: float = 0.1
    drift_weeks: float = 26.0
    drift_functions: int = 12
    demand_sd: float = 0.1
    memories: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True)
class Baseline:
    """Columns times prior standard deviation, so that every coefficient is standard normal a priori.

    Attributes:
        names: of the columns.
        columns: shape (weeks, columns).
    """

    names: tuple[str, ...]
    columns: FloatArray


def baseline(weeks: MediaWeeks, prior: BaselinePrior, ahead: int = 0) -> Baseline:
    """Columns of the weeks, and of `ahead` further ones with controls and demand at 0 (their usual value)."""
    number, total = weeks.number, weeks.number + ahead
    at = np.arange(total, dtype=float)
    controls = np.vstack([weeks.controls, np.zeros((ahead, weeks.controls.shape[1]))])
    names, parts = ["intercept"], [np.full((total, 1), prior.intercept_sd)]
    names += list(weeks.control_names)
    parts.append(controls * prior.control_sd)
    first = weeks.first_day.timetuple().tm_yday / 7
    for order in range(1, prior.yearly_orders + 1):
        angle = 2 * np.pi * order * (first + at) / WEEKS_PER_YEAR
        names += [f"sine_{order}", f"cosine_{order}"]
        parts.append(prior.yearly_sd * np.column_stack([np.sin(angle), np.cos(angle)]))
    if prior.drift_sd > 0:
        drift = _drift(at, number, prior)
        names += [f"drift_{function}" for function in range(1, drift.shape[1] + 1)]
        parts.append(drift)
    if prior.demand_sd > 0:
        followed, columns = demand_columns(weeks, np.hstack(parts)[:number])
        names += followed
        parts.append(np.vstack([prior.demand_sd * columns, np.zeros((ahead, len(followed)))]))
    return Baseline(tuple(names), np.hstack(parts))


def forgotten(values: FloatArray, memory: float | FloatArray) -> FloatArray:
    """What each week adds to the one before, the first at its stationary weight: errors that remember become
    independent, all of the size of what is new in a week (Prais & Winsten 1954).

    Args:
        values: weeks along the first axis.
        memory: correlation of errors with the week before; one for all, or one for each column.
    """
    found: FloatArray = values - memory * np.concatenate([np.zeros_like(values[:1]), values[:-1]])
    found[0] = np.sqrt(1.0 - memory**2) * values[0]
    return found


def remembering_axes(columns: FloatArray, memory: float) -> tuple[FloatArray, FloatArray]:
    """Where columns reach errors that remember, (axes, weeks), and how far, squared, (axes,).

    The axes take errors as they are: that these must first be freed of their memory is in them.
    """
    axes, singular, _ = np.linalg.svd(forgotten(columns, memory), full_matrices=False)
    # Transposed, a week passes on to the next what it was taken from.
    late = np.concatenate([axes[1:], np.zeros_like(axes[:1])])
    found: FloatArray = axes - memory * late
    found[0] += (np.sqrt(1.0 - memory**2) - 1.0) * axes[0]
    return found.T, singular**2


def _drift(at: FloatArray, number: int, prior: BaselinePrior) -> FloatArray:
    centre = (number - 1) / 2
    # 1.5 times the half range: fewer functions ring at the ends, and weeks ahead stay inside.
    boundary = 1.5 * max(centre, prior.drift_weeks, float(at[-1]) - centre)
    order = np.arange(1, prior.drift_functions + 1)
    root = np.pi * order / (2 * boundary)
    functions = np.sin(root * (at[:, None] - centre + boundary)) / np.sqrt(boundary)
    length = prior.drift_weeks
    density = prior.drift_sd**2 * np.sqrt(2 * np.pi) * length * np.exp(-0.5 * (length * root) ** 2)
    scaled: FloatArray = functions * np.sqrt(density)
    return scaled
