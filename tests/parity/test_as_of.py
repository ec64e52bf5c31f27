"""Tables as they were known while the three steps landed, built again from what is landed by now.

Here: from DuckDB. Not here: from BigQuery, whose builds are `test_marts`' worker's alone: they take minutes.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aelp_assets.as_of import Past
from aelp_assets.catalogue import Catalogue
from resources.history.written import NotKept
from resources.settings import SettingsError, read_environment
from tests.parity.conftest import Build
from tests.parity.landed import AFTER_FIRST, LANDINGS, finished

pytestmark = pytest.mark.dbt

NOW = max(finished(landing.batch) for landing in LANDINGS)
CATALOGUES: dict[str, Catalogue] = {}


@pytest.fixture(scope="module")
def home(on_duckdb: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished warehouse in a home of these tests' own; no run wrote it, so no event log tells of it."""
    folder = tmp_path_factory.mktemp("as_of") / "home"
    folder.mkdir()
    shutil.copy(Path(on_duckdb.project.variables["AELP_HOME"]) / "warehouse.duckdb", folder)
    return folder


def past(home: Path, moment: datetime, rules: str = "now") -> Past:
    environment = read_environment({"AELP_HOME": str(home)})
    catalogue = CATALOGUES.setdefault("", Catalogue(environment))
    return Past(environment, catalogue, moment, ZoneInfo("America/New_York"), rules)  # type: ignore[arg-type]


def rows(home: Path, table: str, moment: datetime, rules: str = "now") -> pl.DataFrame:
    then = past(home, moment, rules)
    found = then.known(then.catalogue.find(table)).rows
    return found.sort(found.columns, nulls_last=True)


# A restated day, an ad that vanished from it, conversions that came late: all as they were told first.
@pytest.mark.parametrize("table", ["gaelp_training.reward_daily", "gaelp_training.meta_ad_performance"])
def test_a_mart_of_then_is_what_was_built_then(home, on_duckdb, table):
    then = rows(home, table, AFTER_FIRST)
    assert then.equals(on_duckdb.first_day[table])
    assert not then.equals(on_duckdb.from_nothing[table])


@pytest.mark.parametrize("table", ["gaelp_training.ads_ad_daily", "intermediate.int_arm_daily"])
def test_a_mart_of_now_is_the_warehouse_s_own_which_stays_as_it_is(home, on_duckdb, table):
    before = (home / "warehouse.duckdb").read_bytes()
    assert rows(home, table, NOW).equals(on_duckdb.from_nothing[table])
    assert (home / "warehouse.duckdb").read_bytes() == before
    assert not list((home / "temporary").glob("as-of-*"))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(minutes=st.integers(-1, 40), stream=st.sampled_from(["meta_ads_insights", "orders", "levers"]))
def test_no_batch_that_was_completed_later_is_ever_known(home, minutes, stream):
    moment = datetime(2026, 6, 11, tzinfo=UTC) + timedelta(minutes=minutes)
    known = rows(home, "ops.ingest_slices", moment)
    assert known.filter(pl.col("completed_at") > moment).is_empty()
    complete = known.filter(pl.col("status") == "complete", pl.col("stream") == stream)
    assert set(rows(home, f"raw.{stream}", moment)["_batch_id"]) <= set(complete["data_batch_id"])


def test_rules_nobody_knows_the_moment_of_are_refused_unless_those_of_now_are_asked_for(home):
    with pytest.raises(NotKept, match=r"built from ops\.\w+, and .*`--rules now` builds it"):
        rows(home, "gaelp_training.reward_daily", AFTER_FIRST, rules="then")


def test_a_table_nobody_knows_is_refused_with_names_like_it(home):
    catalogue = past(home, NOW).catalogue
    with pytest.raises(SettingsError, match=r"no such table. Did you mean .*gaelp_training\.ads_ad_daily"):
        catalogue.find("ads_ad_dialy")
    with pytest.raises(SettingsError, match="names no table"):
        catalogue.find('orders"; drop table x')
    assert str(catalogue.find("ads_ad_daily").name) == "gaelp_training.ads_ad_daily"
    assert catalogue.find("ads_ad_daily").grain == ("platform", "account_id", "ad_id", "date")
