"""What the business sells and what a signup of it counts.

Here: economics of the tracks, which campaign belongs to which, maturity, the reward. Not here: what a track
may spend or lose (`guardrails.py`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from resources.settings.values import Dollars, Fraction, Section, TrackName


class Track(Section):
    """A product line with its own economics. Money in account currency units."""

    aov: Dollars
    contribution_margin: Annotated[float, Field(gt=0.0, le=1.0)]
    expected_orders: Annotated[float, Field(ge=1.0, le=120.0)] = 1.0
    cac_cap: Dollars
    daily_cap: Dollars
    minimum_daily_signups: Annotated[int, Field(ge=0)] = 0
    policy_profile: Literal["standard", "health"] = "standard"

    @property
    def contribution_per_signup(self) -> float:
        """Dollars of contribution one signup brings before its advertising cost."""
        return float(self.aov) * self.contribution_margin * self.expected_orders


class TrackRule(Section):
    """First rule that matches wins; patterns are shell-style with `*`, matched without case."""

    track: TrackName
    source: str = "*"
    account: str = "*"
    campaign: str = "*"


class Attribution(Section):
    """How long a cohort keeps gaining conversions."""

    maturity_days: Annotated[int, Field(ge=0, le=90)] = 14


class Reward(Section):
    """Reward = I_click * click conversions + I_view * view conversions, both I uncertain."""

    version: Annotated[str, Field(min_length=1, max_length=40)] = "click1_view025_v1"
    click_incrementality_mean: Annotated[float, Field(gt=0.0, le=2.0)] = 1.0
    click_incrementality_sd: Annotated[float, Field(ge=0.0, le=1.0)] = 0.15
    view_incrementality_mean: Fraction = 0.25
    view_incrementality_sd: Annotated[float, Field(ge=0.0, le=0.5)] = 0.12
