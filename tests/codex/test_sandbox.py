from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from codex_nb.codex.sandbox import Leftovers, probe_sandbox
from codex_nb.errors import SandboxUnavailableError
from codex_nb.hosts.local import LocalHost
from tests.support.codex_versions import EVERY_CODEX, ONE_CODEX
from tests.support.programs import program_at, write_program
from tests.support.waiting import run

if TYPE_CHECKING:
    from pathlib import Path

    from codex_nb.codex.binary import CodexProgram

HOST = LocalHost()
ENV = {"PATH": "/usr/bin:/bin"}

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: bubblewrap")


def probe(program: CodexProgram, folder: Path, env: dict[str, str] | None = None) -> None:
    run(probe_sandbox(program, HOST, folder=str(folder), env=env or ENV))


@pytest.mark.parametrize("program", EVERY_CODEX)
def test_a_sandbox_that_confines_is_probed_once(program: CodexProgram, tmp_path: Path) -> None:
    folder = tmp_path / "session"
    probe(program, folder)
    assert list(folder.iterdir()) == []
    folder.rmdir()
    probe(program, folder)
    assert not folder.exists()


@linux_only
@pytest.mark.parametrize("program", EVERY_CODEX)
def test_a_program_without_bubblewrap_says_so_each_time(
    program: CodexProgram, tmp_path: Path
) -> None:
    bare = tmp_path / "bare/codex"
    bare.parent.mkdir()
    try:
        os.link(program.path, bare)
    except OSError:  # another file system
        shutil.copy(program.path, bare)
    # Nothing but what the probe runs: a bwrap of this machine must not help.
    commands = tmp_path / "commands"
    commands.mkdir()
    (commands / "touch").symlink_to(shutil.which("touch") or "")
    for _ in range(2):
        with pytest.raises(
            SandboxUnavailableError, match="because bubblewrap is missing"
        ) as caught:
            probe(program_at(bare), tmp_path / "session", {"PATH": str(commands)})
        assert "Install bubblewrap" in caught.value.hint
        assert "--sandbox danger-full-access" in caught.value.hint
    assert list((tmp_path / "session").iterdir()) == []


FORBID = (
    "unshare --user --map-root-user sh -c 'echo 0 > /proc/sys/user/max_user_namespaces; \"$@\"'"
)


def can_forbid_namespaces() -> bool:
    argv = ["sh", "-c", f"{FORBID} sh true"]
    return sys.platform == "linux" and subprocess.run(argv, check=False).returncode == 0


@pytest.mark.skipif(not can_forbid_namespaces(), reason="needs unshare with user namespaces")
@pytest.mark.parametrize("program", ONE_CODEX)
def test_forbidden_user_namespaces_are_told(program: CodexProgram, tmp_path: Path) -> None:
    wrapper = write_program(tmp_path / "codex", f'exec {FORBID} sh {program.path} "$@"')
    with pytest.raises(SandboxUnavailableError, match="user namespaces are") as caught:
        probe(program_at(wrapper), tmp_path / "session")
    assert "max_user_namespaces" in caught.value.hint


def test_a_sandbox_that_lets_everything_through_is_found_out(tmp_path: Path) -> None:
    script = 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"'
    open_door = write_program(tmp_path / "codex", script)
    with pytest.raises(SandboxUnavailableError, match="does not confine commands here"):
        probe(program_at(open_door), tmp_path / "session")
    assert list((tmp_path / "session").iterdir()) == []


# As 0.58.0, 0.101.0 and 0.125.0 take their words; what is inside is known by the folder's name.
OLD_SANDBOX = """
[ "$*" = "${*#sandbox linux --full-auto -- }" ] &&
[ "$*" = "${*#sandbox macos --full-auto -- }" ] && echo "try --help" >&2 && exit 2
shift 4
case $2 in */inside/*) exec "$@" ;; *) exit 1 ;; esac
"""


@pytest.mark.parametrize(("version", "is_usable"), [("0.125.0", True), ("0.142.0", False)])
def test_an_older_sandbox_is_asked_in_its_own_words(
    tmp_path: Path, version: str, is_usable: bool
) -> None:
    path = write_program(tmp_path / "codex", OLD_SANDBOX)
    program = replace(program_at(path), version=version)
    if is_usable:
        probe(program, tmp_path / "session")
    else:
        with pytest.raises(SandboxUnavailableError, match="try --help"):
            probe(program, tmp_path / "session")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 0", "codex cannot confine commands here: it said nothing"),
        ("echo a >&2; echo b >&2; exit 1", "codex cannot confine commands here: b"),
    ],
)
def test_a_probe_without_effect_is_a_failure(tmp_path: Path, script: str, message: str) -> None:
    path = write_program(tmp_path / "codex", script)
    with pytest.raises(SandboxUnavailableError) as caught:
        probe(program_at(path), tmp_path / "session")
    assert caught.value.message == message


@pytest.mark.parametrize("is_local", [True, False])
def test_only_new_and_empty_folders_are_left_overs(tmp_path: Path, is_local: bool) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    (one / ".git").mkdir(parents=True)
    two.mkdir()
    roots = [str(one), str(two), str(one)]
    leftovers = Leftovers.from_json(run(Leftovers.look(HOST, roots)).to_json())
    for path in (one / ".codex", one / "other", two / ".git", two / ".agents"):
        path.mkdir()
    (two / ".agents/file").touch()
    (two / ".aws").symlink_to(one / "other")
    removed = leftovers.remove_now() if is_local else run(leftovers.remove(HOST))
    assert removed == [f"{one}/.codex", f"{two}/.git"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(
        ["one", ".git", "other", "two", ".agents", "file", ".aws"]
    )


@pytest.mark.parametrize("text", ["", "{}", "[1]", "null"])
def test_foreign_text_is_no_left_overs(text: str) -> None:
    with pytest.raises(ValueError, match=r"paths|Expecting"):
        Leftovers.from_json(text)
