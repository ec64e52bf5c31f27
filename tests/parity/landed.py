"""The small raw data both warehouses are built from: hand-written rows, landed in three steps.

Here: rows and ledger of every stream. Not here: what the marts must make of them (`expected.py`).

The first step lands everything up to 8 June 2026. The second lands the 9th, restates the 5th (one ad
changed, one vanished), empties the 4th and brings a late day, the 6th of account m2. The third lands the 10th
and restates the 9th; one account of the 10th is pulled on the two days after, too. A failed attempt and an
unchanged re-pull are in the ledger too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from resources.warehouse.interface import Append, Write
from resources.warehouse.tables import (
    ACCOUNT_AUDITS,
    ACCOUNTS,
    CHANNEL_RULES,
    INGEST_SLICES,
    MEDIA_WEEKS,
    PYTHON_TABLES,
    REWARD_DEFINITIONS,
    TRACK_RULES,
)

Payload = Mapping[str, str]


def day(number: int) -> date:
    return date(2026, 6, number)


@dataclass(frozen=True)
class Landing:
    """One finished attempt at a slice: its rows are (grain keys, payload) pairs."""

    step: int
    batch: str
    stream: str
    source: str
    account_id: str
    report_date: date | None
    breakdown_set: str
    rows: Sequence[tuple[tuple[str, ...], Payload]] = ()
    status: str = "complete"
    data_batch: str | None = None


def meta(creative: str | None = None, campaign: str = "Security US", **numbers: str) -> Payload:
    named = {"campaign_name": campaign, "adset_name": "Set", "ad_name": "Ad", "currency": "USD"}
    return named | ({"creative_id": creative} if creative else {}) | numbers


def _meta(
    impressions: str, clicks: str, link: str, unique: str, spend: str, bought: str, viewed: str
) -> Payload:
    return meta(
        creative="cr1",
        impressions=impressions,
        reach=impressions,
        clicks=clicks,
        inline_link_clicks=link,
        unique_inline_link_clicks=unique,
        spend=spend,
        purchases_7d_click=bought,
        purchases_1d_view=viewed,
        purchase_value_7d_click=f"{bought}0",
    )


def _part(impressions: str, link: str, spend: str, bought: str | None = None, viewed: str = "0") -> Payload:
    """An ad set's part of a day; by hour nothing is known of purchases."""
    told = {} if bought is None else {"purchases_7d_click": bought, "purchases_1d_view": viewed}
    return meta(impressions=impressions, clicks=link, inline_link_clicks=link, spend=spend, **told)


A1 = ("c1", "s1", "a1")
A2 = ("c1", "s1", "a2")
A3 = ("c2", "s2", "a3")
INSIGHTS, PLACES = "meta_ads_insights", "meta_ads_insights_by_placement"


def _place(link: str, spend: str, impressions: str, bought: str) -> Payload:
    return meta(
        creative="cr1",
        impressions=impressions,
        clicks=link,
        inline_link_clicks=link,
        spend=spend,
        purchases_7d_click=bought,
    )


def _search(conversions: str, value: str) -> dict[str, str]:
    return {
        "campaign_name": "Security search",
        "currency": "USD",
        "impressions": "200",
        "clicks": "20",
        "cost": "4",
        "conversions": conversions,
        "conversions_value": value,
    }


_MAX = {"campaign_name": "Security max", "channel_type": "PERFORMANCE_MAX", "currency": "USD"}


def _fetched(sha256: str, **told: str) -> Payload:
    return {
        "content_sha256": sha256,
        "content_type": "image/png",
        "byte_count": "7",
        "outcome": "fetched",
    } | told


def _budget_change(time: str) -> Payload:
    return {"changed_at": f"2026-06-08T{time}:00Z", "old_budget": "40", "new_budget": "50"}


_SEARCH_AD = {
    "session_source": "google",
    "session_medium": "cpc",
    "session_campaign_name": "Security search",
    "device_category": "mobile",
}
_DIRECT = {"session_source": "(direct)", "session_medium": "(none)", "device_category": "desktop"}
_AD_VISIT = {"traffic_source": "google", "traffic_medium": "cpc", "traffic_campaign": "Security search"}


def _bought(times: str, revenue: str) -> Payload:
    return _SEARCH_AD | {"event_name": "purchase", "key_events": times, "purchase_revenue": revenue}


def _event(name: str, at: str, browser: str = "", revenue: str = "", **fields: str) -> Payload:
    session = f"{browser}.{at[8:10]}" if browser else ""  # one a day
    known = {"user_pseudo_id_hash": browser, "ga_session_id": session, "purchase_revenue": revenue}
    return {"event_name": name, "event_at": at} | {k: v for k, v in known.items() if v} | fields


LANDINGS: tuple[Landing, ...] = (
    # Meta m1, without breakdown.
    Landing(
        1,
        "b01",
        INSIGHTS,
        "meta",
        "m1",
        day(4),
        "none",
        [(A1, _meta("1000", "50", "20", "18", "10", "2", "1"))],
    ),
    Landing(
        1,
        "b01",
        INSIGHTS,
        "meta",
        "m1",
        day(5),
        "none",
        [
            (A1, _meta("1200", "60", "24", "20", "12.345678901", "1.5", "0")),
            (A2, _meta("500", "10", "5", "5", "5", "0", "0")),
        ],
    ),
    Landing(
        1,
        "b01",
        INSIGHTS,
        "meta",
        "m1",
        day(8),
        "none",
        [
            (A1, _meta("2000", "80", "40", "35", "20", "4", "2")),
            # No metric but impressions, and a campaign no rule knows.
            (A3, meta(campaign="Old brand", impressions="0")),
        ],
    ),
    # The same day once more, unchanged: nothing written, b01's rows still count.
    Landing(1, "b02", INSIGHTS, "meta", "m1", day(8), "none", data_batch="b01"),
    # Restated: a1 gained a dollar and link clicks, a2 vanished. A later attempt failed.
    Landing(
        2,
        "b11",
        INSIGHTS,
        "meta",
        "m1",
        day(5),
        "none",
        [(A1, _meta("1200", "66", "30", "25", "13.345678901", "2", "0"))],
    ),
    Landing(2, "b12", INSIGHTS, "meta", "m1", day(5), "none", status="failed"),
    # Emptied.
    Landing(2, "b11", INSIGHTS, "meta", "m1", day(4), "none"),
    Landing(
        2,
        "b11",
        INSIGHTS,
        "meta",
        "m1",
        day(9),
        "none",
        [(A1, _meta("3000", "120", "60", "50", "30", "5", "1"))],
    ),
    # Late conversions restate the 9th.
    Landing(
        3,
        "b21",
        INSIGHTS,
        "meta",
        "m1",
        day(9),
        "none",
        [(A1, _meta("3000", "120", "60", "50", "30", "7", "1"))],
    ),
    Landing(
        3,
        "b21",
        INSIGHTS,
        "meta",
        "m1",
        day(10),
        "none",
        [
            (
                A1,
                {
                    **_meta("4000", "160", "80", "70", "40", "6", "0"),
                    "video_3s_views": "900",
                    "video_p100": "45",
                },
            )
        ],
    ),
    # Meta m1 by placement: the same dollars of the 8th again.
    Landing(
        1,
        "b01",
        PLACES,
        "meta",
        "m1",
        day(8),
        "placement",
        [
            ((*A1, "facebook", "feed", "mobile_app"), _place("30", "15", "1500", "3")),
            ((*A1, "instagram", "stories", "mobile_app"), _place("10", "5", "500", "1")),
        ],
    ),
    # Meta m2 lands by placement only; its 6th arrives late.
    Landing(
        1,
        "b01",
        PLACES,
        "meta",
        "m2",
        day(8),
        "placement",
        [
            (("c1", "s9", "b1", "facebook", "feed", "desktop"), _place("3", "3", "300", "0")),
            (("c1", "s9", "b1", "instagram", "feed", "mobile_app"), _place("4", "4", "400", "1")),
        ],
    ),
    Landing(
        2,
        "b11",
        PLACES,
        "meta",
        "m2",
        day(6),
        "placement",
        [(("c1", "s9", "b1", "facebook", "feed", "desktop"), _place("2", "2.5", "250", "0"))],
    ),
    Landing(
        1,
        "b01",
        "google_ads_ad_performance",
        "google_ads",
        "g1",
        day(8),
        "network_device",
        [
            (
                ("gc", "gg", "ga", "SEARCH", "MOBILE"),
                {
                    "campaign_name": "Balance search",
                    "currency": "USD",
                    "impressions": "100",
                    "clicks": "10",
                    "cost": "1.1",
                    "conversions": "0.5",
                    "conversions_value": "20",
                },
            ),
            (
                ("gc", "gg", "ga", "SEARCH", "DESKTOP"),
                {
                    "campaign_name": "Balance search",
                    "currency": "USD",
                    "impressions": "100",
                    "clicks": "10",
                    "cost": "0.9",
                    "conversions": "0.25",
                },
            ),
            (
                ("gc", "gg", "ga", "DISPLAY", "MOBILE"),
                {
                    "campaign_name": "Balance search",
                    "currency": "USD",
                    "impressions": "800",
                    "clicks": "5",
                    "cost": "1",
                    "view_through_conversions": "2",
                },
            ),
        ],
    ),
    Landing(
        1,
        "b01",
        "tiktok_ads_report",
        "tiktok",
        "t1",
        day(8),
        "none",
        [
            # An unreadable number counts as none.
            (
                ("tc", "tg", "ta"),
                {
                    "campaign_name": "balance spark",
                    "currency": "EUR",
                    "impressions": "700",
                    "clicks": "n/a",
                    "spend": "7.000000001",
                    "conversions_click": "1",
                    "conversions_view": "3",
                },
            )
        ],
    ),
    Landing(
        1,
        "b01",
        "linkedin_ad_analytics",
        "linkedin",
        "l1",
        day(8),
        "none",
        [
            (
                ("lg", "lc", "la"),
                {
                    "campaign_group_name": "Security leaders",
                    "campaign_name": "Titles",
                    "currency": "USD",
                    "impressions": "50",
                    "clicks": "2",
                    "spend": "9.5",
                    "conversions_post_click": "1",
                    "conversion_value": "100",
                },
            )
        ],
    ),
    # f1: two ads that a mapping declares as levers; on the 8th its placements repeat the total.
    *(
        Landing(
            step,
            f"b{step - 1}1",
            "file_ad_performance",
            "shop",
            "f1",
            day(number),
            "none",
            [
                (
                    ("fc", "fg", ad, "__none__", "__none__"),
                    {
                        "campaign_name": "Security banners",
                        "currency": "EUR",
                        "impressions": impressions,
                        "clicks": "2",
                        "cost": cost,
                        "conversions_click": "1",
                    },
                )
                for ad, impressions, cost in ads
            ],
        )
        for step, number, ads in (
            (1, 1, [("f-a", "10", "4.01"), ("f-b", "20", "6")]),
            (1, 8, [("f-a", "30", "1")]),
            (2, 9, [("f-a", "40", "2.02")]),
        )
    ),
    Landing(
        1,
        "b01",
        "file_ad_performance",
        "shop",
        "f1",
        day(8),
        "placement",
        [
            (("fc", "fg", "f-a", "top", "__none__"), {"impressions": "20", "clicks": "1", "cost": "0.6"}),
            (
                ("fc", "fg", "f-a", "side", "__none__"),
                {"impressions": "10", "clicks": "1", "cost": "0.4", "conversions_click": "1"},
            ),
        ],
    ),
    # f2: no ads and no total, only placements of ad groups.
    Landing(
        1,
        "b01",
        "file_ad_performance",
        "shop",
        "f2",
        day(8),
        "placement",
        [
            (
                ("fx", "grp", "__none__", "top", "x"),
                {"impressions": "5", "clicks": "1", "cost": "1", "revenue": "3"},
            ),
            (("fx", "grp", "__none__", "top", "y"), {"impressions": "6", "clicks": "1", "cost": "2"}),
        ],
    ),
    # A file can speak for a Meta account too: on the 7th Meta itself said nothing about m1.
    Landing(
        1,
        "b01",
        "file_ad_performance",
        "meta",
        "m1",
        day(7),
        "none",
        [
            (
                ("c1", "s7", "a7", "__none__", "__none__"),
                {
                    "campaign_name": "Security US",
                    "currency": "USD",
                    "impressions": "400",
                    "clicks": "8",
                    "cost": "5.5",
                    "conversions_click": "1",
                },
            )
        ],
    ),
    # k1 has no days at all.
    Landing(
        1,
        "b01",
        "file_period_performance",
        "kag",
        "k1",
        None,
        "none",
        [
            (
                ("kc", "kg", "ka", "__none__", "30-34 M", "unknown"),
                {
                    "campaign_name": "916",
                    "impressions": "7350",
                    "clicks": "1",
                    "cost": "1.43",
                    "conversions_click": "2",
                },
            )
        ],
    ),
    # Before the daily reports, an agency's weeks; in the later one TV was off, and nobody wrote it down.
    Landing(
        1,
        "b01",
        "media_history",
        "media_history",
        "agency",
        None,
        "none",
        [
            (
                ("security", channel, f"{first}..{last}"),
                {
                    "currency": "USD",
                    "period_start": first,
                    "period_end": last,
                    "spend": spend,
                    "conversions_click": "3",
                    "conversions_view": "2",
                    "new_customers": new_customers,
                    "revenue": "900.5",
                },
            )
            for first, last, channel, spend, new_customers in (
                ("2026-05-18", "2026-05-24", "social", "10.25", "7"),
                ("2026-05-18", "2026-05-24", "tv", "40", "7"),
                ("2026-05-25", "2026-05-31", "social", "12", "8"),
            )
        ],
    ),
    Landing(
        1,
        "b01",
        "orders",
        "orders",
        "s1",
        day(8),
        "none",
        [
            (
                ("o1",),
                {
                    "customer_id": "h1",
                    "ordered_at": "2026-06-08T23:30:00-04:00",
                    "currency": "USD",
                    "value": "199.99",
                    "is_new_customer": "true",
                    "track": "security",
                },
            )
        ],
    ),
    Landing(
        2,
        "b11",
        "orders",
        "orders",
        "s1",
        day(8),
        "none",
        [
            (
                ("o1",),
                {
                    "customer_id": "h1",
                    "ordered_at": "2026-06-08T23:30:00-04:00",
                    "currency": "USD",
                    "value": "199.99",
                    "is_new_customer": "true",
                    "track": "security",
                    "refunded_at": "2026-06-09T12:00:00Z",
                },
            )
        ],
    ),
    Landing(
        1,
        "b01",
        "creatives",
        "meta",
        "m1",
        day(8),
        "none",
        [(("cr1",), {"headline": "Old", "format": "image"})],
    ),
    Landing(
        2,
        "b11",
        "creatives",
        "meta",
        "m1",
        day(9),
        "none",
        [
            (
                ("cr1",),
                {"headline": "Néw", "format": "image", "image_hash": "ha", "created_on": "2026-05-01"},
            ),
            (("cr2",), {"headline": "Seen", "format": "video", "video_id": "v1"}),
            (("cr3",), {"headline": "Lost", "format": "video", "image_hash": "hb", "video_id": "v1"}),
        ],
    ),
    *(
        Landing(
            step,
            f"b{step - 1}1",
            "levers",
            "meta",
            "m1",
            day(number),
            "none",
            [
                (
                    ("L1",),
                    {
                        "lever_level": "adset",
                        "campaign_id": "c1",
                        "entity_id": "s1",
                        "entity_name": "Set",
                        "budget_type": "daily",
                        "currency": "USD",
                        "budget": budget,
                        "minimum_budget": "1",
                        "budget_increment": "0.01",
                        "is_shared": "false",
                        "learning_state": "active",
                        "last_edited_at": "2026-06-07T23:30:00Z",
                        "status": "active",
                    },
                ),
                (
                    ("L2",),
                    {
                        "lever_level": "campaign",
                        "campaign_id": "c2",
                        "entity_id": "c2",
                        "entity_name": "Old brand",
                        "budget_type": "lifetime",
                        "budget": "500",
                        "status": "paused",
                    },
                ),
            ],
        )
        for step, number, budget in ((2, 9, "50"), (3, 10, "52.5"))
    ),
    # g2: a search campaign whose conversions arrive over two days, then nothing new a day later; and a
    # Performance Max campaign, which has a total and no ads.
    *(
        Landing(
            3,
            batch,
            "google_ads_ad_performance",
            "google_ads",
            "g2",
            day(10),
            "network_device",
            rows,
            data_batch=data_batch,
        )
        for batch, data_batch, rows in (
            ("b21", None, [(("sc", "sg", "sa", "SEARCH", "MOBILE"), _search("1", "20"))]),
            ("b1461", None, [(("sc", "sg", "sa", "SEARCH", "MOBILE"), _search("3", "60"))]),
            ("b2901", "b1461", []),
        )
    ),
    Landing(
        3,
        "b1461",
        "google_ads_campaign_performance",
        "google_ads",
        "g2",
        day(10),
        "network_device",
        [
            (("sc", "SEARCH", "MOBILE"), _search("3", "60") | {"channel_type": "SEARCH"}),
            (
                ("px", "MIXED", "MOBILE"),
                _MAX
                | {
                    "impressions": "50",
                    "clicks": "5",
                    "cost": "2.5",
                    "conversions": "1",
                    "conversions_value": "30",
                    "video_views": "10",
                    "video_view_rate": "0.2",
                },
            ),
            (("px", "MIXED", "DESKTOP"), _MAX | {"impressions": "30", "clicks": "1", "cost": "0.5"}),
        ],
    ),
    Landing(
        3,
        "b1461",
        "google_ads_conversions",
        "google_ads",
        "g2",
        day(10),
        "action",
        [
            (
                ("sc", "sg", "11"),
                {
                    "conversion_action_name": "Purchase",
                    "conversions": "3",
                    "conversions_value": "60",
                    "all_conversions": "3",
                },
            ),
            (
                ("sc", "sg", "12"),
                {"conversion_action_name": "Newsletter", "conversions": "0", "all_conversions": "4"},
            ),
            (
                ("px", "__none__", "11"),
                {"conversion_action_name": "Purchase", "conversions": "1", "all_conversions": "1.5"},
            ),
        ],
    ),
    Landing(
        3,
        "b1461",
        "google_ads_keywords",
        "google_ads",
        "g2",
        day(10),
        "none",
        [(("sc", "sg", "kw"), {"keyword_text": "alarm", "match_type": "EXACT", "clicks": "20", "cost": "4"})],
    ),
    # Breakdowns of whole days: m1's 10th by hour and by age and gender, g2's by hour, by age and by gender.
    *(
        Landing(3, batch, stream, source, account, day(10), breakdown, rows)
        for batch, stream, source, account, breakdown, rows in (
            (
                "b21",
                "meta_ads_insights_by_hour",
                "meta",
                "m1",
                "hour",
                [
                    (("c1", "s1", "09"), _part("1500", "30", "15")),
                    (("c1", "s1", "13"), _part("2500", "50", "25")),
                ],
            ),
            (
                "b21",
                "meta_ads_insights_by_segment",
                "meta",
                "m1",
                "age_gender",
                [
                    (("c1", "s1", "25-34", "female"), _part("3000", "60", "30", "5", "1")),
                    (("c1", "s1", "25-34", "male"), _part("1000", "20", "10", "1", "0")),
                ],
            ),
            (
                "b1461",
                "google_ads_campaign_by_hour",
                "google_ads",
                "g2",
                "hour",
                [(("sc", "9"), _search("1", "20")), (("sc", "21"), _search("2", "40"))],
            ),
            (
                "b1461",
                "google_ads_demographics",
                "google_ads",
                "g2",
                "age",
                [(("sc", "sg", "503002"), _search("3", "60") | {"segment": "25-34"})],
            ),
            (
                "b1461",
                "google_ads_demographics",
                "google_ads",
                "g2",
                "gender",
                [(("sc", "sg", "11"), _search("3", "60") | {"segment": "female"})],
            ),
        )
    ),
    # Google Analytics, two calls a day: the 8th's key events are restated, the 9th's were never read.
    *(
        Landing(step, f"b{step - 1}1", "ga4_reports", "ga4", "p1", day(number), report, rows)
        for step, number, report, rows in (
            (
                1,
                8,
                "sessions",
                [
                    (
                        ("sessions", "h1"),
                        _SEARCH_AD | {"sessions": "10", "engaged_sessions": "6", "total_users": "9"},
                    ),
                    (
                        ("sessions", "h2"),
                        _DIRECT
                        | {"sessions": "4", "engaged_sessions": "1", "total_users": "4"}
                        | {"data_loss_from_other_row": "true"},
                    ),
                ],
            ),
            (
                1,
                8,
                "key_events",
                [
                    (("key_events", "k1"), _bought("1.5", "19.99")),
                    (("key_events", "k2"), _SEARCH_AD | {"event_name": "sign_up", "key_events": "2"}),
                ],
            ),
            (
                2,
                8,
                "key_events",
                [
                    (("key_events", "k1"), _bought("2.25", "25")),
                    (("key_events", "k2"), _SEARCH_AD | {"event_name": "sign_up", "key_events": "1"}),
                    (
                        ("key_events", "k3"),
                        {"device_category": "mobile", "event_name": "purchase", "key_events": "1"},
                    ),
                ],
            ),
            (
                2,
                9,
                "sessions",
                [
                    (
                        ("sessions", "h1"),
                        _SEARCH_AD | {"sessions": "3", "engaged_sessions": "3", "total_users": "3"},
                    )
                ],
            ),
        )
    ),
    # Logs and snapshots tell the same thing day after day.
    *(
        Landing(step, f"b{step - 1}1", stream, source, account, day(number), "none", rows)
        for stream, source, account, tellings in (
            (
                "google_ads_changes",
                "google_ads",
                "g1",
                (
                    (1, 8, [(("ch1",), _budget_change("10:00"))]),
                    (2, 9, [(("ch1",), _budget_change("10:00")), (("ch2",), _budget_change("11:00"))]),
                ),
            ),
            (
                "google_ads_entities",
                "google_ads",
                "g1",
                ((1, 8, [(("conversion_action", "11"), {"name": "Buy", "is_primary": "true"})]),),
            ),
            (
                "google_ads_recommendations",
                "google_ads",
                "g1",
                ((1, 8, [(("rec1",), {"current_budget": "40", "recommended_budget": "55.5"})]),),
            ),
            (
                "meta_entities",
                "meta",
                "m1",
                (
                    (
                        1,
                        8,
                        [(("campaign", "c1"), {"status": "ACTIVE"}), (("ad", "a2"), {"status": "ACTIVE"})],
                    ),
                    (2, 9, [(("campaign", "c1"), {"status": "PAUSED", "daily_budget": "50"})]),
                ),
            ),
            # The second day's pull fetched what the first could not; hb was never there.
            (
                "creative_assets",
                "meta",
                "m1",
                (
                    (1, 8, [(("image", "ha"), {"name": "a.png", "width": "320", "outcome": "unavailable"})]),
                    (
                        2,
                        9,
                        [
                            (("image", "ha"), _fetched("aa11", name="a.png", width="320")),
                            (("image", "hb"), {"outcome": "missing"}),
                            (("video_thumbnail", "v1"), _fetched("cc33", length_seconds="15.5")),
                        ],
                    ),
                ),
            ),
            # Another account's image of the same name is another image.
            (
                "creative_assets",
                "meta",
                "m2",
                ((2, 9, [(("image", "ha"), _fetched("dd44"))]),),
            ),
            (
                "meta_activities",
                "meta",
                "m1",
                ((2, 9, [(("act1",), {"event_at": "2026-06-09T08:00:00-04:00", "actor_name": "Jo"})]),),
            ),
            (
                "meta_hourly_spend",
                "meta",
                "m1",
                ((3, 10, [(("c1", "s1", "13"), {"spend": "1.5", "impressions": "90"})]),),
            ),
            # An hour without an ad group, and a day's one figure; read again, the day has more.
            (
                "intraday_spend",
                "google_ads",
                "g2",
                (
                    (2, 9, [(("c9", "__none__", "0"), {"spend": "2"})]),
                    (
                        3,
                        9,
                        [
                            (("c9", "__none__", "0"), {"spend": "2.5"}),
                            (("c9", "__none__", "1"), {"spend": "4"}),
                        ],
                    ),
                ),
            ),
            (
                "intraday_spend",
                "linkedin",
                "l1",
                ((3, 10, [(("gr", "li", "__none__"), {"spend": "12.345"})]),),
            ),
            # Locked a day later, at another payout.
            (
                "impact_actions",
                "impact",
                "i1",
                (
                    (1, 8, [(("act",), {"state": "PENDING", "payout": "5", "amount": "50"})]),
                    (2, 8, [(("act",), {"state": "APPROVED", "payout": "4.5", "amount": "50"})]),
                ),
            ),
            # u1 comes by an ad on the 5th and buys on the 8th, the page loads twice; u2 and somebody without
            # consent buy, too. On the 9th u1 buys again, by another ad. The 7th comes last: u2 was there.
            (
                "ga4_events",
                "ga4",
                "p1",
                (
                    (
                        1,
                        5,
                        [
                            (
                                ("daily", "e2"),
                                _event("page_view", "2026-06-05T10:00:00Z", "u1", **_AD_VISIT),
                            )
                        ],
                    ),
                    (
                        1,
                        8,
                        [
                            (("daily", "e1"), _event("purchase", "2026-06-08T12:00:00.5Z", revenue="19.99")),
                            (
                                ("daily", "e3"),
                                _event("purchase", "2026-06-08T15:00:00Z", "u1", "50", transaction_id="T1"),
                            ),
                            (
                                ("daily", "e4"),
                                _event("purchase", "2026-06-08T15:01:00Z", "u1", "50", transaction_id="T1"),
                            ),
                            (("daily", "e5"), _event("purchase", "2026-06-08T16:00:00Z", "u2", "10")),
                        ],
                    ),
                    (
                        2,
                        9,
                        [(("daily", "e6"), _event("purchase", "2026-06-09T09:00:00Z", "u1", "7", gclid="g"))],
                    ),
                    (
                        3,
                        7,
                        [(("daily", "e7"), _event("page_view", "2026-06-07T20:00:00Z", "u2", fbclid="f"))],
                    ),
                ),
            ),
            (
                "vendor_creatives",
                "vendor_files",
                "acme",
                ((1, 8, [(("sha", "v1", "1"), {"headline": "Öl", "created_on": "2026-06-01"})]),),
            ),
            (
                "ad_library",
                "ad_library",
                "us",
                (
                    (1, 8, [(("q1", "ad1"), {"spend_upper": "99", "search_truncated": "false"})]),
                    (2, 9, [(("q1", "ad1"), {"spend_upper": "199", "search_truncated": "true"})]),
                ),
            ),
        )
        for step, number, rows in tellings
    ),
)

STEPS = [[landing for landing in LANDINGS if landing.step == step] for step in (1, 2, 3)]

_STARTED = datetime(2026, 6, 11, tzinfo=UTC)


def _finished(batch: str) -> datetime:
    return _STARTED + timedelta(minutes=int(batch.removeprefix("b")))


def landed_writes(landings: Sequence[Landing]) -> list[Write]:
    """What landings append: their rows and one ledger row for each of them."""
    writes: list[Write] = []
    for stream in dict.fromkeys(landing.stream for landing in landings):
        table = PYTHON_TABLES[f"raw.{stream}"]
        envelope = ("source", "account_id", "report_date", "breakdown_set", "_batch_id")
        keys = [key for key in table.grain if key not in envelope]
        rows = [
            {
                "source": landing.source,
                "account_id": landing.account_id,
                "report_date": landing.report_date,
                "breakdown_set": landing.breakdown_set,
                **dict(zip(keys, values, strict=True)),
                "payload": (
                    text := json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
                ),
                "payload_hash": hashlib.sha256(text.encode()).hexdigest(),
                "_batch_id": landing.batch,
                "_ingested_at": _finished(landing.batch),
                "_api_version": "test",
                "_request_hash": "r",
            }
            for landing in landings
            if landing.stream == stream
            for values, payload in landing.rows
        ]
        if rows:
            writes.append(Append(table, pl.DataFrame(rows, schema=table.polars_schema)))
    ledger = [
        {
            "source": landing.source,
            "stream": landing.stream,
            "account_id": landing.account_id,
            "report_date": landing.report_date,
            "breakdown_set": landing.breakdown_set,
            "batch_id": landing.batch,
            "data_batch_id": None if landing.status != "complete" else landing.data_batch or landing.batch,
            "status": landing.status,
            "attempts": 1,
            "error_class": None if landing.status == "complete" else "TRANSIENT",
            "request_hash": "r",
            "row_count": len(landing.rows),
            "content_hash": "h",
            "completed_at": _finished(landing.batch),
        }
        for landing in landings
    ]
    writes.append(Append(INGEST_SLICES, pl.DataFrame(ledger, schema=INGEST_SLICES.polars_schema)))
    return writes


def reference_writes() -> list[Write]:
    """Accounts, track rules and audits: what the landing layer keeps beside the rows."""
    accounts = [
        ("meta", "m1", None),
        ("meta", "m2", None),
        ("google_ads", "g1", None),
        ("google_ads", "g2", None),
        ("tiktok", "t1", None),
        ("linkedin", "l1", None),
        ("shop", "f1", "ad"),
        ("shop", "f2", None),
        ("kag", "k1", None),
    ]
    rules = [
        ("security", "%", "%", "%security%"),
        ("balance", "%", "%", "%balance%"),
        ("security", "kag", "k1", "%"),
    ]
    return [
        Append(
            ACCOUNTS,
            pl.DataFrame(
                [
                    {
                        "source": source,
                        "account_id": account,
                        "account_name": f"{source} {account}",
                        "currency": "USD",
                        "timezone": "America/New_York",
                        "declared_lever": lever,
                        "maturity_days": None,
                        "last_landed_at": _STARTED,
                    }
                    for source, account, lever in accounts
                ],
                schema=ACCOUNTS.polars_schema,
            ),
        ),
        Append(
            TRACK_RULES,
            pl.DataFrame(
                [(order, *rule) for order, rule in enumerate(rules, start=1)],
                schema=TRACK_RULES.polars_schema,
                orient="row",
            ),
        ),
        Append(
            CHANNEL_RULES,
            pl.DataFrame(
                [(1, "social", "meta", "%", "%"), (2, "social", "tiktok", "%", "%")],
                schema=CHANNEL_RULES.polars_schema,
                orient="row",
            ),
        ),
        Append(
            MEDIA_WEEKS,
            pl.DataFrame(
                [
                    (date(2026, 5, 18) + timedelta(weeks=week), track, share, 0.0, 0.0)
                    for week, shares in enumerate([(0.0, 0.0), (0.5, 0.0), (0.0, 0.0), (0.0, 0.25)])
                    for track, share in zip(("security", "*"), shares, strict=True)
                ],
                schema=MEDIA_WEEKS.polars_schema,
                orient="row",
            ),
        ),
        Append(
            REWARD_DEFINITIONS,
            pl.DataFrame([("v1", 1.0, 0.25, 1)], schema=REWARD_DEFINITIONS.polars_schema, orient="row"),
        ),
        Append(
            ACCOUNT_AUDITS,
            pl.DataFrame(
                [
                    (day(10), "meta", "m1", "totals", "passed", 1.0, 1.0, "agrees", True),
                    (day(10), "shop", "f1", "benford", "failed", 0.5, 0.1, "digits", False),
                ],
                schema=ACCOUNT_AUDITS.polars_schema,
                orient="row",
            ),
        ),
    ]
