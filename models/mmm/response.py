"""How spend becomes response: carry-over (adstock) and diminishing returns (saturation).

Here: the formulas, once, for arrays and for PyTensor alike. Not here: priors, estimation.

Weights over lags sum to 1, so a channel at constant spend has its spend as its adstock: curves are read at
the weekly spend itself. Saturations are concave, 0 at 0 and at most 1 (Jin et al. 2017; Hill slopes above 1
would make an S-curve, whose allocation is no concave program, and are refused).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Adstock = Literal["geometric", "delayed", "weibull"]
Saturation = Literal["logistic", "michaelis_menten", "hill"]


@dataclass(frozen=True)
class Parameter:
    """A channel's parameter: its prior, `beta(a, b)` on (0, 1) or `gamma(shape, rate)` above 0."""

    name: str
    prior: Literal["beta", "gamma"]
    first: float
    second: float


ADSTOCK_PARAMETERS: dict[Adstock, tuple[Parameter, ...]] = {
    "geometric": (Parameter("retention", "beta", 1.0, 3.0),),
    "delayed": (Parameter("retention", "beta", 1.0, 3.0), Parameter("peak_lag", "gamma", 2.0, 2.0)),
    "weibull": (Parameter("shape", "gamma", 4.0, 2.0), Parameter("scale", "gamma", 2.0, 1.0)),
}
SATURATION_PARAMETERS: dict[Saturation, tuple[Parameter, ...]] = {
    "logistic": (Parameter("rate", "gamma", 3.0, 1.0),),
    "michaelis_menten": (Parameter("half", "gamma", 2.0, 2.0),),
    "hill": (Parameter("half", "gamma", 2.0, 2.0), Parameter("slope", "beta", 8.0, 2.0)),
}


def adstock_weights(family: Adstock, values: dict[str, Any], lags: int, xp: ModuleType | Any = np) -> Any:
    """Share of a week's spend that works 0, 1, … `lags` - 1 weeks later; the lag is the last axis.

    geometric: retention^lag. delayed: retention^((lag - peak_lag)²). weibull: its density at lag + 1, so
        that the
    week of the spend counts (Jin et al. 2017, §2; Robyn).

    Args:
        values: the family's parameters by name, each of shape (…).
        xp: numpy, or pytensor.tensor for symbols.
    """
    lag = xp.arange(lags)
    if family == "geometric":
        raw = values["retention"][..., None] ** lag
    elif family == "delayed":
        raw = values["retention"][..., None] ** ((lag - values["peak_lag"][..., None]) ** 2)
    else:
        shape, scale = values["shape"][..., None], values["scale"][..., None]
        at = (lag + 1.0) / scale
        raw = at ** (shape - 1.0) * xp.exp(-(at**shape))
    return raw / raw.sum(axis=-1, keepdims=True)


def saturated(family: Saturation, spend: Any, values: dict[str, Any], xp: ModuleType | Any = np) -> Any:
    """Share of a channel's largest possible response at a spend in units of its scale.

    logistic: (1 - e^(-rate·x)) / (1 + e^(-rate·x)). michaelis_menten: x / (x + half). hill:
    x^slope / (x^slope + half^slope), slope in (0, 1).
    """
    if family == "logistic":
        decayed = xp.exp(-values["rate"] * spend)
        return (1.0 - decayed) / (1.0 + decayed)
    if family == "michaelis_menten":
        return spend / (spend + values["half"])
    powered = _positive(spend, xp) ** values["slope"]
    return powered / (powered + values["half"] ** values["slope"])


def marginal(family: Saturation, spend: FloatArray, values: dict[str, FloatArray]) -> FloatArray:
    """d saturated / d spend, at least 0 and falling in spend."""
    found: FloatArray
    if family == "logistic":
        decayed = np.exp(-values["rate"] * spend)
        found = 2.0 * values["rate"] * decayed / (1.0 + decayed) ** 2
    elif family == "michaelis_menten":
        found = values["half"] / (spend + values["half"]) ** 2
    else:
        at, slope = _positive(spend, np), values["slope"]
        powered, half = at**slope, values["half"] ** slope
        found = slope * half * powered / at / (powered + half) ** 2
    return found


def half_life(weights: FloatArray) -> FloatArray:
    """Weeks until half of a week's spend has worked, between lags linearly; lags are the last axis."""
    worked = np.cumsum(weights, axis=-1)
    before = (worked < 0.5).sum(axis=-1)
    at = np.minimum(before, weights.shape[-1] - 1)[..., None]
    reached = np.take_along_axis(worked, at, axis=-1)[..., 0]
    step = np.take_along_axis(weights, at, axis=-1)[..., 0]
    weeks: FloatArray = before + (0.5 - (reached - step)) / np.maximum(step, 1e-12)
    return weeks


def lagged(spend: FloatArray, lags: int) -> FloatArray:
    """Spend 0, 1, … weeks ago, shape (weeks, channels, lags); 0 before the first week."""
    weeks, channels = spend.shape
    found = np.zeros((weeks, channels, lags))
    for lag in range(min(lags, weeks)):
        found[lag:, :, lag] = spend[: weeks - lag]
    return found


def _positive(spend: Any, xp: ModuleType | Any) -> Any:
    """Hill's slope at exactly 0 is infinite: spend below a billionth of the scale is taken as that."""
    return xp.maximum(spend, 1e-9)
