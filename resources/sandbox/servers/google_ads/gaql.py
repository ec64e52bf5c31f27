"""Google Ads Query Language, as far as the platform's own rules decide what a query may ask.

Here: parsing, the rules, and filtering a frame whose columns are named by field path. Not here: the data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

import polars as pl
from google.ads.googleads.v26.services.types.google_ads_service import GoogleAdsRow

from resources.sandbox.servers.google_ads.failures import Refusal

_QUERY = re.compile(
    r"\s*SELECT\s+(?P<select>.+?)\s+FROM\s+(?P<resource>\w+)(?:\s+WHERE\s+(?P<where>.+?))?"
    r"(?:\s+ORDER\s+BY\s+(?P<order>[\w.]+)(?:\s+(?P<direction>ASC|DESC))?)?"
    r"(?:\s+LIMIT\s+(?P<limit>\d+))?(?:\s+PARAMETERS\s+.+)?\s*",
    re.DOTALL,
)
_CONDITION = re.compile(
    r"\s*(?P<field>[\w.]+)\s+(?P<operator>BETWEEN|NOT IN|IN|!=|>=|<=|=|>|<)\s*"
    r"(?P<value>\([^)]*\)|'[^']*'\s+AND\s+'[^']*'|'[^']*'|-?[\w.]+)\s*(?:AND\b|$)",
    re.DOTALL,
)
_NOT_WITH_ACTION = ("metrics.cost_micros", "metrics.impressions", "metrics.clicks")
_CHANGE_RESOURCES = {
    "change_event": "change_event.change_date_time",
    "change_status": "change_status.last_change_date_time",
}
# Selectable only as whole messages.
_WHOLE = (
    "change_event.old_resource.",
    "change_event.new_resource.",
    "recommendation.impact.",
    "recommendation.campaign_budget_recommendation.",
)
_ROW = GoogleAdsRow.pb(GoogleAdsRow()).DESCRIPTOR


@dataclass(frozen=True)
class Condition:
    """One term of WHERE; every value as text."""

    field: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Query:
    """A query that keeps the rules."""

    fields: tuple[str, ...]
    resource: str
    conditions: tuple[Condition, ...]
    order_by: str | None
    descending: bool
    limit: int | None

    @property
    def has_metrics(self) -> bool:
        """Whether days matter: it asks for metrics or segments, or limits the day."""
        touched = [*self.fields, *(condition.field for condition in self.conditions)]
        return any(field.startswith(("metrics.", "segments.")) for field in touched)

    @property
    def days(self) -> tuple[date, date] | None:
        """The range of segments.date, if it has one."""
        for condition in self.conditions:
            if condition.field == "segments.date" and condition.operator in ("BETWEEN", "="):
                first, last = condition.values[0], condition.values[-1]
                return date.fromisoformat(first), date.fromisoformat(last)
        return None


def parse(text: str) -> Query:
    """Read a query.

    Raises:
        Refusal: INVALID_ARGUMENT with the query error Google would name.
    """
    found = _QUERY.fullmatch(text)
    if found is None:
        raise Refusal.query("UNEXPECTED_INPUT", "Error in query: unexpected input.")
    fields = tuple(field.strip() for field in found["select"].split(","))
    query = Query(
        fields,
        found["resource"],
        _conditions(found["where"]),
        found["order"],
        found["direction"] == "DESC",
        int(found["limit"]) if found["limit"] else None,
    )
    _check(query)
    return query


def _conditions(where: str | None) -> tuple[Condition, ...]:
    conditions, position = [], 0
    while where and position < len(where):
        found = _CONDITION.match(where, position)
        if found is None:
            raise Refusal.query("UNEXPECTED_INPUT", f"Error in WHERE clause near '{where[position:][:40]}'.")
        value = found["value"]
        values = (
            re.findall(r"'([^']*)'|(-?[\w.]+)", value)
            if value.startswith("(")
            else [(text, "") for text in re.findall(r"'([^']*)'", value)] or [(value, "")]
        )
        conditions.append(
            Condition(found["field"], found["operator"], tuple(quoted or bare for quoted, bare in values))
        )
        position = found.end()
    return tuple(conditions)


def _check(query: Query) -> None:
    touched = [*query.fields, *(condition.field for condition in query.conditions)]
    for field in touched:
        if not _exists(field) or field.startswith(_WHOLE):
            raise Refusal.query("UNRECOGNIZED_FIELD", f"Unrecognized field in the query: '{field}'.")
    if "segments.conversion_action" in touched:
        mixed = [field for field in touched if field in _NOT_WITH_ACTION]
        if mixed:
            raise Refusal.query(
                "PROHIBITED_SEGMENT_WITH_METRIC_IN_SELECT_OR_WHERE_CLAUSE",
                f"Cannot select or filter on the following metrics: '{mixed[0]}' "
                "as it is incompatible with 'segments.conversion_action'.",
            )
    if "segments.date" in query.fields and query.days is None:
        raise Refusal.query("EXPECTED_FILTERS_ON_DATE_RANGE", "A finite date range is required.")
    log = _CHANGE_RESOURCES.get(query.resource)
    if log is not None:
        if log not in (condition.field for condition in query.conditions):
            raise Refusal.query("EXPECTED_FILTERS_ON_DATE_RANGE", f"A finite range on '{log}' is required.")
        if query.limit is None or query.limit > 10_000:
            raise Refusal.query("BAD_LIMIT_VALUE", "A LIMIT of at most 10000 is required.")


def _exists(field: str) -> bool:
    descriptor = _ROW
    for step in field.split("."):
        if descriptor is None:
            return False
        names = descriptor.fields_by_name
        known = names.get(step) or names.get(step + "_")
        if known is None:
            return False
        descriptor = known.message_type
    return True


def answer(query: Query, table: pl.DataFrame) -> pl.DataFrame:
    """Filter, select and, where metrics are asked for, sum over everything that is not selected.

    Rows whose metrics are all zero are left out, as Google leaves them out of segmented reports.
    """
    for condition in query.conditions:
        table = table.filter(_expression(condition, table.schema[condition.field]))
    metrics = [field for field in query.fields if field.startswith("metrics.")]
    if metrics:
        grain = [field for field in query.fields if field not in metrics]
        table = table.group_by(grain, maintain_order=True).agg(pl.col(name).sum() for name in metrics)
        if any(field.startswith("segments.") for field in grain):
            table = table.filter(pl.any_horizontal(pl.col(name) != 0 for name in metrics))
    if query.order_by is not None:
        table = table.sort(query.order_by, descending=query.descending)
    if query.limit is not None:
        table = table.head(query.limit)
    return table.select(name for field in query.fields for name in columns_of(field, table))


def columns_of(field: str, table: pl.DataFrame) -> list[str]:
    """The field's column, or those of its parts where it is a message; none where the table lacks it."""
    if field in table.columns:
        return [field]
    return [name for name in table.columns if name.startswith(f"{field}.")]


def _expression(condition: Condition, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(condition.field)
    values: list[str] | list[int] = list(condition.values)
    if dtype.is_integer():
        values = [int(value) for value in condition.values]
    elif dtype == pl.Boolean:
        column = column.cast(pl.String)
        values = [value.lower() for value in condition.values]
    first, last = values[0], values[-1]
    return {
        "=": column == first,
        "!=": column != first,
        ">": column > first,
        ">=": column >= first,
        "<": column < first,
        "<=": column <= first,
        "BETWEEN": column.is_between(pl.lit(first), pl.lit(last)),
        "IN": column.is_in(values),
        "NOT IN": ~column.is_in(values),
    }[condition.operator]
