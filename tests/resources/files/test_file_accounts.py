"""An account has one spelling, whichever a file uses: two would be two accounts and twice the money."""

from __future__ import annotations

import pytest

from resources.connectors.google_ads.source import dashed
from resources.landing.accounts import spelt

HEADER = (
    "Day,Customer ID,Account name,Campaign ID,Campaign,Ad group ID,Ad group,Ad ID,"
    "Network (with search partners),Device,Currency code,Impr.,Clicks,Cost,Conversions\n"
)


@pytest.mark.parametrize(
    ("source", "written", "landed"),
    [
        ("google_ads", "4721189034", "472-118-9034"),
        ("google_ads", "472-118-9034", "472-118-9034"),
        ("google_ads", "my shop", "my shop"),
        ("meta", "act_418802716650377", "418802716650377"),
        ("meta", "418802716650377", "418802716650377"),
        ("linkedin", "urn:li:sponsoredAccount:508733911", "508733911"),
        ("ga4", "properties/123456", "123456"),
        ("newsletter", "4721189034", "4721189034"),
    ],
)
def test_each_platform_has_one_spelling(source, written, landed):
    assert spelt(source, written) == landed
    assert spelt(source, landed) == landed


def test_the_connector_and_the_landing_agree_on_google_s():
    assert dashed("4721189034") == spelt("google_ads", "4721189034")


def test_the_same_account_with_and_without_dashes_is_one_account(bench):
    row = "2026-06-30,{},Search,11,Brand,22,Core,33,Google search,Phones,USD,100,6,12.50,1\n"
    bench.put("june.csv", HEADER + row.format("472-118-9034"))
    bench.land()
    bench.put("again.csv", HEADER + row.format("4721189034"))
    assert bench.land().files[0].outcome == "unchanged"
    assert bench.rows("google_ads_ad_performance")["account_id"].to_list() == ["472-118-9034"]


def test_a_meta_account_by_its_node_is_the_account(bench, exports):
    bench.put("a.csv", [exports.meta_row(**{"Account ID": "act_120"})])
    bench.land()
    assert bench.rows("meta_ads_insights")["account_id"].to_list() == ["120"]


def test_two_formats_of_one_account_are_told_apart_however_it_is_spelt(bench, exports):
    bench.put("june.csv", HEADER + "2026-06-30,4721189034,Search,11,B,22,C,33,S,P,USD,100,6,12.50,1\n")
    bench.land()
    given = {"source": "google_ads", "account_id": "472-118-9034", "currency": "USD"}
    bench.put("sheet.csv", [exports.generic_row(day="2026-06-30", **given)])
    refused = {file.path: file for file in bench.land().files}["sheet.csv"]
    assert refused.outcome == "refused"
    assert "472-118-9034" in refused.fault
