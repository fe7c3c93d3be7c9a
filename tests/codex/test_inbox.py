from __future__ import annotations

import asyncio

import pytest

from codex_nb.codex.inbox import LIMIT, Inbox
from codex_nb.protocol.messages import Message, Notification
from tests.support.waiting import run


def note(name: str) -> Message:
    return Notification(method=name, params={})


async def has_room(inbox: Inbox) -> bool:
    waiting = asyncio.ensure_future(inbox.wait_for_room())
    # The condition is known at once: one round of the loop tells.
    await asyncio.sleep(0)
    is_over = waiting.done()
    waiting.cancel()
    return is_over


def test_messages_come_in_order_until_the_end() -> None:
    async def scenario() -> list[Message]:
        inbox = Inbox()
        inbox.put([note("a"), note("b")], 10)
        inbox.put([note("c")], 10)
        inbox.end()
        return [message async for message in inbox.messages()]

    assert run(scenario()) == [note("a"), note("b"), note("c")]


def test_a_consumer_waits_for_the_next_message() -> None:
    async def scenario() -> list[Message]:
        inbox = Inbox()
        got: list[Message] = []

        async def consume() -> None:
            got.extend([message async for message in inbox.messages()])

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(consume())
            await asyncio.sleep(0)
            inbox.put([note("a")], 10)
            await asyncio.sleep(0)
            inbox.end()
        return got

    assert run(scenario()) == [note("a")]


def test_a_cancelled_consumer_loses_nothing_that_it_did_not_get() -> None:
    async def scenario() -> list[Message]:
        inbox = Inbox()
        waiting = asyncio.ensure_future(anext(aiter(inbox.messages())))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        inbox.put([note("a")], 10)
        inbox.end()
        return [message async for message in inbox.messages()]

    assert run(scenario()) == [note("a")]


def test_the_reader_waits_while_too_much_is_unread() -> None:
    async def scenario() -> list[bool]:
        inbox = Inbox()
        steps = [await has_room(inbox)]
        inbox.put([note("a")], LIMIT - 1)
        steps.append(await has_room(inbox))
        inbox.put([note("b")], 1)
        steps.append(await has_room(inbox))
        await anext(aiter(inbox.messages()))
        steps.append(await has_room(inbox))
        return steps

    assert run(scenario()) == [True, True, False, True]


def test_the_reader_goes_on_while_somebody_waits_for_a_response() -> None:
    async def scenario() -> list[bool]:
        inbox = Inbox()
        inbox.put([note("a")], LIMIT)
        with inbox.hurried():
            with inbox.hurried():
                pass
            steps = [await has_room(inbox)]
        steps.append(await has_room(inbox))
        inbox.lift_limit()
        steps.append(await has_room(inbox))
        return steps

    assert run(scenario()) == [True, False, True]
