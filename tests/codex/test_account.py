"""Having the real codex judge a login, against a fake of OpenAI; and what must not get lost."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from codex_nb.codex.account import Probed, check_with_codex
from codex_nb.codex.scratch import LONGEST, LeftBehind, errand, left_behind
from codex_nb.errors import AppServerError, StoreError
from tests.codex.errands import Desk, mode_of, refresh_token
from tests.support.codex_versions import EVERY_CODEX, ONE_CODEX
from tests.support.openai_fake import HANG_BEFORE, MARKER, FakeOpenAI, refusal
from tests.support.waiting import run, scaled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


ACCOUNT = {"type": "chatgpt", "email": "acct-1@example.com", "planType": "pro"}


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture(params=EVERY_CODEX)
def desk(request: pytest.FixtureRequest, tmp_path: Path, fake: FakeOpenAI) -> Desk:
    return Desk(request.param, tmp_path / "errands", fake)


@pytest.fixture(params=ONE_CODEX)
def one_desk(request: pytest.FixtureRequest, tmp_path: Path, fake: FakeOpenAI) -> Desk:
    return Desk(request.param, tmp_path / "errands", fake)


# Codex judges


def test_codex_refreshes_a_good_login_and_hands_it_back(desk: Desk, fake: FakeOpenAI) -> None:
    before = fake.new_login()

    checked = run(desk.check(before))

    assert checked.account is not None
    assert ACCOUNT.items() <= checked.account.items()
    assert (checked.error, desk.kept, desk.left) == ("", [checked.auth], [])
    assert fake.is_live(refresh_token(checked.auth))


def test_codex_holds_a_revoked_login_for_worthless(desk: Desk, fake: FakeOpenAI) -> None:
    before = fake.new_login()
    fake.state.revoke(refresh_token(before))

    checked = run(desk.check(before))

    assert (checked.account, checked.auth) == (None, before)
    assert (desk.kept, desk.left) == ([], [])


def test_codex_leaves_a_login_alone_when_the_endpoint_is_busy(desk: Desk, fake: FakeOpenAI) -> None:
    fake.fail(refusal(429, "busy"), times=20)
    before = fake.new_login()

    checked = run(desk.check(before))

    assert checked.account is not None
    assert checked.auth == before
    assert fake.is_live(refresh_token(before))


def test_a_turn_is_answered_and_its_refresh_handed_back(desk: Desk, fake: FakeOpenAI) -> None:
    probed = run(desk.probe(fake.new_login(expires_in=60)))

    assert probed == Probed(auth=desk.kept[-1], answer="pong")
    assert fake.is_live(refresh_token(probed.auth))
    assert desk.left == []


def test_a_turn_of_a_revoked_login_says_unauthorized(desk: Desk, fake: FakeOpenAI) -> None:
    before = fake.new_login(expires_in=60)
    fake.state.revoke(refresh_token(before))

    probed = run(desk.probe(before))

    assert (probed.answer, probed.kind) == ("", "unauthorized")
    assert probed.error
    assert MARKER not in probed.error


def test_a_turn_with_an_api_key_is_answered(one_desk: Desk, fake: FakeOpenAI) -> None:
    auth = json.dumps({"auth_mode": "apikey", "OPENAI_API_KEY": fake.new_api_key()}).encode()

    assert run(one_desk.probe(auth)) == Probed(auth=auth, answer="pong")


# What must not get lost, and what must not stay


async def when_refreshed(desk: Desk) -> asyncio.Task[Probed]:
    """A probe that hangs at the model, after codex has refreshed the login."""
    desk.fake.fail(HANG_BEFORE, path="/v1/responses")
    task = asyncio.create_task(desk.probe(desk.fake.new_login(expires_in=60)))
    await asyncio.to_thread(desk.fake.wait_seen, "/v1/responses")
    return task


def test_a_refresh_is_handed_back_when_the_probe_is_cancelled(one_desk: Desk) -> None:
    async def cancel() -> None:
        task = await when_refreshed(one_desk)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancel())

    assert one_desk.fake.is_live(refresh_token(one_desk.kept[-1]))
    assert one_desk.left == []


def test_a_turn_that_takes_too_long_is_told_and_its_refresh_handed_back(one_desk: Desk) -> None:
    one_desk.fake.fail(HANG_BEFORE, path="/v1/responses")

    probed = run(one_desk.probe(one_desk.fake.new_login(expires_in=60), timeout=scaled(4)))

    assert probed.error == f"the turn did not end within {scaled(4):g} s"
    assert one_desk.kept == [probed.auth]
    assert one_desk.fake.is_live(refresh_token(probed.auth))


def test_a_refresh_that_cannot_be_saved_stays_and_is_found_later(one_desk: Desk) -> None:
    async def refuse(auth: bytes) -> None:
        await one_desk.keep(auth)
        raise StoreError("the store is down")

    async def check() -> None:
        await check_with_codex(
            one_desk.host,
            one_desk.program,
            one_desk.fake.new_login(),
            keep=refuse,
            label="seed-7",
            surroundings=one_desk.surroundings,
        )

    with pytest.raises(StoreError):
        run(check())
    now = run(left_behind(one_desk.host, str(one_desk.root)))
    (name,) = one_desk.left
    old = one_desk.root / name.replace(name.split("-")[0], str(int(time.time() - LONGEST - 9)), 1)
    one_desk.root.joinpath(name).rename(old)
    later = run(left_behind(one_desk.host, str(one_desk.root)))

    assert now == []  # it could be somebody's who is still at work
    assert later == [LeftBehind(label="seed-7", folder=str(old), auth=one_desk.kept[-1])]
    assert MARKER not in repr(later)


def test_the_next_errand_sweeps_what_a_killed_login_left(one_desk: Desk) -> None:
    for name in ("1000-abc", "1000-abc-seed", "something else"):
        one_desk.root.joinpath(name).mkdir(parents=True)

    async def one() -> tuple[list[str], int]:
        async with errand(one_desk.host, one_desk.program, one_desk.surroundings) as work:
            found = [name for name in one_desk.left if name not in work.home.folder]
            return sorted(found), mode_of(work.home.folder)

    assert run(one()) == (["1000-abc-seed", "something else"], 0o700)


def test_a_codex_that_does_not_start_leaves_nothing(one_desk: Desk) -> None:
    broken = replace(one_desk.surroundings, config={"model_provider": "nobody"})

    async def fail() -> None:
        async with errand(one_desk.host, one_desk.program, broken, auth=b"{}"):
            raise AssertionError("it started")

    with pytest.raises(AppServerError):
        run(fail())
    assert one_desk.left == []


def test_a_label_that_would_lead_out_of_the_folder_is_refused(one_desk: Desk) -> None:
    for label in ("", "../seed"):
        with pytest.raises(ValueError, match="file name"):
            run(
                check_with_codex(
                    one_desk.host, one_desk.program, b"{}", keep=one_desk.keep, label=label
                )
            )
