"""Sources of what lands and of what the settings say of it.

Here: raw rows, the landing's books, accounts, rules. Not here: anything computed from raw rows by dbt.
"""

from aelp_assets.column_sources.notation import Maker, declared, made
from resources.warehouse.tables import RAW_TABLES

RAW = [declared(str(table.name), made("*", Maker.PLATFORM)) for table in RAW_TABLES]
INGEST_SLICES = declared("ops.ingest_slices", made("*", Maker.LEDGER))
QUARANTINE = declared("ops.quarantine", made("*", Maker.PLATFORM, Maker.LEDGER))
FILE_LANDINGS = declared("ops.file_landings", made("*", Maker.LEDGER))
SOURCE_PULLS = declared("ops.source_pulls", made("*", Maker.LEDGER))
TRANSFORMED_DAYS = declared("ops.transformed_days", made("*", Maker.LEDGER))
ACCOUNTS = declared("ops.accounts", made("*", Maker.PLATFORM, Maker.LEDGER))
TRACK_RULES = declared("ops.track_rules", made("*", Maker.SETTINGS))
REWARD_DEFINITIONS = declared("ops.reward_definitions", made("*", Maker.SETTINGS))
CHANNEL_RULES = declared("ops.channel_rules", made("*", Maker.SETTINGS))
MEDIA_WEEKS = declared("ops.media_weeks", made("*", Maker.SETTINGS))
