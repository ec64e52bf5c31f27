"""What lies in the raw tables, as numbers: for tests that compare a pull with something else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from resources.clock import Clock, SystemClock
from resources.connectors.planning import Span
from resources.connectors.publishing import AccountPublisher
from resources.connectors.registry import Sources
from resources.control.store import open_control_store
from resources.landing.ledger import read_ledger
from resources.settings import PROJECT_ROOT, LiveSource, SourceName, load_settings
from resources.warehouse.interface import Warehouse


def publish_days(
    warehouse: Warehouse,
    clock: Clock,
    name: SourceName,
    account: str,
    span: Span,
    variables: dict[str, str],
    folder: Path,
) -> None:
    """Pull every report of one account for these days, through the registry, and publish it whole."""
    source = LiveSource(accounts=[account], calls_per_hour=1_000_000)
    told = {"sources": {name: source}, "history_start": span.first}
    settings = load_settings(PROJECT_ROOT / "aelp.yaml").model_copy(update=told)
    engine = open_control_store(f"sqlite:///{folder}/control.sqlite")
    sources = Sources(
        settings, clock, SystemClock(), lambda _: None, lambda: engine, folder / "pulls", folder, variables
    )
    puller = sources.puller(name)
    fetched = puller.pull(account, read_ledger(warehouse, name), clock.now(), span)
    assert not fetched.failures, fetched.failures
    AccountPublisher(warehouse, puller.control, puller.pace(account)).publish(fetched, clock.now())


def sums(
    warehouse: Warehouse, stream: str, by: Sequence[str], metrics: Sequence[str]
) -> dict[tuple, tuple[Decimal, ...]]:
    """Exact sums of payload numbers by columns or payload texts; all batches of the stream."""
    found: dict[tuple, list[Decimal]] = {}
    for row in warehouse.query(f"select * from raw.{stream}").iter_rows(named=True):
        known = row | json.loads(row["payload"])
        total = found.setdefault(tuple(known[name] for name in by), [Decimal(0)] * len(metrics))
        for place, name in enumerate(metrics):
            total[place] += Decimal(known.get(name) or 0)
    return {key: tuple(total) for key, total in found.items()}
