"""What clients ask of a session: each operation of the channel, from its message to its answer.

What a client sends is checked before anything happens. Messages get their places in the order in
which they came, also when one of them has files that are written first.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from codex_nb.errors import CodexNBError, SessionError, UsageError
from codex_nb.protocol.approvals import Decision
from codex_nb.protocol.values import obj, text_of
from codex_nb.sessions.line import Prompt
from codex_nb.sessions.uploads import Uploads, parse_attachments, with_uploads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.sessions.session import Session
    from codex_nb.sessions.uploads import Upload

_OF_A_CONVERSATION = ("send", "steer", "unqueue", "interrupt", "answer", "models", "select")


class Operations:
    """The operations on one session.

    Args:
        session: What they work on.
        uploads: Where attachments go.
    """

    def __init__(self, session: Session, uploads: Uploads) -> None:
        self._session = session
        self._uploads = uploads
        self._arrivals = asyncio.Lock()
        self._by_name: dict[str, Callable[[JsonObject], Awaitable[JsonObject]]] = {
            "send": self._send,
            "steer": self._steer,
            "unqueue": self._unqueue,
            "interrupt": self._interrupt,
            "answer": self._answer,
            "models": self._models,
            "select": self._select,
            "open_terminal": self._open_terminal,
            "close_terminal": self._close_terminal,
            "type": self._type,
            "key": self._key,
            "dismiss_link": self._dismiss_link,
            "terminal": self._terminal,
            "reply": self._reply,
            "retry_host": self._retry_host,
            "close": self._close,
        }

    async def perform(self, message: JsonObject) -> JsonObject:
        """Do what a message of the channel asks, and return what its answer holds.

        Raises:
            UsageError: It asks for something that cannot be meant.
            SessionError: The session cannot do it now, or not any more.
            CodexNBError: Codex refused it.
        """
        name = text_of(message.get("op"))
        operation = self._by_name.get(name)
        if operation is None:
            raise UsageError(
                f"A session knows no operation {name!r}.",
                hint="Use the same version of codex_nb everywhere.",
            )
        if name != "close":
            self._session.check_open()
        if name in _OF_A_CONVERSATION and self._session.spec.plain:
            raise SessionError(
                "This session is a terminal without a conversation.",
                hint="Type in the terminal, or with run.type().",
            )
        return await operation(message)

    async def _send(self, message: JsonObject) -> JsonObject:
        limit = message.get("timeout")
        seconds = float(limit) if isinstance(limit, int | float) and limit > 0 else 0.0
        async with self._with_uploads(message) as (text, uploads):
            told, images = with_uploads(text, uploads)
            names = ", ".join(upload.path.rpartition("/")[2] for upload in uploads)
            prompt = Prompt(
                text=told,
                model=text_of(message.get("model")),
                effort=text_of(message.get("effort")),
                timeout=seconds or self._session.spec.turn_timeout.total_seconds(),
                images=images,
                said=text,
                shown=text if text.strip() else f"[{names}]",
            )
            self._session.check_open()
            place = self._session.turns.put(prompt)
        self._session.refresh()
        return {"index": place}

    async def _steer(self, message: JsonObject) -> JsonObject:
        self._session.turns.check_running()
        async with self._with_uploads(message) as (text, uploads):
            await self._session.turns.steer(*with_uploads(text, uploads))
        return {}

    async def _unqueue(self, message: JsonObject) -> JsonObject:
        text = self._session.turns.withdraw(text_of(message.get("message")))
        self._session.refresh()
        return {"text": text}

    async def _interrupt(self, _message: JsonObject) -> JsonObject:
        await self._session.turns.stop()
        self._session.refresh()
        return {}

    async def _answer(self, message: JsonObject) -> JsonObject:
        session, decision = self._session, text_of(message.get("decision"))
        reason = text_of(message.get("reason"))
        try:
            choice = Decision(decision)
        except ValueError:
            raise UsageError(
                f"{decision!r} is no decision.", hint=f"It is one of: {', '.join(Decision)}."
            ) from None
        server = session.running_server()
        await session.desk.decide(server, text_of(message.get("approval")), choice, note=reason)
        session.refresh()
        if reason.strip() and choice is Decision.DECLINE:
            try:
                await session.turns.steer(f"I declined this: {reason.strip()}")
            except CodexNBError:
                # The turn ended in between. What was said must not be lost.
                session.record.notice(
                    "warning", "The reason did not reach Codex: its turn had ended."
                )
        return {}

    async def _models(self, _message: JsonObject) -> JsonObject:
        models: list[Json] = [*await self._session.models.offered()]
        return {"models": models}

    async def _select(self, message: JsonObject) -> JsonObject:
        session = self._session
        shown = obj(session.transcript["session"])
        await session.models.select(
            text_of(message.get("model")),
            text_of(message.get("effort")),
            current=(text_of(shown.get("model")), text_of(shown.get("effort"))),
        )
        if session.terminal.is_open:
            await session.models.tell(session.turns.thread)
        session.show_model()
        return {}

    async def _open_terminal(self, _message: JsonObject) -> JsonObject:
        await self._session.terminal.open()
        return {}

    async def _close_terminal(self, _message: JsonObject) -> JsonObject:
        await self._session.terminal.close()
        return {}

    async def _type(self, message: JsonObject) -> JsonObject:
        submit = message.get("submit") is True
        await self._session.terminal.paste(text_of(message.get("text")), submit=submit)
        return {}

    async def _key(self, message: JsonObject) -> JsonObject:
        await self._session.terminal.key(text_of(message.get("key")))
        return {}

    async def _dismiss_link(self, message: JsonObject) -> JsonObject:
        self._session.terminal.dismiss(text_of(message.get("link")))
        return {}

    async def _terminal(self, message: JsonObject) -> JsonObject:
        return await self._session.terminal.viewer(
            "view" if message.get("mode") == "view" else "write"
        )

    async def _reply(self, message: JsonObject) -> JsonObject:
        answer = message.get("answer")
        self._session.questions.reply(
            text_of(message.get("question")), answer if isinstance(answer, str) else None
        )
        return {}

    async def _retry_host(self, _message: JsonObject) -> JsonObject:
        self._session.place.retry()
        return {}

    async def _close(self, _message: JsonObject) -> JsonObject:
        self._session.close()
        return {}

    @asynccontextmanager
    async def _with_uploads(self, message: JsonObject) -> AsyncIterator[tuple[str, list[Upload]]]:
        """What a message says and the files that came with it, which go if the block fails."""
        text = text_of(message.get("text"))
        attachments = parse_attachments(message.get("attachments"))
        if not text.strip() and not attachments:
            raise UsageError("The message is empty.", hint="Say what Codex is to do.")
        async with self._arrivals:
            uploads = await self._uploads.keep(attachments)
            try:
                yield text, uploads
            except CodexNBError:
                await self._uploads.drop(uploads)
                raise
