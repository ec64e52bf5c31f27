"""The decision summary people read in the terminal after a run.

Here: reading finished tables and printing them. Not here: any number that is not in a table.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table as Grid

from aelp_assets.file_report import newest_landing, print_landing, read_landings, terminal
from resources.control.records import OPEN
from resources.settings import Environment
from resources.warehouse.interface import Warehouse
from resources.warehouse.schema import Table, TableName
from resources.warehouse.tables import AB_EXPERIMENTS, AD_SCORES, EXPERIMENTS, RANKER_EVALUATIONS

_SHOWN_MORNINGS = 3
_SHOWN_TESTS = 5
_SHOWN_EXPERIMENTS = 5
_COMPARED = ("_difference", "_difference_low", "_difference_high")
_BESIDE_OURS = ("− aelp's", "95 % interval")


def print_summary(
    warehouse: Warehouse, environment: Environment, landing: pl.DataFrame | None = None
) -> None:
    """Print a landing, then each morning's accounts, outlook, allocation and slates, then what is weekly.

    Args:
        landing: what this run's landing said of each file; None: the newest landing that met files.
    """
    console = terminal()
    if landing is not None:
        print_landing(console, warehouse, landing)
    elif (landings := read_landings(warehouse)).is_empty():
        console.print("No file has been landed yet.")
    else:
        print_landing(console, warehouse, newest_landing(landings))
    decisions = _read(warehouse, "gaelp_training.bandit_decisions")
    audited = _read(warehouse, "ops.account_audits")["as_of_date"]
    decided = sorted(decisions["as_of_date"].unique())
    mornings = sorted({*decided[-_SHOWN_MORNINGS:], *audited.sort().tail(1)})
    for morning in mornings:
        console.rule(f"Morning of {morning}")
        _accounts(console, warehouse, morning)
        if morning not in decided:
            console.print("Nothing was decided.")
            continue
        _outlook(console, warehouse, morning)
        _allocation(
            console, decisions.filter(pl.col("as_of_date") == morning), _lever_names(warehouse, morning)
        )
        _slates(console, warehouse, morning)
        _proposals(console, warehouse, morning)
        _media_mix(console, warehouse, morning)
        _review(console, warehouse, morning)
    _accuracy(console, warehouse)
    _ad_scores(console, warehouse)
    _split_tests(console, warehouse)
    _experiments(console, warehouse)
    console.print(
        f"Everything is in {environment.home}; `make ui` opens the graph with its plots and checks.",
        soft_wrap=True,
    )


def _read(warehouse: Warehouse, dotted: str, morning: date | None = None) -> pl.DataFrame:
    partition = "as_of_date" if morning else None
    return warehouse.read(TableName.parse(dotted), partition=partition, first=morning, last=morning)


def _grid(title: str, *columns: str, left: int = 1) -> Grid:
    grid = Grid(title=title, title_justify="left", title_style="bold", header_style="dim", box=None)
    for position, column in enumerate(columns):
        grid.add_column(column, justify="left" if position < left else "right", no_wrap=True)
    return grid


def _accounts(console: Console, warehouse: Warehouse, morning: date) -> None:
    """Per account: whether this morning may decide on it and why, then what the audit alone says of it."""
    audits = _read(warehouse, "ops.account_audits", morning)
    verdicts = {
        (platform, account): (eligible, reason)
        for platform, account, eligible, reason in _read(warehouse, "ops.decision_accounts", morning)
        .select("platform", "account_id", "eligible", "reason")
        .iter_rows()
    }
    checks_of = {
        (source, account): checks for (source, account), checks in audits.group_by("source", "account_id")
    }
    for source, account in sorted({*verdicts, *checks_of}):
        told = []
        eligible, reason = verdicts.get((source, account), (False, None))
        if reason is not None:
            told.append(f"decision_eligible = {str(eligible).lower()} ({reason})")
        if (checks := checks_of.get((source, account))) is not None:
            told.append(_plausibility(checks, reason or ""))
        console.print(
            f"Account {source}/{account}: {'; '.join(told)}", style="" if eligible else "bold", soft_wrap=True
        )


def _plausibility(checks: pl.DataFrame, said: str) -> str:
    """The audit's own verdict; the checks that failed are named unless `said` names them already."""
    by_status = {
        status: checks.filter(pl.col("status") == status)["check_name"].sort().to_list()
        for status in ("passed", "failed", "skipped")
    }
    counts = [f"{len(names)} {status}" for status, names in by_status.items() if names]
    names = ", ".join(by_status["failed"])
    failed = f" (failed: {names})" if names not in said else ""
    verdict = "plausible" if checks["decision_eligible"].all() else "implausible"
    return f"{verdict}: {', '.join(counts)}{failed}"


def _outlook(console: Console, warehouse: Warehouse, morning: date) -> None:
    totals = _read(warehouse, "gaelp_training.forecast_outlook", morning).filter(pl.col("horizon") == "total")
    columns = ("spend_p50", "signups_p10", "signups_p50", "signups_p90", "cac_p10", "cac_p50", "cac_p90")
    grid = _grid(
        "Outlook to the horizon's end at today's budgets",
        *("track", "spend", "signups p10", "p50", "p90", "CAC good end", "p50", "bad end", "P(CAC ≤ cap)"),
    )
    for row in totals.sort("track").iter_rows(named=True):
        grid.add_row(row["track"], *(_amount(row[name]) for name in columns), _share(row["p_cac_within_cap"]))
    console.print(grid)


def _media_mix(console: Console, warehouse: Warehouse, morning: date) -> None:
    """Per track: which model its weeks carry, which channels would move, what to test first."""
    moves = _read(warehouse, "gaelp_training.mmm_allocations", morning)
    tests = _read(warehouse, "gaelp_training.mmm_tests", morning).drop_nulls("first_week")
    for fit in (
        _read(warehouse, "gaelp_training.mmm_fit_diagnostics", morning).sort("track").iter_rows(named=True)
    ):
        if not fit["passed"]:
            console.print(f"Media mix of {fit['track']}: none. {fit['reasons']}", soft_wrap=True)
            continue
        change = (pl.col("proposed_spend") / pl.col("current_spend") - 1).alias("change")
        own = moves.filter(pl.col("track") == fit["track"]).with_columns(change).sort("channel")
        moved = [
            f"{channel} {share:+.1%}"
            for channel, share in own.select("channel", "change").iter_rows()
            if share is not None and abs(share) >= 0.0005
        ]
        said = ", ".join(moved) or "no channel moves"
        planned = tests.filter(pl.col("track") == fit["track"]).sort("first_week", "rank").head(1)
        for test in planned.iter_rows(named=True):
            said += f"; test first: {test['channel']} at {test['change']:+.0%} for {test['weeks']} weeks"
        console.print(
            f"Media mix of {fit['track']} ({fit['model']}, {fit['weeks']} weeks): {said}.", soft_wrap=True
        )


def _ad_scores(console: Console, warehouse: Warehouse) -> None:
    """How many creatives were scored before they run, by whom, or why none was."""
    rankers = _newest(warehouse, RANKER_EVALUATIONS).filter("is_champion")
    scores = _newest(warehouse, AD_SCORES)
    creatives = pl.struct("platform", "account_id", "creative_id")
    total = scores.select(creatives.n_unique()).item()
    for ranker in rankers.sort("rate").iter_rows(named=True):
        scored = scores.drop_nulls(f"{ranker['rate']}_score").select(creatives.n_unique()).item()
        by = f", by {ranker['candidate']}" if ranker["may_score"] else ""
        why = f". {ranker['reasons']}" if ranker["reasons"] else by
        console.print(
            f"Ad scores ({ranker['rate'].upper()}): {scored} of {total} creatives{why}", soft_wrap=True
        )


def _split_tests(console: Console, warehouse: Warehouse) -> None:
    """What became of the split tests when they were last judged: how many, then each of the newest."""
    newest = _newest(warehouse, AB_EXPERIMENTS)
    if newest.is_empty():
        return
    verdicts = Counter(newest["verdict"].to_list())
    counts = ", ".join(f"{count} {verdict.replace('_', ' ')}" for verdict, count in sorted(verdicts.items()))
    console.print(f"Split tests: {counts}.", soft_wrap=True)
    shown = newest.sort("last_day", "test_id", descending=[True, False]).head(_SHOWN_TESTS)
    for test in shown.iter_rows(named=True):
        said = test["verdict"].replace("_", " ")
        if test["winner"] is not None:
            said += f" {test['winner']}"
        if test["winner_lift"] is not None:
            said += f", {test['winner_lift']:+.0%} {test['metric']} to be expected"
        if test["reasons"] is not None:
            said += f": {test['reasons']}"
        console.print(f"  {test['test_name'] or test['test_id']}: {said}", soft_wrap=True)


def _experiments(console: Console, warehouse: Warehouse) -> None:
    """The calendar as it was last made: what is planned when, and at what price."""
    calendar = _newest(warehouse, EXPERIMENTS)
    if calendar.is_empty():
        return
    counts = ", ".join(f"{count} {status}" for status, count in sorted(Counter(calendar["status"]).items()))
    planned = calendar.filter(pl.col("status") == "planned").sort(
        "first_day", "experiment_id", nulls_last=True
    )
    priced = planned["price"].drop_nulls()
    price = f"; the planned cost {_amount(priced.sum())} dollars as expected" if len(priced) else ""
    unpriced = f", {len(planned) - len(priced)} of them not priced" if 0 < len(priced) < len(planned) else ""
    console.print(f"Experiments: {counts}{price}{unpriced}.", soft_wrap=True)
    for test in planned.head(_SHOWN_EXPERIMENTS).iter_rows(named=True):
        said = f"{test['first_day']} to {test['last_day']}"
        if test["first_day"] is None:
            said = f"no free week. {test['conflicts'] or ''}".rstrip()
        elif test["price"] is not None:
            said += f", {_amount(test['price'])} dollars"
        console.print(f"  {test['compared']}: {said}", soft_wrap=True)
    if planned.height > _SHOWN_EXPERIMENTS:
        console.print(f"  and {planned.height - _SHOWN_EXPERIMENTS} more in gaelp_training.experiments")


def _newest(warehouse: Warehouse, table: Table) -> pl.DataFrame:
    """Rows of the newest morning; none in a home that the table is not yet in."""
    if not warehouse.exists(table.name):
        return pl.DataFrame(schema=table.polars_schema)
    rows = warehouse.read(table.name)
    return rows.filter(pl.col("as_of_date") == pl.col("as_of_date").max())


def _lever_names(warehouse: Warehouse, morning: date) -> dict[tuple[str, str, str], str]:
    levers = warehouse.read(
        TableName("gaelp_training", "budget_levers"),
        columns=["platform", "account_id", "lever_id", "entity_name"],
        partition="date",
        first=morning - timedelta(days=14),
        last=morning,
    )
    return {(platform, account, lever): name for platform, account, lever, name in levers.iter_rows()}


def _allocation(console: Console, decisions: pl.DataFrame, names: dict[tuple[str, str, str], str]) -> None:
    for (track,), rows in decisions.sort("track").group_by("track", maintain_order=True):
        now, then = (float(rows[name].sum()) for name in ("current_budget", "proposed_budget"))
        console.print(
            f"Allocation {track}: {_amount(now)} → {_amount(then)} a day over {rows.height} levers"
            + ("; advisory, nothing can be written to declared levers" if rows["advisory"].all() else ""),
            style="bold",
        )
        moved = rows.filter(~pl.col("type").is_in(["hold"])).with_columns(
            weight=(pl.col("proposed_budget") - pl.col("current_budget")).cast(pl.Float64).abs()
        )
        for row in moved.sort("weight", descending=True).iter_rows(named=True):
            name = names.get((row["platform"], row["account_id"], row["lever_id"])) or row["lever_id"]
            console.print(f"  {row['platform']} · {name}: {row['reason']}")
        held = rows.filter(pl.col("type") == "hold")["binding_rules"].to_list()
        if held:
            console.print(f"  {len(held)} held: {_why_held(held)}", style="dim")


def _why_held(rules: Sequence[str]) -> str:
    first = Counter((json.loads(text) or ["no change asked"])[0] for text in rules)
    return ", ".join(f"{count} by {rule.replace('_', ' ')}" for rule, count in first.most_common())


def _slates(console: Console, warehouse: Warehouse, morning: date) -> None:
    slates = _read(warehouse, "gaelp_training.slates", morning)
    for (track,), rows in slates.sort("track", "rank").group_by("track", maintain_order=True):
        total = float(rows["budget"].sum())
        room = "" if total else "; the caps leave no room to launch until a stop or cut is approved"
        grid = _grid(
            f"Slate {track}: {_amount(total)} a day, launched paused{room}",
            *("creative", "role", "budget", "p_best", "P(CAC ≤ cap)", "signups p50", "CAC p50"),
            left=2,
        )
        for row in rows.iter_rows(named=True):
            grid.add_row(
                row["creative_id"],
                row["role"],
                _amount(row["budget"]),
                f"{row['p_best']:.2f}",
                f"{row['p_meets_cap']:.2f}",
                _amount(row["signups_p50"]),
                _amount(row["cac_p50"]),
            )
        console.print(grid)


def _proposals(console: Console, warehouse: Warehouse, morning: date) -> None:
    proposals = _read(warehouse, "ops.proposals").filter(
        pl.col("as_of_date") == morning, pl.col("status").is_in(OPEN)
    )
    if proposals.height:
        kinds = ", ".join(f"{many} {kind}" for kind, many in sorted(Counter(proposals["type"]).items()))
        console.print(
            f"Proposals waiting for a person: {proposals.height} ({kinds}); `aelp proposals` lists them, "
            "`aelp desk --by NAME` shows them with their evidence.",
            soft_wrap=True,
        )


def _review(console: Console, warehouse: Warehouse, morning: date) -> None:
    """Why yesterday changed, in a sentence a track and metric, and what each track lacks to be trusted."""
    changes, verdicts = (
        _read(warehouse, f"gaelp_training.{name}", morning) for name in ("performance_changes", "readiness")
    )
    totals = changes.filter(pl.col("platform") == "all").sort("comparison", "track", "metric")
    for (comparison,), rows in totals.group_by("comparison", maintain_order=True):
        base = "the day before" if comparison == "day_before" else "a week before"
        console.print(f"{rows['day'][0]} beside {base}, {rows['base_day'][0]}", style="bold")
        for line in rows["sentence"]:
            console.print(f"  {line}", soft_wrap=True)
    whole = verdicts.filter(pl.col("criterion") == "all_criteria").sort("track")
    for track, said in whole["track", "detail"].iter_rows():
        console.print(f"Automation of {track}: {said}", soft_wrap=True)
    learnings = _read(warehouse, "gaelp_training.override_learnings", morning).filter(pl.col("overrides") > 0)
    if learnings.height:
        console.print("What came of other choices than the proposed ones", style="bold")
        for said in learnings["sentence"]:
            console.print(f"  {said}", soft_wrap=True)


def _accuracy(console: Console, warehouse: Warehouse) -> None:
    accuracy = _read(warehouse, "gaelp_training.forecast_accuracy")
    newest = accuracy.filter(
        pl.col("as_of_date") == pl.col("as_of_date").max().over("platform", "account_id")
    )
    for (account,), rows in newest.group_by("account_id", maintain_order=True):
        cells = rows.sort("metric", "horizon_days", "method").to_dicts()
        scored = _grid(
            f"Backtest {account}: coverage of the 80 % interval, pinball loss as a share of the actual",
            *("metric", "days", "method", "coverage", "95 % interval", "pinball", *_BESIDE_OURS),
            left=3,
        )
        whole = _grid(
            f"Backtest {account}: CRPS of all draws and width of the 80 % interval as shares of the actual",
            *("metric", "days", "method", "CRPS", *_BESIDE_OURS, "width", *_BESIDE_OURS),
            left=3,
        )
        for row in cells:
            cell = row["metric"], str(row["horizon_days"]), row["method"]
            interval = f"{_share(row['coverage_low'])} – {_share(row['coverage_high'])}"
            pinball, crps, width = (_loss_beside_ours(row, loss) for loss in ("pinball", "crps", "width"))
            scored.add_row(*cell, _share(row["coverage"]), interval, *pinball)
            whole.add_row(*cell, *crps, *width)
        console.print(scored)
        console.print(whole)


def _loss_beside_ours(row: dict[str, Any], loss: str) -> tuple[str, str, str]:
    """A loss, and by how much it is larger than ours, with the interval of that."""
    own, gap, low, high = (row[f"{loss}{end}"] for end in ("", *_COMPARED))
    if own is None:
        return "–", "", ""
    ours = row["method"] == "aelp"
    return f"{own:.4f}", *(("", "") if ours else (f"{gap:+.4f}", f"{low:+.4f} – {high:+.4f}"))


def _amount(value: object) -> str:
    if value is None:
        return "–"
    number = float(str(value))
    return f"{number:,.2f}" if abs(number) < 100 else f"{number:,.0f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
