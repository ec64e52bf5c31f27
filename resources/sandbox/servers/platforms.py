"""All the sandbox's sources at once, as a process that simulates the business starts them.

Here: which servers and files there are, and the variables that lead connectors to them. Not here: the
servers.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

from resources.sandbox.servers.account import ServedAccount

EXPORTED_AS = {"orders": "backend"}
"""Sources whose export files lie in a folder of another name."""
_GA4_EXPORT = "ga4_export"  # as the settings name it
_EXPORTED_DAYS = 3  # so long has the property been linked to BigQuery
_DELIVERED_DAYS = (15, 8, 1)  # so many days ago the vendor dropped a file


@contextmanager
def served_platforms(served: ServedAccount, folder: Path) -> Iterator[dict[str, str]]:
    """Start a server per platform; gives the `AELP_*` variables with their addresses and tokens.

    Tokens are drawn anew each time: nothing else on the machine can talk to the servers.

    Args:
        folder: where the vendor's files, the shop's database and GA4's exported tables go.
    """
    from resources.sandbox.servers.ad_library import AdLibraryServer  # noqa: PLC0415
    from resources.sandbox.servers.ga4 import PROPERTY_ID, Ga4Server  # noqa: PLC0415
    from resources.sandbox.servers.ga4_export import write_events  # noqa: PLC0415
    from resources.sandbox.servers.google_ads.server import GoogleAdsServer  # noqa: PLC0415 - gRPC, 1 s
    from resources.sandbox.servers.impact import ACCOUNT_SID, ImpactServer  # noqa: PLC0415
    from resources.sandbox.servers.linkedin import LinkedInServer  # noqa: PLC0415
    from resources.sandbox.servers.meta.server import MetaServer  # noqa: PLC0415
    from resources.sandbox.servers.sftp import USER, SftpServer  # noqa: PLC0415
    from resources.sandbox.servers.shop import write_shop  # noqa: PLC0415
    from resources.sandbox.servers.tiktok import TikTokServer  # noqa: PLC0415

    names = ("meta", "google", "tiktok", "linkedin", "impact", "ga4", "ad_library", "vendor", "salt")
    tokens = {name: secrets.token_urlsafe(24) for name in names}
    with ExitStack() as running:
        meta = running.enter_context(MetaServer(served, tokens["meta"]))
        meta.job_stages = (("Job Completed", 100),)  # small jobs are done at the first look
        google = running.enter_context(GoogleAdsServer(served, tokens["google"]))
        tiktok = running.enter_context(TikTokServer(served, tokens["tiktok"]))
        linkedin = running.enter_context(LinkedInServer(served, tokens["linkedin"]))
        impact = running.enter_context(ImpactServer(served, tokens["impact"]))
        ga4 = running.enter_context(Ga4Server(served, tokens["ga4"]))
        library = running.enter_context(AdLibraryServer(served, tokens["ad_library"]))
        vendor = running.enter_context(SftpServer(served, tokens["vendor"], folder / "vendor"))
        for ago in _DELIVERED_DAYS:
            last = served.today - timedelta(days=ago)
            name = f"creatives_{last}.csv"
            vendor.deliver_creatives(name, last - timedelta(days=6), last, served.now() - timedelta(days=ago))
        for ago in range(1, _EXPORTED_DAYS + 1):
            tables = folder / _GA4_EXPORT / f"analytics_{PROPERTY_ID}"
            write_events(served, tables, served.today - timedelta(days=ago))
        yield {
            "AELP_META_ENDPOINT": meta.url,
            "AELP_META_ACCESS_TOKEN": tokens["meta"],
            "AELP_GOOGLE_ADS_ENDPOINT": google.endpoint,
            "AELP_GOOGLE_ADS_ACCESS_TOKEN": tokens["google"],
            "AELP_TIKTOK_ENDPOINT": tiktok.url,
            "AELP_TIKTOK_ACCESS_TOKEN": tokens["tiktok"],
            "AELP_LINKEDIN_ENDPOINT": linkedin.url,
            "AELP_LINKEDIN_ACCESS_TOKEN": tokens["linkedin"],
            "AELP_IMPACT_ENDPOINT": impact.url,
            "AELP_IMPACT_ACCOUNT_SID": ACCOUNT_SID,
            "AELP_IMPACT_AUTH_TOKEN": tokens["impact"],
            "AELP_GA4_ENDPOINT": ga4.endpoint,
            "AELP_GA4_ACCESS_TOKEN": tokens["ga4"],
            "AELP_IDENTIFIER_SALT": tokens["salt"],
            "AELP_ORDERS_URL": write_shop(served, folder / "shop.sqlite"),
            "AELP_VENDOR_FILES_HOST": "127.0.0.1",
            "AELP_VENDOR_FILES_PORT": str(vendor.port),
            "AELP_VENDOR_FILES_USER": USER,
            "AELP_VENDOR_FILES_PASSWORD": tokens["vendor"],
            "AELP_VENDOR_FILES_HOST_KEY": vendor.host_key,
            "AELP_VENDOR_FILES_FOLDER": vendor.folder.name,
            "AELP_AD_LIBRARY_ENDPOINT": library.url,
            "AELP_AD_LIBRARY_ACCESS_TOKEN": tokens["ad_library"],
        }
