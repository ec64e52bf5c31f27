"""How the simulated advertiser organised its accounts: campaigns, ad sets and who carries a budget.

Here: the plan of entities and their names for a scale. Not here: random parameters (`business`).
"""

from __future__ import annotations

from dataclasses import dataclass

from resources.sandbox.catalogue import (
    BRAND_SEARCH,
    DISPLAY,
    GOOGLE,
    LINKEDIN,
    META,
    NONBRAND_SEARCH,
    PROFESSIONALS,
    PROSPECTING,
    REMARKETING,
    SHORT_VIDEO,
    TIKTOK,
    TRACKS,
    Scale,
)


@dataclass(frozen=True)
class AdSetPlan:
    name: str
    slots: int  # ads running at the same time


@dataclass(frozen=True)
class CampaignPlan:
    """A campaign to create; `share` is its part of the track's budget."""

    platform: int
    track: int
    name: str
    audience: int
    has_budget: bool
    share: float
    adsets: tuple[AdSetPlan, ...]


# Shares of a track's budget. What LinkedIn does not take (it runs for Security only) Meta does.
_CBO_SHARE, _ABO_SHARE, _REMARKETING_SHARE = 0.41, 0.27, 0.10
_BRAND_SHARE, _NONBRAND_SHARE, _DISPLAY_SHARE, _TIKTOK_SHARE, _LINKEDIN_SHARE = 0.025, 0.08, 0.02, 0.06, 0.035

_PROSPECTING_ADSETS = (
    "Broad 25-64",
    "LAL 1% purchasers",
    "Interests",
    "LAL 3% trial starts",
    "Parents 30-54",
    "Stacked interests",
    "LAL 5% site",
)
_REMARKETING_ADSETS = ("Site visitors 30d", "Trial abandoners 14d", "Video viewers 75%", "Past customers")
_KEYWORDS = (("identity protection", "password manager"), ("parental controls", "family wellbeing app"))


def campaign_plans(scale: Scale) -> list[CampaignPlan]:
    """Every campaign of the business at this scale, Meta first."""
    plans: list[CampaignPlan] = []
    for track_index, track in enumerate(TRACKS):
        prefix = f"US | {track.label}"
        spare = 0.0 if track.name == "security" else _LINKEDIN_SHARE
        kinds = (
            (("Prospecting", "Advantage+"), "CBO", scale.cbo, PROSPECTING, True, _CBO_SHARE + spare),
            (("Prospecting",), "ABO", scale.abo, PROSPECTING, False, _ABO_SHARE),
            (("Remarketing",), "ABO", scale.remarketing, REMARKETING, False, _REMARKETING_SHARE),
        )
        for labels, suffix, (campaigns, adsets, slots), audience, has_budget, share in kinds:
            names = _PROSPECTING_ADSETS if audience == PROSPECTING else _REMARKETING_ADSETS
            for number in range(campaigns):
                label = labels[number] if number < len(labels) else f"{labels[0]} {number + 1:02d}"
                plans.append(
                    CampaignPlan(
                        META,
                        track_index,
                        f"{prefix} | {label} | {suffix}",
                        audience,
                        has_budget,
                        share / campaigns,
                        tuple(AdSetPlan(names[i % len(names)], slots) for i in range(adsets)),
                    )
                )
    for track_index, track in enumerate(TRACKS):
        prefix = f"US | {track.label}"
        keywords = tuple(AdSetPlan(keyword, 1) for keyword in _KEYWORDS[track_index])
        if scale.name == "tiny":
            keywords = keywords[:1]
        plans += [
            _google(
                track_index,
                f"{prefix} | Brand Search",
                BRAND_SEARCH,
                _BRAND_SHARE,
                (AdSetPlan("brand exact", 1),),
            ),
            _google(track_index, f"{prefix} | Nonbrand Search", NONBRAND_SEARCH, _NONBRAND_SHARE, keywords),
        ]
        if scale.name != "tiny":
            topics = (AdSetPlan("topics", 2),)
            plans.append(_google(track_index, f"{prefix} | Display", DISPLAY, _DISPLAY_SHARE, topics))
    for track_index, track in enumerate(TRACKS):
        adgroups = (AdSetPlan("Spark 18-44", 2), AdSetPlan("Broad 25-54", 1))
        plans.append(
            CampaignPlan(
                TIKTOK,
                track_index,
                f"US | {track.label} | TikTok Prospecting",
                SHORT_VIDEO,
                False,
                _TIKTOK_SHARE,
                adgroups[:1] if scale.name == "tiny" else adgroups,
            )
        )
    plans.append(
        CampaignPlan(
            LINKEDIN,
            0,
            "US | Security | Small business",
            PROFESSIONALS,
            False,
            _LINKEDIN_SHARE,
            (AdSetPlan("Owners 1-50 staff", 1), AdSetPlan("IT managers", 1))[
                : 1 if scale.name == "tiny" else 2
            ],
        )
    )
    return plans


def _google(
    track: int, name: str, audience: int, share: float, adsets: tuple[AdSetPlan, ...]
) -> CampaignPlan:
    return CampaignPlan(GOOGLE, track, name, audience, True, share, adsets)
