"""Loopback servers that speak the platforms' own protocols and serve one account, simulated or replayed.

Here: what the platforms would answer, and the faults they play (`faults`). Not here: connectors, or anything
they share: a server and a client that shared code would agree on being wrong.
"""
