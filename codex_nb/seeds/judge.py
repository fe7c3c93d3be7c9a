"""The verbs that find out about logins: `verify`, `refresh`, `keep`."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from codex_nb.errors import SeedNotFoundError, UsageError
from codex_nb.seeds.keeper import Keeper
from codex_nb.seeds.person import Answer
from codex_nb.seeds.table import verdict_json, verdict_table

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from codex_nb.seeds.person import Call
    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.verify import Verdict

_CODEX_PARALLEL = 2
"""How many programs of 300 MB run at once."""


async def verify(call: Call) -> Answer:
    """The verdicts on seeds."""
    options = call.options
    if bool(options.names) + options.all + (options.pool is not None) != 1:
        raise UsageError(
            "It is not clear which seeds are meant.",
            hint="Give their names, --all, or --pool POOL.",
        )
    if options.codex and options.probe:
        raise UsageError(
            "--codex and --probe contradict each other.", hint="A probe is done by Codex, too."
        )
    if options.names:
        seeds: Sequence[Seed] = [await call.seeds.find(name) for name in options.names]
    else:
        seeds = await call.seeds.list(options.pool)
        if options.pool and not seeds:
            raise SeedNotFoundError(
                f"There are no seeds in the pool {options.pool!r}.",
                hint="`%codex_seed list` shows the pools.",
            )
    if options.codex or options.probe:
        return await _answer(call, seeds, _by_codex(call, seeds))
    return await _answer(call, seeds, call.seeds.verify(seeds, check_models=options.models))


async def refresh(call: Call) -> Answer:
    """New tokens for seeds, whether they are due or not."""
    seeds = [await call.seeds.find(name) for name in call.options.names]
    return await _answer(call, seeds, call.seeds.verify(seeds, force=True))


async def keep(call: Call) -> Answer:
    """Refresh idle seeds before they run out, until cancelled."""
    refresher = await call.seeds.refresher()
    keeper = Keeper(
        call.seeds.store,
        await call.seeds.verifier(),
        refresher.rotations,
        collect=call.seeds.collector().collect_if_due,
    )
    call.person.say("Idle seeds are refreshed before they run out, until this is stopped.")
    await keeper.run()
    return Answer(shown="", data=None)


async def _by_codex(call: Call, seeds: Sequence[Seed]) -> AsyncGenerator[Verdict, None]:
    from codex_nb.codex.binary import find_codex
    from codex_nb.hosts.local import LocalHost
    from codex_nb.seeds.crosscheck import Judge

    if call.options.probe:
        turns = "a real turn" if len(seeds) == 1 else f"{len(seeds)} real turns"
        call.person.say(f"This runs {turns}: each is billed as any other.")
    judge = Judge(host=LocalHost(), program=find_codex(call.codex), surroundings=call.surroundings)
    places = asyncio.Semaphore(_CODEX_PARALLEL)

    async def one(seed: Seed) -> Verdict:
        async with places:
            return await judge.verify(call.seeds, seed, with_turn=call.options.probe)

    async with asyncio.TaskGroup() as tasks:
        working = [tasks.create_task(one(seed), name=f"check {seed.id}") for seed in seeds]
        for done in asyncio.as_completed(working):
            yield await done


async def _answer(
    call: Call, seeds: Sequence[Seed], judging: AsyncGenerator[Verdict, None]
) -> Answer:
    found: list[Verdict] = []
    call.person.show_progress(0, len(seeds))
    async with aclosing(judging):
        async for verdict in judging:
            found.append(verdict)
            call.person.show_progress(len(found), len(seeds))
    found.sort(key=lambda verdict: verdict.name)
    return Answer(
        shown=verdict_table(found),
        data=[verdict_json(verdict) for verdict in found],
        is_good=all(verdict.kind == "alive" for verdict in found),
    )


__all__ = ["keep", "refresh", "verify"]
