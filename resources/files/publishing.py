"""Fetched files against the warehouse: what is news, what is ambiguous, what vanished; then one write.

Here: the publish half of the load contract. Not here: reading files (`fetching.py`), the order of a
landing and its report (`landing.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from resources.files.fetched import FetchedFile, quarantine_frame
from resources.files.torn import ROWS_REFUSED, TornSlices, named_days
from resources.landing.ledger import (
    Attempt,
    Ledger,
    SliceKey,
    ledger_frame,
    rows_in_force,
    slice_frame,
)
from resources.landing.overlap import DailyTotals
from resources.landing.pages import LANES, SLICE, content_hashes, digests, key_text
from resources.landing.streams import Stream
from resources.warehouse.interface import Append, ReplaceTable, Warehouse, Write
from resources.warehouse.tables import ACCOUNTS, INGEST_SLICES, QUARANTINE

# The first pull without a day's rows may be a hiccup of the export; only the second is believed.
EMPTY_UNCONFIRMED = "EMPTY_UNCONFIRMED"


@dataclass
class FileOutcome:
    """What publishing decided about one fetched file.

    `at`: the moment its ledger entries carry. `held`: slices in which rows were refused, and whose earlier,
    whole rows therefore stay.
    """

    fetched: FetchedFile
    at: datetime
    changed: list[SliceKey] = field(default_factory=list)
    unchanged: list[SliceKey] = field(default_factory=list)
    deferred: list[SliceKey] = field(default_factory=list)
    emptied: list[SliceKey] = field(default_factory=list)
    held: list[SliceKey] = field(default_factory=list)
    pages: list[Path] = field(default_factory=list)
    rows_written: int = 0


class Publisher:
    """Compares fetched files with the ledger in their order and collects the writes.

    Args:
        ledger: as it stands; advanced in memory file by file, so that a later file of the same landing
            sees what an earlier one brings.
        moment: of publishing: nobody knew the rows before, however long ago they were planned and read.
    """

    def __init__(self, warehouse: Warehouse, ledger: Ledger, moment: datetime) -> None:
        self.warehouse = warehouse
        self.ledger = ledger
        self.moment = moment
        self.outcomes: list[FileOutcome] = []
        self._entries: list[tuple[SliceKey, Attempt, str | None]] = []
        self._by_batch: dict[str, FileOutcome] = {}
        self._accounts = warehouse.read(ACCOUNTS.name)
        self._totals = DailyTotals(ledger)
        self._torn = TornSlices(warehouse, ledger)

    def add(self, fetched: FetchedFile) -> FileOutcome:
        """Decide about one file; an ambiguous one is refused whole."""
        # Files of one landing keep their order even where the clock stands still.
        outcome = FileOutcome(fetched, self.moment + timedelta(microseconds=len(self.outcomes)))
        self.outcomes.append(outcome)
        if fetched.fault is None:
            self._check_currency(fetched)
        if fetched.fault is None:
            self._check_other_formats(fetched)
        if fetched.fault is None:
            self._check_overlap(fetched)
        if fetched.fault is None:
            self._by_batch[fetched.stamp.batch_id] = outcome
            self._carry_over(fetched)
            self._settle_slices(outcome)
            self._settle_vanished(outcome)
            outcome.pages = self._pages_of(outcome)
            # An agency's weeks and tests are of no account: there is nothing in them to audit or decide on.
            if not (fetched.stream.is_weekly or fetched.stream.is_experiment):
                self._note_accounts(outcome)
        return outcome

    def writes(self, extra_quarantine: Iterable[dict[str, Any]]) -> list[Write]:
        """Everything decided so far as writes of one transaction; empty if nothing is news."""
        writes: list[Write] = [
            Append(outcome.fetched.stream.table, page) for outcome in self.outcomes for page in outcome.pages
        ]
        if self._entries:
            writes.append(Append(INGEST_SLICES, ledger_frame(self._entries)))
        quarantine = self._new_quarantine(
            [
                row | {"quarantined_at": outcome.at}
                for outcome in self.outcomes
                for row in outcome.fetched.quarantine
            ]
            + list(extra_quarantine)
        )
        if quarantine.height:
            writes.append(Append(QUARANTINE, quarantine))
        if self._entries:
            writes.append(ReplaceTable(ACCOUNTS, self._accounts))
        return writes

    # --- what makes a file unusable -------------------------------------------------------------------

    def _check_currency(self, fetched: FetchedFile) -> None:
        if "currency" not in fetched.stream.fields:
            return
        known = self._accounts.filter(pl.col("currency") != "XXX").select(
            "source", "account_id", pl.col("currency").alias("known")
        )
        clash = fetched.accounts.join(known, on=["source", "account_id"]).filter(
            pl.col("currency") != pl.col("known")
        )
        if clash.height:
            row = clash.row(0, named=True)
            fetched.refuse(
                f"Account {row['account_id']} reports in {row['currency']} here and in {row['known']} "
                "so far. An account has one currency: name the account apart, or mend the export."
            )

    def _check_other_formats(self, fetched: FetchedFile) -> None:
        """Refuse a file with days that another format of the account already holds.

        Ids and campaigns of two formats need not agree, so neither `union` nor `replace` could say what the
        day holds: whatever the mapping says, one format answers for a day.
        """
        landing = {batch: outcome.fetched.file.path for batch, outcome in self._by_batch.items()}
        fault = self._totals.fault(_keys(fetched), fetched.file.mapping.name, landing)
        if fault is not None:
            fetched.refuse(fault)

    def _check_overlap(self, fetched: FetchedFile) -> None:
        """Refuse a file with other campaigns for a day already there: the rest of it, or a correction?"""
        stream = fetched.stream
        if stream.campaign_key is None or fetched.file.mapping.overlap != "refuse":
            return
        prior = self._prior(fetched)
        if not prior or fetched.campaigns is None:
            return
        slot = [*SLICE, "period"] if stream.is_period else SLICE
        before = self._campaigns_in_force(stream, prior)
        here = fetched.campaigns
        shared = here.join(before, on=[*slot, stream.campaign_key], how="semi", nulls_equal=True)
        disjoint = (
            here.join(before, on=slot, how="semi", nulls_equal=True)
            .join(shared, on=slot, how="anti", nulls_equal=True)
            .sort("account_id", "report_date", stream.campaign_key)
        )
        if disjoint.height:
            row = disjoint.row(0, named=True)
            days = disjoint.select(slot).unique().height
            day = row["report_date"] if not stream.is_period else row["period"]
            fetched.refuse(
                f"Account {row['account_id']} already has other campaigns on {day} than this file "
                f"({row[stream.campaign_key]}, …), and none in common ({days:,} such days). "
                "Is it the rest of those days, or a correction? Say `overlap: union` or `overlap: replace` "
                "in a mapping file."
            )

    def _prior(self, fetched: FetchedFile) -> dict[SliceKey, Attempt]:
        """Non-empty slices already there that this file brings again with other content."""
        hashes = content_hashes(fetched.slices)
        prior = {}
        for key, content_hash in zip(_keys(fetched), hashes, strict=True):
            attempt = self.ledger.complete.get(key)
            if attempt is not None and attempt.row_count and attempt.content_hash != content_hash:
                prior[key] = attempt
        return prior

    def _campaigns_in_force(self, stream: Stream, prior: dict[SliceKey, Attempt]) -> pl.DataFrame:
        assert stream.campaign_key is not None
        columns = [*(["period"] if stream.is_period else []), stream.campaign_key]
        stored, landing = self._split(prior)
        found = [rows_in_force(self.warehouse, stream, stored, columns).drop("_batch_id")] if stored else []
        for batch_id, keys in landing.items():
            campaigns = self._by_batch[batch_id].fetched.campaigns
            assert campaigns is not None
            found.append(campaigns.join(slice_frame(keys), on=SLICE, how="semi", nulls_equal=True))
        return pl.concat([frame.select([*SLICE, *columns]) for frame in found]).unique()

    def _split(
        self, prior: dict[SliceKey, Attempt]
    ) -> tuple[dict[SliceKey, Attempt], dict[str, list[SliceKey]]]:
        """Entries whose rows are in the warehouse, and those an earlier file of this landing brings."""
        stored: dict[SliceKey, Attempt] = {}
        landing: dict[str, list[SliceKey]] = {}
        for key, attempt in prior.items():
            if attempt.data_batch_id in self._by_batch:
                landing.setdefault(attempt.data_batch_id, []).append(key)
            else:
                stored[key] = attempt
        return stored, landing

    # --- what a file leaves standing ------------------------------------------------------------------

    def _carry_over(self, fetched: FetchedFile) -> None:
        """Bring along rows of a slice that this file is not about.

        A slice is replaced whole, so what should stay must come again: other periods of an account
        without days, and under `overlap: union` other campaigns of the day.
        """
        stream = fetched.stream
        union = fetched.file.mapping.overlap == "union" and stream.campaign_key is not None
        if not (union or stream.is_period) or fetched.campaigns is None:
            return
        prior = self._prior(fetched)
        if not prior:
            return
        stored, landing = self._split(prior)
        rows = [rows_in_force(self.warehouse, stream, stored)] if stored else []
        for batch_id, keys in landing.items():
            pages = self._by_batch[batch_id].fetched.pages
            rows.append(
                pl.scan_parquet(pages)
                .join(slice_frame(keys).lazy(), on=SLICE, how="semi", nulls_equal=True)
                .collect(engine="streaming")
            )
        about = [*SLICE, *(["period"] if stream.is_period else [])]
        if union:
            assert stream.campaign_key is not None
            about.append(stream.campaign_key)
        carried = pl.concat(rows).join(fetched.campaigns, on=about, how="anti", nulls_equal=True)
        if carried.is_empty():
            return
        carried = carried.with_columns(
            _batch_id=pl.lit(fetched.stamp.batch_id),
            _ingested_at=pl.lit(fetched.stamp.ingested_at).cast(pl.Datetime("us", "UTC")),
        )
        page = fetched.folder / "carried.parquet"
        stream.table.conform(carried).write_parquet(page)
        fetched.pages = [*fetched.pages, page]
        _, lanes = digests(carried["payload"], key_text(carried, stream))
        brought = carried.select(SLICE).hstack(lanes).with_columns(row_count=pl.lit(1, dtype=pl.Int64))
        fetched.slices = (
            pl.concat([fetched.slices, brought.select(fetched.slices.columns)])
            .group_by(SLICE, maintain_order=True)
            .agg(pl.col("row_count", *LANES).sum())
        )
        keys_columns = fetched.campaigns.columns
        fetched.campaigns = pl.concat([fetched.campaigns, carried.select(keys_columns)]).unique()

    # --- what is news ---------------------------------------------------------------------------------

    def _settle_slices(self, outcome: FileOutcome) -> None:
        fetched = outcome.fetched
        hashes = content_hashes(fetched.slices)
        counts = fetched.slices["row_count"]
        torn = set(_keys(fetched, fetched.torn))
        present = set()
        for key, content_hash, rows in zip(_keys(fetched), hashes, counts, strict=True):
            present.add(key)
            before = self.ledger.complete.get(key)
            if before is not None and before.content_hash == content_hash:
                outcome.unchanged.append(key)
                still_torn = self._torn.is_torn(key) and key in torn
                self._enter(outcome, key, "complete", before.data_batch_id, rows, content_hash, still_torn)
            elif self._torn.may_replace(key, rows, key in torn, fetched.unplaced):
                outcome.changed.append(key)
                batch = fetched.stamp.batch_id
                self._enter(outcome, key, "complete", batch, rows, content_hash, key in torn)
            else:
                outcome.held.append(key)
        # Of these every row was refused.
        outcome.held += [key for key in sorted(torn - present, key=str) if self._torn.is_whole(key)]
        for key in outcome.held:
            self._enter(outcome, key, "failed", None, 0, None, True, self.ledger.last[key].attempts + 1)
        if outcome.held:
            reason = (
                "Rows were refused, so what was landed before stays in force, whole, for: "
                f"{named_days(outcome.held)}. Mend the rows and drop the file again."
            )
            fetched.quarantine.insert(0, fetched.quarantine_row(None, "refused", reason))

    def _settle_vanished(self, outcome: FileOutcome) -> None:
        """Days inside the file's span that had rows and now have none: believed at the second pull."""
        fetched = outcome.fetched
        if fetched.stream.is_period or fetched.file.mapping.overlap == "union" or fetched.refused:
            # A refused row may have been the missing day's, and a union file is never the whole day.
            return
        spans = fetched.slices.group_by("source", "account_id", "breakdown_set").agg(
            pl.col("report_date").min().alias("first"), pl.col("report_date").max().alias("last")
        )
        bounds = {(row[0], row[1], row[2]): (row[3], row[4]) for row in spans.iter_rows()}
        present = set(_keys(fetched))
        for key, attempt in sorted(self.ledger.complete.items(), key=lambda entry: str(entry[0])):
            source, stream, account, day, breakdown_set = key
            span = bounds.get((source, account, breakdown_set))
            if stream != fetched.stream.name or span is None or day is None or key in present:
                continue
            if not attempt.row_count or not span[0] <= day <= span[1]:
                continue
            last = self.ledger.last[key]
            if last.status == "deferred" and last.batch_id != fetched.stamp.batch_id:
                outcome.emptied.append(key)
                empty = content_hashes(pl.DataFrame({name: [0] for name in ("row_count", *LANES)}))[0]
                batch = fetched.stamp.batch_id
                self._enter(outcome, key, "complete", batch, 0, empty, attempts=last.attempts + 1)
            else:
                outcome.deferred.append(key)
                self._enter(outcome, key, "deferred", None, 0, None)

    def _enter(
        self,
        outcome: FileOutcome,
        key: SliceKey,
        status: str,
        data_batch_id: str | None,
        rows: int,
        content_hash: str | None,
        rows_refused: bool = False,
        attempts: int = 1,
    ) -> None:
        stamp = outcome.fetched.stamp
        attempt = Attempt(
            stamp.batch_id,
            data_batch_id,
            status,
            attempts,
            stamp.request_hash,
            rows,
            content_hash,
            outcome.at,
        )
        self.ledger.note(key, attempt)
        self._totals.note(key)
        if rows_refused and status == "complete":
            self._torn.note(key, attempt.batch_id)
        error_class = ROWS_REFUSED if rows_refused else EMPTY_UNCONFIRMED if status == "deferred" else None
        self._entries.append((key, attempt, error_class))

    def _pages_of(self, outcome: FileOutcome) -> list[Path]:
        """Pages holding exactly the rows of changed slices."""
        fetched = outcome.fetched
        rows = dict(zip(_keys(fetched), fetched.slices["row_count"], strict=True))
        outcome.rows_written = sum(rows[key] for key in outcome.changed)
        if not outcome.changed:
            return []
        if len(outcome.changed) == len(rows):
            return fetched.pages
        changed = slice_frame(outcome.changed).lazy()
        pages = []
        for page in fetched.pages:
            target = page.with_name(f"changed-{page.name}")
            pl.scan_parquet(page).join(changed, on=SLICE, how="semi", nulls_equal=True).sink_parquet(
                target, compression="zstd", compression_level=1
            )
            if pl.scan_parquet(target).select(pl.len()).collect().item():
                pages.append(target)
        return pages

    # --- accounts and quarantine ----------------------------------------------------------------------

    def _note_accounts(self, outcome: FileOutcome) -> None:
        fetched = outcome.fetched
        if not fetched.stream.has_account_fields or fetched.accounts.is_empty():
            return
        mapping = fetched.file.mapping
        named = fetched.accounts.unique(["source", "account_id"], keep="last", maintain_order=True)
        news = named.with_columns(
            timezone=pl.lit(fetched.timezone),
            declared_lever=pl.lit(mapping.declared_lever, dtype=pl.String),
            maturity_days=pl.lit(mapping.maturity_days, dtype=pl.Int64),
            last_landed_at=pl.lit(outcome.at).cast(pl.Datetime("us", "UTC")),
        ).select(ACCOUNTS.column_names)
        kept = self._accounts.join(news, on=["source", "account_id"], how="anti")
        self._accounts = pl.concat([kept.cast(ACCOUNTS.polars_schema), ACCOUNTS.conform(news)]).sort(
            "source", "account_id"
        )

    def _new_quarantine(self, rows: list[dict[str, Any]]) -> pl.DataFrame:
        """Rows not yet there: a file that stays refused is said once, however often it is met."""
        if not rows:
            return quarantine_frame([])
        grain = list(QUARANTINE.grain)
        known = self.warehouse.read(QUARANTINE.name, grain)
        return (
            quarantine_frame(rows)
            .unique(grain, keep="first", maintain_order=True)
            .join(known, on=grain, how="anti", nulls_equal=True)
        )


def _keys(fetched: FetchedFile, slices: pl.DataFrame | None = None) -> list[SliceKey]:
    stream = fetched.stream.name
    rows = (fetched.slices if slices is None else slices).select(SLICE).iter_rows()
    return [(row[0], stream, row[1], row[2], row[3]) for row in rows]
