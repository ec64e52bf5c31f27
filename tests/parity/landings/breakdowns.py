"""One day told several ways: by ad and as a total, by action, keyword, hour, age and gender.

Here: the 10th of g2 and of m1. Not here: days by ad alone (`daily_reports.py`).
"""

from __future__ import annotations

from tests.parity.landings.landing import Landing, Payload, day, meta


def _part(impressions: str, link: str, spend: str, bought: str | None = None, viewed: str = "0") -> Payload:
    """An ad set's part of a day; by hour nothing is known of purchases."""
    told = {} if bought is None else {"purchases_7d_click": bought, "purchases_1d_view": viewed}
    return meta(impressions=impressions, clicks=link, inline_link_clicks=link, spend=spend, **told)


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


BREAKDOWNS: tuple[Landing, ...] = (
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
)
