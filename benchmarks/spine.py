"""A whole morning's cost: from nothing at a real account's size, and for one new day.

Here: running `aelp run` in fresh homes and reading what it was busy with. Not here: the run
(`aelp_assets.runner`) and the sampling (`sampled_run`).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from benchmarks.accounts import Account, Home
from benchmarks.processes import Cost
from benchmarks.record import Figure, Record
from benchmarks.sampled_run import WORK

_AIMED_WALL, _AIMED_PEAK_GB, _AIMED_NEW_DAY = 120.0, 6.0, 15.0


def cold_build(account: Account, home: Home) -> Record:
    """Everything from dropped files to slates in a fresh home; the home is left built."""
    rows = account.exports()
    cost, facts = home.morning()
    peak = cost.peak_bytes / 1e9
    at_seed = account.scale == "seed"
    return Record(
        "cold_build",
        {"scale": account.scale, "history": account.history},
        [
            Figure(
                "raw to slates", cost.wall_seconds, "s", *_aim(at_seed, cost.wall_seconds, _AIMED_WALL, "s")
            ),
            Figure("CPU time", cost.cpu_seconds, "s"),
            Figure("peak memory of all processes", peak, "GB", *_aim(at_seed, peak, _AIMED_PEAK_GB, "GB")),
            *_stages(facts),
            *_places(cost, facts),
            Figure("export rows landed", float(sum(rows.values())), "rows"),
            Figure("Dagster events", float(sum(facts["events"].values())), "events"),
        ],
        note="`aelp run` in a process of its own on an empty AELP_HOME; writing the sandbox's files is not "
        "counted. Wall time by place is sampled from the main thread's stack 100 times a second.",
        details=_details(facts),
    )


def one_new_day(home: Home, mornings: int) -> Record:
    """The mornings after a cold build, each with the exports of one more day; the quickest one counts.

    The home must have run its first morning.
    """
    done: list[tuple[Cost, dict[str, Any], int]] = []
    for days_later in range(1, mornings + 1):
        rows = home.drop_day(days_later)
        done.append((*home.morning(days_later), rows))
    cost, facts, rows = min(done, key=lambda morning: _work(morning[1]))
    work = _work(facts)
    return Record(
        "one_new_day",
        {"scale": home.account.scale, "history": home.account.history},
        [
            Figure("warehouse and model work", work, "s", *_aim(True, work, _AIMED_NEW_DAY, "s")),
            Figure("of it, dbt before and after its models and tests", _dbt_around(facts), "s"),
            Figure("the analysts' copy of the file, beside it", _by_place(facts)["analyst copy"], "s"),
            Figure("whole command", cost.wall_seconds, "s"),
            Figure("CPU time", cost.cpu_seconds, "s"),
            Figure("peak memory of all processes", cost.peak_bytes / 1e9, "GB"),
            *_stages(facts),
            *_places(cost, facts),
            Figure("export rows dropped", float(rows), "rows"),
        ],
        note="Seven days are exported again with the new one. Work is landing, warehouse, dbt and "
        "models: all but process start-up, Dagster's bookkeeping, pictures, column lineage and the copy of "
        "the file for analysts, which takes what the disk takes.",
        details={
            **_details(facts),
            "all mornings, work in seconds": {
                f"morning {number}": round(_work(found[1]), 2) for number, found in enumerate(done, start=1)
            },
        },
    )


def history_ratio(short: Record, long: Record) -> Record:
    """How one new day at several times the history compares with the same account's at once its history."""
    times = long.config["history"] / short.config["history"]
    figures = []
    for name in ("warehouse and model work", "whole command", "CPU time"):
        ratio = _figure(long, name) / _figure(short, name)
        figures.append(Figure(f"{name}, {times:.0f}× / 1× history", ratio, "×", "about 1"))
    return Record(
        "one_new_day_by_history",
        {"scale": short.config["scale"], "history": long.config["history"]},
        figures,
        note="Two runs each; below about 1.15 it is noise of the machine.",
    )


def _figure(record: Record, name: str) -> float:
    return next(figure.value for figure in record.figures if figure.name == name)


def _aim(applies: bool, value: float, bound: float, unit: str) -> tuple[str | None, bool | None]:
    return (f"≤ {bound:g} {unit}", value <= bound) if applies else (None, None)


def _stages(facts: dict[str, Any]) -> list[Figure]:
    return [Figure(f"stage: {stage}", seconds, "s") for stage, seconds in facts["stages"].items()]


def _by_place(facts: dict[str, Any]) -> Counter[str]:
    places: Counter[str] = Counter()
    for sample in facts["sampled"]:
        places[sample["place"]] += sample["seconds"]
    return places


def _work(facts: dict[str, Any]) -> float:
    """Seconds of warehouse and model work inside the morning's jobs and between them."""
    return sum(
        float(sample["seconds"])
        for sample in facts["sampled"]
        if sample["place"] in WORK and sample["stage"] not in ("start-up", "summary")
    )


def _places(cost: Cost, facts: dict[str, Any]) -> list[Figure]:
    places = _by_place(facts)
    figures = [
        Figure(f"busy with {place}", seconds, "s") for place, seconds in places.most_common() if seconds > 0.2
    ]
    unseen = cost.wall_seconds - sum(places.values())
    return [*figures, Figure("interpreter start and end", max(unseen, 0.0), "s")]


def _dbt_around(facts: dict[str, Any]) -> float:
    """Seconds waited for dbt while none of its models and tests ran: imports, the manifest, its files."""
    return max(_by_place(facts)["dbt"] - float(facts["dbt_running"]), 0.0)


def _details(facts: dict[str, Any]) -> dict[str, Any]:
    dbt = {
        f"dbt {kind}, seconds": {name.split(".")[2]: round(seconds, 2) for name, seconds in nodes.items()}
        for kind, nodes in facts["dbt_nodes"].items()
    }
    steps = {name: round(seconds, 2) for name, seconds in facts["steps"].items()}
    return {"steps, seconds": steps, **dbt}
