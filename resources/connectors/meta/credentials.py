"""What lets us in at Meta.

Here: the access token and the app secret. Not here: sessions (`graph`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from resources.connectors.errors import MissingCredentials


@dataclass(frozen=True)
class MetaCredentials:
    """A system user's token with `ads_read`; the app secret signs every call where the app demands it."""

    access_token: str = field(repr=False)
    app_secret: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> MetaCredentials:
        """Raises MissingCredentials where there is no token."""
        token = variables.get("AELP_META_ACCESS_TOKEN", "").strip()
        if not token:
            raise MissingCredentials(
                "Meta: set AELP_META_ACCESS_TOKEN to a system user's token with ads_read "
                "(and AELP_META_APP_SECRET if the app requires proof); `aelp connect meta` checks it."
            )
        return cls(token, variables.get("AELP_META_APP_SECRET", "").strip() or None)
