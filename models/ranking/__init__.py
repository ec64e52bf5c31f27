"""Which of a campaign's new ads will do better than the others, before they run, and how sure that is.

Here: mathematics of ranking creatives from what they are. Not here: what a creative is like
(`models.creatives`, `models.embeddings`), which rows teach (the assets).
"""
