"""A model provider on the loopback address that plays one conversation to the real codex.

It lives inside the process that starts codex. Checked against codex 0.142.5, 0.163.0 and 0.169.0,
which ask it for POST {base_url}/responses as a stream, without compression and without credentials.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.errors import ReplayError
from codex_nb.replay.catalog import codex_settings, model_catalog
from codex_nb.replay.history import Memory, Place, images_in, read_place, said_in
from codex_nb.replay.loopback import (
    Answer,
    ConnectionCut,
    LoopbackServer,
    Request,
    error_answer,
    json_answer,
)
from codex_nb.replay.recording import Recording, load_recording
from codex_nb.replay.responses import Reply, polling_reply, reply_to, say
from codex_nb.replay.scenario import load_scenario

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from os import PathLike

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.replay.scenario import Scenario

SPEED_VARIABLE = "CODEX_NB_REPLAY_SPEED"

_MAX_REMEMBERED_REQUESTS = 200
_AT_THE_END = (
    "The replay has ended: nothing is written down for this prompt. "
    "Start a new session to see it again, or use a real model."
)
_NOTHING_MORE = "The replay has nothing to add to this. It goes on with your next prompt."
_OTHER_REQUEST = "Replayed conversation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request of codex, as tests look at it.

    Attributes:
        place: Where in the conversation it stands.
        model: The model that codex asked for.
        tools: The names of the tools that codex offered.
        size: The length of the request in bytes.
        effort: The reasoning effort that codex asked for, or "".
        said: Everything that the person said in the thread so far, the newest last.
        images: The media type of every image that the person showed in the thread so far.
    """

    place: Place
    model: str
    tools: tuple[str, ...]
    size: int
    effort: str = ""
    said: tuple[str, ...] = ()
    images: tuple[str, ...] = ()


def load_replay(path: str | PathLike[str]) -> Scenario | Recording:
    """Read a scenario, or a recording if the name of the file ends in .jsonl.

    Raises:
        ReplayError: The file cannot be read, or is not what its name says.
    """
    if Path(path).suffix == ".jsonl":
        return load_recording(path)
    return load_scenario(path)


class ReplayModel:
    """A loopback model provider that plays one conversation.

    Use it as an asynchronous context manager; leaving the block breaks off what is being answered.
    It serves any number of threads, each from the first turn on. The environment variable
    CODEX_NB_REPLAY_SPEED overrides the speed of a scenario in tokens per second; 0 leaves no
    pauses, those of a recording included.

    Args:
        scenario: What to play.

    Attributes:
        requests: What codex asked, the last 200.

    Raises:
        ReplayError: CODEX_NB_REPLAY_SPEED is not a number.
    """

    def __init__(self, scenario: Scenario | Recording) -> None:
        self.requests: deque[Asked] = deque(maxlen=_MAX_REMEMBERED_REQUESTS)
        self._play = scenario
        self._speed = _speed_from_environment()
        self._memory = Memory()
        self._released: dict[str, asyncio.Event] = {}
        self._server = LoopbackServer(self._handle)

    async def __aenter__(self) -> ReplayModel:
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.__aexit__(*exc)

    @property
    def base_url(self) -> str:
        """Where codex finds the model; a secret part of it keeps other users of the machine out.

        Raises:
            RuntimeError: The model is not running.
        """
        return f"{self._server.url}/v1"

    def release(self, name: str) -> None:
        """Let the steps go on that hold for this name, now and from now on."""
        self._hold(name).set()

    def codex_config(self, catalog_path: str, *, base_url: str = "") -> JsonObject:
        """Make the settings with which codex talks to this model, as nested tables.

        Args:
            catalog_path: An absolute path of a file with the contents of `catalog()`.
            base_url: Where codex reaches it, if not at `base_url` of this machine.
        """
        return codex_settings(base_url=base_url or self.base_url, catalog_path=catalog_path)

    def catalog(self) -> JsonObject:
        """Describe the model as codex's model catalog wants it."""
        return model_catalog(code_mode=isinstance(self._play, Recording) and self._play.code_mode)

    def _hold(self, name: str) -> asyncio.Event:
        return self._released.setdefault(name, asyncio.Event())

    async def _handle(self, request: Request) -> Answer:
        match request.method, request.path:
            case "GET", "/v1/models":
                return json_answer(self.catalog())
            case "POST", "/v1/responses":
                return await self._respond(request.body)
            case _:
                return error_answer(404, f"the replay has no {request.method} {request.path}")

    async def _respond(self, content: bytes) -> Answer:
        try:
            body = json.loads(content)
        except ValueError:
            return error_answer(400, "the body is not JSON")
        if not isinstance(body, dict):
            return error_answer(400, "the body is not a JSON object")
        place = read_place(body, self._memory)
        self.requests.append(_asked(body, place, size=len(content)))
        reply = self._reply(place, input_tokens=len(content) // 4)
        if reply.hold is not None:
            await self._hold(reply.hold).wait()
        await asyncio.sleep(reply.wait)
        if reply.status != 200:
            return json_answer(reply.error, status=reply.status, headers=reply.headers)
        headers = {
            "content-type": "text/event-stream",
            "cache-control": "no-cache",
            **reply.headers,
        }
        return Answer(headers=headers, body=_stream(reply))

    def _reply(self, place: Place, *, input_tokens: int) -> Reply:
        if place.kind != "turn" or place.sub_agent:
            return say(_OTHER_REQUEST, speed=0, input_tokens=input_tokens)
        if isinstance(self._play, Recording):
            reply = self._play.reply_to(place, input_tokens=input_tokens, pauses=self._speed != 0)
            return reply or say(_AT_THE_END, speed=0, input_tokens=input_tokens)
        speed = self._play.speed if self._speed is None else self._speed
        turn = self._play.turn_for(place.turn, place.prompt)
        if turn is None:
            return say(_AT_THE_END, speed=speed, input_tokens=input_tokens)
        if place.step >= len(turn.steps):
            return say(_NOTHING_MORE, speed=speed, input_tokens=input_tokens)
        before = turn.steps[place.step - 1] if place.step else None
        if before is not None:
            seconds = before.run.timeout if before.run else 0.0
            polling = polling_reply(place, seconds=seconds, input_tokens=input_tokens)
            if polling is not None:
                return polling
        return reply_to(place, turn.steps[place.step], speed=speed, input_tokens=input_tokens)


async def _stream(reply: Reply) -> AsyncGenerator[bytes, None]:
    loop = asyncio.get_running_loop()
    due = loop.time()
    for frame in reply.frames:
        # Waiting for a point in time keeps the pace however long a write takes.
        due += frame.pause
        if (pause := due - loop.time()) > 0:
            await asyncio.sleep(pause)
        data = json.dumps(frame.event, ensure_ascii=False, separators=(",", ":"))
        yield f"event: {frame.event['type']}\ndata: {data}\n\n".encode()
    if reply.cut:
        raise ConnectionCut


def _asked(body: JsonObject, place: Place, *, size: int) -> Asked:
    tools = body.get("tools")
    names = [
        str(tool.get("name") or tool.get("type"))
        for tool in (tools if isinstance(tools, list) else [])
        if isinstance(tool, dict)
    ]
    reasoning = body.get("reasoning")
    return Asked(
        place=place,
        model=str(body.get("model")),
        tools=tuple(names),
        size=size,
        effort=str(reasoning.get("effort") or "") if isinstance(reasoning, dict) else "",
        said=said_in(body),
        images=images_in(body),
    )


def _speed_from_environment() -> float | None:
    text = os.environ.get(SPEED_VARIABLE, "")
    if not text:
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if not 0 <= speed < 1e9:
        raise ReplayError(
            f"{SPEED_VARIABLE} is {text!r}",
            hint="It has to be a number of tokens per second, 0 for as fast as possible.",
        )
    return speed
