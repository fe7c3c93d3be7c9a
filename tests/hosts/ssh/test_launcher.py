"""What goes to a login shell, in every shell that is installed here, without any SSH."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nb.hosts.ssh import launcher
from codex_nb.hosts.ssh.launcher import Launch, control_line, environment_line, quoted

MARK = "codex-nb-mark"
SHOW = [
    sys.executable,
    "-c",
    "import os, sys\n"
    "print(sorted(os.environb.items()), os.getcwd(), sys.argv[1:], sys.stdin.read())\n"
    "print(os.getpid() == os.getpgid(0) == os.getsid(0))",
]
ODD = {"ü": "ß", "a.b": "x", "SHELLOPTS": "y", "_": "z", "SHLVL": "7", "IFS": "s", "PPID": "1"}


def shells(*names: str) -> list[object]:
    """Those that are here; the others are skipped, and named."""
    return [
        pytest.param(
            name.split(),
            marks=pytest.mark.skipif(
                shutil.which(name.split()[0]) is None, reason=f"needs {name.split()[0]}"
            ),
            id=name,
        )
        for name in names
    ]


def run_shell(
    shell: list[str], command: str, lines: bytes, *, leads: bool = True
) -> tuple[int, bytes, bytes]:
    """What sshd does: a login shell gets a command, leads a session, and has three pipes."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        # Files in the place of pipes, because a keeper may hold them open (csh copies them).
        process = subprocess.Popen(
            [*shell, "-c", command],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            start_new_session=leads,
        )
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(lines)
        status = process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        out.seek(0)
        err.seek(0)
        return status, out.read(), err.read()


def shown(env: dict[str, str], cwd: str, *arguments: str, stdin: str = "") -> bytes:
    entries = sorted((os.fsencode(name), os.fsencode(value)) for name, value in env.items())
    return f"{entries} {cwd} {list(arguments)} {stdin}\nTrue\n".encode()


def launch(env: dict[str, str], *arguments: str, cwd: str = "/") -> bytes:
    return Launch([*SHOW, *arguments], cwd, env, MARK, os.getpid()).lines


def command_in(shell: list[str]) -> str:
    """COMMAND with another shell in the place of /bin/sh."""
    path = shutil.which(shell[0])
    return launcher.COMMAND.replace("/bin/sh", " ".join([str(path), *shell[1:]]))


@pytest.mark.parametrize(
    "shell", shells("dash", "bash", "busybox sh", "csh", "fish", "ksh", "tcsh", "zsh")
)
def test_every_login_shell_starts_the_program_alike(shell: list[str]) -> None:
    env = {"A": "1", "LC_ALL": "C.UTF-8", "B": 'it\'s\n"$HOME" `x` !y \\ ü'}
    arguments = ["it's", "", "two\nlines", "$(x) * ~ !!"]
    status, out, err = run_shell(shell, launcher.COMMAND, launch(env, *arguments) + b"rest")
    before, _, said = out.partition(f"\n{MARK} ".encode())
    pid, _, shown_ = said.partition(b"\n")
    assert (status, before, shown_) == (0, b"", shown(env, "/", *arguments, stdin="rest"))
    assert pid.isdigit()
    assert err.endswith(f"\n{MARK} .\n".encode())


@pytest.mark.parametrize("shell", shells("dash", "bash", "busybox sh"))
@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("missing", ["", "perl"])
def test_the_environment_is_exact_whatever_shell_is_the_system_s(
    shell: list[str],
    odd: bool,
    missing: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if missing:
        # The Python of the system takes its place.
        script = launcher._PREPARE.replace("command -v perl", "command -v no-perl")
        monkeypatch.setattr(launcher, "_PREPARE", script)
        if shutil.which("python3", path=launcher.TOOLS) is None:
            pytest.skip("needs python3 in a folder of the system")
    env = {"A": "1", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", **(ODD if odd else {})}
    status, out, _ = run_shell(["sh"], command_in(shell), launch(env))
    assert (status, out.split(b"\n", 2)[2]) == (0, shown(env, "/"))


@pytest.mark.parametrize("tool", ["setsid", "perl", "python3"])
def test_who_leads_no_session_makes_one(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which(tool, path=launcher.TOOLS) is None:
        pytest.skip(f"needs {tool} in a folder of the system")
    script = launcher._LEAD
    for other in ("setsid", "perl", "python3"):
        if other != tool:
            script = script.replace(f"command -v {other} ", f"command -v no-{other} ")
    monkeypatch.setattr(launcher, "_LEAD", script)
    env = {"LC_ALL": "C.UTF-8"}
    status, out, _ = run_shell(["sh"], launcher.COMMAND, launch(env), leads=False)
    assert (status, out.split(b"\n", 2)[2]) == (0, shown(env, "/"))


def test_a_host_on_which_nothing_makes_a_session_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "_LEAD", launcher._LEAD.replace("command -v ", "command -v no-"))
    status, out, _ = run_shell(["sh"], launcher.COMMAND, launch({}), leads=False)
    said = f"\n{MARK} - the host has no setsid, perl or python3\n".encode()
    assert (status, out) == (126, said)


def test_a_keeper_ends_the_group_when_the_control_shell_has_gone() -> None:
    control = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    lines = Launch(["sleep", "60"], "/", {}, MARK, control.pid).lines
    process = subprocess.Popen(
        ["sh", "-c", launcher.COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        process.stdin.write(lines)
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.readline()
        assert control.stdin is not None
        control.stdin.close()
        control.wait(10)
        assert process.wait(30) == -signal.SIGKILL


@pytest.mark.parametrize("shell", shells("dash", "bash", "busybox sh"))
def test_the_control_shell_signals_groups_and_answers(shell: list[str]) -> None:
    target = subprocess.Popen(["sleep", "60"], start_new_session=True)
    lines = f"1 TERM {target.pid}\n2 0 0\n3 KILL 999999999\n".encode()
    status, out, _ = run_shell(["sh"], command_in(shell), control_line(MARK) + lines)
    assert target.wait(10) == -signal.SIGTERM
    assert (status, out.split(b"\n")[2:]) == (0, [b"1", b"2", b"3", b""])


def test_the_environment_is_what_the_login_shell_was_given() -> None:
    line = environment_line(MARK)
    _, out, _ = run_shell(["sh"], launcher.COMMAND_WITH_ENVIRONMENT, line)
    *entries, end = out.split(b"\n", 2)[2].split(b"\0")
    found = dict(entry.split(b"=", 1) for entry in entries)
    # The shell that stands in for a login shell has some of its own.
    kept = {name: value for name, value in os.environb.items() if name not in {b"_", b"PWD"}}
    assert (found | kept, end) == (found, MARK.encode())


@pytest.mark.parametrize("command", [launcher.COMMAND, launcher.COMMAND_WITH_ENVIRONMENT])
def test_a_command_has_nothing_that_shells_read_differently(command: str) -> None:
    inside = command.partition("'")[2].removesuffix("'")
    assert not set(inside) & set("'!\\\n`")


@pytest.mark.parametrize(
    ("argv", "env"),
    [([], {}), (["a\0"], {}), (["a"], {"": "x"}), (["a"], {"A=B": "x"}), (["a"], {"A": "\0"})],
)
def test_what_no_process_can_be_given_is_refused(argv: list[str], env: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"there is no program|NUL|name of a variable"):
        Launch(argv, "/", env, MARK, 1)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_quoted_text_is_one_word(text: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f"printf %s {quoted(text)}"], check=True, capture_output=True
    )
    assert done.stdout == text.encode()
