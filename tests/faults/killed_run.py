"""`aelp run` that dies at a chosen point: `python -m tests.faults.killed_run <point>`.

The real program with one call wrapped; the process gets SIGKILL there, so nothing is cleaned up.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import dagster as dg


def die() -> None:
    """As out of memory or kill -9 takes it: only this process, its children are left to themselves."""
    os.kill(os.getpid(), signal.SIGKILL)


def before(call: Callable[..., Any], number: int = 1) -> Callable[..., Any]:
    """Die instead of the call of that number."""
    counted = [0]

    def wrapped(*args: Any, **named: Any) -> Any:
        counted[0] += 1
        if counted[0] == number:
            die()
        return call(*args, **named)

    return wrapped


def after(call: Callable[..., Any]) -> Callable[..., Any]:
    """Die once the call has returned."""

    def wrapped(*args: Any, **named: Any) -> Any:
        call(*args, **named)
        die()

    return wrapped


def amid_dbt(model: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Die as soon as dbt says that it built the model, while it goes on to the next."""

    def wrapped(*args: Any, **named: Any) -> Any:
        for event in call(*args, **named):
            if isinstance(event, dg.Output) and event.output_name.endswith(model):
                die()
            yield event

    return wrapped


def before_table(table: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Die before the output of that table is written."""

    def wrapped(manager: Any, context: Any, value: Any) -> Any:
        if context.asset_key.path[-1] == table:
            die()
        return call(manager, context, value)

    return wrapped


# point -> where it is, and what happens there
POINTS: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "while_fetching": ("resources.files.drop", "FileDrop.fetch", partial(before, number=2)),
    "after_publishing": ("aelp_assets.ingest.file_drop", "publish_landing", after),
    # past the staging views, with some marts of the range built and others not
    "amid_dbt": (
        "dagster_dbt.core.dbt_cli_invocation",
        "DbtCliInvocation.stream",
        partial(amid_dbt, "ads_ad_daily"),
    ),
    "after_marts": ("aelp_assets.runner", "decision_mornings", before),
    # forecasts and posteriors are stored, decisions are not
    "while_deciding": (
        "resources.warehouse.io_manager",
        "WarehouseIOManager.handle_output",
        partial(before_table, "bandit_decisions"),
    ),
}
BETWEEN_RUNS = {"after_marts"}  # no Dagster run is under way there


def wrap_at(module: str, name: str, wrap: Callable[[Any], Any]) -> None:
    """Put what `wrap` makes of a function, or of a class's method, in its place."""
    owner: Any = importlib.import_module(module)
    *path, attribute = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    setattr(owner, attribute, wrap(getattr(owner, attribute)))


def main() -> None:
    wrap_at(*POINTS[sys.argv[1]])
    sys.argv = ["aelp", "run"]
    importlib.import_module("aelp_assets.cli").main()


if __name__ == "__main__":
    main()
