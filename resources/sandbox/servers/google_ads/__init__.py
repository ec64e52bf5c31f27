"""A loopback Google Ads API: SearchStream over gRPC, answering GAQL from the simulated account.

Here: what Google would send, its errors and its faults. Not here: anything the connector shares.
"""

from resources.sandbox.servers.google_ads.server import FAULTS, MANAGER_ID, GoogleAdsServer
from resources.sandbox.servers.google_ads.tables import CUSTOMER_ID

__all__ = ["CUSTOMER_ID", "FAULTS", "MANAGER_ID", "GoogleAdsServer"]
