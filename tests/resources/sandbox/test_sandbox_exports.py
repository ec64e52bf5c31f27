"""Facts about the files a sandbox leaves in the drop folder and in the study and truth folders."""

from __future__ import annotations

import hashlib
import shutil
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from scipy import stats

from resources.sandbox import SandboxSummary, build_sandbox, export_next_day, simulate_account
from resources.sandbox.exports import history_windows
from resources.sandbox.frames import Reports, Window
from resources.sandbox.truth import read_truth

TODAY = date(2026, 6, 30)
META_HEADER = (
    "Reporting starts,Reporting ends,Account ID,Account name,Campaign ID,Campaign name,Ad set ID,Ad set name,"
    "Ad ID,Ad name,Creative ID,Currency,Impressions,Reach,Clicks (all),Link clicks,Unique link clicks,"
    "Amount spent (USD),Purchases (7-day click),Purchases (1-day view),"
    "Purchases conversion value (7-day click),Purchases conversion value (1-day view)"
)
HEADERS = {
    "meta/ads": META_HEADER,
    "meta/ads_by_placement": META_HEADER.replace("Unique link clicks,", "").replace(
        "Currency,", "Currency,Platform,Placement,Impression device,"
    ),
    "google_ads/ad_performance": "Day,Customer ID,Account name,Campaign ID,Campaign,Ad group ID,"
    "Ad group,Ad ID,Network (with search partners),Device,Currency code,Impr.,Clicks,Cost,Conversions,"
    "View-through conv.,Conv. value",
    "tiktok/ads": "By Day,Advertiser ID,Advertiser name,Campaign ID,Campaign name,Ad group ID,Ad group name,"
    "Ad ID,Ad name,Currency,Impressions,Clicks (destination),Cost,Conversions (click),Conversions (view),"
    "Total purchase value",
    "linkedin/ads": "Start Date (in UTC),Account ID,Account Name,Campaign Group ID,Campaign Group Name,"
    "Campaign ID,Campaign Name,Ad ID,Ad Name,Currency,Impressions,Clicks,Total Spent,"
    "Conversions (post-click),Conversions (post-view),Total Conversion Value",
    "agency/media_history": "week_start,track,channel,currency,spend,impressions,clicks,conversions_click,"
    "conversions_view,promotion_share,new_customers,revenue",
    "experiments/split_tests": "test_id,test_name,platform,account_id,track,kind,primary_metric,arm,"
    "planned_share,report_date,device,users,impressions,link_clicks,conversions_click,conversions_view,orders,spend",
    "backend/orders": "order_id,store_id,ordered_at,customer_id,currency,value,is_new_customer,track,"
    "refunded_at,trial_started_at,paid_at,utm_source,utm_campaign,utm_content",
    "creatives/creatives": "source,account_id,snapshot_date,creative_id,creative_name,format,headline,body,"
    "call_to_action,link_url,image_file,image_hash,theme,created_on",
    "levers/levers": "source,account_id,snapshot_date,lever_id,lever_level,campaign_id,entity_id,entity_name,"
    "budget_type,currency,budget,minimum_budget,budget_increment,is_shared,learning_state,last_edited_at,"
    "status,budget_id",
}


def build(folder: Path, seed: int = 7) -> SandboxSummary:
    return build_sandbox(
        folder / "drop",
        "tiny",
        seed,
        TODAY,
        images=folder / "creative_images",
        studies=folder / "studies",
        truth=folder / "truth",
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SandboxSummary]:
    folder = tmp_path_factory.mktemp("sandbox")
    return folder, build(folder)


def read(summary: SandboxSummary, stream: str) -> list[pl.DataFrame]:
    skip = 2 if stream.startswith("google") else 0
    frames = []
    for file in summary.files:
        if file.stream == stream:
            frame = pl.read_csv(file.path, skip_rows=skip, infer_schema_length=None)
            frames.append(frame.filter(~pl.col(frame.columns[0]).str.starts_with("Total")))
    return frames


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_writes_the_same_bytes_at_the_same_times(built, tmp_path: Path):
    folder, _ = built
    build(tmp_path)
    assert digest(tmp_path) == digest(folder)
    times = {str(p.relative_to(folder)): p.stat().st_mtime for p in (folder / "drop").rglob("*.csv")}
    assert times == {
        str(p.relative_to(tmp_path)): p.stat().st_mtime for p in (tmp_path / "drop").rglob("*.csv")
    }


def test_headers_are_those_of_the_platforms(built):
    _, summary = built
    assert {file.stream for file in summary.files} == set(HEADERS)
    for file in summary.files:
        lines = file.path.read_text(encoding="utf-8").splitlines()
        assert lines[2 if file.stream.startswith("google") else 0] == HEADERS[file.stream]


def test_files_carry_the_time_of_their_export_and_no_later_day(built):
    _, summary = built
    for file in summary.files:
        made = datetime.fromtimestamp(file.path.stat().st_mtime, ZoneInfo("America/New_York"))
        assert made.hour == 6
        assert made.date() <= TODAY
        last = file.path.stem.rsplit("_to_", 1)[1]
        assert date.fromisoformat(last) < made.date()
    newest = max(file.path.stat().st_mtime for file in summary.files)
    assert datetime.fromtimestamp(newest, ZoneInfo("America/New_York")).date() == TODAY


def test_placements_add_up_to_the_ad_exactly(built):
    _, summary = built
    keys = ["Reporting starts", "Ad ID"]
    metrics = [
        "Impressions",
        "Clicks (all)",
        "Link clicks",
        "Amount spent (USD)",
        "Purchases (7-day click)",
        "Purchases (1-day view)",
        "Purchases conversion value (7-day click)",
        "Purchases conversion value (1-day view)",
    ]
    pairs = list(zip(read(summary, "meta/ads"), read(summary, "meta/ads_by_placement"), strict=True))
    assert len(pairs) == 4
    for total, parts in pairs:
        cents = [(pl.col(m) * 100).round().cast(pl.Int64) for m in metrics]
        summed = parts.group_by(keys).agg(c.sum() for c in cents).sort(keys)
        assert summed.equals(total.select(*keys, *cents).sort(keys))
        assert (total["Unique link clicks"] <= total["Link clicks"]).all()
        assert (total["Reach"] <= total["Impressions"]).all()
        assert total.select(keys).is_unique().all()


def test_restated_days_only_gain_conversions_and_one_ad_day_vanishes(built):
    _, summary = built
    keys = ["Reporting starts", "Ad ID"]
    frames = read(summary, "meta/ads")
    vanished, grew = 0, 0
    for older, newer in pairwise(frames):
        both = older.join(newer, on=keys, suffix="_later")
        for metric in ("Purchases (7-day click)", "Purchases (1-day view)"):
            assert (both[f"{metric}_later"] >= both[metric]).all()
        grew += int((both["Purchases (7-day click)_later"] > both["Purchases (7-day click)"]).sum())
        assert both["Amount spent (USD)"].equals(both["Amount spent (USD)_later"])
        again = newer["Reporting starts"].min()
        vanished += older.filter(pl.col("Reporting starts") >= again).join(newer, on=keys, how="anti").height
    assert grew > 50
    assert vanished == 1


@pytest.mark.parametrize("days", [40, 100, 542])
def test_every_day_is_last_exported_when_its_conversions_are_all_in(days: int):
    windows = history_windows(days)
    for day in range(days):
        last = [w for w in windows if w.first_day <= day <= w.last_day][-1]
        assert last.known_through == days - 1 or last.known_through - day >= 14


def test_campaign_names_say_their_track(built):
    _, summary = built
    for stream, column in (("meta/ads", "Campaign name"), ("google_ads/ad_performance", "Campaign")):
        for frame in read(summary, stream):
            named = frame[column].str.to_lowercase()
            assert (named.str.contains("security") | named.str.contains("balance")).all()


def test_every_spending_ad_has_a_lever_and_every_lever_spends(built):
    _, summary = built
    levers = pl.concat(read(summary, "levers/levers"))
    assert levers.select("source", "snapshot_date", "lever_id").is_unique().all()
    entities = set(levers["entity_id"].cast(pl.String))
    used = set()
    for frame in read(summary, "meta/ads"):
        for campaign, adset in (
            frame.select(pl.col("Campaign ID", "Ad set ID").cast(pl.String)).unique().iter_rows()
        ):
            owner = {campaign, adset} & entities
            assert len(owner) == 1
            used |= owner
    assert used == set(levers.filter(source="meta")["entity_id"].cast(pl.String))
    assert (levers["budget"] >= levers["minimum_budget"]).all()
    assert set(levers["learning_state"]) <= {"learning", "active", "limited"}


def test_levers_show_both_a_launch_and_a_pause_at_demo_scale():
    run = simulate_account("demo", 7, TODAY)
    frame = Reports(run.business, run.ledger)
    assert frame.retraction is not None
    from resources.sandbox.backend_frames import levers_frame

    levers = levers_frame(run.business, run.ledger, Window(0, 99, 99))
    counts = levers.group_by("lever_id").len()
    assert (counts["len"] == 5).sum() == 1  # launched five days before today
    last = levers.filter(snapshot_date="2026-06-29")
    assert (last["status"] == "paused").sum() == 1
    assert last.filter(pl.col("status") == "paused")["budget"].item() > 0
    assert set(last["learning_state"]) == {"learning", "active", "limited"}


def test_orders_know_only_the_past_and_name_real_ads(built):
    _, summary = built
    for frame, window in zip(read(summary, "backend/orders"), history_windows(40), strict=True):
        known = TODAY - timedelta(days=40 - window.known_through)
        for column in ("paid_at", "refunded_at"):
            assert frame[column].drop_nulls().str.slice(0, 10).str.to_date().max() <= known
        assert frame["order_id"].is_unique().all()
    first, *_, last = read(summary, "backend/orders")
    both = first.join(last, on="order_id", suffix="_later")
    assert both["value"].equals(both["value_later"])
    assert both["refunded_at_later"].null_count() <= both["refunded_at"].null_count()
    ads = set(pl.concat(read(summary, "meta/ads"))["Ad ID"].cast(pl.String))
    tagged = last.filter(utm_source="facebook")["utm_content"].cast(pl.String)
    assert len(tagged) > 100
    assert set(tagged) <= ads


def test_images_are_the_ones_the_creatives_name(built):
    folder, summary = built
    creatives = pl.concat(read(summary, "creatives/creatives"))
    assert creatives["headline"].str.len_chars().min() > 5
    for file, image_hash in creatives.select("image_file", "image_hash").unique().iter_rows():
        data = (folder / file).read_bytes()
        assert data.startswith(b"\x89PNG")
        assert hashlib.sha256(data).hexdigest() == image_hash
    meta = set(pl.concat(read(summary, "meta/ads"))["Creative ID"].cast(pl.String))
    assert meta <= set(creatives["creative_id"].cast(pl.String))


def test_the_next_day_exports_yesterday_and_six_days_before(built, tmp_path: Path):
    _, summary = built
    files = export_next_day(tmp_path / "drop", "tiny", 7, TODAY, TODAY + timedelta(days=1))
    frame = pl.read_csv(next(file.path for file in files if file.stream == "meta/ads"))
    assert frame["Reporting starts"].min() == "2026-06-24"
    assert frame["Reporting starts"].max() == "2026-06-30"
    before = read(summary, "meta/ads")[-1]
    keys = ["Reporting starts", "Ad ID"]
    both = before.join(frame, on=keys, suffix="_later")
    assert both.height == before.filter(pl.col("Reporting starts") >= "2026-06-24").height
    assert both["Impressions"].equals(both["Impressions_later"])
    assert (both["Purchases (7-day click)_later"] >= both["Purchases (7-day click)"]).all()


def test_more_history_means_more_days_not_more_rows_a_day():
    one, four = (simulate_account("tiny", 5, TODAY, history=h) for h in (1, 4))
    per_day = [len(run.ledger.ad_days.day) / run.ledger.days for run in (one, four)]
    assert four.ledger.days == 4 * one.ledger.days
    assert per_day[1] == pytest.approx(per_day[0], rel=0.05)


def test_the_truth_is_written_only_where_it_was_asked_for(built, tmp_path: Path):
    folder, _ = built
    assert set(read_truth(folder / "truth")) == {
        "ads",
        "channel_weekly",
        "delays",
        "levers",
        "levers_28d",
        "split_tests",
    }
    build_sandbox(tmp_path / "drop", "tiny", 7, TODAY)
    assert {path.name for path in tmp_path.iterdir()} == {"drop"}
    words = b"".join(path.read_bytes() for path in (tmp_path / "drop").rglob("*.csv"))
    assert b"incremental" not in words


@pytest.mark.parametrize("seed", [1, 7, 20261120])
def test_only_the_broken_split_test_shows_a_sample_ratio_mismatch(seed: int, tmp_path: Path):
    build_sandbox(tmp_path / "drop", "tiny", seed, TODAY, studies=tmp_path / "s", truth=tmp_path / "t")
    tests = pl.read_csv(tmp_path / "s" / "split_tests.csv")
    broken = dict(read_truth(tmp_path / "t")["split_tests"].select("test_id", "broken").iter_rows())
    assert sum(broken.values()) == 1
    for (test_id,), rows in tests.group_by("test_id"):
        arms = rows.group_by("arm").agg(pl.col("users").sum(), pl.col("planned_share").first()).sort("arm")
        users = arms["users"].to_numpy()
        mismatch = stats.chisquare(users, arms["planned_share"].to_numpy() * users.sum()).pvalue
        assert (mismatch < 1e-6) == broken[test_id]
    shutil.rmtree(tmp_path / "drop")


def test_spend_chases_demand_over_three_years_and_brand_search_most_of_all(built):
    folder, _ = built
    spend = pl.read_csv(folder / "studies" / "channel_weekly.csv").filter(track="security")
    outcome = pl.read_csv(folder / "studies" / "outcome_weekly.csv").filter(track="security")
    assert outcome.height == 156
    demand = np.log(outcome["demand_index"].to_numpy())
    weeks = np.arange(156)

    def correlation(channel: str) -> float:
        values = spend.filter(pl.col("channel") == channel).sort("week_start")
        log_spend = np.log(values["spend"].to_numpy())
        still = ~values["is_randomised"].to_numpy()
        log_spend = log_spend - np.polyval(np.polyfit(weeks, log_spend, 1), weeks)
        return float(np.corrcoef(log_spend[still], demand[still])[0, 1])

    assert correlation("meta_prospecting") > 0.2
    assert correlation("google_brand_search") > 0.5
    randomised = spend.filter(pl.col("is_randomised"))
    assert 40 < randomised.height < 140
    caused = (
        read_truth(folder / "truth")["channel_weekly"]
        .group_by("track")
        .agg(pl.col("incremental_orders").sum())
    )
    orders = outcome["new_customers"].sum()
    assert 0.3 < caused.filter(track="security")["incremental_orders"].item() / orders < 0.9


def test_the_agencys_weeks_lead_up_to_the_ledgers_at_one_level(built):
    _, summary = built
    (weeks,) = read(summary, "agency/media_history")
    first_day = str(summary.first_day)
    for (track, channel), rows in weeks.group_by("track", "channel"):
        assert rows.height == rows["week_start"].n_unique() == 156, (track, channel)
        before = rows.filter(pl.col("week_start") < first_day)
        assert before.height >= 130
        # Half a year grows by a fifth at most; demand, pulses and seasons make the rest.
        ratio = (
            before["spend"].tail(26).mean() / rows.filter(pl.col("week_start") >= first_day)["spend"].mean()
        )
        assert 0.6 < ratio < 1.6, (track, channel)
    sold = weeks.group_by("track", "week_start").agg(pl.col("new_customers").n_unique().alias("outcomes"))
    assert sold["outcomes"].to_list() == [1] * sold.height


def test_what_the_agency_tells_of_recent_weeks_is_what_platforms_exported(built):
    _, summary = built
    (weeks,) = read(summary, "agency/media_history")
    tiktok = pl.concat(read(summary, "tiktok/ads")).unique(["By Day", "Ad ID"], keep="last")
    by_week = (
        tiktok.with_columns(pl.col("By Day").str.to_date())
        .group_by(
            pl.col("By Day").dt.truncate("1w").cast(pl.String).alias("week_start"),
            pl.col("Campaign name").str.split(" | ").list.get(1).str.to_lowercase().alias("track"),
        )
        .agg(pl.col("Cost").sum())
    )
    told = weeks.filter(channel="tiktok").join(by_week, on=["week_start", "track"])
    whole = told.filter(pl.col("week_start") >= str(summary.first_day))
    assert whole.height == 10
    assert (whole["spend"] - whole["Cost"]).abs().max() < 0.01
