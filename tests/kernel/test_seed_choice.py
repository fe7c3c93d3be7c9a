"""What `--seed` may be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import UsageError

if TYPE_CHECKING:
    from tests.support.shells import Shell


def test_a_function_of_the_notebook_names_the_seed_of_a_session(shell: Shell) -> None:
    asked: list[str] = []

    def choose(session: str) -> str:
        asked.append(session)
        return "pool:team"

    shell.ip.user_ns["choose"] = choose
    spec = shell.request("%codex_run --seed {choose} hi").spec

    assert (spec.seed, asked) == ("pool:team", [spec.id])


def test_it_may_be_a_coroutine_function(shell: Shell) -> None:
    async def choose(session: str) -> str:
        await asyncio.sleep(0)
        return "work"

    shell.ip.user_ns["choose"] = choose

    assert shell.request("%codex_run --seed $choose hi").spec.seed == "work"


def test_one_that_does_not_come_to_an_end_is_given_up(shell: Shell) -> None:
    async def choose(session: str) -> str:
        await asyncio.Event().wait()
        return session

    shell.ip.user_ns["choose"] = choose
    shell.run("%config CodexNB.start_timeout = 1.0")

    with pytest.raises(UsageError, match="gave no name within 1 s"):
        shell.request("%codex_run --seed $choose hi")


@pytest.mark.parametrize("value", ["'pool:'", "'  '", "' work'"])
def test_what_names_nothing_is_refused(shell: Shell, value: str) -> None:
    with pytest.raises(UsageError, match="--seed cannot be"):
        shell.request(f"%codex_run --seed {value} hi")


def test_a_function_that_names_nothing_is_refused(shell: Shell) -> None:
    shell.ip.user_ns["choose"] = lambda _session: None

    with pytest.raises(UsageError, match="--seed cannot be None"):
        shell.request("%codex_run --seed $choose hi")


def test_a_default_seed_does_not_stand_in_the_way_of_a_replay(shell: Shell) -> None:
    shell.run("%config CodexNB.seed = 'work'")

    assert shell.request("%codex_run --replay first-session hi").spec.seed == ""
    with pytest.raises(UsageError, match="--replay and --seed contradict each other"):
        shell.request("%codex_run --replay first-session --seed work hi")
