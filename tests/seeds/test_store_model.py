"""A store does in any order of steps what a few lines of rules in memory do."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from codex_nb.errors import (
    SeedError,
)
from codex_nb.seeds.records import Blob, Intent, Lease, Seed, Status
from codex_nb.seeds.sqlite import SqliteStore
from tests.seeds.contract import HERE, THERE
from tests.seeds.rules import Rules
from tests.seeds.stores import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

NAMES = st.sampled_from(["a", "b", "c"])
POOLS = st.sampled_from(["", "p"])
ACCOUNTS = st.sampled_from(["x", "y", "z"])
LOGINS = st.sampled_from(["login 1", "login 2", "login 3"])
TTLS = st.sampled_from([10.0, 60.0])
IDS = st.sampled_from(["lease 1", "lease 2", ""])
HOSTS = st.sampled_from([HERE, THERE])


class Steps(RuleBasedStateMachine):
    """The same steps, done by a store and by the rules."""

    seeds: Bundle[str] = Bundle("seeds")
    leases: Bundle[Lease] = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")  # noqa: S108 - a folder of its own in there
        # What a disk keeps is for other tests; here thousands of steps are to be quick.
        self.folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.clock = Clock()
        self.model = Rules(self.clock)
        self.loop = asyncio.new_event_loop()
        self.store = SqliteStore(self.folder / "seeds.db", clock=self.clock)
        self.do(self.store.__aenter__())

    def teardown(self) -> None:
        self.do(self.store.__aexit__(None, None, None))
        self.loop.close()
        shutil.rmtree(self.folder)

    def do(self, step: Coroutine[object, object, T]) -> T:
        return self.loop.run_until_complete(step)

    def same(self, step: Coroutine[object, object, T], expected: Callable[[], T]) -> T | None:
        """Do a step both ways and compare what comes of it; None if both refused alike."""
        found: list[T] = []
        refused: list[type[SeedError]] = []
        ways: list[Callable[[], T]] = [lambda: self.do(step), expected]
        for way in ways:
            try:
                found.append(way())
            except SeedError as exc:
                refused.append(type(exc))
        assert found[1:] == found[:1]
        assert refused[1:] == refused[:1]
        return found[0] if found else None

    @rule(
        target=seeds,
        name=NAMES,
        pool=POOLS,
        account=ACCOUNTS,
        good_for=st.sampled_from([100.0, 1000.0]),
    )
    def create(self, name: str, pool: str, account: str, good_for: float) -> str:
        seed = Seed(
            id=uuid.uuid4().hex,
            name=name,
            pool=pool,
            kind="chatgpt",
            account=account,
            fingerprint="login 1",
            details={"expires_at": self.clock.at + good_for},
        )
        blob = Blob(data=seed.id.encode(), version=1)
        self.same(self.store.create(seed, blob), lambda: self.model.create(seed, blob))
        return seed.id

    @rule(seed=seeds)
    def delete(self, seed: str) -> None:
        self.same(self.store.delete(seed), lambda: self.model.delete(seed))

    @rule(seed=seeds, name=st.none() | NAMES, pool=st.none() | POOLS)
    def change(self, seed: str, name: str | None, pool: str | None) -> None:
        def expected() -> Seed:
            old = self.model.known(seed).seed
            return self.model.update(
                seed,
                name=old.name if name is None else name,
                pool=old.pool if pool is None else pool,
            )

        self.same(self.store.change(seed, name=name, pool=pool), expected)

    @rule(target=leases, seed=st.none() | seeds, pool=POOLS, lease_id=IDS, ttl=TTLS)
    def acquire(
        self, seed: str | None, pool: str, lease_id: str, ttl: float
    ) -> MultipleResults[Lease] | Lease:
        given = lease_id or uuid.uuid4().hex
        found = self.same(
            self.store.acquire(
                holder="a test",
                ttl=timedelta(seconds=ttl),
                seed_id=seed or "",
                pool=pool,
                lease_id=given,
            ),
            lambda: self.model.acquire(ttl, seed or "", pool, given),
        )
        return multiple() if found is None else found[1]

    @rule(lease=leases, ttl=TTLS)
    def renew(self, lease: Lease, ttl: float) -> None:
        self.same(
            self.store.renew(lease, ttl=timedelta(seconds=ttl)),
            lambda: self.model.renew(lease, ttl),
        )

    @rule(lease=leases)
    def release(self, lease: Lease) -> None:
        self.same(self.store.release(lease), lambda: self.model.release(lease))

    @rule(seed=seeds)
    def break_lease(self, seed: str) -> None:
        self.same(self.store.break_lease(seed), lambda: self.model.break_lease(seed))

    @rule(lease=leases, host=HOSTS, parent=LOGINS, attempt=st.sampled_from(["try 1", "try 2"]))
    def begin_refresh(self, lease: Lease, host: str, parent: str, attempt: str) -> None:
        intent = Intent(
            attempt=attempt, fence=lease.fence, parent=parent, host=host, at=self.clock.at
        )
        self.same(
            self.store.begin_refresh(lease, intent),
            lambda: self.model.begin_refresh(lease, intent),
        )

    @rule(seed=seeds, attempt=st.sampled_from(["try 1", "try 2"]))
    def end_refresh(self, seed: str, attempt: str) -> None:
        self.same(
            self.store.end_refresh(seed, attempt), lambda: self.model.end_refresh(seed, attempt)
        )

    @rule(
        seed=seeds,
        parent=LOGINS,
        fingerprint=LOGINS,
        version=st.integers(2, 4),
        doubt=st.sampled_from(["", "not tried"]),
    )
    def save(self, seed: str, parent: str, fingerprint: str, version: int, doubt: str) -> None:
        blob = Blob(data=uuid.uuid4().bytes, version=version)
        self.same(
            self.store.save(
                seed,
                parent=parent,
                blob=blob,
                fingerprint=fingerprint,
                details={},
                doubt=doubt,
            ),
            lambda: self.model.save(seed, parent, blob, fingerprint, doubt),
        )

    @rule(
        seed=seeds,
        status=st.sampled_from(Status),
        fingerprint=st.none() | LOGINS,
        fence=st.none() | st.integers(0, 3),
        was=st.none() | st.sampled_from(Status),
    )
    def mark(
        self,
        seed: str,
        status: Status,
        fingerprint: str | None,
        fence: int | None,
        was: Status | None,
    ) -> None:
        self.same(
            self.store.mark(
                seed,
                status,
                "because",
                fingerprint=fingerprint,
                fence=fence,
                was=was,
                verified=True,
            ),
            lambda: self.model.mark(seed, status, fingerprint, fence, was),
        )

    @rule(seconds=st.sampled_from([1.0, 10.0, 30.0, 600.0]))
    def wait(self, seconds: float) -> None:
        self.clock.at += seconds

    @invariant()
    def both_hold_the_same(self) -> None:
        assert self.do(self.store.list()) == self.model.all()
        for seed_id, known in self.model.seeds.items():
            assert self.do(self.store.read_blob(seed_id)) == known.blob
            if known.previous is not None:
                assert self.do(self.store.read_blob(seed_id, previous=True)) == known.previous


def test_a_store_does_what_the_rules_say() -> None:
    how = settings(
        max_examples=60,
        stateful_step_count=40,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    # Another test may have left an event loop running in this thread.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(run_state_machine_as_test, Steps, settings=how).result()
