"""`aelp`: the same graph from a shell.

Here: commands, their words and exit codes. Not here: what they do (heavy imports are lazy so that
`aelp --help` answers at once).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from resources.settings import PROJECT_ROOT, SettingsError, load_settings, read_environment

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From raw ad-platform data to budget decisions a person can trust, approve and undo.",
)
SANDBOX_TODAY = date(2026, 6, 30)


def main() -> None:
    """Entry point: faults a person can mend end in one message and exit code 2, not a traceback."""
    from resources.warehouse.interface import WarehouseError

    try:
        app()
    except (SettingsError, WarehouseError) as fault:
        typer.echo(str(fault), err=True)
        sys.exit(2)


@app.command()
def demo(
    scale: Annotated[str, typer.Option(help="tiny, demo or seed.")] = "demo",
    today: Annotated[str, typer.Option(help="The sandbox's today.")] = SANDBOX_TODAY.isoformat(),
) -> None:
    """Simulate the sandbox business, run the whole graph on it, print the decision summary."""
    from datetime import datetime

    from resources.sandbox import build_sandbox

    environment = read_environment()
    settings = load_settings(environment.settings_path)
    morning = date.fromisoformat(today)
    started = time.monotonic()
    typer.echo(f"Sandbox account ({scale}), seed {settings.seed}, today {morning}")
    build_sandbox(
        environment.drop_folder,
        scale,
        settings.seed,
        morning,
        images=environment.home / "creative_images",
        studies=environment.home / "studies",
    )
    nine = datetime(morning.year, morning.month, morning.day, 9, tzinfo=settings.timezone)
    os.environ["AELP_CLOCK"] = nine.isoformat()
    _run(started)


@app.command()
def real(
    folder: Annotated[Path, typer.Argument(help="A folder of exports; any subset of known formats.")],
) -> None:
    """Run the whole graph on a folder of real exports, each account as of the day after its last."""
    if not folder.is_dir():
        raise SettingsError(f"{folder}: no such folder of exports")
    started = time.monotonic()
    os.environ.setdefault("AELP_SETTINGS", str(PROJECT_ROOT / "aelp.real.yaml"))
    os.environ["AELP_DROP"] = str(folder.resolve())
    _run(started, with_backtest=True)


@app.command()
def run() -> None:
    """Land the drop folder, rebuild changed marts, decide this morning."""
    _run(time.monotonic())


@app.command()
def summary() -> None:
    """Print the newest decisions: slates, forecast, allocation."""
    from aelp_assets.summary import print_summary
    from resources.warehouse import open_warehouse

    environment = read_environment()
    print_summary(open_warehouse(environment), environment)


@app.command()
def ui(port: Annotated[int, typer.Option(help="Port on loopback.")] = 3000) -> None:
    """Open the Dagster UI on loopback over the same instance, sensors and schedules on."""
    from aelp_assets.runner import open_instance, prepare_warehouse
    from resources.warehouse import open_warehouse

    environment = read_environment()
    open_instance(environment)
    prepare_warehouse(open_warehouse(environment))
    executable = Path(sys.executable).parent / "dg"
    os.chdir(PROJECT_ROOT)
    os.environ["VIRTUAL_ENV"] = sys.prefix  # `dg` compares it with the project's own environment
    os.execv(executable, [str(executable), "dev", "--host", "127.0.0.1", "--port", str(port)])  # noqa: S606


@contextmanager
def output_to(log: Path) -> Iterator[Callable[[str], None]]:
    """Send everything Dagster and dbt print to `log`; yields a function that still reaches the terminal.

    Descriptors are swapped, not `sys.stdout`: dbt and Dagster's log capture write below Python.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    terminal = os.fdopen(os.dup(saved[0]), "w")

    def say(line: str) -> None:
        print(line, file=terminal, flush=True)

    try:
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield say
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in enumerate(saved, start=1):
            os.dup2(original, descriptor)
            os.close(original)
        terminal.close()


def _run(started: float, with_backtest: bool = False) -> None:
    from aelp_assets.definitions import build_defs
    from aelp_assets.runner import MorningFailed, open_instance, run_backtest, run_morning
    from aelp_assets.summary import print_summary
    from resources.clock import clock_from_environment
    from resources.warehouse import open_warehouse

    environment = read_environment()
    settings = load_settings(environment.settings_path)
    warehouse = open_warehouse(environment)
    clock = clock_from_environment()
    typer.echo(f"AELP_HOME {environment.home} · {environment.warehouse} · {environment.settings_path.name}")
    log = environment.home / "logs" / "last_run.log"
    try:
        with output_to(log) as say, open_instance(environment) as instance:
            defs = build_defs()
            morning = run_morning(defs, instance, warehouse, settings, clock, say)
            if with_backtest:
                run_backtest(defs, instance, morning, say)
    except MorningFailed as failure:
        typer.echo(f"{failure}\nThe whole log: {log}", err=True)
        raise typer.Exit(1) from None
    print_summary(warehouse, environment)
    stages = " · ".join(f"{stage} {seconds:.1f} s" for stage, seconds in morning.seconds.items())
    typer.echo(f"Done in {time.monotonic() - started:.0f} s ({stages}).")
