"""A forecast signup by three counts and in money: platform, backend, incremental; contribution.

Here: how many conversions platforms will claim for it, how many orders the store will book, how many
advertising caused, each with its own uncertainty. Not here: the signups themselves (`levers`), the
definition of incrementality (`models.rewards`).

A forecast signup is a platform's conversion weighted at the mean incrementality, s = i_click c + i_view v.
With w the share of views among a lever's claims:
    claimed    = s / (i_click (1 - w) + i_view w),            w ~ Beta, pooled by platform and track
    booked     = claimed · orders per claim,                  ~ Gamma, one draw for the whole track
    caused     = claimed · (I_click (1 - w) + I_view w),      I from the reward's nodes, one for all levers
Booked counts a track's new-customer orders, from advertising or not, spread over its levers as platforms
claim: a blended number, which is why it stands beside the other two and not in their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from models.forecasting.draws import Draws, noise_stream
from models.forecasting.panel import KEYS
from models.maturity import last_matured_day
from models.rewards import RewardDefinition

VIEW_SHARE_STRENGTH = 20.0
"""Claims' worth of belief that a lever's share of views is its platform's in the track."""
ORDER_WINDOW_DAYS = 56
_FEWEST_DAYS = 7
_POOL = ["platform", "track"]
_SHARES, _NODES, _ORDERS = 3, 4, 5


@dataclass(frozen=True)
class OrderRatio:
    """Orders per claimed conversion of a track: a gamma with this mean and shape."""

    mean: float
    shape: float


@dataclass(frozen=True)
class Economics:
    """What turns a lever's signups into the three counts and into money.

    Attributes:
        claims: KEYS, `views` and `others`: the Beta parameters of each lever's share of views.
        orders: by track; a track without enough days of claims and orders has none.
        reward: the reward definition.
        contribution: dollars a signup brings before its advertising cost, by track.
    """

    claims: pl.DataFrame
    orders: Mapping[str, OrderRatio]
    reward: RewardDefinition
    contribution: Mapping[str, float]


@dataclass(frozen=True)
class EconomicsDraws:
    """Per forecast signup, each of shape (levers, draws); NaN where unknown. `contribution`: (levers, 1)."""

    claimed: Draws
    booked: Draws
    caused: Draws
    contribution: Draws


def fit_economics(
    lever_days: pl.DataFrame,
    platform_vs_backend: pl.DataFrame,
    levers: pl.DataFrame,
    as_of_date: date,
    *,
    maturity_days: int,
    reward: RewardDefinition,
    contribution_per_signup: Mapping[str, float],
) -> Economics:
    """Learn shares of views and orders per claim from the matured past.

    Args:
        lever_days: date, KEYS, conversions_click, conversions_view.
        platform_vs_backend: date, track, platform_conversions_click, platform_conversions_view,
            backend_new_customer_orders.
        levers: KEYS of the levers to be forecast.
        maturity_days: only days older than this are used.
        contribution_per_signup: dollars, by track.
    Raises:
        ValueError: a lever of a track without a contribution.
    """
    if unknown := sorted(set(levers["track"]) - set(contribution_per_signup)):
        raise ValueError(f"no contribution per signup for the tracks {unknown}")
    last = last_matured_day(as_of_date, maturity_days)
    return Economics(
        claims=_claims(lever_days.filter(pl.col("date") <= last), levers),
        orders=_orders_per_claim(
            platform_vs_backend.filter(
                pl.col("date").is_between(last - timedelta(days=ORDER_WINDOW_DAYS - 1), last)
            )
        ),
        reward=reward,
        contribution=contribution_per_signup,
    )


def _claims(days: pl.DataFrame, levers: pl.DataFrame) -> pl.DataFrame:
    """Beta parameters per lever: its own claims and VIEW_SHARE_STRENGTH at the share of its pool."""
    sums = (
        days.group_by(KEYS)
        .agg(
            views=pl.col("conversions_view").cast(pl.Float64).sort().sum(),
            clicks=pl.col("conversions_click").cast(pl.Float64).sort().sum(),
        )
        .sort(KEYS)
    )
    views, clicks = float(sums["views"].sum()), float(sums["clicks"].sum())
    everywhere = (views + 0.5) / (views + clicks + 1.0)
    # A pool's share leans on that of all by two claims' worth, so a platform without any is not certain.
    pools = sums.group_by(_POOL).agg(
        share=(pl.col("views").sum() + 2.0 * everywhere)
        / (pl.col("views").sum() + pl.col("clicks").sum() + 2.0)
    )
    prior = pl.col("share").fill_null(everywhere)
    return (
        levers.select(KEYS)
        .join(sums, on=KEYS, how="left")
        .join(pools, on=_POOL, how="left")
        .select(
            *KEYS,
            views=pl.col("views").fill_null(0.0) + VIEW_SHARE_STRENGTH * prior,
            others=pl.col("clicks").fill_null(0.0) + VIEW_SHARE_STRENGTH * (1.0 - prior),
        )
        .sort(KEYS)
    )


def _orders_per_claim(days: pl.DataFrame) -> dict[str, OrderRatio]:
    """Ratio of sums per track; its shape is the orders behind it over their dispersion around it.

    Dispersion is Pearson's, Σ (orders - ratio · claims)² / (ratio · claims) over days - 1, at least 1:
    claims of a day wobble as well as its orders, and both show in what is left over.
    """
    ratios = {}
    for (track,), own in days.sort("date").group_by("track", maintain_order=True):
        claims = (own["platform_conversions_click"] + own["platform_conversions_view"]).cast(pl.Float64)
        orders = own["backend_new_customer_orders"].cast(pl.Float64)
        claimed = claims.to_numpy() > 0
        total, booked = float(claims.sum()), float(orders.to_numpy()[claimed].sum())
        if claimed.sum() < _FEWEST_DAYS or booked <= 0:
            continue
        ratio = booked / total
        expected = ratio * claims.to_numpy()[claimed]
        left_over = (orders.to_numpy()[claimed] - expected) ** 2 / expected
        dispersion = max(1.0, float(left_over.sum()) / (int(claimed.sum()) - 1))
        ratios[str(track)] = OrderRatio(mean=ratio, shape=booked / dispersion)
    return ratios


def draw_economics(
    economics: Economics, levers: pl.DataFrame, block: int, draws: int, seed: int
) -> EconomicsDraws:
    """Joint draws per forecast signup for one block of levers.

    Args:
        levers: KEYS of the block, each in `economics.claims`.
        block: number of the block; other blocks share the draws of incrementality and orders.
    """
    share = levers.join(economics.claims, on=KEYS, how="left", maintain_order="left")
    views, others = (share[name].to_numpy()[:, None] for name in ("views", "others"))
    own = noise_stream(seed, block, _SHARES)
    view_share = own.beta(views, others, size=(levers.height, draws))
    nodes = economics.reward.nodes
    # Each node equally often, in an order of its own: the paths of the rates know nothing of it.
    node = noise_stream(seed, 0, _NODES).permutation(np.arange(draws) % nodes.count)
    click, view = nodes.click / nodes.completion, nodes.view / nodes.completion
    claimed = 1.0 / (click.mean() * (1.0 - view_share) + view.mean() * view_share)
    caused = claimed * (click[node] * (1.0 - view_share) + view[node] * view_share)
    tracks = levers["track"].to_list()
    per_claim = {track: _order_draws(economics, track, draws, seed) for track in set(tracks)}
    booked = claimed * np.stack([per_claim[track] for track in tracks])
    contribution = np.array([economics.contribution[track] for track in tracks])[:, None]
    return EconomicsDraws(*(values.astype(np.float32) for values in (claimed, booked, caused, contribution)))


def _order_draws(economics: Economics, track: str, draws: int, seed: int) -> np.ndarray:
    ratio = economics.orders.get(track)
    if ratio is None:
        return np.full(draws, np.nan)
    place = sorted(economics.orders).index(track)
    draw: np.ndarray = noise_stream(seed, place, _ORDERS).standard_gamma(ratio.shape, draws)
    return draw * (ratio.mean / ratio.shape)
