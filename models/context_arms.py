"""Placements, segments and dayparts that lose money, as advice for a person.

Here: which of them are put before people, as what, in whose words. Not here: the belief (`bandits.contexts`),
arms that have a switch (`arms`).

Advice, and never more: the platform chose who was shown what where, and a value may be dear because it was
given what sells nowhere else (Simpson's paradox). Leaving it out moves its money to other values at their
margin, not at their average; only an experiment would say what that brings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from models.arms import ARM_SCHEMA, ArmRules

# What a person can do on the platform. Meta adjusts no bids for these and schedules lifetime budgets alone;
# of Google's networks a campaign can leave out the partners' and the display network.
_EXCLUDE = {
    ("meta", "placement"): None,
    ("google_ads", "placement"): ("search partners", "google display network"),
}
_ADJUST = {("google_ads", breakdown) for breakdown in ("device", "age", "gender", "hour")}
_LARGEST_CUT = 0.9  # Google's bid adjustments end at -90 %; below that is leaving it out


def losing_contexts(
    rates: pl.DataFrame, caps: Mapping[str, float], rules: ArmRules, probability: float
) -> pl.DataFrame:
    """Values that P(CAC > cap) would stop were they arms, and that are worse than their own lever.

    A value as bad as its lever is left to the lever's stop; one judged by clicks is never advised on; nor is
    one that is all of its lever.

    Args:
        rates: of `context_rates`.
        caps: account currency per signup, by track.
        rules: the rules of arms.
        probability: that of `p_worse` above which a value counts as worse.

    Returns:
        `ARM_SCHEMA`, sorted as the rates are; the status is null (a context has no switch of its own), and
        `advisory` true: nothing here is ever sent.
    """
    found = rates.filter(
        pl.col("track").is_in(list(caps)),
        pl.col("basis") == "signups",
        pl.col("p_cac_above_cap") > rules.stop_probability,
        pl.col("p_worse") > probability,
        pl.col("share") < 1,
    )
    rows = []
    for row in found.iter_rows(named=True):
        cap, advice = float(caps[row["track"]]), _advice(row)
        if advice is not None and float(row["cost"]) >= rules.stop_spend_caps * cap:
            rows.append(_arm(row, advice, cap))
    return pl.DataFrame(rows, schema=ARM_SCHEMA)


def _advice(row: Mapping[str, Any]) -> str | None:
    context = row["platform"], row["breakdown"]
    if context in _EXCLUDE:
        values = _EXCLUDE[context]
        return "exclude_placement" if values is None or row["value"] in values else None
    return "adjust_bid" if context in _ADJUST else None


def _arm(row: Mapping[str, Any], advice: str, cap: float) -> dict[str, Any]:
    spent = float(row["cost"])
    relative = row["relative_signups_per_dollar_p50"]
    action = "a person may leave it out"
    if advice == "adjust_bid":
        cut = min(_LARGEST_CUT, 1 - relative)
        action = f"a bid adjustment of -{cut:.0%} would pay its worth (automated bidding may ignore it)"
    return {
        **{name: row.get(name) for name in ARM_SCHEMA},
        "arm_kind": row["dimension"],
        "arm_id": f"{row['lever_id']}~{row['breakdown']}~{row['value']}",
        "arm_name": f"{row['breakdown']} {row['value']}",
        "advisory": True,
        "type": advice,
        "reason": f"P(CAC > {cap:,.0f}) is {row['p_cac_above_cap']:.1%} after {spent:,.0f} of "
        f"matured spend, {spent / cap:.1f} caps, and a dollar earns {relative:.2f} of its lever's: {action}. "
        "What was delivered there, not what delivering there does: test before it is left out for good.",
        "spend": row["cost"],
        "reward_mean": row["signups"],
    }
