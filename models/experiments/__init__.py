"""Measuring what a choice did: randomised assignments, their lift, and intervals that hold at every look.

Here: mathematics of experiments. Not here: where assignments are kept (`resources.control`), which rows are
compared (the assets).
"""
