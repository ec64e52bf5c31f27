"""One pull of Meta insights by placement, with a second thread that notes what the main thread is busy with.

Here: the connector as a run uses it (puller, fetcher, publisher, control store) against a given server, and
whose code the time goes to. Not here: the server, what arrived.
Usage: python -m benchmarks.sampled_pull TASK.json
"""

from __future__ import annotations

from benchmarks.sampled_run import Sampler, innermost  # the clock starts before anything else is imported

# isort: split
import json
import sys
import threading
import time
from datetime import date
from pathlib import Path

SDK, HTTP, JSON = "the SDK, with its own reading of the JSON", "HTTP", "JSON once more, exact"
OURS = ("answers as rows", "call budgets and queue", "pages and hashes", "publishing")
_PLACES = (
    ("<frozen importlib", "start-up"),
    ("site-packages/requests/", HTTP),
    ("site-packages/urllib3/", HTTP),
    ("/http/client.py", HTTP),
    ("/socket.py", HTTP),
    ("site-packages/facebook_business/", SDK),
    ("resources/connectors/meta/graph.py", JSON),
    ("resources/connectors/meta/", OURS[0]),
    ("resources/control/", OURS[1]),
    ("resources/connectors/pacing.py", OURS[1]),
    ("resources/landing/", OURS[2]),
    ("resources/connectors/fetching.py", OURS[2]),
    ("resources/warehouse/", OURS[3]),
    ("resources/connectors/publishing.py", OURS[3]),
)


def main(task: Path) -> None:
    """Pull the task's days into a new warehouse and write to `report` what the time went to.

    Raises:
        SystemExit: something was not read.
    """
    sampler = Sampler(threading.get_ident(), lambda frame: innermost(frame, _PLACES))
    sampler.start()
    told = json.loads(task.read_text())
    folder = Path(told["folder"])

    import numpy as np

    from benchmarks.graph_server import ACCOUNT, NOW, TOKEN
    from resources.clock import FixedClock, SystemClock
    from resources.connectors.fetching import FetchedAccount
    from resources.connectors.meta.credentials import MetaCredentials
    from resources.connectors.meta.source import PLACEMENTS, MetaSource
    from resources.connectors.planning import Span
    from resources.connectors.publishing import AccountPublisher
    from resources.connectors.pulling import Puller
    from resources.control.ingestion import IngestionControl
    from resources.control.store import open_control_store
    from resources.creative_assets import AssetStore
    from resources.landing.ledger import read_ledger
    from resources.warehouse.duckdb import DuckDBWarehouse
    from resources.warehouse.tables import PYTHON_TABLES

    source = MetaSource(
        MetaCredentials(TOKEN),
        [ACCOUNT.account_id],
        assets=AssetStore(folder / "creative_assets"),
        sleep=time.sleep,
        now=lambda: NOW,
        base_url=told["url"],
    )
    source.reports = (PLACEMENTS,)
    warehouse = DuckDBWarehouse(folder / "warehouse.duckdb", temporary=folder / "tmp")
    warehouse.ensure_tables(list(PYTHON_TABLES.values()))
    control = IngestionControl(open_control_store(f"sqlite:///{folder}/control.sqlite"))
    puller = Puller(
        source="meta",
        open_source=lambda: source,
        credential_hash=lambda: "sandbox",
        control=control,
        clock=FixedClock(NOW),
        pacing_clock=SystemClock(),
        sleep=time.sleep,
        rng=np.random.default_rng(1),
        folder=folder / "pages",
        calls_per_hour=1e6,
        backfill_days=0,
    )
    span = Span(date.fromisoformat(told["first"]), date.fromisoformat(told["last"]))
    fetched = puller.pull(ACCOUNT.account_id, read_ledger(warehouse, "meta"), NOW, span)
    if not isinstance(fetched, FetchedAccount) or fetched.failures:
        raise SystemExit(f"not everything was read: {fetched}")
    AccountPublisher(warehouse, control, puller.pace(ACCOUNT.account_id)).publish(fetched, NOW)
    sampler.stop()
    places = {place: round(seconds, 3) for (_, place), seconds in sampler.seconds.items()}
    report = {"calls": fetched.calls, "waited": fetched.waited_seconds, "seconds": places}
    Path(told["report"]).write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
