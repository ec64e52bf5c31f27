"""The IO manager through Dagster itself: partitions mean rows, and a failed write leaves the table alone."""

from __future__ import annotations

from datetime import date

import dagster as dg
import polars as pl
import pytest

from aelp_assets.partitions import days_before
from resources.warehouse.content import content_version
from resources.warehouse.interface import ReplacePartitions, ReplaceTable
from resources.warehouse.io_manager import WarehouseIOManager, partition_column, table_of
from resources.warehouse.schema import TableName
from resources.warehouse.tables import ACCOUNT_AUDITS, MODEL_TABLES, TRACK_RULES, TRANSFORMED_DAYS

DAYS = dg.DailyPartitionsDefinition("2026-06-01", end_date="2026-07-01")
AUDITS = dg.AssetKey(["ops", "account_audits"])


def audits(*rows: tuple[int, str]) -> pl.DataFrame:
    """One audit row per (day of June, account)."""
    return ACCOUNT_AUDITS.conform(
        pl.DataFrame(
            [
                {
                    "as_of_date": date(2026, 6, day),
                    "source": "meta",
                    "account_id": account,
                    "check_name": "spend_persists",
                    "status": "passed",
                    "statistic": 0.5,
                    "threshold": 0.1,
                    "detail": "",
                    "decision_eligible": True,
                }
                for day, account in rows
            ],
            schema=ACCOUNT_AUDITS.polars_schema,
        )
    )


@pytest.fixture
def warehouse(duckdb_warehouse):
    duckdb_warehouse.ensure_tables([ACCOUNT_AUDITS, TRACK_RULES, TRANSFORMED_DAYS])
    return duckdb_warehouse


def stored(warehouse) -> list[tuple[int, str]]:
    rows = warehouse.read(ACCOUNT_AUDITS.name).sort("as_of_date", "account_id")
    return [(row["as_of_date"].day, row["account_id"]) for row in rows.iter_rows(named=True)]


def asset_returning(value, key=AUDITS, partitions_def=DAYS):
    @dg.asset(key=key, partitions_def=partitions_def)
    def written():
        return value

    return written


def materialise(warehouse, *assets, **options):
    return dg.materialize(
        list(assets),
        resources={"io_manager": WarehouseIOManager(warehouse)},
        instance=options.pop("instance", None) or dg.DagsterInstance.ephemeral(),
        **options,
    )


def read_back(warehouse, partition_key, mapping, metadata=None, key=AUDITS) -> pl.DataFrame:
    """What an asset downstream sees of a partition."""
    seen = {}

    @dg.asset(
        ins={"rows": dg.AssetIn(key=key, partition_mapping=mapping, metadata=metadata)},
        partitions_def=DAYS,
    )
    def reader(rows: pl.DataFrame) -> None:
        seen["rows"] = rows

    upstream = dg.AssetSpec(key, partitions_def=DAYS)
    materialise(warehouse, reader, upstream, partition_key=partition_key, selection=[reader])
    return seen["rows"]


def test_an_output_replaces_exactly_its_own_partition(warehouse):
    warehouse.write(ReplaceTable(ACCOUNT_AUDITS, audits((1, "old"), (2, "old"), (3, "old"))))
    done = materialise(
        warehouse, asset_returning(audits((2, "new"), (2, "newer"))), partition_key="2026-06-02"
    )
    assert stored(warehouse) == [(1, "old"), (2, "new"), (2, "newer"), (3, "old")]
    (event,) = done.asset_materializations_for_node("ops__account_audits")
    assert event.metadata["dagster/row_count"].value == 2


def test_an_empty_output_empties_its_partition(warehouse):
    warehouse.write(ReplaceTable(ACCOUNT_AUDITS, audits((1, "old"), (2, "old"))))
    materialise(warehouse, asset_returning(audits()), partition_key="2026-06-02")
    assert stored(warehouse) == [(1, "old")]


def test_running_a_partition_again_leaves_the_same_rows(warehouse):
    for _ in range(2):
        materialise(warehouse, asset_returning(audits((2, "a"))), partition_key="2026-06-02")
    assert stored(warehouse) == [(2, "a")]


def test_a_row_outside_the_partition_is_refused_and_nothing_changes(warehouse):
    warehouse.write(ReplaceTable(ACCOUNT_AUDITS, audits((2, "old"))))
    with pytest.raises(ValueError, match="2026-06-03"):
        materialise(warehouse, asset_returning(audits((2, "new"), (3, "astray"))), partition_key="2026-06-02")
    assert stored(warehouse) == [(2, "old")]


def test_a_range_run_replaces_the_whole_range(warehouse):
    warehouse.write(ReplaceTable(ACCOUNT_AUDITS, audits((1, "old"), (2, "old"), (3, "old"), (4, "old"))))
    materialise(
        warehouse,
        asset_returning(audits((2, "new"))),
        tags={
            "dagster/asset_partition_range_start": "2026-06-02",
            "dagster/asset_partition_range_end": "2026-06-03",
        },
    )
    assert stored(warehouse) == [(1, "old"), (2, "new"), (4, "old")]


def test_an_unpartitioned_table_is_replaced_whole(warehouse):
    rows = pl.DataFrame(
        {
            "rule_order": [1],
            "track": ["security"],
            "source_pattern": ["%"],
            "account_pattern": ["%"],
            "campaign_pattern": ["%security%"],
        }
    )
    key = dg.AssetKey(["ops", "track_rules"])
    for _ in range(2):
        materialise(warehouse, asset_returning(rows, key, None))
    assert warehouse.read(TRACK_RULES.name).height == 1


def test_an_asset_that_returns_nothing_writes_nothing(warehouse):
    warehouse.write(ReplaceTable(ACCOUNT_AUDITS, audits((2, "old"))))
    materialise(warehouse, asset_returning(None), partition_key="2026-06-02")
    assert stored(warehouse) == [(2, "old")]


def test_the_same_partition_is_read_where_mornings_match(warehouse):
    warehouse.write(ReplaceTable(ACCOUNT_AUDITS, audits((1, "a"), (2, "b"), (3, "c"))))
    rows = read_back(warehouse, "2026-06-02", dg.IdentityPartitionMapping())
    assert rows["account_id"].to_list() == ["b"]


def test_a_window_before_the_morning_excludes_the_morning_itself(warehouse):
    warehouse.write(
        ReplacePartitions(
            ACCOUNT_AUDITS,
            audits(*((day, f"{day:02d}") for day in range(1, 11))),
            date(2026, 6, 1),
            date(2026, 6, 10),
        )
    )
    rows = read_back(warehouse, "2026-06-10", days_before(3))
    assert sorted(rows["account_id"]) == ["07", "08", "09"]


def test_a_window_reaching_before_the_first_partition_reads_what_there_is(warehouse):
    warehouse.write(ReplaceTable(ACCOUNT_AUDITS, audits((1, "a"), (2, "b"), (3, "c"))))
    rows = read_back(warehouse, "2026-06-03", days_before(30))
    assert sorted(rows["account_id"]) == ["a", "b"]


def test_inputs_come_in_one_order_however_they_are_stored(warehouse):
    orders = []
    for rows in ([(2, "b"), (1, "c"), (2, "a")], [(2, "a"), (2, "b"), (1, "c")]):
        warehouse.write(ReplaceTable(ACCOUNT_AUDITS, audits(*rows)))
        orders.append(read_back(warehouse, "2026-06-03", days_before(30)))
    assert orders[0].equals(orders[1])
    assert orders[0]["account_id"].to_list() == ["c", "a", "b"]


def test_named_columns_are_all_that_is_read(warehouse):
    warehouse.write(ReplaceTable(ACCOUNT_AUDITS, audits((2, "b"))))
    rows = read_back(
        warehouse, "2026-06-02", dg.IdentityPartitionMapping(), {"columns": ["account_id", "as_of_date"]}
    )
    assert sorted(rows.columns) == ["account_id", "as_of_date"]


def test_tables_are_the_last_two_parts_of_a_key_and_marts_are_cut_by_date():
    assert table_of(dg.AssetKey(["lake", "ops", "account_audits"])) == ACCOUNT_AUDITS.name
    assert partition_column(ACCOUNT_AUDITS.name) == "as_of_date"
    assert partition_column(TRANSFORMED_DAYS.name) == "report_date"
    assert partition_column(TRACK_RULES.name) is None
    assert partition_column(TableName("gaelp_training", "ads_ad_daily")) == "date"


def test_every_table_of_mornings_keeps_its_earlier_ones():
    dated = {str(table.name): table.partition for table in MODEL_TABLES if "as_of_date" in table.column_names}
    assert dated
    assert set(dated.values()) == {"as_of_date"}, "a table without a partition is replaced whole"


def data_version(warehouse, rows, **options) -> str:
    done = materialise(warehouse, asset_returning(rows), partition_key="2026-06-02", **options)
    (event,) = done.asset_materializations_for_node("ops__account_audits")
    return event.tags["dagster/data_version"]


def test_the_same_rows_are_the_same_data_version_whoever_writes_them_in_whatever_order(warehouse):
    first = data_version(warehouse, audits((2, "a"), (2, "b")))
    assert data_version(warehouse, audits((2, "b"), (2, "a"))) == first


@pytest.mark.parametrize(
    "edit",
    [
        {"statistic": 0.5000000000000001},
        {"detail": None},
        {"account_id": "a "},
        {"decision_eligible": False},
    ],
    ids=str,
)
def test_one_changed_cell_is_another_data_version(edit):
    rows = audits((2, "a"), (2, "b"))
    edited = rows.with_columns(
        pl.when(pl.col("account_id") == "a").then(pl.lit(value)).otherwise(name).alias(name)
        for name, value in edit.items()
    )
    assert content_version(edited) != content_version(rows)


def test_who_wrote_it_is_no_content():
    rows = audits((2, "a"))
    by_another = rows.with_columns(detail=pl.lit("run 2"))
    assert content_version(by_another, ["detail"]) == content_version(rows, ["detail"])


def test_a_column_that_a_later_version_adds_changes_no_earlier_rows():
    rows = audits((2, "a"))
    assert content_version(rows.with_columns(added=pl.lit(None, pl.Float64))) == content_version(rows)
    assert content_version(rows.with_columns(added=pl.lit(0.0))) != content_version(rows)


def test_what_follows_from_a_table_is_as_new_as_its_content(warehouse):
    instance = dg.DagsterInstance.ephemeral()

    @dg.asset(ins={"rows": dg.AssetIn(key=AUDITS)}, partitions_def=DAYS, code_version="1")
    def follower(rows: pl.DataFrame) -> None: ...

    def followed(rows: pl.DataFrame) -> str:
        done = materialise(
            warehouse, asset_returning(rows), follower, partition_key="2026-06-02", instance=instance
        )
        (event,) = done.asset_materializations_for_node("follower")
        return event.tags["dagster/data_version"]

    first = followed(audits((2, "a"), (2, "b")))
    assert followed(audits((2, "b"), (2, "a"))) == first
    assert followed(audits((2, "b"), (2, "c"))) != first


def test_a_table_tells_what_its_step_asked_of_the_warehouse(warehouse):
    @dg.asset(key=AUDITS, partitions_def=DAYS)
    def source():
        return audits((3, "a"))

    @dg.asset(partitions_def=DAYS, key=["ops", "transformed_days"], ins={"audits": dg.AssetIn(key=AUDITS)})
    def copied(audits):
        warehouse.query("select 1 as one")
        return pl.DataFrame(schema=TRANSFORMED_DAYS.polars_schema)

    done = dg.materialize(
        [source, copied],
        partition_key="2026-06-03",
        resources={"io_manager": WarehouseIOManager(warehouse)},
    )
    first, second = (
        done.asset_materializations_for_node(name)[0].metadata
        for name in ("ops__account_audits", "ops__transformed_days")
    )
    assert "warehouse_seconds" not in first, "where it began is not known"
    assert 0 < second["warehouse_seconds"].value < 60
