"""Two towers: a small network per rate, engagement (CTR) and conversion (CVR of clicks), fitted by one code.

Here: fitting a tower in torch, scoring by it in numpy. Not here: whether it scores (`promotion`).
torch is an optional extra, imported only to fit; a fitted tower is arrays, and whoever scores needs no torch.

Late fusion: each block is projected on its own and the projections add up, so a block that a creative lacks
adds nothing. What a creative is beyond its blocks has a vector of its own (an embedding of its identity),
added to the same sum. Blocks and identities are dropped at random while learning, or the network would
remember creatives instead of reading them; at scoring the identity is always dropped.

Objective: listwise within groups (Cao et al. 2007, Learning to rank: from pairwise approach to listwise
approach). With log-odds y and weights ω of a group's arms, p ∝ ω·exp(score) learns to be q ∝ ω·exp(y): no
level of a group can matter, and scores come out in log-odds. Weights are empirical Bayes: near y = 0 an arm
pulls by ω·(y - score), and ω·y is its shrunk log-odds up to a factor. Shrinking y besides changed no ranking.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from models.ranking.candidates import IMAGE, TEXT, TRAITS, Scores
from models.ranking.evidence import Arms, within_groups
from models.ranking.kernels import Values, same_creatives

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
TOWERS = "towers"
READ = (TEXT, IMAGE, TRAITS)
_VECTORS = (TEXT, IMAGE)
_START = 0.1
"""Spread of the first scores: little beside what creatives differ by, so that data moves them."""


@dataclass(frozen=True)
class Learning:
    """How a tower learns.

    Attributes:
        networks: fitted side by side from other starts, their scores averaged.
        hidden: numbers that a creative is made of between its blocks and its score.
        steps: of learning; as many for few arms as for many, or a small account learns too little.
        arms_per_step: whole groups of about so many arms are seen in one.
        learning_rate: of Adam, falling to 0 along a cosine.
        decay: of weights (Loshchilov and Hutter 2019, decoupled), by one.
        identity_decay: of identities.
        identity_dropout, block_dropout: share of creatives whose identity, and of each block whose values,
            are hidden in a step.
    Raises:
        ValueError: a share outside [0, 1], or a count below 1.
    """

    networks: int = 8
    hidden: int = 32
    steps: int = 320
    arms_per_step: int = 256
    learning_rate: float = 3e-3
    decay: float = 10.0
    identity_decay: float = 0.3
    identity_dropout: float = 0.5
    block_dropout: float = 0.2

    def __post_init__(self) -> None:
        if not all(0 <= share <= 1 for share in (self.identity_dropout, self.block_dropout)):
            raise ValueError("identity_dropout and block_dropout must lie between 0 and 1")
        if min(self.networks, self.hidden, self.steps, self.arms_per_step) < 1:
            raise ValueError("networks, hidden, steps and arms_per_step must be 1 or more")


class TorchMissing(Exception):
    """A tower is to be fitted, and torch is not installed."""


@dataclass(frozen=True)
class Projection:
    """A block's way into the network.

    Attributes:
        name: of the block.
        centre, scale: of the training creatives' values, shape (columns,) each; NaN becomes 0, as does a
            column that never differed (scale infinite).
        weights: shape (networks, columns, hidden + 1); the last of each network goes straight to the score.
    """

    name: str
    centre: FloatArray
    scale: FloatArray
    weights: FloatArray

    def columns(self, of_block: Values) -> FloatArray:
        """Standardised values, shape (creatives, columns); a creative without the block has zeros."""
        return _standard(of_block, self.centre, self.scale)


@dataclass(frozen=True)
class TowersRanker:
    """A fitted tower; cannot tell how unsure it is.

    Attributes:
        projections: of the blocks it learnt from.
        bias, head: shape (networks, hidden) each.
    """

    projections: tuple[Projection, ...]
    bias: FloatArray
    head: FloatArray

    def scores(self, values: Mapping[str, Values]) -> Scores:
        """See `Ranker`; where a block is missing, it adds what an ordinary creative's would."""
        count = len(next(iter(values.values())))
        read = [projection.columns(values[projection.name]) for projection in self.projections]
        total = np.zeros(count)
        for network, (bias, head) in enumerate(zip(self.bias, self.head, strict=True)):
            fused = np.zeros((count, len(bias) + 1))
            for columns, projection in zip(read, self.projections, strict=True):
                fused += columns @ projection.weights[network]
            total += fused[:, -1] + np.maximum(fused[:, :-1] + bias, 0.0) @ head
        return Scores(total / len(self.bias), np.full(count, np.nan))


def torch_library() -> Any:
    """torch.

    Raises:
        TorchMissing: it is not installed.
    """
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise TorchMissing(
            f"the ranking candidate towers needs torch, which cannot be imported ({error}): `.venv/bin/pip "
            "install -e '.[checkpoints]'`, torch's CPU build first, or leave towers out of "
            "creatives.candidates in the settings"
        ) from error


def fit_towers(values: Mapping[str, Values], arms: Arms, generator: np.random.Generator) -> TowersRanker:
    """Candidate: the tower of a rate, learnt as `Learning` has it; errors as `fit_tower`'s."""
    return fit_tower(values, arms, generator, Learning())


def fit_tower(
    values: Mapping[str, Values], arms: Arms, generator: np.random.Generator, learning: Learning
) -> TowersRanker:
    """The tower of a rate.

    Args:
        values: of the training creatives, by block name; one row per arm.
        arms: what they teach.
        generator: all chance is drawn from it, so torch's own numbers stay as they were.
        learning: how.
    Raises:
        TorchMissing: torch is not installed.
        ValueError: no group has two arms.
    """
    torch = torch_library()
    if len(np.unique(arms.group)) == len(arms):
        raise ValueError("no two arms competed in one group: there is nothing to learn a ranking from")
    creative = same_creatives(list(values.values()), len(arms))
    kinds, of_arm = np.unique(creative, return_inverse=True)
    blocks = [_fitted_block(name, values[name]) for name in READ if name in values]
    with _repeatable(torch):
        network = _Network.drawn(torch, blocks, len(kinds), learning, generator)
        _learn(torch, network, of_arm.astype(np.int64), arms, learning, generator)
        projections, bias, head = network.fitted()
    return TowersRanker(
        tuple(
            Projection(block.name, block.centre, block.scale, weights)
            for block, weights in zip(blocks, projections, strict=True)
        ),
        bias,
        head,
    )


@dataclass(frozen=True)
class _FittedBlock:
    name: str
    centre: FloatArray
    scale: FloatArray
    standard: FloatArray


def _fitted_block(name: str, of_block: Values) -> _FittedBlock:
    """Vectors keep their columns' proportions, measures are made alike; rows are about 1 long either way."""
    columns = np.asarray(of_block, dtype=np.float64)
    known = np.isfinite(columns)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, columns, 0.0).sum(axis=0) / count
    variance = np.where(known, (columns - centre) ** 2, 0.0).sum(axis=0) / count
    if name in _VECTORS:
        variance = np.full_like(variance, variance.mean())
    # What never differed taught nothing: however far from it another creative is, it stays 0.
    scale = np.where(variance > 0, np.sqrt(variance) * np.sqrt(columns.shape[1]), np.inf)
    return _FittedBlock(name, centre, scale, _standard(of_block, centre, scale))


def _standard(of_block: Values, centre: FloatArray, scale: FloatArray) -> FloatArray:
    columns = (np.asarray(of_block, dtype=np.float64) - centre) / scale
    return np.where(np.isfinite(columns), columns, 0.0)


@dataclass(frozen=True)
class _Network:
    """A tower's tensors while it learns, of all networks side by side.

    Attributes:
        blocks: standardised values of the arms, shape (arms, columns) each.
        projections: shape (networks, columns, hidden + 1) each.
        identities: shape (networks, creatives, hidden).
        bias, head: shape (networks, hidden) each.
    """

    blocks: tuple[Any, ...]
    projections: tuple[Any, ...]
    identities: Any
    bias: Any
    head: Any

    @classmethod
    def drawn(
        cls,
        torch: Any,
        blocks: list[_FittedBlock],
        creatives: int,
        learning: Learning,
        generator: np.random.Generator,
    ) -> _Network:
        networks, hidden = learning.networks, learning.hidden

        def tensor(values: FloatArray) -> Any:
            return torch.tensor(values, dtype=torch.float32, device="cpu", requires_grad=True)

        projections = []
        for block in blocks:
            weights = generator.normal(size=(networks, block.standard.shape[1], hidden + 1))
            weights[..., -1] = 0.0
            projections.append(tensor(weights))
        return cls(
            tuple(torch.tensor(block.standard, dtype=torch.float32, device="cpu") for block in blocks),
            tuple(projections),
            tensor(np.zeros((networks, creatives, hidden))),
            tensor(np.zeros((networks, hidden))),
            tensor(generator.normal(size=(networks, hidden)) * _START / np.sqrt(hidden)),
        )

    def scores(self, torch: Any, arms: Any, creative: Any, shown: list[Any], known: Any) -> Any:
        """Shape (networks, arms).

        Args:
            arms, creative: numbers of the arms, and of their creatives.
            shown: what each block's rows are multiplied by, shape (networks, arms, 1) each.
            known: what identities are multiplied by, of that shape.
        """
        identity = self.identities[:, creative] * known
        fused = torch.zeros((*identity.shape[:2], identity.shape[2] + 1))
        for block, weights, by in zip(self.blocks, self.projections, shown, strict=True):
            fused = fused + (block[arms] @ weights) * by
        hidden = torch.relu(fused[..., :-1] + identity + self.bias[:, None])
        return fused[..., -1] + (hidden * self.head[:, None]).sum(dim=2)

    def fitted(self) -> tuple[list[FloatArray], FloatArray, FloatArray]:
        """Projections, bias and head, without the identities."""
        return (
            [_array(weights) for weights in self.projections],
            _array(self.bias),
            _array(self.head),
        )


def _array(tensor: Any) -> FloatArray:
    return np.asarray(tensor.detach().numpy(), dtype=np.float64)


def _learn(
    torch: Any,
    network: _Network,
    creative: IntArray,
    arms: Arms,
    learning: Learning,
    generator: np.random.Generator,
) -> None:
    """Changes the network's tensors in place."""
    weight = _weights(arms)
    target = within_groups(arms.log_odds, arms.numbered, weight)
    weights, targets = (torch.tensor(values, dtype=torch.float32) for values in (weight, target))
    creatives, groups = torch.tensor(creative), torch.tensor(arms.numbered)
    optimiser = torch.optim.AdamW(
        [
            {"params": [*network.projections, network.head, network.bias], "weight_decay": learning.decay},
            {"params": [network.identities], "weight_decay": learning.identity_decay},
        ],
        lr=learning.learning_rate,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, learning.steps)
    for rows in islice(_groups_in_turn(arms, learning.arms_per_step, generator), learning.steps):
        here = torch.tensor(rows)
        kinds, of_kind = np.unique(creative[rows], return_inverse=True)
        by_arm, by_creative = ((learning.networks, count, 1) for count in (len(rows), len(kinds)))
        shown = [torch.tensor(_kept(generator, learning.block_dropout, by_arm)) for _ in network.blocks]
        kept = _kept(generator, learning.identity_dropout, by_creative)
        score = network.scores(torch, here, creatives[here], shown, torch.tensor(kept[:, of_kind]))
        loss = _listwise(torch, score, targets[here], weights[here], groups[here])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()


def _kept(generator: np.random.Generator, dropout: float, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    return (generator.random(shape) >= dropout).astype(np.float32)


def _listwise(torch: Any, score: Any, target: Any, weight: Any, group: Any) -> Any:
    """Σ over groups of their weight times the divergence of what is told from what is scored, per arm."""
    numbered = torch.unique(group, return_inverse=True)[1]
    groups = int(numbered.max()) + 1

    def logarithm_of_share(of_arms: Any) -> Any:
        many = torch.zeros((*of_arms.shape[:-1], groups), dtype=of_arms.dtype)
        top = many.scatter_reduce(
            -1, numbered.expand_as(of_arms), of_arms.detach(), "amax", include_self=False
        )
        raised = of_arms - top[..., numbered]
        sums = many.index_add(-1, numbered, weight * torch.exp(raised))
        return raised - torch.log(sums[..., numbered])

    total = torch.zeros(groups).index_add(0, numbered, weight)[numbered]
    told = logarithm_of_share(target)
    share = weight * torch.exp(told)
    return (total * share * (told - logarithm_of_share(score))).sum() / weight.sum()


def _weights(arms: Arms) -> FloatArray:
    """Precision of each arm's log-odds about its group's level, of mean 1: little traffic counts little.

    1 / (τ² + v), v the sampling variance and τ² what arms of a group differ by in truth, by the method of
    moments (DerSimonian and Laird 1986) over all groups.
    """
    variance = arms.log_odds_variance
    precision = 1.0 / variance
    apart = within_groups(arms.log_odds, arms.numbered, precision)
    of_group = np.bincount(arms.numbered, precision)
    squares = np.bincount(arms.numbered, precision**2)
    freedom = len(arms) - len(of_group)
    spread = float((precision * apart**2).sum() - freedom) / float((of_group - squares / of_group).sum())
    weights = 1.0 / (max(spread, 0.0) + variance)
    return np.asarray(weights / weights.mean(), dtype=np.float64)


def _groups_in_turn(arms: Arms, arms_per_step: int, generator: np.random.Generator) -> Iterator[IntArray]:
    """Arms of whole groups, about `arms_per_step` at a time, all groups in a drawn order, again and again."""
    sizes = np.bincount(arms.numbered)
    while True:
        order = generator.permutation(len(sizes))
        step_of_group = np.empty(len(sizes), dtype=np.int64)
        step_of_group[order] = (np.cumsum(sizes[order]) - sizes[order]) // arms_per_step
        step = step_of_group[arms.numbered]
        by_step = np.argsort(step, kind="stable")
        yield from np.split(by_step, np.flatnonzero(np.diff(step[by_step])) + 1)


@contextmanager
def _repeatable(torch: Any) -> Iterator[None]:
    """One thread and no operation whose result may differ; afterwards torch is set as it was."""
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.enable_grad():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=warns)
