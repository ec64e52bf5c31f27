"""Semantic models as dbt's manifest has them, resolved: every column typed, every metric at its view.

Here: which views, dimensions, measures, keys and explores there are, and refusing what LookML could not say.
Not here: LookML (`lookml`). Types are those of the models' contracts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlglot
from sqlglot import exp

from resources.warehouse.schema import ColumnType

Node = Mapping[str, Any]

# Sums, extremes and distinct counts stay right over rows that a join repeats. A mean is a ratio of two sums.
AGGREGATIONS = ("sum", "count_distinct", "max", "min")


class SemanticsError(ValueError):
    """A semantic model or metric that cannot be rendered; the message names file, element and remedy."""


@dataclass(frozen=True)
class Words:
    """What people read of a field, and whether they see it."""

    name: str
    label: str
    description: str
    value_format_name: str | None
    hidden: bool


@dataclass(frozen=True)
class Dimension:
    words: Words
    column: str
    type: ColumnType
    is_time: bool


@dataclass(frozen=True)
class Measure:
    """A metric: `kind` is an aggregation of columns, or `ratio` or `derived`, whose `sql` names measures."""

    words: Words
    kind: str
    sql: str

    @property
    def is_composed(self) -> bool:
        return self.kind in ("ratio", "derived")


@dataclass(frozen=True)
class Entity:
    """A key of the view: `sql` tells its rows apart, over `columns` in that order."""

    name: str
    type: str
    sql: str
    columns: tuple[str, ...]

    @property
    def is_unique(self) -> bool:
        return self.type in ("primary", "unique")


@dataclass(frozen=True)
class Explore:
    """What people open: the view it starts from, those joined to it, and the metrics shown (None: all)."""

    name: str
    label: str
    description: str
    joins: tuple[str, ...]
    metrics: tuple[str, ...] | None
    always_filter: Mapping[str, str]


@dataclass(frozen=True)
class View:
    """One semantic model over one dbt model."""

    name: str
    label: str
    description: str
    schema: str
    table: str
    columns: Mapping[str, ColumnType]
    dimensions: tuple[Dimension, ...]
    entities: tuple[Entity, ...]
    explores: tuple[Explore, ...]
    measures: list[Measure] = field(default_factory=list)

    @property
    def primary(self) -> Entity:
        return next(entity for entity in self.entities if entity.type == "primary")


def read_views(manifest: Node) -> list[View]:
    """Every semantic model of `manifest` with its metrics, by name.

    Raises:
        SemanticsError: a column without a contract, an unknown one, a metric over several semantic models, or
            a feature that LookML cannot say.
    """
    models = sorted(manifest["semantic_models"].values(), key=lambda model: str(model["name"]))
    views = {model["name"]: _view(model, manifest) for model in models}
    _add_metrics(views, models, list(manifest["metrics"].values()))
    return list(views.values())


def rewritten(expression: str, name_of: Callable[[str], str]) -> str:
    """`expression` with each column name replaced by what `name_of` says; all else as it was written.

    Raises:
        sqlglot.errors.ParseError: it is no SQL expression.
    """
    tree = sqlglot.parse_one(expression, dialect="bigquery")
    for column in sorted(tree.find_all(exp.Column), key=lambda c: -int(c.this.meta["start"])):
        place = column.this.meta
        expression = expression[: place["start"]] + name_of(column.name) + expression[place["end"] + 1 :]
    return expression


def names_in(expression: str) -> tuple[str, ...]:
    """Column names of a SQL expression in the order they are written, each once."""
    tree = sqlglot.parse_one(expression, dialect="bigquery")
    found = sorted(tree.find_all(exp.Column), key=lambda c: int(c.this.meta["start"]))
    return tuple(dict.fromkeys(column.name for column in found))


def _view(model: Node, manifest: Node) -> View:
    where = f"{model['original_file_path']}: semantic model {model['name']}"
    node = manifest["nodes"][next(n for n in model["depends_on"]["nodes"] if n.startswith("model."))]
    if not node["config"].get("contract", {}).get("enforced"):
        raise SemanticsError(
            f"{where} reads {node['name']}, whose columns have no enforced contract; "
            "add one, so that types are known"
        )
    columns: dict[str, ColumnType] = {name: column["data_type"] for name, column in node["columns"].items()}
    described = {name: column["description"] for name, column in node["columns"].items()}
    entities = tuple(_entity(entity, columns, where) for entity in model["entities"])
    if sum(entity.type == "primary" for entity in entities) != 1:
        raise SemanticsError(f"{where} needs exactly one entity of type primary: the grain of {node['name']}")
    explores = _looker_meta(model).get("explores", {})
    return View(
        name=model["name"],
        label=model["label"] or _titled(model["name"]),
        description=model["description"] or node["description"],
        schema=node["config"]["schema"],
        table=node["name"],
        columns=columns,
        dimensions=tuple(_dimension(one, columns, described, where) for one in model["dimensions"]),
        entities=entities,
        explores=tuple(_explore(name, told) for name, told in explores.items()),
    )


def _entity(entity: Node, columns: Mapping[str, ColumnType], where: str) -> Entity:
    sql = entity["expr"] or entity["name"]
    names = _known(sql, columns, f"{where}: entity {entity['name']}")
    return Entity(entity["name"], entity["type"], sql, names)


def _dimension(
    dimension: Node, columns: Mapping[str, ColumnType], described: Mapping[str, str], where: str
) -> Dimension:
    column = dimension["expr"] or dimension["name"]
    if column not in columns:
        raise SemanticsError(
            f"{where}: dimension {dimension['name']} is {column}, which is no column of it. Its columns: "
            f"{', '.join(columns)}"
        )
    is_time = dimension["type"] == "time"
    if is_time and columns[column] not in ("DATE", "TIMESTAMP"):
        raise SemanticsError(
            f"{where}: time dimension {dimension['name']} is a {columns[column]}, not a date"
        )
    words = _words(dimension, _looker_meta(dimension), described[column])
    return Dimension(words, column, columns[column], is_time)


def _explore(name: str, told: Node) -> Explore:
    metrics = told.get("metrics")
    return Explore(
        name=name,
        label=told["label"],
        description=told["description"],
        joins=tuple(told.get("joins", ())),
        metrics=None if metrics is None else tuple(metrics),
        always_filter=told.get("always_filter", {}),
    )


def _add_metrics(views: Mapping[str, View], models: Sequence[Node], metrics: Sequence[Node]) -> None:
    """Each metric to the view of its measures: simple ones as the files have them, then what they make up."""
    owners = {measure["name"]: (model, measure) for model in models for measure in model["measures"]}
    view_of: dict[str, str] = {}
    simple = {metric["name"]: metric for metric in metrics if metric["type"] == "simple"}
    for measure_name, (model, measure) in owners.items():
        if measure_name not in simple:
            raise SemanticsError(
                f"{model['original_file_path']}: measure {measure_name} is no metric; set create_metric: true"
            )
        view = views[model["name"]]
        view.measures.append(_simple(simple.pop(measure_name), measure, view, model))
        view_of[measure_name] = view.name
    for name, metric in simple.items():
        raise SemanticsError(
            f"{metric['original_file_path']}: metric {name} repeats a measure under another name"
        )

    waiting = sorted(
        (metric for metric in metrics if metric["type"] != "simple"), key=lambda m: str(m["name"])
    )
    while waiting:
        ready = [metric for metric in waiting if all(name in view_of for name in _inputs(metric))]
        if not ready:
            stuck = waiting[0]
            raise SemanticsError(
                f"{stuck['original_file_path']}: metric {stuck['name']} is made of "
                f"{', '.join(_inputs(stuck))}; not all of them are metrics"
            )
        for metric in ready:
            homes = {view_of[name] for name in _inputs(metric)}
            if len(homes) > 1:
                raise SemanticsError(
                    f"{metric['original_file_path']}: metric {metric['name']} is made of metrics of "
                    f"{' and '.join(sorted(homes))}; a LookML measure has one view, bring them into one model"
                )
            home = homes.pop()
            views[home].measures.append(_composed(metric))
            view_of[metric["name"]] = home
        waiting = [metric for metric in waiting if metric["name"] not in view_of]


def _simple(metric: Node, measure: Node, view: View, model: Node) -> Measure:
    where = f"{model['original_file_path']}: measure {measure['name']}"
    if measure["agg"] not in AGGREGATIONS:
        raise SemanticsError(
            f"{where} is a {measure['agg']}, not one of {', '.join(AGGREGATIONS)}; a mean is a ratio of two "
            "sums"
        )
    if metric["filter"] or metric["type_params"]["measure"]["filter"] or measure["non_additive_dimension"]:
        raise SemanticsError(
            f"{where} has a filter or a non-additive dimension; say it in its expr (case when …)"
        )
    sql = str(measure["expr"] or measure["name"])
    _known(sql, view.columns, where)
    # dbt gives a metric made of a measure the meta of the semantic model; the measure has its own.
    return Measure(_words(metric, _looker_meta(measure)), measure["agg"], sql)


def _composed(metric: Node) -> Measure:
    where, given = f"{metric['original_file_path']}: metric {metric['name']}", metric["type_params"]
    words = _words(metric, _looker_meta(metric))
    inputs = [given["numerator"], given["denominator"], *(given["metrics"] or ())]
    odd = ("filter", "alias", "offset_window", "offset_to_grain")
    if metric["filter"] or any(one[name] for one in inputs if one for name in odd):
        raise SemanticsError(
            f"{where} filters, shifts or renames a metric; define a measure of its own instead"
        )
    if metric["type"] == "ratio":
        return Measure(words, "ratio", f"{given['numerator']['name']} / {given['denominator']['name']}")
    if metric["type"] == "derived":
        unnamed = set(names_in(given["expr"])) - set(_inputs(metric))
        if unnamed:
            raise SemanticsError(
                f"{where} uses {', '.join(sorted(unnamed))}, which it does not list under metrics"
            )
        return Measure(words, "derived", given["expr"])
    raise SemanticsError(f"{where} is {metric['type']}; LookML can say simple, ratio and derived ones")


def _inputs(metric: Node) -> list[str]:
    given = metric["type_params"]
    if metric["type"] == "ratio":
        return [given["numerator"]["name"], given["denominator"]["name"]]
    return [one["name"] for one in given["metrics"] or ()]


def _known(sql: str, columns: Mapping[str, ColumnType], where: str) -> tuple[str, ...]:
    names = names_in(sql)
    unknown = [name for name in names if name not in columns]
    if unknown:
        raise SemanticsError(
            f"{where} uses {', '.join(unknown)}, no column of it. Its columns: {', '.join(columns)}"
        )
    return names


def _words(element: Node, looker: Node, otherwise: str = "") -> Words:
    return Words(
        name=element["name"],
        label=element["label"] or _titled(element["name"]),
        description=element["description"] or otherwise,
        value_format_name=looker.get("value_format_name"),
        hidden=bool(looker.get("hidden", False)),
    )


def _looker_meta(element: Node) -> Node:
    meta: Node = (element.get("config") or {}).get("meta") or {}
    return meta.get("looker") or {}


def _titled(name: str) -> str:
    """`account_id` → `Account ID`."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:].replace(" id", " ID")
