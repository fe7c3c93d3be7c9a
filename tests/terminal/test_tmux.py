"""The life of a program in a terminal, with a real tmux."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from codex_nb.errors import HostError, SessionError
from codex_nb.hosts.local import LocalHost
from codex_nb.terminal.tmux import KILLED, Tmux
from tests.support.programs import write_program
from tests.support.waiting import run, wait_until, wait_until_now
from tests.terminal.conftest import marked
from tests.terminal.rig import ENV, READY, commands, needs_tmux, terminal, wait_shown

pytestmark = [pytest.mark.integration, needs_tmux]


def test_a_program_ends_with_its_status_and_its_last_screen(folder: str, mark: str) -> None:
    async def scenario() -> tuple[int, str, int, str]:
        script = "echo 'first  '; echo; echo last; exit 42"
        async with terminal(folder, mark, "sh", "-c", script) as tmux:
            status, screen = await tmux.wait(), await tmux.screen()
            return status, screen, await tmux.end(), await tmux.screen()

    assert run(scenario()) == (42, "first\n\nlast", 42, "first\n\nlast")
    assert sorted(path.name for path in Path(folder).iterdir()) == [
        *("alive", "exit", "pid", "tmux.conf")
    ]


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("kill -9 $$", 137),
        ("kill -TERM $$", 143),
        ("exec /nowhere", 127),
        ("kill -9 $PPID", KILLED),
    ],
)
def test_a_program_that_is_killed_tells_how(
    folder: str, mark: str, script: str, status: int
) -> None:
    async def scenario() -> int:
        async with terminal(folder, mark, "sh", "-c", script) as tmux:
            return await tmux.wait()

    assert run(scenario()) == status


def test_an_end_is_known_while_something_of_the_program_still_runs(folder: str, mark: str) -> None:
    script = "trap '' HUP; sleep 86394 & exit 6"

    async def scenario() -> int:
        async with terminal(folder, mark, "sh", "-c", script) as tmux:
            status = await tmux.wait()
            await wait_until(lambda: "86394" in str(commands(mark)))
            return status

    assert run(scenario()) == 6


def test_the_environment_is_what_was_given_and_on_no_command_line(folder: str, mark: str) -> None:
    async def scenario() -> None:
        async with terminal(folder, mark, "sh", "-c", "env > env.new; mv env.new env; cat"):
            await wait_until(Path(folder, "env").exists)
            lines = commands(mark)
            assert len(lines) >= 3
            assert "visible to nobody" not in str(lines)

    run(scenario())
    lines = Path(folder, "env").read_text().splitlines()
    env = dict(line.split("=", 1) for line in lines)
    added = {"TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TMUX", "TMUX_PANE", "SHELL", "PWD"}
    name, _, value = mark.partition("=")
    assert {key: env[key] for key in env if key not in added | {"OLDPWD", "_", "SHLVL"}} == {
        **ENV,
        name: value,
    }


def test_the_socket_is_private_and_nobody_elses_configuration_is_read(
    folder: str, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(folder, ".tmux.conf").write_text("set -g remain-on-exit off\nset -g status on\n")
    monkeypatch.setitem(ENV, "HOME", folder)

    async def scenario() -> tuple[int, str, str]:
        async with terminal(folder, mark, "sh", "-c", "echo seen; exit 3") as tmux:
            await tmux.wait()
            mode = stat.S_IMODE(os.stat(f"{folder}/tmux.sock").st_mode)  # noqa: PTH116
            options = await tmux._server.command("show-options", "-g", "status")
            return mode, await tmux.screen(), options

    assert run(scenario()) == (0o600, "seen", "status off\n")


def test_the_configuration_is_understood_whole_and_no_key_is_taken(folder: str, mark: str) -> None:
    async def scenario() -> tuple[str, set[str]]:
        async with terminal(folder, mark, "cat") as tmux:
            await tmux._server.command("source-file", f"{folder}/tmux.conf")
            shown = await tmux._server.command(
                *(
                    "show-options",
                    "-gv",
                    "prefix",
                    ";",
                    "show-options",
                    "-sv",
                    "set-clipboard",
                    ";",
                ),
                *("show-options", "-gv", "window-size", ";", "show-options", "-sv", "escape-time"),
            )
            keys = await tmux._server.command("list-keys")
            bound = {line.split("-T")[1].split()[0] for line in keys.splitlines()}
            # With its configuration "manual", tmux 3.3a ends here.
            await tmux._server.command("new-session", "-d", "-s", "another", "cat")
            return shown, bound

    assert run(scenario()) == ("None\noff\nlatest\n0\n", {"root", "copy-mode"})


def test_a_program_is_told_to_quit_before_it_is_hung_up_on(folder: str, mark: str) -> None:
    async def scenario() -> tuple[int, str]:
        async with terminal(folder, mark, "sh", "-c", f"{READY} cat; echo bye; exit 5") as tmux:
            await wait_shown(tmux, "ready")
            return await tmux.end(), await tmux.screen()

    assert run(scenario()) == (5, "ready\nbye")


def test_a_program_that_is_about_to_end_is_not_killed_by_a_key(folder: str, mark: str) -> None:
    # As codex does: it takes every key, gives the terminal back, and ends a while later.
    script = "stty raw -echo; echo ready; dd bs=1 count=1 2>&-; stty sane; sleep 1; exit 7"

    async def scenario() -> int:
        async with terminal(folder, mark, "sh", "-c", script) as tmux:
            await wait_shown(tmux, "ready")
            return await tmux.end(keys=("C-d", "C-c"), grace=20)

    assert run(scenario()) == 7


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("trap '' INT; while :; do sleep 0.1; done", 129),
        ("trap '' INT HUP TERM; while :; do sleep 0.1; done", KILLED),
        ("trap '' HUP; setsid sleep 86398 & nohup sleep 86398 & exec sleep 86398", 130),
    ],
)
def test_a_program_that_does_not_quit_is_ended_with_all_that_it_started(
    folder: str, mark: str, script: str, status: int
) -> None:
    async def scenario() -> int:
        async with terminal(folder, mark, "sh", "-c", f"{READY} {script}") as tmux:
            await wait_shown(tmux, "ready")
            ends = await asyncio.gather(tmux.end(grace=0.5), tmux.end(grace=0.5))
            assert marked(mark) == []
            return ends[0] if ends[0] == ends[1] else -1

    assert run(scenario()) == status


def test_an_ended_terminal_takes_no_more_keys(folder: str, mark: str) -> None:
    async def scenario() -> None:
        async with terminal(folder, mark, "true") as tmux:
            await tmux.wait()
            for attempt in (tmux.key("Enter"), tmux.paste("text", submit=True)):
                with pytest.raises(SessionError, match="has ended"):
                    await attempt

    run(scenario())


def test_a_server_that_is_killed_ends_the_wait(folder: str, mark: str) -> None:
    async def scenario() -> tuple[int, int, str]:
        async with terminal(folder, mark, "sh", "-c", "setsid sleep 86397; exit 1") as tmux:
            pid = await tmux._server.command("display-message", "-p", "#{pid}")
            os.kill(int(pid), signal.SIGKILL)
            return await tmux.wait(), await tmux.end(), await tmux.screen()

    assert run(scenario()) == (KILLED, KILLED, "")


STARTER = """
import asyncio, os, sys
from codex_nb.hosts.local import LocalHost
from codex_nb.terminal.tmux import Tmux

async def main():
    folder, mark = sys.argv[1:]
    argv = ["sh", "-c", "trap '' HUP; setsid sleep 86396 & sleep 86396"]
    await Tmux.start(LocalHost(), program="tmux", folder=folder, argv=argv, cwd=folder,
                     env={"PATH": os.environ["PATH"]}, mark=mark)
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_killed_starter_leaves_nothing(folder: str, mark: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, folder, mark], stdout=subprocess.PIPE
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"ready\n"
        wait_until_now(lambda: len(marked(mark)) >= 4)
        starter.kill()
    wait_until_now(lambda: not marked(mark))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo tmux 3.1c", "tmux 3.1c on local is older than 3.2."),
        ("echo screen 4", "is not tmux: it exited with 0 and told no version."),
        ("exit 1", "is not tmux: it exited with 1 and told no version."),
    ],
)
def test_a_tmux_that_cannot_be_used_is_said_with_what_to_install(
    folder: str, mark: str, script: str, message: str
) -> None:
    program = write_program(Path(folder, "bin/tmux"), script)
    with pytest.raises(HostError) as caught:
        run(_start(folder, mark, str(program)))
    assert message in caught.value.message
    assert "apt install tmux" in caught.value.hint


def test_a_missing_tmux_is_said_with_what_to_install(folder: str, mark: str) -> None:
    with pytest.raises(HostError, match="There is no tmux on local") as caught:
        run(_start(folder, mark, "/nowhere/tmux"))
    assert "conda install" in caught.value.hint


def test_a_server_that_does_not_start_says_why(folder: str, mark: str) -> None:
    program = write_program(
        Path(folder, "bin/tmux"), '[ "$1" = -V ] && exec echo tmux 3.3a; echo broken >&2; exit 1'
    )
    with pytest.raises(HostError, match="tmux ended at once: broken"):
        run(_start(folder, mark, str(program)))


def test_a_path_that_is_too_long_for_a_socket_is_refused(tmp_path: Path, mark: str) -> None:
    with pytest.raises(HostError, match="too long for a socket"):
        run(_start(str(tmp_path / ("x" * 100)), mark, "tmux"))


async def _start(folder: str, mark: str, program: str) -> Tmux:
    return await Tmux.start(
        LocalHost(), program=program, folder=folder, argv=["true"], cwd="/", env=ENV, mark=mark
    )
