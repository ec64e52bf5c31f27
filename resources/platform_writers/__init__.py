"""Platforms' own calls that change a budget or a status: sending what was rendered, reading a lever back.

Here: one module per platform, and opening them. Not here: what is sent and when (`resources.control`),
rendering (`resources.control.payloads`), pulls (`resources.connectors`).
"""
