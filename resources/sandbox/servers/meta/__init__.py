"""Meta's Graph API on loopback.

Here: the server (`server`), what its insights and entities look like on the wire. Not here: connectors.
"""

from resources.sandbox.servers.meta.server import MetaServer

__all__ = ["MetaServer"]
