"""What the pages name is there: commands, make targets, jobs, schedules, sensors, tables, files."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from functools import cache
from itertools import takewhile
from pathlib import Path

import pytest
import typer.main

from aelp_assets.cli import app
from aelp_assets.instance import install_instance
from resources.control.store import control_url
from resources.settings import PROJECT_ROOT, read_environment
from resources.warehouse.tables import PYTHON_TABLES

PAGES = [
    *(PROJECT_ROOT / name for name in ("README.md", "deploy/README.md", "looker/README.md")),
    *sorted((PROJECT_ROOT / "docs").glob("*.md")),
]
SCHEMAS = ("raw", "staging", "intermediate", "ops", "gaelp_training")
_CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
_SHELL = re.compile(r"```(?:bash|sh)\n(.*?)```", re.DOTALL)
_COMMAND = re.compile(r"(?:^|[\s/;&|(])aelp ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?")
_TARGET = re.compile(r"(?:^|[\s;&|])make ((?:[a-z0-9-]+ ?)+)")
_TABLE = re.compile(rf"(?<![\w./])(?:{'|'.join(SCHEMAS)})\.([a-z][a-z0-9_]+)")
_LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
_TOP = r"aelp_assets|benchmarks|dbt_project|deploy|docs|looker|models|resources|sensors|tests"
_PATH = re.compile(rf"(?<![\w/.<$])((?:{_TOP})/[\w./-]*[\w/])")
# Names of a person's own that a page tells them to make.
MADE_BY_THE_READER = {"spend_shares"}


@cache
def graph() -> dict[str, list[str]]:
    """The committed snapshot: what the graph test holds the real graph to."""
    return json.loads((Path(__file__).parent / "graph_snapshot.json").read_text())


@cache
def tables() -> frozenset[str]:
    built = {key.split("/")[-1] for key in graph()["assets"]}
    return frozenset(built | {name.split(".")[-1] for name in PYTHON_TABLES})


@cache
def commands() -> dict[str, frozenset[str]]:
    """Each command with the names below it."""
    group = typer.main.get_command(app)
    return {name: frozenset(getattr(made, "commands", {})) for name, made in group.commands.items()}


def code_of(page: Path) -> str:
    """What stands between backticks, without the remarks of shell lines."""
    return "\n".join(
        re.sub(r"(^|\s)#.*", "", block) or inline for block, inline in _CODE.findall(page.read_text())
    )


def shell_lines(page: Path) -> list[list[str]]:
    """What follows `aelp` in blocks of shell, word by word up to a pipe or another command."""
    text = "\n".join(_SHELL.findall(page.read_text())).replace("\\\n", " ")
    lines = [shlex.split(re.sub(r"\$\([^)]*\)", "X", line), comments=True) for line in text.splitlines()]
    found = []
    for words in lines:
        names = [word.rpartition("/")[2] for word in words]
        told = words[names.index("aelp") + 1 :] if "aelp" in names else []
        told = list(takewhile(lambda word: word not in (">", ">>", "|", "&&", "||", ";", "&"), told))
        if told and told[0] in commands():
            found.append(told)
    return found


def parse(words: list[str]) -> None:
    """Read a command line as `aelp` does and run nothing; raises a UsageError of click's."""
    command, name, context = typer.main.get_command(app), "aelp", None
    while command is not None:
        context = command.make_context(name, list(words), parent=context)
        if not hasattr(command, "commands"):
            return
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(PROJECT_ROOT)))
def page(request) -> Path:
    return request.param


def test_every_command_named_exists(page):
    for name, below in _COMMAND.findall(code_of(page)):
        assert name in commands(), f"{page.name}: aelp {name}"
        if commands()[name]:
            assert below in commands()[name], f"{page.name}: aelp {name} {below}"


def test_every_line_of_shell_has_what_its_command_asks_for(page):
    for words in shell_lines(page):
        parse(words)


@pytest.mark.parametrize("line", ["kill on", "changes --lates", "rollback", "approve X --reason pays"])
def test_a_line_that_lacks_something_is_found(line, tmp_path):
    (tmp_path / "page.md").write_text(f"```bash\naelp {line} | less  # what it does\n```\n")
    (words,) = shell_lines(tmp_path / "page.md")
    assert words == line.split()
    with pytest.raises(Exception, match=r"Missing|No such option"):
        parse(words)


def test_every_make_target_named_exists(page):
    targets = set(re.findall(r"^([a-z0-9-]+):", (PROJECT_ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for found in _TARGET.findall(code_of(page)) for target in found.split()}
    assert named <= targets, f"{page.name}: {named - targets}"


def test_every_table_named_exists(page):
    named = set(_TABLE.findall(code_of(page))) - MADE_BY_THE_READER
    assert named <= tables(), f"{page.name}: {named - tables()}"


def test_every_file_named_exists(page):
    links = {(page.parent / link).resolve() for link in _LINK.findall(page.read_text()) if "://" not in link}
    paths = {PROJECT_ROOT / path for path in _PATH.findall(code_of(page))}
    gone = [str(path) for path in links | paths if not path.exists()]
    assert not [path for path in gone if Path(path).stem not in MADE_BY_THE_READER], page.name


@pytest.mark.parametrize("kind", ["job", "schedule", "sensor"])
def test_what_a_page_calls_a_job_schedule_or_sensor_is_one(page, kind):
    known = set(graph()[f"{kind}s"])
    named = set(re.findall(rf"\b{kind} `([a-z_]+)`", page.read_text()))
    named |= set(re.findall(rf"`([a-z_]+)` {kind}\b", page.read_text()))
    assert named <= known, f"{page.name}: {named - known}"


def test_the_trial_of_a_track_touches_nothing_of_a_deployment(tmp_path):
    home = tmp_path / "production"
    (home / "dagster").mkdir(parents=True)
    (home / "dagster" / "dagster.yaml").write_text(
        "storage: {postgres: {postgres_url: {env: AELP_DAGSTER_URL}}}"
    )
    deployed = {
        "PATH": os.environ["PATH"],
        "AELP_HOME": str(home),
        "AELP_SETTINGS": str(PROJECT_ROOT / "aelp.real.yaml"),
        "AELP_CONTROL_URL": "postgresql://production/control",
        "AELP_DAGSTER_URL": "postgresql+psycopg2://production/dagster",
        "AELP_WAREHOUSE": "bigquery",
        "AELP_BIGQUERY_PROJECT": "production",
        "AELP_LIVE": "1",
        "AELP_NOTIFY_WEBHOOK": "https://production.example",
        "AELP_NOTIFY_SMTP_HOST": "production.example",
    }
    (steps, *_) = _SHELL.findall((PROJECT_ROOT / "docs" / "add_a_track.md").read_text())
    told = subprocess.run(
        ["bash", "-ec", steps.replace("/tmp/", f"{tmp_path}/") + "\nenv"],
        env=deployed, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    trial = dict(line.split("=", 1) for line in told.splitlines())
    environment = read_environment(trial)
    assert control_url(environment.home, trial) == f"sqlite:///{tmp_path}/trial/control.sqlite"
    assert environment.warehouse == "duckdb"
    assert not {"AELP_LIVE", "AELP_NOTIFY_WEBHOOK", "AELP_NOTIFY_SMTP_HOST"} & set(trial)
    install_instance(environment, trial)
    assert "postgres" not in (environment.dagster_home / "dagster.yaml").read_text()
    assert (tmp_path / "three.yaml").read_text() == (PROJECT_ROOT / "aelp.real.yaml").read_text()
