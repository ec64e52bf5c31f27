"""Our media-mix model beside pymc-marketing and Meridian: the same worlds, priors as equal as can be.

Here: running the peers, keeping what they found, what it comes to. Not here: what a peer is given (`task`),
how it fits (`fit_pymc_marketing`, `fit_meridian`), worlds outside our family (`mmm_recovery`).

`python -m benchmarks.mmm_peers.study` fits the peers alone, ahead of the study: an hour of one core.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.accounts import scratch_folder
from benchmarks.mmm_peers.fitted import report, timed
from benchmarks.mmm_peers.task import Priors, peer_task
from benchmarks.mmm_recovery import Fitters, compiled_fitters, interval_over_worlds, least_known_tests
from benchmarks.mmm_worlds import World, simulate
from benchmarks.peer_environments import is_installed
from benchmarks.processes import measured
from benchmarks.record import RESULTS, Figure, Record, code_hash
from models.mmm.diagnostics import MOST_RHAT, chains_of
from models.mmm.posterior import MediaPosterior
from resources.code_version import source_hash
from resources.settings import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "benchmarks" / "mmm_peers"
MERIDIAN_ENVIRONMENT = PROJECT_ROOT / ".venv-meridian"
PEER_FITS = RESULTS / "mmm_peers"
CHAINS, DRAWS = 4, 400
OURS, TESTED = "ours", "ours with two experiments"
TIMES_AIM = 20.0
LEVELS = ("p5", "p50", "p95")
_FIRST_SEED = 9001
"""The matched worlds of `mmm_recovery`."""
_ONE_CORE = {"OMP_NUM_THREADS": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}


@dataclass(frozen=True)
class Peer:
    """A method that fits a task in a process of its own.

    Attributes:
        module: of this package, run as TASK.json REPORT.json.
        environment: its Python's; None is the project's.
        versions: packages of the project's environment that decide what it finds.
    """

    name: str
    module: str
    environment: Path | None = None
    versions: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """Changes with what its fits depend on, and not with our model."""
        files = ["benchmarks/mmm_worlds.py", *(f"benchmarks/mmm_peers/{name}.py" for name in self._modules)]
        if self.environment is not None:
            files.append("benchmarks/mmm_peers/requirements.lock")
        return " ".join([source_hash(*files), *(f"{name}=={version(name)}" for name in self.versions)])

    @property
    def _modules(self) -> tuple[str, ...]:
        return "task", "fitted", self.module

    def is_there(self, log: Path) -> bool:
        """Install it where it needs that; False where no package index answers."""
        return self.environment is None or is_installed(FOLDER, self.environment, log)

    def fit(self, world: World, draws: int, timed: bool = False) -> dict[str, Any]:
        """What it reports of a world, and the CPU seconds of the whole process.

        Raises:
            CommandFailed: it failed.
        """
        folder = scratch_folder() / "mmm_peers"
        folder.mkdir(parents=True, exist_ok=True)
        task, told = folder / f"{self.module}.json", folder / f"{self.module}-report.json"
        sampling = {"chains": CHAINS, "draws": draws, "seed": world.seed, "timed": timed}
        task.write_text(json.dumps({**peer_task(world.weeks, Priors()), **sampling}))
        python = sys.executable if self.environment is None else str(self.environment / "bin" / "python")
        command = [python, "-m", f"benchmarks.mmm_peers.{self.module}", str(task), str(told)]
        cost = measured(command, _ONE_CORE, folder / f"{self.module}.log")
        return {**json.loads(told.read_text()), "cpu_seconds": cost.cpu_seconds}


PEERS = (
    Peer("pymc-marketing", "fit_pymc_marketing", versions=("pymc", "pymc-marketing", "pytensor")),
    Peer("Meridian", "fit_meridian", environment=MERIDIAN_ENVIRONMENT),
)


def mmm_peers(worlds: int = 20, timed_worlds: int = 2, draws: int = DRAWS) -> Record:
    """Fit that many matched worlds by every method; sampling is timed on the first few, in this run.

    Fits are kept as they come: the peers' until they, the worlds or their locks change, ours and the timed
    ones for this code. A peer that can neither be installed nor was fitted before is left out.
    """
    seeds = [_FIRST_SEED + at for at in range(worlds)]
    peers = [peer for peer in PEERS if fit_peer(peer, seeds, draws)]
    kept = _Kept(scratch_folder() / f"mmm_peers-{draws}-{code_hash()}.jsonl")
    log = scratch_folder() / "mmm_peers" / "install.log"
    in_time = {peer.name: peer for peer in peers if timed_worlds and peer.is_there(log)}
    # World by world, so that what else keeps the machine busy is nearly the same for all methods.
    wanted = [
        (method, seed)
        for at, seed in enumerate(seeds)
        for method in (OURS, *(in_time if at < timed_worlds else ()))
    ]
    own = _Late(draws)
    for method, seed in kept.missing(wanted):
        world = simulate("matched", seed)
        if method == OURS:
            kept.add({"method": method, "seed": seed, **fit_ours(world, own.fitters(world))})
        else:
            kept.add({"method": method, "seed": seed, **in_time[method].fit(world, draws, timed=True)})
    timings = [kept.rows[pair] for pair in wanted if pair[1] in seeds[:timed_worlds]]
    fits = [
        *(kept.rows[OURS, seed] for seed in seeds),
        *(kept.rows[OURS, seed]["tested"] | {"method": TESTED, "seed": seed} for seed in seeds),
        *(row for peer in peers for row in _peer_rows(peer, draws).values() if row["seed"] in seeds),
    ]
    truths = {seed: simulate("matched", seed).return_on_spend for seed in seeds}
    config = {"worlds": worlds, "timed_worlds": timed_worlds, "draws": draws}
    return summarise(long_rows(fits, truths), fits, timings, config)


def fit_peer(peer: Peer, seeds: Sequence[int], draws: int) -> bool:
    """Fit what is not kept yet; False where that cannot be because the peer is not there."""
    missing = [seed for seed in seeds if seed not in _peer_rows(peer, draws)]
    if missing and not peer.is_there(scratch_folder() / "mmm_peers" / "install.log"):
        return False
    file = peer_file(peer)
    file.parent.mkdir(parents=True, exist_ok=True)
    for seed in missing:
        found = peer.fit(simulate("matched", seed), draws)
        row = {"method": peer.name, "key": peer.key, "seed": seed, "draws": draws, **found}
        with file.open("a") as kept:
            kept.write(json.dumps(row) + "\n")
    return True


def peer_file(peer: Peer) -> Path:
    """Where a peer's fits outlive a run and a machine: beside the other figures."""
    return PEER_FITS / f"{peer.module}.jsonl"


def _peer_rows(peer: Peer, draws: int) -> dict[int, dict[str, Any]]:
    """Kept fits of the peer as it is, by seed."""
    rows = _lines(peer_file(peer))
    return {row["seed"]: row for row in rows if (row["key"], row["draws"]) == (peer.key, draws)}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    yield from (json.loads(line) for line in path.read_text().splitlines()) if path.exists() else ()


class _Kept:
    """Rows of this code, by method and seed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = {(row["method"], row["seed"]): row for row in _lines(path)}

    def missing(self, wanted: Sequence[tuple[str, int]]) -> Iterator[tuple[str, int]]:
        return (pair for pair in wanted if pair not in self.rows)

    def add(self, row: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.rows[row["method"], row["seed"]] = row


class _Late:
    """Our model, compiled when the first world needs it."""

    def __init__(self, draws: int) -> None:
        self.draws = draws
        self._fitters: Fitters | None = None

    def fitters(self, world: World) -> Fitters:
        self._fitters = self._fitters or compiled_fitters(world.weeks, self.draws)
        return self._fitters


def fit_ours(world: World, fitters: Fitters) -> dict[str, Any]:
    """Our model's report of a world, its CPU seconds (compiled before), and its returns once the two
    experiments of `mmm_recovery` are known."""
    fitted, seconds = timed(lambda: fitters.fit(world.weeks, (), world.seed))
    returned = fitted.return_on_spend()
    _, tests = least_known_tests(world, returned, np.random.default_rng([world.seed, 1]))
    tested = fitters.fit(world.weeks, tests, world.seed).return_on_spend()
    return {
        **report(_sampled(fitted), _by_chain(fitted, returned)),
        "divergences": fitted.divergences,
        "cpu_seconds": seconds,
        "sampling_cpu_seconds": seconds,
        "tested": dict(zip(LEVELS, np.quantile(tested, (0.05, 0.5, 0.95), axis=0).tolist(), strict=True)),
    }


def _sampled(posterior: MediaPosterior) -> dict[str, Any]:
    """Everything the model draws, the baseline's coefficients included, as the peers sample those."""
    chains = {str(name): values.to_numpy() for name, values in chains_of(posterior).data_vars.items()}
    return {**chains, "coefficients": _by_chain(posterior, posterior.coefficients)}


def _by_chain(posterior: MediaPosterior, draws: Any) -> Any:
    return draws.reshape(posterior.chains, -1, draws.shape[1])


def long_rows(fits: Sequence[Mapping[str, Any]], truths: Mapping[int, Any]) -> pl.DataFrame:
    """A row per world, channel and method: seed, channel (its place), method, roas_true, p5, p50, p95."""
    return pl.DataFrame(
        [
            {
                "seed": row["seed"],
                "channel": at,
                "method": row["method"],
                "roas_true": float(truth),
                **{level: row[level][at] for level in LEVELS},
            }
            for row in fits
            for at, truth in enumerate(truths[row["seed"]])
        ]
    )


def summarise(
    rows: pl.DataFrame,
    fits: Sequence[Mapping[str, Any]],
    timings: Sequence[Mapping[str, Any]],
    config: dict[str, Any],
) -> Record:
    """Coverage, errors and their paired differences, cost.

    Args:
        rows: `long_rows` of every method in the same worlds.
        fits: as reported, with method, seed, max_rhat, cpu_seconds.
        timings: reports with sampling_cpu_seconds (and compiling_cpu_seconds, where each fit of a process
            compiles anew), of the same worlds by each method that was timed.
    """
    rows = rows.with_columns(
        error=(pl.col("p50") / pl.col("roas_true") - 1).abs(),
        covers=(pl.col("p5") <= pl.col("roas_true")) & (pl.col("roas_true") <= pl.col("p95")),
    )
    methods = rows["method"].unique(maintain_order=True).to_list()
    peers = [method for method in methods if method not in (OURS, TESTED)]
    errors = rows.pivot(on="method", index=["seed", "channel"], values="error", maintain_order=True)
    figures, intervals = [], {}
    for method in methods:
        of_method = rows.filter(pl.col("method") == method)
        share = 100 * float(of_method["covers"].mean())
        held = ("85–95 %", 85 <= share <= 95) if method == OURS else ()
        figures.append(Figure(f"{method}: 90 % intervals that hold ROAS", share, "%", *held))
        error = 100 * float(of_method["error"].median())
        figures.append(Figure(f"{method}: median ROAS error", error, "%"))
    for method, aim in ((OURS, "interval not above 0"), (TESTED, "interval below 0")):
        for peer in peers:
            name = f"median ROAS error, {method} less {peer}"
            less = 100 * float(errors[method].median() - errors[peer].median())
            low, high = intervals[name] = interval_over_worlds(
                errors,
                [method, peer],
                lambda held: 100 * (np.median(held[0], axis=1) - np.median(held[1], axis=1)),
            )
            met = low <= 0 if method == OURS else high < 0
            figures.append(Figure(name, less, "points", aim, bool(met)))
    figures += _rates(timings) + _costs(fits)
    absent = [peer.name for peer in PEERS if peer.name not in peers]
    return Record(
        "mmm_peers",
        config,
        figures,
        note=_note(absent),
        details={"95 % intervals": intervals},
    )


def _rates(timings: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Effective draws a CPU second, least over everything sampled: of a further fit in the same process (with
    an aim), of sampling alone, and the latter over the returns."""
    figures = []
    for column, what, compiling in (
        ("least_effective", "effective draws of a further fit", True),
        ("least_effective", "effective draws, sampling alone", False),
        ("least_effective_return", "effective draws of the worst ROAS, sampling alone", False),
    ):
        rates: dict[str, list[float]] = {}
        for row in timings:
            seconds = row["sampling_cpu_seconds"] + (
                row.get("compiling_cpu_seconds", 0.0) if compiling else 0.0
            )
            rates.setdefault(row["method"], []).append(row[column] / seconds)
        means = {method: float(np.mean(found)) for method, found in rates.items()}
        figures += [Figure(f"{method}: {what}", rate, "/CPU s") for method, rate in means.items()]
        for peer in [method for method in means if method != OURS]:
            times = means[OURS] / means[peer]
            aim = (f"≥ {TIMES_AIM:.0f} ×", times >= TIMES_AIM) if compiling else ()
            figures.append(Figure(f"{what}, ours / {peer}", times, "×", *aim))
    return figures


def _costs(fits: Sequence[Mapping[str, Any]]) -> list[Figure]:
    figures = []
    frame = pl.DataFrame(
        [
            {name: row[name] for name in ("method", "max_rhat", "cpu_seconds")}
            for row in fits
            if "max_rhat" in row
        ]
    )
    for (method,), of_method in frame.group_by("method", maintain_order=True):
        unmixed = 100 * float((of_method["max_rhat"] > MOST_RHAT).mean())
        figures.append(Figure(f"{method}: fits with R-hat above {MOST_RHAT}", unmixed, "%"))
        if method != OURS:
            seconds = float(of_method["cpu_seconds"].median())
            figures.append(Figure(f"{method}: a fit, imports and compiling included", seconds, "CPU s"))
    return figures


def _note(absent: Sequence[str]) -> str:
    note = (
        "Matched worlds of `mmm_recovery`; a world counts once, 95 % intervals (in spine.json) resample "
        f"worlds. {CHAINS} chains, as many draws for tuning as kept, one core. pymc-marketing by PyMC's NUTS "
        "as it comes: the same model and priors as ours but for demand's column and weeks that remember, the "
        "drift's columns as controls, the year's course its own. Meridian by its NUTS on JAX: the same "
        "carry-over, largest responses, noise and baseline (season and drift as principal components), but "
        "Hill saturation with slope 1, its half-saturation distributed as the logistic curve's. Effective "
        "draws: least bulk over everything sampled, tuning included. A further fit in the same process: what "
        "ours and pymc-marketing compile is kept and not counted, Meridian traces and compiles in every "
        "call. Experiments: the two channels least known in dollars, paused for eight weeks in half the "
        "country."
    )
    return f"{note} {' and '.join(absent)} did not run beside it." if absent else note


if __name__ == "__main__":
    for number in range(20):
        for each in PEERS:
            fit_peer(each, [_FIRST_SEED + number], DRAWS)
