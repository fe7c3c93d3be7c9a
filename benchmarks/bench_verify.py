"""How long do 1,000 verdicts take, each with a refresh, beside the same requests with bare httpx?

The endpoint is the fake on loopback, in a process of its own. Both ask it with the same
parallelism, one client, and one connection for each request. What comes on top is what makes a
refresh safe: four changes of the store and three of the spool, most of which wait until they are on
the disk. Aim: 1.5 times as long. Both are measured in turns, three times.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx
from rig import ROOT, show

sys.path.insert(0, str(ROOT))

from codex_nb.seeds.auth import Login
from codex_nb.seeds.oauth import Rotated, ask, refresh_request
from codex_nb.seeds.verify import PARALLEL, Verifier
from tests.seeds.refreshing import EXPIRED, add, machine
from tests.support.openai_process import OpenAIProcess

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
TURNS = 3
AIM = 1.5


async def bare(fake: OpenAIProcess) -> float:
    """Seconds for so many refreshes that nobody keeps."""
    logins = [Login.parse(auth) for auth in fake.new_logins(COUNT)]
    waiting = iter(logins)
    async with httpx.AsyncClient(trust_env=False) as client:

        async def work() -> None:
            for login in waiting:
                answer = await ask(client, refresh_request(login, fake.environment()), timeout=60)
                if not isinstance(answer, Rotated):
                    sys.exit(f"The fake did not answer: {answer}")

        begin = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(PARALLEL):
                tasks.create_task(work())
        return time.perf_counter() - begin


async def verified(fake: OpenAIProcess, folder: Path) -> float:
    """Seconds for so many verdicts on logins that have to be refreshed."""
    async with machine(folder, fake.environment()) as here:
        for number, auth in enumerate(fake.new_logins(COUNT, expires_in=EXPIRED)):
            await add(here, auth, name=f"seed-{number:04}")
        verifier = Verifier(here.store, here.refresher, holder="bench")
        seeds = await here.store.list()
        begin = time.perf_counter()
        kinds = [verdict.kind async for verdict in verifier.verify(seeds)]
        seconds = time.perf_counter() - begin
        if kinds != ["alive"] * COUNT:
            sys.exit("Not every seed was alive.")
        return seconds


async def main() -> None:
    """Measure and show."""
    alone: list[float] = []
    ours: list[float] = []
    with OpenAIProcess() as fake:
        for _ in range(TURNS):
            alone.append(await bare(fake))
            with tempfile.TemporaryDirectory() as folder:
                ours.append(await verified(fake, Path(folder)))
    ratio = median(ours) / median(alone)
    show(
        f"{COUNT} refreshes, {PARALLEL} at once, SQLite",
        [
            ("", "seconds", "per second"),
            ("bare httpx", f"{median(alone):.2f}", f"{COUNT / median(alone):.0f}"),
            ("verify", f"{median(ours):.2f}", f"{COUNT / median(ours):.0f}"),
            ("ratio", f"{ratio:.2f}", f"aim {AIM}"),
        ],
    )


if __name__ == "__main__":
    asyncio.run(main())
