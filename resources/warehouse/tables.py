"""The catalogue of tables written from Python: raw landings, the ledger, and model outputs.

Here: names, columns, units and grain of every such table, one place for BigQuery schemas, Dagster
column metadata and dbt sources. Not here: dbt's own tables (their YAML says the same for them).
"""

from __future__ import annotations

from resources.warehouse.schema import Column, ColumnType, Table, TableName

_Row = tuple[str, ColumnType, str] | tuple[str, ColumnType, str, bool]


def _columns(*rows: _Row) -> tuple[Column, ...]:
    return tuple(Column(*row) for row in rows)


# --- raw: immutable rows under one envelope -------------------------------------------------------

_ENVELOPE_HEAD = _columns(
    ("source", "STRING", "Platform, or the label of a file drop that names none.", True),
    ("account_id", "STRING", "Account as the source names it.", True),
    ("report_date", "DATE", "Account-local day the row reports."),
    ("breakdown_set", "STRING", "Which breakdown the call had; each repeats the full total.", True),
)
_ENVELOPE_TAIL = _columns(
    ("payload", "STRING", "Canonical JSON text of the row; numbers kept as text so money stays exact.", True),
    ("payload_hash", "STRING", "sha256 of the payload.", True),
    ("_batch_id", "STRING", "The load that wrote this row.", True),
    ("_ingested_at", "TIMESTAMP", "When it was written.", True),
    ("_api_version", "STRING", "API version or export format.", True),
    ("_request_hash", "STRING", "Hash of the request or of the file's content.", True),
)


def _raw(table: str, description: str, keys: tuple[str, ...]) -> Table:
    return Table(
        name=TableName("raw", table),
        description=description,
        columns=_ENVELOPE_HEAD
        + tuple(Column(key, "STRING", f"Grain key: {key}.", required=True) for key in keys)
        + _ENVELOPE_TAIL,
        grain=("source", "account_id", "report_date", "breakdown_set", *keys, "_batch_id"),
        partition="report_date",
        cluster=("account_id", "_batch_id"),
    )


META_ADS_INSIGHTS = _raw(
    "meta_ads_insights",
    "Meta ad by day, no breakdown: the only source of unique metrics.",
    ("campaign_id", "adset_id", "ad_id"),
)
META_ADS_INSIGHTS_BY_PLACEMENT = _raw(
    "meta_ads_insights_by_placement",
    "Meta ad by day by placement.",
    ("campaign_id", "adset_id", "ad_id", "publisher_platform", "platform_position", "impression_device"),
)
META_ENTITIES = _raw(
    "meta_entities",
    "Meta account, campaigns, ad sets, ads, creatives as of a snapshot day, archived and deleted too.",
    ("entity_type", "entity_id"),
)
META_ACTIVITIES = _raw(
    "meta_activities",
    "Meta's log of who changed what, by the account-local day of the change.",
    ("activity_id",),
)
META_HOURLY_SPEND = _raw(
    "meta_hourly_spend",
    "Meta ad set by account-local hour of the day.",
    ("campaign_id", "adset_id", "hour"),
)
META_ADS_INSIGHTS_BY_HOUR = _raw(
    "meta_ads_insights_by_hour",
    "Meta ad set by day and account-local hour: delivery only, Meta breaks no purchases down by hour.",
    ("campaign_id", "adset_id", "hour"),
)
META_ADS_INSIGHTS_BY_SEGMENT = _raw(
    "meta_ads_insights_by_segment",
    "Meta ad set by day, age and gender.",
    ("campaign_id", "adset_id", "age", "gender"),
)
GOOGLE_ADS_AD_PERFORMANCE = _raw(
    "google_ads_ad_performance",
    "Google Ads ad by day, network and device.",
    ("campaign_id", "ad_group_id", "ad_id", "network", "device"),
)
GOOGLE_ADS_CAMPAIGN_PERFORMANCE = _raw(
    "google_ads_campaign_performance",
    "Google Ads campaign by day, network and device: the control total. Performance Max has no ad rows.",
    ("campaign_id", "network", "device"),
)
GOOGLE_ADS_CAMPAIGN_BY_HOUR = _raw(
    "google_ads_campaign_by_hour",
    "Google Ads campaign by day and account-local hour.",
    ("campaign_id", "hour"),
)
GOOGLE_ADS_DEMOGRAPHICS = _raw(
    "google_ads_demographics",
    "Google Ads ad group by day and age range, and by day and gender: two breakdowns that Google never "
    "crosses. Performance Max has none.",
    ("campaign_id", "ad_group_id", "criterion_id"),
)
GOOGLE_ADS_CONVERSIONS = _raw(
    "google_ads_conversions",
    "Google Ads conversions by day of the click and conversion action; cost cannot be split that way.",
    ("campaign_id", "ad_group_id", "conversion_action_id"),
)
GOOGLE_ADS_KEYWORDS = _raw(
    "google_ads_keywords", "Google Ads keyword by day.", ("campaign_id", "ad_group_id", "criterion_id")
)
GOOGLE_ADS_ENTITIES = _raw(
    "google_ads_entities",
    "Google Ads campaigns, ad groups, ads, keywords, asset groups and conversion actions as of a snapshot "
    "day, removed ones included.",
    ("entity_type", "entity_id"),
)
GOOGLE_ADS_CHANGES = _raw(
    "google_ads_changes",
    "Google Ads' log of who changed what, its last 29 days as of a snapshot day.",
    ("change_id",),
)
GOOGLE_ADS_RECOMMENDATIONS = _raw(
    "google_ads_recommendations",
    "What Google Ads recommends as of a snapshot day.",
    ("recommendation_id",),
)
TIKTOK_ADS_REPORT = _raw("tiktok_ads_report", "TikTok ad by day.", ("campaign_id", "adgroup_id", "ad_id"))
INTRADAY_SPEND = _raw(
    "intraday_spend",
    "Spend of a day that is not over, by what carries budgets: Google Ads campaign and TikTok ad group by "
    "account-local hour; LinkedIn campaign, whose hour is `__none__`: its reports know days alone.",
    ("campaign_id", "adgroup_id", "hour"),
)
LINKEDIN_AD_ANALYTICS = _raw(
    "linkedin_ad_analytics",
    "LinkedIn creative by day.",
    ("campaign_group_id", "campaign_id", "creative_id"),
)
FILE_AD_PERFORMANCE = _raw(
    "file_ad_performance",
    "Any other daily export, in the documented generic long format or through a mapping file.",
    ("campaign_id", "adgroup_id", "ad_id", "placement", "segment"),
)
FILE_PERIOD_PERFORMANCE = _raw(
    "file_period_performance",
    "Exports without a day: totals of a week, a period or an unknown time. Never in daily marts.",
    ("campaign_id", "adgroup_id", "ad_id", "placement", "segment", "period"),
)
MEDIA_HISTORY = _raw(
    "media_history",
    "Weeks of a media mix from before the daily reports: spend and delivery by channel, the track's outcome "
    "repeated on each of its rows. An agency's history file.",
    ("track", "channel", "period"),
)
ORDERS = _raw("orders", "Backend orders by the account-local day they were placed.", ("order_id",))
CREATIVES = _raw("creatives", "Creative objects as of a snapshot day.", ("creative_id",))
CREATIVE_ASSETS = _raw(
    "creative_assets",
    "Images and video thumbnails of an account as of a snapshot day; the bytes lie in "
    "AELP_HOME/creative_assets under their sha256.",
    ("asset_kind", "asset_id"),
)
LEVERS = _raw("levers", "Budget-carrying entities as of a snapshot day.", ("lever_id",))
IMPACT_ACTIONS = _raw(
    "impact_actions",
    "Impact.com affiliate actions by the account-local day of the event; the state may change until locked.",
    ("action_id",),
)
GA4_REPORTS = _raw(
    "ga4_reports",
    "Google Analytics sessions and key events by property day, channel and device.",
    ("report", "dimensions_hash"),
)
GA4_EVENTS = _raw(
    "ga4_events",
    "Google Analytics events of the BigQuery export, identifiers hashed; each day from its best table.",
    ("export_kind", "event_hash"),
)
VENDOR_CREATIVES = _raw(
    "vendor_creatives",
    "Creatives as vendors delivered them, by the day their file was dropped.",
    ("file_sha256", "creative_id", "row_no"),
)
AD_LIBRARY = _raw(
    "ad_library",
    "Ads found in the ad library, as last found on a snapshot day.",
    ("query_hash", "ad_archive_id"),
)

RAW_TABLES = (
    META_ADS_INSIGHTS,
    META_ADS_INSIGHTS_BY_PLACEMENT,
    META_ENTITIES,
    META_ACTIVITIES,
    META_HOURLY_SPEND,
    META_ADS_INSIGHTS_BY_HOUR,
    META_ADS_INSIGHTS_BY_SEGMENT,
    GOOGLE_ADS_AD_PERFORMANCE,
    GOOGLE_ADS_CAMPAIGN_PERFORMANCE,
    GOOGLE_ADS_CAMPAIGN_BY_HOUR,
    GOOGLE_ADS_DEMOGRAPHICS,
    GOOGLE_ADS_CONVERSIONS,
    GOOGLE_ADS_KEYWORDS,
    GOOGLE_ADS_ENTITIES,
    GOOGLE_ADS_CHANGES,
    GOOGLE_ADS_RECOMMENDATIONS,
    TIKTOK_ADS_REPORT,
    LINKEDIN_AD_ANALYTICS,
    INTRADAY_SPEND,
    FILE_AD_PERFORMANCE,
    FILE_PERIOD_PERFORMANCE,
    MEDIA_HISTORY,
    ORDERS,
    CREATIVES,
    CREATIVE_ASSETS,
    LEVERS,
    IMPACT_ACTIONS,
    GA4_REPORTS,
    GA4_EVENTS,
    VENDOR_CREATIVES,
    AD_LIBRARY,
)

_AS_OF: _Row = ("as_of_date", "DATE", "The morning the numbers were known.", True)

# --- ops: the ledger and what was refused ----------------------------------------------------------

INGEST_SLICES = Table(
    name=TableName("ops", "ingest_slices"),
    description="One row per finished attempt at a slice, committed with its data. The ledger is the truth.",
    columns=_columns(
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
    description="Rows and files refused at landing, with file, line and reason.",
    columns=_columns(
        ("source", "STRING", "Platform or file label; NULL where the file was not recognised."),
        ("stream", "STRING", "Raw table it was meant for; NULL where unknown."),
        ("account_id", "STRING", "Account, where it could be read."),
        ("file", "STRING", "Path relative to the drop folder.", True),
        ("file_hash", "STRING", "sha256 of the file's bytes.", True),
        ("line", "INT64", "1-based line in the file, header included; NULL for a whole file."),
        ("severity", "STRING", "refused (not loaded) or flagged (loaded and marked).", True),
        ("reason", "STRING", "What is wrong and how to mend it.", True),
        ("record", "STRING", "The row as JSON text, where there is one."),
        ("quarantined_at", "TIMESTAMP", "When it was set aside.", True),
    ),
    grain=("file_hash", "line", "reason"),
)
ACCOUNTS = Table(
    name=TableName("ops", "accounts"),
    description="What is known of each account from its exports and mappings.",
    columns=_columns(
        ("source", "STRING", "Platform or file label.", True),
        ("account_id", "STRING", "Account.", True),
        ("account_name", "STRING", "Name shown to people.", True),
        ("currency", "STRING", "ISO 4217 code, XXX where unknown.", True),
        ("timezone", "STRING", "IANA zone of report_date.", True),
        (
            "declared_lever",
            "STRING",
            "What a mapping declares as lever: campaign, adgroup or ad.",
        ),
        ("maturity_days", "INT64", "Days until a cohort is judged; NULL: as in settings."),
        ("last_landed_at", "TIMESTAMP", "Last landing that named this account.", True),
    ),
    grain=("source", "account_id"),
)
TRACK_RULES = Table(
    name=TableName("ops", "track_rules"),
    description="Which campaign belongs to which track: settings first, then mappings. LIKE patterns.",
    columns=_columns(
        ("rule_order", "INT64", "First match wins.", True),
        ("track", "STRING", "Track.", True),
        ("source_pattern", "STRING", "LIKE pattern on source.", True),
        ("account_pattern", "STRING", "LIKE pattern on account_id.", True),
        ("campaign_pattern", "STRING", "LIKE pattern on campaign name.", True),
    ),
    grain=("rule_order",),
)
REWARD_DEFINITIONS = Table(
    name=TableName("ops", "reward_definitions"),
    description="The reward definition in force: what the settings say a signup caused by advertising is.",
    columns=_columns(
        ("version", "STRING", "Its name.", True),
        ("click_incrementality_mean", "FLOAT64", "Expected signups caused by a click conversion.", True),
        ("view_incrementality_mean", "FLOAT64", "Expected signups caused by a view conversion.", True),
        ("maturity_days", "INT64", "Age at which a cohort is judged, where its account has none.", True),
    ),
    grain=("version",),
)
CHANNEL_RULES = Table(
    name=TableName("ops", "channel_rules"),
    description="Which campaign belongs to which channel of the media mix: the settings' LIKE patterns.",
    columns=_columns(
        ("rule_order", "INT64", "First match wins.", True),
        ("channel", "STRING", "Channel.", True),
        ("platform_pattern", "STRING", "LIKE pattern on platform.", True),
        ("account_pattern", "STRING", "LIKE pattern on account_id.", True),
        ("campaign_pattern", "STRING", "LIKE pattern on campaign name.", True),
    ),
    grain=("rule_order",),
)
MEDIA_WEEKS = Table(
    name=TableName("ops", "media_weeks"),
    description="Weeks of the media mix since history_start, and what the settings' calendar says of each.",
    columns=_columns(
        ("week", "DATE", "First day of the week.", True),
        ("track", "STRING", "Track; `*` for those the settings do not have.", True),
        ("event_share", "FLOAT64", "Share of its days inside an event of the track.", True),
        ("promotion_share", "FLOAT64", "Share of its days inside a promotion of the track.", True),
        ("freeze_share", "FLOAT64", "Share of its days on which nothing may rise.", True),
    ),
    grain=("week", "track"),
)
ACCOUNT_AUDITS = Table(
    name=TableName("ops", "account_audits"),
    description="Plausibility audit per account; decides whether its data may drive a decision.",
    columns=_columns(
        _AS_OF,
        ("source", "STRING", "Platform or file label.", True),
        ("account_id", "STRING", "Account.", True),
        ("check_name", "STRING", "Which plausibility check.", True),
        ("status", "STRING", "passed, failed or skipped.", True),
        ("statistic", "FLOAT64", "The measured value; NULL when skipped."),
        ("threshold", "FLOAT64", "What it was held against; NULL when skipped."),
        ("detail", "STRING", "In words, with the reason of a skip.", True),
        ("decision_eligible", "BOOL", "The account's verdict over all checks.", True),
    ),
    grain=("as_of_date", "source", "account_id", "check_name"),
    partition="as_of_date",
)
DECISION_ACCOUNTS = Table(
    name=TableName("ops", "decision_accounts"),
    description="Which accounts a morning's decision may use, and why the others are left out.",
    columns=_columns(
        _AS_OF,
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("last_report_date", "DATE", "Newest report day known that morning."),
        ("maturity_days", "INT64", "Days until a cohort is judged.", True),
        ("eligible", "BOOL", "Whether decisions may use it.", True),
        ("reason", "STRING", "In words.", True),
    ),
    grain=("as_of_date", "platform", "account_id"),
    partition="as_of_date",
)

FILE_LANDINGS = Table(
    name=TableName("ops", "file_landings"),
    description="Every file each landing saw, and what became of it.",
    columns=_columns(
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
    columns=_columns(
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
    columns=_columns(
        ("report_date", "DATE", "Report day the marts were built for.", True),
        ("ledger_completed_at", "TIMESTAMP", "Newest changed slice of that day the marts have seen.", True),
        ("code_version", "STRING", "Hash of the dbt project that built it.", True),
    ),
    grain=("report_date",),
    partition="report_date",
)
_MONEY_IN_FORCE: tuple[_Row, ...] = (
    ("current_budget", "NUMERIC", "Budget in force; NULL where unknown."),
    ("midnight_budget", "NUMERIC", "At the start of the account's day; NULL where unknown: no increase."),
    ("budget_7_days_ago", "NUMERIC", "NULL: a new lever, counted from 0."),
    ("minimum_budget", "NUMERIC", "Lowest the platform accepts."),
    ("budget_increment", "NUMERIC", "Smallest step the platform accepts."),
)
LEVER_STATES = Table(
    name=TableName("ops", "lever_states"),
    description="What the guardrails knew of every lever that morning: proposals are judged on it again.",
    columns=_columns(
        _AS_OF,
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("lever_id", "STRING", "Lever in budget_levers.", True),
        ("track", "STRING", "Track."),
        ("lever_level", "STRING", "campaign, adset, adgroup or ad."),
        ("lever_source", "STRING", "platform, or declared by a mapping."),
        ("has_lever", "BOOL", "False for an arm whose budget sits elsewhere."),
        ("is_shared", "BOOL", "Whether other campaigns draw on it too."),
        ("decision_eligible", "BOOL", "Whether the account's data may be decided on."),
        ("status", "STRING", "active or paused."),
        ("learning_state", "STRING", "learning, active or limited."),
        ("budget_type", "STRING", "daily or lifetime."),
        ("currency", "STRING", "ISO 4217 code."),
        *_MONEY_IN_FORCE,
        ("last_edited_at", "TIMESTAMP", "NULL: no edit on record."),
        ("thompson_budget", "FLOAT64", "What the sampler asks for; NULL: no change."),
        ("matured_spend", "NUMERIC", "In the posterior's window."),
        ("p_cac_above_cap", "FLOAT64", "Of the lever."),
        ("track_p_cac_above_cap", "FLOAT64", "Of its track."),
        ("expected_loss_rate", "FLOAT64", "E[max(0, 1 - cap * signups per dollar)]; NULL counts as 1."),
        ("marginal_contribution", "FLOAT64", "Contribution of one more dollar, net of that dollar."),
        ("track_contribution", "FLOAT64", "Contribution of the track's average dollar, net."),
    ),
    grain=("as_of_date", "platform", "account_id", "lever_id"),
    partition="as_of_date",
)
PROPOSALS = Table(
    name=TableName("ops", "proposals"),
    description="Edits, launches and switches put before people, one per lever or arm and morning, with what "
    "became of them.",
    columns=_columns(
        ("proposal_id", "STRING", "Names the lever, the morning and the exact change.", True),
        _AS_OF,
        ("type", "STRING", "raise, cut, stop or launch; of an arm pause, enable or split_test.", True),
        ("decision_id", "STRING", "In bandit_decisions; of an arm made of morning and arm.", True),
        ("track", "STRING", "Track.", True),
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("lever_id", "STRING", "Lever in budget_levers; of an arm its kind:id in arm_decisions.", True),
        ("entity_name", "STRING", "Its name."),
        ("currency", "STRING", "ISO 4217 code of the budgets."),
        ("current_budget", "NUMERIC", "In force that morning; 0 for an arm, which has none.", True),
        ("proposed_budget", "NUMERIC", "A stop proposes 0; so does an arm's switch, which moves none.", True),
        ("reason", "STRING", "One sentence for a person.", True),
        ("payload_hash", "STRING", "sha256 of the exact change people sign.", True),
        (
            "status",
            "STRING",
            "pending, awaiting_second, approved, rejected, superseded, expired, withdrawn or rolled_back.",
            True,
        ),
        ("created_at", "TIMESTAMP", "When it was put before people.", True),
        ("expires_at", "TIMESTAMP", "Until when it may be decided on.", True),
        ("proposed_by", "STRING", "aelp, or the person whose number stands in its place.", True),
    ),
    grain=("proposal_id",),
)
APPROVALS = Table(
    name=TableName("ops", "approvals"),
    description="Signed decisions of people on proposals, rejections too.",
    columns=_columns(
        ("approval_id", "STRING", "Names the decision.", True),
        ("proposal_id", "STRING", "Proposal.", True),
        ("payload_hash", "STRING", "The change that was signed.", True),
        ("verdict", "STRING", "approve or reject.", True),
        ("approver", "STRING", "Who.", True),
        ("amount", "NUMERIC", "Dollars of daily budget it adds.", True),
        ("reason", "STRING", "Why.", True),
        ("decided_at", "TIMESTAMP", "When.", True),
        ("expires_at", "TIMESTAMP", "Until when it may be used.", True),
    ),
    grain=("approval_id",),
)
CANARY_CHANGES = Table(
    name=TableName("ops", "canary_changes"),
    description="The change feed: every approved change and every rollback, in the order they were made.",
    columns=_columns(
        ("sequence", "INT64", "Order of the changes.", True),
        ("change_id", "STRING", "Names the change.", True),
        ("proposal_id", "STRING", "Proposal it comes from.", True),
        ("kind", "STRING", "apply or rollback.", True),
        ("undoes", "STRING", "The change a rollback undoes."),
        ("person", "STRING", "Who made it.", True),
        ("reason", "STRING", "Why.", True),
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("lever_id", "STRING", "Lever in budget_levers.", True),
        ("mode", "STRING", "shadow, sandbox or live.", True),
        (
            "status",
            "STRING",
            "shadow: never sent; prepared, sending, applied; never took place: conflict, refused (by the "
            "platform), blocked (by a rule), withdrawn, held (for measurement).",
            True,
        ),
        ("message", "STRING", "What went wrong, or what it waits for."),
        ("created_at", "TIMESTAMP", "When it was made.", True),
        ("finished_at", "TIMESTAMP", "When it was done."),
    ),
    grain=("change_id",),
)
CANARY_BUDGETS_SNAPSHOT = Table(
    name=TableName("ops", "canary_budgets_snapshot"),
    description="What each changed lever or arm said before the change and what it says after.",
    columns=_columns(
        ("change_id", "STRING", "Change.", True),
        ("proposal_id", "STRING", "Proposal it comes from.", True),
        ("moment", "STRING", "before or after.", True),
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("lever_id", "STRING", "Lever in budget_levers.", True),
        ("budget", "NUMERIC", "Daily budget, account currency; 0 for an arm, which has none.", True),
        ("status", "STRING", "active or paused.", True),
    ),
    grain=("change_id", "moment"),
)
OUTBOX = Table(
    name=TableName("ops", "outbox"),
    description="The exact call or calls of every change, as its platform takes them; in shadow never sent.",
    columns=_columns(
        ("change_id", "STRING", "Change.", True),
        ("proposal_id", "STRING", "Proposal it comes from.", True),
        ("mode", "STRING", "shadow, sandbox or live.", True),
        ("request", "STRING", "The call as JSON text.", True),
        ("request_hash", "STRING", "sha256 of the call.", True),
        ("status", "STRING", "shadow, queued, sending, sent or dropped.", True),
        ("created_at", "TIMESTAMP", "When it was put there.", True),
        ("sent_at", "TIMESTAMP", "When it was sent; NULL where it never was."),
        ("made", "STRING", "What a launch made, by kind with its id, as JSON; NULL for other changes."),
    ),
    grain=("change_id",),
)
APPLY_HOLD_ASSIGNMENTS = Table(
    name=TableName("ops", "apply_hold_assignments"),
    description="Approved raises, each drawn once to be applied or held: what off-policy evaluation judges.",
    columns=_columns(
        ("assignment_id", "STRING", "Names lever and morning.", True),
        ("proposal_id", "STRING", "Proposal.", True),
        ("change_id", "STRING", "Its change; a held one is never sent.", True),
        _AS_OF,
        ("track", "STRING", "Track.", True),
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("lever_id", "STRING", "Lever in budget_levers.", True),
        ("mode", "STRING", "shadow (neither arm is sent), sandbox or live.", True),
        ("arm", "STRING", "apply or hold.", True),
        ("hold_probability", "FLOAT64", "Of being held, as drawn with.", True),
        ("draw", "FLOAT64", "In [0, 1): held where it is below that probability.", True),
        ("window_days", "INT64", "How long the window is.", True),
        ("current_budget", "NUMERIC", "In force; a held lever keeps it.", True),
        ("proposed_budget", "NUMERIC", "What was approved.", True),
        ("assigned_at", "TIMESTAMP", "When it was drawn, with the last signature.", True),
        ("window_ends_at", "TIMESTAMP", "Until when it is held, or not drawn again.", True),
    ),
    grain=("assignment_id",),
)
GOVERNANCE_TABLES = (
    PROPOSALS,
    APPROVALS,
    CANARY_CHANGES,
    CANARY_BUDGETS_SNAPSHOT,
    OUTBOX,
    APPLY_HOLD_ASSIGNMENTS,
)

NOTIFICATIONS = Table(
    name=TableName("ops", "notifications"),
    description="Who was told of which event, through which channel, as the control store has it.",
    columns=_columns(
        ("event_id", "STRING", "Event in safety_events.", True),
        ("channel", "STRING", "log, webhook or email.", True),
        ("severity", "STRING", "Of the event.", True),
        ("sentence", "STRING", "What was told.", True),
        ("status", "STRING", "waiting, sending or sent.", True),
        ("attempts", "INT64", "Tries so far.", True),
        ("message", "STRING", "Why the last try failed; NULL where none did."),
        ("created_at", "TIMESTAMP", "When it was first to be told.", True),
        ("sent_at", "TIMESTAMP", "When the channel took it; NULL until then."),
    ),
    grain=("event_id", "channel"),
)

PACING = Table(
    name=TableName("ops", "pacing"),
    description="Each lever's day hour by hour: what is expected, what was spent, where the day will end.",
    columns=_columns(
        _AS_OF,
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("track", "STRING", "Track.", True),
        ("lever_id", "STRING", "Lever in budget_levers.", True),
        ("date", "DATE", "The account's own day.", True),
        ("hour", "INT64", "Account-local hour, 0 to 23.", True),
        ("budget", "NUMERIC", "Daily budget in force, account currency.", True),
        ("worst_case", "FLOAT64", "What the platform may spend on one day by its own rules.", True),
        ("expected_share", "FLOAT64", "Share of the day's spend by the hour's end.", True),
        ("expected_spend", "FLOAT64", "By the hour's end.", True),
        ("spend", "FLOAT64", "By the hour's end; NULL: not settled at the reading, or not read."),
        ("spend_reported", "FLOAT64", "What was told of it, hours not settled yet too: at least so much."),
        ("day_end_p10", "FLOAT64", "The day's spend as that hour foretold it; P(value <= this) = 10 %."),
        ("day_end_p50", "FLOAT64", "P(value <= this) = 50 %."),
        ("day_end_p90", "FLOAT64", "P(value <= this) = 90 %."),
        ("p_above_worst_case", "FLOAT64", "P(the day ends above worst_case)."),
        ("reading", "STRING", "Of the account's day: read, late, too_early or not_readable.", True),
        ("reading_reason", "STRING", "Why it is not simply read, and what to do; NULL where it is."),
        ("read_at", "TIMESTAMP", "When the day's spend was read last; NULL: never."),
        ("reporting_delay_hours", "FLOAT64", "How late its platform may report what is spent.", True),
    ),
    grain=("as_of_date", "platform", "account_id", "lever_id", "hour"),
    partition="as_of_date",
)
SPEND_ALARMS = Table(
    name=TableName("ops", "spend_alarms"),
    description="Levers that passed today, or will pass, what their platform may spend at worst.",
    columns=_columns(
        _AS_OF,
        ("alarm_id", "STRING", "Names day, lever and kind.", True),
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("track", "STRING", "Track.", True),
        ("lever_id", "STRING", "Lever in budget_levers.", True),
        ("kind", "STRING", "spend_above_worst_case or day_end_above_worst_case.", True),
        ("date", "DATE", "The account's own day.", True),
        ("hour", "INT64", "First account-local hour at whose end it was so.", True),
        ("budget", "NUMERIC", "Daily budget in force.", True),
        ("worst_case", "FLOAT64", "What the platform may spend on one day.", True),
        ("spend", "FLOAT64", "By the end of that hour, as far as it was told.", True),
        ("day_end_p50", "FLOAT64", "Where the day would end; NULL: the hour was not settled yet."),
        ("p_above_worst_case", "FLOAT64", "P(the day ends above worst_case).", True),
        ("read_at", "TIMESTAMP", "When that was read.", True),
        ("reporting_delay_hours", "FLOAT64", "How late the platform may report what is spent.", True),
        ("reason", "STRING", "One sentence for a person.", True),
    ),
    grain=("as_of_date", "platform", "account_id", "lever_id", "kind"),
    partition="as_of_date",
)
PACING_TABLES = (PACING, SPEND_ALARMS)
EXTERNAL_EDITS = Table(
    name=TableName("ops", "external_edits"),
    description="Budget and status edits of levers that people made on the platforms themselves.",
    columns=_columns(
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("lever_id", "STRING", "Lever in budget_levers.", True),
        ("edited_at", "TIMESTAMP", "When.", True),
        ("field", "STRING", "budget or status.", True),
        ("value_before", "STRING", "A budget in account currency, or the platform's word; NULL: not told."),
        ("value_after", "STRING", "The same, after the edit."),
        ("person", "STRING", "Who, as the platform names them."),
    ),
    grain=("platform", "account_id", "lever_id", "edited_at", "field"),
)

OPS_TABLES = (
    INGEST_SLICES,
    QUARANTINE,
    ACCOUNTS,
    TRACK_RULES,
    REWARD_DEFINITIONS,
    CHANNEL_RULES,
    MEDIA_WEEKS,
    ACCOUNT_AUDITS,
    DECISION_ACCOUNTS,
    FILE_LANDINGS,
    SOURCE_PULLS,
    TRANSFORMED_DAYS,
    LEVER_STATES,
    *PACING_TABLES,
    EXTERNAL_EDITS,
    *GOVERNANCE_TABLES,
    NOTIFICATIONS,
)

# --- gaelp_training: model outputs ------------------------------------------------------------------


def _quantiles(metric: str, unit: str) -> tuple[tuple[str, ColumnType, str], ...]:
    return tuple(
        (f"{metric}_p{level}", "FLOAT64", f"{unit}; P(value <= this) = {level} %.") for level in (10, 50, 90)
    )


_LEVER: tuple[_Row, ...] = (
    ("platform", "STRING", "Source of the account.", True),
    ("account_id", "STRING", "Account.", True),
    ("track", "STRING", "Track.", True),
    ("lever_id", "STRING", "Lever in budget_levers.", True),
)

PLACEMENT_BASELINES = Table(
    name=TableName("gaelp_training", "placement_baselines"),
    description="p10/p50/p90 of CPM, CTR and CVR by track and placement over the window before as_of_date.",
    columns=_columns(
        _AS_OF,
        ("track", "STRING", "Track.", True),
        ("placement", "STRING", "Placement; `all` is the track over all placements.", True),
        ("window_days", "INT64", "Days before as_of_date.", True),
        ("weighting", "STRING", "equal (each day counts once) or spend (by dollars).", True),
        ("days", "INT64", "Days with delivery.", True),
        ("outlier_days", "INT64", "Days set aside by the outlier rule.", True),
        ("impressions", "INT64", "Sum over the window.", True),
        ("clicks", "INT64", "Sum over the window.", True),
        ("conversions", "FLOAT64", "Reward-weighted conversions, sum over matured days.", True),
        ("cost", "NUMERIC", "Sum over the window.", True),
        ("cpm", "FLOAT64", "Ratio of sums, dollars per 1,000 impressions."),
        ("ctr", "FLOAT64", "Ratio of sums, clicks per impression."),
        ("cvr", "FLOAT64", "Ratio of sums over matured days, conversions per click."),
        *_quantiles("cpm", "Dollars per 1,000 impressions"),
        *_quantiles("ctr", "Clicks per impression"),
        *_quantiles("cvr", "Conversions per click"),
        ("parent_weight", "FLOAT64", "Share of the estimate taken from the track as a whole.", True),
    ),
    grain=("as_of_date", "track", "placement", "weighting"),
    partition="as_of_date",
)
CREATIVE_RATES = Table(
    name=TableName("gaelp_training", "creative_rates"),
    description="CPM, CTR and CVR to expect of each creative on each placement of its platform, pooled to "
    "the placement; where it has not run they are the placement's, for no score moves them yet.",
    columns=_columns(
        _AS_OF,
        ("track", "STRING", "Track.", True),
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("creative_id", "STRING", "Creative, or the ad where no creative is known.", True),
        ("placement", "STRING", "Placement on which the creative's platform delivered in the window.", True),
        ("impressions", "INT64", "Of the creative on the placement, over the window.", True),
        ("clicks", "INT64", "Of the creative on the placement, over the window.", True),
        ("conversions", "FLOAT64", "Reward-weighted conversions, matured days.", True),
        *_quantiles("cpm", "Dollars per 1,000 impressions"),
        *_quantiles("ctr", "Clicks per impression"),
        *_quantiles("cvr", "Conversions per click"),
        ("own_weight", "FLOAT64", "Mean share of the estimates that is the creative's own.", True),
    ),
    grain=("as_of_date", "track", "platform", "account_id", "creative_id", "placement"),
    partition="as_of_date",
)
CONTEXT_RATES = Table(
    name=TableName("gaelp_training", "context_rates"),
    description="What a dollar earned in each placement, segment and daypart of a lever, beside the lever as "
    "a whole, pooled to its account and track. Correlational: the platform chose who saw what.",
    columns=_columns(
        _AS_OF,
        *_LEVER,
        ("dimension", "STRING", "placement, segment or daypart.", True),
        ("breakdown", "STRING", "placement, device, age_gender, age, gender or hour.", True),
        ("value", "STRING", "Value of the breakdown; hours as four-hour dayparts such as 08-11.", True),
        ("cost", "NUMERIC", "Matured spend in the window, account currency.", True),
        ("impressions", "INT64", "Of the same days.", True),
        ("clicks", "INT64", "Link clicks of the same days.", True),
        ("signups", "FLOAT64", "Reward-weighted conversions; NULL where the platform tells none."),
        ("share", "FLOAT64", "Of the lever's spend in this breakdown.", True),
        (
            "basis",
            "STRING",
            "What p_worse and p_best judge per dollar: signups, or clicks where those are few.",
            True,
        ),
        *_quantiles("relative_signups_per_dollar", "1 is the lever's own; NULL where none are told"),
        *_quantiles("relative_clicks_per_dollar", "1 is the lever's own: what a click costs, turned round"),
        *_quantiles("relative_ctr", "1 is the lever's own"),
        ("p_worse", "FLOAT64", "P(below the lever by more than contexts.worse_by).", True),
        ("p_best", "FLOAT64", "P(best of the lever's values); sums to 1 over a breakdown.", True),
        *_quantiles("cac", "Account currency per signup; NULL when infinite or not told"),
        ("p_cac_above_cap", "FLOAT64", "P(CAC > cap); NULL where no signups are told."),
        ("own_weight", "FLOAT64", "Share of the estimate that is the value's own at this lever.", True),
        ("dispersion", "FLOAT64", "Variance of daily counts beside Poisson's, at least 1.", True),
    ),
    grain=("as_of_date", "platform", "account_id", "track", "lever_id", "dimension", "breakdown", "value"),
    partition="as_of_date",
)
LEVER_CLUSTERS = Table(
    name=TableName("gaelp_training", "lever_clusters"),
    description="The overlap cluster of each lever: who competes for the same people, and how that is known.",
    columns=_columns(
        _AS_OF,
        *_LEVER,
        ("cluster", "STRING", "Its cluster in response_curves.", True),
        ("is_brand_search", "BOOL", "Google search for the brand: it harvests demand.", True),
        ("basis", "STRING", "What the levers of the cluster share.", True),
        ("country", "STRING", "Countries targeted, joined by +; NULL where unknown."),
        ("audience", "STRING", "Custom audiences named, or open; NULL where unknown."),
        ("event", "STRING", "Event optimised for; NULL where unknown."),
        ("landing_page", "STRING", "Host and path all its ads lead to; NULL: several, or unknown."),
    ),
    grain=("as_of_date", "platform", "account_id", "lever_id"),
    partition="as_of_date",
)
RESPONSE_CURVES = Table(
    name=TableName("gaelp_training", "response_curves"),
    description="Elasticity of signups on spend by overlap cluster, learnt from the account's own history.",
    columns=_columns(
        _AS_OF,
        ("cluster", "STRING", "Overlap cluster in lever_clusters.", True),
        ("is_brand_search", "BOOL", "Brand search, learnt apart from all others.", True),
        ("may_rise", "BOOL", "False: more budget is not assumed to bring more, nothing is raised.", True),
        ("levers", "INT64", "Levers that share it.", True),
        ("usual_spend", "FLOAT64", "Dollars a day, mean of the last 28 days with evidence.", True),
        ("elasticity_mean", "FLOAT64", "Mean of the normal belief; draws are held in 0.05 to 0.95.", True),
        ("elasticity_sd", "FLOAT64", "Its standard deviation.", True),
        *_quantiles("elasticity", "Of the belief, held in 0.05 to 0.95"),
        ("estimate", "FLOAT64", "What the cluster's history alone says; NULL: nothing."),
        ("estimate_sd", "FLOAT64", "Its standard error."),
        ("prior_mean", "FLOAT64", "Believed before any evidence.", True),
        ("prior_sd", "FLOAT64", "Its standard deviation.", True),
        ("prior_share", "FLOAT64", "Variance left of the prior's: 1, nothing was learnt.", True),
        ("basis", "STRING", "budgets (changed ones), spend (no budget is known) or none.", True),
        ("evidence_days", "INT64", "Days compared with the day a week before.", True),
    ),
    grain=("as_of_date", "cluster"),
    partition="as_of_date",
)
FORECAST_RESULTS = Table(
    name=TableName("gaelp_training", "forecast_results"),
    description="What a lever's budget buys on a day: signups and CAC with their uncertainty.",
    columns=_columns(
        _AS_OF,
        ("target_date", "DATE", "Day forecast.", True),
        *_LEVER,
        ("budget", "NUMERIC", "Daily budget supposed, account currency.", True),
        ("is_current_budget", "BOOL", "Whether this is the budget in force.", True),
        *_quantiles("spend", "Account currency"),
        *_quantiles("impressions", "Impressions"),
        *_quantiles("clicks", "Clicks"),
        *_quantiles("signups", "Reward-weighted conversions once matured"),
        *_quantiles("cac", "Account currency per signup; NULL when infinite"),
        ("p_cac_within_cap", "FLOAT64", "P(CAC <= cap); a draw without signups counts as above.", True),
        *_quantiles("platform_cac", "Account currency per conversion platforms claim; NULL when infinite"),
        *_quantiles(
            "backend_cac",
            "Account currency per new-customer order of the store, the track's orders spread over its levers "
            "by claims; NULL when infinite or without orders",
        ),
        *_quantiles("incremental_cac", "Account currency per signup caused; NULL when infinite"),
        *_quantiles("contribution_margin", "Signups x contribution per signup - spend, account currency"),
        ("score_multiplier", "FLOAT64", "Creative score multiplier; 1 until scores exist.", True),
        ("draws", "INT64", "Joint draws behind the quantiles.", True),
    ),
    grain=("as_of_date", "target_date", "platform", "account_id", "lever_id", "budget"),
    partition="as_of_date",
)
FORECAST_OUTLOOK = Table(
    name=TableName("gaelp_training", "forecast_outlook"),
    description="The next 30 days by track and combined at the budgets in force, from joint draws.",
    columns=_columns(
        _AS_OF,
        ("track", "STRING", "Track, or `combined`.", True),
        ("horizon", "STRING", "day, or total over all days.", True),
        ("target_date", "DATE", "Day forecast; the last day for totals.", True),
        *_quantiles("spend", "Dollars"),
        *_quantiles("signups", "Reward-weighted conversions once matured"),
        *_quantiles("cac", "Dollars per signup; NULL when infinite"),
        ("spend_mean", "FLOAT64", "Mean over draws: means of parts add up exactly.", True),
        ("signups_mean", "FLOAT64", "Mean over draws: means of parts add up exactly.", True),
        ("p_cac_within_cap", "FLOAT64", "P(CAC <= cap); NULL for combined, which has no cap."),
        ("p_meets_minimum", "FLOAT64", "P(signups >= the track's minimum); NULL for combined."),
    ),
    grain=("as_of_date", "track", "horizon", "target_date"),
    partition="as_of_date",
)
FORECAST_ACCURACY = Table(
    name=TableName("gaelp_training", "forecast_accuracy"),
    description="Rolling-origin backtest: coverage, pinball loss, CRPS and width beside the classic "
    "triangular method, last week and the seasonal mean.",
    columns=_columns(
        _AS_OF,
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("metric", "STRING", "clicks, conversions or spend.", True),
        ("horizon_days", "INT64", "Days ahead, summed.", True),
        ("method", "STRING", "aelp, triangular, last_week or seasonal_mean.", True),
        ("origins", "INT64", "Forecast origins scored.", True),
        ("forecasts", "INT64", "Forecasts scored (origin x series).", True),
        ("coverage", "FLOAT64", "Share of actuals inside p10-p90."),
        ("coverage_low", "FLOAT64", "2.5 % of the block bootstrap."),
        ("coverage_high", "FLOAT64", "97.5 % of the block bootstrap."),
        ("pinball", "FLOAT64", "Mean pinball loss over p10, p50, p90, as a share of the mean actual."),
        ("pinball_difference", "FLOAT64", "This method minus aelp; positive: aelp is better."),
        ("pinball_difference_low", "FLOAT64", "2.5 % of the paired block bootstrap."),
        ("pinball_difference_high", "FLOAT64", "97.5 % of the paired block bootstrap."),
        ("crps", "FLOAT64", "Mean CRPS of all draws, as a share of the mean actual."),
        ("crps_difference", "FLOAT64", "This method minus aelp; positive: aelp is better."),
        ("crps_difference_low", "FLOAT64", "2.5 % of the paired block bootstrap."),
        ("crps_difference_high", "FLOAT64", "97.5 % of the paired block bootstrap."),
        ("width", "FLOAT64", "Mean p90 - p10 as a share of the mean actual."),
        ("width_difference", "FLOAT64", "This method minus aelp; positive: aelp's intervals are narrower."),
        ("width_difference_low", "FLOAT64", "2.5 % of the paired block bootstrap."),
        ("width_difference_high", "FLOAT64", "97.5 % of the paired block bootstrap."),
        *(
            (
                f"coverage_traffic_q{quartile}",
                "FLOAT64",
                "Coverage in this quartile of the forecasts by clicks of the 28 days before; 1 the fewest.",
            )
            for quartile in (1, 2, 3, 4)
        ),
    ),
    grain=("as_of_date", "platform", "account_id", "metric", "horizon_days", "method"),
    partition="as_of_date",
)
_OF_CHANNEL: tuple[_Row, ...] = (
    _AS_OF,
    ("track", "STRING", "Track.", True),
    ("channel", "STRING", "Channel of the media mix (`media_mix.channels` in the settings).", True),
    ("model", "STRING", "bayesian, or bootstrap where the weeks do not carry it.", True),
)
MMM_FIT_DIAGNOSTICS = Table(
    name=TableName("gaelp_training", "mmm_fit_diagnostics"),
    description="The media-mix model of each track: what was fitted, and whether it may be believed.",
    columns=_columns(
        _AS_OF,
        ("track", "STRING", "Track.", True),
        ("model", "STRING", "bayesian, bootstrap where the weeks do not carry it, or none.", True),
        ("outcome", "STRING", "new_customers of the stores, or conversions as platforms claim them.", True),
        ("weeks", "INT64", "Weeks fitted.", True),
        ("first_week", "DATE", "First day of the first of them."),
        ("last_week", "DATE", "First day of the last of them."),
        ("channels", "INT64", "Channels that spent.", True),
        ("parameters", "INT64", "Numbers the Bayesian model estimates.", True),
        ("lift_tests", "INT64", "Experiments that the fit counts as evidence.", True),
        ("max_rhat", "FLOAT64", "Worst rank-normalised split R-hat; at most 1.01 passes."),
        ("min_ess_bulk", "FLOAT64", "Fewest effective draws of anything sampled; 400 pass."),
        ("min_ess_tail", "FLOAT64", "The same in the tails."),
        ("divergences", "INT64", "Divergent transitions; none passes."),
        ("bfmi", "FLOAT64", "Lowest Bayesian fraction of missing information; 0.3 passes."),
        ("p_sd", "FLOAT64", "P(replicated weeks spread at least as the observed ones)."),
        ("p_autocorrelation", "FLOAT64", "P(residuals echo the week before at least as observed)."),
        ("p_max", "FLOAT64", "P(the largest replicated week is at least the observed one)."),
        ("weeks_in_interval", "FLOAT64", "Share of fitted weeks inside their central 80 %."),
        ("r_squared", "FLOAT64", "Median share of variance explained."),
        ("elpd", "FLOAT64", "Leave-one-out expected log density of the weeks."),
        ("worst_pareto_k", "FLOAT64", "Above 0.7 one week weighs too much."),
        ("passed", "BOOL", "Whether curves and allocations may come of it.", True),
        ("reasons", "STRING", "Why it may not, or why the Bayesian model was refused; NULL: nothing."),
        ("warnings", "STRING", "What a scientist should look at; NULL: nothing."),
        ("disagreeing", "STRING", "Channels whose return the independent estimate contradicts; NULL: none."),
        ("draws_hash", "STRING", "Artifact of weeks and draws; NULL where nothing was fitted."),
    ),
    grain=("as_of_date", "track"),
    partition="as_of_date",
)
MMM_CURVES = Table(
    name=TableName("gaelp_training", "mmm_curves"),
    description="What a constant weekly spend of a channel brings, and what its next dollar would.",
    columns=_columns(
        *_OF_CHANNEL,
        ("spend", "FLOAT64", "Dollars a week.", True),
        *_quantiles("conversions", "Incremental conversions a week"),
        ("revenue_p50", "FLOAT64", "Dollars of revenue they bring over the planning horizon."),
        *_quantiles("roas", "Revenue per dollar"),
        *_quantiles("marginal_roas", "Revenue of the next dollar"),
        *_quantiles("marginal_cac", "Dollars per further conversion, NULL where infinite"),
        ("extrapolated", "BOOL", "Beyond the largest spend ever seen.", True),
    ),
    grain=("as_of_date", "track", "channel", "spend"),
    partition="as_of_date",
)
MMM_CHANNELS = Table(
    name=TableName("gaelp_training", "mmm_channels"),
    description="Each channel over the fitted weeks: what it brought, how long it works, how sure that is.",
    columns=_columns(
        *_OF_CHANNEL,
        ("spend", "FLOAT64", "Dollars over the fitted weeks.", True),
        *_quantiles("contribution", "Conversions it brought over the fitted weeks"),
        ("contribution_share_p50", "FLOAT64", "Share of all conversions."),
        *_quantiles("roas", "Revenue per dollar"),
        *_quantiles("carry_over_weeks", "Weeks until half of a week's spend has worked"),
        ("saturation_spend_p50", "FLOAT64", "Dollars a week at 90 % of its largest response; NULL: beyond."),
        ("contraction", "FLOAT64", "1 - variance of its return / that of the prior; 0: the prior's answer."),
        ("other_roas_p50", "FLOAT64", "Revenue per dollar by the independent estimate; NULL: none."),
        ("disagrees", "BOOL", "Whether the two contradict each other."),
    ),
    grain=("as_of_date", "track", "channel"),
    partition="as_of_date",
)
MMM_ALLOCATIONS = Table(
    name=TableName("gaelp_training", "mmm_allocations"),
    description="Where the next dollars go by channel, under every rule; envelopes of the bandits' levers.",
    columns=_columns(
        *_OF_CHANNEL,
        ("current_spend", "FLOAT64", "Dollars a week, mean of the last four weeks.", True),
        (
            "proposed_spend",
            "FLOAT64",
            "Dollars a week; the current spend where no rule lets any other.",
            True,
        ),
        ("low", "FLOAT64", "Least it may be.", True),
        ("high", "FLOAT64", "Most it may be.", True),
        ("binding", "STRING", "The rule that holds it; NULL: none."),
        *_quantiles("conversions", "Incremental conversions a week at the proposed spend"),
        *_quantiles("conversions_change", "The same beside the current spend"),
        ("marginal_cac_p50", "FLOAT64", "Dollars per further conversion; NULL where infinite."),
        ("marginal_cac_p90", "FLOAT64", "The same at its bad end."),
        ("probability_within_cap", "FLOAT64", "P(marginal CAC is within the track's cap)."),
        ("p_better", "FLOAT64", "Share of draws in which the change pays; NULL: no change."),
        ("feasible", "BOOL", "Whether any spend keeps all rules.", True),
        ("gap", "FLOAT64", "Dollars a week another spend could gain at most; NULL: infeasible."),
        ("regret", "FLOAT64", "Dollars a week that staying put is expected to cost the track."),
        ("budget_in_force", "NUMERIC", "Dollars a day of its levers on as_of_date."),
        ("envelope", "NUMERIC", "Dollars a day they may rise to together; NULL: it has no lever."),
        ("reason", "STRING", "One sentence for a person.", True),
    ),
    grain=("as_of_date", "track", "channel"),
    partition="as_of_date",
)
MMM_TESTS = Table(
    name=TableName("gaelp_training", "mmm_tests"),
    description="Tests worth running: what each would tell, what it costs, the most regret removed first.",
    columns=_columns(
        *_OF_CHANNEL,
        ("rank", "INT64", "1: the most regret removed per dollar, within the track.", True),
        ("design", "STRING", "weeks (changed spend in turns) or regions.", True),
        ("change", "FLOAT64", "Of spend while the test runs; -1 is off.", True),
        ("weeks", "INT64", "Changed weeks.", True),
        ("duration_weeks", "INT64", "Weeks from its first to its last.", True),
        ("error", "FLOAT64", "Standard error of the lift it would read, conversions a week.", True),
        ("power", "FLOAT64", "P(its 90 % interval leaves out 0).", True),
        ("power_break_even", "FLOAT64", "P(it leaves out the lift at which the change just pays).", True),
        ("cost", "FLOAT64", "Dollars of contribution it is expected to lose.", True),
        ("expected_value", "FLOAT64", "Dollars of regret it is expected to remove over the horizon.", True),
        ("value_per_dollar", "FLOAT64", "Value by cost.", True),
        (
            "expected_shrinkage",
            "FLOAT64",
            "Of the standard deviation of the channel's marginal response.",
            True,
        ),
        ("worth_it", "BOOL", "Value above cost.", True),
        (
            "first_week",
            "INT64",
            "Weeks from now until it may start without a conflict; NULL: not in the calendar.",
        ),
    ),
    grain=("as_of_date", "track", "rank"),
    partition="as_of_date",
)
MEDIA_MIX_TABLES = (MMM_FIT_DIAGNOSTICS, MMM_CURVES, MMM_CHANNELS, MMM_ALLOCATIONS, MMM_TESTS)
BANDIT_POSTERIORS = Table(
    name=TableName("gaelp_training", "bandit_posteriors"),
    description="Belief about each lever's signups per dollar, from matured and delay-corrected cohorts.",
    columns=_columns(
        _AS_OF,
        *_LEVER,
        ("window_start", "DATE", "First matured cohort day.", True),
        ("window_end", "DATE", "Last matured cohort day.", True),
        ("spend", "NUMERIC", "Matured spend in the window.", True),
        ("click_conversions", "FLOAT64", "7-day-click conversions of that spend.", True),
        ("view_conversions", "FLOAT64", "1-day-view conversions of that spend.", True),
        ("reward_mean", "FLOAT64", "Expected incremental conversions of that spend.", True),
        ("reward_version", "STRING", "Reward definition.", True),
        ("half_life_days", "FLOAT64", "Age at which evidence counts half; NULL: nothing is forgotten."),
        ("exposure", "FLOAT64", "Spend the evidence answers to, weighted by age: matured and young.", True),
        ("young_exposure", "FLOAT64", "Of it from younger cohorts: spend times completion.", True),
        ("young_exposure_sd", "FLOAT64", "Standard deviation of young_exposure.", True),
        (
            "young_spend",
            "FLOAT64",
            "Their whole spend, weighted by age: the most young_exposure can be.",
            True,
        ),
        ("evidence_clicks", "FLOAT64", "Click conversions known, all cohorts, weighted by age.", True),
        ("evidence_views", "FLOAT64", "View conversions known, all cohorts, weighted by age.", True),
        ("evidence_reward", "FLOAT64", "Expected incremental conversions of the evidence.", True),
        ("posterior_shape", "FLOAT64", "Gamma shape: the prior's plus evidence_reward.", True),
        ("posterior_rate", "FLOAT64", "Gamma rate, dollars: the prior's plus exposure.", True),
        *_quantiles("cac", "Account currency per signup; NULL when infinite"),
        ("p_cac_above_cap", "FLOAT64", "Closed form, averaged over the incrementality quadrature.", True),
        ("p_best", "FLOAT64", "P(lowest CAC of the track); sums to 1 over a track.", True),
        ("p_meets_cap", "FLOAT64", "P(CAC <= cap).", True),
    ),
    grain=("as_of_date", "platform", "account_id", "lever_id"),
    partition="as_of_date",
)
BANDIT_DECISIONS = Table(
    name=TableName("gaelp_training", "bandit_decisions"),
    description="One decision per lever and day, after every guardrail, with what is needed to replay it.",
    columns=_columns(
        _AS_OF,
        ("decision_id", "STRING", "Hash of as_of_date, lever and inputs.", True),
        *_LEVER,
        ("lever_level", "STRING", "campaign, adset, adgroup or ad.", True),
        ("lever_source", "STRING", "platform, or declared by a mapping.", True),
        ("advisory", "BOOL", "True where no real lever exists: never to be written.", True),
        ("type", "STRING", "raise, cut, stop, hold or split_test.", True),
        ("current_budget", "NUMERIC", "Budget in force.", True),
        ("thompson_budget", "NUMERIC", "What the sampler asked for, before guardrails.", True),
        ("proposed_budget", "NUMERIC", "After guardrails, in whole increments.", True),
        ("change_fraction", "FLOAT64", "proposed / current - 1.", True),
        ("binding_rules", "STRING", "JSON list of the rules that changed the request, in order.", True),
        ("reason", "STRING", "One sentence for a person.", True),
        ("p_cac_above_cap", "FLOAT64", "Of the lever.", True),
        ("track_p_cac_above_cap", "FLOAT64", "Of its track.", True),
        ("expected_signups_change", "FLOAT64", "Per day, mean over draws.", True),
        ("cluster", "STRING", "Overlap cluster in lever_clusters; NULL: decided without curves."),
        ("elasticity", "FLOAT64", "Of signups on its budget, as decided by; NULL: the configured one."),
        (
            "expected_loss",
            "FLOAT64",
            "E[max(0, spend - cap * reward)] a week at the proposed budget.",
            True,
        ),
        (
            "learning_cost",
            "FLOAT64",
            "Dollars the edit loses while the platform learns; 0 without one.",
            True,
        ),
        ("p_raise", "FLOAT64", "Share of joint draws that would raise it, before guardrails.", True),
        ("p_cut", "FLOAT64", "Share that would cut it.", True),
        ("p_hold", "FLOAT64", "Share that would leave it: no change would repay its learning cost.", True),
        ("seed", "INT64", "Seed of the draws.", True),
        ("input_hash", "STRING", "sha256 of the stored input artifact.", True),
        ("settings_hash", "STRING", "sha256 of the settings, stored under it.", True),
        ("upstream_hash", "STRING", "sha256 of the list of batches whose raw rows fed it.", True),
        ("code_version", "STRING", "Version of models/.", True),
        ("run_id", "STRING", "Dagster run.", True),
    ),
    grain=("as_of_date", "platform", "account_id", "lever_id"),
    partition="as_of_date",
)
POLICY_RUNS = Table(
    name=TableName("gaelp_training", "policy_runs"),
    description="What chose the morning's edits, one row per track: draws, seed, half-life, inputs, belief.",
    columns=_columns(
        _AS_OF,
        ("track", "STRING", "Track.", True),
        ("policy", "STRING", "How edits are chosen.", True),
        ("reward_version", "STRING", "Reward definition.", True),
        ("levers", "INT64", "Levers decided on.", True),
        ("draws", "INT64", "Joint draws.", True),
        ("seed", "INT64", "Seed of the draws.", True),
        ("half_life_days", "FLOAT64", "Age at which evidence counts half; NULL: nothing is forgotten."),
        ("log_score_gain", "FLOAT64", "Nats by which it predicted better than forgetting least.", True),
        ("scored_lever_days", "INT64", "Lever-days that score rests on.", True),
        ("posterior_hash", "STRING", "sha256 of the track's rows of bandit_posteriors.", True),
        ("input_hash", "STRING", "sha256 of the stored input artifact.", True),
        ("settings_hash", "STRING", "sha256 of the settings.", True),
        ("code_version", "STRING", "Version of models/.", True),
        ("run_id", "STRING", "Dagster run.", True),
    ),
    grain=("as_of_date", "track"),
    partition="as_of_date",
)
SLATES = Table(
    name=TableName("gaelp_training", "slates"),
    description="The creatives each track should run next: exploit and explore, launched paused.",
    columns=_columns(
        _AS_OF,
        ("track", "STRING", "Track.", True),
        ("rank", "INT64", "1 is best.", True),
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("creative_id", "STRING", "Creative, or the ad where no creative is known.", True),
        ("role", "STRING", "exploit or explore.", True),
        ("status", "STRING", "Always paused at launch.", True),
        ("budget", "NUMERIC", "Daily budget; budgets of a slate add up to the cent.", True),
        ("p_best", "FLOAT64", "P(lowest CAC of the track's creatives).", True),
        ("p_meets_cap", "FLOAT64", "P(CAC <= cap).", True),
        ("p_one_click", "FLOAT64", "P(at least one click in the screening impressions).", True),
        *_quantiles("signups", "Per day at this budget, shrunk for selection"),
        *_quantiles("cac", "Account currency per signup; NULL when infinite"),
        ("signups_per_click_conversion", "FLOAT64", "Mean incrementality these numbers count with."),
        ("signups_per_view_conversion", "FLOAT64", "Mean incrementality these numbers count with."),
    ),
    grain=("as_of_date", "track", "rank"),
    partition="as_of_date",
)

# What the morning review writes (`models.monitoring`).
PERFORMANCE_CHANGES = Table(
    name=TableName("gaelp_training", "performance_changes"),
    description="Why signups and CAC moved against the day before and a week before: parts that add up.",
    columns=_columns(
        _AS_OF,
        ("comparison", "STRING", "day_before or week_before.", True),
        ("day", "DATE", "The day explained: the last one before as_of_date.", True),
        ("base_day", "DATE", "The day it is compared with.", True),
        ("track", "STRING", "Track.", True),
        ("platform", "STRING", "Source of the accounts; all: the whole track.", True),
        ("metric", "STRING", "signups (reward-weighted, as known now) or cac.", True),
        ("before", "NUMERIC", "On base_day, to the cent; NULL: a day without signups has no CAC."),
        ("after", "NUMERIC", "On day."),
        ("change", "NUMERIC", "after - before: the sum of the eight parts."),
        ("spend", "NUMERIC", "Part of the spend of the whole group."),
        ("mix", "NUMERIC", "Part of how spend is shared between levers."),
        ("cpm", "NUMERIC", "Part of impressions per dollar."),
        ("ctr", "NUMERIC", "Part of clicks per impression."),
        ("cvr", "NUMERIC", "Part of conversions per click, once all have arrived."),
        ("delay", "NUMERIC", "Part of what has arrived of each day so far."),
        ("restatement", "NUMERIC", "Part of what the platform told anew beyond late arrivals."),
        ("without_clicks", "NUMERIC", "Signups no paid click reached: of views, or of free clicks."),
        ("sentence", "STRING", "The same in words, largest part first.", True),
    ),
    grain=("as_of_date", "comparison", "track", "platform", "metric"),
    partition="as_of_date",
)
FORECAST_REVIEWS = Table(
    name=TableName("gaelp_training", "forecast_reviews"),
    description="Days judged this morning beside their forecasts: yesterday's clicks and spend, matured CAC.",
    columns=_columns(
        _AS_OF,
        ("made_on", "DATE", "Morning of the forecast.", True),
        ("target_date", "DATE", "Day forecast.", True),
        ("basis", "STRING", "live, or hindcast: made today as of made_on, where none was made then.", True),
        *_LEVER,
        ("metric", "STRING", "spend, clicks, signups or cac.", True),
        *(
            (f"p{level}", "FLOAT64", f"P(value <= this) = {level} %; NULL: infinite CAC, or unknown.")
            for level in (10, 50, 90)
        ),
        ("actual", "FLOAT64", "As known this morning; NULL: CAC of a day without signups."),
        ("inside", "BOOL", "Whether p10 <= actual <= p90; NULL where nothing was forecast."),
    ),
    grain=("as_of_date", "made_on", "target_date", "platform", "account_id", "lever_id", "metric"),
    partition="as_of_date",
)
FORECAST_DRIFT = Table(
    name=TableName("gaelp_training", "forecast_drift"),
    description="Running coverage of same-day click forecasts, with the evidence that it is too low.",
    columns=_columns(
        _AS_OF,
        ("track", "STRING", "Track.", True),
        ("basis", "STRING", "live or hindcast.", True),
        ("days", "INT64", "Days judged.", True),
        ("coverage", "FLOAT64", "Mean share of levers inside p10-p90.", True),
        ("e_value", "FLOAT64", "Of the e-process against 80 %; 20 is the alarm.", True),
    ),
    grain=("as_of_date", "track", "basis"),
    partition="as_of_date",
)
FIDELITY_EVALUATIONS = Table(
    name=TableName("gaelp_training", "fidelity_evaluations"),
    description="How far the outlook of each track was from matured days, by horizon.",
    columns=_columns(
        _AS_OF,
        ("track", "STRING", "Track.", True),
        ("horizon_days", "INT64", "Days ahead at most, above the next shorter horizon; 1: that day.", True),
        ("basis", "STRING", "live or hindcast.", True),
        ("first_target_date", "DATE", "Window: first day judged.", True),
        ("last_target_date", "DATE", "Window: last day judged.", True),
        ("mornings", "INT64", "Mornings whose forecasts were judged; their days are not independent.", True),
        ("forecasts", "INT64", "Days judged.", True),
        ("mape_cac", "FLOAT64", "Mean |p50 - actual| / actual of CAC; NULL where no day had a signup."),
        ("mape_roas", "FLOAT64", "The same of signups x value / spend."),
        ("ks_distance", "FLOAT64", "Largest |share of actual signups <= quantile - its level| over p10-p90."),
        ("coverage", "FLOAT64", "Share of actual signups inside p10-p90."),
    ),
    grain=("as_of_date", "track", "horizon_days", "basis"),
    partition="as_of_date",
)
RECONCILIATIONS = Table(
    name=TableName("gaelp_training", "reconciliations"),
    description="Signups the platforms claim beside orders of new customers, over matured days.",
    columns=_columns(
        _AS_OF,
        ("track", "STRING", "Track.", True),
        ("first_date", "DATE", "Window: first day.", True),
        ("last_date", "DATE", "Window: last day.", True),
        ("platform_signups", "FLOAT64", "Reward-weighted conversions claimed.", True),
        ("backend_orders", "INT64", "Orders of new customers.", True),
        ("claimed_per_order", "FLOAT64", "platform_signups / backend_orders; NULL without orders."),
        ("claimed_per_order_before", "FLOAT64", "The same over the window before."),
        ("status", "STRING", "in_range, out_of_range, changed or no_orders.", True),
        ("detail", "STRING", "In words.", True),
    ),
    grain=("as_of_date", "track"),
    partition="as_of_date",
)
READINESS = Table(
    name=TableName("gaelp_training", "readiness"),
    description="Whether a track's automation may be trusted this morning, criterion by criterion.",
    columns=_columns(
        _AS_OF,
        ("track", "STRING", "Track.", True),
        ("criterion", "STRING", "What is asked; all_criteria: every other one.", True),
        ("value", "FLOAT64", "What was measured; NULL: no evidence yet."),
        ("requirement", "STRING", "at least, at most, includes or in range.", True),
        ("threshold", "FLOAT64", "What it is held against; NULL where detail says it."),
        ("passed", "BOOL", "Never true without evidence.", True),
        ("detail", "STRING", "In words.", True),
    ),
    grain=("as_of_date", "track", "criterion"),
    partition="as_of_date",
)
SAFETY_EVENTS = Table(
    name=TableName("gaelp_training", "safety_events"),
    description="What a person must hear of, seen this morning: what happened, and what to do.",
    columns=_columns(
        _AS_OF,
        ("event_id", "STRING", "The same for the same event on every morning that sees it.", True),
        ("happened_on", "DATE", "Day of the event; of what lasts, the Monday of its week.", True),
        (
            "kind",
            "STRING",
            "stop_proposed, kill_switch_on, guardrail_refused, change_failed, drift_alarm, "
            "reconciliation_broken, coverage_broken, spend_over_worst_case, spend_alarm, spend_unread, "
            "change_rolled_back or proposal_overtaken.",
            True,
        ),
        ("severity", "STRING", "critical or warning.", True),
        ("track", "STRING", "Track; NULL where it concerns all."),
        ("subject", "STRING", "What it is about.", True),
        ("sentence", "STRING", "What happened.", True),
        ("remedy", "STRING", "What a person can do.", True),
    ),
    grain=("as_of_date", "event_id"),
    partition="as_of_date",
)
OVERRIDE_OUTCOMES = Table(
    name=TableName("gaelp_training", "override_outcomes"),
    description="What people chose in the place of a proposal, judged once matured: both forecasts, what "
    "came, and what the choice was worth beside the proposal. No person is named.",
    columns=_columns(
        _AS_OF,
        ("proposal_id", "STRING", "The proposal that was decided otherwise, or the one by hand.", True),
        ("kind", "STRING", "rejected, another_number, rolled_back or edited_outside.", True),
        ("made_on", "DATE", "Morning of the proposal.", True),
        ("chosen_on", "DATE", "Day of the choice.", True),
        *_LEVER,
        ("current_budget", "NUMERIC", "In force that morning, dollars a day.", True),
        ("proposed_budget", "NUMERIC", "What AELP had proposed; a stop proposes 0.", True),
        ("chosen_budget", "NUMERIC", "What was in force instead; paused: 0.", True),
        ("reason", "STRING", "As it was given, without names; NULL: an edit on the platform gives none."),
        ("first_day", "DATE", "First whole day judged.", True),
        ("last_day", "DATE", "Last one: the choice stood, and all are matured.", True),
        ("days", "INT64", "Days judged, seven at most.", True),
        *(
            column
            for path, words in (("chosen", "the chosen budget"), ("proposed", "the proposed budget"))
            for column in (
                *_quantiles(f"{path}_signups", f"Reward-weighted conversions forecast at {words}"),
                *_quantiles(f"{path}_spend", f"Account currency forecast at {words}"),
                *_quantiles(f"{path}_contribution", f"Contribution less spend forecast at {words}"),
            )
        ),
        ("realised_signups", "FLOAT64", "Matured reward of the days.", True),
        ("realised_spend", "FLOAT64", "Account currency.", True),
        ("realised_contribution", "FLOAT64", "Contribution less spend.", True),
        *_quantiles(
            "difference",
            "Contribution less spend, chosen less proposed, both at the rate believed given what came",
        ),
        ("p_ahead", "FLOAT64", "P(difference > 0); the path not taken stays a forecast.", True),
    ),
    grain=("as_of_date", "proposal_id"),
    partition="as_of_date",
)
OVERRIDE_LEARNINGS = Table(
    name=TableName("gaelp_training", "override_learnings"),
    description="What overrides of each kind come to on average, once there are enough to say.",
    columns=_columns(
        _AS_OF,
        ("kind", "STRING", "rejected, another_number, rolled_back, edited_outside, or all.", True),
        ("overrides", "INT64", "Matured overrides of the last half year.", True),
        ("mornings", "INT64", "Mornings they answered.", True),
        ("is_enough", "BOOL", "Whether they are enough to say anything.", True),
        ("difference", "FLOAT64", "Account currency a day an override, chosen less proposed; NULL: too few."),
        ("difference_low", "FLOAT64", "2.5 % of posterior draws over reweighted mornings."),
        ("difference_high", "FLOAT64", "97.5 % of posterior draws over reweighted mornings."),
        ("sentence", "STRING", "In words.", True),
    ),
    grain=("as_of_date", "kind"),
    partition="as_of_date",
)
MONITORING_TABLES = (
    PERFORMANCE_CHANGES,
    FORECAST_REVIEWS,
    FORECAST_DRIFT,
    FIDELITY_EVALUATIONS,
    RECONCILIATIONS,
    READINESS,
    SAFETY_EVENTS,
    OVERRIDE_OUTCOMES,
    OVERRIDE_LEARNINGS,
)
APPLY_HOLD_LIFT = Table(
    name=TableName("gaelp_training", "apply_hold_lift"),
    description="What applied raises did that held ones did not, with an interval that holds at every look.",
    columns=_columns(
        _AS_OF,
        (
            "comparison",
            "STRING",
            "live, sandbox or shadow, as the raises were drawn for; past: windows nothing was drawn for, by "
            "a coin. In shadow and past nothing is sent: their lift must be nil (A/A).",
            True,
        ),
        ("metric", "STRING", "net (contribution less spend) or signups (times the CAC cap).", True),
        ("windows_applied", "INT64", "Matured windows of levers whose raise was applied.", True),
        ("windows_held", "INT64", "Of levers whose raise was held.", True),
        ("first_window", "DATE", "Morning the first of them was decided."),
        ("last_window", "DATE", "Morning the last of them was decided."),
        ("lift", "FLOAT64", "Dollars gained per dollar spent before; NULL without a window."),
        ("lift_low", "FLOAT64", "Lower end of the confidence sequence; NULL: no end."),
        ("lift_high", "FLOAT64", "Upper end; NULL: no end."),
        ("confidence", "FLOAT64", "Probability that the sequence never leaves the lift out.", True),
        ("verdict", "STRING", "gain, loss, open (zero lies inside) or no window yet.", True),
    ),
    grain=("as_of_date", "comparison", "metric"),
    partition="as_of_date",
)

# What a slate becomes, and what has no budget of its own.
POLICY_REVIEWS = Table(
    name=TableName("gaelp_training", "policy_reviews"),
    description="The policy pre-flight of each creative of a slate: what it says and where it would lead.",
    columns=_columns(
        _AS_OF,
        ("track", "STRING", "Track.", True),
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("creative_id", "STRING", "Creative.", True),
        ("policy_profile", "STRING", "standard or health.", True),
        ("passed", "BOOL", "Whether it may be launched: nothing blocks it.", True),
        ("blocking_flags", "INT64", "Flags that block it.", True),
        ("flags", "STRING", "JSON list: rule, severity (blocks, warns), the words, the remedy.", True),
        ("link", "STRING", "Landing page as it would be launched; NULL where unknown."),
    ),
    grain=("as_of_date", "track", "platform", "account_id", "creative_id"),
    partition="as_of_date",
)
LAUNCH_PLANS = Table(
    name=TableName("gaelp_training", "launch_plans"),
    description="What a slate becomes on its platforms: one paused lever per creative that passed.",
    columns=_columns(
        _AS_OF,
        ("launch_id", "STRING", "Names the launch and its new lever.", True),
        ("track", "STRING", "Track.", True),
        ("rank", "INT64", "Rank in the slate.", True),
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("creative_id", "STRING", "Creative.", True),
        ("creative_name", "STRING", "Name people gave it."),
        ("theme", "STRING", "Theme people gave it."),
        ("role", "STRING", "exploit or explore.", True),
        ("lane", "STRING", "main, or test: screened on its click rate alone.", True),
        ("lane_reason", "STRING", "Why that lane.", True),
        ("status", "STRING", "Always paused at launch.", True),
        ("lever_level", "STRING", "Level of the new lever: adset, adgroup or campaign.", True),
        ("parent_campaign_id", "STRING", "Campaign the new lever goes into; NULL: a new one."),
        ("entity_name", "STRING", "Name of the new lever.", True),
        ("currency", "STRING", "Account currency."),
        ("advisory", "BOOL", "True where the account has no real levers: never to be written.", True),
        ("daily_budget", "NUMERIC", "Daily budget, account currency.", True),
        ("daily_budget_cents", "INT64", "The same in cents.", True),
        ("minimum_budget", "NUMERIC", "The platform's smallest daily budget; NULL where unknown."),
        ("frequency_cap", "INT64", "Impressions a person may see in frequency_days.", True),
        ("frequency_days", "INT64", "Days the frequency cap counts over.", True),
        ("placements", "STRING", "JSON list; empty: the platform decides.", True),
        ("link", "STRING", "Landing page with its UTM parameters; NULL where unknown."),
        ("utm_source", "STRING", "UTM source.", True),
        ("utm_medium", "STRING", "UTM medium.", True),
        ("utm_campaign", "STRING", "UTM campaign: the parent's id.", True),
        ("utm_content", "STRING", "UTM content: the creative.", True),
        ("starts_at", "TIMESTAMP", "When it may start once a person has switched it on.", True),
        ("p_best", "FLOAT64", "P(lowest CAC of the track's creatives).", True),
        ("p_meets_cap", "FLOAT64", "P(CAC <= cap).", True),
        ("p_one_click", "FLOAT64", "P(at least one click in the screening impressions).", True),
    ),
    grain=("as_of_date", "launch_id"),
    partition="as_of_date",
)
ARM_DECISIONS = Table(
    name=TableName("gaelp_training", "arm_decisions"),
    description="Belief about each ad, ad group and keyword without a budget of its own: on, off or tested; "
    "and placements, segments and dayparts that lose money, for a person to look at.",
    columns=_columns(
        _AS_OF,
        ("track", "STRING", "Track.", True),
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("lever_id", "STRING", "Lever whose budget the arm draws on.", True),
        ("arm_kind", "STRING", "ad, adgroup, keyword, placement, segment or daypart.", True),
        (
            "arm_id",
            "STRING",
            "Arm; a keyword as ad group~criterion, a context as lever~breakdown~value.",
            True,
        ),
        ("arm_name", "STRING", "Name, as last seen."),
        ("status", "STRING", "active or paused by its own switch; NULL where unknown."),
        ("advisory", "BOOL", "True where no real lever exists: never to be written.", True),
        (
            "type",
            "STRING",
            "enable, pause, split_test or hold; of contexts exclude_placement or adjust_bid, which are "
            "advice. Never a budget.",
            True,
        ),
        ("reason", "STRING", "One sentence for a person.", True),
        ("design", "STRING", "JSON of a split test: arms, metric, days, budget_share, power; else NULL."),
        ("spend", "NUMERIC", "Matured spend in the window.", True),
        ("clicks", "INT64", "Link clicks of the same days.", True),
        ("impressions", "INT64", "Impressions of the same days.", True),
        ("reward_mean", "FLOAT64", "Expected incremental conversions.", True),
        *_quantiles("cac", "Account currency per signup; NULL when infinite"),
        ("p_cac_above_cap", "FLOAT64", "Closed form; the prior is the lever's pooled rate.", True),
        (
            "p_best",
            "FLOAT64",
            "P(lowest CAC of the lever's arms of this kind); sums to 1 over them, of a context over its "
            "breakdown in context_rates.",
            True,
        ),
        ("p_ctr_below", "FLOAT64", "P(unique link CTR < the fast-fail line) of a test-lane ad; else NULL."),
    ),
    grain=("as_of_date", "platform", "account_id", "arm_kind", "arm_id"),
    partition="as_of_date",
)

MODEL_TABLES = (
    PLACEMENT_BASELINES,
    CREATIVE_RATES,
    CONTEXT_RATES,
    LEVER_CLUSTERS,
    RESPONSE_CURVES,
    *MEDIA_MIX_TABLES,
    FORECAST_RESULTS,
    FORECAST_OUTLOOK,
    FORECAST_ACCURACY,
    BANDIT_POSTERIORS,
    BANDIT_DECISIONS,
    POLICY_RUNS,
    SLATES,
    *MONITORING_TABLES,
    APPLY_HOLD_LIFT,
    POLICY_REVIEWS,
    LAUNCH_PLANS,
    ARM_DECISIONS,
)

PYTHON_TABLES = {str(table.name): table for table in (*RAW_TABLES, *OPS_TABLES, *MODEL_TABLES)}
