"""A server for the tests of a module, and people who answer what they were told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codex_nb.hosts.ssh.asking import KeyAnswer, UnknownKey
from codex_nb.hosts.ssh.client import Limits
from codex_nb.hosts.ssh.host import SshHost
from tests.support.sshd import running_sshd
from tests.support.waiting import one_loop, scaled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.sshd import Sshd
    from tests.support.waiting import Run


class Person:
    """An `Asker` that gives its answers in their order, and keeps what it was asked."""

    def __init__(self, *secrets: str | None, key: KeyAnswer = KeyAnswer.REFUSE) -> None:
        self.prompts: list[str] = []
        self.questions: list[UnknownKey] = []
        self._secrets = list(secrets)
        self._key = key

    async def secret(self, prompt: str) -> str | None:
        self.prompts.append(prompt)
        return self._secrets.pop(0)

    async def host_key(self, question: UnknownKey) -> KeyAnswer:
        self.questions.append(question)
        return self._key


def quick(seconds: float) -> Limits:
    """Limits for what fails anyway."""
    limit = scaled(seconds)
    return Limits(connect=limit, key_exchange=limit, login=limit, channel=limit)


def box(config: Path, *, person: Person | None = None, limits: Limits | None = None) -> SshHost:
    """The host that a configuration calls "box"."""
    return SshHost("box", asker=person, config=[str(config)], limits=limits)


@pytest.fixture
def run() -> Iterator[Run]:
    with one_loop() as run:
        yield run


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd") / "server") as sshd:
        yield sshd
