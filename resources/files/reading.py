"""One pass over a file: parse, judge, page, count; then the checks that need the whole file.

Here: repeated grains, mixed currencies, too many refusals. Not here: single records (`parsing.py`,
`validation.py`), opening the file (`fetching.py`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from resources.files.batches import Batch, RaggedRow, ahead
from resources.files.day_order import DayOrder
from resources.files.fetched import ACCOUNT_SCHEMA, TORN_SCHEMA, FetchedFile, Tolerance
from resources.files.opening import UnreadableFile
from resources.files.parsing import Draft, Parser
from resources.files.validation import Bounds, Judgement, judge
from resources.files.weekly_outcomes import WeeklyOutcomes
from resources.landing.pages import SLICE, SLICE_SCHEMA, PageWriter, Tally

# Refusals and flags of one file put into words; beyond that they are counted.
MOST_WORDED = 1_000
_DUPLICATES_MEMORY = "256MB"


@dataclass(frozen=True)
class Repeats:
    """Records whose grain stands in the file more than once, by ordinal.

    An identical repeat says the same thing twice (a page served twice, a file appended to itself):
    adding it would count double and refusing it would lose a true row, so the first is kept. Where
    repeats disagree nobody can say which is true: all of them are refused.

    `lines`: the first and the last line of the grain, for those conflicts that are put into words.
    """

    dropped: pl.Series
    conflicting: pl.Series
    lines: dict[int, tuple[int, int]]


def find_repeats(grain_file: Path, work_dir: Path) -> Repeats | None:
    """Repeats among the grains of a page writer's side file; None where every grain is unique.

    Runs in an engine that spills, so that its memory does not grow with the file.
    """
    if not grain_file.exists():
        return None
    connection = duckdb.connect(
        config={"memory_limit": _DUPLICATES_MEMORY, "temp_directory": str(work_dir / "spill"), "threads": 2}
    )
    try:
        # DuckDB draws a progress bar on standard output once a query is slow, terminal or not.
        connection.execute("set enable_progress_bar = false")
        rows = connection.sql(
            """
            with repeated as (
                select grain_a, grain_b, min(ordinal) as first, arg_min(line, ordinal) as first_line,
                       arg_max(line, ordinal) as last_line,
                       count(distinct content) > 1 as conflicting
                from read_parquet(?) group by all having count(*) > 1
            )
            select grain.ordinal, repeated.first_line, repeated.last_line, repeated.conflicting
            from read_parquet(?) as grain join repeated using (grain_a, grain_b)
            where repeated.conflicting or grain.ordinal != repeated.first
            order by grain.ordinal
            """,
            params=[str(grain_file), str(grain_file)],
        ).to_arrow_table()
    finally:
        connection.close()
    found = pl.DataFrame(pl.from_arrow(rows))
    if found.is_empty():
        return None
    conflicting = found.filter("conflicting")
    worded = conflicting.head(MOST_WORDED)
    return Repeats(
        dropped=found.filter(~pl.col("conflicting"))["ordinal"],
        conflicting=conflicting["ordinal"],
        lines={
            ordinal: (first, last)
            for ordinal, first, last in worded.select("ordinal", "first_line", "last_line").iter_rows()
        },
    )


class Reading:
    """One pass over a file: parse, judge, page, count."""

    def __init__(self, fetched: FetchedFile, parser: Parser, bounds: Bounds, repeats: Repeats | None) -> None:
        self.fetched = fetched
        self.parser = parser
        self.bounds = bounds
        self.repeats = repeats
        self.writer = PageWriter(fetched.folder, fetched.stream, fetched.stamp)
        self.accounts = Tally(list(ACCOUNT_SCHEMA))
        self.torn = Tally([*SLICE])
        self.day_order = DayOrder(parser.mapping)
        self.weekly_outcomes = WeeklyOutcomes() if fetched.stream.is_weekly else None
        self.worded: Counter[str] = Counter()
        fetched.quarantine = []
        fetched.read = fetched.accepted = fetched.refused = fetched.flagged = fetched.repeated = 0
        fetched.unplaced = 0

    def run(self, batches: Iterator[Batch]) -> None:
        try:
            for batch in ahead(batches):
                for row in batch.ragged:
                    self._refuse_ragged(row)
                content = self._without_footers(batch)
                if content.cells.height:
                    for draft in self.parser.parse(content):
                        self._take(content, draft)
        finally:
            self.writer.close()

    def discard(self) -> None:
        for page in (*self.writer.pages, self.writer.grain_file):
            page.unlink(missing_ok=True)

    def settle(self, tolerance: Tolerance) -> None:
        """Judge the file as a whole and hand over what it brings."""
        fetched = self.fetched
        self.writer.grain_file.unlink(missing_ok=True)
        fetched.pages = self.writer.pages
        fetched.accepted = self.writer.rows
        fetched.slices = self.writer.slices.result(SLICE_SCHEMA)
        fetched.campaigns = None if self.writer.campaigns is None else self._campaigns(self.writer.campaigns)
        fetched.accounts = self.accounts.result(ACCOUNT_SCHEMA)
        fetched.torn = self.torn.result(TORN_SCHEMA)
        self._summarise()
        swapped = self.day_order.fault()
        contradiction = None if self.weekly_outcomes is None else self.weekly_outcomes.fault()
        mixed = (
            fetched.accounts.group_by("source", "account_id", maintain_order=True)
            .agg(pl.col("currency").drop_nulls().unique().sort())
            .filter(pl.col("currency").list.len() > 1)
        )
        if mixed.height:
            account, currencies = mixed.row(0)[1:]
            fetched.refuse(
                f"Account {account} reports in {' and '.join(currencies)}. An account has one currency: "
                "split the file by currency, or export the account's own."
            )
        elif swapped is not None:
            fetched.refuse(swapped)
        elif contradiction is not None:
            fetched.refuse(contradiction)
        elif fetched.refused and not fetched.accepted:
            first = next(row for row in fetched.quarantine if row["severity"] == "refused")
            fetched.refuse(f"Every row was refused; line {first['line']}: {first['reason']}")
        elif tolerance.exceeded(fetched.refused, fetched.read):
            first = next(row for row in fetched.quarantine if row["severity"] == "refused")
            fetched.refuse(
                f"{fetched.refused:,} of {fetched.read:,} rows are unusable, too many to trust the rest; "
                f"the first is line {first['line']}: {first['reason']}"
            )

    def _campaigns(self, tally: Tally) -> pl.DataFrame:
        schema = {name: pl.Date() if name == "report_date" else pl.String() for name in tally.keys}
        return tally.result(pl.Schema(schema))

    def _without_footers(self, batch: Batch) -> Batch:
        """The batch without blank lines and the total lines a report ends with."""
        first = batch.cells.columns[0] if batch.cells.width else None
        if first != "c0" or self.parser.header.delimiter is None:
            return batch
        cells = batch.cells["c0"]
        drop = pl.repeat(False, batch.cells.height, eager=True)
        for footer in self.parser.mapping.footers:
            drop = drop | cells.str.starts_with(footer)
        if (cells == "").any():
            drop = drop | batch.cells.select(pl.all_horizontal(pl.all().str.strip_chars() == "")).to_series()
        if not drop.any():
            return batch
        return Batch(batch.cells.filter(~drop), batch.lines.filter(~drop))

    def _refuse_ragged(self, row: RaggedRow) -> None:
        if row.text.strip().strip('"').startswith(self.parser.mapping.footers or ("\0",)):
            return
        if "\n" in row.text:
            raise UnreadableFile(
                f"line {row.line}: a row runs over several lines and has {row.found} cells where the header "
                f"has {row.expected}, so a quote is opened there and never closed. Mend that line"
            )
        self.fetched.read += 1
        self.fetched.refused += 1
        self.fetched.unplaced += 1
        self._word(
            row.line,
            "refused",
            f"the line has {row.found} cells where the header has {row.expected}. "
            "A name with an unquoted delimiter or a line break does that.",
            json.dumps({"text": row.text}, ensure_ascii=False),
        )

    def _take(self, batch: Batch, draft: Draft) -> None:
        fetched = self.fetched
        frame = draft.frame
        if draft.currency_clash is not None and draft.currency_clash.any():
            line = frame["line"][int(draft.currency_clash.arg_true()[0])]
            raise UnreadableFile(
                f"line {line} names another currency than the header of the spend column: mixed currencies"
            )
        self.day_order.add(draft.day_text)
        fetched.read += frame.height
        judgement = judge(
            draft,
            fetched.stream,
            self.bounds,
            self.parser.mapping.click_attributed,
            MOST_WORDED - min(self.worded["refused"], self.worded["flagged"]),
        )
        keep = ~judgement.refused
        lost = judgement.refused
        if self.repeats is not None:
            repeated = frame["ordinal"].is_in(self.repeats.dropped)
            conflicting = frame["ordinal"].is_in(self.repeats.conflicting)
            fetched.repeated += int((repeated & keep).sum())
            self._refuse_conflicts(batch, frame, conflicting & keep)
            lost = lost | conflicting
            keep = keep & ~repeated & ~conflicting
        fetched.refused += int(judgement.refused.sum())
        fetched.flagged += int((judgement.flagged & keep).sum())
        self._word_judgement(batch, frame, judgement, keep)
        if lost.any():
            self._note_torn(frame.filter(lost))
        accepted = frame if keep.all() else frame.filter(keep)
        self.writer.write(accepted)
        self.accounts.add(self._account_rows(accepted))
        if self.weekly_outcomes is not None:
            self.weekly_outcomes.add(accepted)

    def _note_torn(self, lost: pl.DataFrame) -> None:
        """Remember whose day each refused row is missing from, where the row says so."""
        known = SLICE if not self.fetched.stream.is_period else [n for n in SLICE if n != "report_date"]
        placed = lost.select(SLICE).drop_nulls(known)
        self.fetched.unplaced += lost.height - placed.height
        if placed.height:
            self.torn.add(placed)

    def _account_rows(self, accepted: pl.DataFrame) -> pl.DataFrame:
        named = "account_name" if "account_name" in accepted.columns else "account_id"
        currency = pl.col("currency") if "currency" in accepted.columns else pl.lit(None, dtype=pl.String)
        return accepted.select(
            "source", "account_id", pl.col(named).alias("account_name"), currency.alias("currency")
        )

    def _refuse_conflicts(self, batch: Batch, frame: pl.DataFrame, conflicting: pl.Series) -> None:
        assert self.repeats is not None
        self.fetched.refused += int(conflicting.sum())
        *most, last_name = self.parser.grain_columns or ["day", "account"]
        names = f"{', '.join(most)} and {last_name}" if most else last_name
        for index in conflicting.arg_true().head(MOST_WORDED).to_list():
            line = frame["line"][index]
            first, last = self.repeats.lines.get(frame["ordinal"][index], (None, None))
            twin = f"again on line {last}" if line == first else f"first on line {first}"
            self._word(
                line,
                "refused",
                f"the same {names} stand {'more than once' if first is None else twin} with other numbers. "
                "Which row is true cannot be known: export again without the repeated rows.",
                self._record(batch, index),
                frame["account_id"][index],
            )

    def _word_judgement(
        self, batch: Batch, frame: pl.DataFrame, judgement: Judgement, keep: pl.Series
    ) -> None:
        for index, reason in judgement.refusals:
            self._word(
                frame["line"][index],
                "refused",
                reason,
                self._record(batch, index),
                frame["account_id"][index],
            )
        for index, reason in judgement.flags:
            if keep[index]:
                self._word(
                    frame["line"][index],
                    "flagged",
                    reason,
                    self._record(batch, index),
                    frame["account_id"][index],
                )

    def _record(self, batch: Batch, index: int) -> str:
        row = batch.cells.row(index, named=True)
        header = self.parser.header.columns
        named = {header[int(name[1:])]: cell for name, cell in row.items()}
        return json.dumps(named, ensure_ascii=False, sort_keys=True)

    def _word(
        self, line: int, severity: str, reason: str, record: str | None = None, account: str | None = None
    ) -> None:
        if self.worded[severity] < MOST_WORDED:
            self.worded[severity] += 1
            self.fetched.quarantine.append(
                self.fetched.quarantine_row(line, severity, reason, record, account)
            )

    def _summarise(self) -> None:
        """What was counted but not worded, one line per kind."""
        fetched = self.fetched
        for severity, count in (("refused", fetched.refused), ("flagged", fetched.flagged)):
            if count > self.worded[severity]:
                unlisted = count - self.worded[severity]
                reason = f"{unlisted:,} further rows are {severity} for reasons such as those listed."
                fetched.quarantine.append(fetched.quarantine_row(None, severity, reason))
        if fetched.repeated:
            reason = f"{fetched.repeated:,} rows repeat another row of the file exactly; each is loaded once."
            fetched.quarantine.append(fetched.quarantine_row(None, "flagged", reason))
