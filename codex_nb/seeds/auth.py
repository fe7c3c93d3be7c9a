"""A login as codex keeps it in auth.json: read, judged by its own claims, and written again.

Nothing here does I/O or knows what time it is. No secret is shown by `repr`, and none is in an
error or in the frames that it leaves behind.

Facts checked against codex 0.142.5, 0.163.0 and 0.169.0: an access token that says when it expires
is refreshed when at most five minutes are left, whatever `last_refresh` says; one that does not,
eight days after `last_refresh`. With a `last_refresh` that is no RFC 3339 text codex sends no
credentials at all, and says nothing about it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from codex_nb.errors import LoginError
from codex_nb.protocol.values import obj, text_of
from codex_nb.seeds.claims import (
    AUTH_CLAIM,
    PROFILE_CLAIM,
    Fault,
    Flaw,
    account_of,
    claims_of,
    is_time_of_codex,
    read_json,
    rfc3339,
    seconds_of,
    secret_of,
    time_of,
    word_of,
)

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.seeds.records import Kind

ISSUER = "https://auth.openai.com"
"""Who gave a login that does not say so."""

CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
"""The OAuth client that codex is; public."""

REFRESH_MARGIN = 5 * 60.0
"""Seconds before its end from which on codex refreshes an access token."""

REFRESH_AGE = 8 * 24 * 3600.0
"""Seconds after which codex refreshes a token that does not say when it ends."""

_IMPORT_AGAIN = "Log in again, or import an auth.json of a login that works."


class UnusableLoginError(LoginError):
    """An auth.json holds no login that can be used.

    Attributes:
        fault: What it is instead.
    """

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message, hint=_IMPORT_AGAIN)
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a token endpoint gave; an empty one means that the old one stays."""

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    id_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One login of codex. Made by `parse`.

    Attributes:
        kind: A ChatGPT login or an API key.
        access_token: What requests carry; "" for an API key, like the next two.
        refresh_token: Good for one refresh.
        id_token: Tells who it is.
        api_key: The API key, which a ChatGPT login may hold as well; or "".
        account_id: The ChatGPT account or workspace, or "".
        user_id: The person in it, or "".
        email: Of that person, or "".
        plan: Of the account, such as "pro", or "".
        expires_at: When the access token ends, in Unix seconds; None if it does not say.
        issued_at: When it was given; None if it does not say.
        last_refresh: When codex last got tokens; None if that is not known.
        issuer: Whom to ask for new tokens, without a slash at the end.
        client_id: As which client.
        document: The whole auth.json, with what only codex knows. Not to be changed.
    """

    kind: Kind
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    id_token: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    account_id: str = ""
    user_id: str = ""
    email: str = ""
    plan: str = ""
    expires_at: float | None = None
    issued_at: float | None = None
    last_refresh: float | None = None
    issuer: str = ISSUER
    client_id: str = CLIENT_ID
    document: JsonObject = field(repr=False, hash=False)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The login in the bytes of an auth.json.

        Raises:
            UnusableLoginError: They are torn, empty, logged out or malformed; a LoginError.
        """
        document = read_json(data)
        found = document if isinstance(document, Flaw) else cls._read(document)
        if isinstance(found, Flaw):
            # A formatter that shows locals shows those of this frame.
            del data, document
            raise UnusableLoginError(*found)
        return found

    @classmethod
    def from_document(cls, document: JsonObject) -> Self:
        """The login in an auth.json that was read already, and is not changed any more.

        Raises:
            UnusableLoginError: It is logged out or malformed.
        """
        found = cls._read(document)
        if isinstance(found, Flaw):
            del document
            raise UnusableLoginError(*found)
        return found

    def to_bytes(self) -> bytes:
        """An auth.json that every version of codex accepts, with all that was in it before."""
        document = self.document
        if self.kind == "chatgpt" and not is_time_of_codex(document.get("last_refresh")):
            # A time long ago says that nothing is known, and codex refreshes a token without exp.
            known = self.last_refresh if self.last_refresh is not None else self.issued_at
            document = {**document, "last_refresh": rfc3339(known or 0.0)}
        return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()

    def rotated(self, tokens: Tokens, now: float) -> Login:
        """The login after a refresh; what the answer left out stays as it was.

        Args:
            tokens: The answer of the token endpoint.
            now: When it came, in Unix seconds.

        Raises:
            ValueError: This is an API key, which nobody refreshes, or there is no access token.
        """
        if self.kind != "chatgpt" or not tokens.access_token:
            raise ValueError("only a ChatGPT login is refreshed, and with an access token")
        kept = obj(self.document.get("tokens"))
        given: JsonObject = {
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token or self.refresh_token,
        }
        if tokens.id_token:
            given["id_token"] = tokens.id_token
        renewed: JsonObject = {"tokens": {**kept, **given}, "last_refresh": rfc3339(now)}
        return type(self).from_document({**self.document, **renewed})

    def details(self) -> JsonObject:
        """What a person may see of it: no secret; null is what is not known."""
        return {
            "email": self.email or None,
            "plan": self.plan or None,
            "expires_at": self.expires_at,
            "issued_at": self.issued_at,
            "refresh_by": self.refresh_by,
        }

    @property
    def accounts(self) -> frozenset[str]:
        """Every ChatGPT account that the login and its tokens name; mostly one."""
        named = {self.account_id, account_of(self.access_token), account_of(self.id_token)}
        return frozenset(named - {""})

    @property
    def refresh_by(self) -> float | None:
        """When codex would refresh it, in Unix seconds; None for never."""
        if self.kind == "apikey":
            return None
        if self.expires_at is not None:
            return self.expires_at - REFRESH_MARGIN
        return (self.last_refresh or 0.0) + REFRESH_AGE

    def needs_refresh(self, now: float) -> bool:
        """Whether codex would refresh it now."""
        by = self.refresh_by
        return by is not None and now >= by

    @classmethod
    def _read(cls, document: Json) -> Self | Flaw:
        if not isinstance(document, dict):
            return Flaw(Fault.MALFORMED, "The auth.json is no JSON object.")
        kind = _kind_of(document)
        if isinstance(kind, Flaw):
            return kind
        api_key = secret_of(document.get("OPENAI_API_KEY"))
        if kind == "apikey":
            if not api_key:
                return Flaw(Fault.LOGGED_OUT, "The auth.json says API key and holds none.")
            return cls(kind=kind, api_key=api_key, document=document)
        tokens = document.get("tokens")
        if tokens is None:
            return Flaw(Fault.LOGGED_OUT, "The auth.json holds no tokens: it is logged out.")
        tokens = obj(tokens)
        # Codex reads no file in which one of them is missing.
        names = ("access_token", "refresh_token", "id_token")
        access, refresh, identity = found = [secret_of(tokens.get(name)) for name in names]
        if "" in found:
            missing = names[found.index("")]
            return Flaw(Fault.MALFORMED, f"The auth.json holds no usable {missing}.")
        about, granted = claims_of(identity), claims_of(access)
        auth = {**obj(granted.get(AUTH_CLAIM)), **obj(about.get(AUTH_CLAIM))}
        profile = {**obj(granted.get(PROFILE_CLAIM)), **about}
        origin = obj(tokens.get("oauth_provenance"))
        account = word_of(tokens.get("account_id")) or word_of(auth.get("chatgpt_account_id"))
        return cls(
            kind=kind,
            access_token=access,
            refresh_token=refresh,
            id_token=identity,
            api_key=api_key,
            account_id=account,
            user_id=word_of(auth.get("chatgpt_user_id")) or word_of(auth.get("user_id")),
            email=word_of(profile.get("email")),
            plan=word_of(auth.get("chatgpt_plan_type")),
            expires_at=seconds_of(granted.get("exp")),
            issued_at=seconds_of(granted.get("iat")),
            last_refresh=time_of(document.get("last_refresh")),
            issuer=word_of(origin.get("issuer")).rstrip("/") or ISSUER,
            client_id=word_of(origin.get("client_id")) or CLIENT_ID,
            document=document,
        )


def _kind_of(document: JsonObject) -> Kind | Flaw:
    mode = document.get("auth_mode")
    match mode:
        case "chatgpt" | "apikey":
            return "chatgpt" if mode == "chatgpt" else "apikey"
        case None:
            # Files of older versions have none; where both are the key wins, as in codex itself.
            if text_of(document.get("OPENAI_API_KEY")):
                return "apikey"
            return "chatgpt"
        case _:
            return Flaw(
                Fault.MALFORMED, "The auth.json is of a mode that cannot be kept as a seed."
            )


__all__ = [
    "CLIENT_ID",
    "ISSUER",
    "REFRESH_AGE",
    "REFRESH_MARGIN",
    "Fault",
    "Login",
    "Tokens",
    "UnusableLoginError",
]
