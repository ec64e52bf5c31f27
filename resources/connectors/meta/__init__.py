"""Meta (Facebook, Instagram) through its Marketing API.

Here: `source.MetaSource` and what it asks. Not here: retries and splitting (`connectors.fetching`).

A click is a link click (`inline_link_clicks`); `clicks` counts every tap on the ad. A conversion is a
purchase credited to an ad click within 7 days or to an ad view within 1 day, by the day of that click or
view; the two windows stay apart, and part of both is modelled by Meta.
"""
