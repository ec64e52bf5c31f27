"""The one typed settings file (`aelp.yaml`) and the environment it runs in.

Here: business rules a person may edit, refused with their path and allowed range when impossible, and the few
`AELP_*` variables. Not here: secrets in files, defaults hidden in other modules.
"""

from resources.settings.calendar import CalendarEvent, FreezeWindow
from resources.settings.document import Settings, load_settings
from resources.settings.environment import PROJECT_ROOT, Environment, read_environment, require_drop_folder
from resources.settings.governance import Approver
from resources.settings.media_mix import MOST_ENVELOPE_DAYS, ChannelRule, MeasuredLift, MediaMix
from resources.settings.sources import LiveGa4, LiveSource, LiveVendorFiles, OrderField, SourceName
from resources.settings.tracks import TrackRule
from resources.settings.values import SettingsError

__all__ = [
    "MOST_ENVELOPE_DAYS",
    "PROJECT_ROOT",
    "Approver",
    "CalendarEvent",
    "ChannelRule",
    "Environment",
    "FreezeWindow",
    "LiveGa4",
    "LiveSource",
    "LiveVendorFiles",
    "MeasuredLift",
    "MediaMix",
    "OrderField",
    "Settings",
    "SettingsError",
    "SourceName",
    "TrackRule",
    "load_settings",
    "read_environment",
    "require_drop_folder",
]
