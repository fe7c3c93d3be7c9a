"""Sessions for tests: real session hosts, the real codex, and a model in the test's process.

The model is the test's own and not the session host's, so that a test can hold its answers and see
what it was asked.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.replay.model import ReplayModel
from codex_nb.replay.scenario import Command, Scenario, Step, Turn
from codex_nb.sessions.client import SessionClient
from codex_nb.sessions.log import read_events
from codex_nb.sessions.processes import is_alive
from codex_nb.sessions.registry import SessionEntry, spawn
from codex_nb.sessions.spec import SessionSpec, new_id
from tests.support.processes import processes_below
from tests.support.waiting import scaled, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from codex_nb.codex.binary import CodexProgram
    from codex_nb.protocol.messages import Json, JsonObject
    from tests.support.sshd import Sshd

LIMIT = 30.0
"""Seconds that anything of a session may take."""


NOBODY: JsonObject = {
    "model_provider": "nobody",
    "model_providers": {"nobody": {"name": "Nobody", "base_url": "http://127.0.0.1:9/v1"}},
}
"""Settings of a model that is not there."""


def scenario(*turns: list[Step]) -> Scenario:
    """A model that answers each prompt with these steps, as fast as it can."""
    return Scenario(title="A test", turns=tuple(Turn(steps=tuple(t)) for t in turns), speed=0)


def command(cmd: str, *, ask: bool = False, timeout: float = 60) -> Step:
    """A step that runs a command, outside of the sandbox if it asks."""
    why = "May I?" if ask else None
    return Step(run=Command(cmd=cmd, escalate=ask, justification=why, timeout=timeout))


def say(text: str) -> Step:
    """A step that says something; the last of a turn."""
    return Step(say=text)


class Viewer:
    """A client of a session that a test can wait with.

    Attributes:
        frames: All that it was sent.
    """

    def __init__(self) -> None:
        self.frames: list[JsonObject] = []
        self._has_news = asyncio.Event()
        self._client: SessionClient | None = None
        self.is_over = False

    @classmethod
    @asynccontextmanager
    async def of(cls, entry: SessionEntry) -> AsyncIterator[Viewer]:
        """A connected viewer."""
        viewer = cls()
        viewer._client = await SessionClient.connect(entry, viewer._take)
        # No TaskGroup, which would wrap the errors of the test in a group.
        following = asyncio.create_task(viewer._follow())
        try:
            await viewer.until(lambda _: viewer.frames != [])
            yield viewer
        finally:
            following.cancel()
            await asyncio.wait({following})

    @property
    def client(self) -> SessionClient:
        assert self._client is not None
        return self._client

    @property
    def transcript(self) -> JsonObject:
        return self.client.transcript

    @property
    def session(self) -> JsonObject:
        return obj(self.transcript["session"])

    def records(self, name: str) -> list[JsonObject]:
        """The records of one list of the transcript."""
        found = self.transcript[name]
        assert isinstance(found, list)
        return [obj(record) for record in found]

    def items(self, kind: str) -> list[JsonObject]:
        """The items of one type."""
        return [item for item in self.records("items") if item["type"] == kind]

    async def until(
        self, condition: Callable[[JsonObject], bool], *, seconds: float = LIMIT
    ) -> None:
        """Wait until the transcript is so; a look at every frame."""
        try:
            async with asyncio.timeout(scaled(seconds)):
                while not condition(self.transcript):
                    if self.is_over:
                        raise AssertionError(f"the session ended: {json.dumps(self.transcript)}")
                    self._has_news.clear()
                    await self._has_news.wait()
        except TimeoutError:
            raise AssertionError(f"did not happen: {json.dumps(self.transcript)}") from None

    async def until_turn(self, place: Json, *, seconds: float = LIMIT) -> JsonObject:
        """Wait until the turn at this place is over, and return it."""
        assert isinstance(place, int)

        def is_over(_: JsonObject) -> bool:
            turns = self.records("turns")
            return place < len(turns) and turns[place]["status"] != "in_progress"

        await self.until(is_over, seconds=seconds)
        return self.records("turns")[place]

    async def until_status(self, *status: str) -> None:
        """Wait until the session says so."""
        await self.until(lambda _: self.session.get("status") in status)

    async def until_asked(self) -> JsonObject:
        """Wait for a question of codex, and return it."""

        def pending() -> list[JsonObject]:
            return [a for a in self.records("approvals") if a["status"] == "pending"]

        await self.until(lambda _: pending() != [])
        return pending()[0]

    async def until_hung_up(self) -> None:
        """Wait until the session host hangs up."""
        async with asyncio.timeout(scaled(LIMIT)):
            while not self.is_over:
                self._has_news.clear()
                await self._has_news.wait()

    async def turn(self, prompt: str) -> JsonObject:
        """Send a prompt and return its turn when it is over."""
        answer = await self.client.request("send", text=prompt)
        return await self.until_turn(answer["index"])

    async def _follow(self) -> None:
        try:
            await self.client.follow()
        finally:
            self.is_over = True
            self._has_news.set()

    def _take(self, frame: JsonObject) -> None:
        self.frames.append(frame)
        self._has_news.set()


@dataclass(frozen=True)
class Rig:
    """Where a test's sessions live.

    Attributes:
        root: The folder of the sessions.
        cwd: The folder that codex works in.
        program: The codex.
        sshd: The server of the host "box" on which they run; None is this machine.
        hosts: Entries of all sessions that were started, to end them in every case.
    """

    root: Path
    cwd: Path
    program: CodexProgram
    sshd: Sshd | None = None
    hosts: list[SessionEntry] = field(default_factory=list)

    @property
    def outside(self) -> Path:
        """A file that no sandboxed command can write."""
        return self.root.parent / "outside"

    def spec(self, **values: object) -> SessionSpec:
        """A spec with the paths of this rig, and a model that never answers if there is no other.

        Without a model of its own a session would ask for a login.
        """
        spec = SessionSpec(id=new_id(), name="test", cwd=str(self.cwd), codex=self.program.path)
        if self.sshd is not None:
            spec = replace(spec, host="box", ssh_config=(str(self.sshd.config),))
        spec = replace(spec, **values)  # type: ignore[arg-type]
        if {"replay", "seed", "seeds"} & values.keys() or "model_provider" in spec.settings:
            return spec
        return replace(spec, settings={**NOBODY, **spec.settings})

    @asynccontextmanager
    async def model(self, *turns: list[Step]) -> AsyncIterator[ReplayModel]:
        """A model that plays these turns."""
        async with ReplayModel(scenario(*turns)) as model:
            yield model

    def settings(self, model: ReplayModel) -> JsonObject:
        """The codex settings that lead to a model of the test."""
        catalog = self.root.parent / "models.json"
        catalog.write_text(json.dumps(model.catalog()))
        return model.codex_config(str(catalog))

    async def start(self, spec: SessionSpec) -> SessionEntry:
        """Start a session host; whoever starts one ends it."""
        entry = await asyncio.to_thread(spawn, spec, self.root, timeout=spec.start_timeout)
        self.hosts.append(entry)
        return entry

    @asynccontextmanager
    async def session(
        self, model: ReplayModel | None = None, **values: object
    ) -> AsyncIterator[Viewer]:
        """A running session that is closed after the block, and gone."""
        if model is not None:
            values["settings"] = self.settings(model)
        async with self.viewing(await self.start(self.spec(**values))) as viewer:
            yield viewer

    @asynccontextmanager
    async def viewing(self, entry: SessionEntry) -> AsyncIterator[Viewer]:
        """A viewer of a session that is closed after the block, and gone."""
        async with Viewer.of(entry) as viewer:
            yield viewer
            if not viewer.is_over:
                await viewer.client.request("close")
                await viewer.until_hung_up()
        await wait_until(lambda: not is_alive(entry.pid, entry.birth), seconds=LIMIT)

    def runs(self, words: str) -> bool:
        """Whether a process of these sessions has these words in its command line."""
        found = processes_below(self.root.parent)
        return any(words in process.command for process in found)

    def folder(self, viewer: Viewer) -> Path:
        """The session folder."""
        return self.root / str(viewer.session["id"])

    def place(self, viewer: Viewer) -> Path:
        """The folder of the session on the host of codex."""
        if self.sshd is None:
            return self.folder(viewer)
        return Path("/var/tmp", f"codex-nb-{os.getuid()}", str(viewer.session["id"]))  # noqa: S108

    def events(self, viewer: Viewer) -> list[JsonObject]:
        """The log of a session."""
        return read_events(self.folder(viewer) / "events.jsonl")


def obj(value: Json) -> JsonObject:
    """A JSON value that is an object."""
    assert isinstance(value, dict)
    return value
