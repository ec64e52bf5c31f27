"""Who asks Google Ads: an OAuth login, a service account, or an access token somebody else obtained.

Here: the variables, and google-auth's credentials made of them. Not here: sending them (`api`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.auth.exceptions import MalformedError
from google.oauth2 import credentials as oauth2
from google.oauth2 import service_account

from resources.connectors.errors import MissingCredentials

SCOPE = "https://www.googleapis.com/auth/adwords"
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address, not a token
_PREFIX = "AELP_GOOGLE_ADS_"


@dataclass(frozen=True)
class GoogleAdsCredentials:
    """One of three: refresh_token with its client, service_account_file, access_token.

    Attributes:
        login_customer_id: the manager account access comes through, if any.
        developer_token: sent only where given; access follows the Cloud project.
        token_uri: where refresh_token is turned into access tokens.
    """

    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    service_account_file: str | None = None
    access_token: str | None = field(default=None, repr=False)
    login_customer_id: str | None = None
    developer_token: str | None = field(default=None, repr=False)
    token_uri: str = TOKEN_URI

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> GoogleAdsCredentials:
        """Read AELP_GOOGLE_ADS_* variables; the manager's id may carry dashes.

        Raises:
            MissingCredentials: no complete way to log in, or a manager's id that is none; names them.
        """
        given: dict[str, Any] = {
            name: variables.get(_PREFIX + name.upper(), "").strip() or None
            for name in (
                "client_id",
                "client_secret",
                "refresh_token",
                "service_account_file",
                "access_token",
                "developer_token",
            )
        }
        login = (given["client_id"], given["client_secret"], given["refresh_token"])
        if not (all(login) or given["service_account_file"] or given["access_token"]):
            needed = [_PREFIX + name for name in ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN")]
            absent = [name for name, value in zip(needed, login, strict=True) if not value]
            raise MissingCredentials(
                f"Google Ads: set {', '.join(absent)}, or {_PREFIX}SERVICE_ACCOUNT_FILE "
                "(path of a service account's JSON key). `aelp connect google_ads` checks them."
            )
        manager = variables.get(f"{_PREFIX}LOGIN_CUSTOMER_ID", "").strip()
        return cls(**given, login_customer_id=_manager(manager) if manager else None)

    @property
    def secrets(self) -> tuple[str, ...]:
        texts = (self.client_secret, self.refresh_token, self.access_token, self.developer_token)
        return tuple(text for text in texts if text)

    def google(self) -> Any:
        """google-auth credentials with the Google Ads scope.

        Raises:
            MissingCredentials: the service account's key file cannot be read.
        """
        if self.access_token is not None:
            return oauth2.Credentials(token=self.access_token)  # type: ignore[no-untyped-call]
        if self.service_account_file is not None:
            try:
                return service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]
                    self.service_account_file, scopes=[SCOPE]
                )
            except (OSError, ValueError, MalformedError) as error:
                raise MissingCredentials(
                    f"Google Ads: {_PREFIX}SERVICE_ACCOUNT_FILE names {self.service_account_file}, which is "
                    f"no readable service account key ({type(error).__name__})."
                ) from None
        return oauth2.Credentials(  # type: ignore[no-untyped-call]
            token=None,
            refresh_token=self.refresh_token,
            token_uri=self.token_uri,
            client_id=self.client_id,
            client_secret=self.client_secret,
            scopes=[SCOPE],
        )


def _manager(account_id: str) -> str:
    digits = account_id.replace("-", "")
    if re.fullmatch(r"\d{10}", digits) is None:
        raise MissingCredentials(
            f"Google Ads: {_PREFIX}LOGIN_CUSTOMER_ID is {account_id!r}, no customer id (123-456-7890)."
        )
    return digits
