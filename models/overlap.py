"""Which budget levers compete for the same people: overlap clusters.

Here: what levers' settings on their platforms say of country, audience, event and landing page; which are
brand search. Not here: reading the settings (`int_lever_traits`), how a cluster answers to spend
(`response_curves`).

A cluster is what its levers are known to share, on one platform and in one currency:

1. country, audience, optimised event and landing page, where all four are known;
2. country, audience, event and track, where ads of a lever lead to several pages or to none that is known;
3. account, objective (Google: campaign type) and track, where one of the first three is unknown;
4. account and track, where the objective is, too.

An audience is the set of custom audiences (lookalikes among them) that is named; without one, or where the
platform may go beyond it, it is open to all: ages, interests and placements do not keep levers apart, for the
wider one bids for the narrower one's people, too. A campaign budget has what its ad sets have together.

Brand search is a cluster apart per account and track: it harvests demand that was there before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

import polars as pl

_KEY = ("platform", "account_id", "lever_id")
_UNASSIGNED = "unassigned"
_SEARCH = "SEARCH"
_GOOGLE = "google_ads"

_SCHEMA: dict[str, Any] = {
    **dict.fromkeys((*_KEY, "track", "cluster"), pl.String),
    "is_brand_search": pl.Boolean,
    **dict.fromkeys(("basis", "country", "audience", "event", "landing_page"), pl.String),
}

Traits = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class OverlapRules:
    """What the business says of its own names.

    Attributes:
        brand_campaigns: shell-style patterns on names of Google search campaigns, matched without case.
        brand_terms: words of the brand; a search campaign all of whose keywords hold one is brand search.
        path_segments: how many segments of a landing page's path tell one page from another; None: all.
    """

    brand_campaigns: tuple[str, ...] = ()
    brand_terms: tuple[str, ...] = ()
    path_segments: int | None = None


def overlap_clusters(levers: pl.DataFrame, traits: pl.DataFrame, rules: OverlapRules) -> pl.DataFrame:
    """The cluster of every lever in a track.

    Args:
        levers: platform, account_id, lever_id (unique), track, currency.
        traits: platform, account_id, lever_id, trait, value: campaign_name, campaign_type, targeting (Meta's
            JSON), event, landing_page (URL) and keyword, as the platform has them; any number of each.
        rules: see `OverlapRules`.

    Returns:
        platform, account_id, lever_id, track, cluster, is_brand_search, basis (what the cluster's levers
        share, in words), country, audience, event, landing_page (null where unknown); sorted by key.

    Raises:
        ValueError: a lever more than once.
    """
    if levers.select(_KEY).is_duplicated().any():
        raise ValueError("levers: (platform, account_id, lever_id) must be unique")
    known: dict[tuple[str, ...], dict[str, list[str]]] = {}
    said = traits.select(*_KEY, "trait", "value").drop_nulls().unique()
    for *key, trait, value in said.sort(said.columns).iter_rows():
        known.setdefault(tuple(key), {}).setdefault(trait, []).append(value)
    rows = [
        _cluster(row, known.get(tuple(row[name] for name in _KEY), {}), rules)
        for row in levers.filter(pl.col("track") != _UNASSIGNED).sort(_KEY).iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema=_SCHEMA)


def is_brand_search(platform: str, traits: Traits, rules: OverlapRules) -> bool:
    """Whether a lever is a Google search campaign for the brand, by its name or by every one of its keywords.

    A campaign whose type no snapshot says is taken by its name.
    """
    types = traits.get("campaign_type", ())
    if platform != _GOOGLE or any(kind != _SEARCH for kind in types):
        return False
    names = [name.casefold() for name in traits.get("campaign_name", ())]
    patterns = [pattern.casefold() for pattern in rules.brand_campaigns]
    if any(fnmatchcase(name, pattern) for name in names for pattern in patterns):
        return True
    keywords, terms = traits.get("keyword", ()), rules.brand_terms
    return bool(types and keywords and terms) and all(
        any(re.search(rf"\b{re.escape(term)}\b", keyword, re.IGNORECASE) for term in terms)
        for keyword in keywords
    )


def _cluster(lever: Mapping[str, Any], traits: Traits, rules: OverlapRules) -> dict[str, object]:
    country, audience = _countries_and_audience(traits.get("targeting", ()))
    event = "+".join(traits.get("event", ())) or None
    page = _landing_page(traits.get("landing_page", ()), rules.path_segments)
    is_brand = is_brand_search(lever["platform"], traits, rules)
    account = f"{lever['platform']} {lever['account_id']}"
    objective = "+".join(traits.get("campaign_type", ()))
    if is_brand:
        parts, basis = [account, "brand search", lever["track"]], "brand search, account, track"
    elif country and audience and event:
        parts = [f"{lever['platform']} {lever['currency']}", country, audience, event, page or lever["track"]]
        basis = f"country, audience, event, {'landing page' if page else 'track'}"
    elif objective:
        parts, basis = [account, objective, lever["track"]], "account, objective, track"
    else:
        parts, basis = [account, lever["track"]], "account, track"
    return {name: lever[name] for name in (*_KEY, "track")} | {
        "cluster": " · ".join(parts),
        "is_brand_search": is_brand,
        "basis": basis,
        "country": country,
        "audience": audience,
        "event": event,
        "landing_page": page,
    }


def _countries_and_audience(targeting: Sequence[str]) -> tuple[str | None, str | None]:
    """What ad sets of one budget reach together; None where that of one of them is not said."""
    countries: set[str] = set()
    audiences: set[str] = set()
    if not targeting:
        return None, None
    for text in targeting:
        try:
            said = json.loads(text)
        except ValueError:
            return None, None
        places = said.get("geo_locations") if isinstance(said, dict) else None
        found = _countries(places) if isinstance(places, dict) else set()
        if not found:
            return None, None
        countries |= found
        audiences.add(_audience(said))
    return "+".join(sorted(countries)), "+".join(sorted(audiences))


def _countries(places: Mapping[str, Any]) -> set[str]:
    named = [*places.get("countries", ()), *places.get("country_groups", ())]
    for kind in ("regions", "cities", "zips", "geo_markets"):
        named += [place.get("country") for place in places.get(kind, ()) if isinstance(place, dict)]
    return {str(country) for country in named if country}


def _audience(said: Mapping[str, Any]) -> str:
    if (said.get("targeting_automation") or {}).get("advantage_audience") == 1:
        return "open"  # audiences are suggestions then
    ids = [str(each.get("id")) for each in said.get("custom_audiences") or () if isinstance(each, dict)]
    return "audience " + ",".join(sorted(ids)) if ids else "open"


def _landing_page(links: Sequence[str], segments: int | None) -> str | None:
    """Host and path all ads lead to; None where they lead to several, or nobody says where."""
    pages = set()
    for link in links:
        address = urlsplit(link.strip())
        path = [part for part in address.path.split("/") if part][:segments]
        if not address.hostname:
            return None
        pages.add("/".join([address.hostname.casefold(), *path]))
    return pages.pop() if len(pages) == 1 else None
