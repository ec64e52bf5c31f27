"""The one typed settings file (`aelp.yaml`) and the environment it runs in.

Here: business rules a person may edit, refused with their path and allowed range when impossible,
and the few `AELP_*` variables. Not here: secrets in files, defaults hidden in other modules.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo, available_timezones

import fsspec
import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict, is_typeddict  # pydantic refuses typing's own before Python 3.12

from resources.yaml_loading import RepeatedKeyError, load_yaml

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Dollars = Annotated[Decimal, Field(gt=0, max_digits=14, decimal_places=2)]
TrackName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
HalfLife = Annotated[float, Field(ge=1.0, le=365.0)]
FolderName = Annotated[str, Field(min_length=1)]
"""A folder: an absolute path, or one below AELP_HOME."""


def _written_as(pattern: str, what: str) -> AfterValidator:
    """A check whose message says what the text must be, where a bare pattern would leave it to be guessed."""

    def checked(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise ValueError(f"must be {what}")
        return value

    return AfterValidator(checked)


def _dashed(customer_id: str) -> str:
    digits = customer_id.replace("-", "")
    return f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"


def _known_timezone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("must be an IANA time zone such as America/New_York")
    return value


_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_$]{0,62}"

CustomerId = Annotated[
    str, _written_as(r"\d{3}-?\d{3}-?\d{4}", "a customer id such as 123-456-7890"), AfterValidator(_dashed)
]
PropertyId = Annotated[
    str, _written_as(r"\d+", "a property id, a number such as 312345678 (G-… is a measurement id)")
]
ProjectName = Annotated[
    str, _written_as("[a-z][a-z0-9-]{4,28}[a-z0-9]", "a Google Cloud project id such as northstar-web")
]
LibraryName = Annotated[str, _written_as("ad_library", "ad_library, the one account there is")]
PageId = Annotated[str, _written_as(r"\d+", "a page id, a number")]
Country = Annotated[str, _written_as("[A-Z]{2}", "an ISO country code such as US")]
Currency = Annotated[str, _written_as("[A-Z]{3}", "an ISO currency code such as USD")]
ColumnName = Annotated[str, _written_as(_IDENTIFIER, "a plain column name: letters, digits and _")]
TableName = Annotated[
    str,
    _written_as(
        rf"{_IDENTIFIER}(\.{_IDENTIFIER})?", "a table or view, perhaps schema.table: letters, digits, _"
    ),
]
TimeZone = Annotated[str, AfterValidator(_known_timezone)]


class SettingsError(ValueError):
    """The settings file cannot be used; the message names each path and what is allowed there."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value(cls, value: object) -> object:
        # Python counts `true` as 1: `seed: true` would quietly be seed 1. No setting is a yes or no.
        # (A mapping is left to its own section or value type, whose path is longer.)
        many = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(one, bool) for one in many):
            raise ValueError("true and false mean nothing here; write the value")
        return value


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


def _calendar_day(value: object) -> object:
    """A date, or "12-27" for the day of every year; [12, 27], as it was stored before, is the same."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(part, int) for part in value):
        value = "{:02}-{:02}".format(*value)
    yearly = isinstance(value, str) and re.fullmatch(r"\d\d-\d\d", value)
    try:  # 2024 has a 29 February
        found = date.fromisoformat(f"2024-{value}" if yearly else f"{value}")
    except ValueError:
        raise ValueError("must be a date such as 2026-11-27, or a day of every year such as 12-27") from None
    return value if yearly else found


CalendarDay = Annotated[date | str, BeforeValidator(_calendar_day)]


def _require_alike(first: date | str, last: date | str) -> None:
    if isinstance(first, date) != isinstance(last, date):
        raise ValueError("first_day and last_day: write both with a year or both without")


class FreezeWindow(Section):
    """Days on which nothing rises, in one track or in all: dates, or "12-20" for the day of every year."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    first_day: CalendarDay
    last_day: CalendarDay
    track: TrackName | None = None

    @model_validator(mode="after")
    def _is_a_span(self) -> FreezeWindow:
        first, last = self.first_day, self.last_day
        _require_alike(first, last)
        if isinstance(first, date) and isinstance(last, date) and last < first:
            raise ValueError("last_day: must not lie before first_day")
        return self

    @property
    def days(self) -> tuple[date | tuple[int, int], date | tuple[int, int]]:
        """First and last day; a day of every year as (month, day)."""
        return _month_and_day(self.first_day), _month_and_day(self.last_day)


def _month_and_day(day: date | str) -> date | tuple[int, int]:
    return day if isinstance(day, date) else (int(day[:2]), int(day[3:]))


class Guardrails(Section):
    """Money invariants 2, 3, 5 and 6. Fractions of the budget they bound.

    Each bound is the invariant itself: a file may tighten a rule, never loosen it.
    """

    total_daily_cap: Dollars
    edit_limit: Annotated[float, Field(gt=0.0, le=0.05)] = 0.05
    day_limit: Annotated[float, Field(gt=0.0, le=0.10)] = 0.10
    drift_limit: Annotated[float, Field(gt=0.0, le=0.20)] = 0.20
    edit_cooldown_hours: Annotated[int, Field(ge=72, le=720)] = 72
    stop_probability: Annotated[float, Field(ge=0.9, le=1.0)] = 0.9
    stop_spend_caps: Annotated[float, Field(ge=4.0, le=100.0)] = 4.0
    freeze_probability: Annotated[float, Field(gt=0.0, le=0.5)] = 0.5
    track_raise_probability: Annotated[float, Field(gt=0.0, le=0.2)] = 0.2
    exploration_floor: Annotated[float, Field(ge=0.10, le=0.5)] = 0.10
    weekly_loss_budget: dict[TrackName, Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]]
    overdelivery: Annotated[float, Field(ge=0.25, le=1.0)] = 0.25
    freeze_windows: tuple[FreezeWindow, ...] = ()


class Pacing(Section):
    """Spend within a day. `overdelivery`: how far above a daily budget a platform may go on one day by its
    own rules; the guardrails' for platforms not named. Where spend is beyond that, or the day will end beyond
    it with more than `alarm_probability`, a stop is put before people. `reporting_delay_hours`: how late a
    platform may report what is spent; an hour is settled, and judged, once so much time lies behind it.
    """

    overdelivery: dict[
        Literal["meta", "google_ads", "tiktok", "linkedin"], Annotated[float, Field(ge=0.0, le=2.0)]
    ] = {"meta": 0.75, "google_ads": 1.0, "linkedin": 0.5}
    reporting_delay_hours: dict[
        Literal["meta", "google_ads", "tiktok", "linkedin"], Annotated[float, Field(ge=0.0, le=24.0)]
    ] = {"meta": 0.25, "google_ads": 3.0, "tiktok": 1.0, "linkedin": 1.0}
    alarm_probability: Annotated[float, Field(ge=0.9, lt=1.0)] = 0.9


class CalendarEvent(Section):
    """Days unlike the others, from `first_day` to `last_day`, on one track or on all.

    Either both are dates, once, or both are days of every year. Entries of one name teach about each other,
    so a sale whose date moves has an entry a year.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    first_day: CalendarDay
    last_day: CalendarDay
    track: TrackName | None = None

    @field_validator("first_day", "last_day")
    @classmethod
    def _comes_every_year(cls, day: date | str) -> date | str:
        if day == "02-29":
            raise ValueError("not every year has this day; write 02-28 or 03-01")
        return day

    @model_validator(mode="after")
    def _can_be_meant(self) -> CalendarEvent:
        _require_alike(self.first_day, self.last_day)
        first, last = self._from(2001)
        if not 0 <= (last - first).days < 60:
            raise ValueError("last_day: must lie less than 60 days after first_day, or on it")
        return self

    def occurrences(self, first: date, last: date) -> list[tuple[date, date]]:
        """First and last day of each occurrence that touches the days from `first` to `last`."""
        years = (2001,) if isinstance(self.first_day, date) else range(first.year - 1, last.year + 1)
        return [found for year in years if (found := self._from(year))[0] <= last and found[1] >= first]

    def _from(self, year: int) -> tuple[date, date]:
        first, last = (
            day if isinstance(day, date) else _in_year(day, year) for day in (self.first_day, self.last_day)
        )
        if isinstance(self.last_day, str) and last < first:
            last = _in_year(self.last_day, year + 1)
        return first, last


def _in_year(day: str, year: int) -> date:
    return date.fromisoformat(f"{year}-{day}")


Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


MOST_ENVELOPE_DAYS = 28


class ChannelRule(Section):
    """First rule that matches wins; patterns are shell-style with `*`, matched without case."""

    channel: Annotated[str, _written_as("[a-z][a-z0-9_]{0,39}", "a plain name such as meta_prospecting")]
    platform: str = "*"
    account: str = "*"
    campaign: str = "*"
    demand: Literal["makes", "harvests"] = "makes"


class MeasuredLift(Section):
    """What an experiment measured on a channel: dollars and conversions a week, `error` its standard one."""

    track: str
    channel: str
    spend: Annotated[Decimal, Field(ge=0)]
    change: Decimal
    lift: float
    error: Annotated[float, Field(gt=0.0)]

    @model_validator(mode="after")
    def _spend_is_possible(self) -> MeasuredLift:
        if self.spend + self.change < 0 or self.change == 0:
            raise ValueError("change must move spend, and not below 0")
        return self


class MediaMix(Section):
    """The media mix: weeks by channel, the model fitted to them, and how its allocation may move.

    `channels`: which campaign belongs where; one no rule matches is in channel `<platform>_other`. `demand:
    harvests` says that a channel meets demand others made (brand search): it never rises before a lift test
    of it. `promotions`: days on which the business itself sold at another price; what the market does
    (holidays, a rival's sale) stands under `events`.

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


class Monitoring(Section):
    """What the morning review holds numbers against.

    `lowest` and `highest` platform signups per backend order of a new customer, and the `largest_change` of
    that ratio against the window before; `matured_signups` and `applied_changes` a track needs before its
    automation may be trusted.
    """

    reconciliation_days: Annotated[int, Field(ge=7, le=90)] = 28
    lowest: Fraction = 0.2
    highest: Annotated[float, Field(gt=0.0, le=10.0)] = 1.2
    largest_change: Annotated[float, Field(gt=0.0, le=10.0)] = 0.25
    matured_signups: Annotated[int, Field(ge=1)] = 100
    applied_changes: Annotated[int, Field(ge=1)] = 20


class Slates(Section):
    size: Annotated[int, Field(ge=1, le=50)] = 8
    explore_share: Annotated[float, Field(ge=0.10, le=1.0)] = 0.2
    launch_share: Annotated[float, Field(gt=0.0, le=0.2)] = 0.2
    screening_impressions: Annotated[int, Field(ge=100)] = 1000


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


class TestLane(Section):
    """Creatives that are only screened, by their click rate: when, for how much, and when they are stopped.

    `above_cap_probability`: P(CAC > cap) beyond which a creative is only screened. An ad is stopped early
    where P(unique link CTR < `minimum_ctr`) is above `fast_fail_probability`.
    """

    start_hour: Annotated[int, Field(ge=0, le=23)] = 14
    minimum_daily_budget: Dollars = Decimal(500)
    above_cap_probability: Annotated[float, Field(gt=0.0, le=0.9)] = 0.5
    minimum_ctr: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.005
    fast_fail_probability: Annotated[float, Field(ge=0.9, lt=1.0)] = 0.95
    excluded_placements: tuple[str, ...] = ("audience_network",)


class MetaIdentity(Section):
    """What a new Meta ad speaks as (a page) and what counts its conversions (a pixel)."""

    page_id: PageId
    pixel_id: Annotated[str, _written_as(r"\d+", "a pixel id, a number")]


class Launches(Section):
    """How a slate's creatives are launched, always paused.

    `landing_domains`: the business's own hosts; a launch may lead to them and to hosts below them.
    `audiences`: ids of curated audiences by track; a health track may have none. `placements` by platform:
    where it may show; a platform that is not named decides itself. `meta`: by account; without it there are
    launch plans, and no proposals of them.
    """

    landing_domains: tuple[
        Annotated[
            str, _written_as(r"[a-z0-9-]+(\.[a-z0-9-]+)+", "a host in small letters such as example.com")
        ],
        ...,
    ] = ()
    audiences: dict[TrackName, tuple[str, ...]] = {}
    meta: dict[str, MetaIdentity] = {}
    countries: Annotated[tuple[Country, ...], Field(min_length=1)] = ("US",)
    ages: tuple[Annotated[int, Field(ge=18, le=65)], Annotated[int, Field(ge=18, le=65)]] = (18, 65)
    frequency_cap: Annotated[int, Field(ge=1, le=90)] = 3
    frequency_days: Annotated[int, Field(ge=1, le=90)] = 7
    placements: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = {
        "meta": ("facebook", "instagram", "audience_network"),
    }
    utm_sources: dict[str, str] = {"meta": "facebook", "google_ads": "google"}
    utm_mediums: dict[str, str] = {
        "meta": "paid_social",
        "tiktok": "paid_social",
        "linkedin": "paid_social",
        "google_ads": "cpc",
    }
    test_lane: TestLane = TestLane()

    @model_validator(mode="after")
    def _somewhere_to_test(self) -> Launches:
        for platform, shown in self.placements.items():
            if not set(shown) - set(self.test_lane.excluded_placements):
                raise ValueError(f"placements.{platform}: the test lane excludes all of them")
        if self.ages[0] > self.ages[1]:
            raise ValueError("ages: the younger age first")
        return self


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"must be a regular expression ({error})") from None
    return value


class PolicyRule(Section):
    """Words no creative may say: a regular expression, matched without case, and what to do instead."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
    pattern: Annotated[str, Field(min_length=1), AfterValidator(_pattern)]
    remedy: Annotated[str, Field(min_length=1)]
    severity: Literal["blocks", "warns"] = "blocks"


_CONDITIONS = (
    r"(?:depress\w*|anxi(?:ety|ous)|addict\w*|bipolar|adhd|autis\w*|eating disorders?|anorexi\w*"
    r"|bulimi\w*|ptsd|suicid\w*|self[- ]harm\w*|insomnia|overweight|obes\w*|diabet\w*|trauma\w*"
    r"|mental illness|disorders?)"
)
_YOU = r"\b(?:you|your|you're|yours)\b"

STANDARD_POLICY = (
    PolicyRule(
        name="prohibited_claim",
        pattern=r"\b(?:guaranteed (?:results?|returns?|income|savings)|risk[- ]free|get rich|miracle)\b",
        remedy="Say what the product does, and nothing it cannot promise.",
    ),
    PolicyRule(
        name="clickbait",
        pattern=r"\b(?:click here|you won't believe|doctors hate|this one (?:weird )?trick)\b",
        remedy="Say what the landing page offers.",
    ),
    PolicyRule(
        name="special_category",
        pattern=r"\b(?:mortgages?|loans?|credit (?:cards?|lines?|scores?)|apartments?|for rent|now hiring"
        r"|job openings?|ballots?|vote (?:for|against))\b",
        remedy="Credit, housing, jobs and politics run in campaigns of their special ad category, not here.",
    ),
)
HEALTH_POLICY = (
    *STANDARD_POLICY,
    PolicyRule(
        name="personal_attribute",
        pattern=rf"{_YOU}[^.!?]*\b{_CONDITIONS}\b"
        rf"|\b{_CONDITIONS}\b(?:\s*\?|[^.!?]*{_YOU})",
        remedy="Speak about the product; never say or imply that the reader has a condition.",
    ),
    PolicyRule(
        name="before_after",
        pattern=r"\bbefore\s*(?:and|&|/|-|\u2013)\s*after\b"
        r"|\bfrom \w+ to \w+ in (?:\d+|one|two|three) (?:days|weeks)\b",
        remedy="Leave the comparison of before and after out.",
    ),
    PolicyRule(
        name="guaranteed_cure",
        pattern=r"\b(?:cure[sd]?|heals?|guarantee[sd]?|clinically proven|100\s?%)(?!\w)",
        remedy="Promise no cure, no certainty and no proof.",
    ),
)


class Policy(Section):
    """The pre-flight's rules by `policy_profile`. A list given here takes the place of the built-in one.

    `text_limits`, characters: longer ones are cut by platforms. Health blocks what it cannot read.
    """

    standard: tuple[PolicyRule, ...] = STANDARD_POLICY
    health: tuple[PolicyRule, ...] = HEALTH_POLICY
    text_limits: dict[Literal["headline", "body", "call_to_action"], Annotated[int, Field(ge=1, le=5000)]] = {
        "body": 90,
        "headline": 25,
        "call_to_action": 30,
    }
    over_length: Literal["blocks", "warns"] = "warns"


class Approver(Section):
    """Who may decide; the key they sign with is AELP_APPROVER_KEY_<NAME>.

    `daily_limit`, dollars of daily budget they may add alone on one morning's proposals; beyond it a second
    approver signs too. Without one, any amount. A simulated approver stands for a person in the sandbox and
    is refused anywhere else.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    daily_limit: Dollars | None = None
    kind: Literal["person", "simulated"] = "person"


class Governance(Section):
    """`mode`: what approved changes lead to. shadow sends nothing; sandbox sends to this machine alone; live
    sends where AELP_LIVE=1 is set besides. `hold_share` of the approved raises, drawn at random, are held for
    `hold_days` instead of applied, so that what the others did can be measured.
    """

    mode: Literal["shadow", "sandbox", "live"] = "shadow"
    approvers: tuple[Approver, ...] = ()
    valid_hours: Annotated[int, Field(ge=1, le=72)] = 24
    hold_share: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    hold_days: Annotated[int, Field(ge=2, le=28)] = 7

    @field_validator("approvers")
    @classmethod
    def _each_once(cls, approvers: tuple[Approver, ...]) -> tuple[Approver, ...]:
        if len({approver.name for approver in approvers}) < len(approvers):
            raise ValueError("an approver stands twice")
        if any(approver.name == "aelp" for approver in approvers):
            raise ValueError("aelp is what the morning's run proposes as; name the person")
        return approvers


SourceName = Literal[
    "meta", "google_ads", "tiktok", "linkedin", "impact", "ga4", "orders", "vendor_files", "ad_library"
]


class LiveSource(Section):
    """A platform that is read through its API; its secrets stand elsewhere.

    `accounts` as the platform names them. `calls_per_hour` is what one account may be called by all runs
    together; what the platform says while it is called goes before it.
    """

    accounts: Annotated[list[str], Field(min_length=1)]
    calls_per_hour: Annotated[float, Field(ge=1.0, le=1_000_000.0)] = 600.0
    backfill_days: Annotated[int, Field(ge=1, le=1125)] = 90


class LiveGoogleAds(LiveSource):
    """`accounts` are customer ids, with or without dashes."""

    accounts: Annotated[list[CustomerId], Field(min_length=1)]


class LiveGa4(LiveSource):
    """`accounts` are property ids.

    The properties' exported events are read from BigQuery where `export_project` names the Google Cloud
    project they are linked to, or from Parquet files in `export_folder`; either holds an
    `analytics_<property id>` per property. `unset_consent` says what it means that the site asked nobody.
    """

    accounts: Annotated[list[PropertyId], Field(min_length=1)]
    export_folder: FolderName | None = None
    export_project: ProjectName | None = None
    unset_consent: Literal["refused", "given"] = "refused"

    @model_validator(mode="after")
    def _exported_to_one_place(self) -> LiveGa4:
        if self.export_folder is not None and self.export_project is not None:
            raise ValueError("give export_folder or export_project, not both: events would be read twice")
        return self


OrderField = Literal[
    "order_id",
    "store_id",
    "customer_id",
    "ordered_at",
    "value",
    "currency",
    "is_new_customer",
    "track",
    "refunded_at",
    "trial_started_at",
    "paid_at",
    "utm_source",
    "utm_campaign",
    "utm_content",
]


class LiveOrders(LiveSource):
    """One table or view of the shop's database with one row an order; `accounts` are its stores.

    `columns` maps what an order has to the table's columns; what is left out is not read. `timezone` is that
    of the stores' days (default: the business's), `stored_timezone` that of moments stored without an offset.
    """

    table: TableName
    columns: dict[OrderField, ColumnName]
    currency: Currency | None = None
    timezone: TimeZone | None = None
    stored_timezone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _can_be_meant(self) -> LiveOrders:
        missing = [name for name in ("order_id", "ordered_at", "value") if name not in self.columns]
        if missing:
            raise ValueError(f"columns: name the column of {', '.join(missing)}")
        if "store_id" not in self.columns and len(self.accounts) > 1:
            raise ValueError("columns: name the column of store_id, or a single account: the one store")
        if ("currency" in self.columns) == (self.currency is not None):
            raise ValueError("currency: give either a column for it or one currency for all orders")
        return self


class LiveVendorFiles(LiveSource):
    """Creatives that one vendor, the one account, drops as CSV files.

    They are fetched over SFTP (AELP_VENDOR_FILES_*), or from `inbox`, a folder, where it is given. A file
    that changes within `settle_seconds` is still being written.
    """

    accounts: Annotated[list[str], Field(min_length=1, max_length=1)]
    inbox: FolderName | None = None
    settle_seconds: Annotated[float, Field(ge=0.0, le=600.0)] = 5.0


class LibrarySearch(Section):
    """One search: words, or up to ten pages by id, in the countries the ads reached."""

    terms: Annotated[str, Field(max_length=100)] = ""
    page_ids: Annotated[tuple[PageId, ...], Field(max_length=10)] = ()
    countries: Annotated[tuple[Country, ...], Field(min_length=1)] = ("US",)
    ad_type: Literal["ALL", "POLITICAL_AND_ISSUE_ADS", "HOUSING_ADS", "EMPLOYMENT_ADS"] = "ALL"
    active_status: Literal["ALL", "ACTIVE", "INACTIVE"] = "ALL"

    @model_validator(mode="after")
    def _words_or_pages(self) -> LibrarySearch:
        if bool(self.terms.strip()) == bool(self.page_ids):
            raise ValueError("a search needs either terms or page_ids")
        return self


class LiveAdLibrary(LiveSource):
    """What others advertise on Meta: `searches`, each repeated weekly while `monthly_searches` last."""

    accounts: Annotated[list[LibraryName], Field(min_length=1, max_length=1)] = ["ad_library"]
    searches: Annotated[tuple[LibrarySearch, ...], Field(min_length=1)]
    monthly_searches: Annotated[int, Field(ge=1, le=100_000)] = 100


class LiveSources(TypedDict, total=False):
    """The sources to pull, each with what it needs to know."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    meta: LiveSource
    google_ads: LiveGoogleAds
    tiktok: LiveSource
    linkedin: LiveSource
    impact: LiveSource
    ga4: LiveGa4
    orders: LiveOrders
    vendor_files: LiveVendorFiles
    ad_library: LiveAdLibrary


class Settings(Section):
    business_timezone: TimeZone
    history_start: date = date(2015, 1, 1)
    as_of: Literal["wall", "last_report_date"] = "wall"
    max_data_age_days: Annotated[int, Field(ge=1, le=14)] = 3
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 20261120
    tracks: Annotated[dict[TrackName, Track], Field(min_length=1)]
    track_rules: tuple[TrackRule, ...] = ()
    attribution: Attribution = Attribution()
    reward: Reward = Reward()
    baselines: Baselines = Baselines()
    forecast: Forecast = Forecast()
    bandit: Bandit = Bandit()
    overlap: Overlap = Overlap()
    guardrails: Guardrails
    slates: Slates = Slates()
    monitoring: Monitoring = Monitoring()
    launches: Launches = Launches()
    policy: Policy = Policy()
    arms: Arms = Arms()
    contexts: Contexts = Contexts()
    pacing: Pacing = Pacing()
    governance: Governance = Governance()
    events: tuple[CalendarEvent, ...] = ()
    media_mix: MediaMix = MediaMix()
    sources: LiveSources = {}

    @field_validator("history_start")
    @classmethod
    def _history_is_past(cls, value: date) -> date:
        today = datetime.now(UTC).date()
        if not date(2000, 1, 1) <= value <= today:
            raise ValueError(f"must lie between 2000-01-01 and today ({today})")
        return value

    @model_validator(mode="after")
    def _names_agree(self) -> Settings:
        for index, rule in enumerate(self.track_rules):
            if rule.track not in self.tracks:
                raise ValueError(
                    f"track_rules.{index}.track: {rule.track!r} is not one of {sorted(self.tracks)}"
                )
        calendars = {"events": self.events, "media_mix.promotions": self.media_mix.promotions}
        for where, entries in calendars.items():
            for index, event in enumerate(entries):
                if event.track is not None and event.track not in self.tracks:
                    raise ValueError(
                        f"{where}.{index}.track: {event.track!r} is not one of {sorted(self.tracks)}"
                    )
        missing = set(self.tracks) - set(self.guardrails.weekly_loss_budget)
        unknown = set(self.guardrails.weekly_loss_budget) - set(self.tracks)
        if missing or unknown:
            raise ValueError(
                "guardrails.weekly_loss_budget: needs exactly one amount per track; "
                f"missing {sorted(missing)}, unknown {sorted(unknown)}"
            )
        if strangers := sorted(set(self.launches.audiences) - set(self.tracks)):
            raise ValueError(
                f"launches.audiences: {strangers} are no tracks; known are {sorted(self.tracks)}"
            )
        for index, window in enumerate(self.guardrails.freeze_windows):
            if window.track is not None and window.track not in self.tracks:
                raise ValueError(
                    f"guardrails.freeze_windows.{index}.track: {window.track!r} is not one of "
                    f"{sorted(self.tracks)}"
                )
        return self

    @model_validator(mode="after")
    def _each_account_once(self) -> Settings:
        from resources.landing.accounts import spelt  # noqa: PLC0415 - polars: `aelp --help` answers at once

        for name in self.source_names:
            seen: dict[str, str] = {}
            for account in self.sources[name].accounts:
                if (first := seen.get(spelt(name, account))) is not None:
                    also = "" if first == account else f": {first} and {account} are the same"
                    raise ValueError(f"sources.{name}.accounts: an account stands twice{also}")
                seen[spelt(name, account)] = account
        return self

    @property
    def source_names(self) -> list[SourceName]:
        """The live sources the file names."""
        return [name for name in get_args(SourceName) if name in self.sources]

    @property
    def timezone(self) -> ZoneInfo:
        return ZoneInfo(self.business_timezone)

    @cached_property
    def content_hash(self) -> str:
        """sha256 of the canonical settings: stored with every decision."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load_settings(path: Path) -> Settings:
    """Read and check a settings file.

    Raises:
        SettingsError: unreadable YAML, an unknown key or an impossible value; one line per fault,
            each with the file, the path inside it and the allowed range.
    """
    try:
        document = load_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such settings file. Copy aelp.yaml or set AELP_SETTINGS.") from None
    except RepeatedKeyError as error:
        raise SettingsError(f"{path}: {error}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: expected a mapping of settings, found {type(document).__name__}")
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        faults = [_describe_fault(fault) for fault in error.errors(include_url=False)]
        raise SettingsError("\n".join(f"{path}: {fault}" for fault in faults)) from None


def _describe_fault(fault: object) -> str:
    assert isinstance(fault, dict)
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{where}: unknown key. Remove it or check its spelling."
    if fault["type"] == "missing":
        return f"{where}: required, but missing."
    message = str(fault["msg"]).removeprefix("Value error, ")
    if not where:
        return message
    allowed = _allowed_range(fault["loc"]) if fault["type"] in _BOUNDS else None
    if allowed:
        message = f"must be {allowed}"
    return f"{where}: {message} (found {fault['input']!r})"


# pydantic's name of the broken bound; the message gives both, or a person meets the second one next.
_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


def _allowed_range(path: Sequence[int | str]) -> str | None:
    """Both bounds of the value at `path`, in words: "greater than 0, at most 0.05"."""
    bounds = _bounds_at(Settings, list(path))
    words = [
        (bounds.get("gt"), "greater than"),
        (bounds.get("ge"), "at least"),
        (bounds.get("lt"), "less than"),
        (bounds.get("le"), "at most"),
    ]
    return ", ".join(f"{word} {_plain(bound)}" for bound, word in words if bound is not None) or None


def _plain(bound: Any) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def _bounds_at(kind: Any, path: list[int | str]) -> dict[str, Any]:
    """What `Field(...)` says of the innermost value: walks sections, mappings and lists."""
    bounds: dict[str, Any] = {}
    if get_origin(kind) is Annotated:
        kind, *facts = get_args(kind)
        for fact in facts:
            for detail in getattr(fact, "metadata", [fact]):
                bounds |= {name: getattr(detail, name) for name in _WORDS if hasattr(detail, name)}
    if not path:
        return bounds
    if is_typeddict(kind):
        return _bounds_at(get_type_hints(kind).get(str(path[0])), path[1:])
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        section = kind.model_fields.get(str(path[0]))
        if section is None:
            return {}
        rest = path[1:]
        return _bounds_at(Annotated[section.annotation, *section.metadata, None], rest)
    inside = [part for part in get_args(kind) if part is not Ellipsis]
    return _bounds_at(inside[-1], path[1:]) if inside else {}


_WORDS = ("gt", "ge", "lt", "le")


class Environment(BaseModel):
    """Where this process reads and writes; everything secret or machine-specific lives here.

    `drop_folder` is an absolute path or any fsspec URL (`s3://bucket/exports`).
    """

    model_config = ConfigDict(frozen=True)

    home: Path
    settings_path: Path
    drop_folder: str
    warehouse: Literal["duckdb", "bigquery"]
    dataset_prefix: str
    bigquery_project: str | None
    bigquery_location: str
    bigquery_endpoint: str | None
    bigquery_storage_endpoint: str | None

    @property
    def duckdb_path(self) -> Path:
        return self.home / "warehouse.duckdb"

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"


PROJECT_ROOT = Path(__file__).resolve().parent.parent


def read_environment(variables: Mapping[str, str] | None = None) -> Environment:
    """Read the `AELP_*` variables (defaults: `.aelp/` in the project, DuckDB).

    Raises:
        SettingsError: a relative AELP_HOME, an unknown warehouse, BigQuery without a project.
    """
    env = dict(os.environ) if variables is None else variables
    home = Path(env.get("AELP_HOME") or PROJECT_ROOT / ".aelp")
    if not home.is_absolute():
        raise SettingsError(f"AELP_HOME: must be an absolute path (found {str(home)!r})")
    warehouse = env.get("AELP_WAREHOUSE") or "duckdb"
    if warehouse not in ("duckdb", "bigquery"):
        raise SettingsError(f"AELP_WAREHOUSE: must be duckdb or bigquery (found {warehouse!r})")
    project = env.get("AELP_BIGQUERY_PROJECT") or None
    if warehouse == "bigquery" and project is None:
        raise SettingsError("AELP_BIGQUERY_PROJECT: required when AELP_WAREHOUSE=bigquery")
    return Environment(
        home=home,
        settings_path=Path(env.get("AELP_SETTINGS") or PROJECT_ROOT / "aelp.yaml"),
        drop_folder=_drop_folder(env["AELP_DROP"]) if env.get("AELP_DROP") else str(home / "drop"),
        warehouse=cast(Literal["duckdb", "bigquery"], warehouse),
        dataset_prefix=env.get("AELP_DATASET_PREFIX") or "",
        bigquery_project=project,
        bigquery_location=env.get("AELP_BIGQUERY_LOCATION") or "US",
        bigquery_endpoint=env.get("AELP_BIGQUERY_ENDPOINT") or None,
        bigquery_storage_endpoint=env.get("AELP_BIGQUERY_STORAGE_ENDPOINT") or None,
    )


def _drop_folder(named: str) -> str:
    """A URL as it is, a local path made absolute."""
    return named if "://" in named else str(Path(named).absolute())


def require_drop_folder(environment: Environment) -> None:
    """Refuse a drop folder that was named and cannot be read: landing it would say that all is well.

    The default one may be absent: nothing has been dropped yet.

    Raises:
        SettingsError: no such local folder, a file, or a URL of a store nothing installed here can read.
    """
    named = environment.drop_folder
    if named == str(environment.home / "drop"):
        return
    protocol, separator, place = named.partition("://")
    if separator and protocol not in ("file", "local"):
        try:
            fsspec.get_filesystem_class(protocol)
        except (ImportError, ValueError) as fault:
            raise SettingsError(f"AELP_DROP: {named} cannot be read: {fault}") from None
        return
    folder = Path(place if separator else named)
    if folder.is_file():
        raise SettingsError(f"AELP_DROP: {named} is a file; name the folder it lies in")
    if not folder.is_dir():
        raise SettingsError(f"AELP_DROP: {named}: no such folder. Create it, or unset AELP_DROP.")
