"""A way to a thread on which all that waits is taken at once."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from codex_nb.seeds.lane import Job, Lane, tell
from tests.support.waiting import run, scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Number(Job):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Thread:
    """A lane whose thread can be held up, and what was done in it."""

    def __init__(self, executor: ThreadPoolExecutor, *, limit: int = 64) -> None:
        self.lane: Lane[Number] = Lane(self._do, executor.submit, limit=limit)
        self.done: list[list[int]] = []
        self.may_go = threading.Event()
        self.may_go.set()

    def _do(self, jobs: Sequence[Number]) -> None:
        self.done.append([job.number for job in jobs])
        assert self.may_go.wait(scaled(30))
        for job in jobs:
            if job.number < 0:
                job.error = ValueError(str(job.number))
            else:
                job.result = -job.number

    async def of(self, number: int) -> object:
        """What the thread makes of a number."""
        job = Number(number)
        self.lane.put(job)
        return await job.wait()

    async def behind_the_first(
        self, numbers: Sequence[int], meanwhile: Callable[[list[asyncio.Task[object]]], None]
    ) -> list[object | BaseException]:
        """What comes of 0 and of those that wait while it is done."""
        self.may_go.clear()
        tasks = [asyncio.create_task(self.of(number)) for number in (0, *numbers)]
        # Each runs until it waits for the thread.
        await asyncio.sleep(0)
        meanwhile(tasks)
        await asyncio.sleep(0)
        self.may_go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def test_what_waits_is_taken_at_once_and_in_its_order(executor: ThreadPoolExecutor) -> None:
    async def scenario() -> None:
        thread = Thread(executor)
        outcomes = await thread.behind_the_first(range(1, 6), lambda _tasks: None)
        assert outcomes == [0, -1, -2, -3, -4, -5]
        # The thread may have taken the first alone, or with some of the others.
        assert [number for taken in thread.done for number in taken] == [0, 1, 2, 3, 4, 5]
        assert len(thread.done) <= 2

    run(scenario())


def test_no_more_are_taken_at_once_than_the_limit(executor: ThreadPoolExecutor) -> None:
    async def scenario() -> None:
        thread = Thread(executor, limit=2)
        assert await thread.behind_the_first(range(1, 6), lambda _tasks: None) == [
            *range(0, -6, -1)
        ]
        assert max(len(taken) for taken in thread.done) == 2
        assert [number for taken in thread.done for number in taken] == [0, 1, 2, 3, 4, 5]

    run(scenario())


def test_one_that_fails_says_so_to_who_waits_for_it_only(executor: ThreadPoolExecutor) -> None:
    async def scenario() -> None:
        outcomes = await Thread(executor).behind_the_first([1, -2, 3], lambda _tasks: None)
        assert [repr(outcome) for outcome in outcomes] == ["0", "-1", "ValueError('-2')", "-3"]

    run(scenario())


def test_one_that_was_given_up_while_it_waited_is_left_out(executor: ThreadPoolExecutor) -> None:
    async def scenario() -> None:
        thread = Thread(executor, limit=1)
        outcomes = await thread.behind_the_first([1, 2], lambda tasks: void(tasks[1].cancel()))
        assert [type(outcome).__name__ for outcome in outcomes] == ["int", "CancelledError", "int"]
        assert thread.done == [[0], [2]]

    run(scenario())


def test_the_lane_can_be_used_again_when_it_was_empty(executor: ThreadPoolExecutor) -> None:
    async def scenario() -> None:
        thread = Thread(executor)
        assert [await thread.of(number) for number in range(50)] == [*range(0, -50, -1)]
        assert len(thread.done) == 50

    run(scenario())


def test_a_thread_that_cannot_be_started_is_told_and_tried_anew(
    executor: ThreadPoolExecutor,
) -> None:
    async def scenario() -> None:
        def start(work: Callable[[], None]) -> None:
            if refusals:
                raise refusals.pop()
            executor.submit(work)

        def do(jobs: Sequence[Number]) -> None:
            done.extend(job.number for job in jobs)

        refusals = [RuntimeError("no more threads")]
        done: list[int] = []
        lane = Lane(do, start)
        with pytest.raises(RuntimeError, match="no more threads"):
            lane.put(Number(1))
        job = Number(2)
        lane.put(job)
        await job.wait()
        assert done == [2]

    run(scenario())


def test_who_was_told_already_is_not_told_again() -> None:
    async def scenario() -> None:
        job = Number(1)
        job.result = "first"
        tell([job])
        assert await job.wait() == "first"
        job.result = "second"
        tell([job])
        await asyncio.sleep(0)
        assert await job.wait() == "first"

    run(scenario())


def test_telling_somebody_whose_loop_was_closed_does_nothing() -> None:
    async def scenario() -> Number:
        return Number(1)

    tell([asyncio.run(scenario())])


def void(_value: object) -> None:
    """For a lambda that is to return nothing."""
