"""Levers are put together by what their platforms say they share, and by nothing else."""

import json

import polars as pl
import pytest

from models.overlap import OverlapRules, overlap_clusters

TRAITS = dict.fromkeys(("platform", "account_id", "lever_id", "trait", "value"), pl.String)
BRAND = OverlapRules(brand_campaigns=("*| brand search*",), brand_terms=("northstar",))


def targeting(countries=("US",), audiences=(), advantage=0, ages=(25, 64), **places):
    return json.dumps(
        {
            "age_min": ages[0],
            "age_max": ages[1],
            "geo_locations": {"countries": list(countries)} | places,
            "custom_audiences": [{"id": each, "name": f"n{each}"} for each in audiences],
            "targeting_automation": {"advantage_audience": advantage},
        }
    )


def meta(*sets, page="https://www.northstar.example/security", event="OFFSITE_CONVERSIONS"):
    return {
        "campaign_type": ["OUTCOME_SALES"],
        "targeting": list(sets),
        "event": [event],
        "landing_page": [page] if isinstance(page, str) else list(page),
    }


def clusters(levers, *, rules=BRAND, platform="meta", track="security", account="a1", currency="USD"):
    keys = {"platform": platform, "account_id": account}
    frame = pl.DataFrame([keys | {"lever_id": name, "track": track, "currency": currency} for name in levers])
    traits = [
        keys | {"lever_id": name, "trait": trait, "value": value}
        for name, said in levers.items()
        for trait, values in said.items()
        for value in values
    ]
    found = overlap_clusters(frame, pl.DataFrame(traits, schema=TRAITS), rules)
    return {row["lever_id"]: row for row in found.iter_rows(named=True)}


def test_ages_do_not_keep_levers_apart_but_country_audience_event_and_page_do():
    base = meta(targeting())
    found = clusters(
        {
            "wide": base,
            "older": meta(targeting(ages=(35, 64))),
            "abroad": meta(targeting(("CA",))),
            "visitors": meta(targeting(audiences=("77", "12"))),
            "visitors_twice": meta(targeting(audiences=("12", "77"), ages=(18, 30))),
            "suggested": meta(targeting(audiences=("77",), advantage=1)),
            "clicks": meta(targeting(), event="LINK_CLICKS"),
            "elsewhere": meta(targeting(), page="https://www.northstar.example/balance?utm=1"),
        }
    )
    of = {name: row["cluster"] for name, row in found.items()}
    assert of["wide"] == of["older"] == of["suggested"]
    assert of["visitors"] == of["visitors_twice"]
    assert len(set(of.values())) == 5
    assert of["wide"] == "meta USD · US · open · OFFSITE_CONVERSIONS · www.northstar.example/security"
    assert found["visitors"]["audience"] == "audience 12,77"


def test_a_campaign_budget_has_what_its_ad_sets_have_together():
    found = clusters(
        {
            "both": meta(targeting(), targeting(("CA",), audiences=("5",))),
            "city": meta(targeting((), cities=[{"key": "1", "country": "US"}])),
        }
    )
    assert (found["both"]["country"], found["both"]["audience"]) == ("CA+US", "audience 5+open")
    assert found["city"]["country"] == "US"


def test_what_is_not_said_makes_the_cluster_coarser_and_is_never_guessed():
    found = clusters(
        {
            "many_pages": meta(targeting(), page=["https://a.example/x", "https://a.example/y"]),
            "no_country": meta(targeting(())),
            "one_set_unknown": meta(targeting(), "not json"),
            "objective": {"campaign_type": ["OUTCOME_LEADS"]},
            "nothing": {},
        }
    )
    assert {name: row["basis"] for name, row in found.items()} == {
        "many_pages": "country, audience, event, track",
        "no_country": "account, objective, track",
        "one_set_unknown": "account, objective, track",
        "objective": "account, objective, track",
        "nothing": "account, track",
    }
    assert found["no_country"]["cluster"] == found["one_set_unknown"]["cluster"]
    assert found["nothing"]["cluster"] == "meta a1 · security"


def test_the_path_is_told_apart_as_deep_as_the_settings_say():
    pages = ["https://a.example/security/price", "https://a.example/security/scams"]
    shallow = OverlapRules(path_segments=1)
    assert clusters({"l": meta(targeting(), page=pages)}, rules=shallow)["l"]["landing_page"] == (
        "a.example/security"
    )


def test_accounts_share_an_auction_currencies_no_curve():
    mine = clusters({"l": meta(targeting())})["l"]["cluster"]
    assert clusters({"l": meta(targeting())}, account="a2")["l"]["cluster"] == mine
    assert clusters({"l": meta(targeting())}, currency="EUR")["l"]["cluster"] != mine


def google(name, kind="SEARCH", keywords=()):
    return {"campaign_name": [name], "campaign_type": [kind] if kind else [], "keyword": list(keywords)}


def test_brand_search_is_told_by_name_or_by_all_its_keywords_and_only_on_search():
    levers = {
        "named": google("US | Security | Brand Search"),
        "nonbrand": google("US | Security | Nonbrand Search", keywords=["password manager"]),
        "words": google("US | Own name", keywords=["Northstar app", "northstar login"]),
        "some_words": google("US | Mixed", keywords=["northstar app", "password manager"]),
        "inside_a_word": google("US | Other", keywords=["northstarling"]),
        "display": google("US | Brand Search lookalike", kind="DISPLAY"),
        "by_file": google("US | Brand Search", kind=None),
    }
    levers["by_file"]["campaign_name"] = ["US | Brand Search"]
    found = clusters(levers, platform="google_ads")
    assert {name for name, row in found.items() if row["is_brand_search"]} == {"named", "words", "by_file"}
    assert found["named"]["cluster"] == "google_ads a1 · brand search · security"
    assert found["nonbrand"]["cluster"] == "google_ads a1 · SEARCH · security"
    assert not any(row["is_brand_search"] for row in clusters(levers, platform="meta").values())


def test_levers_outside_every_track_are_left_out_and_repeated_ones_refused():
    assert clusters({"l": {}}, track="unassigned") == {}
    columns = ("platform", "account_id", "lever_id", "track", "currency")
    twice = pl.DataFrame({name: ["x", "x"] for name in columns})
    with pytest.raises(ValueError, match="unique"):
        overlap_clusters(twice, pl.DataFrame(schema=TRAITS), BRAND)
