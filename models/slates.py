"""Slates: the creatives each track should launch next, and what each may spend a day.

Here: ranking creatives by joint Thompson draws, roles, launch budgets to the cent, honest expectations. Not
here: budgets of levers that already run (`bandits`, `guardrails`), launching (everything stays paused).

Selection bias. The best of many noisy rates is partly luck. Each creative's posterior therefore starts from
its track's rate with a weight fitted to how much creatives of the track really differ (gamma-Poisson
marginal likelihood), and every number of a slate is read from that posterior: a lucky creative with little
spend is pulled almost all the way back to its track. A posterior under the population it was drawn from is
not biased by selection.

Scores. A scored creative starts at its track's rate times multiplier^trust, and may compete before it ever
ran. Trust, from 0 to 1, is how much of the promise the track's own creatives kept in signups per dollar, by
the same likelihood that fits the weight; multipliers know nothing of the results they are held against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_FLOOR, Decimal

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import gammaincc, gammaincinv, gammaln

from models.bandits.evidence import SUMS, evidence_windows, matured_days
from models.bandits.posteriors import finite_or_none, pooled_rate
from models.rewards import (
    FloatArray,
    RewardDefinition,
    cac_quantiles,
    draw_signups_per_dollar,
    probability_cac_above,
)

_KEY = ["platform", "account_id", "creative_id"]
_CENT = Decimal("0.01")
# Half of a role's money is split evenly, half by p_best: a share of nearly nothing would teach nothing.
_EVEN_SHARE = 0.5
# Random numbers per track; a larger field gets fewer draws (never below ten a node), so time stays bounded.
_SAMPLES = 20_000_000
_BLOCK_CELLS = 250_000
_CANDIDATES = 256
_TRUSTS = np.linspace(0.0, 1.0, 5)

_SCORED = pl.Schema(
    dict.fromkeys(("track", *_KEY), pl.String())
    | {"has_run": pl.Boolean(), "promise": pl.Float64(), "ctr_multiplier": pl.Float64()}
)
_SLATE_SCHEMA = pl.Schema(
    {
        "as_of_date": pl.Date(),
        "track": pl.String(),
        "rank": pl.Int64(),
        "platform": pl.String(),
        "account_id": pl.String(),
        "creative_id": pl.String(),
        "role": pl.String(),
        "status": pl.String(),
        "budget": pl.Decimal(38, 9),
        **dict.fromkeys(("p_best", "p_meets_cap", "p_one_click"), pl.Float64()),
        **{f"{metric}_p{level}": pl.Float64() for metric in ("signups", "cac") for level in (10, 50, 90)},
        **dict.fromkeys(("signups_per_click_conversion", "signups_per_view_conversion"), pl.Float64()),
        "score_multiplier": pl.Float64(),
    }
)


@dataclass(frozen=True)
class SlateRules:
    """How a slate is put together.

    size: creatives per track. explore_share: of slots and of launch money for creatives the stop rule could
    not judge yet. screening_impressions: N of P(at least one click in N). stop_probability, stop_spend_caps,
    freeze_probability: as in the guardrails.

    Raises:
        ValueError: size below 1, a share outside [0, 1], fewer than 1 screening impression.
    """

    size: int = 8
    explore_share: float = 0.2
    screening_impressions: int = 1000
    stop_probability: float = 0.9
    stop_spend_caps: float = 4.0
    freeze_probability: float = 0.5

    def __post_init__(self) -> None:
        if self.size < 1 or not 0 <= self.explore_share <= 1 or self.screening_impressions < 1:
            raise ValueError("needs size >= 1, explore_share in [0, 1] and screening_impressions >= 1")

    @property
    def explore_slots(self) -> int:
        """Slots kept for exploring creatives: at least one where any money explores."""
        return min(self.size, max(1, round(self.size * self.explore_share))) if self.explore_share else 0


def launch_budgets(
    committed: Mapping[str, Decimal] | None,
    track_caps: Mapping[str, Decimal],
    total_cap: Decimal,
    *,
    launch_share: float,
    overdelivery: float,
) -> dict[str, Decimal]:
    """Dollars a day each track may launch: its share of the cap, and only what is still free.

    Worst-case over-delivery is reserved: budgets may add up to cap / (1 + overdelivery). Where the total cap
    leaves less than the tracks together, each gets its proportional part, rounded down to the cent.

    Args:
        committed: daily budgets in force or proposed (the larger) by track, tracks without a cap included.
            None: a budget in force is unknown, so no launch can be shown to fit.
        track_caps: daily spend caps by track.
        total_cap: daily spend cap of the business.
        launch_share: at most this share of a track's cap is launched.
        overdelivery: how far a platform may overspend a daily budget, as a fraction.
    """
    if committed is None:
        return dict.fromkeys(track_caps, Decimal(0))
    reserve = 1 + Decimal(str(overdelivery))
    rooms = {
        track: max(
            Decimal(0),
            min(Decimal(str(launch_share)) * cap / reserve, cap / reserve - committed.get(track, Decimal(0))),
        )
        for track, cap in track_caps.items()
    }
    free = max(Decimal(0), total_cap / reserve - sum(committed.values(), Decimal(0)))
    wanted = sum(rooms.values(), Decimal(0))
    scale = free / wanted if wanted > free else Decimal(1)
    return {track: (room * scale).quantize(_CENT, rounding=ROUND_FLOOR) for track, room in rooms.items()}


def build_slates(
    creative_days: pl.DataFrame,
    accounts: pl.DataFrame,
    *,
    as_of_date: date,
    window_days: int,
    prior_conversions: float,
    caps: Mapping[str, float],
    budgets: Mapping[str, Decimal],
    rules: SlateRules,
    reward: RewardDefinition,
    draws: int,
    rng: np.random.Generator,
    launched: pl.DataFrame | None = None,
    multipliers: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The best creatives per track with launch budgets, all paused.

    A creative competes if it had impressions in the last `window_days` days, or is scored and never ran, and
    no earlier launch carries it (it still teaches its track's rate). It is judged on the matured
    window of its account (as levers are). Left out: P(CAC > cap) above `stop_probability`, and judged
    creatives above `freeze_probability`. exploit: matured spend of at least `stop_spend_caps` caps; explore:
    less. `explore_slots` go to the best exploring creatives, and each role fills what the other cannot.
    Exploit has 1 - explore_share of the money, explore the rest; the money of an empty role stays unspent.

    Args:
        creative_days: rows of `int_creative_daily`: date, platform, account_id, track, creative_id,
            impressions, clicks, cost, conversions_click, conversions_view.
        accounts: platform, account_id, maturity_days; creatives of other accounts do not compete.
        as_of_date: the morning.
        window_days: cohort days judged, and the days that count as recent.
        prior_conversions: centre of the prior on the pooling weight, conversions.
        caps: account currency per signup, by track; other tracks get no slate.
        budgets: of `launch_budgets`, by track.
        rules: see `SlateRules`.
        reward: the reward definition.
        draws: joint draws behind p_best in a field of up to 5,000 creatives.
        rng: the only source of randomness; row order does not matter.
        launched: track, platform, account_id, creative_id of what earlier launches carry; None: nothing.
        multipliers: of `models.ranking.multipliers.multipliers_in_force`; None: nothing is scored.

    Returns:
        The columns of `gaelp_training.slates`, sorted by track and rank (rank 1 has the highest p_best).
        p_best is over all competing creatives of the track. Signups are those of one day, the day's luck
        included; CAC is the creative's own rate, 1/λ. score_multiplier: what its score moves the rate by that
        it starts from.

    Raises:
        ValueError: negative measures, or a track of `caps` without a budget.
    """
    if missing := [track for track in caps if track not in budgets]:
        raise ValueError(f"budgets: nothing given for tracks {missing}")
    recent = _recent_delivery(creative_days, accounts, as_of_date, window_days, list(caps))
    scores = _by_creative(multipliers, accounts)
    new = scores.filter(~pl.col("has_run"), pl.col("track").is_in(list(caps))).join(
        recent, on=["track", *_KEY], how="anti"
    )
    recent = (
        pl.concat(
            [recent, new.select("track", *_KEY, impressions=pl.lit(0), clicks=pl.lit(0)).cast(recent.schema)]
        )
        .join(scores.drop("has_run"), on=["track", *_KEY], how="left")
        .with_columns(pl.col("promise", "ctr_multiplier").fill_null(1.0))
        .sort("track", *_KEY)
    )
    if launched is not None:
        recent = recent.join(launched, on=["track", *_KEY], how="anti", maintain_order="left")
    windows = evidence_windows(accounts, as_of_date, window_days)
    matured = (
        matured_days(creative_days, windows, "creative_id")
        .filter(pl.col("track").is_in(list(caps)))
        .group_by("track", *_KEY)
        .agg(pl.col(SUMS).sum())
        .join(scores.select("track", *_KEY, "promise"), on=["track", *_KEY], how="left")
        .with_columns(pl.col("promise").fill_null(1.0))
    )
    parts = []
    for track in sorted(caps):
        field = _Field(
            recent.filter(pl.col("track") == track),
            matured.filter(pl.col("track") == track),
            cap=float(caps[track]),
            prior_conversions=prior_conversions,
            reward=reward,
        )
        if field.size:
            parts.append(_slate(field, track, budgets[track], as_of_date, rules, draws, rng))
    return pl.concat([pl.DataFrame(schema=_SLATE_SCHEMA), *parts])


def _recent_delivery(
    creative_days: pl.DataFrame,
    accounts: pl.DataFrame,
    as_of_date: date,
    window_days: int,
    tracks: list[str],
) -> pl.DataFrame:
    """track, key, impressions and clicks of creatives with impressions in the last `window_days` days."""
    recent = creative_days.filter(
        pl.col("date").is_between(as_of_date - timedelta(days=window_days), as_of_date - timedelta(days=1)),
        pl.col("track").is_in(tracks),
    ).join(accounts.select("platform", "account_id"), on=["platform", "account_id"], how="semi")
    if recent.select(((pl.col("impressions") < 0) | (pl.col("clicks") < 0)).any()).item():
        raise ValueError("creative_days: negative impressions or clicks")
    return (
        recent.group_by("track", *_KEY)
        .agg(pl.col("impressions", "clicks").cast(pl.Int64).sum())
        .filter(pl.col("impressions") > 0)
        .sort("track", *_KEY)
    )


def _by_creative(multipliers: pl.DataFrame | None, accounts: pl.DataFrame) -> pl.DataFrame:
    """track, key, has_run, promise (CTR times CVR) and ctr_multiplier, over the placements of a creative."""
    if multipliers is None:
        return pl.DataFrame(schema=_SCORED)
    return (
        multipliers.join(accounts.select("platform", "account_id"), on=["platform", "account_id"], how="semi")
        .sort("track", *_KEY, "placement")
        .group_by("track", *_KEY, maintain_order=True)
        .agg(
            pl.col("has_run").any(),
            (pl.col("ctr_multiplier") * pl.col("cvr_multiplier")).log().mean().exp().alias("promise"),
            pl.col("ctr_multiplier").log().mean().exp(),
        )
        .cast(_SCORED)
    )


class _Field:
    """The competing creatives of one track and their gamma posteriors."""

    def __init__(
        self,
        recent: pl.DataFrame,
        matured: pl.DataFrame,
        *,
        cap: float,
        prior_conversions: float,
        reward: RewardDefinition,
    ) -> None:
        self.cap, self.reward = cap, reward
        totals = [float(matured[name].sum()) for name in SUMS]
        self.pooled = pooled_rate(totals[0], totals[1], totals[2], cap, prior_conversions, reward)
        self.strength, trust = _pooling_weight(
            reward.mean_reward(
                matured["click_conversions"].cast(pl.Float64), matured["view_conversions"].cast(pl.Float64)
            ),
            matured["spend"].cast(pl.Float64).to_numpy(),
            self.pooled,
            prior_conversions,
            matured["promise"].to_numpy(),
        )
        self.rows = recent.join(matured.drop("track", "promise"), on=_KEY, how="left").with_columns(
            pl.col(SUMS).fill_null(0).cast(pl.Float64), score_multiplier=pl.col("promise") ** trust
        )
        self.size = len(self.rows)

    def evidence(
        self, which: npt.NDArray[np.int64] | None = None
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """Arguments of `models.rewards`, for some creatives or all."""
        rows = self.rows if which is None else self.rows[which]
        spend, clicks, views = (rows[name].to_numpy() for name in SUMS)
        shape = np.full(len(rows), self.strength)
        return spend, clicks, views, shape, shape / (self.pooled * rows["score_multiplier"].to_numpy())

    def p_best(self, draws: int, rng: np.random.Generator) -> FloatArray:
        """P(lowest CAC of the field), summing to 1. Creatives without a chance of 1e-7 are not drawn."""
        spend, clicks, views, shape, rate = self.evidence()
        shapes, rates = shape + self.reward.mean_reward(clicks, views), rate + spend
        bar = float((gammaincinv(shapes, 0.1) / rates).max())
        able = np.flatnonzero(gammaincc(shapes, rates * bar) > 1e-7)
        nodes = self.reward.nodes
        per_node = max(10, min(draws, _SAMPLES // len(able)) // nodes.count)
        block = max(1, _BLOCK_CELLS // len(able))
        wins = np.zeros(len(able))
        for click, view, completion in zip(nodes.click, nodes.view, nodes.completion, strict=True):
            at_node = shape[able] + (clicks[able] * click + views[able] * view) / completion
            for start in range(0, per_node, block):
                size = (min(block, per_node - start), len(able))
                best = (rng.standard_gamma(at_node, size=size) / rates[able]).argmax(axis=1)
                wins += np.bincount(best, minlength=len(able))
        share = np.zeros(self.size)
        share[able] = wins / wins.sum()
        return share


def _pooling_weight(
    rewards: FloatArray, spend: FloatArray, pooled: float, prior_conversions: float, promise: FloatArray
) -> tuple[float, float]:
    """Conversions' worth of the track that a creative starts with, and the trust in scores.

    reward ~ Poisson(λ spend), λ ~ Gamma(κ, κ/(pooled promise^trust)): negative binomial in κ. On a grid of κ
    from 0.5 to 500, with a wide log-normal prior around `prior_conversions` that decides while there are few
    creatives, and of trust from 0 to 1, of which the mean is taken: half, where nothing tells.
    """
    grid = np.geomspace(0.5, 500.0, 40)[:, None, None]
    delivered = spend > 0
    rewards, spend = rewards[delivered], spend[delivered]
    rate = grid / (pooled * promise[delivered] ** _TRUSTS[:, None])
    likelihood = (
        gammaln(grid + rewards)
        - gammaln(grid)
        + grid * np.log(rate)
        - (grid + rewards) * np.log(rate + spend)
    ).sum(axis=2)
    prior = -0.5 * (np.log(grid[..., 0] / prior_conversions) / 1.5) ** 2
    belief = likelihood + prior
    belief = np.exp(belief - belief.max())
    weight = grid[belief.sum(axis=1).argmax(), 0, 0]
    return float(weight), float((belief.sum(axis=0) * _TRUSTS).sum() / belief.sum())


def _slate(
    field: _Field,
    track: str,
    launch: Decimal,
    as_of_date: date,
    rules: SlateRules,
    draws: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    p_best = field.p_best(draws, rng)
    chosen, exploits, above = _choose(field, p_best, rules)
    if not len(chosen):
        return pl.DataFrame(schema=_SLATE_SCHEMA)
    budgets = _split(launch, p_best[chosen], exploits, rules.explore_share)
    evidence = field.evidence(chosen)
    rates = draw_signups_per_dollar(*evidence, field.reward, draws, rng)
    signups = np.quantile(
        rng.poisson(rates * np.array([float(budget) for budget in budgets])),
        (0.1, 0.5, 0.9),
        axis=0,
        method="inverted_cdf",
    )
    cac = cac_quantiles((0.1, 0.5, 0.9), *evidence, field.reward)
    rows = field.rows[chosen]
    columns: dict[str, object] = {
        "as_of_date": [as_of_date] * len(chosen),
        "track": [track] * len(chosen),
        "rank": list(range(1, len(chosen) + 1)),
        **{name: rows[name] for name in _KEY},
        "role": ["exploit" if exploit else "explore" for exploit in exploits],
        "status": ["paused"] * len(chosen),
        "budget": budgets,
        "p_best": p_best[chosen],
        "p_meets_cap": 1 - above,
        "p_one_click": _p_one_click(field, rows, rules.screening_impressions),
        **{f"signups_p{level}": signups[i].astype(float) for i, level in enumerate((10, 50, 90))},
        **{f"cac_p{level}": finite_or_none(cac[i]) for i, level in enumerate((10, 50, 90))},
        "signups_per_click_conversion": np.repeat(field.reward.mean_reward([1], [0]), len(chosen)),
        "signups_per_view_conversion": np.repeat(field.reward.mean_reward([0], [1]), len(chosen)),
        "score_multiplier": rows["score_multiplier"],
    }
    return pl.DataFrame(columns, schema_overrides=dict(_SLATE_SCHEMA.items())).select(_SLATE_SCHEMA.names())


def _choose(
    field: _Field, p_best: FloatArray, rules: SlateRules
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], FloatArray]:
    """Indices by falling p_best, whether each exploits, and its P(CAC > cap)."""
    spend, clicks, views, shape, rate = field.evidence()
    mean = (shape + field.reward.mean_reward(clicks, views)) / (rate + spend)
    judged = spend >= rules.stop_spend_caps * field.cap
    order = np.lexsort((np.arange(field.size), -mean, -p_best))
    above = np.full(field.size, np.nan)
    exploit: list[int] = []
    explore: list[int] = []
    for start in range(0, field.size, _CANDIDATES):
        some = order[start : start + _CANDIDATES]
        above[some] = probability_cac_above(field.cap, *field.evidence(some), field.reward)
        for index in some:
            limit = rules.freeze_probability if judged[index] else rules.stop_probability
            if above[index] <= limit:
                (exploit if judged[index] else explore).append(int(index))
        if len(exploit) >= rules.size and len(explore) >= rules.size:
            break
    exploring = min(rules.explore_slots, len(explore))
    exploiting = min(rules.size - exploring, len(exploit))
    if rules.explore_slots:
        exploring = min(rules.size - exploiting, len(explore))
    rank = {int(index): place for place, index in enumerate(order)}
    chosen = sorted(exploit[:exploiting] + explore[:exploring], key=rank.__getitem__)
    indices = np.array(chosen, dtype=np.int64)
    return indices, judged[indices], above[indices]


def _split(
    launch: Decimal, p_best: FloatArray, exploits: npt.NDArray[np.bool_], explore_share: float
) -> list[Decimal]:
    """Cents per creative; each role's cents add up to the role's money exactly (largest remainder)."""
    cents = int((launch / _CENT).to_integral_value(rounding=ROUND_FLOOR))
    explore_cents = int(cents * Decimal(str(explore_share)))
    budgets = np.zeros(len(p_best), dtype=np.int64)
    for role, money in ((exploits, cents - explore_cents), (~exploits, explore_cents)):
        members = np.flatnonzero(role)
        if not len(members):
            continue
        best = p_best[members]
        by_best = best / best.sum() if best.sum() > 0 else np.full(len(members), 1 / len(members))
        share = (_EVEN_SHARE / len(members) + (1 - _EVEN_SHARE) * by_best) * money
        whole = np.floor(share).astype(np.int64)
        order = np.lexsort((members, -(share - whole)))
        whole[order[: money - int(whole.sum())]] += 1
        budgets[members] = whole
    return [Decimal(int(value)) * _CENT for value in budgets]


def _p_one_click(field: _Field, rows: pl.DataFrame, impressions: int) -> FloatArray:
    """P(at least one click in N impressions), beta-binomial: 1 - B(α, β + N) / B(α, β).

    The prior is the track's CTR, times what the creative's score expects, worth two clicks; without any data
    0.5 %, where screening draws its line.
    """
    clicks, shown = (rows[name].cast(pl.Float64).to_numpy() for name in ("clicks", "impressions"))
    track_ctr = (float(field.rows["clicks"].sum()) + 1) / (float(field.rows["impressions"].sum()) + 200)
    expected = np.minimum(track_ctr * rows["ctr_multiplier"].to_numpy(), 0.5)
    alpha = 2 + clicks
    beta = 2 / expected - 2 + np.maximum(shown - clicks, 0)
    log_none = (
        gammaln(beta + impressions)
        + gammaln(alpha + beta)
        - gammaln(beta)
        - gammaln(alpha + beta + impressions)
    )
    return np.asarray(-np.expm1(log_none), dtype=np.float64)
