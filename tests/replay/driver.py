"""The smallest client of `codex app-server` that can hold a conversation with a replayed model.

The toolkit's own client is tested elsewhere; these tests want to see what codex itself makes of the
model.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import TYPE_CHECKING

from tests.support.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.replay.model import ReplayModel

LIMIT = scaled(60)


def _flat(settings: JsonObject, prefix: str = "") -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}={json.dumps(value)}"


class Codex:
    """A running `codex app-server` that talks to one model and to nothing else.

    Args:
        program: The codex program.
        root: A private folder; a second app-server in the same folder takes up the threads of the
            first.
        model: A running model, or one behind a recorder.
        base_url: Where codex finds the model, when that is not the model itself.
    """

    def __init__(
        self, program: Path, root: Path, model: ReplayModel, *, base_url: str | None = None
    ) -> None:
        self.work = root / "work"
        self.seen: list[JsonObject] = []
        self.decisions: list[str] = []
        self._program = program
        self._root = root
        self._model = model
        self._base_url = base_url
        self._news = asyncio.Condition()
        self._next_id = 0

    async def __aenter__(self) -> Codex:
        home, tmp = self._root / "home", self._root / "tmp"
        for folder in (home / "codex", tmp, self.work):
            folder.mkdir(parents=True, exist_ok=True)
        catalog = self._root / "catalog.json"
        catalog.write_text(json.dumps(self._model.catalog()), encoding="utf-8")
        settings = self._model.codex_config(str(catalog))
        if self._base_url is not None:
            providers = settings["model_providers"]
            assert isinstance(providers, dict)
            assert isinstance(providers["replay"], dict)
            providers["replay"]["base_url"] = self._base_url
        settings |= {
            "features": {"plugins": False},
            "analytics": {"enabled": False},
            "check_for_update_on_startup": False,
            # An ended sandbox leaves empty folders in what it could write; not in everyone's /tmp.
            "sandbox_workspace_write": {"exclude_slash_tmp": True},
        }
        options = [word for setting in _flat(settings) for word in ("-c", setting)]
        self._process = await asyncio.create_subprocess_exec(
            self._program,
            "app-server",
            *options,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=1 << 26,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "CODEX_HOME": str(home / "codex"),
                "TMPDIR": str(tmp),
                "HTTP_PROXY": "http://127.0.0.1:9",
                "HTTPS_PROXY": "http://127.0.0.1:9",
                "NO_PROXY": "127.0.0.1,localhost",
            },
        )
        self._reading = asyncio.create_task(self._read())
        client: JsonObject = {"name": "replay_tests", "title": None, "version": "1"}
        await self.request("initialize", clientInfo=client, capabilities={"experimentalApi": True})
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading

    async def request(self, method: str, **params: Json) -> JsonObject:
        self._next_id += 1
        number = self._next_id
        self._send({"id": number, "method": method, "params": params})
        answer = await self.wait_message(lambda message: _answers(message, number))
        assert isinstance(answer.get("result"), dict), answer
        result = answer["result"]
        assert isinstance(result, dict)
        return result

    async def wait_message(self, wanted: Callable[[JsonObject], bool]) -> JsonObject:
        """Wait until codex has sent such a message; one that it sent before counts."""
        async with asyncio.timeout(LIMIT), self._news:
            while True:
                for message in self.seen:
                    if wanted(message):
                        return message
                await self._news.wait()

    async def wait_news(self) -> None:
        """Wait until codex sends anything, or for a moment; the model may have seen news first."""
        async with self._news:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), 0.2)

    async def start_thread(self) -> str:
        result = await self.request(
            "thread/start",
            cwd=str(self.work),
            sandbox="workspace-write",
            approvalPolicy="on-request",
        )
        return _id(result["thread"])

    async def resume_thread(self, thread: str) -> None:
        await self.request(
            "thread/resume",
            threadId=thread,
            cwd=str(self.work),
            sandbox="workspace-write",
            approvalPolicy="on-request",
        )

    async def start_turn(self, thread: str, prompt: str) -> str:
        result = await self.request("turn/start", threadId=thread, input=_input(prompt))
        return _id(result["turn"])

    async def steer(self, thread: str, turn: str, text: str) -> None:
        await self.request("turn/steer", threadId=thread, expectedTurnId=turn, input=_input(text))

    async def wait_turn(self, turn: str) -> JsonObject:
        """Wait for the end of a turn; gives the turn as codex reported it."""
        message = await self.wait_message(
            lambda each: (
                each.get("method") == "turn/completed" and _id(_params(each)["turn"]) == turn
            )
        )
        completed = _params(message)["turn"]
        assert isinstance(completed, dict)
        return completed

    async def ask(self, thread: str, prompt: str) -> JsonObject:
        """Run a whole turn."""
        return await self.wait_turn(await self.start_turn(thread, prompt))

    async def wait_commands(self, turn: JsonObject) -> list[Json]:
        """Wait for the end of every command of a turn, and give them in the order of their start.

        Codex 0.142.5 may report the end of a command after the end of its turn, and without what
        it printed. What the model got is what counts here: `Asked.place.output`.
        """
        started = [
            item
            for params in self.of_method("item/started")
            if params["turnId"] == turn["id"]
            and isinstance(item := params["item"], dict)
            and item["type"] == "commandExecution"
        ]
        for item in started:
            await self.wait_message(
                lambda message, item=item: (  # type: ignore[misc]
                    message.get("method") == "item/completed" and item["id"] in json.dumps(message)
                )
            )
        return [item["command"] for item in started]

    def items(self, turn: JsonObject | str, kind: str) -> list[JsonObject]:
        """The completed items of one kind of a turn."""
        turn_id = turn if isinstance(turn, str) else _id(turn)
        found = []
        for message in self.seen:
            if message.get("method") == "item/completed" and _params(message)["turnId"] == turn_id:
                item = _params(message)["item"]
                assert isinstance(item, dict)
                if item["type"] == kind:
                    found.append(item)
        return found

    def said(self, turn: JsonObject | str) -> list[Json]:
        """The messages of the agent in a turn."""
        return [item["text"] for item in self.items(turn, "agentMessage")]

    def of_method(self, method: str) -> list[JsonObject]:
        return [_params(each) for each in self.seen if each.get("method") == method]

    def _send(self, message: JsonObject) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            message = json.loads(line)
            if "method" in message and "id" in message:
                decision = self.decisions.pop(0) if self.decisions else "decline"
                self._send({"id": message["id"], "result": {"decision": decision}})
            async with self._news:
                self.seen.append(message)
                self._news.notify_all()


def _answers(message: JsonObject, number: int) -> bool:
    return message.get("id") == number and "method" not in message


def _input(text: str) -> Json:
    return [{"type": "text", "text": text, "text_elements": []}]


def _params(message: JsonObject) -> JsonObject:
    params = message["params"]
    assert isinstance(params, dict)
    return params


def _id(value: Json) -> str:
    assert isinstance(value, dict)
    assert isinstance(value["id"], str)
    return value["id"]
