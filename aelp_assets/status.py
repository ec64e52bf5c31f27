"""What `aelp status` and `aelp connect` print about live sources.

Here: reading credentials, ledger and queue into a table, and one read-only call. Not here: pulling.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import polars as pl
from rich.console import Console
from rich.table import Table

from resources.connectors.errors import ErrorClass, MissingCredentials, PlatformError
from resources.connectors.registry import Sources
from resources.connectors.scrubbing import Scrubber
from resources.connectors.source import Account, ReadsElsewhere
from resources.control.ingestion import IngestionControl
from resources.landing.accounts import spelt
from resources.settings import SourceName
from resources.warehouse.interface import Warehouse
from resources.warehouse.tables import INGEST_SLICES

SERVICE_LEVEL = 0.98
"""Share of account-days that should be complete within a day of their end."""
_JUDGED_DAYS = 28

_REMEDIES = {
    ErrorClass.AUTH: "The platform refuses these credentials: renew them, or grant the scope it names.",
    ErrorClass.THROTTLE: "The platform asks to wait; the credentials may be fine. Try again later.",
    ErrorClass.DEFER: "The day's quota is used up. Try again when it opens.",
    ErrorClass.TRANSIENT: "The platform did not answer properly. Try again; else see its status page.",
    ErrorClass.SHRINK: "The platform found the question too large.",
    ErrorClass.PERMANENT: "Asking again will not help: mend what it names; perhaps the API is not enabled.",
}


def source_status(
    warehouse: Warehouse, sources: Sources, now: datetime, names: Iterable[SourceName] | None = None
) -> pl.DataFrame:
    """A row per source, by default every configured one; of each only the accounts the settings name.

    Returns:
        source, credentials (`set`, `missing`, `refused`), newest_complete_day (of the report that lags
        most), hours_since_pull, within_a_day (share of the last 28 account-days whose first complete pull
        came within 24 hours of the day's end in UTC; null without any), meets_service_level, waiting (slices
        in the retry queue), error_class of the newest failure since the last complete pull.
    """
    control = IngestionControl(sources.control_store())
    rows = []
    for name in sources.settings.source_names if names is None else names:
        accounts = [spelt(name, account) for account in sources.settings.sources[name].accounts]
        named = pl.col("account_id").is_in(accounts)  # one taken out of the settings grows older for ever
        waiting = control.waiting_classes(name, accounts)
        slices, streams = (frame.filter(named) for frame in _ledger(warehouse, name, now))
        complete = slices.filter(pl.col("status") == "complete")
        newest_day, newest = streams.select(pl.col("newest_day").min(), pl.col("newest").max()).row(0)
        prompt = _within_a_day(complete, now)
        failed = slices.filter(pl.col("error_class").is_not_null()).sort("completed_at")
        since = failed.filter(pl.col("completed_at") >= newest) if newest is not None else failed
        rows.append(
            {
                "source": name,
                "credentials": _credentials(sources, name),
                "newest_complete_day": newest_day,
                "hours_since_pull": None if newest is None else (now - newest).total_seconds() / 3600.0,
                "within_a_day": prompt,
                "meets_service_level": None if prompt is None else prompt >= SERVICE_LEVEL,
                "waiting": len(waiting),
                "error_class": since["error_class"][-1] if since.height else next(iter(waiting), None),
            }
        )
    schema = {
        "source": pl.String,
        "credentials": pl.String,
        "newest_complete_day": pl.Date,
        "hours_since_pull": pl.Float64,
        "within_a_day": pl.Float64,
        "meets_service_level": pl.Boolean,
        "waiting": pl.Int64,
        "error_class": pl.String,
    }
    return pl.DataFrame(rows, schema=schema)


def _ledger(warehouse: Warehouse, name: SourceName, now: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A source's slices of the judged days, and the newest complete day and pull of each report."""
    if not warehouse.exists(INGEST_SLICES.name):  # credentials come before the first run
        none = pl.DataFrame(schema=INGEST_SLICES.polars_schema)
        return none, none.rename({"report_date": "newest_day", "completed_at": "newest"})
    slices = warehouse.query(
        "select account_id, stream, breakdown_set, report_date, status, error_class, completed_at "
        "from ops.ingest_slices where source = $source and report_date >= $since",
        {"source": name, "since": (now - timedelta(days=_JUDGED_DAYS + 7)).date()},
    )
    streams = warehouse.query(
        """
        select account_id, stream, breakdown_set,
            max(report_date) as newest_day, max(completed_at) as newest
        from ops.ingest_slices
        where source = $source and status = 'complete'
        group by account_id, stream, breakdown_set
        """,
        {"source": name},
    )
    return slices, streams


def print_status(console: Console, warehouse: Warehouse, sources: Sources, now: datetime) -> None:
    """The table of `source_status`, in words."""
    rows = source_status(warehouse, sources, now)
    if rows.is_empty():
        console.print("No live source is configured: `sources:` in the settings names them.")
        return
    table = Table(title="Live sources", title_justify="left", box=None)
    for column in (
        "source",
        "credentials",
        "newest day",
        "last pull",
        "within a day",
        "waiting",
        "last error",
    ):
        table.add_column(column)
    for row in rows.iter_rows(named=True):
        share, meets = row["within_a_day"], "meets" if row["meets_service_level"] else "misses"
        table.add_row(
            row["source"],
            row["credentials"],
            "never" if row["newest_complete_day"] is None else str(row["newest_complete_day"]),
            _ago(row["hours_since_pull"]),
            "–" if share is None else f"{share:.1%} ({meets} {SERVICE_LEVEL:.0%})",
            str(row["waiting"]),
            row["error_class"] or "–",
        )
    console.print(table)
    missing = rows.filter(pl.col("credentials") != "set")["source"].to_list()
    if missing:
        console.print(f"`aelp connect {missing[0] if len(missing) == 1 else 'SOURCE'}` says what is missing.")


def _ago(hours: float | None) -> str:
    if hours is None:
        return "–"
    hours = max(hours, 0.0)  # a clock that stands still is overtaken by what happened since
    return f"{hours:.1f} h ago" if hours < 48 else f"{hours / 24:.0f} days ago"


def _within_a_day(complete: pl.DataFrame, now: datetime) -> float | None:
    """Of the judged days, the share first complete within 24 hours of the day's end; a missing one is late.

    Days of a backfill were over before anyone asked for them: each report is judged from its first regular
    day on.
    """
    kind = ["account_id", "stream", "breakdown_set"]
    last = (now - timedelta(days=2)).date()
    first = last - timedelta(days=_JUDGED_DAYS - 1)
    wanted = (
        complete.group_by(kind)
        .agg(report_date=pl.max_horizontal(pl.col("completed_at").min().dt.date(), pl.lit(first)))
        .filter(pl.col("report_date") <= last)
        .with_columns(pl.date_ranges("report_date", pl.lit(last)))
        .explode("report_date")
    )
    if wanted.is_empty():
        return None
    came = complete.group_by(*kind, "report_date").agg(pl.col("completed_at").min())
    due = pl.col("report_date").cast(pl.Datetime("us", "UTC")) + timedelta(days=2)
    prompt = wanted.join(came, on=[*kind, "report_date"], how="left").select(
        (pl.col("completed_at") <= due).fill_null(value=False).mean()
    )
    return float(prompt.item())


def _credentials(sources: Sources, name: SourceName) -> str:
    try:
        sources.open(name)
    except MissingCredentials:
        return "missing"
    return "refused" if sources.stopped(name) else "set"


def connection_report(sources: Sources, name: SourceName) -> tuple[bool, list[str]]:
    """Read-only calls with a source's credentials: whether they work, and what to say in plain words.

    Where they work, a source that was stopped for its credentials is started again; nothing else is written.
    """
    wanted = sources.settings.sources[name].accounts
    try:
        source = sources.open(name)
    except MissingCredentials as missing:
        return False, [str(missing)]
    try:
        accounts = source.accounts()
        further = _elsewhere(source, accounts) if isinstance(source, ReadsElsewhere) else []
    except PlatformError as error:
        said = Scrubber(source.secrets)(str(error))
        named = f"The settings name {', '.join(wanted)}; some platforms refuse all for one that is not yours."
        return False, [f"{name} says: {said}", _REMEDIES[error.error_class], named]
    if sources.has_control_store():
        IngestionControl(sources.control_store()).resume_source(name)
    readable = {account.account_id for account in accounts}
    lines = [
        f"{account.account_id}  {account.name} · {account.currency} · {account.timezone}"
        + ("" if account.account_id in wanted else "  (not in the settings)")
        for account in accounts
    ]
    lines += further
    unknown = [account for account in wanted if account not in readable]
    if unknown:
        lines.append(
            f"Not readable: {', '.join(unknown)}. Grant this login access to them, or correct "
            f"sources.{name}.accounts in the settings."
        )
    return not unknown, lines or [f"{name} answers, but these credentials can read no account."]


def _elsewhere(source: ReadsElsewhere, accounts: Iterable[Account]) -> list[str]:
    told = {account.account_id: source.elsewhere(account.account_id) for account in accounts}
    return [f"{account}  {what}" for account, what in told.items() if what is not None]


def save_credentials(sources: Sources, name: SourceName) -> str:
    """Keep the credentials a source is called with, for its owner alone to read; says which, never what.

    Raises:
        SettingsError: they cannot be kept safely in AELP_HOME.
    """
    variables = sources.variables_of(name)
    if not variables:
        return f"{name} is read without credentials: there is nothing to save."
    sources.saved.save(name, variables)
    return (
        f"Saved {', '.join(variables)} in {sources.saved.path}, which only you may read. Used wherever the "
        f"environment sets no variable of {name}."
    )
