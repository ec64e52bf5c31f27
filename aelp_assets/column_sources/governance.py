"""Sources of what people were asked, what they signed and what was then changed.

Here: the mirror of the control store, and edits made past it. Columns a decision gave pass through the store
unchanged: what is put before people, and what they sign, is the decision's own number.
"""

from aelp_assets.column_sources.notation import Maker, carried, computed, declared, made, rows_by

_DECISIONS = "gaelp_training.bandit_decisions"
_STATES = "ops.lever_states"
_LEVERS = "gaelp_training.budget_levers"
_LANDED_LEVERS = "staging.stg_levers__levers"
_PLANS = "gaelp_training.launch_plans"
_CREATIVES = "gaelp_training.creative_objects"
_ARMS = "gaelp_training.arm_decisions"
_ALL_ARMS = "intermediate.int_arms"
_ALARMS = "ops.spend_alarms"
_PROPOSALS = "ops.proposals"
_APPROVALS = "ops.approvals"
_CHANGES = "ops.canary_changes"

_LEVER = "platform account_id lever_id"
_STATE = (
    "track lever_level lever_source has_lever is_shared decision_eligible status learning_state budget_type "
    "currency current_budget midnight_budget budget_7_days_ago minimum_budget budget_increment "
    "last_edited_at thompson_budget matured_spend p_cac_above_cap track_p_cac_above_cap expected_loss_rate "
    "marginal_contribution track_contribution"
)
_ARM_KEY = "platform account_id arm_kind arm_id"
_ARM_EVIDENCE = (
    "lever_id status p_cac_above_cap p_best p_ctr_below spend clicks reward_mean cac_p10 cac_p50 cac_p90"
)
_TEXTS = "headline body call_to_action image_hash format"
PROPOSALS = declared(
    _PROPOSALS,
    computed("proposal_id payload_hash", {_DECISIONS: f"as_of_date {_LEVER} proposed_budget type"}),
    computed("proposal_id payload_hash", {_PLANS: "launch_id daily_budget link placements starts_at"}),
    computed("proposal_id payload_hash", {_CREATIVES: _TEXTS, _ARMS: f"as_of_date {_ARM_KEY} type design"}),
    computed("proposal_id payload_hash", {_LEVERS: "entity_id budget_id", _ALL_ARMS: "adgroup_id"}),
    computed("as_of_date", {_DECISIONS: "as_of_date", _PLANS: "as_of_date", _ARMS: "as_of_date"}),
    computed("decision_id", {_DECISIONS: "decision_id", _PLANS: "launch_id", _ALARMS: "alarm_id"}),
    computed("decision_id", {_ARMS: _ARM_KEY}),
    carried(_DECISIONS, f"{_LEVER} track type current_budget proposed_budget reason"),
    carried(_ARMS, "platform account_id track type reason"),
    carried(_PLANS, "platform account_id track entity_name currency"),
    computed("lever_id", {_ARMS: "arm_kind arm_id", _PLANS: "launch_id"}),
    computed("entity_name currency", {_LEVERS: "entity_name currency", _ARMS: "arm_name"}),
    computed("current_budget", {_LANDED_LEVERS: "budget", _LEVERS: "current_budget"}),
    computed("proposed_budget", {_PLANS: "daily_budget"}),
    computed("reason", {_PLANS: "lane_reason", _ALARMS: "reason hour kind", _LEVERS: "current_budget"}),
    computed("status", {_STATES: _STATE, _ARMS: _ARM_EVIDENCE}),
    made("payload_hash", Maker.CODE),
    made("status created_at expires_at proposed_by", Maker.CONTROL, Maker.PERSON),
    rows_by(
        {
            _DECISIONS: f"as_of_date {_LEVER} advisory type reason p_cac_above_cap track_p_cac_above_cap",
            _STATES: f"as_of_date {_LEVER}",
            _LEVERS: f"date {_LEVER} track lever_level lever_source status campaign_id budget_type",
            _LANDED_LEVERS: f"date {_LEVER} status _ingested_at",
            _PLANS: "platform account_id creative_id advisory lane lever_level parent_campaign_id track",
            _CREATIVES: "platform account_id creative_id",
            _ARMS: f"{_ARM_KEY} advisory",
            _ALL_ARMS: _ARM_KEY,
            _ALARMS: f"{_LEVER} track",
        }
    ),
)
APPROVALS = declared(
    _APPROVALS,
    carried(_PROPOSALS, "proposal_id payload_hash"),
    computed("approval_id", {_PROPOSALS: "proposal_id"}),
    computed("amount", {_PROPOSALS: "current_budget proposed_budget"}),
    computed("expires_at", {_PROPOSALS: "expires_at"}),
    made("approval_id verdict approver reason decided_at expires_at", Maker.PERSON),
)
CANARY_CHANGES = declared(
    _CHANGES,
    carried(_PROPOSALS, f"proposal_id {_LEVER}"),
    computed("change_id", {_PROPOSALS: "proposal_id payload_hash"}),
    computed("person reason", {_APPROVALS: "approver reason"}),
    computed("created_at", {_APPROVALS: "decided_at"}),
    computed("kind undoes status message finished_at", {_APPROVALS: "proposal_id verdict"}),
    made("sequence kind undoes mode status message finished_at", Maker.CONTROL),
    made("person reason created_at", Maker.PERSON),
    made("status message finished_at", Maker.PLATFORM),
)
CANARY_BUDGETS_SNAPSHOT = declared(
    "ops.canary_budgets_snapshot",
    carried(_CHANGES, f"change_id proposal_id {_LEVER}"),
    made("moment", Maker.CODE),
    computed("budget", {_PROPOSALS: "current_budget proposed_budget"}),
    computed("status", {_PROPOSALS: "type"}),
    made("budget status", Maker.PLATFORM),
    rows_by({_CHANGES: "kind undoes", _PROPOSALS: "proposal_id"}),
)
OUTBOX = declared(
    "ops.outbox",
    carried(_CHANGES, "change_id proposal_id mode created_at"),
    computed("request request_hash", {_PROPOSALS: f"{_LEVER} type proposed_budget payload_hash"}),
    computed("status sent_at", {_CHANGES: "status"}),
    made("request request_hash", Maker.CODE),
    made("status sent_at made", Maker.CONTROL, Maker.PLATFORM),
    rows_by({_PROPOSALS: "proposal_id"}),
)
APPLY_HOLD_ASSIGNMENTS = declared(
    "ops.apply_hold_assignments",
    carried(_PROPOSALS, f"proposal_id as_of_date track {_LEVER} current_budget proposed_budget"),
    carried(_CHANGES, "change_id mode"),
    computed("assignment_id draw arm", {_PROPOSALS: f"as_of_date {_LEVER}"}),
    made("draw arm", Maker.SEED),
    made("hold_probability window_days window_ends_at", Maker.SETTINGS),
    computed("assigned_at window_ends_at", {_APPROVALS: "decided_at"}),
    rows_by({_PROPOSALS: "type", _APPROVALS: "proposal_id verdict", _CHANGES: "proposal_id"}),
)
_META = "staging.stg_meta__activities"
_GOOGLE = "staging.stg_google_ads__changes"
_NAMED = "platform account_id"
EXTERNAL_EDITS = declared(
    "ops.external_edits",
    carried(_LANDED_LEVERS, _LEVER),
    computed("edited_at", {_META: "event_at", _GOOGLE: "changed_at"}),
    computed("field", {_META: "event_type", _GOOGLE: "new_budget new_status"}),
    computed("value_before", {_META: "extra_data", _GOOGLE: "old_budget old_status"}),
    computed("value_after", {_META: "extra_data", _GOOGLE: "new_budget new_status"}),
    computed("value_before value_after", {_LANDED_LEVERS: "currency"}),
    computed("person", {_META: "actor_name", _GOOGLE: "user_email"}),
    rows_by(
        {
            _META: f"{_NAMED} object_id activity_id",
            _GOOGLE: f"{_NAMED} change_id operation resource_name campaign_id",
            # Withdraws proposals that an edit overtook: what is in force is held against them.
            _LANDED_LEVERS: "date campaign_id entity_id budget_id budget status _ingested_at",
        }
    ),
)
