"""A simulated business with known truth: the accounts `make demo` runs on and studies learn from.

Here: drawing a world by seed, simulating it, writing the exports its account manager would drop, and public
exports of real businesses in its place (`replay`).
Not here: any law the models assume; no code is shared with `models`. Truth is in `truth`, for tests
and studies only.
"""

from resources.sandbox.build import (
    SandboxSummary,
    Simulated,
    build_sandbox,
    export_next_day,
    simulate_account,
)

__all__ = ["SandboxSummary", "Simulated", "build_sandbox", "export_next_day", "simulate_account"]
