"""SQL text is changed only where it may be: outside literals, comments and quoted names."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.warehouse.schema import TableName
from resources.warehouse.statements import (
    Dialect,
    check_parameters,
    partition_bounds,
    prefix_schemas,
    prepare_select,
)

DIALECTS: list[Dialect] = ["duckdb", "bigquery"]


@pytest.mark.parametrize(
    "hidden",
    ["'$x'", "'it''s $x'", '"$x"', "'\"$x'", "-- $x; it's\n", "/* $x ; ' */", "'--' || '$x'", "'$x;'", "''"],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_looks_like_a_parameter_in_a_literal_or_comment_is_left_alone(
    dialect: Dialect, hidden: str
) -> None:
    marker = "@" if dialect == "bigquery" else "$"
    sql = f"select {hidden} , $x"
    assert prepare_select(sql, {"x": 1}, "", dialect) == f"select {hidden} , {marker}x"


@pytest.mark.parametrize(
    "hidden", [r"'\'$x'", r"'''a'$x'''", '"""a"$x"""', r"r'\'$x'", "`$x`", "# $x 'til\n"]
)
def test_bigquerys_own_quoting_is_understood(hidden: str) -> None:
    assert prepare_select(f"select {hidden} , $x", {"x": 1}, "", "bigquery") == f"select {hidden} , @x"


def test_a_backslash_does_not_escape_in_duckdb() -> None:
    assert prepare_select(r"select '\', $x, '\'", {"x": 1}, "", "duckdb") == r"select '\', $x, '\'"


@given(st.text(max_size=60), st.sampled_from(DIALECTS))
def test_any_text_inside_a_literal_survives(text: str, dialect: Dialect) -> None:
    escaped = text.replace("\\", "\\\\") if dialect == "bigquery" else text
    quoted = escaped.replace("'", "\\'" if dialect == "bigquery" else "''")
    marker = "@" if dialect == "bigquery" else "$"
    assert prepare_select(f"select '{quoted}', $x", {"x": 1}, "", dialect) == f"select '{quoted}', {marker}x"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_parameters_and_their_names_in_the_text_must_agree(dialect: Dialect) -> None:
    with pytest.raises(ValueError, match=r"missing \['b'\], not in the query \['c'\]"):
        prepare_select("select $a, $b", {"a": 1, "c": 2}, "", dialect)


@pytest.mark.parametrize(
    "sql", ["select 1", " \n-- why\n(select 1)", "/* a */ WITH x as (select 1) select * from x ; \n"]
)
def test_a_select_may_be_dressed_up(sql: str) -> None:
    assert prepare_select(sql, {}, "", "duckdb") == sql


@pytest.mark.parametrize(
    "sql", ["", "from x", "insert into x values (1)", "selection", "-- select\ndrop table x"]
)
def test_anything_but_a_select_is_refused(sql: str) -> None:
    with pytest.raises(ValueError, match="only a SELECT"):
        prepare_select(sql, {}, "", "duckdb")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_second_statement_is_refused_and_a_semicolon_in_text_is_not(dialect: Dialect) -> None:
    with pytest.raises(ValueError, match="one SELECT at a time"):
        prepare_select("select 1; drop table x", {}, "", dialect)
    assert prepare_select("select ';' /* ; */ ;", {}, "", dialect) == "select ';' /* ; */ ;"


def test_only_schemas_that_qualify_a_table_get_the_prefix() -> None:
    sql = """
        with raw as (select * from raw.orders)  -- raw.orders
        select raw.id, 'raw.orders' as "ops.x"
        from raw
        join "ops"."accounts" as gaelp_training on gaelp_training.id = raw.id
        where raw.id in (select id from other.table_x) and exists (select 1 from elsewhere.raw.orders)
    """
    expected = sql.replace("from raw.orders)", "from t_raw.orders)").replace('"ops"."acc', '"t_ops"."acc')
    assert prefix_schemas(sql, "t_", "duckdb") == expected


def test_backticked_names_get_the_prefix_too() -> None:
    sql = "select * from `raw`.`orders` join `raw.levers` using (id) join `project.raw.orders` using (id)"
    assert prefix_schemas(sql, "t_", "bigquery") == (
        "select * from `t_raw`.`orders` join `t_raw.levers` using (id) join `project.raw.orders` using (id)"
    )


def test_sql_that_cannot_be_parsed_cannot_be_prefixed() -> None:
    assert prefix_schemas("select from from", "", "duckdb") == "select from from"
    with pytest.raises(ValueError, match="cannot find the tables"):
        prefix_schemas("select ((", "t_", "duckdb")


@pytest.mark.parametrize("value", [None, b"x", ["a"]])
def test_values_of_other_types_are_not_bound(value: object) -> None:
    with pytest.raises(TypeError, match=r"\$x"):
        check_parameters({"x": value})  # type: ignore[dict-item]


def test_values_the_engines_would_read_differently_are_not_bound() -> None:
    with pytest.raises(ValueError, match="INT64"):
        check_parameters({"x": 2**63})
    with pytest.raises(ValueError, match="time zone"):
        check_parameters({"x": datetime(2026, 6, 1)})  # noqa: DTZ001
    check_parameters({"x": 2**63 - 1, "y": True, "z": date(2026, 6, 1)})


def test_a_bound_is_a_date() -> None:
    table = TableName("raw", "orders")
    assert partition_bounds(table, None, None, None) == []
    with pytest.raises(ValueError, match="partitions are dates"):
        partition_bounds(table, "day", datetime(2026, 6, 1), None)  # noqa: DTZ001
