"""All the sandbox's platforms at once, as a process that simulates the business starts them.

Here: which servers there are, and the variables that lead connectors to them. Not here: the servers.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from resources.sandbox.servers.account import ServedAccount


@contextmanager
def served_platforms(served: ServedAccount) -> Iterator[dict[str, str]]:
    """Start a server per platform; gives the `AELP_*` variables with their addresses and tokens.

    Tokens are drawn anew each time: nothing else on the machine can talk to the servers.
    """
    from resources.sandbox.servers.google_ads.server import GoogleAdsServer  # noqa: PLC0415 - gRPC, 1 s
    from resources.sandbox.servers.impact import ACCOUNT_SID, ImpactServer  # noqa: PLC0415
    from resources.sandbox.servers.linkedin import LinkedInServer  # noqa: PLC0415
    from resources.sandbox.servers.meta.server import MetaServer  # noqa: PLC0415
    from resources.sandbox.servers.tiktok import TikTokServer  # noqa: PLC0415

    tokens = {name: secrets.token_urlsafe(24) for name in ("meta", "google", "tiktok", "linkedin", "impact")}
    with ExitStack() as running:
        meta = running.enter_context(MetaServer(served, tokens["meta"]))
        meta.job_stages = (("Job Completed", 100),)  # small jobs are done at the first look
        google = running.enter_context(GoogleAdsServer(served, tokens["google"]))
        tiktok = running.enter_context(TikTokServer(served, tokens["tiktok"]))
        linkedin = running.enter_context(LinkedInServer(served, tokens["linkedin"]))
        impact = running.enter_context(ImpactServer(served, tokens["impact"]))
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
        }
