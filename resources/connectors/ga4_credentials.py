"""Who asks Google Analytics: a service account, or an access token somebody else obtained.

Here: the variables, and google-auth's credentials made of them. Not here: the Data API (`ga4`), whose SDK is
not needed to say what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.auth.exceptions import GoogleAuthError
from google.oauth2 import credentials as oauth2
from google.oauth2 import service_account

from resources.connectors.errors import MissingCredentials

ANALYTICS = "https://www.googleapis.com/auth/analytics.readonly"
# The Storage Read API takes no narrower scope; what may be read is up to the account's roles.
BIGQUERY = "https://www.googleapis.com/auth/bigquery"


@dataclass(frozen=True)
class Ga4Credentials:
    """A service account's key file, or an access token somebody else obtained."""

    service_account_file: str | None = None
    access_token: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Ga4Credentials:
        """Raises: MissingCredentials where neither variable is set; names them."""
        key_file = variables.get("AELP_GA4_SERVICE_ACCOUNT_FILE", "").strip() or None
        token = variables.get("AELP_GA4_ACCESS_TOKEN", "").strip() or None
        if not (key_file or token):
            raise MissingCredentials(
                "GA4: set AELP_GA4_SERVICE_ACCOUNT_FILE (path of a service account's JSON key; the account "
                "needs the Viewer role on each property). `aelp connect ga4` checks it."
            )
        return cls(key_file, token)

    def google(self, scope: str = ANALYTICS) -> Any:
        """google-auth credentials for one API.

        Raises:
            MissingCredentials: the key file cannot be read.
        """
        if self.access_token is not None:
            return oauth2.Credentials(token=self.access_token)  # type: ignore[no-untyped-call]
        try:
            return service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]
                self.service_account_file, scopes=[scope]
            )
        except (OSError, ValueError, GoogleAuthError) as error:
            kind = type(error).__name__
        raise MissingCredentials(
            f"GA4: AELP_GA4_SERVICE_ACCOUNT_FILE names {self.service_account_file}, which is no readable "
            f"service account key ({kind})."
        )
