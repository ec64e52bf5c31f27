"""The media mix: its channels and weeks, the model fitted to them, how its allocation may move.

Here: everything under `media_mix`. Not here: days of the market itself (`calendar.py`), budgets of single
levers (`decisions.py`).
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from resources.settings.calendar import CalendarEvent
from resources.settings.values import Section, written_as

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
MOST_ENVELOPE_DAYS = 28


class ChannelRule(Section):
    """First rule that matches wins; patterns are shell-style with `*`, matched without case."""

    channel: Annotated[str, written_as("[a-z][a-z0-9_]{0,39}", "a plain name such as meta_prospecting")]
    platform: str = "*"
    account: str = "*"
    campaign: str = "*"
    demand: Literal["makes", "harvests"] = "makes"


class MeasuredLift(Section):
    """What an experiment measured on a channel: dollars and conversions a week, `error` its standard one.

    Its days: the fit takes no apply/hold reading of them besides, and none of the channel if they are unsaid.
    """

    track: str
    channel: str
    spend: Annotated[Decimal, Field(ge=0)]
    change: Decimal
    lift: float
    error: Annotated[float, Field(gt=0.0)]
    first_day: date | None = None
    last_day: date | None = None

    @model_validator(mode="after")
    def _days_are_whole(self) -> MeasuredLift:
        first, last = self.first_day, self.last_day
        if (first is None) != (last is None) or (first and last and last < first):
            raise ValueError("first_day and last_day: give both, the first not after the last, or neither")
        return self

    @model_validator(mode="after")
    def _spend_is_possible(self) -> MeasuredLift:
        if self.spend + self.change < 0 or self.change == 0:
            raise ValueError("change must move spend, and not below 0")
        return self


class MediaMix(Section):
    """The media mix: weeks by channel, the model fitted to them, and how its allocation may move.

    `channels`: which campaign belongs where; one no rule matches is in channel `<platform>_other`. `demand:
    harvests` says that a channel meets demand others made (brand search): the fit expects little of it and
    takes its movement for demand's, and it never rises before a lift test of it. `promotions`: days on which
    the business itself sold at another price; what the market does (holidays, a rival's sale) stands under
    `events`.

    `most_weeks` of the newest weeks are fitted, weekly, with `draws` of each of `chains` after `tune`.
    `lift_tests` are experiments, counted as evidence. An allocation weighs the mean against the worst tenth
    by `caution`, and a channel's marginal CAC must lie within the track's cap with `cap_probability`. It
    bounds the bandits' levers for `envelope_days`; 0: it only advises. Tests are valued over
    `test_horizon_weeks`, `tests_at_once` at most.
    """

    channels: tuple[ChannelRule, ...] = ()
    week_starts_on: Weekday = "monday"
    promotions: tuple[CalendarEvent, ...] = ()
    adstock: Literal["geometric", "delayed", "weibull"] = "geometric"
    saturation: Literal["logistic", "michaelis_menten", "hill"] = "logistic"
    lags: Annotated[int, Field(ge=1, le=26)] = 8
    most_weeks: Annotated[int, Field(ge=26, le=520)] = 156
    sampler: Literal["nutpie", "pymc", "numpyro"] = "nutpie"
    chains: Annotated[int, Field(ge=2, le=16)] = 4
    draws: Annotated[int, Field(ge=100, le=20_000)] = 1000
    tune: Annotated[int, Field(ge=100, le=20_000)] = 1000
    lift_tests: tuple[MeasuredLift, ...] = ()
    caution: Annotated[float, Field(ge=0.0, le=1.0)] = 0.3
    cap_probability: Annotated[float, Field(gt=0.5, le=1.0)] = 0.9
    test_horizon_weeks: Annotated[int, Field(ge=4, le=208)] = 52
    tests_at_once: Annotated[int, Field(ge=1, le=10)] = 2
    envelope_days: Annotated[int, Field(ge=0, le=MOST_ENVELOPE_DAYS)] = 14

    @property
    def harvesting(self) -> frozenset[str]:
        """Channels that meet demand others made."""
        return frozenset(rule.channel for rule in self.channels if rule.demand == "harvests")

    @property
    def first_weekday(self) -> int:
        """The weekday that weeks start on, 0 is Monday."""
        return get_args(Weekday).index(self.week_starts_on)

    @model_validator(mode="after")
    def _rules_can_match(self) -> MediaMix:
        for index, rule in enumerate(self.channels):
            for earlier, other in enumerate(self.channels[:index]):
                if all(
                    pattern in ("*", same)
                    for pattern, same in zip(
                        (other.platform, other.account, other.campaign),
                        (rule.platform, rule.account, rule.campaign),
                        strict=True,
                    )
                ):
                    raise ValueError(
                        f"channels.{index}: never matches, because channels.{earlier} takes all it could; "
                        "put the narrower rule first"
                    )
        return self
