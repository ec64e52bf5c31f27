"""Files of creatives as arrays, and what networks find in them.

Here: decoding images and videos nobody vouches for, detectors. Not here: what is measured of them
(`models.creatives`), fetching and keeping files (`resources.connectors`, `resources.creative_assets`).
"""
