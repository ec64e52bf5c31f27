"""Google Analytics by report: sessions and key events of a property.

Not here: its single events (`logs_and_snapshots.py`).
"""

from __future__ import annotations

from tests.parity.landings.landing import Landing, Payload, day

_SEARCH_AD = {
    "session_source": "google",
    "session_medium": "cpc",
    "session_campaign_name": "Security search",
    "device_category": "mobile",
}
_DIRECT = {"session_source": "(direct)", "session_medium": "(none)", "device_category": "desktop"}


def _bought(times: str, revenue: str) -> Payload:
    return _SEARCH_AD | {"event_name": "purchase", "key_events": times, "purchase_revenue": revenue}


ANALYTICS: tuple[Landing, ...] = (
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
)
