"""Two formats of one account do not share a day: added up, every mart would hold it twice."""

from __future__ import annotations

import pytest

GOOGLE = (
    "Day,Customer ID,Account name,Campaign ID,Campaign,Ad group ID,Ad group,Ad ID,"
    "Network (with search partners),Device,Currency code,Impr.,Clicks,Cost,Conversions\n"
)


def google(*days: str) -> str:
    rows = [
        f"{day},472-118-9034,Search,11,Brand,22,Core,33,Google search,Phones,USD,100,6,12.50,1"
        for day in days
    ]
    return GOOGLE + "\n".join(rows) + "\n"


def generic(exports, day: str, **changes):
    given = {"source": "google_ads", "account_id": "472-118-9034", "currency": "USD"}
    return exports.generic_row(day=day, **{**given, **changes})


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("campaign", ["11", "another"])
def test_a_day_of_an_account_is_counted_from_one_format(bench, exports, campaign, together):
    bench.put("report.csv", google("2026-06-29", "2026-06-30"))
    if not together:
        bench.land()
    bench.put("sheet.csv", [generic(exports, day, campaign=campaign) for day in ("2026-06-30", "2026-07-01")])
    report = bench.land()
    refused = report.files[-1]
    assert refused.outcome == "refused"
    for part in (
        "Account 472-118-9034 of google_ads already has rows in google_ads_ad_performance",
        "on 2026-06-30",
        "(generic_long)",
        "file_ad_performance: 1 such day would count twice",
        "`source`",
    ):
        assert part in refused.fault
    assert ("(report.csv)" in refused.fault) is together
    assert bench.rows("file_ad_performance").is_empty()
    assert bench.rows("google_ads_ad_performance").height == 2
    assert any(row["file"] == "sheet.csv" and row["line"] is None for row in bench.quarantine())


def test_the_format_that_comes_second_is_refused_whichever_it_is(bench, exports):
    bench.put("sheet.csv", [generic(exports, "2026-06-30")])
    bench.land()
    bench.put("report.csv", google("2026-06-30"))
    report = bench.land()
    assert report.files[0].outcome == "refused"
    assert "already has rows in file_ad_performance on 2026-06-30" in report.files[0].fault


@pytest.mark.parametrize(
    "changes", [{"source": "newsletter"}, {"account_id": "900"}, {"day": "2026-07-01"}], ids=str
)
def test_another_source_account_or_day_lands_beside_it(bench, exports, changes):
    bench.put("report.csv", google("2026-06-30"))
    bench.put("sheet.csv", [generic(exports, **{"day": "2026-06-30", **changes})])
    assert [file.outcome for file in bench.land().files] == ["loaded", "loaded"]


@pytest.mark.parametrize("overlap", ["union", "replace"])
def test_no_mapping_lets_two_formats_share_a_day(bench, exports, overlap):
    bench.put(
        "_mappings/own.yaml",
        "name: own\ntitle: Own sheet\nstream: file_ad_performance\nsource: {constant: google_ads}\n"
        "account_id: {constant: 472-118-9034}\ncurrency: {constant: USD}\ndate: {column: Tag}\n"
        "keys: {campaign_id: Aktion}\nfields: {campaign_name: Aktion, cost: Kosten}\n"
        f"overlap: {overlap}\n",
    )
    bench.put("report.csv", google("2026-06-30"))
    bench.put("own.csv", "Tag,Aktion,Kosten\n2026-06-30,x,5\n")
    outcomes = {file.path: file.outcome for file in bench.land().files}
    assert outcomes == {"report.csv": "loaded", "own.csv": "refused"}


def test_a_meta_export_and_its_placements_are_breakdowns_of_the_same_rows(bench, exports):
    bench.put("ads.csv", [exports.meta_row()])
    places = {"Platform": "facebook", "Placement": "feed", "Impression device": "iphone"}
    row = {name: value for name, value in exports.meta_row(**places).items() if name != "Unique link clicks"}
    bench.put("places.csv", [row])
    assert [file.outcome for file in bench.land().files] == ["loaded", "loaded"]


def test_a_day_emptied_in_one_format_is_free_for_another(bench, exports):
    days = ("2026-06-28", "2026-06-29", "2026-06-30")
    bench.put("full.csv", google(*days))
    bench.land()
    for name in ("a.csv", "b.csv"):
        bench.put(name, google(days[0], days[2]))
        bench.land()
    bench.put("sheet.csv", [generic(exports, days[1])])
    assert bench.land().files[-1].outcome == "loaded"
