"""How Google Ads says no: gRPC codes with a GoogleAdsFailure in the trailer.

Here: the error bodies. Not here: when they are due (`server`).
"""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure

FAILURE_KEY = "google.ads.googleads.v26.errors.googleadsfailure-bin"
REQUEST_ID = "vZ4qkP0fJtq1H8sYb2mQ9w"


@dataclass
class Refusal(Exception):
    """An answer that is an error. `failure` is None where only the transport speaks."""

    code: grpc.StatusCode
    message: str
    failure: GoogleAdsFailure | None = None

    @classmethod
    def of(
        cls, code: grpc.StatusCode, kind: str, name: str, message: str, retry_seconds: float | None = None
    ) -> Refusal:
        """A refusal with one error: `kind` is the field of ErrorCode, `name` the value of its enum."""
        error: dict[str, object] = {"error_code": {kind: name}, "message": message}
        if retry_seconds is not None:
            error["details"] = {
                "quota_error_details": {
                    "rate_scope": "DEVELOPER",
                    "rate_name": "Number of operations for basic access",
                    "retry_delay": {"seconds": int(retry_seconds)},
                }
            }
        return cls(code, message, GoogleAdsFailure({"errors": [error], "request_id": REQUEST_ID}))

    @classmethod
    def query(cls, name: str, message: str) -> Refusal:
        return cls.of(grpc.StatusCode.INVALID_ARGUMENT, "query_error", name, message)

    def play(self, context: grpc.ServicerContext) -> None:
        """End the call with this error."""
        trailer: list[tuple[str, str | bytes]] = [("request-id", REQUEST_ID)]
        if self.failure is not None:
            trailer.append((FAILURE_KEY, GoogleAdsFailure.serialize(self.failure)))
        context.set_trailing_metadata(tuple(trailer))
        context.abort(self.code, self.message)


def throttled(wait_seconds: float) -> Refusal:
    """Too many calls in a short time."""
    return Refusal.of(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "quota_error",
        "RESOURCE_TEMPORARILY_EXHAUSTED",
        f"Too many requests. Retry in {wait_seconds:.0f} seconds.",
        wait_seconds,
    )


def out_of_quota(wait_seconds: float) -> Refusal:
    """The day's operations are used up."""
    return Refusal.of(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "quota_error",
        "RESOURCE_EXHAUSTED",
        f"Too many requests. Retry in {wait_seconds:.0f} seconds.",
        wait_seconds,
    )


def unauthenticated(name: str) -> Refusal:
    """The token is wrong, or no longer right."""
    return Refusal.of(
        grpc.StatusCode.UNAUTHENTICATED,
        "authentication_error",
        name,
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie "
        "or other valid authentication credential.",
    )


def not_enabled() -> Refusal:
    """The customer account is closed."""
    return Refusal.of(
        grpc.StatusCode.PERMISSION_DENIED,
        "authorization_error",
        "CUSTOMER_NOT_ENABLED",
        "The customer account can't be accessed because it is not yet enabled or has been deactivated.",
    )


def not_permitted() -> Refusal:
    """The login may not see this customer."""
    return Refusal.of(
        grpc.StatusCode.PERMISSION_DENIED,
        "authorization_error",
        "USER_PERMISSION_DENIED",
        "User doesn't have permission to access customer. Note: If you're accessing a client customer, the "
        "manager's customer id must be set in the 'login-customer-id' header.",
    )


def internal() -> Refusal:
    """Google's own fault."""
    return Refusal.of(
        grpc.StatusCode.INTERNAL, "internal_error", "INTERNAL_ERROR", "An internal error has occurred."
    )


def too_much() -> Refusal:
    """More rows than Google will send."""
    return Refusal.of(
        grpc.StatusCode.INVALID_ARGUMENT,
        "size_limit_error",
        "RESPONSE_SIZE_LIMIT_EXCEEDED",
        "The number of entries in the response exceeds the system limit.",
    )


def broken_stream() -> Refusal:
    """The connection goes away; no failure in the trailer."""
    return Refusal(grpc.StatusCode.UNAVAILABLE, "Stream removed")
