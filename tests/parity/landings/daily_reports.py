"""What ad platforms report by day and ad: restated, emptied, late, repeated by placement.

Here: accounts m1, m2, g1, t1 and l1. Not here: one day told several ways (`breakdowns.py`).
"""

from __future__ import annotations

from tests.parity.landings.landing import Landing, Payload, day, meta


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


DAILY_REPORTS: tuple[Landing, ...] = (
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
                    "video_thruplays": "180",
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
                    "video_plays": "640",
                    "video_2s_views": "280",
                    "video_6s_views": "70",
                    "video_p25": "n/a",
                    "video_p100": "14",
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
                    "video_plays": "48",
                    "video_views": "20",
                    "video_p25": "12",
                    "video_p100": "6",
                },
            )
        ],
    ),
)
