"""Hours, ages, genders: what the servers break down adds up, and only what a platform tells is told."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from resources.connectors.google_ads.credentials import GoogleAdsCredentials
from resources.connectors.google_ads.source import GoogleAdsSource
from resources.connectors.meta.credentials import MetaCredentials
from resources.connectors.meta.source import MetaSource
from resources.connectors.source import Account, Pull, Source
from resources.creative_assets import AssetStore
from resources.sandbox.catalogue import GOOGLE, META, PLATFORMS
from resources.sandbox.servers.account import ServedAccount
from resources.sandbox.servers.faults import FaultScript
from resources.sandbox.servers.google_ads import GoogleAdsServer
from resources.sandbox.servers.meta import MetaServer

LAST = date(2026, 6, 29)
FIRST = LAST - timedelta(days=9)
TOKEN = "ya29.a0-sandbox-token"
MONEY = pl.Decimal(30, 6)
META_TOTALS = [
    *("impressions", "clicks", "inline_link_clicks", "spend"),
    *("purchases_7d_click", "purchases_1d_view", "purchase_value_7d_click", "purchase_value_1d_view"),
]
GOOGLE_TOTALS = ["impressions", "clicks", "cost", "conversions", "conversions_value"]


def rows(source: Source, name: str, platform: int) -> pl.DataFrame:
    told = PLATFORMS[platform]
    account = Account(told.account_id, told.account_name, "USD", "America/New_York")
    report = next(report for report in source.reports if report.name == name)
    spans = [(FIRST, LAST)] if report.longest_days > 1 else [(LAST, LAST)]
    pages = [
        page.rows.cast(pl.String)
        for first, last in spans
        for page in source.pages(Pull(account, report, first, last))
    ]
    return pl.concat(pages, how="diagonal")


def sums(frame: pl.DataFrame, keys: list[str], metrics: list[str]) -> pl.DataFrame:
    counted = frame.group_by("report_date", *keys).agg(pl.col(metrics).cast(MONEY).sum())
    return counted.filter(pl.any_horizontal(pl.col(metrics) != 0)).sort("report_date", *keys)


@pytest.fixture
def meta(served: ServedAccount, tmp_path):
    with MetaServer(served, TOKEN) as server:
        yield MetaSource(
            MetaCredentials(TOKEN, None),
            assets=AssetStore(tmp_path),
            sleep=lambda _: None,
            now=served.now,
            base_url=server.url,
            rng=np.random.default_rng(1),
        )


@pytest.fixture
def google(served: ServedAccount):
    server = GoogleAdsServer(served, TOKEN, FaultScript())
    source = GoogleAdsSource(GoogleAdsCredentials(access_token=TOKEN), endpoint=server.endpoint)
    yield source
    source.close()
    server.close()


def test_ages_and_genders_add_up_to_the_ad_sets_of_the_call_without_breakdown(meta):
    keys = ["campaign_id", "adset_id"]
    whole = sums(rows(meta, "meta_ads_insights/none", META), keys, META_TOTALS)
    parts = rows(meta, "meta_ads_insights_by_segment/age_gender", META)
    assert whole.height > 50
    assert sums(parts, keys, META_TOTALS).equals(whole)
    assert parts.select("age", "gender").n_unique() == 21
    assert not [name for name in parts.columns if name.startswith(("video", "unique"))]


def test_hours_of_a_day_add_up_and_have_no_purchases(meta):
    keys = ["campaign_id", "adset_id"]
    delivery = META_TOTALS[:4]
    day = pl.col("report_date") == LAST.isoformat()
    whole = sums(rows(meta, "meta_ads_insights/none", META).filter(day), keys, delivery)
    hours = rows(meta, "meta_ads_insights_by_hour/hour", META)
    assert sums(hours, keys, delivery).equals(whole)
    assert set(hours["hour"]) == {f"{hour:02d}" for hour in range(24)}
    assert not [name for name in hours.columns if "purchase" in name or name.startswith("action")]


@pytest.mark.parametrize(
    ("name", "keys", "part"),
    [
        ("google_ads_campaign_by_hour/hour", ["campaign_id"], "hour"),
        ("google_ads_demographics/age", ["campaign_id", "ad_group_id"], "segment"),
        ("google_ads_demographics/gender", ["campaign_id", "ad_group_id"], "segment"),
    ],
)
def test_google_s_parts_add_up_to_the_cent_and_to_the_fraction_of_a_conversion(google, name, keys, part):
    whole = sums(rows(google, "google_ads_ad_performance/network_device", GOOGLE), keys, GOOGLE_TOTALS)
    parts = rows(google, name, GOOGLE)
    assert whole.height > 20
    assert sums(parts, keys, GOOGLE_TOTALS).equals(whole)
    found = {"hour": {str(hour) for hour in range(24)}, "segment": set(parts[part])}[part]
    assert set(parts[part]) == found
    assert all(Decimal(cost) == round(Decimal(cost), 2) for cost in parts["cost"])


def test_a_conversion_that_comes_later_moves_none_that_was_there(served: ServedAccount, meta):
    name = "meta_ads_insights_by_segment/age_gender"
    now = served.now()
    later = rows(meta, name, META)
    served.now = lambda: now - timedelta(days=2)
    early = rows(meta, name, META)
    keys = ["report_date", "adset_id", "age", "gender"]
    bought = pl.col("purchases_7d_click").cast(pl.Int64)
    both = early.select(*keys, bought).join(later.select(*keys, bought), on=keys)
    assert (both["purchases_7d_click_right"] >= both["purchases_7d_click"]).all()
    assert both["purchases_7d_click_right"].sum() > both["purchases_7d_click"].sum()
