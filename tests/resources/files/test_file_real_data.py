"""The public exports: totals to the cent, every other file listed with a reason, the audit's verdicts."""

from __future__ import annotations

import csv
import json
from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from models.plausibility import audit_accounts
from resources.settings import read_environment
from resources.warehouse import open_warehouse

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def landed(tmp_path_factory, exports, shared_data):
    folder = tmp_path_factory.mktemp("real")
    bench = exports.bench(folder, open_warehouse(read_environment({"AELP_HOME": str(folder / "home")})))
    bench.folder = shared_data
    return bench, bench.land([])


def payloads(bench, stream: str, source: str) -> pl.DataFrame:
    rows = bench.rows(stream).filter(source=source)
    values = pl.DataFrame([json.loads(text) for text in rows["payload"]], infer_schema_length=None)
    return pl.concat([rows.drop("payload"), values], how="horizontal")


def total(frame: pl.DataFrame, name: str) -> Decimal:
    return sum((Decimal(text) for text in frame[name].drop_nulls()), Decimal(0))


def test_the_advertising_sets_are_recognised_and_everything_else_listed_with_a_reason(landed, shared_data):
    _, report = landed
    assert {file.format for file in report.files if file.outcome == "loaded"} >= {
        "kag_facebook",
        "conjura_weekly",
        "online_ad_performance",
        "synthetic_rejects_facebook_vs_adwords",
    }
    every = {p.relative_to(shared_data).as_posix() for p in shared_data.rglob("*") if p.is_file()}
    assert {file.path for file in report.files} | {file.path for file in report.unrecognised} == every
    assert all(len(file.reason) > 10 for file in report.unrecognised)
    assert not report.unsettled


def test_kag_totals_are_the_accounts_own_to_the_cent(landed):
    kag = payloads(landed[0], "file_period_performance", "kag_facebook")
    assert kag.height == 1143
    assert total(kag, "impressions") == 213_434_828
    assert total(kag, "clicks") == 38_165
    assert total(kag, "cost") == Decimal("58705.23")
    assert kag["report_date"].null_count() == kag.height
    assert kag["period"].unique().to_list() == ["undated"]


def test_online_ad_performance_lands_the_advertisers_spend_by_day_and_placement(landed, shared_data):
    online = payloads(landed[0], "file_ad_performance", "online_ad_performance")
    (path,) = (shared_data / "online_ad_performance").glob("*apr_may.csv")
    with path.open(encoding="utf-8") as stream:
        source = list(csv.DictReader(stream))
    for column, field in (
        ("displays", "impressions"),
        ("clicks", "clicks"),
        ("revenue", "cost"),
        ("post_click_conversions", "conversions_click"),
        ("post_click_sales_amount", "revenue"),
    ):
        assert total(online, field) == sum(Decimal(row[column]) for row in source), field
    assert online.height == len(source) == 10_972
    assert (online["report_date"].min(), online["report_date"].max()) == (date(2020, 4, 1), date(2020, 5, 31))
    assert online["breakdown_set"].unique().to_list() == ["placement"]
    assert online.filter(placement="unknown").height == 287
    assert "camp 1|728 x 90" in set(online["ad_id"])
    assert online["ad_id"].n_unique() == len({(r["campaign_number"], r["banner"]) for r in source})


def test_rows_with_more_conversions_than_clicks_are_flagged_where_conversions_are_by_click(landed):
    bench, _ = landed
    flagged = bench.table("ops.quarantine").filter(severity="flagged")
    assert flagged.group_by("source").len().rows() == [("online_ad_performance", 99)]


def test_conjura_lands_a_row_per_week_and_channel(landed):
    conjura = payloads(landed[0], "media_history", "conjura")
    assert conjura.height == 106 * 8
    assert conjura["period"].n_unique() == 106
    assert conjura["period_start"].min() == "2021-11-22"
    assert (
        conjura["period_end"].str.to_date() - conjura["period_start"].str.to_date()
    ).dt.total_days().unique().to_list() == [6]
    facebook = conjura.filter(track="apparel", channel="meta_facebook", period_start="2021-11-22")
    assert facebook["spend"].to_list() == ["1951331.49"]
    assert conjura.filter(period_start="2021-11-22")["new_customers"].unique().to_list() == ["517"]
    assert "clicks" not in conjura.columns


def test_the_negative_control_lands_on_the_days_its_campaigns_name(landed):
    rejects = payloads(landed[0], "file_ad_performance", "facebook_vs_adwords")
    assert rejects.group_by("account_id").len().sort("account_id").rows() == [
        ("adwords", 365),
        ("facebook", 365),
    ]
    assert rejects["report_date"].n_unique() == 365
    month = rejects["report_date"].dt.to_string("%b%y")
    assert (rejects["campaign_name"].str.slice(3) == month).all()


def account_days(rows: pl.DataFrame) -> pl.DataFrame:
    """`int_account_days` as the contract says it, from landed rows."""
    number = {
        name: pl.col(name).cast(pl.Float64) for name in ("impressions", "clicks", "cost", "conversions_click")
    }
    ads = rows.group_by("source", "account_id", "report_date", "campaign_id", "ad_id").agg(
        expression.sum() for expression in number.values()
    )
    digit = (
        pl.format("{}", pl.col("cost"))
        .str.replace_all(r"[.\-]|e.*", "")
        .str.strip_chars_start("0")
        .str.head(1)
    )
    return (
        ads.with_columns(digit=digit)
        .group_by(pl.col("report_date").alias("date"), pl.col("source").alias("platform"), "account_id")
        .agg(
            pl.len().alias("rows"),
            pl.col("impressions", "clicks", "cost", "conversions_click").sum(),
            pl.lit(0.0).alias("conversions_view"),
            *(
                (pl.col("digit") == str(d)).sum().cast(pl.Int64).alias(f"cost_digit_{d}")
                for d in range(1, 10)
            ),
        )
    )


@pytest.fixture(scope="module")
def audits(landed) -> pl.DataFrame:
    bench, _ = landed
    daily = pl.concat(
        account_days(payloads(bench, "file_ad_performance", source))
        for source in ("online_ad_performance", "facebook_vs_adwords")
    )
    periods = payloads(bench, "file_period_performance", "kag_facebook").select(
        pl.col("source").alias("platform"),
        "account_id",
        pl.lit(None, dtype=pl.Date).alias("period_start"),
        *(
            pl.col(n).cast(pl.Float64).fill_null(0)
            for n in ("impressions", "clicks", "cost", "conversions_click")
        ),
    )
    return audit_accounts(daily, periods)


def test_the_audit_passes_the_real_sets_and_fails_the_negative_control(audits):
    verdicts = dict(audits.select("account_id", "decision_eligible").unique().iter_rows())
    assert verdicts == {
        "display_firm": True,
        "kag": True,
        "facebook": False,
        "adwords": False,
    }


def test_the_negative_control_fails_on_more_than_one_ground(audits):
    failed = audits.filter(pl.col("account_id").is_in(["facebook", "adwords"]), status="failed")
    assert failed.group_by("account_id").len()["len"].to_list() == [3, 3]


def test_undated_accounts_skip_the_checks_that_need_days(audits):
    kag = audits.filter(account_id="kag", check_name="spend_persists").row(0, named=True)
    assert kag["status"] == "skipped"
    assert "no days" in kag["detail"]


def test_no_verdict_hangs_by_a_thread(audits):
    """Every decisive statistic lies at least 0.08 from its threshold."""
    decisive = audits.filter(
        pl.col("check_name").is_in(
            ["spend_moves_with_clicks", "clicks_move_with_impressions", "spend_persists"]
        ),
        pl.col("status") != "skipped",
    )
    margins = (decisive["statistic"] - decisive["threshold"]).abs()
    assert margins.min() > 0.08
