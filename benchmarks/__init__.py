"""Measurements of AELP, each beside a peer or a physical limit. Run `python -m benchmarks.run`."""
