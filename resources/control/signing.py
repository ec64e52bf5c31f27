"""Signatures of people's decisions: an HMAC with a key that only its approver's environment holds.

Here: keys from the environment, signing and verifying. Not here: who may approve what (`authority`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

_SHORTEST_KEY = 16


class MissingKey(Exception):
    """An approver has no key in the environment, or one short enough to be guessed."""


def canonical(document: Mapping[str, Any]) -> str:
    """A document as the one JSON text that is hashed and signed."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_hash(document: Mapping[str, Any]) -> str:
    """sha256 of the canonical text, in hexadecimal digits."""
    return hashlib.sha256(canonical(document).encode()).hexdigest()


def key_variable(approver: str) -> str:
    """The variable that holds an approver's key: AELP_APPROVER_KEY_ and the name in capitals."""
    return "AELP_APPROVER_KEY_" + re.sub(r"\W", "_", approver).upper()


class ApproverKeys:
    """The approvers' keys.

    Args:
        variables: the environment, or part of it.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def sign(self, approver: str, document: Mapping[str, Any]) -> str:
        """The approver's signature under a document.

        Raises:
            MissingKey: naming the variable to set.
        """
        return hmac.new(self._key(approver), canonical(document).encode(), hashlib.sha256).hexdigest()

    def is_signed(self, approver: str, document: Mapping[str, Any], signature: str) -> bool:
        """Whether the approver, and nobody else, signed exactly this document.

        Raises:
            MissingKey: the signature cannot be checked.
        """
        return hmac.compare_digest(self.sign(approver, document), signature)

    def _key(self, approver: str) -> bytes:
        name = key_variable(approver)
        key = self._variables.get(name, "").strip()
        if len(key) < _SHORTEST_KEY:
            raise MissingKey(
                f"{approver} cannot sign: set {name} to at least {_SHORTEST_KEY} random characters, "
                "known to nobody else."
            )
        return key.encode()
