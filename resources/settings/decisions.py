"""How the morning learns and chooses: baselines, forecasts, budgets of levers, arms and contexts.

Here: what the models are told. Not here: what no choice may do (`guardrails.py`), choices between channels
(`media_mix.py`), new launches (`launches.py`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from resources.settings.values import Section

HalfLife = Annotated[float, Field(ge=1.0, le=365.0)]


class Baselines(Section):
    window_days: Annotated[int, Field(ge=7, le=365)] = 30
    outlier_mad: Annotated[float, Field(ge=3.0, le=50.0)] = 8.0


class Forecast(Section):
    draws: Annotated[int, Field(ge=200, le=100_000)] = 2000
    horizon_days: Annotated[int, Field(ge=1, le=60)] = 7
    outlook_days: Annotated[int, Field(ge=7, le=90)] = 30
    budget_multipliers: Annotated[tuple[float, ...], Field(min_length=1, max_length=20)] = (
        0.8,
        0.95,
        1.0,
        1.05,
        1.1,
        1.25,
    )
    delivery_mean: Annotated[float, Field(gt=0.0, le=1.0)] = 0.85
    delivery_strength: Annotated[float, Field(ge=2.0, le=10_000.0)] = 40.0

    @field_validator("budget_multipliers")
    @classmethod
    def _positive(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < value <= 10 for value in values):
            raise ValueError("each multiplier must lie in (0, 10]")
        return tuple(sorted(values))


class Learning(Section):
    """What an edit costs while the platform learns again: a share of the lever's spend on each of `days`.

    A step beyond `large_step` costs `large_step_loss_share`. An edit is only proposed where its gain repays
    this within `repaid_within_days`.
    """

    days: Annotated[float, Field(gt=0.0, le=60.0)] = 7.0
    loss_share: Annotated[float, Field(ge=0.0, le=0.2)] = 0.01
    large_step: Annotated[float, Field(gt=0.0, le=1.0)] = 0.20
    large_step_loss_share: Annotated[float, Field(ge=0.2, le=1.0)] = 0.20
    repaid_within_days: Annotated[float, Field(ge=1.0, le=365.0)] = 28.0


class Bandit(Section):
    """`half_lives`: days after which evidence counts half, one chosen per track each morning; null: never.

    `elasticity` of signups on spend is what is believed of a cluster before its own history speaks, give or
    take `elasticity_sd`; of brand search, `brand_search_elasticity`.
    """

    draws: Annotated[int, Field(ge=200, le=100_000)] = 4000
    window_days: Annotated[int, Field(ge=7, le=180)] = 28
    prior_conversions: Annotated[float, Field(gt=0.0, le=100.0)] = 2.0
    elasticity: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.7
    elasticity_sd: Annotated[float, Field(gt=0.0, le=0.5)] = 0.15
    brand_search_elasticity: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    brand_search_elasticity_sd: Annotated[float, Field(gt=0.0, le=0.5)] = 0.15
    half_lives: Annotated[tuple[HalfLife | None, ...], Field(min_length=1, max_length=8)] = (
        None,
        28.0,
        14.0,
        7.0,
    )
    learning: Learning = Learning()


class BrandSearch(Section):
    """Google search campaigns for the brand: those whose name fits one of `campaigns` (shell-style, without
    case), and those all of whose keywords hold one of `terms` as a word.

    They are never proposed to rise before `experiment` names the test that showed that more of it brings
    more.
    """

    campaigns: tuple[str, ...] = ()
    terms: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    experiment: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class Overlap(Section):
    """Which levers compete for the same people. `landing_path_segments`: how many segments of a landing
    page's path tell one page from another; null: all of them.
    """

    landing_path_segments: Annotated[int, Field(ge=0, le=20)] | None = None
    brand_search: BrandSearch = BrandSearch()


class Contexts(Section):
    """When a placement, segment or daypart is put before people.

    P(below its lever by more than `worse_by`) above `probability`, beside the safety stop's own rule. Levers
    with fewer signups than `fewest_signups` are judged by clicks, and nothing is advised on clicks.
    """

    worse_by: Annotated[float, Field(ge=0.05, lt=1.0)] = 0.2
    probability: Annotated[float, Field(ge=0.8, lt=1.0)] = 0.9
    fewest_signups: Annotated[float, Field(ge=1.0)] = 10.0


class Arms(Section):
    """When an arm without a budget of its own is switched on or tested; it is stopped as levers are.

    `enable_probability`: P(CAC <= cap) a paused arm needs. `settled`: p_best above which no test is needed.
    `power` and `durations`, days, of a split test.
    """

    enable_probability: Annotated[float, Field(ge=0.5, le=1.0)] = 0.8
    settled: Annotated[float, Field(ge=0.5, le=1.0)] = 0.9
    power: Annotated[float, Field(ge=0.5, lt=1.0)] = 0.8
    durations: Annotated[tuple[Annotated[int, Field(ge=1, le=90)], ...], Field(min_length=1)] = (
        7,
        14,
        21,
        28,
    )
