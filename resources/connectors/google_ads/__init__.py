"""Google Ads through google-ads (API v26), SearchStream only.

A click is any click on the ad (`metrics.clicks`, what is billed on search). A conversion is counted on the
day of its click, only for primary actions, as a fraction where data-driven attribution shares it;
view-through conversions are a column of their own and never part of `conversions`.
"""
