"""The small raw data both warehouses are built from: hand-written rows, landed in three steps.

Here: all landings in their order, what is written of them, what stands beside the rows. Not here: the rows
themselves (`landings`), what the marts must make of them (`expected.py`).

The first step lands everything up to 8 June 2026. The second lands the 9th, restates the 5th (one ad
changed, one vanished), empties the 4th and brings a late day, the 6th of account m2. The third lands the 10th
and restates the 9th; one account of the 10th is pulled on the two days after, too. A failed attempt and an
unchanged re-pull are in the ledger too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
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
from tests.parity.landings.analytics import ANALYTICS
from tests.parity.landings.breakdowns import BREAKDOWNS
from tests.parity.landings.daily_reports import DAILY_REPORTS
from tests.parity.landings.dropped_files import DROPPED_FILES
from tests.parity.landings.landing import Landing, day
from tests.parity.landings.logs_and_snapshots import LOGS_AND_SNAPSHOTS
from tests.parity.landings.store_and_levers import STORE_AND_LEVERS

LANDINGS: tuple[Landing, ...] = (
    *DAILY_REPORTS,
    *DROPPED_FILES,
    *STORE_AND_LEVERS,
    *BREAKDOWNS,
    *ANALYTICS,
    *LOGS_AND_SNAPSHOTS,
)
STEPS = [[landing for landing in LANDINGS if landing.step == step] for step in (1, 2, 3)]

_STARTED = datetime(2026, 6, 11, tzinfo=UTC)


def finished(batch: str) -> datetime:
    """When an attempt ended."""
    return _STARTED + timedelta(minutes=int(batch.removeprefix("b")))


AFTER_FIRST = max(finished(landing.batch) for landing in STEPS[0])


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
                "_ingested_at": finished(landing.batch),
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
            "completed_at": finished(landing.batch),
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
