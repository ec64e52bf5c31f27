"""Split tests the simulated advertiser ran: sound ones, and one whose randomisation broke.

Here: users, clicks, orders and spend by test, arm, day and device. Not here: the accounts' own
delivery (`kernel`); a test's users are a sample set aside for it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from resources.sandbox import backend_frames, laws
from resources.sandbox.catalogue import META, PLATFORMS, REMARKETING, TRACKS
from resources.sandbox.exports import ExportedFile
from resources.sandbox.world import Business

DEVICES = ("mobile", "desktop")
_DEVICE_SHARE = np.array([0.74, 0.26])
_STREAM = 30


@dataclass(frozen=True)
class SplitTest:
    """A test as planned, and what is really true of it (`b_*`, `broken`)."""

    test_id: str
    name: str
    track: int
    kind: str  # creative, landing_page or holdout
    metric: str
    arms: tuple[str, str]
    planned_share: tuple[float, float]
    days: int
    users_per_day: float
    ctr: float
    order_rate: tuple[float, float]  # backend orders per user on mobile and desktop, first arm
    b_ctr_factor: float
    b_order_factor: float
    broken: bool = False
    claimed: tuple[float, float] = (0.70, 0.23)  # share of orders claimed by click and by view


def planned_tests(business: Business) -> list[SplitTest]:
    """The tests of this business. The holdout's lift follows from the remarketing levers' truth."""
    levers = business.levers
    mine = (levers.track == 1) & (levers.audience == REMARKETING)
    view, click = levers.view_incrementality[mine].mean(), levers.click_incrementality[mine].mean()
    # Claimed orders per exposed user; what is not caused comes anyway.
    clicked, viewed = 0.0052, 0.0062
    anyway = 0.0068 + clicked * (1 - click) + viewed * (1 - view)
    caused = clicked * click + viewed * view
    return [
        SplitTest(
            "exp-001",
            "Question hook against number hook",
            0,
            "creative",
            "link_ctr",
            ("question", "number"),
            (0.5, 0.5),
            14,
            9_000.0,
            0.012,
            (0.0011, 0.0019),
            1.14,
            1.10,
        ),
        SplitTest(
            "exp-002",
            "Remarketing against no remarketing",
            1,
            "holdout",
            "orders_per_user",
            ("holdout", "exposed"),
            (0.2, 0.8),
            28,
            6_500.0,
            0.018,
            (0.92 * anyway, 1.25 * anyway),
            1.0,
            (anyway + caused) / anyway,
            claimed=(clicked / (anyway + caused), viewed / (anyway + caused)),
        ),
        SplitTest(
            "exp-003",
            "Long page against short page",
            0,
            "landing_page",
            "orders_per_user",
            ("long", "short"),
            (0.5, 0.5),
            21,
            7_000.0,
            0.011,
            (0.0010, 0.0021),
            1.0,
            1.0,
            broken=True,
        ),
    ]


def split_test_rows(business: Business) -> pl.DataFrame:
    """One row per test, arm, day and device; the tests end a fortnight before today.

    In the broken test a redirect failed from the sixth day on: on mobile every ninth user meant for
    the second arm was counted in the first, so shares and device mix drift apart and the second arm
    looks better than it is.
    """
    rows = []
    for number, test in enumerate(planned_tests(business)):
        rng = laws.generator(business.seed, _STREAM, number)
        first = business.today - timedelta(days=14 + test.days)
        for day in range(test.days):
            users = rng.poisson(test.users_per_day * np.exp(rng.normal(0.0, 0.08)) * _DEVICE_SHARE)
            for device, total in enumerate(users):
                first_arm = int(rng.binomial(total, test.planned_share[0]))
                arms = np.array([first_arm, total - first_arm])
                if test.broken and day >= 5 and DEVICES[device] == "mobile":
                    moved = int(rng.binomial(arms[1], 1.0 / 9.0))
                    arms += np.array([moved, -moved])
                rows += [
                    _row(business, test, arm, first + timedelta(days=day), device, int(arms[arm]), rng)
                    for arm in range(2)
                ]
    return pl.DataFrame(rows)


def _row(
    business: Business,
    test: SplitTest,
    arm: int,
    day: object,
    device: int,
    users: int,
    rng: np.random.Generator,
) -> dict[str, object]:
    silent = test.kind == "holdout" and arm == 0
    impressions = 0 if silent else int(rng.poisson(1.9 * users))
    mood = float(np.exp(rng.normal(0.0, 0.05)))
    ctr = test.ctr * mood * (test.b_ctr_factor if arm else 1.0)
    clicks = int(rng.binomial(impressions, min(ctr, 0.5)))
    rate = test.order_rate[device] * mood * (test.b_order_factor if arm else 1.0)
    orders = int(rng.binomial(users, min(rate, 0.9)))
    by_click, by_view, _ = rng.multinomial(orders, [*test.claimed, 1.0 - sum(test.claimed)])
    return {
        "test_id": test.test_id,
        "test_name": test.name,
        "platform": PLATFORMS[META].name,
        "account_id": PLATFORMS[META].account_id,
        "track": TRACKS[test.track].name,
        "kind": test.kind,
        "primary_metric": test.metric,
        "arm": test.arms[arm],
        "planned_share": test.planned_share[arm],
        "report_date": str(day),
        "device": DEVICES[device],
        "users": users,
        "impressions": impressions,
        "link_clicks": clicks,
        "conversions_click": 0 if silent else int(by_click),
        "conversions_view": 0 if silent else int(by_view),
        "orders": orders,
        "spend": round(impressions * 0.0135 * mood, 2),
    }


def write_split_tests(business: Business, folder: Path) -> ExportedFile:
    """Write all tests into `folder`/experiments, made on the morning after the history."""
    frame = split_test_rows(business)
    days = frame["report_date"].sort()
    span = f"{days[0]}_to_{days[-1]}"
    path = folder / "experiments" / f"{business.today:%Y-%m-%d}_split_tests_{span}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_csv(path, float_precision=2)
    made = backend_frames.moment(business, business.days - 1, 35)
    os.utime(path, (made, made))
    return ExportedFile("experiments/split_tests", path, frame.height)


def split_test_truth(business: Business) -> pl.DataFrame:
    """What is true of each test: the second arm's factors, and whether its randomisation broke."""
    return pl.DataFrame(
        [
            {
                "test_id": test.test_id,
                "ctr_factor": test.b_ctr_factor,
                "order_factor": test.b_order_factor,
                "broken": test.broken,
            }
            for test in planned_tests(business)
        ]
    )
