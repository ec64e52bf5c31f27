"""What sections are made of: their base class, the values several of them hold, and the one error.

Here: how a value is written and refused. Not here: any setting; values of one domain alone stand with it.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Dollars = Annotated[Decimal, Field(gt=0, max_digits=14, decimal_places=2)]
TrackName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


def written_as(pattern: str, what: str) -> AfterValidator:
    """A check whose message says what the text must be, where a bare pattern would leave it to be guessed."""

    def checked(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise ValueError(f"must be {what}")
        return value

    return AfterValidator(checked)


def is_timezone(name: str) -> bool:
    """Whether it is an IANA time zone known here."""
    return name in _timezones()


@cache
def _timezones() -> set[str]:
    # Lists the folders of the zone files each time: 15 ms.
    return available_timezones()


def _known_timezone(value: str) -> str:
    if not is_timezone(value):
        raise ValueError("must be an IANA time zone such as America/New_York")
    return value


PageId = Annotated[str, written_as(r"\d+", "a page id, a number")]
Country = Annotated[str, written_as("[A-Z]{2}", "an ISO country code such as US")]
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
