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
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from aelp_assets.commands import backups, costs, health, history, lineage, services
from aelp_assets.commands.days import parse_day
from aelp_assets.commands.looker import docs, looker
from resources.settings import (
    PROJECT_ROOT,
    Environment,
    Settings,
    SettingsError,
    load_settings,
    read_environment,
    require_drop_folder,
)

if TYPE_CHECKING:
    from datetime import datetime

    from resources.connectors.registry import Sources
    from resources.control.governance import Governance

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From raw ad-platform data to budget decisions a person can trust, approve and undo.",
)
mmm_app = typer.Typer(no_args_is_help=True, help="Ask the newest media mix.")
app.add_typer(mmm_app, name="mmm")
app.command()(backups.backup)
app.command()(backups.restore)
app.command()(services.prepare)
app.command()(looker)
app.command()(docs)
app.command()(lineage.lineage)
app.command("as-of")(history.as_of)
app.command("export")(history.export)
SANDBOX_TODAY = date(2026, 6, 30)
Scale = Literal["tiny", "demo", "medium", "seed"]


def main() -> None:
    """Entry point: faults a person can mend end in one message and exit code 2, not a traceback."""
    from resources.control.records import Refused
    from resources.control.signing import MissingKey
    from resources.warehouse.interface import WarehouseError

    try:
        app()
    except (SettingsError, WarehouseError, Refused, MissingKey) as fault:
        typer.echo(str(fault), err=True)
        sys.exit(2)


@app.command()
def demo(
    scale: Annotated[Scale, typer.Option(help="How large the simulated business is.")] = "demo",
    today: Annotated[
        date, typer.Option(parser=parse_day, metavar="YYYY-MM-DD", help="The sandbox's today.")
    ] = SANDBOX_TODAY,
) -> None:
    """Simulate the sandbox business, run the whole graph on it, print the decision summary."""
    from contextlib import ExitStack
    from datetime import datetime

    from resources.sandbox import build_sandbox
    from resources.sandbox.build import simulate_account
    from resources.sandbox.servers.account import ServedAccount
    from resources.sandbox.servers.platforms import EXPORTED_AS, served_platforms

    # Simulated files do not belong into a person's own export folder.
    os.environ.pop("AELP_DROP", None)
    environment = read_environment()
    settings = _settings(environment)
    started = time.monotonic()
    typer.echo(f"Sandbox account ({scale}), seed {settings.seed}, today {today}")
    sandbox = environment.home / "sandbox"
    drop = sandbox / "drop"
    # What is served is not exported. Through an API, millions of rows would take minutes to read.
    served = settings.source_names if scale in ("tiny", "demo") else []
    build_sandbox(
        drop,
        scale,
        settings.seed,
        today,
        images=environment.home / "creative_images",
        studies=environment.home / "studies",
        without=[EXPORTED_AS.get(name, name) for name in served],
    )
    nine = datetime(today.year, today.month, today.day, 9, tzinfo=settings.timezone)
    os.environ["AELP_CLOCK"] = nine.isoformat()
    os.environ["AELP_DROP"] = str(drop)
    with ExitStack() as servers:
        if served:
            # Today happens, too: platforms tell by the hour what it has spent so far.
            simulated = simulate_account(scale, settings.seed, today, further_days=1)
            account = ServedAccount(simulated, lambda: nine)
            os.environ.update(servers.enter_context(served_platforms(account, sandbox)))
        _run(started, with_weekly=True)


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
    _run(started, with_weekly=True)


@app.command()
def run() -> None:
    """Pull live sources, land the drop folder, rebuild changed marts, review, decide this morning."""
    _run(time.monotonic())


@app.command()
def summary() -> None:
    """Print the newest decisions: slates, forecast, allocation."""
    from aelp_assets.summary import print_summary
    from resources.warehouse import open_warehouse

    environment = read_environment()
    print_summary(open_warehouse(environment), environment)


@app.command()
def files() -> None:
    """List every file met so far: what became of it at its last landing, with the whole reason."""
    from aelp_assets.file_report import print_files, terminal
    from resources.warehouse import open_warehouse

    print_files(terminal(), open_warehouse(read_environment()))


@app.command()
def quarantine(
    file: Annotated[
        str | None, typer.Argument(help="A file as `aelp files` names it; all by default.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="At most so many rows.")] = 50,
) -> None:
    """Show the rows and files that were set aside: line, reason and the record as it was read."""
    from aelp_assets.file_report import print_quarantine, terminal
    from resources.warehouse import open_warehouse

    print_quarantine(terminal(), open_warehouse(read_environment()), file, rows)


app.command()(health.status)
app.command()(costs.costs)


@app.command()
def connect(
    platform: Annotated[str, typer.Argument(help="A live source the settings name.")],
    save: Annotated[
        bool, typer.Option("--save", help="Keep credentials that work in AELP_HOME, readable by you alone.")
    ] = False,
) -> None:
    """Check a source's credentials with read-only calls, list its accounts, say what is missing."""
    from typing import cast

    from aelp_assets.status import connection_report, save_credentials
    from resources.settings import SourceName

    sources = _sources(read_environment())
    if platform not in sources.settings.sources:
        known = ", ".join(sources.settings.sources) or "none yet: add `sources:` to the settings"
        raise SettingsError(f"{platform}: the settings name no such source; they name {known}")
    name = cast(SourceName, platform)
    works, lines = connection_report(sources, name)
    typer.echo("\n".join(lines))
    if not works:
        raise typer.Exit(1)
    if save:
        typer.echo(save_credentials(sources, name))


_By = Annotated[
    str, typer.Option("--by", envvar="AELP_APPROVER", help="Who decides: an approver of the settings.")
]
_Reason = Annotated[str, typer.Option("--reason", help="Why: those who come later read it.")]


@app.command()
def proposals(
    everything: Annotated[bool, typer.Option("--all", help="Also what was decided or ran out.")] = False,
) -> None:
    """List the changes that wait for a decision: budgets, launches, switches and split tests."""
    from aelp_assets.decision_report import print_proposals
    from aelp_assets.experiments_going_on import disturbed_by
    from aelp_assets.file_report import terminal
    from resources.warehouse import warehouses_to_look_into

    governance, now = _governance()
    known = governance.proposals(now)
    print_proposals(
        terminal(),
        known,
        disturbed_by(warehouses_to_look_into(read_environment()), known),
        now,
        everything=everything,
        killed=governance.killed(),
    )


@app.command()
def approve(
    proposal: Annotated[str, typer.Argument(help="Its id, or the first characters of it.")],
    by: _By,
    reason: _Reason,
) -> None:
    """Sign a proposal; beyond your daily limit a second approver signs too."""
    governance, now = _governance()
    known = governance.open_proposal(proposal, now)
    status = governance.approve(known["proposal_id"], by, reason, now)
    if status == "awaiting_second":
        typer.echo(f"Signed by {by}; it is beyond {by}'s daily limit, so a second approver must sign too.")
        return
    made = [row for row in governance.changes() if row["proposal_id"] == known["proposal_id"]]
    if not made:
        typer.echo("Approved and recorded. No call makes a split test: a person sets it up as designed.")
        return
    change = made[0]
    if change["status"] == "held":
        typer.echo(
            f"Approved: change {change['change_id']} ({change['mode']}) is {change['message']}. A share of "
            "the raises is drawn to be, so that the others can be measured; the lever keeps its budget."
        )
        return
    typer.echo(
        f"Approved: change {change['change_id']} ({change['mode']}). The call it stands for:\n"
        f"{change['request']}\n`aelp rollback {change['change_id']} --by {by} --reason …` undoes it."
    )


@app.command()
def reject(
    proposal: Annotated[str, typer.Argument(help="Its id, or the first characters of it.")],
    by: _By,
    reason: _Reason,
) -> None:
    """Sign that a proposal is not to be."""
    governance, now = _governance()
    governance.reject(proposal, by, reason, now)
    typer.echo("Rejected.")


@app.command()
def counter(
    proposal: Annotated[str, typer.Argument(help="Its id, or the first characters of it.")],
    budget: Annotated[str, typer.Option("--budget", help="Dollars a day, such as 1250 or 1250.50.")],
    by: _By,
    reason: _Reason,
) -> None:
    """Put another number in a proposal's place: the same guardrails, and it waits for approval like any."""
    from aelp_assets.counter_report import print_number
    from aelp_assets.file_report import terminal
    from resources.control.counter_proposals import counter_propose, read_budget, with_budget
    from resources.control.records import require
    from resources.warehouse import warehouses_to_look_into

    governance, now = _governance()
    environment = read_environment()
    settings = _settings(environment)
    amount = read_budget(budget)
    known = governance.open_proposal(proposal, now)
    objections = print_number(
        terminal(),
        governance,
        warehouses_to_look_into(environment),
        known,
        with_budget(known, amount),
        elasticity=settings.bandit.elasticity,
        approver=by,
        now=now,
    )
    require(objections)
    new = counter_propose(
        governance,
        known["proposal_id"],
        amount,
        person=by,
        reason=reason,
        settings_hash=settings.content_hash,
        now=now,
    )
    typer.echo(
        f"Proposed by hand: {new} at {amount:,.2f} a day, in the place of {known['proposal_id']}. It waits "
        f"for approval: `aelp approve {new} --by {by} --reason …`."
    )


@mmm_app.command("what-if")
def mmm_what_if(
    track: Annotated[str, typer.Argument(help="Product track, such as security.")],
    spend: Annotated[
        list[str],
        typer.Argument(help="CHANNEL=DOLLARS a week, CHANNEL=+10% or CHANNEL=-500; any number."),
    ],
) -> None:
    """What another spend by channel would bring, by the newest media mix. Changes nothing."""
    from aelp_assets.file_report import terminal
    from aelp_assets.media_mix_report import newest_fit, print_what_if
    from resources.warehouse import open_warehouse

    environment = read_environment()
    settings = _settings(environment)
    if track not in settings.tracks:
        raise typer.BadParameter(f"{track}: no track; there are {', '.join(settings.tracks)}")
    try:
        morning, found = newest_fit(open_warehouse(environment), environment.artifacts, track)
        print_what_if(terminal(), morning, found, settings, spend)
    except (LookupError, ValueError) as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(1) from None


@app.command()
def score(
    folder: Annotated[
        Path,
        typer.Argument(help="Images, .txt files of their texts, or a creatives.csv of file, headline, …"),
    ],
    track: Annotated[str | None, typer.Option(help="Product track; by default each.")] = None,
    placement: Annotated[
        str | None, typer.Option(help="Such as facebook_feed; by default each track's busiest.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write the scores of every placement that was asked for here.")
    ] = None,
) -> None:
    """Score new creatives before they run, by the newest rankers that may. The warehouse stays as it is."""
    from tempfile import TemporaryDirectory

    from aelp_assets.creative_scoring import (
        busiest,
        chosen_levels,
        newest_judges,
        print_scores,
        score_folder,
        scores_csv,
    )
    from aelp_assets.file_report import terminal
    from resources.clock import clock_from_environment
    from resources.creative_folder import FolderError, folder_files
    from resources.embedders.checkpoints import EmbedderUnavailable
    from resources.embedders.weights import WeightsError
    from resources.home import recall_context
    from resources.ranker_models import RankerFileError
    from resources.warehouse import open_warehouse
    from resources.whole_files import write_whole

    recall_context(read_environment())  # creatives are read as they were where the rankers learnt
    environment = read_environment()
    settings = _settings(environment)
    if csv is not None and not csv.absolute().parent.is_dir():
        raise SettingsError(f"{csv}: its folder does not exist; create it, or name another place")
    try:
        folder_files(folder)
        judges = newest_judges(open_warehouse(environment), environment.artifacts, settings)
        levels = chosen_levels(judges, track, placement)
        with TemporaryDirectory(prefix="aelp-score-") as scratch:
            found = score_folder(
                folder,
                judges,
                levels,
                environment,
                settings,
                Path(scratch),
                clock_from_environment().now(),
                lambda line: typer.echo(line, err=True),
            )
    except FolderError as fault:
        raise SettingsError(str(fault)) from None
    except (LookupError, RankerFileError, EmbedderUnavailable, WeightsError) as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(1) from None
    print_scores(terminal(), found, judges, busiest(levels, placement))
    if csv is not None:
        try:
            write_whole(csv.absolute(), scores_csv(found))
        except OSError as fault:
            raise SettingsError(f"{csv}: cannot be written ({fault.strerror})") from None
        typer.echo(f"{found.scores.height:,} scores of {levels.height} placements: {csv}")
    if found.scores.is_empty():
        raise typer.Exit(1)


@app.command()
def changes() -> None:
    """List approved changes and rollbacks, newest first."""
    from aelp_assets.decision_report import print_changes
    from aelp_assets.file_report import terminal

    governance, now = _governance()
    print_changes(terminal(), governance.changes(), now)


@app.command()
def apply() -> None:
    """Send approved changes and rollbacks to the platforms, once each; print what became of them."""
    from aelp_assets.decision_report import print_outcomes
    from aelp_assets.file_report import terminal
    from aelp_assets.governance import apply_changes

    governance, _ = _governance()
    environment = read_environment()
    settings = _settings(environment)
    outcomes = apply_changes(environment, settings, _sources(environment))
    print_outcomes(terminal(), outcomes, governance.changes(), settings.governance.mode)
    if any(outcome.status != "applied" for outcome in outcomes):
        raise typer.Exit(1)


@app.command()
def explain(
    about: Annotated[str, typer.Argument(help="A change, proposal or decision, or its first characters.")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, slice by slice.")] = False,
) -> None:
    """Say what a change, proposal or decision rests on, back to the batches of raw rows."""
    from aelp_assets import explanation
    from aelp_assets.file_report import terminal
    from resources.warehouse import warehouses_to_look_into

    governance, now = _governance()
    environment = read_environment()
    found = explanation.explain(environment, governance, warehouses_to_look_into(environment), about, now)
    if as_json:
        typer.echo(explanation.as_json(found))
        return
    assert now.tzinfo is not None
    for line in explanation.explanation_lines(found, now.tzinfo):
        terminal().print(line, soft_wrap=True)


@app.command()
def replay(
    about: Annotated[str, typer.Argument(help="A change, proposal or decision, or its first characters.")],
) -> None:
    """Decide again from the stored inputs and settings of then; exit code 0 only where all is the same."""
    from aelp_assets.decision_records import find_decision, name_decision
    from aelp_assets.replay import replay_decision, replay_lines
    from resources.warehouse import warehouses_to_look_into

    governance, now = _governance()
    environment = read_environment()
    named = name_decision(governance, about, now)
    decision = find_decision(environment, warehouses_to_look_into(environment), named).decision
    outcome = replay_decision(environment, decision)
    typer.echo("\n".join(replay_lines(decision, outcome)))
    if not outcome.is_same:
        raise typer.Exit(1)


@app.command()
def rollback(
    change: Annotated[str, typer.Argument(help="Its id, or the first characters of it.")],
    by: _By,
    reason: _Reason,
    cascade: Annotated[bool, typer.Option(help="Undo the lever's later changes first.")] = False,
) -> None:
    """Undo a change by its exact inverse."""
    from aelp_assets.decision_report import undoing_text

    governance, now = _governance()
    undoing = governance.roll_back(change, by, reason, now, cascade=cascade)
    for row in governance.changes():
        if row["change_id"] in undoing:
            typer.echo(undoing_text(row))


@app.command()
def kill(
    switch: Annotated[Literal["on", "off"], typer.Argument(help="on stops every approval and every write.")],
    by: _By,
    reason: _Reason,
) -> None:
    """Stop everything that could move money at once, or let it go on."""
    if switch == "on":
        _stop_everything(by, reason)
        return
    governance, now = _governance()
    governance.kill(is_on=False, person=by, reason=reason, now=now)
    typer.echo("Everything goes on.")


@app.command()
def desk(by: _By, port: Annotated[int, typer.Option(help="Port on loopback.")] = 3001) -> None:
    """Open the review desk on loopback: see what is proposed and why, approve, reject, roll back, stop."""
    import uvicorn

    from aelp_assets.desk.application import create_application, open_desk

    governance, now = _governance()
    environment = read_environment()
    settings = _settings(environment)
    desk = open_desk(environment, settings, governance, by, port)
    typer.echo(
        f"Review desk of {by} at {now:%d %b %Y %H:%M} ({governance.mode}): {desk.address}\n"
        "Whoever opens this address decides in that name; it is good until the desk ends.\n"
        f"AELP_HOME {environment.home} · settings {environment.settings_path}"
    )
    if desk.keyless is not None:
        typer.echo(f"To look, not to decide: {desk.keyless}")
    uvicorn.run(
        create_application(desk),
        host="127.0.0.1",
        port=port,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
    )


@app.command()
def ui(port: Annotated[int, typer.Option(help="Port on loopback.")] = 3000) -> None:
    """Open the Dagster UI on loopback over the same instance, as the last morning was run.

    Sensors and schedules are on, but for a simulated or historic account not what decides today.
    """
    from resources.clock import clock_from_environment
    from resources.home import recall_context

    for name, value in recall_context(read_environment()).items():
        typer.echo(f"{name} {value} (as the last morning in this AELP_HOME; set {name} to use another)")
    environment = read_environment()
    require_drop_folder(environment)
    settings = _settings(environment)
    clock = clock_from_environment()
    typer.echo(f"AELP_HOME {environment.home} · settings {environment.settings_path}")

    from aelp_assets.definitions import decides_today
    from aelp_assets.runner import open_instance, prepare_warehouse
    from resources.warehouse import open_warehouse

    if not decides_today(clock, settings):
        typer.echo(
            "A simulated or historic account: the schedules and model_refresh, which would decide the "
            "calendar's today, start switched off."
        )
    open_instance(environment)
    prepare_warehouse(open_warehouse(environment))
    executable = Path(sys.executable).parent / "dg"
    os.chdir(PROJECT_ROOT)
    os.environ.setdefault("AELP_UI_URL", f"http://127.0.0.1:{port}")  # what alerts link to
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


def _sources(environment: Environment) -> Sources:
    from resources.clock import clock_from_environment
    from resources.connectors.registry import open_sources

    return open_sources(environment, _settings(environment), clock_from_environment())


def _governance() -> tuple[Governance, datetime]:
    """The decisions of this environment, and the present moment in the business's zone."""
    from aelp_assets.governance import open_governance
    from resources.clock import clock_from_environment
    from resources.home import recall_context

    recall_context(read_environment())  # a simulated morning is decided on at its own time
    environment = read_environment()
    settings = _settings(environment)
    now = clock_from_environment().now().astimezone(settings.timezone)
    return open_governance(environment, settings), now


def _stop_everything(person: str, reason: str) -> None:
    """Without reading the settings: a slip in them must not keep anybody from stopping."""
    from resources.clock import clock_from_environment
    from resources.control.governance import stop_everything
    from resources.control.store import control_url, open_control_store
    from resources.home import recall_context

    recall_context(read_environment())
    engine = open_control_store(control_url(read_environment().home, os.environ))
    typer.echo(stop_everything(engine, person, reason, clock_from_environment().now()))


def settings_of(environment: Environment) -> Settings:
    """The settings an environment names.

    Raises:
        SettingsError: the file cannot be read, or says what cannot be.
    """
    try:
        return load_settings(environment.settings_path)
    except (OSError, UnicodeDecodeError) as fault:
        said = fault.strerror if isinstance(fault, OSError) else "not UTF-8 text"
        raise SettingsError(
            f"{environment.settings_path}: cannot be read as a settings file ({said}). "
            "Set AELP_SETTINGS to a YAML file such as aelp.yaml."
        ) from None


_settings = settings_of


def _run(started: float, with_weekly: bool = False) -> None:
    from resources.clock import clock_from_environment
    from resources.home import remember_context

    # Refused at the door: the graph reads both while it is imported.
    environment = read_environment()
    require_drop_folder(environment)
    settings = _settings(environment)
    clock = clock_from_environment()

    from aelp_assets.definitions import build_defs
    from aelp_assets.file_report import print_landing, read_landings, rows_added, terminal
    from aelp_assets.runner import (
        MorningFailed,
        judge_split_tests,
        open_instance,
        run_after,
        run_morning,
    )
    from aelp_assets.summary import print_summary
    from resources.warehouse import open_warehouse

    warehouse = open_warehouse(environment)
    typer.echo(f"AELP_HOME {environment.home} · {environment.warehouse} · {environment.settings_path.name}")
    remember_context(environment)
    log = environment.home / "logs" / "last_run.log"
    landed_before = read_landings(warehouse)
    try:
        with output_to(log) as say, open_instance(environment) as instance:
            defs = build_defs()
            morning = run_morning(defs, instance, warehouse, settings, clock, say, _sources(environment))
            if with_weekly:
                run_after("backtest", defs, instance, morning, say)
                run_after("fit_media_mix", defs, instance, morning, say)
                today = clock.now().astimezone(settings.timezone).date()
                judge_split_tests(defs, instance, warehouse, morning, today, say)
                run_after("rank_creatives", defs, instance, morning, say)  # valid tests teach it
            run_after("review", defs, instance, morning, say)
    except MorningFailed as failure:
        landing = rows_added(landed_before, read_landings(warehouse))
        if not landing.is_empty():  # a file that was refused may well explain the failure
            print_landing(terminal(), warehouse, landing)
        typer.echo(f"{failure}\nThe whole log: {log}", err=True)
        raise typer.Exit(1) from None
    print_summary(warehouse, environment, rows_added(landed_before, read_landings(warehouse)))
    stages = " · ".join(f"{stage} {seconds:.1f} s" for stage, seconds in morning.seconds.items())
    typer.echo(f"Done in {time.monotonic() - started:.0f} s ({stages}).")
