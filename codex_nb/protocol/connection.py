"""The state machine of our side of one conversation with an app-server, without I/O.

Bytes from codex go in with `receive_data` and `receive_eof`; `events_received` gives the messages
in them. What we say goes in with `request`, `notify`, `answer` and `refuse`; `data_to_send` gives
the bytes of it. Nothing blocks, nothing waits, and no bytes from codex raise an exception.

Rules:
    1.  A message is one line. How the bytes were split on their way changes nothing. Blank lines
        mean nothing.
    2.  A line with "method" and "id" is a request of codex, with "method" alone a notification,
        with "id" and exactly one of "result" and "error" the response to a request of ours.
        Everything else is Malformed.
    3.  Our requests are numbered 1, 2, 3… and are outstanding until their response came. A response
        to anything else is Malformed, so each request of ours ends once at most.
    4.  A request of codex is open until we answer or refuse it, which we can do once. A second
        request under an open id is Malformed: an answer to it could be taken for the first one's.
    5.  Ids are compared with their type: 1, "1" and true are three things, and the last is no id.
    6.  A line longer than `max_line` is skipped to its end without being kept, and is Malformed
        then.
    7.  The end of input is final. A line without its end is Malformed, and no more requests can be
        made.

What the methods mean is none of this file's business. Checked against codex 0.142.5, 0.163.0 and
0.169.0.
"""

from __future__ import annotations

from codex_nb.errors import ProtocolError
from codex_nb.protocol.messages import (
    ErrorResponse,
    Json,
    JsonObject,
    Malformed,
    Message,
    Notification,
    RequestId,
    Response,
    ServerRequest,
    is_request_id,
)
from codex_nb.protocol.values import seconds_of
from codex_nb.protocol.wire import LineError, encode_line, parse_line

DEFAULT_MAX_LINE = 64 * 1024 * 1024
_HEAD = 200


class Connection:
    """Our side of one app-server conversation.

    Args:
        max_line: The longest line taken from codex, in bytes without its newline. Outputs of tools
            come whole in one line, so it is many megabytes.
    """

    def __init__(self, *, max_line: int = DEFAULT_MAX_LINE) -> None:
        self._max_line = max_line
        self._line = bytearray()
        self._skipped = 0
        self._at_eof = False
        self._events: list[Message] = []
        self._outgoing: list[bytes] = []
        self._last_id = 0
        self._outstanding: dict[int, str] = {}
        self._open: dict[RequestId, ServerRequest] = {}

    @property
    def outstanding(self) -> frozenset[int]:
        """The ids of our requests that codex has not responded to."""
        return frozenset(self._outstanding)

    @property
    def open_requests(self) -> tuple[ServerRequest, ...]:
        """The requests of codex that we have not answered, oldest first."""
        return tuple(self._open.values())

    def request(self, method: str, params: JsonObject | None = None) -> int:
        """Queue a request and return its id.

        Raises:
            ProtocolError: The input has ended, so no response can come.
        """
        if self._at_eof:
            raise ProtocolError(f"codex ended the conversation before `{method}` was asked")
        line = _call(method, params, id=self._last_id + 1)
        self._last_id += 1
        self._outstanding[self._last_id] = method
        self._outgoing.append(line)
        return self._last_id

    def notify(self, method: str, params: JsonObject | None = None) -> None:
        """Queue a notification."""
        self._outgoing.append(_call(method, params))

    def answer(self, request_id: RequestId, result: Json) -> None:
        """Queue the result of an open request of codex.

        Raises:
            ProtocolError: No such request is open; nothing was queued.
        """
        self._settle(request_id, {"result": result})

    def refuse(self, request_id: RequestId, code: int, message: str) -> None:
        """Queue an error as the response to an open request of codex.

        Raises:
            ProtocolError: No such request is open; nothing was queued.
        """
        self._settle(request_id, {"error": {"code": code, "message": message}})

    def receive_data(self, data: bytes) -> None:
        """Take bytes from codex, in any split.

        Raises:
            ProtocolError: `receive_eof` was called before.
        """
        if self._at_eof:
            raise ProtocolError("data was received after the end of input")
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._extend_line(end)
            self._end_line()
        self._extend_line(rest)

    def receive_eof(self) -> None:
        """Take the end of input. Calling it again changes nothing."""
        self._at_eof = True
        if self._skipped or not _is_blank(self._line):
            self._reject("The input ended in the middle of a line.", self._line)
        self._start_line()

    def events_received(self) -> list[Message]:
        """The messages since the last call, in order."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> bytes:
        """The bytes to write to codex since the last call; empty if there are none."""
        data, self._outgoing = b"".join(self._outgoing), []
        return data

    def _settle(self, request_id: RequestId, outcome: JsonObject) -> None:
        if not is_request_id(request_id) or request_id not in self._open:
            raise ProtocolError(
                f"codex has no open request {request_id!r}",
                hint="It was answered before, or never asked.",
            )
        line = encode_line({"id": request_id, **outcome})
        del self._open[request_id]
        self._outgoing.append(line)

    def _extend_line(self, data: bytes) -> None:
        size = (self._skipped or len(self._line)) + len(data)
        if size <= self._max_line:
            self._line += data
            return
        self._skipped = size
        # Four bytes are the most that one character of the head takes.
        self._line += data[: 4 * _HEAD]
        del self._line[4 * _HEAD :]

    def _end_line(self) -> None:
        if self._skipped:
            self._reject(f"The line is longer than {self._max_line:,} bytes.", self._line)
        elif not _is_blank(self._line):
            try:
                self._events.append(self._parse_message(parse_line(self._line)))
            except LineError as error:
                self._reject(str(error), self._line)
        self._start_line()

    def _start_line(self) -> None:
        self._skipped = 0
        # A new one, and not a cleared one: that would keep the memory of the longest line.
        self._line = bytearray()

    def _reject(self, reason: str, line: bytearray) -> None:
        head = line[: 4 * _HEAD].decode("utf-8", "replace")[:_HEAD]
        size = self._skipped or len(line)
        self._events.append(Malformed(reason=reason, head=head, size=size))

    def _parse_message(self, message: Json) -> Message:
        if not isinstance(message, dict):
            raise LineError("The message is not an object.")
        if "method" in message:
            return self._parse_call(message)
        if ("result" in message) == ("error" in message):
            raise LineError("The message has neither a method nor one of result and error.")
        return self._parse_response(message)

    def _parse_call(self, message: JsonObject) -> Message:
        method, params = message["method"], message.get("params")
        if not isinstance(method, str):
            raise LineError("The method is not a string.")
        if params is None:
            params = {}
        if not isinstance(params, dict):
            raise LineError("The parameters are not an object.")
        if "id" not in message:
            emitted_at = seconds_of(message.get("emittedAtMs"))
            return Notification(method=method, params=params, emitted_at=emitted_at)
        request_id = message["id"]
        if not is_request_id(request_id):
            raise LineError("The id of the request is neither an integer nor a string.")
        if request_id in self._open:
            raise LineError("A request with this id is still open.")
        request = ServerRequest(id=request_id, method=method, params=params)
        self._open[request_id] = request
        return request

    def _parse_response(self, message: JsonObject) -> Message:
        own_id = message.get("id")
        if not is_request_id(own_id) or isinstance(own_id, str) or own_id not in self._outstanding:
            raise LineError("The message answers nothing that we asked.")
        method = self._outstanding[own_id]
        response: Message
        if "result" in message:
            response = Response(id=own_id, method=method, result=message["result"])
        else:
            response = _error_response(own_id, method, message["error"])
        del self._outstanding[own_id]
        return response


def _call(method: str, params: JsonObject | None, **members: Json) -> bytes:
    members["method"] = method
    if params is not None:
        members["params"] = params
    return encode_line(members)


def _error_response(own_id: int, method: str, error: Json) -> ErrorResponse:
    if not isinstance(error, dict):
        raise LineError("The error is not an object.")
    code, text = error.get("code"), error.get("message")
    if not isinstance(code, int) or isinstance(code, bool) or not isinstance(text, str):
        raise LineError("The error has no code or no message.")
    return ErrorResponse(id=own_id, method=method, code=code, message=text, data=error.get("data"))


def _is_blank(line: bytearray) -> bool:
    return not line or line.isspace()
