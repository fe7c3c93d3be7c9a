"""Recording a conversation: a loopback proxy between codex and a real provider.

What is stored: the prompts, the shape of each request and the events of each answer with their
timing. Never stored: header fields, so no credentials and no cookies; the instructions, tools and
history of a request; encrypted reasoning. Only the first thread is recorded; sub-agents,
compactions and answers that codex broke off pass through.

This module needs httpx as soon as a recorder starts.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.errors import ReplayError
from codex_nb.replay.history import Memory, Place, read_place
from codex_nb.replay.loopback import (
    Answer,
    ConnectionCut,
    LoopbackServer,
    Request,
    error_answer,
)
from codex_nb.replay.recording import FORMAT, VERSION

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from os import PathLike
    from typing import TextIO

    import httpx

    from codex_nb.protocol.messages import Json, JsonObject

# Belong to one connection, or are made anew by the client.
_NOT_FORWARDED = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}
_KEPT_OF_RESPONSE = {"id", "status", "error", "incomplete_details", "usage", "end_turn"}
_CONNECT_SECONDS = 30.0
_SILENCE_SECONDS = 600.0


class Recorder:
    """A loopback provider that passes everything on to a real one and writes down the conversation.

    Use it as an asynchronous context manager, and give codex its `base_url` in place of the
    provider's. The file is complete after each answer. It holds what the person and the model said,
    and can be read by its owner only.

    Args:
        path: The file to write; it must not exist.
        upstream: The base URL of the provider, with its "/v1" or what it has instead.
        headers: Header fields to add to every request, such as Authorization.
        title: What the recording shows, as a heading.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        upstream: str,
        headers: Mapping[str, str] | None = None,
        title: str = "",
    ) -> None:
        self._path = Path(path)
        self._upstream = upstream.rstrip("/")
        self._headers = dict(headers or {})
        self._title = title or self._path.stem
        self._memory = Memory()
        self._thread: str | None = None
        self._answered: dict[str, int] = {}
        self._server = LoopbackServer(self._handle)
        self._file: TextIO | None = None
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Recorder:
        try:
            import httpx
        except ModuleNotFoundError as exc:
            raise ReplayError("recording needs httpx", hint="Run `pip install httpx`.") from exc
        self._file = self._create_file()
        limits = httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
        self._client = httpx.AsyncClient(timeout=limits, headers=self._headers)
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.__aexit__(*exc)
        if self._client is not None:
            await self._client.aclose()
        if self._file is not None:
            self._file.close()

    @property
    def base_url(self) -> str:
        """Where codex finds the provider; a secret part of it keeps other users of the machine out.

        Raises:
            RuntimeError: The recorder is not running.
        """
        return f"{self._server.url}/v1"

    def _create_file(self) -> TextIO:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        try:
            number = os.open(self._path, flags, 0o600)
        except OSError as exc:
            raise ReplayError(
                f"the recording {self._path} cannot be written: {exc.strerror or exc}",
                hint="Choose a file that does not exist yet, in a folder that does.",
            ) from exc
        file = os.fdopen(number, "w", encoding="utf-8")
        head: JsonObject = {
            "format": FORMAT,
            "version": VERSION,
            "title": self._title,
            "recorded_at": time.time(),
        }
        file.write(json.dumps(head) + "\n")
        file.flush()
        return file

    async def _handle(self, request: Request) -> Answer:
        if (request.method, request.path) != ("POST", "/v1/responses"):
            return error_answer(404, f"a recorder has no {request.method} {request.path}")
        try:
            body = json.loads(request.body)
        except ValueError:
            return error_answer(400, "the body is not JSON")
        if not isinstance(body, dict):
            return error_answer(400, "the body is not a JSON object")
        place = read_place(body, self._memory)
        record = self._start_record(body, place, size=len(request.body))
        return await self._forward(request, place, record)

    def _start_record(self, body: JsonObject, place: Place, *, size: int) -> JsonObject | None:
        """Begin the line of an answer; None when the answer is not part of the conversation."""
        if place.kind != "turn" or place.sub_agent:
            return None
        self._thread = self._thread or place.thread
        if place.thread != self._thread:
            return None
        return {
            "turn": place.turn,
            "step": self._answered.get(place.turn_id, 0),
            "prompt": place.prompt,
            "running": place.running is not None,
            "request": {
                "model": body.get("model"),
                "items": _names(body.get("input"), "type"),
                "tools": _names(body.get("tools"), "name"),
                "bytes": size,
            },
        }

    async def _forward(self, request: Request, place: Place, record: JsonObject | None) -> Answer:
        import httpx

        if self._client is None:
            raise RuntimeError("the recorder is not running")
        fields = {
            name: value for name, value in request.headers.items() if name not in _NOT_FORWARDED
        }
        outgoing = self._client.build_request(
            "POST",
            f"{self._upstream}/responses",
            content=request.body,
            headers={**fields, **self._headers},
        )
        try:
            incoming = await self._client.send(outgoing, stream=True)
            if incoming.status_code == 200:
                headers = {"content-type": "text/event-stream", **_for_codex(incoming.headers)}
                return Answer(headers=headers, body=self._pass_on(incoming, place, record))
            content = await incoming.aread()
        except httpx.HTTPError as exc:
            return error_answer(502, f"the provider cannot be reached: {type(exc).__name__}")
        if record is not None:
            self._write({**record, "status": incoming.status_code, "error": _json_object(content)})
        headers = {"content-type": "application/json", **_for_codex(incoming.headers)}
        return Answer(status=incoming.status_code, headers=headers, body=content)

    async def _pass_on(
        self, incoming: httpx.Response, place: Place, record: JsonObject | None
    ) -> AsyncGenerator[bytes, None]:
        import httpx

        loop = asyncio.get_running_loop()
        reader = _EventReader()
        frames: list[Json] = []
        before = loop.time()
        cut = False
        try:
            async for piece in incoming.aiter_bytes():
                for event in reader.feed(piece):
                    now = loop.time()
                    frames.append([round(now - before, 4), _without_secrets(event)])
                    before = now
                yield piece
        except httpx.HTTPError:
            cut = True
        finally:
            await incoming.aclose()
        if record is not None:
            self._write({**record, "status": 200, "cut": cut, "frames": frames})
            if not cut:
                self._answered[place.turn_id] = self._answered.get(place.turn_id, 0) + 1
        if cut:
            raise ConnectionCut

    def _write(self, record: JsonObject) -> None:
        if self._file is not None:
            self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
            self._file.flush()


class _EventReader:
    """Cuts a stream of server-sent events into the JSON objects that they carry."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[JsonObject]:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        # The Responses API writes each event's JSON on one line.
        data = [line[5:].strip() for line in lines if line.startswith(b"data:")]
        events = [_json_object(each) for each in data]
        return [event for event in events if isinstance(event.get("type"), str)]


def _json_object(content: bytes) -> JsonObject:
    try:
        value = json.loads(content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _for_codex(headers: httpx.Headers) -> dict[str, str]:
    """The fields that codex reads: limits, and when to come back."""
    return {
        name: value
        for name, value in headers.items()
        if name.startswith("x-codex-") or name == "retry-after"
    }


def _without_secrets(event: JsonObject) -> JsonObject:
    """Leave out what belongs to the account, and what only repeats the request."""
    event = dict(event)
    response, item = event.get("response"), event.get("item")
    if isinstance(response, dict):
        event["response"] = {
            key: value for key, value in response.items() if key in _KEPT_OF_RESPONSE
        }
    if isinstance(item, dict):
        event["item"] = {key: value for key, value in item.items() if key != "encrypted_content"}
    return event


def _names(entries: Json, key: str) -> list[Json]:
    if not isinstance(entries, list):
        return []
    return [entry.get(key) or entry.get("type") for entry in entries if isinstance(entry, dict)]
