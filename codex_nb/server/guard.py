"""Who may ask: what every handler of this extension keeps, REST or WebSocket.

* Nobody gets further than `prepare` without a login and from a page of another origin, whatever the
  method. The decorator at a method says it again, beside what the method needs.
* jupyter_server (2.21) does not look at the origin of a request that carries a token. We do,
  because a token in a URL can leak, and because a page of another origin has no business here.
  A client without an origin is no browser and passes.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http.client import responses
from typing import TYPE_CHECKING, TypeVar, cast

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from tornado.web import HTTPError, authenticated

if TYPE_CHECKING:
    from codex_nb.errors import CodexNBError

Method = TypeVar("Method", bound=Callable[..., Awaitable[None]])

RESOURCE = "codex_nb"
"""What an Authorizer is asked about."""

ACTIVITY = "codex_nb_last_activity"
"""jupyter_server takes the latest of all settings with this ending as its last activity."""

EVENTS = "urn:codex-nb:events:session:v1"

_HINTS = {
    403: "Log in to this Jupyter server, and reload the page.",
    404: "Look at the list of sessions.",
    500: "Look at the log of the Jupyter server.",
}


def allowed(action: str) -> Callable[[Method], Method]:
    """A method for those who are logged in and may `action` (read, write, execute) sessions."""

    def decorate(method: Method) -> Method:
        checked: Method = authorized(action, RESOURCE)(method)
        return cast("Method", authenticated(checked))

    return decorate


class RefusalError(HTTPError):
    """An answer that is not the one that was asked for, with what to do about it.

    Its message stays out of the server's log, because it may hold what a session host said.
    """

    def __init__(self, status: int, message: str, *, hint: str = "") -> None:
        super().__init__(status)
        self.message = message
        self.hint = hint


class Guarded(JupyterHandler):
    """Refuses who may not ask, and says so in JSON."""

    auth_resource = RESOURCE

    def skip_check_origin(self) -> bool:
        """Whether the origin needs no look: a preflight, or the browser says that it is ours."""
        is_ours = self.request.headers.get("Sec-Fetch-Site") == "same-origin"
        return is_ours or self.request.method == "OPTIONS"

    async def prepare(self, **options: bool) -> None:
        """Refuse strangers and foreign pages.

        Raises:
            RefusalError: It is one.
        """
        if not self.check_origin():
            raise RefusalError(
                403,
                "This page is of another origin than the Jupyter server.",
                hint="Open it from this server, or set ServerApp.allow_origin.",
            )
        await super().prepare(**options)
        if self.current_user is None and self.request.method != "OPTIONS":
            raise HTTPError(403)

    def write_error(self, status_code: int, **values: object) -> None:
        """Send {"message", "hint"} for whatever went wrong."""
        found = values.get("exc_info")
        error = found[1] if isinstance(found, tuple) else None
        message, hint = responses.get(status_code, "Unknown"), _HINTS.get(status_code, "")
        if isinstance(error, RefusalError):
            message, hint = error.message, error.hint
        elif isinstance(error, HTTPError) and error.log_message:
            message = error.log_message % error.args
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"message": message, "hint": hint}))

    def note(self, action: str, session: str, *, operation: str | None = None) -> None:
        """Record a structured event: what happened to which session, and never any content."""
        data = {"action": action, "session": session}
        if operation is not None:
            data["operation"] = operation
        self.event_logger.emit(schema_id=EVENTS, data=data)

    def count_as_activity(self) -> None:
        """Say that a person did something."""
        self.settings[ACTIVITY] = datetime.now(UTC)


def refusal_of(status: int, error: CodexNBError) -> RefusalError:
    """The answer that passes on an error of ours."""
    return RefusalError(status, error.message, hint=error.hint)
