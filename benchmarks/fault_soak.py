"""Random fault scripts against the sandbox servers: does every row arrive, once, whatever goes wrong?

Here: one script from first pull to truth, and many of them counted. Not here: which sources, and their truth
(`soaked_sources`), servers and their faults (`resources.sandbox.servers`), connectors. `make test` runs a
slice of it.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from benchmarks.accounts import scratch_folder
from benchmarks.record import Figure, Record, code_hash
from benchmarks.soaked_sources import DAYS, SOURCES, TODAY, Clockwork, Compared, SoakedSource
from resources.connectors.fetching import FetchedAccount
from resources.connectors.planning import Span
from resources.connectors.publishing import AccountPublisher
from resources.connectors.pulling import Puller
from resources.control.ingestion import IngestionControl
from resources.control.store import open_control_store
from resources.landing.ledger import read_ledger
from resources.sandbox.build import Simulated, simulate_account
from resources.sandbox.servers.account import ServedAccount
from resources.sandbox.servers.faults import FaultKind, FaultScript, random_script
from resources.warehouse.duckdb import DuckDBWarehouse
from resources.warehouse.tables import PYTHON_TABLES

MOST_ROUNDS = 40


@dataclass
class Outcome:
    """What one script came to; rows are of the streams compared, per day against the truth."""

    rounds: int
    ended: bool
    slices: int
    rows: int = 0
    played: Counter[FaultKind] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    wrong_days: int = 0


@cache
def simulated_business() -> Simulated:
    """The tiny business, with two weeks beyond TODAY for restatements to arrive in."""
    return simulate_account("tiny", 20261120, TODAY, further_days=14)


def run_script(soaked: SoakedSource, seed: int, warehouse: DuckDBWarehouse, folder: Path) -> Outcome:
    """One random script: pull every four hours until nothing fails, read all once more, compare.

    Credentials that were refused are renewed before the next pull, as a person would.
    """
    rng = np.random.default_rng(seed)
    script = FaultScript(random_script(rng, soaked.kinds, soaked.endpoints, faults=int(rng.integers(1, 9))))
    clockwork = Clockwork()
    served = ServedAccount(simulated_business(), clockwork.now)
    control = IngestionControl(open_control_store(f"sqlite:///{folder}/{soaked.name}-{seed}.sqlite"))
    with soaked.serve(served, script) as server:
        source = soaked.connect(server, clockwork, folder / f"{soaked.name}-{seed}-kept")
        puller = Puller(
            source=soaked.name,
            open_source=lambda: source,
            credential_hash=lambda: "sandbox",
            control=control,
            clock=clockwork,
            pacing_clock=clockwork,
            sleep=clockwork.sleep,
            rng=rng,
            folder=folder / f"{soaked.name}-{seed}",
            calls_per_hour=1e6,
            backfill_days=DAYS,
        )

        def pull(span: Span | None = None) -> bool:
            """Whether everything that was due was read."""
            ledger = read_ledger(warehouse, soaked.name)
            moment = ledger.next_moment(clockwork.now())
            fetched = puller.pull(soaked.account_id, ledger, moment, span)
            if isinstance(fetched, FetchedAccount):
                publisher = AccountPublisher(warehouse, control, puller.pace(soaked.account_id))
                publisher.publish(fetched, clockwork.now())
                return not fetched.failures
            return fetched.reason == "nothing is due"

        rounds, quiet = 0, 0
        while rounds < MOST_ROUNDS and quiet < 2:
            rounds += 1
            quiet = quiet + 1 if pull() else 0
            control.resume_source(soaked.name)
            clockwork.sleep(4 * 3600)
        last = served.today - timedelta(days=1)
        span = Span(last - timedelta(days=DAYS - 1), last)
        readings = 0  # an emptied day is believed at the second
        while rounds < MOST_ROUNDS and readings < 2:
            rounds += 1
            readings = readings + 1 if pull(span) else 0
            control.resume_source(soaked.name)
            if readings < 2:
                clockwork.sleep(600)
    outcome = Outcome(rounds, readings == 2, _slices(warehouse), played=script.played)
    for compared in soaked.compared:
        _compare(soaked.name, compared, warehouse, served, span, outcome)
    return outcome


def _slices(warehouse: DuckDBWarehouse) -> int:
    return int(warehouse.query("select count(*) as n from ops.ingest_slices")["n"][0])


def _compare(
    source: str,
    compared: Compared,
    warehouse: DuckDBWarehouse,
    served: ServedAccount,
    span: Span,
    outcome: Outcome,
) -> None:
    """Rows in force, and their numbers' sums, per day against the truth."""
    numbers = list(compared.numbers)
    money = pl.Decimal(24, 6)
    truth = _by_day(
        compared.truth(served, span).select(
            "report_date", *(pl.col(name).cast(pl.Float64).round(6).cast(money) for name in numbers)
        )
    )
    raw = warehouse.query(
        f"""
        with latest as (
            select *, row_number() over (partition by account_id, report_date
                order by completed_at desc, batch_id desc) as place
            from ops.ingest_slices
            where status = 'complete' and source = $source and stream = '{compared.stream}'
              and breakdown_set = $breakdown_set
        )
        select r.* from raw.{compared.stream} as r join latest as l
          on l.place = 1 and l.data_batch_id = r._batch_id and l.source = r.source
         and l.report_date = r.report_date and l.breakdown_set = r.breakdown_set
        where r.report_date between $first and $last
        """,
        {
            "source": source,
            "breakdown_set": compared.breakdown_set,
            "first": span.first,
            "last": span.last,
        },
    )
    found = _by_day(
        raw.select(
            "report_date",
            *(
                (
                    pl.col(field)
                    if field in raw.columns
                    else pl.col("payload").str.json_path_match(f"$.{field}")
                )
                .cast(money)
                .alias(name)
                for name, field in compared.numbers.items()
            ),
        )
    )
    both = truth.join(found, on="report_date", how="full", coalesce=True, suffix="_found").fill_null(0)
    gap = both["rows_found"].cast(pl.Int64) - both["rows"].cast(pl.Int64)
    outcome.rows += int(both["rows"].sum())
    outcome.lost += int(-gap.clip(upper_bound=0).sum())
    outcome.doubled += int(gap.clip(lower_bound=0).sum())
    different = pl.any_horizontal(pl.col(name) != pl.col(f"{name}_found") for name in numbers)
    outcome.wrong_days += both.filter(different).height


def _by_day(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by("report_date").agg(pl.len().alias("rows"), pl.exclude("report_date").sum())


def run_script_of(seed: int) -> dict[str, Any]:
    """One script on an empty warehouse, sources in turn by seed."""
    soaked = SOURCES[seed % len(SOURCES)]
    with TemporaryDirectory(prefix="aelp-soak-") as name:
        warehouse = DuckDBWarehouse(Path(name) / "warehouse.duckdb", temporary=Path(name) / "tmp")
        warehouse.ensure_tables(list(PYTHON_TABLES.values()))
        outcome = run_script(soaked, seed, warehouse, Path(name))
    played = {kind.value: count for kind, count in sorted(outcome.played.items())}
    return {"seed": seed, "source": soaked.name, **vars(outcome), "played": played}


def fault_soak(scripts: int = 500) -> Record:
    """Many scripts; rows lost and doubled should both be none, and every run should end.

    Outcomes are kept as they come, so that a soak cut off goes on where it was.
    """
    kept = scratch_folder() / f"fault_soak-{code_hash()}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    outcomes = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    outcomes = [outcome for outcome in outcomes if outcome["seed"] < scripts]
    known = {outcome["seed"] for outcome in outcomes}
    with kept.open("a") as file:
        for seed in range(scripts):
            if seed not in known:
                outcomes.append(run_script_of(seed))
                file.write(json.dumps(outcomes[-1]) + "\n")
                file.flush()
    played: Counter[str] = Counter()
    for outcome in outcomes:
        played.update(outcome["played"])

    def total(name: str) -> int:
        return sum(outcome[name] for outcome in outcomes)

    endless = sum(not outcome["ended"] for outcome in outcomes)
    wrong = [o for o in outcomes if o["lost"] or o["doubled"] or o["wrong_days"] or not o["ended"]]
    return Record(
        "fault_soak",
        {"scripts": scripts},
        [
            Figure("slices settled", total("slices"), "slices"),
            Figure("faults played", sum(played.values()), "faults"),
            Figure("rows lost", total("lost"), "rows", "0", total("lost") == 0),
            Figure("rows doubled", total("doubled"), "rows", "0", total("doubled") == 0),
            Figure("days with wrong sums", total("wrong_days"), "days", "0", total("wrong_days") == 0),
            Figure("scripts that did not end", endless, "scripts", "0", endless == 0),
        ],
        note="A script plays one to eight random faults, each up to three times, against a sandbox server.",
        details={
            "faults played": dict(played.most_common()),
            "scripts per source": dict(Counter(outcome["source"] for outcome in outcomes)),
            "failed scripts": {str(outcome["seed"]): str(outcome) for outcome in wrong},
        },
    )
