"""A loopback LinkedIn Marketing API (Rest.li) over the simulated account.

Here: the server (`server`), its campaign groups, campaigns and creatives (`entities`), what may be written to
them (`writes`). Not here: connectors.
"""

from resources.sandbox.servers.linkedin.server import LinkedInServer

__all__ = ["LinkedInServer"]
