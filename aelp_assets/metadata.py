"""What every asset shows in the UI: column schema, a preview, and figures as pictures.

Here: turning frames, table specs and matplotlib figures into Dagster metadata. Not here: what to draw
(`plots`) and any computation.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import dagster as dg
import polars as pl
from matplotlib.figure import Figure

from aelp_assets.column_sources import COLUMN_SOURCES, ColumnSources
from resources.warehouse.schema import Table, TableName
from resources.warehouse.tables import PYTHON_TABLES

PREVIEW_ROWS = 12
_TINY = 0.0001  # a probability below it is read as never

# What Python assets return: Dagster's own inference takes a frame beside checks for "no value".
FRAME = dg.DagsterType(
    name="PolarsFrame",
    type_check_fn=lambda _, value: isinstance(value, pl.DataFrame),
    description="A polars frame with the columns of its table.",
)


def column_schema(table: Table) -> dg.TableSchema:
    """The Dagster schema of a catalogued table: types, descriptions, required columns."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.type,
                description=column.description,
                constraints=dg.TableColumnConstraints(nullable=not column.required),
            )
            for column in table.columns
        ]
    )


def table_metadata(dotted: str) -> dict[str, Any]:
    """Static metadata of a Python-written table: name, schema, grain, where its columns come from.

    Said with the definition, not with each materialisation: the code says it, and a morning cannot change it.
    """
    table = PYTHON_TABLES[dotted]
    return {
        "dagster/table_name": dotted,
        "dagster/column_schema": column_schema(table),
        "grain": ", ".join(table.grain),
        **column_sources_metadata(COLUMN_SOURCES[dotted]),
    }


def column_sources_metadata(sources: ColumnSources) -> dict[str, Any]:
    """Column lineage as Dagster keeps it, and as a table a person reads on the asset's page."""
    if not sources.columns:  # of a root there is nothing to tell
        return {}
    lineage = dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(asset_key(table), column) for table, column in sorted(places)]
            for name, places in sources.columns.items()
        }
    )
    lines = ["| column | computed from | made by |", "| --- | --- | --- |"]
    for name in PYTHON_TABLES[sources.table].column_names:
        by_table: dict[str, list[str]] = {}
        for table, column in sorted(sources.columns.get(name, ())):
            by_table.setdefault(table, []).append(column)
        told = "; ".join(f"{table}: {', '.join(columns)}" for table, columns in by_table.items())
        lines.append(f"| {name} | {told} | {', '.join(sources.made.get(name, ()))} |")
    return {
        "dagster/column_lineage": dg.MetadataValue.column_lineage(lineage),
        "column sources": dg.MetadataValue.md("\n".join(lines)),
    }


def table_out(
    dotted: str, owners: Sequence[str], freshness: dg.FreshnessPolicy, code_version: str
) -> dg.AssetOut:
    """One table of a multi-asset; its words come from the catalogue."""
    table = PYTHON_TABLES[dotted]
    return dg.AssetOut(
        dagster_type=FRAME,
        key=asset_key(dotted),
        description=table.description,
        kinds={"polars"},
        owners=owners,
        metadata=table_metadata(dotted),
        freshness_policy=freshness,
        code_version=code_version,
    )


def markdown_table(
    frame: pl.DataFrame, rows: int = PREVIEW_ROWS, columns: Sequence[str] | None = None
) -> dg.MarkdownMetadataValue:
    """The first rows of a frame as a Markdown table, numbers rounded for reading.

    Args:
        columns: those worth a person's look; a page shows about eight. None: all.
    """
    shown = frame.head(rows) if columns is None else frame.head(rows).select(columns)
    lines = ["| " + " | ".join(shown.columns) + " |", "|" + " --- |" * shown.width]
    lines += [
        "| " + " | ".join(_readable(*cell) for cell in zip(shown.columns, row, strict=True)) + " |"
        for row in shown.iter_rows()
    ]
    if frame.height > rows:
        lines.append(f"\n{frame.height - rows:,} more rows")
    if shown.width < frame.width:
        lines.append(f"\n{frame.width - shown.width} more columns in the table")
    return dg.MetadataValue.md("\n".join(lines))


def _readable(column: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Decimal):
        return f"{value:,.2f}" if value == 0 or abs(value) >= Decimal("0.01") else f"{value.normalize():,f}"
    if isinstance(value, float):
        if column.startswith("p_") and 0 < value < _TINY:
            return f"<{_TINY}"
        return f"{value:,.4g}" if abs(value) < 100 else f"{value:,.0f}"
    return str(value).replace("|", "\\|")


def picture(figure: Figure) -> dg.MarkdownMetadataValue:
    """A matplotlib figure as an image inside Markdown metadata."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, bbox_inches="tight")  # else titles wider than axes are cut
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{encoded})")


def result(
    frame: pl.DataFrame,
    plot: Figure | None = None,
    checks: list[dg.AssetCheckResult] | None = None,
    columns: Sequence[str] | None = None,
    key: str | None = None,
    **extra: Any,
) -> dg.MaterializeResult:
    """A materialisation that carries the frame, a preview (of `columns`), an optional plot and its checks.

    Args:
        key: the table, where an asset has several.
    """
    metadata: dict[str, Any] = {"preview": markdown_table(frame, columns=columns), **extra}
    if plot is not None:
        metadata["plot"] = picture(plot)
    named = None if key is None else asset_key(key)
    return dg.MaterializeResult(value=frame, metadata=metadata, check_results=checks or [], asset_key=named)


def numbers(**told: object) -> dict[str, Any]:
    """Numbers that Dagster draws over time; a curve has no place for NULL, NaN or infinity."""
    return {
        name: value
        for name, value in told.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def asset_key(dotted: str) -> dg.AssetKey:
    """`schema.table` as the asset key of that table."""
    name = TableName.parse(dotted)
    return dg.AssetKey([name.schema, name.table])


def check(
    name: str,
    passed: bool,
    failure: str,
    key: str,
    metadata: Mapping[str, Any] | None = None,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """One check result on a table; the sentence a person needs when it fails is said only then."""
    return dg.AssetCheckResult(
        passed=passed,
        check_name=name,
        asset_key=asset_key(key),
        severity=severity,
        description=None if passed else failure,
        metadata=dict(metadata or {}),
    )
