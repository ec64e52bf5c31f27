"""Logs, snapshots and events, which tell the same thing day after day.

Here: changes, entities, assets, today's spend, affiliate actions, web events, vendors, the ad library.
Not here: orders, creatives and levers (`store_and_levers.py`).
"""

from __future__ import annotations

from tests.parity.landings.landing import Landing, Payload, day


def _fetched(sha256: str, **told: str) -> Payload:
    return {
        "content_sha256": sha256,
        "content_type": "image/png",
        "byte_count": "7",
        "outcome": "fetched",
    } | told


def _budget_change(time: str) -> Payload:
    return {"changed_at": f"2026-06-08T{time}:00Z", "old_budget": "40", "new_budget": "50"}


_AD_VISIT = {"traffic_source": "google", "traffic_medium": "cpc", "traffic_campaign": "Security search"}


def _event(name: str, at: str, browser: str = "", revenue: str = "", **fields: str) -> Payload:
    session = f"{browser}.{at[8:10]}" if browser else ""  # one a day
    known = {"user_pseudo_id_hash": browser, "ga_session_id": session, "purchase_revenue": revenue}
    return {"event_name": name, "event_at": at} | {k: v for k, v in known.items() if v} | fields


LOGS_AND_SNAPSHOTS: tuple[Landing, ...] = (
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
                            (("video", "v1"), _fetched("ee55", length_seconds="15.5")),
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
