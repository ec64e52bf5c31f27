"""Does the media-mix model find the truth, say how unsure it is, and know when it is wrong?

Here: simulated worlds (`mmm_worlds`) through the model, its second opinion and its checks, and what they come
to together. Not here: the worlds, the model (`models.mmm`), real series (`mmm_real`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from benchmarks.accounts import scratch_folder
from benchmarks.mmm_worlds import KINDS, MISSPECIFIED, World, run_test, simulate
from benchmarks.record import Figure, Record, code_hash
from models.mmm.bootstrap import compare_returns, fit_bootstrap
from models.mmm.curves import at_spend
from models.mmm.diagnostics import MOST_MEMORY, MOSTLY_PRIOR, diagnose, prior_draws
from models.mmm.posterior import MediaPosterior
from models.mmm.response import FloatArray
from models.mmm.specification import LiftTest, Specification
from models.mmm.validation import (
    MOST_LEAD,
    MOST_MOVE,
    Fitted,
    lead_check,
    placebo_check,
    with_placebo,
)
from models.mmm.weeks import MediaWeeks

TESTED_CHANNELS, TEST_WEEKS = 2, 8
FLAGS = (
    "disagrees",
    "prior_dominated",
    "unstable",
    "spend_follows",
    "weeks_remember",
    "harvests",
    "placebo_failed",
)
_RESAMPLES = 2000
_FIRST_SEED = 9001
"""Far from the seeds that anything was tried on."""
_BOOTSTRAP_DRAWS = 400
_LEFT_OUT = 4


@dataclass(frozen=True)
class Fitters:
    """How worlds are fitted: in which form, with which tests, with one channel more, and what such a fit
    believed before any data."""

    form: Specification
    fit: Callable[[MediaWeeks, Sequence[LiftTest], int], MediaPosterior]
    fit_with_placebo: Callable[[MediaWeeks, int], Fitted]
    before_data: Callable[[Any], Fitted] | None = None


def mmm_recovery(worlds: int = 50, misspecified: int = 12, draws: int = 500) -> Record:
    """Fit that many worlds of the model's family and of each kind outside it; intervals resample worlds.

    Scores are kept as they come, so that a study cut off goes on where it was.
    """
    kept = scratch_folder() / f"mmm_recovery-{draws}-{code_hash()}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    scored = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    known = {(row["kind"], row["seed"]) for row in scored}
    counts = {kind: worlds if kind == "matched" else misspecified for kind in KINDS}
    # All kinds in step, so that a study cut off has some of each.
    in_step = sorted((at / count, kind, at) for kind, count in counts.items() for at in range(count))
    wanted = [(kind, _FIRST_SEED + at) for _, kind, at in in_step]
    if missing := [each for each in wanted if each not in known]:
        fitters = compiled_fitters(simulate(*missing[0]).weeks, draws)
        with kept.open("a") as file:
            for kind, seed in missing:
                scores = score_world(simulate(kind, seed), fitters)
                file.write(json.dumps({"kind": kind, "seed": seed, "channels": scores.to_dicts()}) + "\n")
                file.flush()
                scored.append({"kind": kind, "seed": seed, "channels": scores.to_dicts()})
    rows = pl.concat(
        pl.DataFrame(world["channels"]).with_columns(kind=pl.lit(world["kind"]), seed=pl.lit(world["seed"]))
        for world in sorted(scored, key=lambda world: (KINDS.index(world["kind"]), world["seed"]))
        if (world["kind"], world["seed"]) in wanted
    )
    return summarise(rows, {"worlds": worlds, "misspecified": misspecified, "draws": draws})


def compiled_fitters(weeks: MediaWeeks, draws: int) -> Fitters:
    """The project's own model with its defaults, compiled once for these channels, and once with a placebo by
    whoever first asks for one."""
    from models.mmm.collapsed import CompiledMix, Sampling, fit

    form = Specification()
    own = CompiledMix(weeks, form)

    @cache
    def wider() -> CompiledMix:
        return CompiledMix(with_placebo(weeks, np.random.default_rng(0)), form)

    def sampling(seed: int) -> Sampling:
        return Sampling(seed, chains=4, draws=draws, tune=draws, cores=1)

    return Fitters(
        form,
        fit=lambda data, tests, seed: fit(data, form, sampling(seed), tests, own),
        fit_with_placebo=lambda data, seed: fit(data, form, sampling(seed), (), wider()),
        before_data=lambda fitted: prior_draws(fitted, form, np.random.default_rng(0)),
    )


def score_world(world: World, fitters: Fitters) -> pl.DataFrame:
    """A row per channel: truth, estimates (p5, p50, p95) without and with experiments, and what was flagged.

    The experiments cut the spend of the channels whose returns are least known, in dollars, to nothing for
    eight weeks.
    """
    weeks, seed = world.weeks, world.seed
    names = weeks.channels
    fitted = fitters.fit(weeks, (), seed)
    returned = fitted.return_on_spend()
    second = fit_bootstrap(weeks, np.random.default_rng(seed), _BOOTSTRAP_DRAWS).return_on_spend()
    diagnosis = diagnose(fitted, fitters.form, np.random.default_rng(seed))
    fewer = fitters.fit(weeks.before(weeks.number - _LEFT_OUT), (), seed).return_on_spend()
    moved = np.abs(np.median(fewer, axis=0) - np.median(returned, axis=0)) / returned.std(axis=0)
    rng = np.random.default_rng([seed, 1])
    placebo = placebo_check(
        weeks,
        lambda data: fitters.fit_with_placebo(data, seed),
        rng,
        fitters.before_data,
    )
    unknown, tests = least_known_tests(world, returned, rng)
    tested = fitters.fit(weeks, tests, seed)
    columns: dict[str, Any] = {"channel": list(names)}
    columns |= {"roas_true": world.return_on_spend, "mroas_true": world.marginal_return}
    for label, draws in (
        ("roas", returned),
        ("mroas", marginal_returns(fitted, world.usual_spend)),
        ("second", second),
        ("tested_roas", tested.return_on_spend()),
    ):
        ends = np.quantile(draws, (0.05, 0.5, 0.95), axis=0)
        columns |= {f"{label}_p{level}": row for level, row in zip((5, 50, 95), ends, strict=True)}
    columns["tested"] = [at in unknown for at in range(len(names))]
    columns["contraction"] = [each.return_on_spend for each in diagnosis.channels]
    columns["moved"] = moved
    columns["lead_t"] = lead_check(weeks, fitters.form.prior)["t"]
    columns["memory"] = [diagnosis.memory] * len(names)
    columns["harvests"] = [name in weeks.harvests for name in names]
    columns["placebo_p10"] = [placebo.share_p10] * len(names)
    columns["placebo_p50"] = [placebo.share_p50] * len(names)
    return pl.DataFrame(columns).with_columns(
        disagrees=compare_returns(names, returned, second)["disagrees"],
        prior_dominated=pl.col("contraction") < MOSTLY_PRIOR,
        spend_follows=pl.col("lead_t") > MOST_LEAD,
        weeks_remember=pl.col("memory") > MOST_MEMORY,
        unstable=pl.col("moved") > MOST_MOVE,
        placebo_failed=pl.lit(not placebo.passed),
        badly_sampled=pl.lit(not diagnosis.passed),
    )


def least_known_tests(
    world: World, returned: FloatArray, rng: np.random.Generator
) -> tuple[list[int], list[LiftTest]]:
    """Places of the channels whose returns are least known, in dollars, and a pause of each as a test.

    Args:
        returned: draws of the returns on spend, (draws, channels).
    """
    weeks = world.weeks
    unknown = np.argsort(-(returned.std(axis=0) * weeks.spend.sum(axis=0)))[:TESTED_CHANNELS].tolist()
    return unknown, [run_test(world, weeks.channels[at], -np.inf, TEST_WEEKS, rng) for at in unknown]


def marginal_returns(posterior: MediaPosterior, usual: FloatArray) -> FloatArray:
    """Outcome of the next weekly dollar at the usual weekly spend, (draws, channels)."""
    return np.hstack([at_spend(posterior, at, usual[at : at + 1])[1] for at in range(usual.size)])


def summarise(rows: pl.DataFrame, config: dict[str, Any]) -> Record:
    """Coverage, error and flags over worlds.

    Args:
        rows: `score_world` of several worlds with `kind` and `seed`.
    """
    rows = rows.with_columns(
        *(
            (
                (pl.col(f"{label}_p5") <= pl.col(f"{truth}_true"))
                & (pl.col(f"{truth}_true") <= pl.col(f"{label}_p95"))
            )
            .cast(pl.Float64)
            .alias(f"{label}_covers")
            for label, truth in (
                ("roas", "roas"),
                ("mroas", "mroas"),
                ("second", "roas"),
                ("tested_roas", "roas"),
            )
        ),
        *(
            (pl.col(f"{label}_p50") / pl.col(f"{label}_true") - 1).abs().alias(f"{label}_error")
            for label in ("roas", "mroas")
        ),
        tested_error=(pl.col("tested_roas_p50") / pl.col("roas_true") - 1).abs(),
        bias=pl.col("roas_p50") / pl.col("roas_true") - 1,
        width=(pl.col("roas_p95") - pl.col("roas_p5")) / pl.col("roas_true"),
        flagged=pl.any_horizontal(FLAGS),
    )
    tally = _Tally(rows)
    matched = rows.filter(pl.col("kind") == "matched")
    tally.coverage("matched: 90 % intervals that hold ROAS", matched, "roas_covers", aimed=True)
    tally.coverage("matched: 90 % intervals that hold marginal ROAS", matched, "mroas_covers", aimed=True)
    tally.median("matched: median ROAS error", matched, "roas_error")
    tally.median("matched: median marginal ROAS error", matched, "mroas_error")
    tally.median("matched: median width of the 90 % interval of ROAS", matched, "width")
    tally.median("matched: median ROAS less the truth", matched, "bias")
    tally.coverage("matched: 90 % intervals of the second opinion", matched, "second_covers")
    tally.experiments("matched", matched)
    tally.experiments("matched, tested channels", matched.filter("tested"))
    for kind in MISSPECIFIED:
        of_kind = rows.filter(pl.col("kind") == kind)
        if of_kind.height:
            name = kind.replace("_", " ")
            tally.coverage(f"{name}: 90 % intervals that hold ROAS", of_kind, "roas_covers")
            tally.median(f"{name}: median ROAS error", of_kind, "roas_error")
            tally.experiments(name, of_kind)
            tally.experiments(f"{name}, tested channels", of_kind.filter("tested"))
    wrong = rows.filter((pl.col("kind") != "matched") & (pl.col("roas_covers") == 0))
    tally.share("misspecified: channels outside their interval that are flagged", wrong, "flagged")
    tally.share("matched: channels that are flagged", matched, "flagged")
    tally.share("matched: fits that the diagnosis would block", matched, "badly_sampled")
    return Record(
        "mmm_recovery",
        config,
        tally.figures,
        note="Worlds of 156 weeks and 5 channels; a world counts once, 95 % intervals (in spine.json) "
        "resample worlds. Errors are of the median, relative to the truth. Experiments: the two channels "
        "least known in dollars, paused for eight weeks in half the country. Flagged: second opinion "
        "disagrees, prior dominates, unstable without the last four weeks, next week's spend tells this "
        "week's outcome, what is left of a week lasts into the next, harvests demand, placebo failed. "
        "Blocked: R-hat, effective draws or divergences, at half the draws of a weekly fit.",
        details={
            "95 % intervals": tally.intervals,
            "flagged by, % of channels outside their interval (misspecified)": _by_flag(wrong),
            "flagged by, % of channels (matched)": _by_flag(matched),
        },
    )


class _Tally:
    """Figures with intervals from the same resamples of whole worlds, so that differences are paired."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self.figures: list[Figure] = []
        self.intervals: dict[str, list[float]] = {}

    def coverage(self, name: str, rows: pl.DataFrame, column: str, aimed: bool = False) -> None:
        share = 100 * float(rows[column].mean())
        aim = "85–95 %" if aimed else None
        self._add(name, rows, [column], lambda held: 100 * held[0].mean(axis=1))
        self.figures.append(Figure(name, share, "%", aim, 85 <= share <= 95 if aimed else None))

    def median(self, name: str, rows: pl.DataFrame, column: str) -> None:
        self._add(name, rows, [column], lambda held: 100 * np.median(held[0], axis=1))
        self.figures.append(Figure(name, 100 * float(rows[column].median()), "%"))

    def experiments(self, kind: str, rows: pl.DataFrame) -> None:
        """Median error with the experiments less without them."""
        name = f"{kind}: median ROAS error, with two experiments less without"
        pair = ["tested_error", "roas_error"]
        self._add(
            name, rows, pair, lambda held: 100 * (np.median(held[0], axis=1) - np.median(held[1], axis=1))
        )
        gain = 100 * float(rows[pair[0]].median() - rows[pair[1]].median())
        self.figures.append(Figure(name, gain, "points", "interval below 0", self.intervals[name][1] < 0))

    def share(self, name: str, rows: pl.DataFrame, column: str) -> None:
        if rows.height:
            self.figures.append(Figure(name, 100 * float(rows[column].mean()), "%"))

    def _add(
        self,
        name: str,
        rows: pl.DataFrame,
        columns: Sequence[str],
        statistic: Callable[[list[FloatArray]], FloatArray],
    ) -> None:
        self.intervals[name] = interval_over_worlds(rows, columns, statistic)


def interval_over_worlds(
    rows: pl.DataFrame, columns: Sequence[str], statistic: Callable[[list[FloatArray]], FloatArray]
) -> list[float]:
    """95 % interval of a statistic over channels, worlds drawn with replacement.

    Args:
        rows: channels of worlds (`seed`), as many in each.
        statistic: of the columns, each (resamples, channels of all worlds drawn).
    """
    worlds = rows.group_by("seed", maintain_order=True).agg(columns)
    picks = np.random.default_rng(1).integers(0, worlds.height, size=(_RESAMPLES, worlds.height))
    held = [np.array(worlds[column].to_list())[picks].reshape(_RESAMPLES, -1) for column in columns]
    return [round(float(end), 1) for end in np.quantile(statistic(held), (0.025, 0.975))]


def _by_flag(rows: pl.DataFrame) -> dict[str, float]:
    return {flag: round(100 * float(rows[flag].mean()), 1) for flag in FLAGS} if rows.height else {}
