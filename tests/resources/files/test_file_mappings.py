from __future__ import annotations

import pytest

from resources.files.mapping import MappingError, parse_mapping, shipped_mappings
from resources.files.recognition import Header, find_header, missing_columns, recognise
from resources.files.track_rules import like_pattern, track_rule_rows
from resources.landing.streams import STREAMS
from resources.settings import TrackRule

SHIPPED = shipped_mappings()
META_HEADER = [
    "Reporting starts",
    "Reporting ends",
    "Account ID",
    "Account name",
    "Campaign ID",
    "Campaign name",
    "Ad set ID",
    "Ad set name",
    "Ad ID",
    "Ad name",
    "Creative ID",
    "Currency",
    "Impressions",
    "Reach",
    "Clicks (all)",
    "Link clicks",
    "Unique link clicks",
    "Amount spent",
    "Purchases (7-day click)",
    "Purchases (1-day view)",
    "Purchases conversion value (7-day click)",
    "Purchases conversion value (1-day view)",
]
GENERIC_HEADER = [
    "date",
    "source",
    "account_id",
    "account_name",
    "campaign_id",
    "campaign_name",
    "adgroup_id",
    "adgroup_name",
    "ad_id",
    "ad_name",
    "creative_id",
    "placement",
    "segment",
    "currency",
    "impressions",
    "clicks",
    "cost",
    "conversions_click",
    "conversions_view",
    "revenue",
]
PLACEMENT_HEADER = [
    *(c for c in META_HEADER if c != "Unique link clicks"),
    "Platform",
    "Placement",
    "Impression device",
]
HEADERS = {
    "meta_ads_manager": META_HEADER,
    "meta_ads_manager_by_placement": PLACEMENT_HEADER,
    "google_ads_report": [
        "Day",
        "Customer ID",
        "Account name",
        "Campaign ID",
        "Campaign",
        "Ad group ID",
        "Ad group",
        "Ad ID",
        "Network (with search partners)",
        "Device",
        "Currency code",
        "Impr.",
        "Clicks",
        "Cost",
        "Conversions",
        "View-through conv.",
        "Conv. value",
    ],
    "tiktok_report": [
        "By Day",
        "Advertiser ID",
        "Advertiser name",
        "Campaign ID",
        "Campaign name",
        "Ad group ID",
        "Ad group name",
        "Ad ID",
        "Ad name",
        "Currency",
        "Impressions",
        "Clicks (destination)",
        "Cost",
        "Conversions (click)",
        "Conversions (view)",
        "Total purchase value",
    ],
    "linkedin_report": [
        "Start Date (in UTC)",
        "Account ID",
        "Account Name",
        "Campaign Group ID",
        "Campaign Group Name",
        "Campaign ID",
        "Campaign Name",
        "Ad ID",
        "Ad Name",
        "Currency",
        "Impressions",
        "Clicks",
        "Total Spent",
        "Conversions (post-click)",
        "Conversions (post-view)",
        "Total Conversion Value",
    ],
    "orders": [
        "order_id",
        "store_id",
        "ordered_at",
        "customer_id",
        "currency",
        "value",
        "is_new_customer",
        "track",
        "refunded_at",
        "trial_started_at",
        "paid_at",
        "utm_source",
        "utm_campaign",
        "utm_content",
    ],
    "creatives": [
        "source",
        "account_id",
        "snapshot_date",
        "creative_id",
        "creative_name",
        "format",
        "headline",
        "body",
        "call_to_action",
        "link_url",
        "image_file",
        "image_hash",
        "theme",
        "created_on",
    ],
    "levers": [
        "source",
        "account_id",
        "snapshot_date",
        "lever_id",
        "lever_level",
        "campaign_id",
        "entity_id",
        "entity_name",
        "budget_type",
        "currency",
        "budget",
        "minimum_budget",
        "budget_increment",
        "is_shared",
        "learning_state",
        "last_edited_at",
        "status",
    ],
    "generic_long": GENERIC_HEADER,
}


@pytest.mark.parametrize("name", HEADERS)
def test_every_documented_header_is_its_own_format_and_no_other(name):
    found = recognise(Header(tuple(HEADERS[name])), (SHIPPED,))
    assert found.mapping is not None, found.reason
    assert found.mapping.name == name


@pytest.mark.parametrize("name", HEADERS)
def test_every_payload_field_of_a_documented_format_is_mapped(name):
    mapping = next(m for m in SHIPPED if m.name == name)
    owned = {"account_name", "currency", "period_start", "period_end"}
    # Exports of Google, TikTok and the generic format carry no creative by default.
    absent = {"creative_id"} if name in ("google_ads_report", "tiktok_report") else set()
    # Video counts come through the platforms' interfaces only.
    absent |= {field for field in STREAMS[mapping.stream].fields if field.startswith("video_")}
    assert set(STREAMS[mapping.stream].fields) - owned - absent == set(mapping.fields)


def test_case_spaces_marks_and_order_of_a_header_do_not_matter():
    header = Header(tuple(f"\ufeff {name.upper()} " for name in reversed(META_HEADER)))
    found = recognise(header, (SHIPPED,))
    assert found.mapping is not None
    assert found.mapping.name == "meta_ads_manager"


def test_the_currency_in_a_header_is_read_and_the_column_still_found():
    names = [f"{n} (EUR)" if n == "Amount spent" else n for n in META_HEADER if n != "Currency"]
    header = Header(tuple(names))
    assert recognise(header, (SHIPPED,)).mapping is not None
    assert header.currency_of("Amount spent") == "EUR"
    assert header.currency_of("Impressions") is None


def test_a_wrong_header_names_the_nearest_format_and_the_missing_columns():
    names = [n for n in META_HEADER if n not in ("Amount spent", "Ad ID")]
    reason = recognise(Header(tuple(names)), (SHIPPED,)).reason
    assert "nearest known format is meta_ads_manager" in reason
    assert "missing columns: " in reason
    assert "Ad ID" in reason
    assert "Amount spent" in reason


def test_a_breakdown_that_would_count_double_is_not_taken_for_the_total():
    reason = recognise(Header((*META_HEADER, "Age")), (SHIPPED,)).reason
    assert "broken down by Age" in reason


def test_a_header_of_something_else_is_no_near_miss():
    reason = recognise(Header(("path", "total_conversions", "total_null")), (SHIPPED,)).reason
    assert "not an advertising export known here" in reason


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_is_found_below_a_preamble_under_any_delimiter(delimiter):
    text = 'Report of June\n"1 June 2026 - 30 June 2026"\n\n' + delimiter.join(GENERIC_HEADER) + "\n"
    found = find_header(text, (SHIPPED,))
    assert found.mapping is not None
    assert found.mapping.name == "generic_long"
    assert found.header is not None
    assert (found.header.delimiter, found.header.line) == (delimiter, 4)


USER = """
name: mine
title: My newsletter
stream: file_ad_performance
source: {constant: newsletter}
account_id: {constant: n1}
currency: {constant: EUR}
date: {column: Tag, formats: ["%d.%m.%Y"]}
keys: {campaign_id: Aktion}
fields: {campaign_name: Aktion, impressions: Sichten, clicks: Klicks, cost: Kosten}
"""


def test_a_persons_own_mapping_goes_before_a_shipped_one():
    own = parse_mapping(
        USER.replace("Tag", "date").replace("Aktion", "campaign_name").replace("Sichten", "impressions")
        .replace("Klicks", "clicks").replace("Kosten", "cost"),
        "mine.yaml",
    )  # fmt: skip
    found = recognise(Header(tuple(GENERIC_HEADER)), ((own,), SHIPPED))
    assert found.mapping is own


def test_two_mappings_that_fit_equally_well_are_not_chosen_between():
    first = parse_mapping(USER, "a.yaml")
    second = parse_mapping(USER.replace("name: mine", "name: yours"), "b.yaml")
    found = recognise(Header(("Tag", "Aktion", "Sichten", "Klicks", "Kosten")), ((first, second),))
    assert found.mapping is None
    assert "mine and yours equally well" in found.reason


def test_a_column_that_stands_twice_is_not_guessed_at():
    own = parse_mapping(USER, "a.yaml")
    found = recognise(Header(("Tag", "Aktion", "Sichten", "Klicks", "Kosten", "Kosten")), ((own,),))
    assert found.mapping is None
    assert "Kosten" in found.reason


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("colour: blue", "mine.yaml: colour: unknown key"),
        ("timezone: Mars/Olympus", "mine.yaml: timezone: must be an IANA time zone"),
        ("stream: nowhere", "mine.yaml: stream: must be one of"),
        ("maturity_days: -1", "mine.yaml: maturity_days"),
        ("overlap: perhaps", "mine.yaml: overlap"),
        ("keys: {campaign_id: Aktion, colour: Tag}", "keys: ['colour'] are not in file_ad_performance"),
        ("fields: {spend: Kosten}", "fields: ['spend'] are not in file_ad_performance"),
        ("account_id: {colum: x}", "mine.yaml: account_id.colum: unknown key"),
        ("period: {constant: x}", "needs `date` and takes no `period`"),
        ("records: [{keys: {campaign: x}}]", "records.0.keys: ['campaign'] are not in"),
        ("encoding: utf-99", "mine.yaml: encoding: 'utf-99' is no text encoding"),
        ("encoding: hex", "mine.yaml: encoding: 'hex' is no text encoding"),
        ("currency: {constant: Euro}", "mine.yaml: currency: 'Euro' is no currency code: three letters"),
        ("source: {constant: Foo Bar}", "mine.yaml: source: 'Foo Bar' is no plain label such as google_ads"),
        ("date: {column: Tag, formats: [dd.mm.yyyy]}", "mine.yaml: date.formats: 'dd.mm.yyyy' reads no day"),
        ('date: {column: Tag, formats: ["%d.%m."]}', "mine.yaml: date.formats: '%d.%m.' reads no day"),
        ("keys: {campaign_id: a, campaign_id: b}", "mine.yaml: keys.campaign_id: stands twice, on line"),
    ],
)  # fmt: skip
def test_an_impossible_mapping_is_refused_with_its_path(line, path):
    key = line.split(":")[0]
    kept = [row for row in USER.splitlines() if not row.startswith(f"{key}:")]
    with pytest.raises(MappingError) as raised:
        parse_mapping("\n".join([*kept, line]), "mine.yaml")
    assert path in str(raised.value)


@pytest.mark.parametrize(
    ("line", "faults"),
    [
        (
            "date: {column: Tag, formatz: [x]}",
            ["date.formatz: unknown key. Remove it or check its spelling."],
        ),
        ("date: {month: m, day: d}", ["date.year: required, but missing."]),
        ("date: {timestamp: t, zone: UTC}", ["date.zone: unknown key. Remove it or check its spelling."]),
        ("date: Tag", ["date: expected a section such as {column: Day}, found 'Tag'."]),
        (
            "currency: {header: a, colum: b}",
            ["currency.colum: unknown key. Remove it or check its spelling."],
        ),
        ("fields: {cost: {column: [a, 5]}}", ["fields.cost.column.1: Input should be a valid string"]),
    ],
)
def test_only_the_section_that_was_meant_is_found_fault_with(line, faults):
    key = line.split(":")[0]
    kept = [row for row in USER.splitlines() if not row.startswith(f"{key}:")]
    with pytest.raises(MappingError) as raised:
        parse_mapping("\n".join([*kept, line]), "mine.yaml")
    assert str(raised.value).splitlines() == [f"mine.yaml: {fault}" for fault in faults]


@pytest.mark.parametrize(
    "line",
    [
        "encoding: cp1250",
        "encoding: utf-16",
        "currency: {constant: usd}",
        'date: {column: Tag, formats: ["%d %b %y"]}',
    ],
)
def test_every_usual_encoding_currency_and_format_is_accepted(line):
    key = line.split(":")[0]
    kept = [row for row in USER.splitlines() if not row.startswith(f"{key}:")]
    parse_mapping("\n".join([*kept, line]), "mine.yaml")


GENERIC = [
    "date", "source", "account_id", "campaign_name", "currency", "impressions", "clicks", "cost",
    "conversions_click",
]  # fmt: skip


def test_a_file_without_days_is_told_of_periods():
    reason = recognise(Header(tuple(GENERIC[1:])), (SHIPPED,)).reason
    assert "missing columns: date." in reason
    assert "stream: file_period_performance" in reason
    assert "period: {constant: undated}" in reason


def test_a_missing_column_is_named_once_with_the_one_that_may_be_meant():
    names = [{"campaign_name": "campaign", "date": "day"}.get(name, name) for name in GENERIC]
    reason = recognise(Header(tuple(names)), (SHIPPED,)).reason
    assert "missing columns: date, campaign_name. Is it day for date, campaign for campaign_name?" in reason
    assert "copy the mapping generic_long into _mappings/" in reason
    assert "period" not in reason


def test_a_mapping_says_which_columns_it_cannot_do_without():
    own = parse_mapping(USER, "mine.yaml")
    assert set(missing_columns(own, Header(("Tag", "Klicks")))) == {"Aktion", "Sichten", "Kosten"}


def test_patterns_become_like_patterns_with_wildcards_escaped():
    assert like_pattern("*Security_50%*") == r"%security\_50\%%"
    assert like_pattern("a?b") == "a_b"
    assert like_pattern("back\\slash") == "back\\\\slash"


def test_track_rules_of_the_settings_come_first_and_mappings_bind_their_source():
    rows = track_rule_rows([TrackRule(track="security", campaign="*sec*")], SHIPPED)
    assert rows.row(0) == (1, "security", "%", "%", "%sec%")
    display = rows.filter(rows["track"] == "display").row(0, named=True)
    assert display["source_pattern"] == r"online\_ad\_performance"
    assert rows["rule_order"].is_unique().all()
