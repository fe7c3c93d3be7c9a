"""Many processes want one seed at the same moment, round after round: one of them gets it.

    python -m tests.seeds.race [--store NAME] [--processes N] [--rounds N]

Without a name, on each kind of store in turn. Ends with 1 when a round had not one winner, or when
a fence was given twice.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tests.seeds.contract import created
from tests.seeds.mongod import end_shared
from tests.seeds.stores import KINDS, Databases, open_by_name
from tests.support.waiting import run, scaled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Barrier

_PROCESSES = multiprocessing.get_context("forkserver")
# Not this very module, which a child runs anew if it is the program.
_PROCESSES.set_forkserver_preload(["tests.seeds.contract", "tests.seeds.stores"])
_TTL = timedelta(minutes=10)
_LIMIT = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """What came of it.

    Attributes:
        winners: How many got the seed, for each round.
        fences: Of all leases that were given, in the order of the rounds.
        seconds: From the first round to the last.
    """

    winners: tuple[int, ...]
    fences: tuple[int, ...]
    seconds: float

    @property
    def is_fair(self) -> bool:
        """Whether each round had one winner, and each winner a fence above all before."""
        rises = all(one < two for one, two in pairwise(self.fences))
        return rises and set(self.winners) == {1}


def race(name: str, *, processes: int, rounds: int) -> Race:
    """Let processes ask for one seed at the same moment.

    Args:
        name: Of an open place, for `open_by_name`; a seed is made there.
        processes: How many.
        rounds: How often. After each the winner gives the seed back.

    Raises:
        RuntimeError: A process could not go on.
    """
    seed_id = run(_made(name))
    gate = _PROCESSES.Barrier(processes)
    won: list[tuple[int, int]] = []
    seconds = 0.0
    with ExitStack() as cleanup:
        ends: list[Connection] = []
        for number in range(processes):
            ours, theirs = _PROCESSES.Pipe(duplex=False)
            process = _PROCESSES.Process(
                target=_compete, args=(name, seed_id, number, rounds, gate, theirs), daemon=True
            )
            process.start()
            # Its own end alone tells that it has ended.
            theirs.close()
            cleanup.callback(process.join, scaled(10))
            ends.append(cleanup.enter_context(closing(ours)))
        for number, end in enumerate(ends):
            try:
                leases, took = end.recv()
            except EOFError as exc:
                raise RuntimeError(f"process {number} of the race could not go on") from exc
            won += leases
            seconds = max(seconds, took)
    won.sort()
    return Race(
        winners=tuple(sum(1 for at, _ in won if at == number) for number in range(rounds)),
        fences=tuple(fence for _, fence in won),
        seconds=seconds,
    )


async def _made(name: str) -> str:
    async with open_by_name(name) as store:
        return (await created(store, "the prize")).id


def _compete(
    name: str, seed_id: str, number: int, rounds: int, gate: Barrier, result: Connection
) -> None:
    try:
        result.send(asyncio.run(_rounds(name, seed_id, number, rounds, gate)))
    except BaseException:
        gate.abort()  # nobody waits for one who will not come
        raise


async def _rounds(
    name: str, seed_id: str, number: int, rounds: int, gate: Barrier
) -> tuple[Sequence[tuple[int, int]], float]:
    won = []
    async with open_by_name(name) as store:
        await asyncio.to_thread(gate.wait, scaled(_LIMIT))
        begin = time.perf_counter()
        for at in range(rounds):
            found = await store.acquire(holder=f"process {number}", ttl=_TTL, seed_id=seed_id)
            await asyncio.to_thread(gate.wait, scaled(_LIMIT))
            if found is not None:
                won.append((at, found[1].fence))
                await store.release(found[1])
            await asyncio.to_thread(gate.wait, scaled(_LIMIT))
        return won, time.perf_counter() - begin


def main() -> int:
    """Run the race and say how it went; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", metavar="NAME", help="a path, network:PATH or mongodb://…")
    parser.add_argument("--processes", type=int, default=32, metavar="N")
    parser.add_argument("--rounds", type=int, default=200, metavar="N")
    options = parser.parse_args()
    is_fair = True
    with ExitStack() as cleanup:
        cleanup.callback(end_shared)
        databases = cleanup.enter_context(Databases())
        for kind in [options.store] if options.store else KINDS:
            folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
            name = options.store or KINDS[kind](folder, databases).name
            result = race(name, processes=options.processes, rounds=options.rounds)
            is_fair = is_fair and result.is_fair
            print(
                f"{kind}: {options.processes} processes, {options.rounds} rounds in "
                f"{result.seconds:.0f} s, {len(result.fences)} leases, "
                f"{len(set(result.fences))} fences: {'ok' if result.is_fair else 'FAILED'}",
                flush=True,
            )
    return 0 if is_fair else 1


if __name__ == "__main__":
    sys.exit(main())
