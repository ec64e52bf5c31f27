import pytest

from aelp_assets.column_trace import Lineage, Step, dead_ends, makers_of, of_no_column, trace
from aelp_assets.lineage import model_lineage, recalled, remembered

COLUMNS = {
    "staging.stg_meta": ["date", "ad_id", "clicks", "spend"],
    "staging.stg_tracks": ["ad_id", "track"],
}

SQL = """
with ads as (select * from "warehouse"."staging"."stg_meta" where date >= date '2026-01-01'),
daily as (select date, ad_id, sum(spend) as cost, sum(clicks) as clicks from ads group by all),
final as (
    select daily.date, tracks.track, daily.cost, daily.cost / nullif(daily.clicks, 0) as avg_cpc
    from daily left join "warehouse"."staging"."stg_tracks" as tracks on daily.ad_id = tracks.ad_id
)
select * from final
"""


def lineage_of(sql):
    return model_lineage(sql, "duckdb", COLUMNS)


def test_each_column_is_traced_through_ctes_stars_and_joins():
    found = lineage_of(SQL)
    assert found["avg_cpc"] == [("staging.stg_meta", "clicks"), ("staging.stg_meta", "spend")]
    assert found["cost"] == [("staging.stg_meta", "spend")]
    assert found["track"] == [("staging.stg_tracks", "track")]


def test_a_prefix_of_datasets_is_no_part_of_a_table_s_name():
    prefixed = SQL.replace('"staging"', '"ci_staging"')
    assert model_lineage(prefixed, "duckdb", COLUMNS, "ci_") == lineage_of(SQL)
    assert not model_lineage(prefixed, "duckdb", COLUMNS)["cost"]


def test_sql_that_cannot_be_followed_gives_nothing_rather_than_a_failed_run():
    assert lineage_of("select from where") == {}


def test_lineage_is_computed_once_per_version_of_the_code(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return lineage_of(SQL)

    first = remembered(tmp_path, "model.aelp.x", "code v1", compute)
    assert remembered(tmp_path, "model.aelp.x", "code v1", compute) == first
    assert len(calls) == 1
    remembered(tmp_path, "model.aelp.x", "code v2", compute)
    assert len(calls) == 2


def test_what_was_never_run_is_not_recalled(tmp_path):
    remembered(tmp_path, "model.aelp.x", "code v1", lambda: lineage_of(SQL))
    assert recalled(tmp_path, "model.aelp.x", "code v1") == lineage_of(SQL)
    assert recalled(tmp_path, "model.aelp.x", "code v2") is None


CHAIN = Lineage(
    {
        "ops.approvals": {"amount": frozenset({("ops.proposals", "proposed_budget")})},
        "ops.proposals": {"proposed_budget": frozenset({("marts.days", "cost"), ("marts.days", "is_new")})},
        "marts.days": {"cost": frozenset({("raw.rows", "payload")}), "is_new": frozenset()},
        "raw.meta_ads_insights": {},
    },
    frozenset({"raw.rows"}),
    reads={"marts.days": ("staging.days", "staging.rules")},
)


def test_a_column_is_followed_to_what_was_landed_nearest_first():
    assert trace(CHAIN, ("ops.approvals", "amount")) == [
        Step(0, "ops.approvals", ("amount",)),
        Step(1, "ops.proposals", ("proposed_budget",)),
        Step(2, "marts.days", ("cost", "is_new")),
        Step(3, "raw.rows", ("payload",)),
    ]


def test_a_gap_on_the_way_is_named_and_a_constant_is_none():
    assert dead_ends(CHAIN, trace(CHAIN, ("ops.approvals", "amount"))) == [("raw.rows", "payload")]


def test_a_count_of_rows_on_the_way_is_named_with_what_its_sql_reads():
    steps = trace(CHAIN, ("ops.approvals", "amount"))
    assert of_no_column(CHAIN, steps) == [("marts.days", "is_new")]
    assert of_no_column(CHAIN, trace(CHAIN, ("marts.days", "cost"))) == []


def test_who_makes_a_column_ends_its_way():
    assert trace(CHAIN, ("ops.approvals", "approver")) == [Step(0, "ops.approvals", ("approver",))]
    assert makers_of(("ops.approvals", "approver")) == ["a person"]


def test_a_column_nobody_knows_is_refused():
    with pytest.raises(KeyError, match=r"ops\.approvals\.amuont"):
        trace(CHAIN, ("ops.approvals", "amuont"))


def test_a_schema_may_be_left_out_where_one_table_is_called_so_and_gaps_are_told_apart():
    known = Lineage(
        {"ops.days": {}, "raw.rows": {}, "ops.rows": {}}, frozenset({"ops.new"}), frozenset({"ops.odd"})
    )
    assert [known.named(name) for name in ("days", "ops.days", "new", "rows", "nothing")] == [
        "ops.days", "ops.days", "ops.new", "rows", "nothing"
    ]  # fmt: skip
    assert "`aelp run`" in (known.why_not("ops.new") or "")
    assert "cannot be followed" in (known.why_not("ops.odd") or "")
    assert known.why_not("ops.days") is None
