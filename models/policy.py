"""Policy pre-flight: what a creative says and where it leads, held against its track's policy profile.

Here: reading texts and links by the profile's rules, flags with the words that caused them. Not here: the
rules themselves (the settings' `policy`), what is launched (`launches`).

A profile that `fails_closed` blocks what it cannot read: an unknown text or landing page. A platform's own
review comes after this one and may be stricter; nothing here replaces it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import polars as pl

Severity = Literal["blocks", "warns"]
TEXTS = ("headline", "body", "call_to_action")
UTM_PARAMETERS = ("utm_source", "utm_medium", "utm_campaign", "utm_content")
_UTM_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")

REVIEW_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("track", "platform", "account_id", "creative_id", "policy_profile"), pl.String()),
        "passed": pl.Boolean(),
        "blocking_flags": pl.Int64(),
        "flags": pl.String(),
        "link": pl.String(),
    }
)


@dataclass(frozen=True)
class TextRule:
    """Words that may not stand in a creative.

    pattern: regular expression, matched without case, in each text by itself. remedy: what a person can do.
    """

    name: str
    pattern: str
    remedy: str
    severity: Severity = "blocks"


@dataclass(frozen=True)
class PolicyProfile:
    """What creatives of a track must obey.

    text_limits: characters by text; longer ones are cut by platforms. fails_closed: block what is unknown.
    landing_domains: hosts (and hosts below them) a launch may lead to; none: any, unless the profile fails
    closed. allows_curated_audiences: whether lists of people or lookalikes of them may be targeted.
    """

    name: str
    text_rules: tuple[TextRule, ...]
    text_limits: Mapping[str, int]
    over_length: Severity
    fails_closed: bool
    landing_domains: tuple[str, ...]
    allows_curated_audiences: bool

    @cached_property
    def matchers(self) -> tuple[tuple[TextRule, re.Pattern[str]], ...]:
        """Rules with their compiled patterns."""
        return tuple((rule, re.compile(rule.pattern, re.IGNORECASE)) for rule in self.text_rules)


@dataclass(frozen=True)
class Flag:
    """One objection: the rule, the words that caused it, and what a person can do."""

    rule: str
    severity: Severity
    text: str
    remedy: str


def review_creatives(
    creatives: pl.DataFrame, profiles: Mapping[str, PolicyProfile], audiences: Mapping[str, Sequence[str]]
) -> pl.DataFrame:
    """Whether each creative may be launched, and every objection to it.

    Args:
        creatives: track, platform, account_id, creative_id, headline, body, call_to_action (null where
            unknown) and link, the landing page as it would be launched.
        profiles: by track.
        audiences: curated audiences (lists of people, lookalikes) a launch of the track would target.

    Returns:
        `REVIEW_SCHEMA`, one row per row of `creatives`, sorted; flags are a JSON list.
    Raises:
        ValueError: a track without a profile.
    """
    if missing := sorted(set(creatives["track"]) - set(profiles)):
        raise ValueError(f"policy: no profile for tracks {missing}")
    rows = []
    for row in creatives.iter_rows(named=True):
        profile = profiles[row["track"]]
        flags = review(row, profile, audiences.get(row["track"], ()))
        blocking = sum(flag.severity == "blocks" for flag in flags)
        said = json.dumps([asdict(flag) for flag in flags], ensure_ascii=False)
        names = (row[name] for name in ("track", "platform", "account_id", "creative_id"))
        rows.append([*names, profile.name, not blocking, blocking, said, row["link"]])
    return pl.DataFrame(rows, schema=REVIEW_SCHEMA, orient="row").sort(REVIEW_SCHEMA.names()[:4])


def review_texts(creatives: pl.DataFrame, profiles: Mapping[str, PolicyProfile]) -> pl.DataFrame:
    """What a track's profile says of each creative's texts alone, wherever it would lead.

    Args:
        creatives: track, platform, account_id, creative_id, headline, body, call_to_action.
        profiles: by track.

    Returns:
        those keys, policy_profile, texts_pass (nothing blocks), text_flags (a JSON list); a row per row of
        `creatives`, in their order.
    """
    rows = []
    for row in creatives.iter_rows(named=True):
        profile = profiles[row["track"]]
        flags = _text_flags(row, profile)
        passes = not any(flag.severity == "blocks" for flag in flags)
        rows.append((profile.name, passes, json.dumps([asdict(flag) for flag in flags], ensure_ascii=False)))
    schema = {"policy_profile": pl.String, "texts_pass": pl.Boolean, "text_flags": pl.String}
    found = pl.DataFrame(rows, schema=schema, orient="row")
    return creatives.select(REVIEW_SCHEMA.names()[:4]).hstack(found)


def review(creative: Mapping[str, Any], profile: PolicyProfile, audiences: Sequence[str] = ()) -> list[Flag]:
    """Every objection of a profile to one creative; none: it passes."""
    flags = [*_text_flags(creative, profile), *_link_flags(creative["link"], profile)]
    if audiences and not profile.allows_curated_audiences:
        remedy = "Target places and ages alone: a health track may not use lists of people or lookalikes."
        flags.append(Flag("curated_audience", "blocks", ", ".join(audiences), remedy))
    return flags


def _text_flags(creative: Mapping[str, Any], profile: PolicyProfile) -> list[Flag]:
    flags = []
    # What nobody can read nobody has approved; a call to action may honestly be absent.
    unread = [name for name in ("headline", "body") if not any(map(str.isalnum, as_read(creative[name])))]
    if unread:
        severity: Severity = "blocks" if profile.fails_closed else "warns"
        remedy = "Land the creative's texts (its platform's pull, or a creatives file), then decide again."
        flags.append(Flag("text_unknown", severity, ", ".join(unread), remedy))
    for name in TEXTS:
        text = as_read(creative[name])
        limit = profile.text_limits.get(name)
        if limit is not None and len(text) > limit:
            remedy = f"Shorten the {name} to {limit} characters; it has {len(text)}, the rest is cut."
            flags.append(Flag(f"{name}_length", profile.over_length, text[limit:], remedy))
        for rule, pattern in profile.matchers:
            if (found := pattern.search(text)) is not None:
                flags.append(Flag(rule.name, rule.severity, found.group(), rule.remedy))
    return flags


def as_read(text: str | None) -> str:
    """A text as a reader sees it: look-alike forms unified, invisible characters gone."""
    # Compatibility forms, zero-width characters and strokes through letters would carry a forbidden word past
    # its pattern.
    unified = unicodedata.normalize("NFKC", text or "").replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    seen = "".join(letter for letter in unified if unicodedata.category(letter) not in ("Cf", "Mn"))
    return " ".join(seen.split())


def _link_flags(link: str | None, profile: PolicyProfile) -> list[Flag]:
    unsure: Severity = "blocks" if profile.fails_closed else "warns"
    if not link:
        return [
            Flag("link_unknown", unsure, "", "Land the creative's landing page; without it none is known.")
        ]
    try:
        parts = urlsplit(link)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return [Flag("link_unreadable", "blocks", link, "Write the landing page as https://host/path.")]
    flags = []
    if parts.scheme != "https" or parts.username is not None or not _HOST.fullmatch(host):
        flags.append(Flag("link_not_https", "blocks", link, "Use an https landing page on a plain host."))
    if not profile.landing_domains:
        remedy = "Name the business's own domains in the settings: launches.landing_domains."
        if profile.fails_closed:
            flags.append(Flag("landing_domain_unknown", "blocks", host, remedy))
    elif not any(host == domain or host.endswith(f".{domain}") for domain in profile.landing_domains):
        remedy = f"Lead to {' or '.join(profile.landing_domains)}."
        flags.append(Flag("landing_domain", "blocks", host, remedy))
    return flags + _utm_flags(parts.query)


def _utm_flags(query: str) -> list[Flag]:
    """What keeps the backend from telling this launch's orders apart."""
    found = parse_qsl(query, keep_blank_values=True)
    flags = []
    for name in UTM_PARAMETERS:
        values = [value for key, value in found if key == name]
        if len(values) != 1 or not _UTM_VALUE.fullmatch(values[0]):
            remedy = f"Give {name} once, of letters, digits, _ . and - (at most 100)."
            flags.append(Flag("utm", "blocks", f"{name}={', '.join(values)}", remedy))
    return flags
