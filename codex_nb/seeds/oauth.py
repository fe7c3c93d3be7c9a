"""Asking the token endpoint for new tokens, once and knowing how far it went.

Errors of httpx hold the request, and with it the token, so none leaves this file: they become
values that say whether anything was sent.

Facts checked against codex 0.142.5, 0.163.0 and 0.169.0: the grant is sent as JSON, without a
scope; the URL override wins, then the issuer that the login names.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from codex_nb import __version__
from codex_nb.errors import LoginError
from codex_nb.seeds.answers import (
    Judgement,
    NoAnswer,
    NotSent,
    Outcome,
    Refused,
    Rotated,
    Unclear,
    code_of,
    judge,
    unclear,
)
from codex_nb.seeds.archive import is_safe_url
from codex_nb.seeds.claims import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codex_nb.seeds.auth import Login

URL_VARIABLE = "CODEX_REFRESH_TOKEN_URL_OVERRIDE"
"""Environment variable with which codex's own tests send a refresh elsewhere; so do ours."""

API_URL = "https://api.openai.com/v1"
"""Where an API key is good."""

_AGENT = {"originator": "codex_nb", "user-agent": f"codex_nb/{__version__}"}
_MAX_BODY = 1024 * 1024
_PART = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRequest:
    """One POST to a token endpoint.

    Attributes:
        url: Of the endpoint.
        headers: Of the request.
        body: With the refresh token.
        accounts: Those that the login names; an answer for another one is none.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    accounts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The API took the key."""


@dataclass(frozen=True, slots=True)
class _Received:
    status: int
    headers: httpx.Headers
    body: bytes = field(repr=False)


def new_client() -> httpx.AsyncClient:
    """A client for `ask` and `check_key`, through the proxy of the environment; to be closed."""
    return httpx.AsyncClient()


def refresh_request(login: Login, environment: Mapping[str, str]) -> RefreshRequest:
    """The request with which codex would refresh this login.

    Args:
        login: A ChatGPT login.
        environment: Of this process, as it is now.

    Raises:
        LoginError: The login names an issuer to which a token is not sent.
        ValueError: This is an API key.
    """
    if login.kind != "chatgpt":
        raise ValueError("an API key is not refreshed")
    url = environment.get(URL_VARIABLE) or f"{login.issuer}/oauth/token"
    if not is_safe_url(url):
        raise LoginError(
            "The login would be refreshed without encryption, or nowhere.",
            hint=f"Look at the issuer in its auth.json and at {URL_VARIABLE}.",
        )
    grant = {
        "client_id": login.client_id,
        "grant_type": "refresh_token",
        "refresh_token": login.refresh_token,
    }
    return RefreshRequest(
        url=url,
        headers={"content-type": "application/json", "accept": "application/json", **_AGENT},
        body=json.dumps(grant).encode(),
        accounts=login.accounts,
    )


async def ask(client: httpx.AsyncClient, request: RefreshRequest, *, timeout: float) -> Outcome:
    """Ask the token endpoint, once.

    Cancelling leaves it open whether the token was spent.

    Args:
        client: Whose transport is httpx's own, which tells when a request is on its way.
        request: Made by `refresh_request`.
        timeout: Seconds for everything.
    """
    # A connection that was kept may be closed by the server just when it is used again, which
    # looks as if the answer got lost. A fresh one cannot.
    headers = {**request.headers, "connection": "close"}
    received = await _exchange(client, "POST", request.url, headers, request.body, timeout)
    if not isinstance(received, _Received):
        return received
    return judge(
        received.status,
        received.headers,
        received.body,
        accounts=request.accounts,
        now=time.time(),
    )


async def check_key(
    client: httpx.AsyncClient, login: Login, *, timeout: float, base_url: str = API_URL
) -> Accepted | Refused | Unclear | NotSent | NoAnswer:
    """Whether the API takes a key; costs nothing, as only the list of models is asked for.

    Args:
        client: As for `ask`.
        login: An API key.
        timeout: Seconds for everything.
        base_url: Of the API, without a slash at the end.
    """
    headers = {"authorization": f"Bearer {login.api_key}", **_AGENT}
    received = await _exchange(client, "GET", f"{base_url}/models", headers, b"", timeout)
    if not isinstance(received, _Received):
        return received
    if 200 <= received.status < 300:
        return Accepted()
    code = code_of(read_json(received.body))
    # A key that is not good from this address, or for this organization, is good elsewhere.
    if received.status == 401 and code in ("", "invalid_api_key", "account_deactivated"):
        return Refused(code=code or "http_401", text="The API refused the key (401).")
    return unclear(received.status, received.headers, code, time.time())


async def _exchange(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes,
    timeout: float,
) -> _Received | NotSent | NoAnswer:
    """Send a request and read its answer; errors become values, as theirs hold the request."""
    stage = "waiting"

    async def follow(event: str, _info: object) -> None:
        nonlocal stage
        if event.startswith("connection.") and stage == "waiting":
            stage = "connecting"
        elif event.endswith("send_request_headers.started"):
            stage = "sent"

    # Each step gets a little less than the whole, so that httpx tells which one took too long.
    limits = httpx.Timeout(timeout * _PART)
    extensions = {"trace": follow, "timeout": limits.as_dict()}
    try:
        question = client.build_request(
            method, url, headers=headers, content=content, extensions=extensions
        )
        async with asyncio.timeout(timeout):
            return await _send(client, question)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as exc:
        return NotSent(reason=f"the token endpoint was not reached ({type(exc).__name__})")
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as exc:
        return NotSent(reason=f"the URL cannot be used ({type(exc).__name__})")
    except httpx.HTTPError as exc:
        return NoAnswer(reason=f"no whole answer came ({type(exc).__name__})")
    except TimeoutError:
        if stage == "connecting":
            return NotSent(reason=f"no connection within {timeout:g} s")
        return NoAnswer(reason=f"no whole answer within {timeout:g} s")


async def _send(client: httpx.AsyncClient, question: httpx.Request) -> _Received:
    response = await client.send(question, stream=True, follow_redirects=False)
    body = bytearray()
    # However the connection ends, what came is judged: tokens are tokens, and part of an answer is
    # no JSON.
    with suppress(httpx.HTTPError):
        async with aclosing(response):
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > _MAX_BODY:
                    break
    return _Received(response.status_code, response.headers, bytes(body))


__all__ = [
    "API_URL",
    "URL_VARIABLE",
    "Accepted",
    "Judgement",
    "NoAnswer",
    "NotSent",
    "Outcome",
    "RefreshRequest",
    "Refused",
    "Rotated",
    "Unclear",
    "ask",
    "check_key",
    "judge",
    "new_client",
    "refresh_request",
]
