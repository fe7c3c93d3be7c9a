"""What every host must do, as tests. A host joins by a subclass with the fixtures they need."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import re
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import HostError
from codex_nb.hosts.base import OUTPUT_LIMIT, Channel, Completed, Host, Process
from tests.support.waiting import Run, one_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

ENV = {"PATH": "/usr/bin:/bin"}

LISTEN = """
import signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("listening", flush=True)
peer, _ = server.accept()
"""
ECHO = f"""{LISTEN}
try:
    while data := peer.recv(65536):
        peer.sendall(data)
except ConnectionError:
    pass
print("hung up")
"""
FLOOD = f"""{LISTEN}
sent = 0
signal.signal(signal.SIGUSR1, lambda *_: print(sent, flush=True))
try:
    while sent < 20_000_000:
        sent += peer.send(bytes(65536))
except ConnectionError:
    pass
"""


class Shell:
    """Short scripts on a host, one after the other."""

    def __init__(self, host: Host, run: Run) -> None:
        self._host = host
        self._run = run

    def __call__(self, script: str, *, timeout: float = 20, stdin: bytes = b"") -> Completed:
        argv = ["sh", "-c", script]
        return self._run(self._host.run(argv, cwd="/", env=ENV, timeout=timeout, stdin=stdin))

    def is_running(self, pid: str) -> bool:
        state = self(f"ps -o stat= -p {pid}").stdout.decode().strip()
        return bool(state) and not state.startswith("Z")

    def group_states(self, group: str) -> list[str]:
        """What the members of a process group are doing, dead ones left out."""
        lines = self("ps -e -o pgid= -o stat=").stdout.decode().splitlines()
        states = [state for pgid, state in map(str.split, lines) if pgid == group]
        return [state for state in states if not state.startswith("Z")]


async def read_all(read: Callable[[], Awaitable[bytes]]) -> bytes:
    chunks = []
    while chunk := await read():
        chunks.append(chunk)
    return b"".join(chunks)


async def write_for_ever(channel: Channel) -> None:
    while True:
        await channel.write(b"x" * 100_000)


async def read_line(process: Process) -> str:
    line = b""
    while not line.endswith(b"\n"):
        line += await process.read_stdout()
    return line.decode().strip()


class HostContract:
    """The tests; `folder` is an empty folder on the host, `run` a loop that the host may keep."""

    @pytest.fixture
    def run(self) -> Iterator[Run]:
        with one_loop() as run:
            yield run

    @pytest.fixture
    def sh(self, host: Host, run: Run) -> Shell:
        return Shell(host, run)

    def test_a_process_runs_to_its_end(self, sh: Shell) -> None:
        done = sh("cat; echo err >&2; exit 7", stdin=b"in")
        assert done == Completed(exit_status=7, stdout=b"in", stderr=b"err\n")

    def test_a_signal_is_a_negative_exit_status(self, sh: Shell) -> None:
        assert sh("kill -TERM $$").exit_status == -signal.SIGTERM

    def test_a_program_need_not_read_its_input(self, sh: Shell) -> None:
        assert sh("exit 0", stdin=b"x" * 5_000_000).exit_status == 0

    def test_output_as_long_as_allowed_is_complete(self, sh: Shell) -> None:
        data = bytes(range(256)) * (OUTPUT_LIMIT // 256)
        assert sh("cat", stdin=data).stdout == data

    def test_a_process_gets_exactly_its_environment_and_folder(
        self, host: Host, run: Run, folder: str
    ) -> None:
        # Python, and not a shell, which adds variables.
        code = "import os; print(sorted(os.environ.items()), os.getcwd())"
        env = {"A": "1", "LC_ALL": "C.UTF-8", "ü": "ß"}
        done = run(host.run([sys.executable, "-c", code], cwd=folder, env=env, timeout=20))
        assert done.stdout.decode() == f"{sorted(env.items())} {folder}\n"

    @pytest.mark.parametrize(
        ("script", "timeout", "message"),
        [
            ("sleep 60 & sleep 60", 0.5, "did not end within 0.5 s and was killed"),
            ("yes", 20, f"wrote more than {OUTPUT_LIMIT:,} bytes and was killed"),
        ],
    )
    def test_a_process_without_end_is_killed_with_its_group(
        self,
        host: Host,
        run: Run,
        sh: Shell,
        folder: str,
        script: str,
        timeout: float,
        message: str,
    ) -> None:
        with pytest.raises(HostError, match=re.escape(message)):
            sh(f"echo $$ > {folder}/pid; {script}", timeout=timeout)
        pid = run(host.read_file(f"{folder}/pid", limit=20)).decode().strip()
        assert sh.group_states(pid) == []

    @pytest.mark.parametrize(
        ("argv", "cwd", "named"),
        [
            (["no-such-program"], "/", "no-such-program"),
            (["true"], "/no/such/folder", "/no/such/folder"),
            (["/etc/passwd"], "/", "/etc/passwd"),
        ],
    )
    def test_what_cannot_start_is_named(
        self, host: Host, run: Run, argv: list[str], cwd: str, named: str
    ) -> None:
        with pytest.raises(HostError, match=f"could not start {argv[0]} on .*{named}: "):
            run(host.start(argv, cwd=cwd, env=ENV))

    def test_a_process_leads_a_session_of_its_own(self, host: Host, run: Run) -> None:
        code = "import os; print(os.getpid() == os.getsid(0) == os.getpgid(0))"
        done = run(host.run([sys.executable, "-c", code], cwd="/", env=ENV, timeout=20))
        assert done.stdout == b"True\n"

    def test_unread_output_makes_the_process_wait_and_nothing_is_lost(
        self, host: Host, run: Run, folder: str
    ) -> None:
        async def scenario() -> None:
            script = f"head -c 4000000 /dev/zero | tr '\\0' x; echo done > {folder}/done"
            process = await host.start(["sh", "-c", script], cwd="/", env=ENV)
            first = await process.read_stdout()
            for _ in range(20):  # other work, in which all of it could have been taken
                await host.run(["true"], cwd="/", env=ENV, timeout=20)
            assert host.endures or not await host.exists(f"{folder}/done")
            rest = await read_all(process.read_stdout)
            assert first + rest == b"x" * 4_000_000
            assert (await process.wait(), await read_all(process.read_stderr)) == (0, b"")

        run(scenario())

    def test_input_waits_for_a_slow_reader_and_arrives_whole(self, host: Host, run: Run) -> None:
        async def scenario() -> None:
            process = await host.start(["cat"], cwd="/", env=ENV)
            data = bytes(range(251)) * 40_000

            async def write() -> None:
                await process.write_stdin(data[:17])
                await process.write_stdin(data[17:])
                await process.close_stdin()

            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(write())
                first = await process.read_stdout()
                # On a host that endures, what nobody reads waits in a file.
                assert host.endures or not writing.done()
                assert first + await read_all(process.read_stdout) == data
            assert (await process.wait(), await read_all(process.read_stderr)) == (0, b"")

        run(scenario())

    def test_a_process_that_is_gone_takes_no_input_and_ignores_signals(
        self, host: Host, run: Run
    ) -> None:
        async def scenario() -> None:
            process = await host.start(["true"], cwd="/", env=ENV)
            assert await process.wait() == 0
            assert (await process.read_stdout(), await process.read_stderr()) == (b"", b"")
            process.signal(signal.SIGKILL)
            await process.close_stdin()
            with pytest.raises(HostError, match=f"process {process.pid} takes no more input"):
                await process.write_stdin(b"x")
            assert await process.wait() == 0

        run(scenario())

    def test_a_signal_reaches_the_whole_group(self, host: Host, run: Run, sh: Shell) -> None:
        async def scenario() -> str:
            script = "sleep 60 & echo $!; wait"
            process = await host.start(["sh", "-c", script], cwd="/", env=ENV)
            child = await read_line(process)
            process.signal(signal.SIGTERM)
            assert await process.wait() == -signal.SIGTERM
            # The end of the output means that nobody has it open any more.
            assert await read_all(process.read_stdout) == b""
            return child

        assert not sh.is_running(run(scenario()))

    def test_what_is_left_of_the_group_ends_with_its_leader(
        self, host: Host, run: Run, sh: Shell
    ) -> None:
        async def scenario() -> str:
            process = await host.start(["sh", "-c", "sleep 60 & echo $!"], cwd="/", env=ENV)
            child = await read_line(process)
            assert await process.wait() == 0
            assert await read_all(process.read_stdout) == b""
            return child

        assert not sh.is_running(run(scenario()))

    def test_a_descendant_that_keeps_the_pipes_open_holds_nobody_up(
        self, host: Host, run: Run, sh: Shell
    ) -> None:
        code = (
            "import os, sys, time\n"
            "if os.fork() == 0:\n"
            "    os.setsid(); print(os.getpid(), flush=True); time.sleep(60)\n"
            "sys.stdin.read(1)\n"
        )

        async def scenario() -> str:
            process = await host.start([sys.executable, "-c", code], cwd="/", env=ENV)
            descendant = await read_line(process)
            await process.close_stdin()
            assert await process.wait() == 0
            assert (await process.read_stdout(), await process.read_stderr()) == (b"", b"")
            return descendant

        descendant = run(scenario(), seconds=20)
        assert sh.is_running(descendant)
        sh(f"kill {descendant}")

    def test_a_file_is_replaced_and_nothing_else_appears(
        self, host: Host, run: Run, sh: Shell, folder: str
    ) -> None:
        async def scenario() -> None:
            path = f"{folder}/file"
            await host.write_file(path, b"old")
            await host.write_file(path, b"new", mode=0o644)
            assert await host.read_file(path, limit=3) == b"new"
            assert await host.list_folder(folder) == ["file"]

        run(scenario())
        assert sh(f"ls -l {folder}/file").stdout.startswith(b"-rw-r--r--")

    def test_files_and_folders_are_private_whatever_the_umask(
        self, host: Host, run: Run, sh: Shell, folder: str
    ) -> None:
        async def scenario() -> None:
            await host.make_folder(f"{folder}/a/b")
            await host.write_file(f"{folder}/a/b/file", b"")

        run(scenario())
        modes = sh(f"cd {folder} && stat -c %a . a a/b a/b/file").stdout.split()
        assert modes[1:] == [b"700", b"700", b"600"]

    def test_a_folder_that_exists_stays_as_it_is(
        self, host: Host, run: Run, sh: Shell, folder: str
    ) -> None:
        run(host.make_folder(f"{folder}/a", mode=0o750))
        run(host.make_folder(f"{folder}/a"))
        assert sh(f"stat -c %a {folder}/a").stdout == b"750\n"

    def test_file_errors_name_the_path(self, host: Host, run: Run, folder: str) -> None:
        missing = f"{folder}/missing"
        run(host.write_file(f"{folder}/file", b"12345"))
        for operation, message in (
            (host.read_file(missing, limit=9), f"could not read {missing}: No such file"),
            (host.write_file(f"{missing}/x", b""), f"could not write {missing}/x: No such file"),
            (host.list_folder(missing), f"could not list {missing}: No such file"),
            (host.file_stamp(missing), f"could not look at {missing}: No such file"),
            (host.make_folder(f"{folder}/file"), "a file is in its place"),
            (host.make_folder(f"{folder}/file/x"), f"could not make the folder {folder}/file/x"),
            (host.read_file(f"{folder}/file", limit=4), "it is longer than 4 bytes"),
        ):
            with pytest.raises(HostError, match=re.escape(message)):
                run(operation)
        assert run(host.list_folder(folder)) == ["file"]

    def test_a_tree_is_removed_and_links_are_not_followed(
        self, host: Host, run: Run, sh: Shell, folder: str
    ) -> None:
        sh(
            f"cd {folder} && mkdir -p kept tree/deep && touch kept/file tree/deep/file && "
            "ln -s ../kept tree/link && ln -s kept link",
        )

        async def scenario() -> list[str]:
            await host.remove_tree(f"{folder}/tree")
            await host.remove_tree(f"{folder}/link")
            await host.remove_tree(f"{folder}/missing")
            return [*await host.list_folder(folder), *await host.list_folder(f"{folder}/kept")]

        assert run(scenario()) == ["kept", "file"]

    def test_only_an_empty_folder_is_removed(
        self, host: Host, run: Run, sh: Shell, folder: str
    ) -> None:
        sh(f"cd {folder} && mkdir empty full && touch full/file file && ln -s empty link")

        async def scenario() -> dict[str, bool]:
            names = ("link", "full", "file", "missing", "empty")
            return {name: await host.remove_folder_if_empty(f"{folder}/{name}") for name in names}

        assert run(scenario()) == {
            "link": False,
            "full": False,
            "file": False,
            "missing": False,
            "empty": True,
        }
        assert run(host.list_folder(folder)) == ["file", "full", "link"]

    def test_paths_are_looked_at(self, host: Host, run: Run, sh: Shell, folder: str) -> None:
        sh(f"cd {folder} && mkdir real && touch file && ln -s real link && ln -s no broken")

        async def scenario() -> dict[str, tuple[bool, bool, bool]]:
            return {
                name: (
                    await host.exists(f"{folder}/{name}"),
                    await host.is_folder(f"{folder}/{name}"),
                    await host.is_writable(f"{folder}/{name}"),
                )
                for name in ("real", "link", "file", "broken", "missing")
            }

        assert run(scenario()) == {
            "real": (True, True, True),
            "link": (True, True, True),
            "file": (True, False, True),
            "broken": (True, False, False),
            "missing": (False, False, False),
        }

    def test_a_real_path_has_no_links_and_no_tilde(
        self, host: Host, run: Run, sh: Shell, folder: str
    ) -> None:
        sh(f"cd {folder} && mkdir real && ln -s real link")
        home = run(host.environment())["HOME"]
        assert [
            run(host.real_path(path)) for path in (f"{folder}/link/../link/x", "~", "~/no/such")
        ] == [
            f"{folder}/real/x",
            sh(f"readlink -f {home}").stdout.decode().strip(),
            sh(f"readlink -f {home}").stdout.decode().strip() + "/no/such",
        ]

    def test_a_loop_of_links_is_an_error(
        self, host: Host, run: Run, sh: Shell, folder: str
    ) -> None:
        sh(f"cd {folder} && ln -s b a && ln -s a b")
        with pytest.raises(HostError, match=f"could not resolve {folder}/a/x"):
            run(host.real_path(f"{folder}/a/x"))

    def test_a_stamp_changes_when_a_file_is_rewritten_in_secret(
        self, host: Host, run: Run, sh: Shell, folder: str
    ) -> None:
        path = f"{folder}/file"
        run(host.write_file(path, b"one"))
        before = run(host.file_stamp(path))
        assert run(host.file_stamp(path)) == before
        sh(f"cp -p {path} {path}.old; printf two > {path}; touch -r {path}.old {path}")
        assert run(host.file_stamp(path)) != before

    def test_the_identity_of_a_host_stays(self, host: Host, run: Run, sh: Shell) -> None:
        identity = run(host.identity())
        assert identity == run(host.identity())
        assert identity.endswith(f":{sh('id -u').stdout.decode().strip()}")

    @pytest.mark.parametrize("call", ["run", "start"])
    def test_what_a_cancelled_call_started_does_not_live_on(
        self, host: Host, run: Run, sh: Shell, folder: str, call: str
    ) -> None:
        # The argument only marks the process for the list below.
        argv = ["sh", "-c", f"mkdir {folder}/made; sleep 60", "sh", folder]

        async def started() -> None:
            async with asyncio.timeout(20):
                while not await host.exists(f"{folder}/made"):  # noqa: ASYNC110 - on the host
                    await asyncio.sleep(0.01)

        async def scenario() -> None:
            if call == "run":
                running = asyncio.ensure_future(host.run(argv, cwd="/", env=ENV, timeout=60))
                await started()
                running.cancel()
                await asyncio.wait([running])
                assert running.cancelled()
            else:
                starting = asyncio.ensure_future(host.start(argv, cwd="/", env=ENV))
                await asyncio.sleep(0)
                starting.cancel()
                with suppress(asyncio.CancelledError):  # unless it was too late
                    (await starting).signal(signal.SIGKILL)

        run(scenario())
        lines = sh("ps -e -o args=").stdout.decode().splitlines()
        assert [line for line in lines if f"sh {folder}" in line] == []

    def test_the_digest_is_that_of_the_content(self, host: Host, run: Run, folder: str) -> None:
        path = f"{folder}/a \\ name\n"
        run(host.write_file(path, b"content"))
        assert run(host.file_digest(path)) == hashlib.sha256(b"content").hexdigest()
        with pytest.raises(HostError, match=f"could not read {folder}/no: No such file"):
            run(host.file_digest(f"{folder}/no"))

    def test_a_large_file_arrives_and_comes_back(self, host: Host, run: Run, folder: str) -> None:
        data = random.Random(1).randbytes(5_000_001)  # noqa: S311 - no secret

        async def scenario() -> None:
            await host.write_file(f"{folder}/file", data)
            assert await host.read_file(f"{folder}/file", limit=len(data)) == data

        run(scenario())

    def test_names_may_be_any_bytes(self, host: Host, run: Run, folder: str) -> None:
        name = os.fsdecode(b"a 'quoted' $name;\xff\n")
        run(host.make_folder(f"{folder}/{name}"))
        run(host.write_file(f"{folder}/{name}/{name}", b"1"))
        assert run(host.list_folder(folder)) == [name]
        assert run(host.is_writable(f"{folder}/{name}/{name}"))
        run(host.remove_tree(f"{folder}/{name}"))
        assert run(host.list_folder(folder)) == []

    def test_a_socket_carries_bytes_both_ways(self, host: Host, run: Run, folder: str) -> None:
        async def scenario() -> None:
            echo = await host.start([sys.executable, "-c", ECHO, f"{folder}/s"], cwd="/", env=ENV)
            assert await read_line(echo) == "listening"
            channel = await host.connect(f"{folder}/s")
            data = bytes(range(251)) * 20_000
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(channel.write(data))
                back = b""
                while len(back) < len(data):
                    back += await channel.read()
            assert writing.done()
            assert back == data
            await channel.close()
            await channel.close()
            assert await read_all(echo.read_stdout) == b"hung up\n"
            assert await echo.wait() == 0

        run(scenario())

    def test_a_reader_of_a_socket_makes_the_other_side_wait(
        self, host: Host, run: Run, folder: str
    ) -> None:
        async def scenario() -> None:
            flood = [sys.executable, "-c", FLOOD, f"{folder}/s"]
            process = await host.start(flood, cwd="/", env=ENV)
            assert await read_line(process) == "listening"
            channel = await host.connect(f"{folder}/s")
            first = await channel.read()
            for _ in range(20):  # other work, in which all of it could have been taken
                await host.run(["true"], cwd="/", env=ENV, timeout=20)
            process.signal(signal.SIGUSR1)
            sent = int(await read_line(process))
            assert len(first) < sent < 20_000_000
            await channel.close()
            assert await process.wait() == 0

        run(scenario())

    def test_nobody_at_a_socket_is_an_error(self, host: Host, run: Run, folder: str) -> None:
        with pytest.raises(HostError, match=f"nobody listens at {folder}/s on {host.name}"):
            run(host.connect(f"{folder}/s"))

    def test_a_socket_that_hung_up_reads_as_ended_and_takes_nothing(
        self, host: Host, run: Run, folder: str
    ) -> None:
        async def scenario() -> None:
            echo = await host.start([sys.executable, "-c", ECHO, f"{folder}/s"], cwd="/", env=ENV)
            assert await read_line(echo) == "listening"
            channel = await host.connect(f"{folder}/s")
            echo.signal(signal.SIGKILL)
            assert await channel.read() == b""
            with pytest.raises(HostError, match="the other side hung up"):
                await write_for_ever(channel)
            await channel.close()

        run(scenario())

    def test_facts_about_the_machine(self, host: Host, run: Run, sh: Shell, folder: str) -> None:
        platform = run(host.platform())
        assert f"{platform.system} {platform.machine}\n".encode() == sh("uname -sm").stdout
        blocks = int(sh(f"df -Pk {folder} | tail -n 1").stdout.split()[3])
        assert run(host.free_bytes(folder)) == pytest.approx(blocks * 1024, rel=0.1)
        assert run(host.clock()) == pytest.approx(time.time(), abs=10)
        with pytest.raises(HostError, match=f"could not look at {folder}/no: No such file"):
            run(host.free_bytes(f"{folder}/no"))
