"""What was known at a moment: rows landed by then, rows written by then, and why some are no longer kept.

Here: reading the past out of what is append-only and out of Dagster's event log. Not here: building marts of
it (`aelp_assets.as_of`), proposals and changes as they stood (`resources.control.history`).
"""
