"""The line of turns where the order of codex's words decides: no codex, one word at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from codex_nb.protocol.messages import Notification
from codex_nb.protocol.transcript import TranscriptReducer
from codex_nb.sessions.line import Prompt
from codex_nb.sessions.models import Models
from codex_nb.sessions.spec import SessionSpec
from codex_nb.sessions.turns import Turns
from tests.support.waiting import run

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

PROMPT = Prompt(text="a")


def test_the_place_of_a_prompt_counts_a_turn_once_whatever_codex_says_first() -> None:
    async def check() -> None:
        is_asked, may_answer = asyncio.Event(), asyncio.Event()
        reducer = TranscriptReducer(None)

        async def request(_method: str, _params: JsonObject) -> Json:
            is_asked.set()
            await may_answer.wait()
            return {"turn": {"id": "t"}}

        async def nothing_ended(_since: float) -> int:
            return 0

        spec = SessionSpec(id="s", name="n", cwd="/")
        turns = Turns(
            spec,
            reducer,
            lambda _: None,
            models=Models("", "", request=request),
            request=request,
            spawn=lambda work: work.close(),
            moment=lambda: 0.0,
            end_commands=nothing_ended,
        )
        turns.thread = "thread"
        playing = asyncio.create_task(turns.play(lambda: None))
        assert turns.put(PROMPT) == 0
        await is_asked.wait()
        assert turns.put(PROMPT) == 1
        params: JsonObject = {"threadId": "thread", "turn": {"id": "t", "status": "inProgress"}}
        started = Notification(method="turn/started", params=params)
        reducer.apply(started, at=1.0)
        turns.take(started)
        assert turns.put(PROMPT) == 2
        may_answer.set()
        await asyncio.sleep(0)
        assert turns.put(PROMPT) == 3
        playing.cancel()
        await asyncio.wait({playing})

    run(check())
