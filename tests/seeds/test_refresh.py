"""A refresh: what each answer of the endpoint means, and what is left at each point of failure."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import LeaseLostError, VaultError
from codex_nb.seeds.auth import Login
from codex_nb.seeds.hold import Hold, boot_clock
from codex_nb.seeds.records import Intent, Status
from codex_nb.seeds.refresh import RefreshState
from codex_nb.seeds.rotations import Drain, Rotation
from codex_nb.seeds.vault import Key
from tests.seeds.refreshing import (
    EXPIRED,
    FRESH,
    TTL,
    CrashError,
    Machine,
    Points,
    add,
    api_key,
    crash,
    machine,
    meanwhile,
    unreachable,
)
from tests.support.openai_fake import (
    BROKEN_AFTER,
    EMPTY_SUCCESS,
    GARBLED,
    HTML_403,
    LOST_AFTER,
    LOST_BEFORE,
    FakeOpenAI,
    Fault,
    refusal,
)
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.refresh import RefreshResult
    from codex_nb.seeds.store import Store


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(strict=True) as server:
        yield server


async def refreshed(
    on: Machine, seed: Seed, *, force: bool = False, used: Login | None = None
) -> RefreshResult:
    async with on.holding(seed) as hold:
        return await on.refresher.refresh(hold, force=force, used=used)


async def is_live(on: Machine, seed: Seed, fake: FakeOpenAI) -> bool:
    """Whether the stored login is the one that the endpoint would take."""
    return fake.is_live((await on.login(seed)).refresh_token)


def test_a_login_that_ran_out_is_refreshed_stored_and_leaves_nothing_in_the_spool(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        points = Points()
        async with machine(tmp_path, fake.environment(), at=points) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))

            result = await refreshed(here, seed)

            stored = await here.refresher.read(seed.id)
            assert (result.state, result.stored.login) == (RefreshState.REFRESHED, stored.login)
            assert fake.is_live(stored.login.refresh_token)
            assert not stored.login.needs_refresh(await here.store.now())
            assert (stored.config, stored.seed.version) == ({"model": "gpt"}, 2)
            assert (stored.seed.status, stored.seed.intent) == (Status.ALIVE, None)
            assert stored.seed.details == {**stored.login.details()}
            assert list(here.spool.names()) == []
        assert points.passed == [
            "before_reserve",
            "after_reserve",
            "after_intent",
            "before_post",
            "after_response",
            "spool_written",
            "after_spool",
            "before_save",
            "after_save",
            "after_clear",
        ]

    run(scenario())


def test_a_login_that_is_good_for_a_while_is_left_alone(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=FRESH))

            result = await refreshed(here, seed)

            assert (result.state, fake.requests()) == (RefreshState.CURRENT, [])

    run(scenario())


def test_an_api_key_is_never_sent_to_the_endpoint(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, api_key())

            result = await refreshed(here, seed, force=True)

            assert (result.state, fake.requests()) == (RefreshState.CURRENT, [])

    run(scenario())


def test_a_login_that_somebody_refreshed_meanwhile_is_taken_instead(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=FRESH))
            used = await here.login(seed)
            first = await refreshed(here, seed, force=True, used=used)

            second = await refreshed(here, seed, force=True, used=used)

            assert (first.state, second.state) == (RefreshState.REFRESHED, RefreshState.CURRENT)
            assert second.stored.login == first.stored.login
            assert len(fake.requests()) == 1

    run(scenario())


@pytest.mark.parametrize(
    ("fault", "reason", "retry_after"),
    [
        (refusal(429, "slow_down", retry_after="17"), "HTTP 429 (slow_down)", 17.0),
        (HTML_403, "HTTP 403", None),
        (refusal(400, "invalid_client"), "HTTP 400 (invalid_client)", None),
        (Fault(status=404), "HTTP 404", None),
    ],
    ids=["429", "403", "400", "404"],
)
def test_who_is_turned_away_spent_nothing(
    tmp_path: Path, fake: FakeOpenAI, fault: Fault, reason: str, retry_after: float | None
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            fake.fail(fault)

            result = await refreshed(here, seed)

            now = await here.store.find(seed.id)
            assert (result.state, result.reason) == (RefreshState.UNCLEAR, reason)
            assert result.retry_after == retry_after
            assert (now.status, now.intent, now.verified_at) == (Status.ALIVE, None, None)
            assert (await refreshed(here, seed)).state is RefreshState.REFRESHED

    run(scenario())


def test_an_endpoint_that_is_not_there_changes_nothing(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        nowhere = {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": "http://127.0.0.1:1/oauth/token"}
        async with machine(tmp_path, nowhere) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))

            result = await refreshed(here, seed)

            now = await here.store.find(seed.id)
            assert (result.state, now.status, now.intent) == (
                RefreshState.UNCLEAR,
                Status.ALIVE,
                None,
            )

    run(scenario())


@pytest.mark.parametrize(
    ("fault", "is_kept"),
    [
        (Fault(status=503), True),
        (LOST_BEFORE, True),
        (LOST_AFTER, False),
        (BROKEN_AFTER, False),
        (GARBLED, False),
        (EMPTY_SUCCESS, False),
    ],
    ids=["503", "lost before", "lost after", "500 after", "garbled", "empty"],
)
def test_an_answer_that_got_lost_makes_it_suspect_and_one_more_try_tells(
    tmp_path: Path, fake: FakeOpenAI, fault: Fault, is_kept: bool
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            fake.fail(fault)

            unclear = await refreshed(here, seed)
            between = await here.store.find(seed.id)
            result = await refreshed(here, seed)

            assert unclear.state is RefreshState.UNCLEAR
            assert (between.status, between.verified_at) == (Status.SUSPECT, None)
            assert between.intent is not None
            end = await here.store.find(seed.id)
            assert (result.state, end.status, end.intent) == (
                (RefreshState.REFRESHED, Status.ALIVE, None)
                if is_kept
                else (RefreshState.DEAD, Status.DEAD, None)
            )
            assert await is_live(here, seed, fake) is is_kept
            assert (len(fake.requests()), list(here.spool.names())) == (2, [])

    run(scenario())


def test_a_suspect_stays_one_while_the_endpoint_turns_us_away(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            fake.fail(LOST_AFTER)
            fake.fail(refusal(429, "slow_down"))

            await refreshed(here, seed)
            await refreshed(here, seed)

            now = await here.store.find(seed.id)
            assert (now.status, now.intent is not None) == (Status.SUSPECT, True)

    run(scenario())


@pytest.mark.parametrize(
    "fault",
    [
        refusal(401, ""),
        refusal(400, "refresh_token_expired"),
        refusal(503, "refresh_token_invalidated"),
        Fault(status=400, body=b'{"error": "invalid_grant"}'),
    ],
    ids=["401", "expired", "invalidated at 503", "invalid_grant"],
)
def test_a_refusal_is_proof(tmp_path: Path, fake: FakeOpenAI, fault: Fault) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            fake.fail(fault)

            result = await refreshed(here, seed)

            now = await here.store.find(seed.id)
            assert (result.state, now.status, now.intent) == (RefreshState.DEAD, Status.DEAD, None)
            assert (now.reason, now.verified_at is not None) == (result.reason, True)

    run(scenario())


def test_an_outage_does_not_change_what_is_dead(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            fake.fail(refusal(401, ""))
            await refreshed(here, seed)
            dead = await here.store.find(seed.id)
            fake.fail(Fault(status=503))

            await refreshed(here, seed)

            now = await here.store.find(seed.id)
            assert (now.status, now.reason) == (Status.DEAD, dead.reason)

    run(scenario())


def test_while_the_store_is_down_the_new_login_is_used_and_saved_later(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        down: set[str] = set()

        def wrap(store: Store) -> Store:
            nonlocal down
            wrapped, down = unreachable(store)
            return wrapped

        async with machine(tmp_path, fake.environment(), wrap=wrap) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            down.add("save")

            result = await refreshed(here, seed)
            again = await refreshed(here, seed)

            assert (result.state, again.state) == (RefreshState.SPOOLED, RefreshState.UNCLEAR)
            assert fake.is_live(result.stored.login.refresh_token)
            assert not await is_live(here, seed, fake)
            down.clear()
            assert (await refreshed(here, seed)).state is RefreshState.CURRENT
            assert await here.login(seed) == result.stored.login
            assert (len(fake.requests()), list(here.spool.names())) == (1, [])

    run(scenario())


def test_when_the_disk_fails_after_the_answer_the_store_has_it_all_the_same(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        def fail() -> None:
            raise OSError(5, "Input/output error")

        points = Points(spool_written=fail)
        async with machine(tmp_path, fake.environment(), at=points) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))

            result = await refreshed(here, seed)

            assert result.state is RefreshState.REFRESHED
            assert await is_live(here, seed, fake)

    run(scenario())


def test_when_disk_and_store_fail_the_login_stays_in_memory_until_the_store_is_back(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        down: set[str] = set()

        def wrap(store: Store) -> Store:
            nonlocal down
            wrapped, down = unreachable(store)
            return wrapped

        def fail() -> None:
            raise OSError(5, "Input/output error")

        points = Points(spool_written=fail)
        async with machine(tmp_path, fake.environment(), at=points, wrap=wrap) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            down.add("save")

            result = await refreshed(here, seed)
            assert result.state is RefreshState.SPOOLED
            assert "memory" in result.reason
            assert (await refreshed(here, seed)).state is RefreshState.UNCLEAR
            down.clear()
            assert (await refreshed(here, seed)).state is RefreshState.CURRENT
            assert await is_live(here, seed, fake)
            assert len(fake.requests()) == 1

    run(scenario())


def test_without_room_for_the_answer_the_endpoint_is_not_asked(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            (tmp_path / "here").write_text("a file where the folder should be")

            result = await refreshed(here, seed)

            now = await here.store.find(seed.id)
            assert (result.state, fake.requests()) == (RefreshState.UNCLEAR, [])
            assert (now.status, now.intent) == (Status.ALIVE, None)

    run(scenario())


def test_a_login_that_a_person_stored_meanwhile_is_not_saved_over(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    relogin = Login.parse(fake.new_login(expires_in=FRESH))

    async def scenario() -> None:
        points = Points()
        async with machine(tmp_path, fake.environment(), at=points) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))

            async def log_in_anew() -> None:
                async with machine(tmp_path, fake.environment(), name="there") as there:
                    await save_over(there, seed, relogin)

            points.actions["after_response"] = meanwhile(log_in_anew)
            result = await refreshed(here, seed)

            assert (result.state, result.stored.login) == (RefreshState.CURRENT, relogin)
            assert await here.login(seed) == relogin
            assert [path.suffix for path in here.spool.orphans()] == [".orphan"]
            assert list(here.spool.names()) == []

    run(scenario())


async def save_over(on: Machine, seed: Seed, login: Login) -> None:
    await on.refresher.rotations.save(
        Rotation(seed=seed.id, parent=seed.fingerprint, version=seed.version + 1, login=login)
    )


def test_a_refusal_of_a_login_that_was_replaced_meanwhile_is_no_proof(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    relogin = Login.parse(fake.new_login(expires_in=FRESH))

    async def scenario() -> None:
        points = Points()
        async with machine(tmp_path, fake.environment(), at=points) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            fake.fail(refusal(401, ""))

            async def log_in_anew() -> None:
                async with machine(tmp_path, fake.environment(), name="there") as there:
                    await save_over(there, seed, relogin)

            points.actions["after_response"] = meanwhile(log_in_anew)
            result = await refreshed(here, seed)

            now = await here.store.find(seed.id)
            assert (result.state, result.stored.login) == (RefreshState.CURRENT, relogin)
            assert now.status is Status.ALIVE

    run(scenario())


def test_a_refusal_is_no_proof_once_another_has_the_lease(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        points = Points()
        async with machine(tmp_path, fake.environment(), at=points) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            fake.fail(refusal(401, ""))

            async def take_away() -> None:
                async with machine(tmp_path, fake.environment(), name="there") as there:
                    await there.store.break_lease(seed.id)

            points.actions["after_response"] = meanwhile(take_away)
            result = await refreshed(here, seed)

            now = await here.store.find(seed.id)
            assert (result.state, now.status) == (RefreshState.UNCLEAR, Status.ALIVE)

    run(scenario())


def test_without_the_lease_nothing_is_asked(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            async with here.holding(seed) as hold:
                await here.store.break_lease(seed.id)
                with pytest.raises(LeaseLostError):
                    await here.refresher.refresh(hold)

            assert (fake.requests(), list(here.spool.names())) == ([], [])

    run(scenario())


def test_a_lease_that_is_nearly_over_is_renewed_before_the_endpoint_is_asked(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            leased = await here.store.acquire(
                holder="h", ttl=timedelta(seconds=20), seed_id=seed.id
            )
            assert leased is not None
            hold = Hold(here.store, leased[1], ttl=TTL, asked_at=boot_clock())
            before = hold.left

            result = await here.refresher.refresh(hold)

            assert result.state is RefreshState.REFRESHED
            assert hold.left > 30 > before

    run(scenario())


def test_who_was_frozen_past_the_lease_does_not_ask(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        points = Points()
        now = boot_clock()
        frozen = 0.0

        def freeze() -> None:
            nonlocal frozen
            frozen = 120.0

        points.actions["before_post"] = freeze
        async with machine(tmp_path, fake.environment(), at=points) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            leased = await here.store.acquire(holder="a test", ttl=TTL, seed_id=seed.id)
            assert leased is not None
            hold = Hold(here.store, leased[1], ttl=TTL, asked_at=now, clock=lambda: now + frozen)

            result = await here.refresher.refresh(hold)

            assert (result.state, fake.requests()) == (RefreshState.UNCLEAR, [])
            assert (await here.store.find(seed.id)).intent is None

    run(scenario())


@pytest.mark.parametrize(
    ("point", "asked", "state"),
    [
        ("before_post", 1, RefreshState.REFRESHED),
        ("after_spool", 1, RefreshState.CURRENT),
        ("before_save", 1, RefreshState.CURRENT),
        ("after_save", 1, RefreshState.CURRENT),
        ("after_response", 2, RefreshState.DEAD),
    ],
)
def test_after_a_crash_the_same_machine_has_the_live_login_unless_the_answer_was_lost(
    tmp_path: Path, fake: FakeOpenAI, point: str, asked: int, state: RefreshState
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment(), at=Points(**{point: crash})) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            with pytest.raises(CrashError):
                await refreshed(here, seed)

        async with machine(tmp_path, fake.environment()) as here:
            result = await refreshed(here, seed)

            assert (result.state, len(fake.requests())) == (state, asked)
            assert await is_live(here, seed, fake) is (state is not RefreshState.DEAD)
            assert (await here.store.find(seed.id)).intent is None
            assert list(here.spool.names()) == []

    run(scenario())


@pytest.mark.parametrize("point", ["before_post", "after_spool", "after_save"])
def test_another_machine_waits_for_the_one_that_crashed_and_nothing_is_lost(
    tmp_path: Path, fake: FakeOpenAI, point: str
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment(), at=Points(**{point: crash})) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            with pytest.raises(CrashError):
                await refreshed(here, seed)
        asked = len(fake.requests())

        async with machine(tmp_path, fake.environment(), name="there") as there:
            result = await refreshed(there, seed)
            is_stored = point == "after_save"
            assert result.state is (RefreshState.CURRENT if is_stored else RefreshState.UNCLEAR)
            assert len(fake.requests()) == asked
        async with machine(tmp_path, fake.environment()) as here:
            assert (await refreshed(here, seed)).state in (
                RefreshState.CURRENT,
                RefreshState.REFRESHED,
            )
            assert await is_live(here, seed, fake)

    run(scenario())


@pytest.mark.parametrize(
    ("age", "expires_in", "state"),
    [
        (100.0, -2000.0, RefreshState.UNCLEAR),
        (130.0, -2000.0, RefreshState.REFRESHED),
        (550.0, 290.0, RefreshState.UNCLEAR),
        (610.0, 290.0, RefreshState.REFRESHED),
    ],
    ids=["young", "ran out", "good for a while", "old"],
)
def test_the_intent_of_another_machine_is_respected_for_a_while(
    tmp_path: Path, fake: FakeOpenAI, age: float, expires_in: float, state: RefreshState
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=expires_in))
            async with here.holding(seed) as hold:
                intent = Intent(
                    attempt="theirs",
                    fence=hold.lease.fence,
                    parent=seed.fingerprint,
                    host="there:0:0",
                    at=hold.now - age,
                )
                await here.store.begin_refresh(hold.lease, intent)

            result = await refreshed(here, seed)

            now = await here.store.find(seed.id)
            assert (result.state, now.intent) == (
                state,
                intent if state is RefreshState.UNCLEAR else None,
            )
            assert ("there began to refresh it" in result.reason) is (state is RefreshState.UNCLEAR)

    run(scenario())


def test_a_refresh_that_a_frozen_process_of_this_machine_began_is_waited_for(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        results: list[RefreshResult] = []
        points = Points()
        async with machine(tmp_path, fake.environment(), at=points) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))

            async def try_too() -> None:
                async with machine(tmp_path, fake.environment()) as other:
                    await other.store.break_lease(seed.id)
                    results.append(await refreshed(other, seed))

            points.actions["after_response"] = meanwhile(try_too)
            mine = await refreshed(here, seed)

            assert [(each.state, each.reason) for each in results] == [
                (RefreshState.UNCLEAR, "another process on this machine is refreshing it")
            ]
            assert mine.state is RefreshState.REFRESHED
            assert (await is_live(here, seed, fake), len(fake.requests())) == (True, 1)

    run(scenario())


def test_cancelling_a_refresh_waits_until_its_answer_is_safe(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            fake.stop_answering()

            async def begin() -> None:
                await refreshed(here, seed)

            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(begin())
                await wait_until(lambda: bool(list(here.spool.names())))
                task.cancel()
                fake.answer_again()

            assert task.cancelled()
            assert await is_live(here, seed, fake)
            assert (len(fake.requests()), list(here.spool.names())) == (1, [])

    run(scenario())


def test_a_wrong_key_is_no_proof_and_what_waits_stays_where_it_is(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment(), at=Points(after_spool=crash)) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            with pytest.raises(CrashError):
                await refreshed(here, seed)

        async with machine(tmp_path, fake.environment(), key=Key.new()) as other:
            with pytest.raises(VaultError):
                await refreshed(other, seed)
            (drained,) = await other.refresher.rotations.drain()
            assert (drained.seed, drained.result) == (seed.id, Drain.WAITING)
        async with machine(tmp_path, fake.environment()) as here:
            assert (await here.store.find(seed.id)).status is Status.ALIVE
            assert (await refreshed(here, seed)).state is RefreshState.CURRENT
            assert await is_live(here, seed, fake)

    run(scenario())


def test_a_login_is_not_sent_to_an_issuer_without_encryption(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        unsafe = {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": "http://example.com/token"}
        async with machine(tmp_path, unsafe) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))

            result = await refreshed(here, seed)

            assert result.state is RefreshState.UNCLEAR
            assert (await here.store.find(seed.id)).intent is None

    run(scenario())


def test_no_secret_is_in_what_a_refresh_shows(
    tmp_path: Path, fake: FakeOpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        caplog.set_level("DEBUG", logger="codex_nb")
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            before = await here.login(seed)
            result = await refreshed(here, seed)

            after = result.stored.login
            shown = f"{result!r} {caplog.text} {await here.store.find(seed.id)!r}"
            for login in (before, after):
                assert login.refresh_token not in shown
                assert login.access_token not in shown

    run(scenario())
