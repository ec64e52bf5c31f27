"""Single things with ids of their own: orders of a store, creatives and levers as of a day.

Not here: entities and assets that are logged as told (`logs_and_snapshots.py`).
"""

from __future__ import annotations

from tests.parity.landings.landing import Landing, day

STORE_AND_LEVERS: tuple[Landing, ...] = (
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
)
