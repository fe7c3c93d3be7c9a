"""Verdicts: what each takes, and what an outage does not change."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from codex_nb.seeds.auth import Login, UnusableLoginError
from codex_nb.seeds.claims import Fault as LoginFault
from codex_nb.seeds.oauth import Accepted, NoAnswer, NotSent, Refused, Unclear
from codex_nb.seeds.records import Status
from codex_nb.seeds.vault import Key
from codex_nb.seeds.verify import Decision, KeyCheck, Verdict, Verifier, decide
from tests.seeds.refreshing import (
    EXPIRED,
    FRESH,
    CrashError,
    Machine,
    Points,
    add,
    api_key,
    crash,
    machine,
    unreachable,
)
from tests.support.openai_fake import LOST_AFTER, FakeOpenAI, Fault, refusal
from tests.support.waiting import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.store import Store


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


NOW = 1_000_000.0


def chatgpt(expires_at: float | None, last_refresh: float | None = None) -> Login:
    return Login(
        kind="chatgpt",
        access_token="a",
        refresh_token="r",
        expires_at=expires_at,
        last_refresh=last_refresh,
        document={},
    )


@pytest.mark.parametrize(
    ("found", "force", "decision"),
    [
        (chatgpt(NOW + 301), False, Decision.CURRENT),
        (chatgpt(NOW + 301), True, Decision.REFRESH),
        (chatgpt(NOW + 300), False, Decision.REFRESH),
        (chatgpt(NOW - 1), False, Decision.REFRESH),
        (chatgpt(NOW + 301, last_refresh=1.0), False, Decision.CURRENT),
        (chatgpt(None, last_refresh=NOW - 7 * 86400), False, Decision.CURRENT),
        (chatgpt(None, last_refresh=NOW - 9 * 86400), False, Decision.REFRESH),
        (Login(kind="apikey", api_key="k", document={}), True, Decision.KEY),
        (UnusableLoginError(LoginFault.TORN, "It is torn."), False, Decision.MALFORMED),
    ],
)
def test_what_is_to_be_done_follows_from_the_login_alone(
    found: Login | UnusableLoginError, force: bool, decision: Decision
) -> None:
    assert decide(found, NOW, force=force) is decision


def verifier(on: Machine, *, check_key: KeyCheck | None = None, parallel: int = 16) -> Verifier:
    return Verifier(
        on.store, on.refresher, holder="verify on here", check_key=check_key, parallel=parallel
    )


async def verified(on: Machine, seed: Seed, *, force: bool = False) -> Verdict:
    return await verifier(on).verify_one(await on.store.find(seed.id), force=force)


def verdict_on(seed: Seed, kind: str, reason: str = "", *, is_refreshed: bool = False) -> Verdict:
    return Verdict(
        kind=kind,  # type: ignore[arg-type]  # one of the three
        seed=seed.id,
        name=seed.name,
        reason=reason,
        is_refreshed=is_refreshed,
    )


def test_a_login_that_is_good_for_a_while_is_alive_without_contact(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=FRESH))

            assert await verified(here, seed) == verdict_on(seed, "alive")

            now = await here.store.find(seed.id)
            assert (fake.requests(), now.lease, now.verified_at is not None) == ([], None, True)

    run(scenario())


def test_a_login_that_ran_out_is_alive_once_the_new_one_is_stored(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))

            assert await verified(here, seed) == verdict_on(seed, "alive", is_refreshed=True)

            assert fake.is_live((await here.login(seed)).refresh_token)
            assert (await here.store.find(seed.id)).verified_at is not None

    run(scenario())


@pytest.mark.parametrize(
    "fault", [refusal(429, "slow_down"), Fault(status=403), Fault(status=503)], ids=str
)
def test_a_seed_stays_what_it_is_when_the_endpoint_proves_nothing(
    tmp_path: Path, fake: FakeOpenAI, fault: Fault
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            fake.fail(fault)

            verdict = await verified(here, seed)

            now = await here.store.find(seed.id)
            assert (verdict.kind, now.verified_at) == ("inconclusive", None)
            assert now.status in (Status.ALIVE, Status.SUSPECT)
            assert (await verified(here, seed)).kind == "alive"

    run(scenario())


def test_a_new_login_that_the_store_does_not_take_is_not_alive_yet(
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
            first, second = await verified(here, seed), await verified(here, seed)
            down.clear()

            assert [first.kind, second.kind] == ["inconclusive", "inconclusive"]
            assert await verified(here, seed) == verdict_on(seed, "alive")
            assert len(fake.requests()) == 1

    run(scenario())


def test_a_refusal_is_dead_and_stays_so_until_somebody_asks_again(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            fake.fail(refusal(401, ""))
            reason = "The login was refused (401)."

            assert await verified(here, seed) == verdict_on(seed, "dead", reason)
            assert await verified(here, seed) == verdict_on(seed, "dead", reason)
            assert len(fake.requests()) == 1
            assert (await verified(here, seed, force=True)).kind == "alive"
            assert (await here.store.find(seed.id)).status is Status.ALIVE

    run(scenario())


def test_a_dead_seed_whose_token_says_that_it_is_good_stays_dead(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=FRESH))
            fake.fail(refusal(401, ""))
            await verified(here, seed, force=True)

            assert (await verified(here, seed)).kind == "dead"
            assert (await here.store.find(seed.id)).status is Status.DEAD

    run(scenario())


def test_what_was_sealed_and_is_no_login_is_dead(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            empty = b'{"version": 1, "auth": {"auth_mode": "chatgpt"}, "config": {}}'
            seed = await add(here, fake.new_login(), payload=empty)

            verdict = await verified(here, seed)

            now = await here.store.find(seed.id)
            assert (verdict.kind, now.status, now.reason) == ("dead", Status.DEAD, verdict.reason)

    run(scenario())


def test_a_wrong_key_and_a_later_form_prove_nothing(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with (
            machine(tmp_path, fake.environment()) as here,
            machine(tmp_path, fake.environment(), key=Key.new()) as other,
        ):
            seed = await add(here, fake.new_login("a"))
            later = await add(here, fake.new_login("b"), name="two", payload=b'{"version": 2}')

            verdicts = [await verified(other, seed), await verified(here, later)]

            assert [each.kind for each in verdicts] == ["inconclusive", "inconclusive"]
            for each in (seed, later):
                now = await here.store.find(each.id)
                assert (now.status, now.verified_at, now.lease) == (Status.ALIVE, None, None)

    run(scenario())


def test_a_seed_that_is_in_use_is_left_to_its_holder(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            async with here.holding(seed):
                verdict = await verified(here, seed)

            assert (verdict.kind, verdict.reason) == ("inconclusive", "It is in use by a test.")
            assert verdict.retry_after is not None
            assert 0 < verdict.retry_after <= 60
            assert fake.requests() == []

    run(scenario())


def test_a_retired_seed_has_no_verdict(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            await here.store.mark(seed.id, Status.RETIRED, "a person took it out of use")

            verdict = await verified(here, seed, force=True)

            assert verdict == verdict_on(seed, "inconclusive", "It is retired; nobody uses it.")
            assert (await here.store.find(seed.id)).status is Status.RETIRED

    run(scenario())


def test_a_suspect_is_cleared_up_although_its_token_says_that_it_is_good(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seed = await add(here, fake.new_login(expires_in=FRESH))
            fake.fail(LOST_AFTER)
            first = await verified(here, seed, force=True)
            second = await verified(here, seed)

            assert [first.kind, second.kind] == ["inconclusive", "dead"]

    run(scenario())


def test_what_waits_on_this_machine_is_saved_and_not_refreshed_again(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment(), at=Points(after_spool=crash)) as here:
            seed = await add(here, fake.new_login(expires_in=EXPIRED))
            with pytest.raises(CrashError):
                await verified(here, seed)
        async with machine(tmp_path, fake.environment()) as here:
            assert await verified(here, seed) == verdict_on(seed, "alive")
            assert len(fake.requests()) == 1

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (None, "alive", "It is there; the API was not asked."),
        (Accepted(), "alive", "The API took the key."),
        (Refused(code="http_401", text="The API refused the key (401)."), "dead", None),
        (Unclear(reason="HTTP 503", status=503), "inconclusive", "HTTP 503"),
        (NotSent(reason="no way"), "inconclusive", "no way"),
    ],
    ids=["not asked", "accepted", "refused", "503", "not sent"],
)
def test_an_api_key_is_asked_about_only_if_that_is_wanted(
    tmp_path: Path,
    answer: Accepted | Refused | Unclear | NotSent | None,
    kind: str,
    reason: str | None,
) -> None:
    asked: list[str] = []

    async def check(login: Login) -> Accepted | Refused | Unclear | NotSent | NoAnswer:
        asked.append(login.api_key)
        assert answer is not None
        return answer

    async def scenario() -> None:
        async with machine(tmp_path, {}) as here:
            seed = await add(here, api_key("sk-1"))

            verdict = await verifier(here, check_key=check).verify_one(
                seed, check_models=answer is not None
            )

            assert verdict == verdict_on(seed, kind, reason or "The API refused the key (401).")
            assert asked == (["sk-1"] if answer is not None else [])
            is_dead = (await here.store.find(seed.id)).status is Status.DEAD
            assert is_dead is (kind == "dead")

    run(scenario())


def test_many_are_verified_at_once_and_each_has_its_verdict(
    tmp_path: Path, fake: FakeOpenAI
) -> None:
    async def scenario() -> None:
        running: list[int] = []
        points = Points()
        async with machine(tmp_path, fake.environment(), at=points) as here:
            seeds = [
                await add(here, fake.new_login(str(number), expires_in=EXPIRED), name=f"s{number}")
                for number in range(12)
            ]
            points.actions["before_post"] = lambda: running.append(
                points.passed.count("before_post") - points.passed.count("after_response")
            )

            found = [each async for each in verifier(here, parallel=4).verify(seeds)]

            assert sorted(each.name for each in found) == sorted(seed.name for seed in seeds)
            assert {each.kind for each in found} == {"alive"}
            assert 1 < max(running) <= 4

    run(scenario())


def test_who_leaves_early_leaves_no_lease_and_no_task(tmp_path: Path, fake: FakeOpenAI) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, fake.environment()) as here:
            seeds = [
                await add(here, fake.new_login(str(number), expires_in=EXPIRED), name=f"s{number}")
                for number in range(6)
            ]
            async with aclosing(verifier(here, parallel=2).verify(seeds)) as verdicts:
                async for verdict in verdicts:
                    assert verdict.kind == "alive"
                    break

            assert [each for each in asyncio.all_tasks() if each.get_name() == "verify"] == []
            assert [each.lease for each in await here.store.list()] == [None] * 6
            for seed in seeds:
                assert fake.is_live((await here.login(seed)).refresh_token)
            assert len(fake.requests()) < len(seeds)

    run(scenario())


def test_of_no_seeds_there_are_no_verdicts(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with machine(tmp_path, {}) as here:
            assert [each async for each in verifier(here).verify([])] == []

    run(scenario())
