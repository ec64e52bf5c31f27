"""The account behind the sandbox servers."""

from tests.resources.connectors.conftest import served, simulated

__all__ = ["served", "simulated"]
