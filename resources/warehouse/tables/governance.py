"""What is put before people, what they sign, and what is then changed.

Here: proposals, approvals, changes, calls, draws of apply or hold, and edits made past all of them. Not
here: how a proposal came about (`decisions.py`), what became of it in money (`monitoring.py`).
"""

from __future__ import annotations

from resources.warehouse.schema import Table, TableName
from resources.warehouse.tables.columns import AS_OF, columns

PROPOSALS = Table(
    name=TableName("ops", "proposals"),
    description="Edits, launches and switches put before people, one per lever or arm and morning, with what "
    "became of them.",
    columns=columns(
        ("proposal_id", "STRING", "Names the lever, the morning and the exact change.", True),
        AS_OF,
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
    columns=columns(
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
    columns=columns(
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
    columns=columns(
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
    columns=columns(
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
    columns=columns(
        ("assignment_id", "STRING", "Names lever and morning.", True),
        ("proposal_id", "STRING", "Proposal.", True),
        ("change_id", "STRING", "Its change; a held one is never sent.", True),
        AS_OF,
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
EXTERNAL_EDITS = Table(
    name=TableName("ops", "external_edits"),
    description="Budget and status edits of levers that people made on the platforms themselves.",
    columns=columns(
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
