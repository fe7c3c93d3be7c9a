"""What the fake of OpenAI knows: accounts, families of tokens, device codes. No I/O, any thread.

A family is what one login begets: each refresh token is good once and gives the next one. When a
spent one comes again, a strict authority revokes the whole family, as RFC 9700 wants it; a lenient
one refuses that request and nothing else.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject

MARKER = "LEAKEDSECRET"
"""A part of every token and key that the fake gives out, in clear: grep for it to find leaks."""


class RefusedError(Exception):
    """A request that is answered with an error: its status and its code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass
class Family:
    """Everything that one login begot."""

    account: str
    plan: str
    current: str = ""
    is_revoked: bool = False
    rotations: int = 0


@dataclass
class DeviceCode:
    """A login that a person has to approve in a browser."""

    user_code: str
    state: str = "pending"
    account: str = ""
    expires_in: float = 3600
    authorization: str = field(default_factory=lambda: f"ac_{MARKER}_{secrets.token_hex(8)}")


RENEWED_FOR = 3600.0
"""Seconds that a refreshed access token is good. With less than the five minutes before the end at
which codex refreshes, it would do so again at once, and never end."""


class OpenAIState:
    """All that the authority knows.

    Args:
        strict: Whether a spent refresh token that comes again revokes its family.
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._lock = threading.RLock()
        self._families: dict[str, Family] = {}
        self._access: dict[str, tuple[Family, float]] = {}
        self._keys: set[str] = set()
        self._devices: dict[str, DeviceCode] = {}

    def tokens(self, account: str, *, expires_in: float, plan: str = "pro") -> JsonObject:
        """The tokens of a new login."""
        with self._lock:
            return self._issue(Family(account=account, plan=plan), expires_in)

    def auth_json(self, account: str, *, expires_in: float, plan: str = "pro") -> bytes:
        """A new login as codex writes it to auth.json."""
        document = {
            "auth_mode": "chatgpt",
            "OPENAI_API_KEY": None,
            "tokens": {
                **self.tokens(account, expires_in=expires_in, plan=plan),
                "account_id": account,
            },
            "last_refresh": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        return json.dumps(document).encode()

    def api_key(self) -> str:
        """A new key that the API takes."""
        key = f"sk-{MARKER}-{secrets.token_hex(12)}"
        with self._lock:
            self._keys.add(key)
        return key

    def refresh(self, token: str) -> JsonObject:
        """The tokens that follow a refresh token, which is spent by that.

        Raises:
            RefusedError: It is unknown, spent or revoked.
        """
        with self._lock:
            family = self._families.get(token)
            if family is None or family.is_revoked:
                raise RefusedError(401, "refresh_token_invalidated")
            if token != family.current:
                family.is_revoked = self._strict
                raise RefusedError(401, "refresh_token_reused")
            family.rotations += 1
            return self._issue(family, RENEWED_FOR)

    def revoke(self, token: str) -> None:
        """Revoke the family of a refresh or access token."""
        with self._lock:
            family = self._families.get(token)
            if family is None:
                family = self._access.get(token, (None, 0.0))[0]
            if family is not None:
                family.is_revoked = True

    def is_live(self, refresh_token: str) -> bool:
        """Whether a refresh token would be accepted now."""
        with self._lock:
            family = self._families.get(refresh_token)
            return family is not None and not family.is_revoked and family.current == refresh_token

    def rotations(self, refresh_token: str) -> int:
        """How often the family of a refresh token was refreshed."""
        with self._lock:
            return self._families[refresh_token].rotations

    def expire_access(self) -> None:
        """From now on no access token that was given out before is accepted."""
        with self._lock:
            self._access.clear()

    def account_of_bearer(self, authorization: str) -> str:
        """The account that a request is made for; "key" for an API key.

        Raises:
            RefusedError: It carries nothing that is accepted now.
        """
        token = authorization.removeprefix("Bearer ")
        with self._lock:
            if token in self._keys:
                return "key"
            family, until = self._access.get(token, (None, 0.0))
            if family is None or family.is_revoked or until <= time.time():
                raise RefusedError(401, "invalid_api_key" if "sk-" in token else "token_expired")
            return family.account

    def begin_device(self) -> tuple[str, str]:
        """A device id and the code that a person types."""
        code = f"{secrets.token_hex(2)}-{secrets.token_hex(2)}".upper()
        device = f"da_{secrets.token_hex(8)}"
        with self._lock:
            self._devices[device] = DeviceCode(code)
        return device, code

    def pending_codes(self) -> list[str]:
        """The codes that a person has not decided about, the oldest first."""
        with self._lock:
            return [each.user_code for each in self._devices.values() if each.state == "pending"]

    def decide_device(self, user_code: str, state: str, account: str, expires_in: float) -> None:
        """What the person does with a code: state is "approved" or "denied"."""
        with self._lock:
            for device in self._devices.values():
                if user_code == device.user_code:
                    device.state, device.account = state, account
                    device.expires_in = expires_in
                    return
        raise KeyError(user_code)

    def poll_device(self, device_id: str, user_code: str) -> JsonObject:
        """The code with which the tokens can be had.

        Raises:
            RefusedError: The person has not decided yet (403), or said no, or the device is
                unknown.
        """
        with self._lock:
            device = self._devices.get(device_id)
            if device is None or device.user_code != user_code or device.state == "denied":
                raise RefusedError(400, "access_denied")
            if device.state == "pending":
                raise RefusedError(403, "authorization_pending")
            return {
                "authorization_code": device.authorization,
                "code_challenge": "challenge",
                "code_verifier": "verifier",
            }

    def exchange(self, authorization_code: str) -> JsonObject:
        """The tokens for the code of an approved device; good once.

        Raises:
            RefusedError: There is no such code any more.
        """
        with self._lock:
            for device_id, device in self._devices.items():
                if device.authorization == authorization_code and device.state == "approved":
                    del self._devices[device_id]
                    return self.tokens(device.account, expires_in=device.expires_in)
        raise RefusedError(400, "invalid_grant")

    def _issue(self, family: Family, expires_in: float) -> JsonObject:
        now = time.time()
        auth: JsonObject = {
            "chatgpt_account_id": family.account,
            "chatgpt_user_id": f"user-{family.account}",
            "chatgpt_plan_type": family.plan,
        }
        claims: JsonObject = {
            "iat": int(now),
            "exp": int(now + expires_in),
            "https://api.openai.com/auth": auth,
        }
        access = _jwt(claims)
        family.current = f"rt_{MARKER}_{secrets.token_hex(16)}"
        self._families[family.current] = family
        self._access[access] = (family, now + expires_in)
        return {
            "access_token": access,
            "refresh_token": family.current,
            "id_token": _jwt({**claims, "email": f"{family.account}@example.com"}),
        }


def _jwt(claims: JsonObject) -> str:
    """A token with these claims; its signature is only the marker and a number."""
    parts = [{"alg": "RS256", "typ": "JWT"}, claims]
    encoded = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
    ]
    return ".".join([*encoded, f"{MARKER}{secrets.token_hex(8)}"])
