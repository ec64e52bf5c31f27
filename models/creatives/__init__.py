"""What a creative's text, image and video are like, and how its click rate wears off: mathematics alone.

Here: measurements of what was handed in. Not here: decoding files and running networks
(`resources.creative_media`), what a creative is expected to earn.
"""
