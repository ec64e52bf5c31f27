"""What a peer is given: a world's weeks and the priors as plain numbers, to be read without the project.

Here: the priors all peers got, the file's fields. Not here: fitting. Peers' fits are kept by this file's
content (`study`): a change here fits all of them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.mmm.baseline import BaselinePrior, baseline
from models.mmm.response import Parameter
from models.mmm.specification import Specification, effect_scale
from models.mmm.weeks import MediaWeeks


@dataclass(frozen=True)
class Priors:
    """Geometric carry-over, concave saturation; the defaults are what the peers of the study are given.

    Spelled out, not read from the model: its next change must not pass for a change of the peers. `of` tells
    what the model assumes today, and a test that it is the same.

    Attributes:
        retention: beta.
        rate: gamma, of the logistic curve 1 - 2 / (1 + e^(rate·x)), x in units of the largest weekly spend.
    """

    lags: int = 8
    retention: tuple[float, float] = (1.0, 3.0)
    rate: tuple[float, float] = (3.0, 1.0)
    effect_share: float = 1.5
    noise_sd: float = 0.5
    intercept_sd: float = 2.0
    control_sd: float = 2.0
    yearly_orders: int = 2
    yearly_sd: float = 0.5
    drift_sd: float = 0.1
    drift_weeks: float = 26.0
    drift_functions: int = 12

    @classmethod
    def of(cls, form: Specification) -> Priors:
        """A specification's.

        Raises:
            ValueError: another family than geometric carry-over and the logistic curve.
        """
        if (form.adstock, form.saturation) != ("geometric", "logistic"):
            raise ValueError(f"peers are given geometric and logistic, not {form.adstock}, {form.saturation}")
        retention, rate = form.media_parameters()
        prior = form.prior
        return cls(
            form.lags,
            _pair(retention),
            _pair(rate),
            form.effect_share,
            form.noise_sd,
            prior.intercept_sd,
            prior.control_sd,
            prior.yearly_orders,
            prior.yearly_sd,
            prior.drift_sd,
            prior.drift_weeks,
            prior.drift_functions,
        )


def _pair(parameter: Parameter) -> tuple[float, float]:
    return parameter.first, parameter.second


def peer_task(weeks: MediaWeeks, priors: Priors) -> dict[str, Any]:
    """Weeks and priors as JSON holds them.

    Standard deviations of the linear part and of effect and noise are in units of `outcome_scale`. `drift` is
    ours: columns with fixed amplitude and length, coefficients standard normal. `seasons` are the year's
    waves, for a peer that has none of its own.
    """
    form = Specification(
        lags=priors.lags,
        effect_share=priors.effect_share,
        noise_sd=priors.noise_sd,
        prior=BaselinePrior(
            priors.intercept_sd,
            priors.control_sd,
            priors.yearly_orders,
            priors.yearly_sd,
            priors.drift_sd,
            priors.drift_weeks,
            priors.drift_functions,
        ),
    )
    columns = baseline(weeks, form.prior)

    def part(names: Sequence[str], sd: float) -> dict[str, Any]:
        at = [columns.names.index(name) for name in names]
        return {"names": list(names), "values": (columns.columns[:, at] / sd).tolist(), "sd": sd}

    waves = [name for name in columns.names if name.startswith(("sine_", "cosine_"))]
    return {
        "days": [day.isoformat() for day in weeks.days],
        "channels": list(weeks.channels),
        "spend": weeks.spend.tolist(),
        "spend_scale": weeks.spend_scale.tolist(),
        "outcome": weeks.outcome.tolist(),
        "outcome_scale": weeks.outcome_scale,
        "lags": priors.lags,
        "retention": list(priors.retention),
        "rate": list(priors.rate),
        "effect_sd": effect_scale(weeks, form).tolist(),
        "noise_sd": priors.noise_sd,
        "intercept_sd": priors.intercept_sd,
        "yearly_orders": priors.yearly_orders,
        "controls": part(weeks.control_names, priors.control_sd),
        "seasons": part(waves, priors.yearly_sd),
        "drift": part([name for name in columns.names if name.startswith("drift_")], 1.0),
    }
