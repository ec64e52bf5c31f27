"""How signups answer to each lever's budget: an uncertain elasticity that the levers of a cluster share.

Here: which elasticity a lever has, and joint draws of it. Not here: learning it (`models.response_curves`),
what is done with it (`thompson`, `decisions`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.bandits.evidence import LEVER_KEY
from models.response_curves import held_inside
from models.rewards import FloatArray

CURVE_COLUMNS = (*LEVER_KEY, "cluster", "elasticity_mean", "elasticity_sd", "may_rise")


@dataclass(frozen=True)
class Elasticities:
    """Elasticities of levers' clusters.

    Attributes:
        clusters: names, (clusters,); None stands for levers no curve knows.
        mean, sd: of each cluster's belief before it is held inside the range curves may have, (clusters,).
        cluster: index of each lever's cluster, (levers,).
        may_rise: whether more budget is assumed to bring more, (levers,).
    """

    clusters: tuple[str | None, ...]
    mean: FloatArray
    sd: FloatArray
    cluster: npt.NDArray[np.int64]
    may_rise: npt.NDArray[np.bool_]

    @property
    def of_clusters(self) -> FloatArray:
        """One number per cluster, in (0, 1)."""
        return np.where(self.sd > 0, held_inside(self.mean), self.mean)

    @property
    def of_levers(self) -> FloatArray:
        """One number per lever, in (0, 1)."""
        return np.asarray(self.of_clusters[self.cluster], dtype=np.float64)

    def draw(self, draws: int, rng: np.random.Generator) -> FloatArray:
        """Joint draws, (draws, clusters); (1, clusters), and nothing drawn, where all is certain."""
        if not self.sd.any():
            return self.of_clusters[None, :]
        drawn = held_inside(self.mean + self.sd * rng.standard_normal((draws, len(self.mean))))
        return np.where(self.sd > 0, drawn, self.of_clusters)


def elasticities_of(levers: pl.DataFrame, curves: pl.DataFrame | None, configured: float) -> Elasticities:
    """The elasticities of levers, in their order.

    Args:
        levers: platform, account_id, lever_id.
        curves: `CURVE_COLUMNS`, unique by lever; None: there are none. A lever without one has the configured
            elasticity, and is certain of it.
        configured: in (0, 1).

    Raises:
        ValueError: a configured elasticity or a certain one outside (0, 1), a negative sd, a repeated lever.
    """
    if not 0 < configured < 1:
        raise ValueError("elasticity must lie strictly between 0 and 1")
    if curves is None:
        count = levers.height
        return Elasticities(
            (None,), np.array([configured]), np.zeros(1), np.zeros(count, np.int64), np.ones(count, np.bool_)
        )
    if curves.select(LEVER_KEY).is_duplicated().any():
        raise ValueError("curves: (platform, account_id, lever_id) must be unique")
    rows = levers.select(LEVER_KEY).join(
        curves.select(CURVE_COLUMNS), on=list(LEVER_KEY), how="left", maintain_order="left"
    )
    beliefs = (
        rows.select(
            "cluster",
            pl.col("elasticity_mean").fill_null(configured),
            pl.col("elasticity_sd").fill_null(0.0),
        )
        .unique()
        .sort("cluster", nulls_last=False)
    )
    names = beliefs["cluster"].to_list()
    if len(set(names)) < len(names):
        raise ValueError("curves: the levers of a cluster must share one elasticity")
    mean, sd = (
        beliefs[name].cast(pl.Float64).to_numpy().copy() for name in ("elasticity_mean", "elasticity_sd")
    )
    if np.any(sd < 0) or np.any((sd == 0) & ((mean <= 0) | (mean >= 1))):
        raise ValueError("curves: needs sd >= 0, and a certain elasticity strictly between 0 and 1")
    position = {name: index for index, name in enumerate(names)}
    return Elasticities(
        tuple(names),
        mean,
        sd,
        np.array([position[name] for name in rows["cluster"]], dtype=np.int64),
        rows["may_rise"].fill_null(value=True).to_numpy().astype(np.bool_),
    )
