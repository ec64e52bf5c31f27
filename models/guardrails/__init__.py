"""What may be done with a budget: money invariants 2, 3, 5, 6 (`DECISIONS.md`) as rules in one fixed order.

Here: limits, lever states, the rules (`RULES`, highest first), the planner and an independent verifier.
Not here: what would be best (`models.bandits`), approval and writing.
"""

from models.guardrails.limits import ChannelEnvelope, FreezeWindow, GuardrailLimits, TrackLimits
from models.guardrails.planner import RULES, plan_decisions
from models.guardrails.states import STATE_SCHEMA
from models.guardrails.verify import Violation, verify_decisions

__all__ = [
    "RULES",
    "STATE_SCHEMA",
    "ChannelEnvelope",
    "FreezeWindow",
    "GuardrailLimits",
    "TrackLimits",
    "Violation",
    "plan_decisions",
    "verify_decisions",
]
