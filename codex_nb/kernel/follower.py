"""Keeps up with one session for one run.

Everything here belongs to the background loop unless it says otherwise. A follower outlives the
session host: when a host ended by its idle limit or was killed, the next message starts another one
in the same folder, on the same thread.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from codex_nb.errors import CodexNBError, SessionClosedError, SessionError
from codex_nb.protocol.changes import empty_transcript
from codex_nb.protocol.transcript import TranscriptReducer
from codex_nb.sessions.client import SessionClient, wait_gone
from codex_nb.sessions.registry import HOST_IS_GONE, SessionEntry, read_entry, spawn, swept

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.sessions.spec import SessionSpec

_OVER = ("completed", "interrupted", "failed")
_NOT_YET = 1 << 30


class Follower:
    """One run's link to its session.

    Args:
        spec: The session; its id names the folder.
        root: The folder of all sessions.
        entry: The session if it exists already, running or ended.
        predecessor: Follows the same session for an earlier cell.

    Attributes:
        spec: As given.
        root: As given.
        transcript: The session's transcript as known so far; to be read, from any thread.
        settled: Done when no turn of this run is under way; replaced by the next message.
        window: The turns that belong to this run: from the first to before the second; None is
            open.
    """

    def __init__(
        self,
        spec: SessionSpec,
        root: Path,
        *,
        entry: SessionEntry | None = None,
        predecessor: Follower | None = None,
    ) -> None:
        self.spec = spec
        self.root = root
        self.transcript: JsonObject = empty_transcript()
        self.number = 0
        self.settled: Future[None] = Future()
        # A session that exists has turns that are not this run's; which ones is known with the
        # first answer.
        is_new = entry is None and predecessor is None
        self.window: tuple[int, int | None] = (0 if is_new else _NOT_YET, None)
        self.on_frame: Callable[[JsonObject], None] = _ignore
        self.on_window: Callable[[], None] = _nothing
        # At rest, at the end of the session, and when it is taken up again.
        self.on_milestone: Callable[[], None] = _nothing
        self._entry = entry
        self._predecessor = predecessor
        self._has_begun = asyncio.Event()
        self._client: SessionClient | None = None
        self._following: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self._turns: list[int] = []
        self._in_flight = 0
        self._finished = 0
        self._failure: CodexNBError | None = None

    # For every thread

    @property
    def entry(self) -> SessionEntry | None:
        """The session as the registry knew it when this run last connected."""
        return self._entry

    @property
    def events_path(self) -> Path:
        """Where the log of the session is."""
        return self.root / self.spec.id / "events.jsonl"

    @property
    def status(self) -> str:
        """As `Run.status` says."""
        session = self._session()
        now = str(session.get("status") or "starting")
        turns = self._own_turns()
        if self._failure is not None and not turns:
            return "failed"
        if now in ("starting", "waiting") and self.window[1] is None and not self._is_over():
            return now
        if not self.settled.done():
            return "running"
        latest = str(turns[-1].get("status")) if turns else now
        return "running" if latest == "in_progress" else latest

    def records(self, key: str) -> list[JsonObject]:
        """The records of one list of the transcript that belong to this run's turns."""
        turns = {turn.get("id") for turn in self._own_turns()}
        return [record for record in self._list(key) if record.get("turn") in turns]

    def failure(self) -> CodexNBError | None:
        """What went wrong with the latest turn or with the session."""
        if self._failure is not None:
            return self._failure
        turns = self._own_turns()
        error = turns[-1].get("error") if turns else None
        if isinstance(error, dict):
            return SessionError(str(error.get("message")), hint=str(error.get("hint") or ""))
        session = self._session()
        if session.get("status") == "failed":
            return SessionError(str(session.get("detail")), hint=str(session.get("hint") or ""))
        return None

    def is_live(self) -> bool:
        """Whether a session host serves it, or is about to."""
        return self._client is not None or self._in_flight > 0 or not self._has_begun.is_set()

    def is_closed(self) -> bool:
        """Whether the session was closed, so that it cannot go on."""
        session = self._session()
        return session.get("ended") == "closed"

    # For the background loop

    async def begin(self, prompt: str, earlier: list[Follower], *, tui: bool = False) -> None:
        """Send the prompt of the cell after those of earlier cells, and open its terminal."""
        try:
            if self._predecessor is not None:
                await self._predecessor.wait_begun()
            if prompt:
                first = await self.send(prompt)
            if tui:
                await (await self._connected()).request("open_terminal")
            if not prompt:
                first = len(self._list("turns")) if self.window[0] == _NOT_YET else self.window[0]
        except CodexNBError:
            self._has_begun.set()
            self.on_milestone()
            raise
        finally:
            self._has_begun.set()
        for follower in earlier:
            if follower.window[1] is None:
                follower.set_window(follower.window[0], first)
        self.set_window(first, None)

    def beside(self) -> Follower:
        """Another follower of the same session, for a view of its own of the same turns."""
        other = Follower(self.spec, self.root, entry=self._entry, predecessor=self)
        other.window = (self.window[0], None)
        return other

    async def wait_begun(self) -> None:
        """Wait until the prompt of this run's cell was sent, or could not be."""
        await self._has_begun.wait()

    async def send(self, text: str, *, timeout: float = 0) -> int:
        """Start a turn with this message, and the session if need be; return the turn's place."""
        if self.settled.done():
            self.settled = Future()
        self._in_flight += 1
        try:
            message: JsonObject = {"text": text, "timeout": timeout}
            if not self._turns:  # later, what was chosen meanwhile counts
                message |= {"model": self.spec.model, "effort": self.spec.effort}
            client = await self._connected()
            try:
                answer = await client.request("send", **message)
            except SessionClosedError:
                # Perhaps by its idle limit, just now.
                if self._following is not None:
                    await asyncio.wait({self._following})
                answer = await (await self._connected()).request("send", **message)
            place = int(str(answer["index"]))
            self._turns.append(place)
        except CodexNBError as exc:
            self._fail(exc)
            raise
        finally:
            self._in_flight -= 1
            self._settle()
        return place

    async def request(self, op: str, **values: Json) -> JsonObject:
        """Ask the running session for something.

        Raises:
            SessionClosedError: It does not run.
        """
        if self._client is None:
            raise SessionClosedError(
                f"The session {self.spec.name!r} is not running.",
                hint="run.send() starts it again.",
            )
        return await self._client.request(op, **values)

    async def close(self) -> None:
        """End the session and wait until it has ended. Ended already: nothing."""
        await self.wait_begun()
        if self._client is None or self._following is None:
            return
        with suppress(SessionClosedError):
            await self._client.request("close")
        await asyncio.wait({self._following})

    async def copy(self) -> JsonObject:
        """A snapshot frame that later events do not change."""
        import json

        frame: JsonObject = {"frame": "snapshot", "n": self.number, "transcript": self.transcript}
        copied: JsonObject = json.loads(json.dumps(frame))
        return copied

    def set_window(self, first: int, end: int | None) -> None:
        """Say which turns are this run's."""
        self.window = (first, end)
        self.on_window()
        self._settle()

    async def _connected(self) -> SessionClient:
        async with self._connecting:
            if self._client is not None:
                return self._client
            self._failure = None
            entry = self._entry
            if entry is None and self._predecessor is not None:
                entry = self._predecessor.entry
            is_new = entry is None or not entry.is_running
            if entry is None or is_new:
                entry = await asyncio.to_thread(self._spawn, entry)
            try:
                client = await SessionClient.connect(entry, self._take)
            except SessionClosedError:
                if is_new:
                    raise
                # It has hung up and is about to end; a second host must not come before that.
                await wait_gone(entry)
                entry = await asyncio.to_thread(self._spawn, entry)
                client = await SessionClient.connect(entry, self._take)
            self._entry, self._client = entry, client
            # What is known of a host before this one must not count as the end of the new one.
            fresh = {**self._session(), "status": "starting", "ended": None}
            self.transcript = {**self.transcript, "session": fresh}
            if self._following is not None:
                self.on_milestone()
            self._following = asyncio.create_task(self._follow(client), name=f"follow {entry.id}")
            return client

    def _spawn(self, entry: SessionEntry | None) -> SessionEntry:
        spec = self.spec
        if entry is not None:
            fresh = swept(read_entry(self.root / entry.id) or entry)
            if fresh.ended == "closed":
                raise SessionClosedError(
                    f"The session {spec.name!r} was closed.",
                    hint="Start a new one with %codex_run.",
                )
            spec = replace(spec, resume=fresh.thread_id if fresh.has_rollout else "")
        return spawn(spec, self.root, timeout=spec.start_timeout)

    async def _follow(self, client: SessionClient) -> None:
        await client.follow()
        self._client = None
        session = self._session()
        if session.get("status") not in ("closed", "failed") and self._entry is not None:
            await asyncio.to_thread(swept, self._entry)
            reducer = TranscriptReducer(self.transcript)
            detail, hint = HOST_IS_GONE["message"], HOST_IS_GONE["hint"]
            reducer.session(status="failed", detail=detail, hint=hint)
            reducer.close_open(status="failed", error=HOST_IS_GONE, at=time.time())
            self.transcript = reducer.transcript
            self.on_frame(await self.copy())
        self._settle()
        self.on_milestone()

    def _take(self, frame: JsonObject) -> None:
        if self._client is not None:
            self.transcript, self.number = self._client.transcript, self._client.number
        self.on_frame(frame)
        self._settle()

    def _fail(self, error: CodexNBError) -> None:
        self._failure = error
        if self._client is None:
            session: JsonObject = {
                **self._session(), "id": self.spec.id, "name": self.spec.name,
                "cwd": self.spec.cwd, "status": "failed", "detail": error.message,
                "hint": error.hint,
            }  # fmt: skip
            self.transcript = {**self.transcript, "session": session}
            self.on_frame({"frame": "snapshot", "n": self.number, "transcript": self.transcript})

    def _settle(self) -> None:
        if self._in_flight:
            return
        finished = sum(turn.get("status") in _OVER for turn in self._own_turns())
        if self.settled.done():
            # A turn that was sent from elsewhere, such as a browser.
            if finished > self._finished:
                self._finished = finished
                self.on_milestone()
            return
        turns = self._list("turns")
        over = all(
            place < len(turns) and turns[place].get("status") in _OVER for place in self._turns
        )
        if over or self._is_over():
            self._finished = finished
            self.settled.set_result(None)
            self.on_milestone()

    def _is_over(self) -> bool:
        return self._client is None or self._session().get("status") in ("closed", "failed")

    def _session(self) -> JsonObject:
        session = self.transcript.get("session")
        return session if isinstance(session, dict) else {}

    def _own_turns(self) -> list[JsonObject]:
        return self._list("turns")[slice(*self.window)]

    def _list(self, key: str) -> list[JsonObject]:
        records = self.transcript.get(key)
        if not isinstance(records, list):
            return []
        return [record for record in list(records) if isinstance(record, dict)]


def _ignore(_frame: JsonObject) -> None:
    return None


def _nothing() -> None:
    return None
