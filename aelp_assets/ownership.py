"""Who answers for what, and how late a table may be.

Here: owners and freshness policies by stage. Not here: schedules that keep the promise (`sensors/`).
"""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from resources.settings import load_settings, read_environment

DATA_ENGINEERING = ["team:data-engineering"]
MARKETING_SCIENCE = ["team:marketing-science"]
CAMPAIGN_MANAGEMENT = ["team:campaign-management"]

_timezone = load_settings(read_environment().settings_path).business_timezone

# 98 % of slices are promised within 24 h; two missed mornings are a failure.
DATA_FRESHNESS = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=48), warn_window=timedelta(hours=26)
)
# The 09:00 allocation must be on the table before people start to work on it at 10:00.
DECISION_FRESHNESS = dg.FreshnessPolicy.cron(
    deadline_cron="0 10 * * *", lower_bound_delta=timedelta(hours=6), timezone=_timezone
)
# The 07:00 review is read before the allocation is made.
REVIEW_FRESHNESS = dg.FreshnessPolicy.cron(
    deadline_cron="0 8 * * *", lower_bound_delta=timedelta(hours=6), timezone=_timezone
)
# The backtest is made weekly, Tuesdays; a home whose drop folder rests lands once a week.
WEEKLY_FRESHNESS = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(days=9), warn_window=timedelta(days=8)
)
