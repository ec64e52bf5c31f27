"""What creatives may say: the built-in rules, and the section that may take their place.

Here: words, remedies, text limits. Not here: where creatives may lead (`launches.py`), how they are judged
(`models`).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from resources.settings.values import Section


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"must be a regular expression ({error})") from None
    return value


Words = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]
"""A regular expression of a word or a phrase; matched without case."""


class PolicyRule(Section):
    """Words no creative may say: a regular expression, matched without case, and what to do instead."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
    pattern: Words
    remedy: Annotated[str, Field(min_length=1)]
    severity: Literal["blocks", "warns"] = "blocks"


CONDITIONS = (
    *(r"depress\w*", r"anxi(?:ety|ous)", r"addict\w*", "bipolar", "adhd", r"autis\w*", "eating disorders?"),
    *(r"anorexi\w*", r"bulimi\w*", "ptsd", r"suicid\w*", r"self[- ]harm\w*", "insomnia", "overweight"),
    *(r"obes\w*", r"diabet\w*", r"trauma\w*", "mental illness", "disorders?"),
)
CURES = ("cure[sd]?", "heals?", "guarantee[sd]?", "clinically proven")
REGULATED_TERMS = (
    *CONDITIONS,
    *CURES,
    *("therap(?:y|ies|ists?|eutic)", "counsel(?:l?ing|l?ors?)", r"psych(?:iatr|olog|othera)\w*", "rehab"),
    *("detox", r"medicat\w*", r"prescri\w+", r"anti-?depress\w*", "ssris?", r"diagnos\w+", "treatments?"),
    *("symptoms?", "patients?", "panic attacks?", "burn-?out", r"schizophren\w*", "ocd", "mental health"),
)
"""Words an advertisement for mental health is looked at closely for: allowed as such, and counted."""
_CONDITIONS = rf"(?:{'|'.join(CONDITIONS)})"
_CURES = rf"(?:{'|'.join(CURES)})"
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
        pattern=rf"\b(?:{_CURES}|100\s?%)(?!\w)",
        remedy="Promise no cure, no certainty and no proof.",
    ),
)


class Policy(Section):
    """The pre-flight's rules by `policy_profile`. A list given here takes the place of the built-in one.

    `text_limits`, characters: longer ones are cut by platforms. Health blocks what it cannot read.
    `regulated_terms` block nothing: how densely they stand is a feature of the text.
    """

    standard: tuple[PolicyRule, ...] = STANDARD_POLICY
    health: tuple[PolicyRule, ...] = HEALTH_POLICY
    text_limits: dict[Literal["headline", "body", "call_to_action"], Annotated[int, Field(ge=1, le=5000)]] = {
        "body": 90,
        "headline": 25,
        "call_to_action": 30,
    }
    over_length: Literal["blocks", "warns"] = "warns"
    regulated_terms: tuple[Words, ...] = REGULATED_TERMS
