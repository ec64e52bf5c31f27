"""A landing of the drop folder: plan, fetch, publish, and the report of what happened.

Here: the order of things and the words for people. Not here: how a file is read (`fetching.py`) or
what is news (`publishing.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

import polars as pl

from resources.files.drop import DropListing, FileDrop, Unrecognised
from resources.files.fetched import FetchedFile, RecognisedFile
from resources.files.opening import Inspection, OutOfReach, UnreadableFile
from resources.files.publishing import FileOutcome, Publisher
from resources.files.torn import named_days
from resources.files.track_rules import track_rule_rows
from resources.landing.ledger import (
    Ledger,
    pulls_by_request,
    read_ledger,
    slices_of_request,
)
from resources.landing.pages import SLICE, Stamp
from resources.settings import TrackRule
from resources.warehouse.interface import ReplaceTable, Warehouse, WarehouseError, Write
from resources.warehouse.schema import Table
from resources.warehouse.tables import OPS_TABLES, QUARANTINE, RAW_TABLES, TRACK_RULES

_FILES_AT_ONCE = 2


@dataclass(frozen=True)
class Task:
    """One file to fetch, with the identity its rows will carry."""

    file: RecognisedFile
    inspection: Inspection
    stamp: Stamp


@dataclass(frozen=True)
class LandingPlan:
    """What a landing will do. `known`: files whose every byte was landed before; they are not read again.

    `moment`: when it was planned, which batches are named by and rows say they were read at.
    """

    listing: DropListing
    tasks: tuple[Task, ...]
    known: tuple[RecognisedFile, ...]
    unreadable: tuple[Unrecognised, ...]
    moment: datetime


@dataclass(frozen=True)
class FileReport:
    """One file of the drop folder after a landing. Counts are of records; slices are account-days.

    `first_refusal`: the first row set aside, and the days that keep what they had because of such rows.
    """

    path: str
    format: str | None
    outcome: Literal["loaded", "unchanged", "known", "refused"]
    batch_id: str | None = None
    read: int = 0
    accepted: int = 0
    refused: int = 0
    flagged: int = 0
    repeated: int = 0
    rows_written: int = 0
    slices_changed: int = 0
    slices_unchanged: int = 0
    slices_deferred: int = 0
    slices_emptied: int = 0
    slices_held: int = 0
    held_days: str = ""
    fault: str | None = None
    first_refusal: str | None = None


@dataclass(frozen=True)
class LandingReport:
    """What a landing did.

    `changed`: stream, source, account_id, report_date (null for period rows) of every slice whose
    content is new. `moment`: when it was published. `rows_written` by stream; `quarantined` by severity.
    """

    files: tuple[FileReport, ...]
    unrecognised: tuple[Unrecognised, ...]
    unsettled: dict[str, str]
    changed: pl.DataFrame
    moment: datetime
    rows_written: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)

    @property
    def batch_ids(self) -> list[str]:
        return [
            file.batch_id for file in self.files if file.batch_id is not None and file.outcome == "loaded"
        ]

    def changed_dates(self, stream: str) -> list[date]:
        """Days of a stream that changed, in order."""
        days = self.changed.filter(pl.col("stream") == stream)["report_date"].drop_nulls()
        return days.unique().sort().to_list()

    def lines(self) -> list[str]:
        """The report for a person, one line per file."""
        lines = [_line(file) for file in self.files]
        lines += [f"{path}: left alone: {reason}" for path, reason in sorted(self.unsettled.items())]
        lines += [f"{file.path}: not recognised: {file.reason}" for file in self.unrecognised]
        return lines


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _line(file: FileReport) -> str:
    if file.outcome == "known":
        return f"{file.path}: landed before, nothing to do."
    if file.outcome == "refused":
        return f"{file.path}: refused: {file.fault}"
    if not file.read:
        return f"{file.path}: {file.format}, no rows below the header: nothing to load."
    parts = [f"{file.path}: {file.format}, {_counted(file.accepted, 'row', 'rows')}"]
    if file.outcome == "unchanged" and not file.slices_held:
        parts[0] += ", all as landed before."
    else:
        parts[0] += f"; {_counted(file.slices_changed, 'slice', 'slices')} changed."
    if file.refused:
        verb = "was" if file.refused == 1 else "were"
        parts.append(
            f"{file.refused:,} of {file.read:,} rows {verb} set aside in ops.quarantine, the first on "
            f"{file.first_refusal}"
        )
        if not file.slices_held:
            parts.append("The other rows are loaded.")
        elif file.slices_changed or file.slices_unchanged:
            parts.append("The rows of the other days are loaded.")
    if file.flagged:
        parts.append(f"{_counted(file.flagged, 'row is', 'rows are')} flagged and kept.")
    if file.repeated:
        parts.append(f"{_counted(file.repeated, 'row repeats', 'rows repeat')} another exactly, loaded once.")
    if file.slices_deferred:
        days = _counted(file.slices_deferred, "day has", "days have")
        parts.append(f"{days} no rows any more; emptied if the next export agrees.")
    if file.slices_emptied:
        days = _counted(file.slices_emptied, "day was", "days were")
        parts.append(f"{days} emptied: two exports in a row have no rows for them.")
    return " ".join(parts)


def plan_landing(drop: FileDrop, warehouse: Warehouse) -> LandingPlan:
    """List the folder and choose what must be read; every file's digest is known, no row is parsed.

    Raises:
        MappingError: a mapping file in the folder cannot be used.
    """
    warehouse.ensure_tables([*RAW_TABLES, *OPS_TABLES])
    listing = drop.scan()
    ledger = read_ledger(warehouse)
    moment = ledger.next_moment(drop.clock.now())
    pulls = pulls_by_request(warehouse)
    inspected: list[tuple[RecognisedFile, Inspection, str]] = []
    unreadable = []
    seen = drop.seen()
    for file in listing.recognised:
        try:
            inspection = drop.inspect(file, seen)
        except UnreadableFile as error:
            is_table = not isinstance(error, OutOfReach)
            unreadable.append(Unrecognised(file.path, file.location, str(error), is_table))
            continue
        identity = f"{inspection.sha256}:{file.mapping.content_hash}"
        inspected.append((file, inspection, hashlib.sha256(identity.encode()).hexdigest()))
    seen.save()
    tasks, known = [], []
    for place, (file, inspection, request_hash) in enumerate(inspected):
        later = {request for _, _, request in inspected[place + 1 :]}
        pull = _pull_id(file, request_hash)
        if request_hash in pulls and not _lands_again(
            warehouse, ledger, request_hash, pull, pulls[request_hash], later
        ):
            known.append(file)
            continue
        # Files of one landing keep their order even where the clock stands still.
        at = moment + timedelta(microseconds=place)
        stamp = Stamp(f"{at:%Y%m%dT%H%M%S%f}-{pull}", at, file.mapping.name, request_hash)
        tasks.append(Task(file, inspection, stamp))
    return LandingPlan(listing, tuple(tasks), tuple(known), tuple(unreadable), moment)


def _pull_id(file: RecognisedFile, request_hash: str) -> str:
    """The same file met again has the same pull; the same bytes exported anew do not."""
    identity = f"{file.path}|{file.modified.isoformat()}|{request_hash}"
    return hashlib.sha256(identity.encode()).hexdigest()[:8]


def _lands_again(
    warehouse: Warehouse, ledger: Ledger, request_hash: str, pull: str, batches: set[str], later: set[str]
) -> bool:
    """Whether bytes landed before are a new pull that says something.

    A new export may be byte for byte an earlier one. It matters if it confirms that a day is empty, or
    if another file changed its days since and is not in the folder any more (a correction taken back).
    """
    if any(batch.endswith(f"-{pull}") for batch in batches):
        return False
    if any(a.status == "deferred" and a.request_hash == request_hash for a in ledger.last.values()):
        return True
    owners = {ledger.complete[key].request_hash for key in slices_of_request(warehouse, request_hash)}
    return bool(owners - {request_hash} - later)


def fetch_landing(drop: FileDrop, plan: LandingPlan) -> list[FetchedFile]:
    """Read every planned file into pages; touches no warehouse. Earlier pages are thrown away."""
    drop.clean()
    # One file alone keeps 1.2 cores busy; each one read holds a batch or two of text in memory.
    with ThreadPoolExecutor(max_workers=_FILES_AT_ONCE) as readers:
        return list(readers.map(lambda task: drop.fetch(task.file, task.inspection, task.stamp), plan.tasks))


def publish_landing(
    drop: FileDrop,
    plan: LandingPlan,
    fetched: Sequence[FetchedFile],
    warehouse: Warehouse,
    track_rules: Sequence[TrackRule] | None = None,
    from_settings: Mapping[Table, pl.DataFrame] | None = None,
) -> LandingReport:
    """Write rows, ledger, quarantine, accounts and what the settings say in one transaction, or nothing.

    Args:
        track_rules: the settings' rules; None leaves `ops.track_rules` as it is.
        from_settings: tables that hold what the settings say, and their rows; others are left as they are.

    Raises:
        WarehouseError: a day of these files was landed since this landing was planned; start another.
        WarehouseLocked: somebody holds the warehouse; nothing was changed.
    """
    ledger = read_ledger(warehouse)
    overtaken = [file.file.path for file in fetched if _was_landed_since(file, plan.moment, ledger)]
    if overtaken:
        raise WarehouseError(
            "another landing was published while this one was reading its files, with days that are in "
            f"{overtaken[0]}, too. Nothing was changed; start a new landing. Re-executing this one from the "
            "failed step would only bring the same reading again."
        )
    moment = ledger.next_moment(drop.clock.now())
    publisher = Publisher(warehouse, ledger, moment)
    for file in fetched:
        publisher.add(file)
    unrecognised = [*plan.unreadable, *plan.listing.unrecognised]
    writes = publisher.writes(_unrecognised_rows(drop, unrecognised, warehouse, moment))
    if track_rules is not None:
        writes += _track_rule_writes(drop, warehouse, track_rules)
    for table, rows in (from_settings or {}).items():
        order = table.column_names
        if not table.conform(warehouse.read(table.name)).sort(order).equals(table.conform(rows).sort(order)):
            writes.append(ReplaceTable(table, rows))
    if writes:
        warehouse.write(*writes)
    drop.clean()
    return _report(plan, publisher, unrecognised, writes)


def _was_landed_since(fetched: FetchedFile, planned: datetime, ledger: Ledger) -> bool:
    """Whether a day of the file was read since it was planned; other days, as a pull's, may well have been.

    From the same file, a correction of it or the platform: published now, this reading would replace theirs.
    """
    stream = fetched.stream.name
    slices = fetched.slices.select(SLICE).iter_rows()
    landed = (ledger.complete.get((source, stream, *others)) for source, *others in slices)
    return any(attempt is not None and attempt.completed_at >= planned for attempt in landed)


def land(
    drop: FileDrop, warehouse: Warehouse, track_rules: Sequence[TrackRule] | None = None
) -> LandingReport:
    """Bring the warehouse up to the drop folder; running it again without new files changes nothing.

    Raises:
        MappingError: a mapping file in the folder cannot be used.
        WarehouseError, WarehouseLocked: nothing was changed.
    """
    plan = plan_landing(drop, warehouse)
    return publish_landing(drop, plan, fetch_landing(drop, plan), warehouse, track_rules)


def _track_rule_writes(drop: FileDrop, warehouse: Warehouse, rules: Sequence[TrackRule]) -> list[Write]:
    rows = track_rule_rows(rules, [*drop.user_mappings(), *drop.mappings])
    stored = warehouse.read(TRACK_RULES.name).sort("rule_order")
    return [] if rows.equals(TRACK_RULES.conform(stored)) else [ReplaceTable(TRACK_RULES, rows)]


def _unrecognised_rows(
    drop: FileDrop, unrecognised: Sequence[Unrecognised], warehouse: Warehouse, moment: datetime
) -> list[dict[str, object]]:
    """Quarantine rows of tables nobody knows; notes and images are only listed."""
    tables = [file for file in unrecognised if file.is_table]
    if not tables:
        return []
    said = set(warehouse.read(QUARANTINE.name, ["file", "reason"]).select("file", "reason").iter_rows())
    return [
        {
            "source": None,
            "stream": None,
            "account_id": None,
            "file": file.path,
            "file_hash": digest,
            "line": None,
            "severity": "refused",
            "reason": f"Not loaded: {file.reason}",
            "record": None,
            "quarantined_at": moment,
        }
        for file in tables
        if (file.path, f"Not loaded: {file.reason}") not in said
        and (digest := drop.digest(file.location)) is not None
    ]


def _report(
    plan: LandingPlan, publisher: Publisher, unrecognised: Sequence[Unrecognised], writes: Sequence[Write]
) -> LandingReport:
    rows_written: dict[str, int] = {}
    changed = []
    for outcome in publisher.outcomes:
        stream = outcome.fetched.stream.name
        rows_written[stream] = rows_written.get(stream, 0) + outcome.rows_written
        changed += [(key[1], key[0], key[2], key[3]) for key in (*outcome.changed, *outcome.emptied)]
    quarantined: dict[str, int] = {}
    for write in writes:
        if write.table is QUARANTINE and isinstance(write.rows, pl.DataFrame):
            counts = write.rows["severity"].value_counts()
            quarantined = dict(counts.iter_rows())
    schema = {"stream": pl.String, "source": pl.String, "account_id": pl.String, "report_date": pl.Date}
    files = [_file_report(outcome) for outcome in publisher.outcomes]
    files += [FileReport(file.path, file.mapping.name, "known") for file in plan.known]
    return LandingReport(
        files=tuple(sorted(files, key=lambda file: file.path)),
        unrecognised=tuple(sorted(unrecognised, key=lambda file: file.path)),
        unsettled=plan.listing.unsettled,
        changed=pl.DataFrame(changed, schema=schema, orient="row").unique().sort(pl.all()),
        moment=publisher.moment,
        rows_written=rows_written,
        quarantined=quarantined,
    )


def _file_report(outcome: FileOutcome) -> FileReport:
    fetched = outcome.fetched
    verdict: Literal["loaded", "unchanged", "refused"] = "loaded"
    if fetched.fault is not None:
        verdict = "refused"
    elif not outcome.changed and not outcome.emptied:
        verdict = "unchanged"
    return FileReport(
        path=fetched.file.path,
        format=fetched.file.mapping.name,
        outcome=verdict,
        batch_id=fetched.stamp.batch_id,
        read=fetched.read,
        accepted=fetched.accepted,
        refused=fetched.refused,
        flagged=fetched.flagged,
        repeated=fetched.repeated,
        rows_written=outcome.rows_written,
        slices_changed=len(outcome.changed),
        slices_unchanged=len(outcome.unchanged),
        slices_deferred=len(outcome.deferred),
        slices_emptied=len(outcome.emptied),
        slices_held=len(outcome.held),
        held_days=named_days(outcome.held),
        fault=fetched.fault,
        first_refusal=_first_refusal(outcome),
    )


def _first_refusal(outcome: FileOutcome) -> str | None:
    refused = [row for row in outcome.fetched.quarantine if row["severity"] == "refused"]
    first = next((row for row in refused if row["line"] is not None), None)
    if first is None:
        return None
    text = f"line {first['line']}: {first['reason']}"
    if outcome.held:
        days = _counted(len(outcome.held), "day keeps the rows", "days keep the rows")
        text += (
            f" {days} landed before, whole, because rows were refused here: {named_days(outcome.held)}. "
            "Mend them and drop the file again."
        )
    return text
