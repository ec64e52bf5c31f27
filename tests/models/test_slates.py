"""Slates: honest ranking, cents that add up, and no lucky winners."""

import time
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from models.rewards import RewardDefinition
from models.slates import SlateRules, build_slates, launch_budgets
from resources.warehouse.tables import SLATES

AS_OF = date(2026, 6, 30)
REWARD = RewardDefinition("click1_view025_v1")
CERTAIN = RewardDefinition("certain", click_sd=0.0, view_sd=0.0)
MONEY = pl.Decimal(38, 9)
CAPS = {"security": 240.0, "balance": 200.0}
BUDGETS = {"security": Decimal("4800.00"), "balance": Decimal("1000.01")}
ACCOUNTS = pl.DataFrame({"platform": ["meta"], "account_id": ["a1"], "maturity_days": [14]})


def creative_days(rates, daily_spend, *, seed, track="security", ages=range(1, 43), ctr=0.01) -> pl.DataFrame:
    """Creatives with true signups per dollar `rates`; impressions at 10 dollars per thousand."""
    rng = np.random.default_rng(seed)
    count = len(rates)
    spend = np.round(np.broadcast_to(daily_spend, count), 2)
    impressions = (spend * 100).astype(int) + 1
    return pl.concat(
        [
            pl.DataFrame(
                {
                    "date": [AS_OF - timedelta(days=age)] * count,
                    "platform": ["meta"] * count,
                    "account_id": ["a1"] * count,
                    "track": [track] * count,
                    "creative_id": [f"{track[0]}{i:06d}" for i in range(count)],
                    "impressions": impressions,
                    "clicks": rng.binomial(impressions, ctr),
                    "cost": pl.Series(spend).cast(MONEY),
                    "conversions_click": pl.Series(rng.poisson(rates * spend)).cast(MONEY),
                    "conversions_view": pl.Series(np.zeros(count)).cast(MONEY),
                    "is_matured": [True] * count,
                }
            )
            for age in ages
        ]
    )


def slates(
    days,
    *,
    seed=1,
    budgets=None,
    rules=None,
    caps=None,
    reward=REWARD,
    accounts=ACCOUNTS,
    draws=1920,
    launched=None,
    multipliers=None,
):
    caps = caps or CAPS
    return build_slates(
        days,
        accounts,
        as_of_date=AS_OF,
        window_days=28,
        prior_conversions=2.0,
        caps=caps,
        budgets=budgets or BUDGETS,
        rules=rules or SlateRules(),
        reward=reward,
        draws=draws,
        rng=np.random.default_rng(seed),
        launched=launched,
        multipliers=multipliers,
    )


@pytest.fixture(scope="module")
def days():
    rng = np.random.default_rng(0)
    return pl.concat(
        [
            creative_days(rng.gamma(8, 1 / (8 * 200), 40), rng.gamma(2, 20, 40), seed=1, track=track)
            for track in CAPS
        ]
    )


@pytest.fixture(scope="module")
def slate(days):
    return slates(days)


def test_the_rows_are_those_of_the_warehouse_table(slate):
    assert SLATES.conform(slate).height == 16
    assert slate.columns == SLATES.column_names
    assert set(slate["status"]) == {"paused"}
    for track in CAPS:
        assert slate.filter(pl.col("track") == track)["rank"].to_list() == list(range(1, 9))


def test_budgets_add_up_to_the_cent_and_split_by_role(slate):
    for track, launch in BUDGETS.items():
        rows = slate.filter(pl.col("track") == track)
        assert set(rows["role"]) == {"exploit", "explore"}
        assert rows["budget"].sum() == launch
        explore = rows.filter(pl.col("role") == "explore")["budget"].sum()
        assert explore == (launch * Decimal("0.2")).quantize(Decimal("0.01"), rounding="ROUND_FLOOR")
        assert all(budget * 100 == int(budget * 100) for budget in rows["budget"])


def test_ranks_follow_p_best_and_quantiles_are_ordered(slate):
    for track in CAPS:
        best = slate.filter(pl.col("track") == track)["p_best"].to_list()
        assert best == sorted(best, reverse=True)
        assert 0 < sum(best) <= 1 + 1e-9
    for metric in ("signups", "cac"):
        assert (slate[f"{metric}_p10"] <= slate[f"{metric}_p50"]).all()
        assert (slate[f"{metric}_p50"] <= slate[f"{metric}_p90"]).all()


def test_p_best_of_two_creatives_sums_to_one():
    rows = slates(creative_days(np.array([1 / 110, 1 / 120]), 100.0, seed=3), caps={"security": 240.0})
    assert rows["p_best"].sum() == pytest.approx(1)


def test_a_creative_that_breaks_the_stop_rule_is_not_launched():
    rates = np.array([1 / 150, 1 / 2000, 1 / 160])
    chosen = slates(creative_days(rates, 200.0, seed=4), caps={"security": 240.0})["creative_id"]
    assert set(chosen) == {"s000000", "s000002"}


def test_the_untested_explore_and_the_proven_exploit():
    proven = creative_days(np.full(4, 1 / 150), 300.0, seed=5)
    fresh = creative_days(np.full(4, 1 / 150), 50.0, seed=6, ages=range(1, 10)).with_columns(
        creative_id=pl.concat_str(pl.lit("new"), "creative_id")
    )
    rows = slates(pl.concat([proven, fresh]), caps={"security": 240.0})
    roles = dict(rows.select("creative_id", "role").iter_rows())
    assert {name for name, role in roles.items() if role == "explore"} == {f"news00000{i}" for i in range(4)}
    assert {name for name, role in roles.items() if role == "exploit"} == {f"s00000{i}" for i in range(4)}


def test_money_of_a_role_without_creatives_stays_unspent():
    rows = slates(creative_days(np.full(3, 1 / 150), 300.0, seed=5), caps={"security": 240.0})
    assert set(rows["role"]) == {"exploit"}
    assert rows["budget"].sum() == Decimal("3840.00")


def test_only_recent_delivery_competes():
    old = creative_days(np.full(3, 1 / 100), 300.0, seed=5, ages=range(30, 43))
    assert slates(old, caps={"security": 240.0}).height == 0
    assert slates(old.clear(), caps={"security": 240.0}).height == 0
    strangers = ACCOUNTS.with_columns(account_id=pl.lit("a2"))
    assert (
        slates(
            creative_days(np.full(3, 0.01), 300.0, seed=5), caps={"security": 240.0}, accounts=strangers
        ).height
        == 0
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_an_earlier_launch_carries_does_not_compete_and_still_teaches_the_others(days, slate, seed):
    rng = np.random.default_rng(seed)
    carried = slate.filter(pl.Series(rng.random(slate.height) < 0.4)).select(
        "track", "platform", "account_id", "creative_id"
    )
    rows = slates(days, launched=carried)
    key = carried.columns
    assert carried.height
    assert rows.join(carried, on=key, how="semi").is_empty()
    assert rows.group_by("track").len()["len"].to_list() == [8, 8], "the next best take their places"
    both = rows.join(slate, on=key)
    assert both.height >= 8
    assert both["p_meets_cap"].to_list() == both["p_meets_cap_right"].to_list()
    for track, launch in BUDGETS.items():
        assert rows.filter(pl.col("track") == track)["budget"].sum() == launch
    elsewhere = carried.with_columns(track=pl.lit("none"))
    assert slates(days, launched=elsewhere).equals(slate)


def test_without_room_the_slate_is_shown_with_nothing_to_spend(days):
    rows = slates(days, budgets={"security": Decimal(0), "balance": Decimal(0)})
    assert rows["budget"].sum() == 0
    assert (rows["signups_p90"] == 0).all()


def test_the_same_seed_replays_whatever_the_row_order(days, slate):
    assert slates(days.sample(fraction=1, shuffle=True, seed=8)).equals(slate)
    assert not slates(days, seed=2).equals(slate)


def test_p_one_click_is_the_beta_binomial():
    """Against draws: CTR from its beta posterior, then a binomial count."""
    rows = slates(
        creative_days(np.full(2, 1 / 150), 1.0, seed=9, ctr=0.002), caps={"security": 240.0},
        rules=SlateRules(screening_impressions=300),
    )  # fmt: skip
    source = creative_days(np.full(2, 1 / 150), 1.0, seed=9, ctr=0.002)
    recent = source.filter(pl.col("date") >= AS_OF - timedelta(days=28))
    clicks, shown = recent["clicks"].sum(), recent["impressions"].sum()
    ctr = (clicks + 1) / (shown + 200)
    rng = np.random.default_rng(1)
    for row in rows.iter_rows(named=True):
        own = recent.filter(pl.col("creative_id") == row["creative_id"])
        rate = rng.beta(
            2 + own["clicks"].sum(), 2 / ctr - 2 + own["impressions"].sum() - own["clicks"].sum(), 400_000
        )
        assert row["p_one_click"] == pytest.approx(1 - ((1 - rate) ** 300).mean(), abs=0.002)


def test_more_clicks_than_impressions_do_not_break_the_slate():
    days = creative_days(np.full(3, 1 / 150), 50.0, seed=9).with_columns(clicks=pl.col("impressions") * 3)
    rows = slates(days, caps={"security": 240.0})
    assert rows["p_one_click"].is_between(0, 1).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_selected_creatives_keep_what_their_slate_promised(seed):
    """Winner's curse: of 2,000 creatives with little data, the chosen ones' raw rates promise too much."""
    rng = np.random.default_rng(100 + seed)
    rates = rng.gamma(6, 1 / (6 * 200), 2000)
    spend = rng.gamma(0.5, 40, 2000)
    days = creative_days(rates, spend, seed=seed)
    rows = slates(days, caps={"security": 240.0}, reward=CERTAIN, rules=SlateRules(size=30), seed=seed)
    index = [int(name[1:]) for name in rows["creative_id"]]
    true = rates[index].mean()
    promised = (1 / rows["cac_p50"].to_numpy()).mean()
    matured = days.filter(pl.col("date").is_between(AS_OF - timedelta(days=42), AS_OF - timedelta(days=15)))
    raw = (
        rows.select("creative_id")
        .join(
            matured.group_by("creative_id").agg(
                pl.col("conversions_click").sum().cast(pl.Float64), pl.col("cost").sum().cast(pl.Float64)
            ),
            on="creative_id",
        )
        .select(pl.col("conversions_click") / pl.col("cost"))
        .to_series()
        .mean()
    )
    print(f"seed {seed}: promised/true {promised / true:.2f}, raw/true {raw / true:.2f}")
    assert 0.8 < promised / true < 1.2
    assert raw / true > 1.3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_slates_of_small_fields_keep_their_promise_on_average_where_raw_rates_promise_a_third_too_much(seed):
    """Thirty fields of 40 creatives with one or two conversions each: the usual week of a small track."""
    rng = np.random.default_rng(200 + seed)
    promised = raw = true = 0.0
    for field in range(30):
        rates, spend = rng.gamma(6, 1 / (6 * 200), 40), 1 + rng.gamma(0.5, 20, 40)
        days = creative_days(rates, spend, seed=1000 * seed + field)
        rows = slates(days, caps={"security": 240.0}, reward=CERTAIN, rules=SlateRules(size=8), draws=960)
        index = [int(name[1:]) for name in rows["creative_id"]]
        matured = days.filter(
            pl.col("date").is_between(AS_OF - timedelta(days=42), AS_OF - timedelta(days=15))
        )
        sums = matured.group_by("creative_id").agg(pl.col("conversions_click", "cost").sum().cast(pl.Float64))
        chosen = rows.select("creative_id").join(sums, on="creative_id", how="left", maintain_order="left")
        dollars = rows["budget"].cast(pl.Float64).to_numpy()
        true += dollars @ rates[index]
        promised += dollars @ (1 / rows["cac_p50"].to_numpy())
        raw += dollars @ (chosen["conversions_click"] / chosen["cost"]).to_numpy()
    assert 0.85 < promised / true < 1.15
    assert raw / true > 1.33


def test_launch_money_respects_share_room_total_and_over_delivery():
    caps = {"security": Decimal(30_000), "balance": Decimal(30_000)}

    def launch(total="60000", **committed):
        return launch_budgets(
            {track: Decimal(amount) for track, amount in committed.items()},
            caps,
            Decimal(total),
            launch_share=0.2,
            overdelivery=0.25,
        )

    assert launch() == {"security": Decimal("4800.00"), "balance": Decimal("4800.00")}
    assert launch(security="23000")["security"] == Decimal("1000.00")
    assert launch(security="24500")["security"] == Decimal("0.00")
    tight = launch(total="15000", security="2000", unassigned="7000")  # 12,000 - 9,000 left for both
    assert tight == {"security": Decimal("1500.00"), "balance": Decimal("1500.00")}
    unknown = launch_budgets(None, caps, Decimal(60_000), launch_share=0.2, overdelivery=0.25)
    assert unknown == {"security": Decimal(0), "balance": Decimal(0)}


@pytest.mark.parametrize("bad", [{"size": 0}, {"explore_share": 1.2}, {"screening_impressions": 0}])
def test_impossible_rules_are_refused(bad):
    with pytest.raises(ValueError):
        SlateRules(**bad)


def test_negative_measures_and_missing_budgets_are_refused(days):
    with pytest.raises(ValueError, match="negative"):
        slates(days.with_columns(clicks=pl.lit(-1)))
    with pytest.raises(ValueError, match="negative"):
        slates(days.with_columns(cost=pl.lit(Decimal(-1)).cast(MONEY)))
    with pytest.raises(ValueError, match="balance"):
        slates(days, budgets={"security": Decimal(1)})


def test_fifty_thousand_creatives_take_seconds():
    rng = np.random.default_rng(0)
    days = pl.concat(
        [
            creative_days(
                rng.gamma(6, 1 / (6 * 220), 26_000),
                rng.gamma(0.3, 60, 26_000),
                seed=1,
                track=track,
                ages=(1, 20, 30),
            )
            for track in CAPS
        ]
    )
    start = time.process_time()
    rows = slates(days, draws=4000)
    seconds = time.process_time() - start
    print(f"slates over 52,000 creatives: {seconds:.2f} CPU-s")
    assert rows.height == 16
    assert seconds < 8  # 2.4 measured, aim 3; the margin is for a busy machine


def scored(promises, *, new=0):
    """Multipliers of the first creatives of security, the last `new` of them never ran."""
    count = len(promises)
    return pl.DataFrame(
        {
            "track": ["security"] * count,
            "platform": ["meta"] * count,
            "account_id": ["a1"] * count,
            "creative_id": [f"s{i:06d}" for i in range(count)],
            "placement": ["feed"] * count,
            "ctr_multiplier": np.asarray(promises, dtype=float),
            "cvr_multiplier": np.ones(count),
            "has_run": np.arange(count) < count - new,
        }
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_scores_that_came_true_choose_new_creatives(seed):
    rng = np.random.default_rng(seed)
    promise = np.exp(rng.normal(0.0, 0.35, 80))
    truth = promise * np.exp(rng.normal(0.0, 0.1, 80)) / 200
    ran = creative_days(truth[:60], 60.0, seed=seed)
    rules = SlateRules(explore_share=1.0)
    rows = slates(ran, caps={"security": 240.0}, multipliers=scored(promise, new=20), rules=rules)
    new = rows.filter(pl.col("creative_id") >= "s000060")
    assert new.height >= 3
    chosen = new["creative_id"].str.slice(1).cast(int).to_numpy()
    assert truth[chosen].mean() > np.quantile(truth[60:], 0.7)
    # What they were promised shows, without the luck of the best of many.
    assert (new["score_multiplier"] > 1.0).all()
    assert (new["score_multiplier"].to_numpy() <= promise[chosen]).all()


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_scores_that_did_not_come_true_move_nothing(seed):
    rng = np.random.default_rng(seed)
    promise = np.exp(rng.normal(0.0, 0.35, 60))
    ran = creative_days(np.exp(rng.normal(0.0, 0.3, 60)) / 200, 120.0, seed=seed)
    rows = slates(ran, caps={"security": 240.0}, multipliers=scored(promise))
    chosen = rows["creative_id"].str.slice(1).cast(int).to_numpy()
    trust = np.log(rows["score_multiplier"].to_numpy()) / np.log(promise[chosen])
    assert (trust < 0.15).all()


def test_without_scores_nothing_that_never_ran_competes(days):
    assert slates(days, multipliers=scored([1.5] * 3, new=3).clear()).equals(slates(days))
    assert (slates(days)["score_multiplier"] == 1.0).all()


def test_a_new_creative_is_judged_at_its_track_s_rate_times_its_score():
    ran = creative_days(np.full(40, 1 / 200), 200.0, seed=7)
    rows = slates(
        ran,
        caps={"security": 240.0},
        multipliers=scored([1.0] * 40 + [0.5], new=1),
        rules=SlateRules(size=60),
    )
    # Twice its track's CAC would break the cap: as everything else, it must meet it to be launched.
    assert rows.filter(pl.col("creative_id") == "s000040").is_empty()
