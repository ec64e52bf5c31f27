"""Scores of ads that have not run: on their placement's scale, bounded, or refused with a reason."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from models.ranking.ad_scores import AD_SCORES_SCHEMA, AdScores, ScoringRules, ad_scores
from models.ranking.candidates import CANDIDATES, TEXT, TRAITS, WORDS
from models.ranking.evidence import Arms
from models.ranking.multipliers import kept_share, lever_multipliers, multipliers_in_force

_PLACES = ("feed", "reels")
_LEVEL = {"feed": -4.5, "reels": -5.5}
_RULES = ScoringRules(screening_impressions=8_000)
_NO_TESTS = pl.DataFrame(
    schema={
        **dict.fromkeys(("creative", "part", "impressions", "clicks"), pl.Int64),
        **dict.fromkeys(("first_day", "last_day"), pl.Date),
    }
)
_KERNEL = {"kernel": CANDIDATES["kernel"], "ridge": CANDIDATES["ridge"]}


class Account:
    """Creatives of one track; the last `new` of them never ran."""

    def __init__(self, seed: int, creatives: int = 240, new: int = 60, impressions: int = 20_000) -> None:
        rng = np.random.default_rng(seed)
        vectors = rng.normal(size=(creatives, 6))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        traits = rng.normal(size=(creatives, 2))
        self.truth = 0.6 * vectors[:, 0] + 0.15 * traits[:, 0]
        self.values = {TEXT: vectors, TRAITS: traits, WORDS: [f"offer {i % 9}" for i in range(creatives)]}
        self.new = np.arange(creatives) >= creatives - new
        rows = []
        for creative in np.flatnonzero(~self.new).tolist():
            for place in _PLACES:
                rate = 1 / (1 + np.exp(-(_LEVEL[place] + self.truth[creative])))
                shown = int(rng.poisson(impressions))
                clicks = int(rng.binomial(shown, rate))
                rows.append(
                    {
                        "creative": creative,
                        "track": "security",
                        "platform": "meta",
                        "account_id": "1",
                        "campaign_id": f"c{creative % 6}",
                        "placement": place,
                        "first_day": date(2026, 1, 1) + timedelta(days=creative),
                        "last_day": date(2026, 2, 1) + timedelta(days=creative),
                        "last_matured_day": date(2026, 1, 18) + timedelta(days=creative),
                        "impressions": shown,
                        "clicks": clicks,
                        "matured_clicks": clicks,
                        "conversions": float(rng.binomial(clicks, 0.05)),
                    }
                )
        self.deliveries = pl.DataFrame(rows)
        self.creatives = pl.DataFrame({"track": ["security"] * creatives, "platform": ["meta"] * creatives})

    def scored(self, rules: ScoringRules = _RULES, deliveries: pl.DataFrame | None = None) -> AdScores:
        return ad_scores(
            self.creatives,
            self.values,
            np.arange(len(self.truth)),
            self.deliveries if deliveries is None else deliveries,
            _NO_TESTS,
            champions={},
            rules=rules,
            generator=np.random.default_rng(1),
            candidates=_KERNEL,
        )


@pytest.fixture(scope="module", params=[1, 2, 3])
def account(request: pytest.FixtureRequest) -> Account:
    return Account(request.param)


@pytest.fixture(scope="module")
def found(account: Account) -> AdScores:
    return account.scored()


def test_ads_that_never_ran_are_ranked_as_they_truly_are(account: Account, found: AdScores) -> None:
    for place in _PLACES:
        rows = found.scores.filter(pl.col("placement") == place).sort("creative")
        score = rows["ctr_score"].to_numpy()[account.new]
        assert spearmanr(score, account.truth[account.new]).statistic > 0.8


def test_scores_are_on_the_placement_s_scale(account: Account, found: AdScores) -> None:
    for place in _PLACES:
        rows = found.scores.filter(pl.col("placement") == place).sort("creative")
        true = 1 / (1 + np.exp(-(_LEVEL[place] + account.truth[account.new])))
        off = np.log(rows["ctr_score"].to_numpy()[account.new] / true)
        assert abs(off.mean()) < 0.1
        assert off.std() < 0.2


def test_the_lower_bound_is_below_and_mostly_holds(account: Account, found: AdScores) -> None:
    rows = found.scores.filter(pl.col("placement") == "feed").sort("creative")
    lower = rows["ctr_lower_bound"].to_numpy()[account.new]
    true = 1 / (1 + np.exp(-(_LEVEL["feed"] + account.truth[account.new])))
    assert np.all(lower < rows["ctr_score"].to_numpy()[account.new])
    assert np.mean(true >= lower) >= 0.85


def test_every_creative_has_a_row_on_every_placement_of_its_track(account: Account, found: AdScores) -> None:
    assert found.scores.schema == AD_SCORES_SCHEMA
    assert found.scores.height == 2 * len(account.truth)
    assert found.scores.select("placement", "creative").is_unique().all()
    assert found.click.promotion is not None
    assert set(found.click.promotion.judged) == {"kernel", "ridge"}


def test_a_ranker_learnt_to_the_last_day_of_its_arms(account: Account, found: AdScores) -> None:
    last = int(np.flatnonzero(~account.new)[-1])
    assert found.click.learnt_through == date(2026, 2, 1) + timedelta(days=last)
    # Later clicks had not matured, and taught CVR nothing.
    if found.conversion.ranker is not None:
        assert found.conversion.learnt_through == date(2026, 1, 18) + timedelta(days=last)


def test_too_few_rivals_score_nothing_and_say_so() -> None:
    small = Account(5, creatives=30, new=5).scored()
    assert small.click.reasons == ("25 creatives competed with enough delivery; 40 are needed.",)
    assert small.scores["ctr_score"].is_nan().all()


def test_a_rate_that_nothing_explains_is_not_scored() -> None:
    account = Account(6)
    rng = np.random.default_rng(60)
    account.values = {
        TEXT: rng.normal(size=(240, 6)),
        TRAITS: rng.normal(size=(240, 2)),
        WORDS: ["offer"] * 240,
    }
    scored = account.scored()
    judged = scored.click.promotion
    assert judged is not None
    assert judged.judged[judged.champion].figures.significant_pairs < 0.65


def test_the_same_account_gives_the_same_scores() -> None:
    account = Account(7)
    shuffled = account.deliveries.sample(fraction=1.0, shuffle=True, seed=3)
    assert account.scored().scores.equals(account.scored(deliveries=shuffled).scores)


def test_clicks_whose_conversions_may_still_come_are_no_failures() -> None:
    account = Account(12)
    rng = np.random.default_rng(12)
    kept = 1 / (1 + np.exp(2.5 - 2.0 * account.truth[account.deliveries["creative"].to_numpy()]))
    ripe = account.deliveries["clicks"].to_numpy()
    # As many clicks again are too young to have converted, of the newer half of the ads alone.
    young = pl.when(pl.col("creative") >= 90).then(pl.col("clicks")).otherwise(0)
    rows = account.deliveries.with_columns(
        conversions=pl.Series(rng.binomial(ripe, kept).astype(float)), clicks=pl.col("clicks") + young
    )
    found = account.scored(deliveries=rows)
    assert found.conversion.levels is not None
    assert found.conversion.levels["trials"].sum() == ripe.sum()
    expected = found.conversion.levels["successes"].sum() / ripe.sum()
    assert expected == pytest.approx(rows["conversions"].sum() / ripe.sum())


def test_impossible_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="later_share"):
        ScoringRules(later_share=1.0)
    with pytest.raises(ValueError, match="1 or more"):
        ScoringRules(fewest_clicks=0)


def test_equal_campaign_ids_of_two_accounts_are_two_campaigns() -> None:
    account = Account(8)
    # The other account's ads all click twice as well: levels are no merit of its creatives.
    other = pl.col("creative") % 2 == 0
    split = account.deliveries.with_columns(
        account_id=pl.when(other).then(pl.lit("2")).otherwise(pl.lit("1")),
        campaign_id=pl.lit("c1"),
        clicks=pl.when(other).then(2 * pl.col("clicks")).otherwise("clicks"),
    )
    scores = account.scored(deliveries=split).scores.filter(placement="feed").sort("creative")
    new = scores["ctr_score"].to_numpy()[account.new]
    assert spearmanr(new, account.truth[account.new]).statistic > 0.7


def test_creatives_without_any_text_are_ranked_by_what_they_have() -> None:
    account = Account(9)
    account.values = {TRAITS: np.column_stack([account.truth, account.truth**2])}
    scored = account.scored()
    assert scored.click.promotion is not None
    assert scored.click.promotion.champion == "kernel"


def test_multipliers_of_new_ads_are_what_their_rates_truly_are_beside_the_average(
    account: Account, found: AdScores
) -> None:
    rows = found.scores.filter(pl.col("placement") == "feed").sort("creative")
    promised = np.log(rows["ctr_multiplier"].to_numpy()[account.new])
    beside = account.truth[account.new] - account.truth[~account.new].mean()
    # As large as the truth says, not only in its order: nothing is promised that does not show.
    assert 0.7 < np.polyfit(promised, beside, 1)[0] < 1.4
    assert abs(np.mean(promised - beside)) < 0.1


def test_a_multiplier_knows_nothing_of_its_own_ad_s_results() -> None:
    account = Account(3)
    lucky = pl.col("creative") == 0
    twice = account.deliveries.with_columns(
        clicks=pl.when(lucky).then(2 * pl.col("clicks")).otherwise("clicks")
    )
    plain, after = (
        account.scored(deliveries=rows).scores.filter(placement="feed", creative=0).row(0, named=True)
        for rows in (account.deliveries, twice)
    )
    assert after["ctr_score"] / plain["ctr_score"] > 1.1
    assert after["ctr_multiplier"] / plain["ctr_multiplier"] == pytest.approx(1.0, abs=0.02)


def test_scores_that_promise_nothing_multiply_by_nothing() -> None:
    rng = np.random.default_rng(11)
    arms = Arms(
        np.repeat(np.arange(200), 4), np.full(800, 5_000.0), rng.binomial(5_000, 0.01, 800).astype(float)
    )
    assert kept_share(rng.normal(size=800), arms) < 0.05
    truth = rng.normal(0.0, 0.4, 800)
    clicked = rng.binomial(5_000, 1 / (1 + np.exp(4.5 - truth))).astype(float)
    told = Arms(arms.group, arms.trials, clicked)
    assert kept_share(truth, told) == pytest.approx(1.0, abs=0.05)
    assert kept_share(2.0 * truth, told) == pytest.approx(0.5, abs=0.05)


def test_a_lever_s_multiplier_is_that_of_its_ads_by_what_their_creatives_delivered() -> None:
    keys = {"track": "security", "platform": "meta", "account_id": "1"}
    rows = [("a", 1.4, 1.0, 999), ("b", 3.0, None, 0), ("c", None, None, 5_000)]
    mornings = [
        keys
        | {"as_of_date": day, "creative_id": name, "placement": "feed", "ctr_multiplier": ctr}
        | {"cvr_multiplier": cvr, "delivered_impressions": shown}
        for day in (date(2026, 1, 6), date(2026, 1, 13))
        for name, ctr, cvr, shown in rows
    ]
    mornings[0]["ctr_multiplier"] = 0.6
    found = multipliers_in_force(pl.DataFrame(mornings))
    # The newest ranking alone; nothing beyond twice the placement; what was not scored has no row.
    assert found.select("creative_id", "ctr_multiplier", "cvr_multiplier", "has_run").rows() == [
        ("a", 1.4, 1.0, True),
        ("b", 2.0, 1.0, False),
    ]
    arms = pl.DataFrame(
        [
            keys | {"ad_id": f"{lever}{name}", "creative_id": name, "lever_id": lever}
            for lever, name in (("mixed", "a"), ("mixed", "b"), ("plain", "c"), (None, "a"))
        ]
    )
    levers = lever_multipliers(found, arms)
    assert levers["lever_id"].to_list() == ["mixed"]
    assert levers["ctr_multiplier"][0] == pytest.approx((1_000 * 1.4 + 2.0) / 1_001)
    assert levers["cvr_multiplier"][0] == 1.0


def test_what_ran_where_nothing_is_scored_is_no_new_creative() -> None:
    keys = {"as_of_date": date(2026, 1, 6), "track": "security", "platform": "meta", "account_id": "1"}
    rows = [
        keys
        | {"creative_id": "a", "placement": placement, "ctr_multiplier": ctr, "cvr_multiplier": None}
        | {"delivered_impressions": shown}
        for placement, ctr, shown in (("feed", 1.4, 0), ("search", None, 300))
    ]
    found = multipliers_in_force(pl.DataFrame(rows))
    assert found.select("placement", "has_run").rows() == [("feed", True)]


def test_p_one_click_is_told_of_every_scored_ad_and_judged_on_what_was_hardly_shown(account: Account) -> None:
    hardly = account.deliveries.with_columns(
        campaign_id=pl.lit("small"), impressions=pl.col("creative") % 50 + 1, clicks=pl.lit(0, pl.Int64)
    ).with_columns(
        # One click or none, as the ad's own rate has it.
        clicks=pl.Series(
            np.random.default_rng(5).binomial(
                account.deliveries["creative"].to_numpy() % 50 + 1,
                (account.deliveries["clicks"] / account.deliveries["impressions"]).to_numpy(),
            )
        ).cast(pl.Int64),
        matured_clicks=pl.lit(0, pl.Int64),
        conversions=pl.lit(0.0),
    )
    rules = replace(_RULES, screening_impressions=40)
    found = account.scored(rules, pl.concat([account.deliveries, hardly]))
    for place in _PLACES:
        rows = found.scores.filter(pl.col("placement") == place).sort("creative")
        true = 1 / (1 + np.exp(-(_LEVEL[place] + account.truth[account.new])))
        said = rows["p_one_click"].to_numpy()[account.new]
        off = said - (1 - (1 - true) ** 40)
        assert abs(off.mean()) < 0.03
        assert np.abs(off).max() < 0.25
    figures = found.one_click
    assert figures is not None
    assert figures.arms > 200
    assert figures.brier < figures.brier_of_base_rate
    assert figures.calibration_error < figures.chance_error + 0.05


def test_where_nothing_may_score_no_click_is_promised(account: Account) -> None:
    found = account.scored(replace(_RULES, fewest_creatives=1_000))
    assert found.scores["p_one_click"].is_nan().all()
    assert found.one_click is None
