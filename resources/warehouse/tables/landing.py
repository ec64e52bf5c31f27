"""What became of everything that was pulled, dropped or transformed.

Here: the ledger of slices, landings, pulls, what was refused, how far the marts have followed. Not here: the
rows themselves (`raw.py`), what is known of an account (`accounts.py`).
"""

from __future__ import annotations

from resources.warehouse.schema import Table, TableName
from resources.warehouse.tables.columns import columns

INGEST_SLICES = Table(
    name=TableName("ops", "ingest_slices"),
    description="One row per finished attempt at a slice, committed with its data. The ledger is the truth.",
    columns=columns(
        ("source", "STRING", "Platform or file label.", True),
        ("stream", "STRING", "Raw table the rows went to.", True),
        ("account_id", "STRING", "Account.", True),
        ("report_date", "DATE", "Account-local day; NULL for undated period rows."),
        ("breakdown_set", "STRING", "Breakdown of the call.", True),
        ("batch_id", "STRING", "This attempt.", True),
        ("data_batch_id", "STRING", "Whose rows count: an earlier batch where the content is unchanged."),
        ("status", "STRING", "complete, failed or deferred.", True),
        ("attempts", "INT64", "Attempts so far.", True),
        ("error_class", "STRING", "Why it failed; NULL when complete."),
        ("request_hash", "STRING", "Hash of the request or the file.", True),
        ("row_count", "INT64", "Rows of the slice.", True),
        ("content_hash", "STRING", "Order-free hash of the slice's rows."),
        ("completed_at", "TIMESTAMP", "When the attempt ended.", True),
    ),
    grain=("source", "stream", "account_id", "report_date", "breakdown_set", "batch_id"),
    cluster=("source", "stream", "account_id"),
)
QUARANTINE = Table(
    name=TableName("ops", "quarantine"),
    description="Rows and files refused at landing, and images of creatives that cannot be read, with file, "
    "line and reason.",
    columns=columns(
        ("source", "STRING", "Platform or file label; NULL where the file was not recognised."),
        ("stream", "STRING", "Raw table it was meant for; NULL where unknown."),
        ("account_id", "STRING", "Account, where it could be read."),
        ("file", "STRING", "Path relative to the drop folder.", True),
        ("file_hash", "STRING", "sha256 of the file's bytes.", True),
        ("line", "INT64", "1-based line in the file, header included; NULL for a whole file."),
        (
            "severity",
            "STRING",
            "refused (not loaded), flagged (loaded and marked) or read (an image, now).",
            True,
        ),
        ("reason", "STRING", "What is wrong and how to mend it.", True),
        ("record", "STRING", "The row as JSON text, where there is one; of an image, its reader's version."),
        ("quarantined_at", "TIMESTAMP", "When it was set aside.", True),
    ),
    grain=("file_hash", "line", "reason", "quarantined_at"),
)
FILE_LANDINGS = Table(
    name=TableName("ops", "file_landings"),
    description="Every file each landing saw, and what became of it.",
    columns=columns(
        ("file", "STRING", "Path relative to the drop folder.", True),
        ("format", "STRING", "Mapping that recognised it; NULL where none did."),
        ("status", "STRING", "landed, unchanged, refused, unrecognised or unsettled.", True),
        ("rows", "INT64", "Rows appended to raw.", True),
        ("changed_slices", "INT64", "Slices whose content is new.", True),
        ("refused_rows", "INT64", "Rows set aside in ops.quarantine.", True),
        ("flagged_rows", "INT64", "Rows loaded and marked.", True),
        ("reason", "STRING", "Why it was not landed; NULL where it was."),
        ("landed_at", "TIMESTAMP", "When the landing ran.", True),
    ),
    grain=("file", "landed_at"),
)
SOURCE_PULLS = Table(
    name=TableName("ops", "source_pulls"),
    description="Every pull of a live source: a row per account and report, and what became of its days.",
    columns=columns(
        ("source", "STRING", "Platform.", True),
        ("account_id", "STRING", "Account.", True),
        ("stream", "STRING", "Raw table it was for.", True),
        ("breakdown_set", "STRING", "Breakdown of the call.", True),
        ("started_at", "TIMESTAMP", "When the account's fetch began.", True),
        ("finished_at", "TIMESTAMP", "When it was published.", True),
        ("first_day", "DATE", "Oldest day asked for.", True),
        ("last_day", "DATE", "Newest day asked for.", True),
        ("changed_days", "INT64", "Days whose content is new.", True),
        ("unchanged_days", "INT64", "Days read again with the same content.", True),
        (
            "unconfirmed_days",
            "INT64",
            "Days that had rows and now have none: believed at the next pull.",
            True,
        ),
        ("superseded_days", "INT64", "Days a later pull had published first.", True),
        ("failed_days", "INT64", "Days that could not be read.", True),
        ("rows", "INT64", "Rows appended to raw.", True),
        ("repeated_rows", "INT64", "Rows the platform sent more than once.", True),
        ("error_class", "STRING", "What is done about the failure; NULL where there is none."),
        ("message", "STRING", "What the platform said, without secrets."),
        (
            "next_attempt_at",
            "TIMESTAMP",
            "When failed days are due again; NULL: when a person has seen to it.",
        ),
    ),
    grain=("source", "account_id", "stream", "breakdown_set", "started_at"),
)
TRANSFORMED_DAYS = Table(
    name=TableName("ops", "transformed_days"),
    description="Up to where the marts have followed the ledger, by report day.",
    columns=columns(
        ("report_date", "DATE", "Report day the marts were built for.", True),
        ("ledger_completed_at", "TIMESTAMP", "Newest changed slice of that day the marts have seen.", True),
        ("code_version", "STRING", "Hash of the dbt project that built it.", True),
    ),
    grain=("report_date",),
    partition="report_date",
)
