"""Which columns each column of every Python table is computed from, declared beside the code.

Here: all declarations, and their shape in Dagster. dbt's own lineage is read from its SQL; a model in Python
has none to read, so it is said here, and a test runs a morning on nothing but what is declared.
"""

from __future__ import annotations

from aelp_assets.column_sources import (
    accounts,
    creatives,
    decisions,
    experiments,
    forecasts,
    governance,
    landing,
    launches,
    media_mix,
    monitoring,
    pacing,
    ranking,
)
from aelp_assets.column_sources.notation import ColumnSources, Maker, Place

__all__ = ["COLUMN_SOURCES", "MOMENTARY_COLUMNS", "ColumnSources", "Maker", "Place"]

_MODULES = (
    landing,
    accounts,
    forecasts,
    decisions,
    media_mix,
    experiments,
    creatives,
    ranking,
    launches,
    pacing,
    governance,
    monitoring,
)
COLUMN_SOURCES: dict[str, ColumnSources] = {
    one.table: one
    for module in _MODULES
    for one in (*getattr(module, "RAW", ()), *vars(module).values())
    if isinstance(one, ColumnSources)
}
# Columns that say who wrote a row and when: two runs that say the same differ in them alone.
MOMENTARY_COLUMNS: dict[str, list[str]] = {
    table: sorted(
        name
        for name, makers in sources.made.items()
        if name not in sources.columns and set(makers) <= {Maker.RUN, Maker.CLOCK}
    )
    for table, sources in COLUMN_SOURCES.items()
}
