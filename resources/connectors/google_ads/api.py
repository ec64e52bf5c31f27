"""Calls to Google Ads: a signed SearchStream, the list of accounts, one mutation.

Here: the channel, authorization, timeouts, exceptions turned into PlatformError. Not here: what is asked
(`queries`), what errors mean (`failures`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import grpc
from google.ads.googleads.errors import GoogleAdsException
from google.ads.googleads.interceptors import ExceptionInterceptor, MetadataInterceptor
from google.ads.googleads.v26.services.services.customer_service import CustomerServiceClient
from google.ads.googleads.v26.services.services.customer_service.transports.grpc import (
    CustomerServiceGrpcTransport,
)
from google.ads.googleads.v26.services.services.google_ads_service import GoogleAdsServiceClient
from google.ads.googleads.v26.services.services.google_ads_service.transports.grpc import (
    GoogleAdsServiceGrpcTransport,
)
from google.ads.googleads.v26.services.types.customer_service import ListAccessibleCustomersRequest
from google.ads.googleads.v26.services.types.google_ads_service import SearchGoogleAdsStreamRequest
from google.api_core.exceptions import GoogleAPICallError

from resources.connectors.errors import PlatformError
from resources.connectors.google_ads.credentials import GoogleAdsCredentials
from resources.connectors.google_ads.failures import platform_error
from resources.connectors.google_login import GoogleLogin
from resources.connectors.scrubbing import Scrubber

API_VERSION = "v26"
LIVE_ENDPOINT = "googleads.googleapis.com"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_OPTIONS = (
    ("grpc.max_metadata_size", 16 * 1024 * 1024),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.enable_retries", 0),
)


class GoogleAdsApi:
    """google-ads' services over one channel: TLS, or plain where the endpoint is this machine.

    The SDK's client builds TLS channels only, so its parts are put together here: its transports and its
    interceptors. Its logging interceptor stays out, for it prints requests.

    Args:
        timeout_seconds: for a whole call, streaming included.
    """

    def __init__(self, credentials: GoogleAdsCredentials, endpoint: str, timeout_seconds: float) -> None:
        self._login = GoogleLogin(
            credentials.google(),
            timeout_seconds,
            "Google Ads",
            "Renew AELP_GOOGLE_ADS_REFRESH_TOKEN (or AELP_GOOGLE_ADS_SERVICE_ACCOUNT_FILE).",
        )
        self._known_secrets = credentials.secrets
        self._timeout_seconds = timeout_seconds
        host = endpoint if ":" in endpoint else f"{endpoint}:443"
        channel = (
            grpc.insecure_channel(host, options=_OPTIONS)
            if host.rpartition(":")[0] in _LOOPBACK
            else grpc.secure_channel(host, grpc.ssl_channel_credentials(), options=_OPTIONS)
        )
        self._channel = grpc.intercept_channel(
            channel,
            MetadataInterceptor(credentials.developer_token, credentials.login_customer_id),
            ExceptionInterceptor(API_VERSION),
        )
        self._ads = GoogleAdsServiceClient(transport=GoogleAdsServiceGrpcTransport(channel=self._channel))
        self._customers = CustomerServiceClient(transport=CustomerServiceGrpcTransport(channel=self._channel))

    @property
    def secrets(self) -> Sequence[str]:
        """What was given, and the access token now in use."""
        token = self._login.token
        return [*self._known_secrets, token] if token else list(self._known_secrets)

    def close(self) -> None:
        self._channel.close()

    def search(self, customer_id: str, query: str, about: str) -> Iterator[Any]:
        """Responses of a query as protobuf messages, as they stream in.

        Raises:
            PlatformError: refused, or broken off; rows already yielded are then not the answer.
        """
        request = SearchGoogleAdsStreamRequest(customer_id=customer_id, query=query)
        metadata = self._login.signature()
        responses = 0
        stream: Any = None
        try:
            stream = self._ads.search_stream(
                request=request, metadata=metadata, timeout=self._timeout_seconds, retry=None
            )
            for response in stream:
                responses += 1
                yield response
        except (GoogleAdsException, GoogleAPICallError, grpc.RpcError) as error:
            refused = platform_error(error, about, responses)
        else:
            return
        finally:
            if stream is not None:
                stream.cancel()  # a consumer that stops early leaves no stream open
        raise self._scrubbed(refused) from None

    def accessible_customers(self) -> list[str]:
        """Ids of the accounts the login reaches directly.

        Raises:
            PlatformError: refused.
        """
        metadata = self._login.signature()
        try:
            response = self._customers.list_accessible_customers(
                request=ListAccessibleCustomersRequest(),
                metadata=metadata,
                timeout=self._timeout_seconds,
                retry=None,
            )
        except (GoogleAdsException, GoogleAPICallError, grpc.RpcError) as error:
            refused = platform_error(error, "the list of accounts", 0)
        else:
            return [name.rpartition("/")[2] for name in response.resource_names]
        raise self._scrubbed(refused) from None

    def mutate(
        self, service: type, transport: type, method: str, request: Mapping[str, Any], about: str
    ) -> None:
        """One mutating call of a service, all of it or nothing.

        Args:
            service, transport: the SDK's client and its gRPC transport.
            method: of the client, such as `mutate_campaigns`.
        Raises:
            PlatformError: refused; TRANSIENT where no answer came, and it may have been done or not.
        """
        metadata = self._login.signature()
        client = service(transport=transport(channel=self._channel))
        try:
            getattr(client, method)(
                request=dict(request), metadata=metadata, timeout=self._timeout_seconds, retry=None
            )
        except (GoogleAdsException, GoogleAPICallError, grpc.RpcError) as error:
            refused = platform_error(error, about, 0)
        else:
            return
        raise self._scrubbed(refused) from None

    def _scrubbed(self, error: PlatformError) -> PlatformError:
        return PlatformError(error.error_class, Scrubber(self.secrets)(str(error)), error.wait_seconds)
