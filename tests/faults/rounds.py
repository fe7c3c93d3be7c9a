"""One round: a process that something happens to, those that come after it, and what is left.

What must hold, whatever happened: no fence is given twice; the stored login is the one that the
endpoint would take; and nothing is dead whose login is good. The login may be lost in two windows,
which no client can close, and must be found out there: the process is killed between the endpoint's
answer and its write to the disk (W1), or the answer never arrives (W2).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.errors import SeedNotFoundError
from codex_nb.seeds.records import Status
from codex_nb.seeds.vault import Vault
from tests.faults.child import KEY, Orders, Report, carry_out, keep, new_id, open_store, read
from tests.faults.places import Places
from tests.faults.processes import exit_status, hear, is_stopped, running
from tests.faults.specs import NETWORK, REFUSED_LATE, SILENT, Outcome
from tests.support.openai_fake import FakeOpenAI
from tests.support.waiting import wait_until_now

if TYPE_CHECKING:
    from codex_nb.seeds.auth import Login
    from codex_nb.seeds.records import Seed
    from tests.faults.child import FaultName
    from tests.faults.places import Place
    from tests.faults.specs import Round

NOT_REACHED = "NOT REACHED"

_TRIES = 3
_PATIENCE = 0.6


class Rounds:
    """Where rounds are played: a folder, and servers where they are needed. A context manager."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="codex-nb-faults-"))
        self._places = Places()

    def __enter__(self) -> Rounds:
        return self

    def __exit__(self, *_: object) -> None:
        self._places.__exit__()
        shutil.rmtree(self._folder, ignore_errors=True)

    def play(self, spec: Round) -> Outcome:
        """Play one; may be called by several threads at once.

        On a machine with too much to do, a time may be over before the fault happens; then it is
        played again.
        """
        for _ in range(_TRIES):
            outcome = self._play(spec)
            if outcome.label != NOT_REACHED:
                break
        return outcome

    def _play(self, spec: Round) -> Outcome:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            with (
                FakeOpenAI(strict=spec.is_strict) as fake,
                self._places.place(spec.store, spec.fault, folder) as place,
            ):
                return _Game(spec, fake, place, folder).play()
        except TimeoutError as exc:
            return Outcome(label="HANGS", text=str(exc))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class _Game:
    def __init__(self, spec: Round, fake: FakeOpenAI, place: Place, folder: Path) -> None:
        self._spec = spec
        self._fake = fake
        self._place = place
        self._folder = folder
        self._seed = new_id()
        self._rival = new_id()
        self._reports: list[Report] = []
        self._after = Status.ALIVE
        self._was_killed = self._has_reported = self._was_asked = False

    def play(self) -> Outcome:
        spec = self._spec
        # What codex refreshes in a session was good when the session began.
        left = 3600.0 if spec.verb in ("save", "session") else -60.0
        auth = self._fake.new_login(self._seed, expires_in=left)
        if spec.verb != "capture":
            asyncio.run(self._keep(auth))
        if spec.fault in NETWORK:
            self._fake.fail(NETWORK[spec.fault])
        code = self._suffer(auth)
        if not (self._was_killed or self._has_reported):
            return Outcome(label="CRASHED", text=f"exit status {code}")
        if spec.verb == "capture":
            return asyncio.run(self._judge_capture(auth))
        self._after = asyncio.run(self._read())[0].status
        asyncio.run(self._free())
        for machine in ("there", "here") if spec.elsewhere else ("here",):
            self._run(self._orders(machine))
        return asyncio.run(self._judge())

    def _orders(self, machine: str) -> Orders:
        return Orders(
            store=self._place.name,
            folder=str(self._folder),
            machine=machine,
            verb="refresh",
            seed=self._seed,
            environment=self._fake.environment(),
            wait=5.0,
        )

    def _meanwhile(self, auth: bytes) -> Orders:
        """What another process does while the first one is frozen."""
        spec = self._spec
        if spec.verb == "capture":
            # There is no lease to be waited for, but the frozen one may have the store locked.
            orders = self._orders("there")
            return replace(orders, verb="capture", seed=self._rival, auth=auth, is_hasty=True)
        is_far = spec.elsewhere or spec.fault == REFUSED_LATE
        return self._orders("there" if is_far else "here")

    def _suffer(self, auth: bytes) -> int:
        """The process that the fault happens to; its exit status."""
        spec = self._spec
        fault: FaultName = "none"
        if spec.fault == REFUSED_LATE:
            fault = "freeze"
        elif spec.fault not in NETWORK:
            fault = spec.fault  # type: ignore[assignment]  # one of the child's, as Round says
        orders = Orders(
            store=self._place.name,
            folder=str(self._folder),
            machine="here",
            verb=spec.verb,
            seed=self._seed,
            auth=auth,
            environment=self._fake.environment(),
            point=spec.point,
            fault=fault,
            is_short=fault == "freeze",
            # Who knows that the store will be away need not wait for it long.
            is_hasty=fault == "store down",
            patience=_PATIENCE if spec.fault in SILENT else None,
        )
        with running(orders) as (process, pipe):
            word = hear(pipe)
            if word == "frozen":
                pid = process.pid
                assert pid is not None
                wait_until_now(lambda: is_stopped(pid))
                try:
                    self._run(self._meanwhile(auth))
                    if spec.fault == REFUSED_LATE:
                        asyncio.run(self._take())
                finally:
                    os.kill(pid, signal.SIGCONT)
                word = hear(pipe)
            elif word == "cut it":
                self._place.cut()
                try:
                    pipe.send("done")
                    # Only one that stays away is away until the process gave up.
                    if spec.fault == "store down":
                        word = hear(pipe)
                finally:
                    self._place.mend()
                if spec.fault != "store down":
                    word = hear(pipe)
            if isinstance(word, Report):
                self._reports.append(word)
                self._has_reported = True
            code = exit_status(process)
            if code is None:
                raise TimeoutError("the process of a round reports, and does not end")
        self._was_killed = code == -signal.SIGKILL
        self._was_asked = bool(self._fake.requests())
        return code

    def _run(self, orders: Orders) -> None:
        # In this process: with the fork, a round takes twice as long.
        self._reports.append(carry_out(orders))

    async def _keep(self, auth: bytes) -> None:
        async with open_store(self._place.name) as store:
            await keep(store, Vault([KEY]), self._seed, auth)

    async def _take(self) -> None:
        """Have the lease, as another holder."""
        async with open_store(self._place.name) as store:
            found = await store.acquire(
                holder="elsewhere", ttl=timedelta(seconds=60), seed_id=self._seed
            )
            assert found is not None, "somebody else has the lease"

    async def _free(self) -> None:
        """Let the lease of a killed process be over; waiting for that takes a minute."""
        async with open_store(self._place.name) as store:
            if (await store.find(self._seed)).lease is not None:
                await store.break_lease(self._seed)

    async def _read(self) -> tuple[Seed, Login]:
        async with open_store(self._place.name) as store:
            return await read(store, self._seed)

    async def _judge_capture(self, auth: bytes) -> Outcome:
        """One seed with its login, or none; with none, the same seed can be made anew."""
        if not self._has_passed():
            return Outcome(label=NOT_REACHED)
        text = "kept"
        async with open_store(self._place.name) as store:
            ids = {each.id for each in await store.list()} & {self._seed, self._rival}
            if len(ids) > 1:
                return Outcome(label="KEPT TWICE")
            if not ids:
                text = "not kept"
                await keep(store, Vault([KEY]), self._seed, auth)
            try:
                _, login = await read(store, *ids or (self._seed,))
            except SeedNotFoundError:
                return Outcome(label="ROW WITHOUT LOGIN", text=text)
        is_live = self._fake.is_live(login.refresh_token)
        return Outcome(label="ok" if is_live else "LOST", text=text)

    async def _judge(self) -> Outcome:
        spec = self._spec
        seed, login = await self._read()
        is_live = self._fake.is_live(login.refresh_token)
        text = f"{seed.status.value}; {' | '.join(_told(each) for each in self._reports)}"
        fences = [each.fence for each in self._reports if each.fence]
        if len(fences) != len(set(fences)):
            return Outcome(label="DOUBLE FENCE", text=text)
        if not self._has_passed():
            return Outcome(label=NOT_REACHED, text=text)
        if is_live:
            # Whoever came after it may have brought it back to life.
            if self._after is Status.DEAD or any(each.state == "dead" for each in self._reports):
                return Outcome(label="FALSE DEAD", text=text)
            if seed.status is not Status.ALIVE:
                return Outcome(label=f"FALSE {seed.status.value.upper()}", text=text)
            if seed.lease is not None or seed.intent is not None:
                return Outcome(label="LEFT OVER", text=text)
            return Outcome(label="ok", text=text)
        if not spec.window:
            return Outcome(label="LOST", text=text)
        if seed.status is not Status.DEAD:
            return Outcome(label="NOT FOUND OUT", text=text)
        return Outcome(label=f"lost in {spec.window}", text=text)

    def _has_passed(self) -> bool:
        """Whether the fault happened."""
        if self._spec.fault in NETWORK and not self._was_asked:
            return False
        if self._spec.fault == "kill":
            return self._was_killed
        # While a process is frozen, another one reports before it does.
        if not self._spec.point:
            return True
        is_frozen = self._spec.fault in ("freeze", REFUSED_LATE)
        report = self._reports[1 if is_frozen else 0]
        return self._spec.point in report.passed


def _told(report: Report) -> str:
    return f"{report.state or '-'} {report.reason}".strip()
