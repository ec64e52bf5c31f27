"""From rows of `mmm_input_weekly` to the weeks a model is fitted on.

Here: which weeks follow one another without a gap, which channels count, controls as deviations. Not here:
whether they can carry a model (`weeks.refusals`), the mart.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

import numpy as np
import polars as pl

from models.mmm.weeks import MediaWeeks

CONTROLS = ("trend", "event_share", "promotion_share")


def newest_weeks(
    rows: pl.DataFrame, before: date, most_weeks: int, harvests: Collection[str] = ()
) -> MediaWeeks | None:
    """The longest run of complete weeks that ends at the newest complete one; None where there is none.

    The outcome is the stores' new customers where they are known in every week, else conversions as the
    platforms claim them, in reward units. Channels that never spent, controls that never vary: left out.

    Args:
        rows: week, channel, spend (dollars), conversions, new_customers, trend, event_share, promotion_share,
            is_complete of one track, all channels in every week.
        before: weeks that reach this day are left out.
        most_weeks: of the window; a fixed length lets one compiled model serve every week.
        harvests: channels that meet demand others made.
    """
    whole = rows.filter("is_complete", pl.col("week") <= before - timedelta(days=7))
    weeks = _last_run(whole["week"].unique().sort().to_list())[-most_weeks:]
    if not weeks:
        return None
    inside = whole.filter(pl.col("week").is_in(weeks)).sort("week", "channel")
    spent = inside.group_by("channel").agg(pl.col("spend").cast(pl.Float64).sum()).filter(pl.col("spend") > 0)
    channels = tuple(spent["channel"].sort())
    spend = (
        inside.filter(pl.col("channel").is_in(channels))
        .pivot(on="channel", index="week", values="spend")
        .sort("week")
        .select(pl.col(channels).cast(pl.Float64))
    )
    by_week = inside.group_by("week", maintain_order=True).agg(
        pl.col("conversions").cast(pl.Float64).sum(),
        pl.col("new_customers", *CONTROLS).first().cast(pl.Float64),
    )
    known = by_week["new_customers"].null_count() == 0
    outcome = by_week["new_customers" if known else "conversions"]
    controls = {name: by_week[name].fill_null(0.0).to_numpy() for name in CONTROLS}
    varying = {name: values for name, values in controls.items() if values.std() > 0}
    return MediaWeeks(
        weeks[0],
        channels,
        spend.to_numpy(),
        outcome.fill_null(0.0).to_numpy(),
        np.column_stack([(values - values.mean()) / values.std() for values in varying.values()])
        if varying
        else np.zeros((len(weeks), 0)),
        tuple(varying),
        tuple(name for name in channels if name in harvests),
    )


def _last_run(weeks: list[date]) -> list[date]:
    """The end of a sorted list without a gap of more than a week."""
    start = len(weeks) - 1
    while start > 0 and weeks[start] - weeks[start - 1] == timedelta(weeks=1):
        start -= 1
    return weeks[max(start, 0) :]
