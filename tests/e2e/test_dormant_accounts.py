"""Accounts whose data are old: kept and shown, and never in the way of the others."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import pytest

from resources.settings import PROJECT_ROOT
from tests.e2e import homes
from tests.e2e.homes import SETTINGS, TODAY, Home

pytestmark = [pytest.mark.e2e, pytest.mark.dbt]

HEADER = "date,source,account_id,campaign_name,currency,impressions,clicks,cost,conversions_click\n"
DECIDE = {"dagster/partition": TODAY.isoformat()}


def old_export(year: int, days: int = 1) -> str:
    """A generic long export of one campaign, from 5 January of a year long ago."""
    rows = [f"{year}-01-{5 + day:02d},shop,old,Security last year,USD,1000,10,5.5,1\n" for day in range(days)]
    return HEADER + "".join(rows)


def test_an_old_row_neither_stops_the_morning_nor_is_decided_on(home):
    (home.drop / "old.csv").write_text(old_export(2023))
    assert home.run(TODAY).decided == [TODAY]
    (row,) = home.sql(
        "select eligible, reason, last_report_date from ops.decision_accounts where platform = 'shop'"
    ).rows()
    assert row == (False, "dormant: no report day in the 365 days before this morning", None)
    assert home.sql("select count(*) n from ops.decision_accounts where eligible")["n"][0] == 4


def test_exports_of_another_year_then_the_demo_in_one_home(tmp_path):
    home = Home(tmp_path / "home")
    exports = tmp_path / "exports"
    exports.mkdir()
    (exports / "old.csv").write_text(old_export(2023, days=20))
    real = {"AELP_SETTINGS": str(PROJECT_ROOT / "aelp.real.yaml"), "AELP_DROP": str(exports)}
    alone = home.run(TODAY, **real)
    assert not alone.decided
    assert home.said[-1].startswith("Nothing to decide")

    homes.build_sandbox(home.drop, homes.SCALE, SETTINGS.seed, TODAY, images=home.path / "creative_images")
    assert home.run(TODAY).decided == [TODAY]
    reasons = dict(home.sql("select platform, reason from ops.decision_accounts").iter_rows())
    assert reasons["shop"].startswith("dormant")
    assert reasons["meta"] == "audit passed, data fresh"


def test_a_morning_without_an_eligible_account_says_which_why_and_what_to_do(home):
    late = TODAY + timedelta(days=SETTINGS.max_data_age_days + 1)
    outcome = home.execute("decide", late, {"dagster/partition": late.isoformat()})
    failures = {
        check.check_name: check for check in outcome.get_asset_check_evaluations() if not check.passed
    }
    # Files alone do not tell what is spent within the day: said, and no reason to stop.
    assert set(failures) == {"someone_may_be_decided_on", "todays_spend_is_readable"}
    assert failures["todays_spend_is_readable"].severity == dg.AssetCheckSeverity.WARN
    failed = failures["someone_may_be_decided_on"]
    for platform in ("google_ads", "linkedin", "meta", "tiktok"):
        assert f"{platform}/" in failed.description
    assert "stale: newest report day" in failed.description
    assert "Land newer exports" in failed.description
