"""What the fake of OpenAI answers when nothing goes wrong, endpoint by endpoint.

The paths and forms are those that codex 0.142.5, 0.163.0 and 0.169.0 use; 0.142.5 asks for fewer.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from codex_nb.protocol.values import obj, text_of
from codex_nb.replay.catalog import model_catalog
from codex_nb.replay.loopback import Answer, Request, json_answer
from codex_nb.replay.responses import say
from tests.support.openai_state import OpenAIState, RefusedError

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject


class Endpoints:
    """Answers requests with what the state says.

    Args:
        state: Of the authority.
        says: What the model answers to every turn.
    """

    def __init__(self, state: OpenAIState, *, says: str) -> None:
        self._state = state
        self._says = says

    def answer(self, request: Request) -> Answer:
        """Do what is asked and answer it; errors are answers too."""
        try:
            return self._serve(request)
        except RefusedError as exc:
            error: JsonObject = {"message": "no", "type": "error", "code": exc.code}
            return json_answer({"error": error}, status=exc.status)

    def _serve(self, request: Request) -> Answer:
        match request.method, request.path:
            case "POST", "/oauth/token":
                return json_answer(self._grant(request))
            case "POST", "/oauth/revoke":
                self._state.revoke(text_of(_json(request).get("token")))
                return json_answer({})
            case "POST", "/api/accounts/deviceauth/usercode":
                device, code = self._state.begin_device()
                return json_answer({"device_auth_id": device, "user_code": code, "interval": "1"})
            case "POST", "/api/accounts/deviceauth/token":
                body = _json(request)
                device, code = (text_of(body.get(key)) for key in ("device_auth_id", "user_code"))
                return json_answer(self._state.poll_device(device, code))
            case "GET", "/backend-api/wham/accounts/check":
                return json_answer(_accounts(self._account(request)))
            case "GET", "/backend-api/wham/usage":
                self._account(request)
                return json_answer(_usage())
            case "GET", "/v1/models":
                self._account(request)
                return json_answer({**model_catalog(code_mode=False), "data": []})
            case "POST", "/v1/responses":
                self._account(request)
                return Answer(headers=_TURN_HEADERS, body=self._turn())
        raise RefusedError(404, "not_found")

    def _grant(self, request: Request) -> JsonObject:
        body = _json(request)
        if body.get("grant_type") == "refresh_token":
            return self._state.refresh(text_of(body.get("refresh_token")))
        form = parse_qs(request.body.decode())
        if form.get("grant_type") == ["authorization_code"]:
            return self._state.exchange(form.get("code", [""])[0])
        # Among others what the older system sent: a refresh as a form.
        raise RefusedError(400, "unsupported_grant_type")

    def _account(self, request: Request) -> str:
        headers = {name.lower(): value for name, value in request.headers.items()}
        return self._state.account_of_bearer(headers.get("authorization", ""))

    def _turn(self) -> bytes:
        frames = say(self._says, speed=0, input_tokens=1).frames
        return "".join(
            f"event: {frame.event['type']}\ndata: {json.dumps(frame.event)}\n\n" for frame in frames
        ).encode()


_TURN_HEADERS = {
    "content-type": "text/event-stream",
    # How the back-end tells what is left of an account's limits.
    "x-codex-primary-used-percent": "12.0",
    "x-codex-primary-window-minutes": "300",
    "x-codex-primary-reset-at": "1900000000",
}


def _json(request: Request) -> JsonObject:
    try:
        return obj(json.loads(request.body))
    except ValueError:
        return {}


def _accounts(account: str) -> JsonObject:
    """The answer without which codex 0.163 and later refuse account/read; the origin is https."""
    entry: JsonObject = {
        "id": account,
        "name": "Me",
        "plan_type": "pro",
        "workspace_backend_origin": "https://localhost",
        "account_routing_override": "NO_CONSTRAINT",
        "structure": "personal",
    }
    return {"accounts": [entry], "account_ordering": [account]}


def _usage() -> JsonObject:
    window: JsonObject = {
        "used_percent": 12,
        "limit_window_seconds": 18_000,
        "reset_after_seconds": 3_600,
        "reset_at": int(time.time()) + 3_600,
    }
    return {
        "plan_type": "pro",
        "rate_limit": {
            "allowed": True,
            "limit_reached": False,
            "primary_window": window,
            "secondary_window": None,
        },
    }
