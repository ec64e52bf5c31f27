"""A loopback TikTok Business API v1.3 over the simulated account.

Here: the server (`server`), its campaigns, ad groups and ads (`entities`), what may be written to them
(`writes`). Not here: connectors.
"""

from resources.sandbox.servers.tiktok.server import TikTokServer

__all__ = ["TikTokServer"]
