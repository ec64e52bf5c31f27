"""What experiments measured, as the model takes it.

Here: a lift test, a belief about a return, and turning a finished test's reading into a lift test. Not here:
their likelihood (`collapsed`), planning tests (`planner`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LiftTest:
    """What an experiment measured: weeks with other spend, or a geo test scaled to all regions.

    Attributes:
        channel: whose spend was changed.
        spend: dollars a week without the change.
        change: dollars a week more (less than 0: spend was cut or paused).
        lift: outcome a week that the change added; below 0 where it cost some.
        error: its standard error.
    """

    channel: str
    spend: float
    change: float
    lift: float
    error: float


@dataclass(frozen=True)
class ReturnPrior:
    """A belief about a channel's return over the fitted weeks (1 / CAC): outcome per dollar ~ N(mean, sd²).

    It multiplies the model's own prior and does not replace it, as a measurement would.
    """

    channel: str
    mean: float
    sd: float


def lift_test(
    channel: str,
    spend: float,
    change: float,
    measured: float,
    error: float,
    share: float = 1.0,
    reached: float = 1.0,
) -> LiftTest:
    """A reading as the whole market's lift at steady state, which is what the model's curves speak of.

    Args:
        spend: dollars a week of the whole market without the change.
        change: dollars a week by which it would have changed had the test been everywhere.
        measured: outcome a week that the change added where it was made, over the test's weeks.
        error: its standard error.
        share: of the market in which it was made.
        reached: of the full effect, over the test's weeks (`experiment_designs.reached`).
    Raises:
        ValueError: an error, share or reach that is not positive, or a share or reach above 1.
    """
    if not (error > 0 and 0 < share <= 1 and 0 < reached <= 1):
        raise ValueError("a reading needs a positive error, and share and reach in (0, 1]")
    return LiftTest(channel, spend, change, measured / (share * reached), error / (share * reached))
