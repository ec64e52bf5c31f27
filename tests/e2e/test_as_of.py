"""Yesterday's tables as they were known then, asked for after today's morning restated three of its days."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import polars as pl
import pytest
from typer.testing import CliRunner

from aelp_assets.as_of import Past
from aelp_assets.catalogue import Catalogue
from aelp_assets.cli import app
from resources.history.written import NotKept
from resources.warehouse.tables import PYTHON_TABLES
from tests.e2e.homes import SETTINGS, TODAY, TOMORROW, Home

pytestmark = [pytest.mark.e2e, pytest.mark.dbt]


def _as_of(home: Home, table: str, day: date, folder, *more: str) -> pl.DataFrame:
    target = folder / f"{table}.xlsx"
    with home.entered(TOMORROW):
        asked = ["as-of", table, day.isoformat(), "--xlsx", str(target), "--replace", *more]
        result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, f"{result.output}{result.exception}"
    return pl.read_excel(target, sheet_name=table)


def test_after_tomorrow_s_morning_today_s_tables_are_told_as_they_were(finished, next_day, tmp_path):
    (before, _), (after, _) = finished, next_day
    then = before.sql("select * from gaelp_training.ads_ad_daily")
    now = after.sql("select * from gaelp_training.ads_ad_daily where date < $day", day=TODAY)
    known = _as_of(after, "ads_ad_daily", TODAY, tmp_path)
    figures = ["impressions", "clicks", "cost", "conversions", "revenue"]
    told, was, became = ([float(rows[name].sum()) for name in figures] for rows in (known, then, now))
    assert told == pytest.approx(was, rel=1e-9)  # a cell is a double
    assert told != pytest.approx(became, rel=1e-9)
    assert known.height == then.height

    decided = before.sql("select * from gaelp_training.bandit_decisions order by all")
    known = _as_of(after, "bandit_decisions", TODAY, tmp_path)
    assert set(known["as_of_date"]) == {TODAY}
    assert set(known["decision_id"]) == set(decided["decision_id"])
    assert set(_as_of(after, "bandit_decisions", TOMORROW, tmp_path)["as_of_date"]) == {TODAY, TOMORROW}


@pytest.mark.parametrize("table", ["raw.levers", "ops.ingest_slices", "ads_ad_daily"])
def test_while_the_clock_stands_still_what_is_known_today_is_all_there_is(finished, tmp_path, table):
    home, _ = finished
    asked = {"known": ["as-of", table, TODAY.isoformat()], "all": ["export", table]}
    with home.entered(TODAY):
        for name, words in asked.items():
            result = CliRunner().invoke(app, [*words, "--csv", str(tmp_path / name)])
            assert result.exit_code == 0, f"{result.output}{result.exception}"
    known, everything = (sorted((tmp_path / name).read_text().splitlines()) for name in asked)
    assert known == everything
    assert len(known) > 1


def test_every_table_python_writes_holds_what_the_event_log_says_of_it(next_day):
    home, _ = next_day
    end = datetime.combine(TOMORROW + timedelta(days=1), time(), SETTINGS.timezone)
    others, refused = [], []
    with home.entered(TOMORROW) as environment:
        past = Past(environment, Catalogue(environment), end, SETTINGS.timezone)
        for name, table in PYTHON_TABLES.items():
            try:
                known = past.known(past.catalogue.find(name)).rows
            except NotKept:
                refused.append(name)
                continue
            if not known.sort(pl.all()).equals(home.warehouse().read(table.name).sort(pl.all())):
                others.append(name)
    assert refused == ["ops.transformed_days"]  # bookkeeping of the marts, no asset
    assert others == []
