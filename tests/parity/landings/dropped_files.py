"""What lands from files: levers a mapping declares, placements alone, weeks, no days at all.

Here: accounts f1, f2 and k1, m1 by a file, an agency's history. Not here: creatives of vendors
(`logs_and_snapshots.py`).
"""

from __future__ import annotations

from tests.parity.landings.landing import Landing, day

DROPPED_FILES: tuple[Landing, ...] = (
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
    # A survey of one row per person, and a weekly archive that tells impressions alone.
    Landing(
        1,
        "b01",
        "experiment_arms",
        "survey",
        "x1",
        None,
        "none",
        [
            (
                ("lift", arm, "15", "Chrome", person, "2026-05-20..2026-05-20"),
                {
                    "period_start": "2026-05-20",
                    "period_end": "2026-05-20",
                    "planned_share": "0.5",
                    "is_control": control,
                    "users": "1",
                    "positive_answers": yes,
                    "negative_answers": no,
                },
            )
            for arm, person, control, yes, no in (
                ("control", "u1", "true", "1", "0"),
                ("control", "u2", "true", "0", "0"),
                ("exposed", "u3", "false", "0", "1"),
            )
        ],
    ),
    Landing(
        1,
        "b01",
        "experiment_arms",
        "archive",
        "x2",
        None,
        "none",
        [
            (
                ("t1", arm, "__none__", "__none__", "__none__", "2013-06-24..2013-06-30"),
                {
                    "period_start": "2013-06-24",
                    "period_end": "2013-06-30",
                    "headline": f"Look at {arm}",
                    "body": "<p>This</p>",
                    "image_id": "i1",
                    "impressions": "2500",
                    "link_clicks": clicks,
                },
            )
            for arm, clicks in (("0", "31"), ("1", "40"))
        ],
    ),
)
