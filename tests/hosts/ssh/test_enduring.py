"""Processes that go on while no connection leads to their host, and what ends them at last."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import HostError
from codex_nb.hosts.marks import marked_processes
from codex_nb.hosts.ssh import enduring_scripts
from codex_nb.hosts.ssh.enduring_host import EnduringHost
from codex_nb.hosts.tether import tethered
from tests.hosts.contract import HostContract, read_all, read_line
from tests.support.sshd import needs_sshd, running_sshd
from tests.support.waiting import scaled, wait_until, wait_until_now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from codex_nb.hosts.base import Host
    from tests.support.sshd import Sshd
    from tests.support.waiting import Run

pytestmark = [pytest.mark.integration, needs_sshd]

ENV = {"PATH": "/usr/bin:/bin"}
LONG = 600.0


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A server of its own for each test: they cut all of its connections."""
    with running_sshd(tmp_path / "server") as sshd:
        yield sshd


class Changes:
    """Notes how often the host was lost and found again."""

    def __init__(self) -> None:
        self.host: EnduringHost | None = None
        self.seen: list[bool] = []

    def __call__(self) -> None:
        assert self.host is not None
        self.seen.append(self.host.lost_at is not None)


def enduring(sshd: Sshd, *, patience: float = LONG, changes: Changes | None = None) -> EnduringHost:
    session = f"test-{secrets.token_hex(6)}"
    host = EnduringHost(
        "box",
        session=session,
        mark=f"CODEX_NB_SESSION={session}",
        patience=patience,
        changed=changes or (lambda: None),
        config=[str(sshd.config)],
    )
    if changes is not None:
        changes.host = host
    return host


@asynccontextmanager
async def opened(host: EnduringHost) -> AsyncIterator[EnduringHost]:
    await host.open()
    try:
        yield host
    finally:
        await host.close()


class TestEnduringHost(HostContract):
    @pytest.fixture
    def host(self, sshd: Sshd, run: Run) -> Iterator[Host]:
        host = enduring(sshd)
        run(host.open())
        yield host
        run(host.close())

    @pytest.fixture
    def folder(self, tmp_path: Path) -> str:
        path = tmp_path.resolve() / "folder"
        path.mkdir()
        return str(path)


def place_of(host: EnduringHost) -> Path:
    assert host.place
    return Path(host.place)


@pytest.mark.parametrize("tools", ["tail", "perl", "python3", "none"])
def test_every_byte_arrives_once_however_often_the_connection_is_cut(
    sshd: Sshd, run: Run, monkeypatch: pytest.MonkeyPatch, tools: str
) -> None:
    missing = {
        "tail": [],
        "perl": ["*GNU*"],
        "python3": ["*GNU*", "v perl"],
        "none": ["*GNU*", "v perl", "v python3"],
    }
    for name in ("START", "SUPERVISE", "READ"):
        script = getattr(enduring_scripts, name)
        before, follow, after = script.partition("follow()")
        for word in missing[tools]:
            follow = follow.replace(word, "v no-such-tool" if word[0] == "v" else "*no-such-tail*")
        monkeypatch.setattr(enduring_scripts, name, before + follow + after)
    data = random.Random(7).randbytes(1_500_000)  # noqa: S311 - it is no secret

    async def scenario() -> tuple[bytes, int]:
        async with opened(enduring(sshd)) as host:
            process = await host.start(["cat"], cwd="/", env=ENV)

            async def write() -> None:
                for start in range(0, len(data), 50_000):
                    await process.write_stdin(data[start : start + 50_000])
                await process.close_stdin()

            writing = asyncio.create_task(write())
            got, cuts = b"", 0
            while piece := await process.read_stdout():
                got += piece
                if len(got) > (cuts + 1) * len(data) // 4:
                    cuts += 1
                    sshd.cut()
            await writing
            assert await process.wait() == 0
            return got, cuts

    got, cuts = run(scenario())
    assert got == data
    assert cuts >= 1


def test_what_happens_during_an_outage_is_there_after_it(sshd: Sshd, run: Run) -> None:
    changes = Changes()

    async def scenario() -> None:
        async with opened(enduring(sshd, changes=changes)) as host:
            go = place_of(host) / "go"
            script = f"echo before; until [ -e {go} ]; do sleep 0.1; done; echo after >&2; exit 9"
            process = await host.start(["sh", "-c", script], cwd="/", env=ENV)
            assert await read_line(process) == "before"
            sshd.is_down = True
            sshd.cut()
            await wait_until(lambda: host.trouble is not None)
            go.touch()
            waiting = asyncio.create_task(process.wait())
            await wait_until(lambda: next(go.parent.glob("p/*/exit"), None) is not None)
            assert not waiting.done()
            sshd.is_down = False
            host.try_now()
            assert await waiting == 9
            assert await read_all(process.read_stderr) == b"after\n"
            assert await read_all(process.read_stdout) == b""

    run(scenario())
    assert (changes.seen[0], changes.seen[-1]) == (True, False)


def test_a_signal_of_an_outage_is_sent_after_it(sshd: Sshd, run: Run) -> None:
    async def scenario() -> int:
        async with opened(enduring(sshd)) as host:
            process = await host.start(["sleep", "600"], cwd="/", env=ENV)
            sshd.is_down = True
            sshd.cut()
            await wait_until(lambda: host.lost_at is not None)
            process.signal(signal.SIGTERM)
            sshd.is_down = False
            return await process.wait()

    assert run(scenario()) == -signal.SIGTERM


def test_a_limit_of_time_does_not_run_during_an_outage(sshd: Sshd, run: Run) -> None:
    async def scenario() -> None:
        async with opened(enduring(sshd)) as host:
            over = asyncio.Event()

            async def impatient() -> None:
                try:
                    async with host.patience(scaled(1)):
                        await asyncio.Event().wait()
                except TimeoutError:
                    over.set()

            waiting = asyncio.create_task(impatient())
            sshd.is_down = True
            sshd.cut()
            await wait_until(lambda: host.lost_at is not None)
            lost = asyncio.get_running_loop().time()
            await wait_until(lambda: asyncio.get_running_loop().time() > lost + scaled(1.2))
            assert not over.is_set()
            sshd.is_down = False
            host.try_now()
            await over.wait()
            await waiting

    run(scenario())


def test_closing_ends_all_in_peace_and_leaves_nothing(sshd: Sshd, run: Run, tmp_path: Path) -> None:
    said = tmp_path / "said"
    script = f"trap 'echo bye >{said}; exit' TERM; while :; do sleep 0.05; done"

    async def scenario() -> tuple[Path, int, str]:
        host = enduring(sshd)
        await host.open()
        mark = f"CODEX_NB_SESSION={place_of(host).name}"
        env = {**ENV, "CODEX_NB_SESSION": place_of(host).name}
        await host.start(tethered(["sh", "-c", script]), cwd="/", env=env)
        # It left the group, and takes no signal but one.
        stray = ["sh", "-c", "trap '' TERM; setsid sleep 600 & wait"]
        await host.start(stray, cwd="/", env=env)
        await wait_until(lambda: len(marked_processes(mark)) >= 4)
        place, warden = place_of(host), int((place_of(host) / "warden").read_text())
        await host.close()
        await host.close()
        return place, warden, mark

    place, warden, mark = run(scenario())
    assert said.read_text() == "bye\n"
    assert not place.exists()
    assert marked_processes(mark) == []
    wait_until_now(lambda: "codex-nb-warden" not in command_of(warden))


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def test_the_warden_ends_all_when_nobody_comes_back(sshd: Sshd, run: Run, tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()

    async def scenario() -> tuple[str, str]:
        host = enduring(sshd, patience=3)
        await host.open()
        place, mark = place_of(host), f"CODEX_NB_SESSION={place_of(host).name}"
        env = {**ENV, "CODEX_NB_SESSION": place.name}
        process = await host.start(["sleep", "600"], cwd="/", env=env)
        await host.note_leftovers([str(left)])
        sshd.is_down = True
        sshd.cut()
        with pytest.raises(HostError, match="box was out of reach for more than 3 s"):
            await process.wait()
        error = await host.lost_for_good()
        await wait_until(lambda: not place.exists(), seconds=30)
        await host.close()
        return mark, error.hint

    mark, hint = run(scenario())
    assert "was ended" in hint
    assert marked_processes(mark) == []
    assert not left.exists()


_CLIENT = """
import asyncio, sys
from codex_nb.hosts.ssh.enduring_host import EnduringHost

async def main():
    host = EnduringHost(
        "box", session=sys.argv[2], mark=f"CODEX_NB_SESSION={sys.argv[2]}", patience=2,
        config=[sys.argv[1]],
    )
    await host.open()
    env = {"PATH": "/usr/bin:/bin", "CODEX_NB_SESSION": sys.argv[2]}
    await host.start(["sleep", "600"], cwd="/", env=env)
    print(host.place, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_nothing_is_left_of_a_client_that_was_killed(sshd: Sshd) -> None:
    session = f"test-{secrets.token_hex(6)}"
    argv = [sys.executable, "-c", _CLIENT, str(sshd.config), session]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as client:
        try:
            assert client.stdout is not None
            place = Path(client.stdout.readline().decode().strip())
            assert place.name == session
            wait_until_now(lambda: marked_processes(f"CODEX_NB_SESSION={session}") != [])
        finally:
            client.kill()
    wait_until_now(lambda: not place.exists(), seconds=30)
    assert marked_processes(f"CODEX_NB_SESSION={session}") == []


def test_who_comes_next_ends_what_an_earlier_one_left_and_keeps_its_files(
    sshd: Sshd, run: Run
) -> None:
    async def scenario() -> None:
        first = enduring(sshd)
        await first.open()
        place = place_of(first)
        env = {**ENV, "CODEX_NB_SESSION": place.name}
        await first.start(["sleep", "600"], cwd="/", env=env)
        place.joinpath("kept").write_text("kept")
        warden = int((place / "warden").read_text())
        sshd.cut()
        second = EnduringHost(
            "box",
            session=place.name,
            mark=f"CODEX_NB_SESSION={place.name}",
            patience=LONG,
            config=[str(sshd.config)],
        )
        async with opened(second):
            assert place_of(second) == place
            assert marked_processes(f"CODEX_NB_SESSION={place.name}") == []
            assert place.joinpath("kept").read_text() == "kept"
            assert int((place / "warden").read_text()) != warden
        first.part()
        await first.close()

    run(scenario())


def test_a_host_that_was_started_anew_is_told(
    sshd: Sshd, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def another(_: EnduringHost) -> str:
        return "another boot"

    async def scenario() -> HostError:
        async with opened(enduring(sshd)) as host:
            process = await host.start(["sleep", "600"], cwd="/", env=ENV)
            place = place_of(host)
            monkeypatch.setattr(EnduringHost, "identity", another)
            sshd.cut()
            with pytest.raises(HostError) as told:
                await process.wait()
            monkeypatch.undo()
            # Nothing of that boot is known to be ours any more, but the files.
            assert not place.exists()
            os.kill(process.pid, signal.SIGKILL)
            return told.value

    error = run(scenario())
    assert error.message == "box was started anew, and what ran there has ended"


def test_no_value_of_the_environment_can_be_seen(sshd: Sshd, run: Run) -> None:
    secret = f"secret-{secrets.token_hex(8)}"

    async def scenario() -> None:
        async with opened(enduring(sshd)) as host:
            env = {**ENV, "TOKEN": secret}
            process = await host.start(
                ["sh", "-c", 'ps -eo args; printf "%s" "$TOKEN" | wc -c'], cwd="/", env=env
            )
            shown = (await read_all(process.read_stdout)).decode()
            assert shown.split()[-1] == str(len(secret))
            assert secret not in shown
            assert await process.wait() == 0
            for path in place_of(host).rglob("*"):
                assert path.is_dir() or secret.encode() not in path.read_bytes()
                assert path.stat().st_mode & 0o077 == 0

    run(scenario())
