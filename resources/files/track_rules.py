"""Which campaign belongs to which track, as rows of `ops.track_rules`.

Here: settings and mappings made LIKE patterns. Not here: applying them (dbt's `int_campaign_tracks`).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from resources.files.mapping import Constant, Mapping
from resources.settings import TrackRule
from resources.warehouse.tables import TRACK_RULES


def like_pattern(glob: str) -> str:
    r"""A shell-style pattern as a lower-case LIKE pattern; `%`, `_` and `\` are escaped with `\`."""
    escaped = glob.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


def track_rule_rows(rules: Sequence[TrackRule], mappings: Sequence[Mapping]) -> pl.DataFrame:
    """Rows of `ops.track_rules`: the settings' rules first, then those of each mapping in order.

    A mapping may name a track the settings do not have; its campaigns are then shown under that track and
    take no part in decisions.
    """
    rows = [(rule.track, rule.source, rule.account, rule.campaign) for rule in rules]
    for mapping in mappings:
        source = mapping.source.constant if isinstance(mapping.source, Constant) else "*"
        rows += [(rule.track, source, rule.account, rule.campaign) for rule in mapping.track_rules]
    return pl.DataFrame(
        [
            (order, track, like_pattern(source), like_pattern(account), like_pattern(campaign))
            for order, (track, source, account, campaign) in enumerate(rows, start=1)
        ],
        schema=TRACK_RULES.polars_schema,
        orient="row",
    )
