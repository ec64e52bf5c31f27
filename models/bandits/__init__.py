"""Budget bandit: belief per lever, a Thompson request per lever, the day's decisions.

Here: what the data say and what the sampler would do unrestrained. Not here: what is allowed
(`models.guardrails`), the reward's meaning (`models.rewards`).
"""

from models.bandits.decisions import DecisionDay, decide, lever_states, levers_today
from models.bandits.half_life import choose_half_lives
from models.bandits.learning_cost import LearningCost
from models.bandits.posteriors import lever_posteriors, track_posteriors
from models.bandits.thompson import Level, solve_knapsack, thompson_budgets

__all__ = [
    "DecisionDay",
    "LearningCost",
    "Level",
    "choose_half_lives",
    "decide",
    "lever_posteriors",
    "lever_states",
    "levers_today",
    "solve_knapsack",
    "thompson_budgets",
    "track_posteriors",
]
