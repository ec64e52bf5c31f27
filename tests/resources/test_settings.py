from datetime import date
from pathlib import Path
from typing import get_args

import pytest
import yaml

from models.ranking.candidates import CANDIDATES
from models.ranking.roster import ROSTER
from resources.settings import (
    PROJECT_ROOT,
    CalendarEvent,
    SettingsError,
    SourceName,
    load_settings,
    read_environment,
    require_drop_folder,
)
from resources.settings.creatives import Candidate, Creatives


@pytest.fixture
def write(tmp_path: Path):
    document = yaml.safe_load((PROJECT_ROOT / "aelp.yaml").read_text())

    def _write(change) -> Path:
        change(document)
        path = tmp_path / "aelp.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    return _write


def with_windows(write, *windows):
    return load_settings(write(lambda d: d["guardrails"].update(freeze_windows=list(windows)))).guardrails


def test_a_freeze_window_is_days_of_one_year_or_of_every_year(write):
    sale = {"name": "sale", "first_day": "2026-11-25", "last_day": "2026-11-30"}
    holidays = {"name": "holidays", "first_day": "12-20", "last_day": "01-02", "track": "balance"}
    once, yearly = with_windows(write, sale, holidays).freeze_windows
    assert (once.first_day, once.last_day, once.track) == (date(2026, 11, 25), date(2026, 11, 30), None)
    assert (yearly.first_day, yearly.last_day, yearly.track) == ("12-20", "01-02", "balance")
    assert (once.days, yearly.days) == ((date(2026, 11, 25), date(2026, 11, 30)), ((12, 20), (1, 2)))
    leap, stored = with_windows(
        write,
        {"name": "leap", "first_day": "02-29", "last_day": "02-29"},
        {"name": "stored before", "first_day": [12, 20], "last_day": [1, 2]},
    ).freeze_windows
    assert (leap.days, stored.days) == (((2, 29), (2, 29)), yearly.days)


@pytest.mark.parametrize(
    ("first", "last", "track", "told"),
    [
        ("12-20", "2027-01-02", None, "both with a year or both without"),
        ([13, 45], "12-30", None, "must be a date such as 2026-11-27, or a day of every year"),
        ("W01-1", "12-30", None, "must be a date such as 2026-11-27, or a day of every year"),
        ("2026-12-20", "2026-12-19", None, "must not lie before first_day"),
        ("02-30", "03-01", None, "must be a date such as 2026-11-27, or a day of every year"),
        ("12-20", "12-30", "shoes", "freeze_windows.0.track: 'shoes' is not one of"),
    ],
)
def test_a_freeze_window_that_cannot_be_meant_is_refused(write, first, last, track, told):
    with pytest.raises(SettingsError, match=told):
        with_windows(write, {"name": "sale", "first_day": first, "last_day": last, "track": track})


@pytest.mark.parametrize("name", ["aelp.yaml", "aelp.real.yaml"])
def test_shipped_settings_are_valid(name):
    assert load_settings(PROJECT_ROOT / name).tracks


def test_an_unknown_key_is_refused_with_its_path(write):
    path = write(lambda d: d["tracks"]["security"].update(cac_kap=240))
    with pytest.raises(SettingsError, match=r"aelp.yaml: tracks.security.cac_kap: unknown key"):
        load_settings(path)


@pytest.mark.parametrize(
    ("section", "key", "value", "allowed"),
    [
        ("guardrails", "edit_limit", 0.5, "greater than 0, at most 0.05"),
        ("guardrails", "day_limit", 0.5, "greater than 0, at most 0.1"),
        ("guardrails", "drift_limit", 0.9, "greater than 0, at most 0.2"),
        ("guardrails", "stop_probability", 0.5, "at least 0.9, at most 1"),
        ("guardrails", "stop_spend_caps", 1, "at least 4, at most 100"),
        ("guardrails", "track_raise_probability", 0.7, "greater than 0, at most 0.2"),
        ("guardrails", "edit_cooldown_hours", 1, "at least 72, at most 720"),
        ("guardrails", "total_daily_cap", -1, "greater than 0"),
        ("guardrails", "exploration_floor", 0.0, "at least 0.1, at most 0.5"),
        ("guardrails", "overdelivery", 0, "at least 0.25, at most 1"),
        ("guardrails", "freeze_probability", 0.6, "greater than 0, at most 0.5"),
        ("attribution", "maturity_days", 400, "at least 0, at most 90"),
    ],
)
def test_an_impossible_value_is_refused_with_path_and_range(write, section, key, value, allowed):
    path = write(lambda d: d[section].update({key: value}))
    with pytest.raises(SettingsError, match=rf"{section}\.{key}: .*{allowed}"):
        load_settings(path)


@pytest.mark.parametrize("embedder", ["minilm", "hf:sentence/model@main", "path:here", "bundled:"])
def test_an_embedder_is_named_in_one_of_three_ways(write, embedder):
    path = write(lambda document: document.update(creatives={"text_embedder": embedder}))
    with pytest.raises(SettingsError, match=r"creatives.text_embedder: must be bundled:NAME, hf:"):
        load_settings(path)


@pytest.mark.parametrize(
    ("candidates", "said"),
    [
        (["kernel", "forest"], r"creatives\.candidates\.1: .*'towers'"),
        (["kernel", "kernel"], r"creatives\.candidates: a candidate stands twice"),
        ([], r"creatives\.candidates: .*at least 1"),
    ],
)
def test_rankers_are_named_once_each_and_exist(write, candidates, said):
    path = write(lambda document: document.update(creatives={"candidates": candidates}))
    with pytest.raises(SettingsError, match=said):
        load_settings(path)


def test_every_ranker_there_is_can_be_chosen_and_the_default_needs_no_extra():
    assert get_args(Candidate) == tuple(ROSTER)
    assert Creatives().candidates == tuple(CANDIDATES)


def test_every_fault_is_named_at_once(write):
    def break_two(document):
        document["business_timezone"] = "Mars/Olympus"
        document["tracks"]["balance"]["contribution_margin"] = 1.7

    with pytest.raises(SettingsError) as error:
        load_settings(write(break_two))
    assert "business_timezone" in str(error.value)
    assert "tracks.balance.contribution_margin" in str(error.value)


def test_a_rule_for_an_unknown_track_is_refused(write):
    path = write(lambda d: d["track_rules"].append({"track": "pets", "campaign": "*"}))
    with pytest.raises(SettingsError, match=r"track_rules.2.track: 'pets' is not one of"):
        load_settings(path)


def test_every_track_needs_a_loss_budget(write):
    path = write(lambda d: d["guardrails"]["weekly_loss_budget"].pop("balance"))
    with pytest.raises(SettingsError, match=r"missing \['balance'\]"):
        load_settings(path)


def test_the_hash_follows_the_content(write):
    first = load_settings(write(lambda d: None)).content_hash
    assert load_settings(write(lambda d: None)).content_hash == first
    assert load_settings(write(lambda d: d.update(seed=7))).content_hash != first


def test_python_tags_in_yaml_are_refused(tmp_path):
    path = tmp_path / "aelp.yaml"
    path.write_text("business_timezone: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(SettingsError, match="not valid YAML"):
        load_settings(path)


def test_a_relative_home_is_refused():
    with pytest.raises(SettingsError, match="AELP_HOME: must be an absolute path"):
        read_environment({"AELP_HOME": "here"})


def test_bigquery_needs_a_project():
    with pytest.raises(SettingsError, match="AELP_BIGQUERY_PROJECT"):
        read_environment({"AELP_WAREHOUSE": "bigquery"})


@pytest.mark.parametrize(
    ("section", "key", "allowed"),
    [
        ("tracks.security", "cac_cap", "greater than 0"),
        ("guardrails.weekly_loss_budget", "security", "at least 0"),
    ],
)
def test_the_range_is_found_inside_mappings_too(write, section, key, allowed):
    def change(document):
        for part in section.split("."):
            document = document[part]
        document[key] = -1

    with pytest.raises(SettingsError, match=rf"{section}\.{key}: must be {allowed} \(found -1\)"):
        load_settings(write(change))


def test_slates_cannot_stop_exploring(write):
    with pytest.raises(SettingsError, match=r"slates.explore_share: must be at least 0.1, at most 1"):
        load_settings(write(lambda d: d.update(slates={"explore_share": 0.0})))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"seed": True}, "seed"),
        ({"forecast": {"budget_multipliers": [True]}}, "forecast.budget_multipliers"),
        ({"attribution": {"maturity_days": False}}, "attribution.maturity_days"),
    ],
)
def test_true_is_no_number(write, change, path):
    with pytest.raises(SettingsError, match=rf"{path}: true and false mean nothing here"):
        load_settings(write(lambda d: d.update(change)))


def orders(**changes):
    columns = {"order_id": "id", "ordered_at": "at", "value": "total", "currency": "currency"}
    return {"orders": {"accounts": ["shop"], "table": "sales", "columns": columns} | changes}


def test_every_source_can_be_named_in_the_settings():
    assert load_settings(PROJECT_ROOT / "aelp.yaml").source_names == list(get_args(SourceName))


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ({"pinterest": {"accounts": ["1"]}}, r"sources.pinterest: unknown key"),
        ({"meta": {"accounts": ["1"], "pace": 1}}, r"sources.meta.pace: unknown key"),
        ({"meta": {"accounts": []}}, r"sources.meta.accounts: .* at least 1 item"),
        ({"meta": {"accounts": ["1", "1"]}}, r"sources.meta.accounts: an account stands twice"),
        (
            {"meta": {"accounts": ["1", "2", "act_1"]}},
            r"sources.meta.accounts: an account stands twice: 1 and act_1 are the same",
        ),
        (
            {"linkedin": {"accounts": ["urn:li:sponsoredAccount:5", "5"]}},
            r"sources.linkedin.accounts: an account stands twice",
        ),
        (
            {"google_ads": {"accounts": ["4721189034", "472-118-9034"]}},
            r"sources.google_ads.accounts: an account stands twice",
        ),
        (
            {"meta": {"accounts": ["1"], "calls_per_hour": 0}},
            r"sources.meta.calls_per_hour: must be at least 1, at most 1e\+06",
        ),
        (
            {"ga4": {"accounts": ["1"], "backfill_days": 9999}},
            r"sources.ga4.backfill_days: must be at least 1, at most 1,125",
        ),
        ({"google_ads": {"accounts": ["northstar"]}}, r"sources.google_ads.accounts.0: .* as 123-456-7890"),
        ({"ga4": {"accounts": ["G-ABC123"]}}, r"sources.ga4.accounts.0: .* is a measurement id"),
        ({"ga4": {"accounts": ["1"], "unset_consent": "maybe"}}, r"sources.ga4.unset_consent: .*'refused'"),
        (orders(table="sales; drop table sales"), r"sources.orders.table: must be a table or view"),
        (orders(columns={"order_id": 'x" from y --'}), r"sources.orders.columns.order_id: .* plain column"),
        (orders(columns={"profit": "p"}), r"sources.orders.columns.profit"),
        (orders(columns={"order_id": "id", "value": "v"}), r"sources.orders: columns: .* ordered_at"),
        (orders(accounts=["a", "b"]), r"sources.orders: columns: name the column of store_id"),
        (orders(currency="USD"), r"sources.orders: currency: give either"),
        (orders(timezone="New York"), r"sources.orders.timezone: must be an IANA time zone"),
        ({"vendor_files": {"accounts": ["a", "b"]}}, r"sources.vendor_files.accounts: .* at most 1 item"),
        (
            {"vendor_files": {"accounts": ["a"], "settle_seconds": -1}},
            r"sources.vendor_files.settle_seconds: must be at least 0, at most 600",
        ),
        ({"ad_library": {"searches": []}}, r"sources.ad_library.searches: .* at least 1 item"),
        ({"ad_library": {"searches": [{}]}}, r"sources.ad_library.searches.0: .* either terms or page_ids"),
        (
            {"ad_library": {"searches": [{"terms": "a", "page_ids": ["1"]}]}},
            r"sources.ad_library.searches.0: .* either terms or page_ids",
        ),
        (
            {"ad_library": {"searches": [{"page_ids": list("12345678901")}]}},
            r"sources.ad_library.searches.0.page_ids: .* at most 10 items",
        ),
        (
            {"ad_library": {"searches": [{"terms": "a", "countries": ["usa"]}]}},
            r"sources.ad_library.searches.0.countries.0: must be an ISO country code",
        ),
        (
            {"ad_library": {"searches": [{"terms": "a"}], "monthly_searches": 0}},
            r"sources.ad_library.monthly_searches: must be at least 1, at most 100,000",
        ),
    ],
)
def test_a_source_that_cannot_be_meant_is_refused_with_its_path(write, sources, said):
    with pytest.raises(SettingsError, match=said):
        load_settings(write(lambda d: d.update(sources=sources)))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["maya", "maya"], "an approver stands twice"),
        (["aelp"], "aelp is what the morning's run proposes as"),
    ],
)
def test_an_approver_is_one_person(write, names, said):
    path = write(lambda d: d.update(governance={"approvers": [{"name": name} for name in names]}))
    with pytest.raises(SettingsError, match=f"governance.approvers: .*{said}"):
        load_settings(path)


def test_a_secret_is_not_a_setting(write):
    for name, key in (("orders", "url"), ("ga4", "access_token"), ("vendor_files", "password")):
        path = write(lambda d, name=name, key=key: d["sources"][name].update({key: "s3cret"}))
        with pytest.raises(SettingsError, match=rf"sources.{name}.{key}: unknown key") as error:
            load_settings(path)
        assert "s3cret" not in str(error.value)


def test_a_customer_id_is_spelt_as_google_spells_it(write):
    path = write(lambda d: d["sources"]["google_ads"].update(accounts=["4721189034"]))
    assert load_settings(path).sources["google_ads"].accounts == ["472-118-9034"]


@pytest.mark.parametrize("start", ["2999-01-01", "1970-01-01"])
def test_a_history_that_starts_in_the_future_or_before_any_platform_is_refused(write, start):
    with pytest.raises(SettingsError, match="history_start: must lie between 2000-01-01 and today"):
        load_settings(write(lambda d: d.update(history_start=start)))


def test_a_key_that_stands_twice_is_refused_with_both_lines(tmp_path):
    path = tmp_path / "aelp.yaml"
    text = (PROJECT_ROOT / "aelp.yaml").read_text()
    path.write_text(text.replace("    cac_cap: 240\n", "    cac_cap: 240\n    cac_cap: 999\n"))
    with pytest.raises(SettingsError, match=r"aelp.yaml: tracks.security.cac_cap: stands twice, on lines"):
        load_settings(path)


@pytest.mark.parametrize("url", ["memory://bucket/exports", "file:///tmp"])
def test_a_drop_folder_may_be_a_url(url):
    environment = read_environment({"AELP_DROP": url})
    assert environment.drop_folder == url
    require_drop_folder(environment)


def test_a_local_drop_folder_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_environment({"AELP_DROP": "exports"}).drop_folder == str(tmp_path / "exports")


def test_a_named_drop_folder_that_cannot_be_read_is_refused_and_the_default_may_be_absent(tmp_path):
    (tmp_path / "june.csv").write_text("Day,Cost\n")
    for named, said in [
        (str(tmp_path / "nowhere"), "no such folder"),
        (f"file://{tmp_path}/nowhere", "no such folder"),
        (str(tmp_path / "june.csv"), "is a file"),
        ("nostore://bucket/exports", "cannot be read"),
    ]:
        with pytest.raises(SettingsError, match=f"AELP_DROP: .*{said}"):
            require_drop_folder(read_environment({"AELP_DROP": named}))
    require_drop_folder(read_environment({"AELP_HOME": str(tmp_path)}))


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (("02-29", "03-01"), r"events.0.first_day: not every year has this day"),
        (
            ("02-30", "03-01"),
            r"events.0.first_day: must be a date such as 2026-11-27, or a day of every year",
        ),
        (("12-27", "13-01"), r"events.0.last_day: must be a date such as 2026-11-27, or a day of every year"),
        (
            ("12-27", "2027-01-05"),
            r"events.0: first_day and last_day: write both with a year or both without",
        ),
        (("2026-01-05", "2026-01-01"), r"events.0: last_day: must lie less than 60 days after first_day"),
        (("03-01", "11-01"), r"events.0: last_day: must lie less than 60 days after first_day"),
    ],
)
def test_an_event_that_cannot_be_meant_is_refused_with_its_path(write, days, said):
    event = {"name": "sale", "first_day": days[0], "last_day": days[1]}
    with pytest.raises(SettingsError, match=said):
        load_settings(write(lambda d: d.update(events=[event])))


def test_an_event_of_an_unknown_track_is_refused(write):
    event = {"name": "sale", "first_day": "03-01", "last_day": "03-01", "track": "shoes"}
    with pytest.raises(SettingsError, match=r"events.0.track: 'shoes' is not one of"):
        load_settings(write(lambda d: d.update(events=[event])))


def test_a_yearly_event_may_run_over_new_year():
    event = CalendarEvent(name="new_year", first_day="12-27", last_day="01-05")
    held = event.occurrences(date(2025, 1, 3), date(2025, 12, 27))
    assert held == [(date(2024, 12, 27), date(2025, 1, 5)), (date(2025, 12, 27), date(2026, 1, 5))]
    once = CalendarEvent(name="sale", first_day=date(2025, 3, 1), last_day=date(2025, 3, 2))
    assert once.occurrences(date(2025, 3, 2), date(2025, 4, 1)) == [(date(2025, 3, 1), date(2025, 3, 2))]
    assert once.occurrences(date(2025, 3, 3), date(2025, 4, 1)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"week_starts_on": "someday"}, r"media_mix.week_starts_on: Input should be 'monday'"),
        ({"channels": [{"channel": "TV spots"}]}, "media_mix.channels.0.channel: must be a plain name"),
        ({"channels": [{"chanel": "tv"}]}, "media_mix.channels.0.chanel: unknown key"),
        (
            {
                "channels": [
                    {"channel": "a", "platform": "meta"},
                    {"channel": "b", "platform": "meta", "campaign": "x"},
                ]
            },
            "channels.1: never matches, because channels.0 takes all it could; put the narrower rule first",
        ),
        (
            {"promotions": [{"name": "sale", "first_day": "03-01", "last_day": "03-07", "track": "shoes"}]},
            "media_mix.promotions.0.track: 'shoes' is not one of",
        ),
    ],
)
def test_a_media_mix_that_cannot_be_meant_is_refused(write, change, told):
    with pytest.raises(SettingsError, match=told):
        load_settings(write(lambda d: d["media_mix"].update(change)))


@pytest.mark.parametrize(
    "prefix", ["a b", "a-", '"; drop schema raw; --', "1a_", "a\n", "{{ x }}", "a." * 30]
)
def test_a_dataset_prefix_that_is_no_name_reaches_neither_sql_nor_dbt(prefix):
    with pytest.raises(SettingsError, match="AELP_DATASET_PREFIX"):
        read_environment({"AELP_DATASET_PREFIX": prefix})
    assert read_environment({"AELP_DATASET_PREFIX": "dev_7_"}).dataset_prefix == "dev_7_"
