"""Placements, segments and dayparts of a lever: what a dollar earns in each, beside the lever as a whole.

Here: the posterior of relative rates by value of a breakdown, partially pooled. Not here: what is proposed
from it (`models.context_arms`), and why a value differs: the platform chose who saw what where, so these are
differences of what was delivered, no effects of delivering there.

Model. Signups of value v on a day are told beside what they would be at the lever's rate of that day, so that
days cannot be confounded with values: y ~ θ m, m = the lever's signups that day times v's share of its spend.
A value's θ varies around 1 between values of a track (and platform: their values have no common names),
around the track's between accounts, around the account's between levers: gammas, their three variances
empirical Bayes. A parent lends a child only what its other children say, and no child tells its parent more
than 1/τ² signups. Counts that vary more than Poisson within a lever's day are divided by their dispersion φ
>= 1. Joint draws are scaled so that a lever's values, weighed by their share, average 1: a value alone is
exactly 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from models.bandits.evidence import MONEY, evidence_windows
from models.quantiles import quantile_rows
from models.rewards import FloatArray, RewardDefinition, draw_signups_per_dollar

IntArray = npt.NDArray[np.int64]

DAYPART_HOURS = 4  # Google Ads takes six time spans a day in a campaign's schedule
_LEVER = ("track", "platform", "account_id", "lever_id")
_FAMILY = ("track", "platform", "dimension", "breakdown")
CONTEXT_KEY = (*_LEVER, "dimension", "breakdown", "value")
_METRICS = ("signups_per_dollar", "clicks_per_dollar", "ctr")
_COUNTS = RewardDefinition("counts", click_sd=0.0, view_mean=0.0, view_sd=0.0)
# Standard deviations of θ between values, accounts, levers that are weighed, evenly spaced; their prior is
# Maxwell's, τ² exp(-τ² / 2 s²), which keeps away from 0: an estimate of 0 pools as if all were surely alike.
_SPREADS = np.linspace(0.02, 1.5, 75)
_USUAL = 0.15
_USUAL_SPREAD = 3 * _USUAL**2
_ROUNDS = 5
_STEADY = 20.0  # counts' worth of belief that days vary as Poisson does

CONTEXT_SCHEMA = pl.Schema(
    {
        "as_of_date": pl.Date(),
        **dict.fromkeys(CONTEXT_KEY, pl.String()),
        "cost": MONEY,
        **dict.fromkeys(("impressions", "clicks"), pl.Int64()),
        **dict.fromkeys(("signups", "share"), pl.Float64()),
        "basis": pl.String(),
        **{f"relative_{metric}_p{level}": pl.Float64() for metric in _METRICS for level in (10, 50, 90)},
        **dict.fromkeys(("p_worse", "p_best"), pl.Float64()),
        **dict.fromkeys(("cac_p10", "cac_p50", "cac_p90", "p_cac_above_cap"), pl.Float64()),
        **dict.fromkeys(("own_weight", "dispersion"), pl.Float64()),
    }
)


@dataclass(frozen=True)
class ContextRules:
    """What counts as worse, and when signups are enough to say so.

    worse_by: fraction below the lever's rate. fewest_signups: of the lever in the window, below which clicks
        per
    dollar are judged in their place.

    Raises:
        ValueError: worse_by outside [0, 1), or a negative number of signups.
    """

    worse_by: float = 0.2
    fewest_signups: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.worse_by < 1 or self.fewest_signups < 0:
            raise ValueError("needs worse_by in [0, 1) and fewest_signups >= 0")


@dataclass(frozen=True)
class _Family:
    """Values of one breakdown over the levers of a track and platform; arrays over cells (lever x value)."""

    cells: pl.DataFrame
    lever: IntArray  # rises with the cells
    account: IntArray
    value: IntArray
    cell_of: IntArray  # of every day
    lever_day_of: IntArray
    days: pl.DataFrame


@dataclass(frozen=True)
class _Belief:
    relative: FloatArray  # joint draws, shape (draws, cells)
    own_weight: FloatArray
    dispersion: float


def context_rates(
    context_days: pl.DataFrame,
    accounts: pl.DataFrame,
    *,
    as_of_date: date,
    window_days: int,
    prior_conversions: float,
    caps: Mapping[str, float],
    reward: RewardDefinition,
    rules: ContextRules,
    draws: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """What a dollar earned in each placement, segment and daypart of each lever, beside the lever's average.

    Args:
        context_days: rows of `context_daily`; conversions null where the platform tells none.
        accounts: platform, account_id, maturity_days of the accounts that may be decided on.
        as_of_date: the morning.
        window_days: matured cohort days judged.
        prior_conversions: what the belief that a lever's CAC is at its cap is worth, signups.
        caps: account currency per signup, by track; other tracks are left out.
        reward: what a conversion is worth in signups.
        rules: what counts as worse.
        draws: joint draws behind quantiles and probabilities; rounded up to whole rounds of the reward's
            nodes.
        rng: its state decides them.

    Returns:
        `CONTEXT_SCHEMA`, sorted by lever, dimension, breakdown and value; hours as four-hour dayparts
        (08-11). Relative rates are 1 at the lever's own; those of signups, and CAC, are null where none are
        told. p_best sums to 1 over a lever's values of one breakdown.
    Raises:
        ValueError: negative measures.
    """
    days = _judged_days(context_days, accounts, as_of_date, window_days, caps)
    whole_rounds = -(-draws // reward.nodes.count) * reward.nodes.count
    found = [
        _rated(_family(members), caps, prior_conversions, reward, rules, whole_rounds, rng)
        for _, members in days.group_by(_FAMILY, maintain_order=True)
    ]
    rows = pl.concat(found) if found else pl.DataFrame(schema=CONTEXT_SCHEMA).drop("as_of_date")
    return (
        rows.with_columns(pl.lit(as_of_date, dtype=pl.Date).alias("as_of_date"))
        .select(CONTEXT_SCHEMA.names())
        .cast(dict(CONTEXT_SCHEMA.items()))
        .sort(CONTEXT_KEY)
    )


def daypart(hour: pl.Expr) -> pl.Expr:
    """The daypart of an hour, both as text: 09 is in 08-11."""
    first = hour.cast(pl.Int64) // DAYPART_HOURS * DAYPART_HOURS
    return pl.format(
        "{}-{}",
        first.cast(pl.String).str.zfill(2),
        (first + DAYPART_HOURS - 1).cast(pl.String).str.zfill(2),
    )


def _judged_days(
    context_days: pl.DataFrame,
    accounts: pl.DataFrame,
    as_of_date: date,
    window_days: int,
    caps: Mapping[str, float],
) -> pl.DataFrame:
    """Days of the window by cell, sorted; `told`: whether the platform tells conversions of the breakdown."""
    measures = ("cost", "impressions", "clicks", "conversions_click", "conversions_view")
    days = (
        context_days.filter(pl.col("track").is_in(list(caps)))
        .join(evidence_windows(accounts, as_of_date, window_days), on=["platform", "account_id"], how="inner")
        .filter(pl.col("date").is_between("window_start", "window_end"))
        .with_columns(
            pl.when(pl.col("dimension") == "daypart")
            .then(daypart(pl.when(pl.col("dimension") == "daypart").then("value")))
            .otherwise("value")
            .alias("value"),
            pl.col("conversions_click").is_not_null().any().over(_FAMILY).alias("told"),
            *(pl.col(name).cast(MONEY).fill_null(0) for name in ("cost", *measures[3:])),
            pl.col("impressions", "clicks").fill_null(0).cast(pl.Int64),
        )
        .group_by(*CONTEXT_KEY, "date", "told")
        .agg(pl.col(measures).sum())
        .sort(*_FAMILY, "account_id", "lever_id", "value", "date")
    )
    for name in measures:
        if (days[name] < 0).any():
            raise ValueError(f"daily rows by context: negative {name}")
    return days


def _family(days: pl.DataFrame) -> _Family:
    sums = ("cost", "impressions", "clicks", "conversions_click", "conversions_view")
    cells = days.group_by(*CONTEXT_KEY, "told", maintain_order=True).agg(pl.col(sums).sum())
    joined = days.join(
        cells.select(CONTEXT_KEY).with_row_index("cell"), on=list(CONTEXT_KEY), maintain_order="left"
    )
    return _Family(
        cells=cells,
        lever=_numbered(cells, "account_id", "lever_id"),
        account=_numbered(cells, "account_id"),
        value=_numbered(cells, "value"),
        cell_of=joined["cell"].to_numpy().astype(np.int64),
        lever_day_of=_numbered(days, "account_id", "lever_id", "date"),
        days=days,
    )


def _numbered(rows: pl.DataFrame, *columns: str) -> IntArray:
    return rows.select(pl.struct(columns).rank("dense")).to_series().to_numpy().astype(np.int64) - 1


def _rated(
    family: _Family,
    caps: Mapping[str, float],
    prior_conversions: float,
    reward: RewardDefinition,
    rules: ContextRules,
    draws: int,
    rng: np.random.Generator,
) -> pl.DataFrame:
    cells, lever = family.cells, family.lever
    told = bool(cells["told"][0])
    clicks, views = (
        cells[name].cast(pl.Float64).to_numpy() for name in ("conversions_click", "conversions_view")
    )
    signups = reward.mean_reward(clicks, views)
    beliefs = {
        "clicks_per_dollar": _believed(family, ("clicks",), "cost", _COUNTS, draws, rng),
        "ctr": _believed(family, ("clicks",), "impressions", _COUNTS, draws, rng),
    }
    by_clicks = np.ones(len(lever), dtype=bool)
    money: dict[str, FloatArray] = {}
    if told:
        counts = ("conversions_click", "conversions_view")
        beliefs["signups_per_dollar"] = _believed(family, counts, "cost", reward, draws, rng)
        by_clicks = (_sums(lever, signups) < rules.fewest_signups)[lever]
        cap = float(caps[cells["track"][0]])
        levers = _lever_rates(family, clicks, views, cap, prior_conversions, reward, draws, rng)
        earned = levers * beliefs["signups_per_dollar"].relative
        with np.errstate(divide="ignore"):
            cac = quantile_rows((1 / earned).T)
        money = {f"cac_p{level}": cac[:, place] for place, level in enumerate((10, 50, 90))}
        money["p_cac_above_cap"] = np.asarray((earned * cap < 1).mean(axis=0))
    spend = cells["cost"].cast(pl.Float64).to_numpy()
    by_money = beliefs["clicks_per_dollar"]
    main = beliefs.get("signups_per_dollar", by_money)
    judged = np.where(by_clicks, by_money.relative, main.relative)
    numbers: dict[str, FloatArray] = {
        "share": _shares(spend, lever),
        "p_worse": np.asarray((judged < 1 - rules.worse_by).mean(axis=0)),
        "p_best": _p_best(judged, lever),
        "own_weight": np.where(by_clicks, by_money.own_weight, main.own_weight),
        "dispersion": np.where(by_clicks, by_money.dispersion, main.dispersion),
        **money,
    }
    for metric, belief in beliefs.items():
        found = quantile_rows(belief.relative.T)
        numbers |= {f"relative_{metric}_p{level}": found[:, n] for n, level in enumerate((10, 50, 90))}
    nothing = [
        pl.lit(None, dtype=pl.Float64).alias(name)
        for name, kind in CONTEXT_SCHEMA.items()
        if kind == pl.Float64 and name not in (*numbers, "signups")
    ]
    columns = {name: pl.Series(name, values, dtype=pl.Float64) for name, values in numbers.items()}
    return cells.with_columns(
        pl.Series("signups", signups if told else [None] * len(lever), dtype=pl.Float64),
        pl.Series("basis", np.where(by_clicks, "clicks", "signups"), dtype=pl.String),
        *nothing,
        *(
            pl.when(values.is_finite()).then(values).alias(name) if name.startswith("cac") else values
            for name, values in columns.items()
        ),
    ).select(CONTEXT_SCHEMA.names()[1:])


def _believed(
    family: _Family,
    counts: tuple[str, ...],
    exposure: str,
    reward: RewardDefinition,
    draws: int,
    rng: np.random.Generator,
) -> _Belief:
    """Joint draws of each cell's rate (counts per exposure) beside its lever's."""
    observed, expected, dispersion = _evidence(family, counts, exposure, reward)
    y, m = (reward.mean_reward(*both) / dispersion for both in (observed, expected))
    shape, mean, scale = _fitted(y, m, family)
    at_nodes = reward.rewards(*expected) * (scale / dispersion)[:, None]
    rates = draw_signups_per_dollar(
        at_nodes, observed[0] / dispersion, observed[1] / dispersion, shape, shape / mean, reward, draws, rng
    )
    spent = family.cells[exposure].cast(pl.Float64).to_numpy()
    shares = _shares(m, family.lever), _shares(spent, family.lever)
    share = np.where((_sums(family.lever, m) > 0)[family.lever], *shares)
    starts = np.flatnonzero(np.diff(family.lever, prepend=-1))
    average = np.add.reduceat(rates * share, starts, axis=1)[:, family.lever]
    own = m * scale / (m * scale + shape / mean)
    return _Belief(np.asarray(rates / average), own, dispersion)


def _evidence(
    family: _Family, counts: tuple[str, ...], exposure: str, reward: RewardDefinition
) -> tuple[list[FloatArray], list[FloatArray], float]:
    """Counts per cell as they are, and at the lever's rate of each day, [click, view]; their dispersion."""
    days, cell, lever_day = family.days, family.cell_of, family.lever_day_of
    size = len(family.lever)
    exposed = days[exposure].cast(pl.Float64).to_numpy()
    share = _shares(exposed, lever_day)
    seen = [days[name].cast(pl.Float64).to_numpy() for name in counts]
    seen += [np.zeros(len(exposed))] * (2 - len(seen))
    due = [_sums(lever_day, values)[lever_day] * share for values in seen]
    y, m = reward.mean_reward(*seen), reward.mean_reward(*due)
    of_cell, at_lever = _sums(cell, y, size), _sums(cell, m, size)
    theta = np.divide(of_cell, at_lever, out=np.zeros(size), where=at_lever > 0)
    mu = m * theta[cell]
    # Given its lever's day a count varies as a binomial does, and its cell's rate was fitted to it.
    own = np.divide(mu, of_cell[cell], out=np.zeros(len(mu)), where=of_cell[cell] > 0)
    usual = float((mu * np.clip(1 - share, 0, 1) * (1 - own)).sum())
    dispersion = max(1.0, (_STEADY + float(((y - mu) ** 2).sum())) / (_STEADY + usual))
    sums = [[_sums(cell, values, size) for values in both] for both in (seen, due)]
    return sums[0], sums[1], dispersion


def _fitted(y: FloatArray, m: FloatArray, family: _Family) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Prior shape and mean of each cell, and how far its lever lies above its own mix of values, (cells,).

    A lever that spends most on a good value earns more than an average mix would: what its values are held
    against is put right until it no longer moves, or a good value would look usual wherever it is large.
    """
    scale = np.ones(len(y))
    share = _shares(m, family.lever)
    for _ in range(_ROUNDS):
        shape, mean = _pooled(y, m * scale, share, family)
        theta = (shape + y) / (shape / mean + m * scale)
        mix = _sums(family.lever, m * theta)
        whole = _sums(family.lever, m)
        scale = np.divide(whole, mix, out=np.ones(len(whole)), where=mix > 0)[family.lever]
    return shape, mean, scale


def _pooled(
    y: FloatArray, m: FloatArray, share: FloatArray, family: _Family
) -> tuple[FloatArray, FloatArray]:
    """Gamma shape and mean of each cell's prior: what its value earns elsewhere in its account and its track.

    Args:
        y: independent counts, (cells,).
        m: the same at the levers' rates, (cells,).
        share: of the lever's counts at its rate, (cells,).
    """
    _, group = np.unique(family.account * (family.value.max() + 1) + family.value, return_inverse=True)
    value = np.zeros(group.max() + 1, dtype=np.int64)
    value[group] = family.value
    between_levers = _spread(y, m, group, share)
    y, m = (numbers / (1 + between_levers * m) for numbers in (y, m))
    y_account, m_account = _sums(group, y), _sums(group, m)
    between_accounts = _spread(y_account, m_account, value)
    weight = 1 / (1 + between_accounts * m_account)
    y_told, m_told = y_account * weight, m_account * weight
    y_value, m_value = _sums(value, y_told), _sums(value, m_told)
    between_values = _spread(y_value, m_value, None)
    shape = 1 / between_values + np.maximum(y_value[value] - y_told, 0)
    mean = shape / (1 / between_values + np.maximum(m_value[value] - m_told, 0))
    shape = 1 / ((1 + 1 / shape) * (1 + between_accounts) - 1)
    rate = (shape / mean)[group] + np.maximum(m_account[group] - m, 0)
    shape = shape[group] + np.maximum(y_account[group] - y, 0)
    return 1 / ((1 + 1 / shape) * (1 + between_levers) - 1), shape / rate


def _spread(y: FloatArray, m: FloatArray, group: IntArray | None, share: FloatArray | float = 0.0) -> float:
    """Squared variation of y / m between a group's members beyond counting noise; without groups, around 1.

    The posterior mean of τ² given ratio ~ N(mean, τ² mean² + mean/m), the groups' means integrated out.
    Members due less than half a count are left out: their ratios are no normals. A member that is a large
    `share` of what it was held against lies too near to it by √(1 - share).
    """
    known = m >= 0.5
    if not known.any():
        return _USUAL_SPREAD
    ratio, due = y[known] / m[known], m[known]
    spread = _SPREADS[:, None] ** 2
    member = np.zeros(len(y), dtype=np.int64) if group is None else group
    member = np.unique(member[known], return_inverse=True)[1]
    centre = np.ones(len(ratio))
    if group is not None:
        centre = np.maximum((np.bincount(member, y[known]) / np.bincount(member, due))[member], 0.05)
    near = np.sqrt(1 - np.minimum(np.broadcast_to(share, len(y))[known], 0.9))
    ratio = centre + (ratio - centre) / near
    weight = 1 / (spread * centre**2 + centre / due)
    starts = np.argsort(member, kind="stable")
    of_group = np.flatnonzero(np.diff(member[starts], prepend=-1))

    def summed(values: FloatArray) -> FloatArray:
        return np.asarray(np.add.reduceat(values[:, starts], of_group, axis=1))

    likelihood = np.log(weight).sum(axis=1)
    if group is None:
        likelihood -= (weight * (ratio - 1) ** 2).sum(axis=1)
    else:
        whole = summed(weight)
        mean = summed(weight * ratio) / whole
        likelihood -= (
            (weight * ratio**2).sum(axis=1) - (whole * mean**2).sum(axis=1) + np.log(whole).sum(axis=1)
        )
    score = likelihood / 2 + 2 * np.log(_SPREADS) - (_SPREADS / _USUAL) ** 2 / 2
    chance = np.exp(score - score.max())
    return float((chance * _SPREADS**2).sum() / chance.sum())


def _lever_rates(
    family: _Family,
    clicks: FloatArray,
    views: FloatArray,
    cap: float,
    prior_conversions: float,
    reward: RewardDefinition,
    draws: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Joint draws of the signups per dollar of each cell's lever, (draws, cells).

    How many came in all is independent of how they fell upon values.
    """
    spend = family.cells["cost"].cast(pl.Float64).to_numpy()
    sums = [_sums(family.lever, values) for values in (spend, clicks, views)]
    rates = draw_signups_per_dollar(
        sums[0], sums[1], sums[2], prior_conversions, prior_conversions * cap, reward, draws, rng
    )
    return np.asarray(rates[:, family.lever])


def _sums(group: IntArray, values: FloatArray, size: int = 0) -> FloatArray:
    return np.asarray(np.bincount(group, values, size), dtype=np.float64)


def _shares(numbers: FloatArray, group: IntArray) -> FloatArray:
    """Each number's share of its group's sum; even where the sum is 0."""
    whole = _sums(group, numbers)[group]
    even = 1 / np.bincount(group)[group]
    return np.where(whole > 0, numbers / np.where(whole > 0, whole, 1.0), even)


def _p_best(relative: FloatArray, lever: IntArray) -> FloatArray:
    share = np.zeros(relative.shape[1])
    for members in (np.flatnonzero(lever == one) for one in range(lever.max() + 1)):
        best = relative[:, members].argmax(axis=1)
        share[members] = np.bincount(best, minlength=len(members)) / len(relative)
    return share
