"""What cannot start says what and what to do, and leaves nothing; where sessions live; secrets."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import SessionClosedError, SessionError, UsageError
from codex_nb.protocol.changes import Replica, empty_transcript
from codex_nb.sessions.client import SessionClient
from codex_nb.sessions.log import read_events
from codex_nb.sessions.processes import is_alive
from codex_nb.sessions.registry import (
    list_sessions,
    spawn,
)
from codex_nb.sessions.roots import fallback_root, make_private, root_for
from tests.support.processes import processes_below
from tests.support.programs import write_program
from tests.support.sessions import LIMIT, Rig, command, obj, say
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "marked-token-7f3a"


def files_with(text: str, root: Path) -> list[Path]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return [path for path in files if text.encode() in path.read_bytes()]


async def failure(rig: Rig, **values: object) -> tuple[str, str]:
    """How a session failed: its detail and its hint. Nothing of it is left."""
    entry = await rig.start(rig.spec(**values))
    await wait_until(lambda: not is_alive(entry.pid, entry.birth), seconds=LIMIT)
    replica = Replica(empty_transcript())
    for event in read_events(entry.events):
        replica.apply(event)
    session = obj(replica.transcript["session"])
    assert (session["status"], session["ended"]) == ("failed", "failed")
    assert processes_below(rig.root.parent) == []
    names = {path.name for path in (rig.root / entry.id).iterdir()}
    assert names <= {"host.json", "host.log", "events.jsonl", "codex"}
    return str(session["detail"]), str(session["hint"])


def test_a_missing_codex_is_told(rig: Rig, tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    assert run(failure(rig, codex=missing)) == (
        f"There is no codex program at {missing}.",
        "Give the path of a codex program, or of the folder of its package.",
    )


def test_a_codex_that_is_too_old_is_told(rig: Rig, tmp_path: Path) -> None:
    old = str(write_program(tmp_path / "old/codex", "echo codex-cli 0.100.0"))
    assert run(failure(rig, codex=old)) == (
        f"codex 0.100.0 at {old} is older than 0.142.0.",
        'Update it, for example with: pip install -U "codex-nb[codex]"',
    )


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: bubblewrap")
def test_a_machine_without_a_sandbox_is_told(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare/codex"
    bare.parent.mkdir()
    try:
        os.link(rig.program.path, bare)
    except OSError:  # another file system
        shutil.copy(rig.program.path, bare)
    # Nothing but what the probe runs: a bwrap of this machine must not help.
    commands = tmp_path / "commands"
    commands.mkdir()
    (commands / "touch").symlink_to(shutil.which("touch") or "")
    monkeypatch.setenv("PATH", str(commands))
    detail, hint = run(failure(rig, codex=str(bare)))
    assert "because bubblewrap is missing" in detail
    assert "Install bubblewrap" in hint


def test_a_codex_that_says_nothing_is_told(rig: Rig, tmp_path: Path) -> None:
    script = f'case "$1" in app-server) [ $# = 3 ] && exit 3;; esac; exec {rig.program.path} "$@"'
    mute = str(write_program(tmp_path / "mute/codex", script))
    detail, hint = run(failure(rig, codex=mute, sandbox="danger-full-access"))
    assert "codex app-server ended with exit status 3" in detail
    assert hint


def test_a_setting_that_codex_does_not_take_is_told(rig: Rig) -> None:
    detail, hint = run(failure(rig, settings={"model_providers": 3}))
    assert detail.startswith("codex cannot use its settings: ")
    assert hint == "Look at the -c options; codex names the setting that it does not take."


def test_a_replay_that_cannot_be_read_is_told(rig: Rig, tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("title = 3")
    detail, _ = run(failure(rig, replay=str(broken)))
    assert "broken.toml" in detail


def test_a_client_that_comes_too_late_is_told_why(rig: Rig, tmp_path: Path) -> None:
    async def check() -> None:
        detail, hint = await failure(rig, codex=str(tmp_path / "none"))
        with pytest.raises(SessionClosedError) as caught:
            await SessionClient.connect(rig.hosts[0], print)
        assert (caught.value.message, caught.value.hint) == (detail, hint)

    run(check())


def test_sessions_live_outside_of_what_codex_may_write(tmp_path: Path) -> None:
    default = tmp_path / "runtime/codex-nb"
    elsewhere = str(tmp_path / "work")
    assert root_for(default, (elsewhere,)) == default
    assert root_for(default, ()) == default
    assert root_for(default, (elsewhere, str(tmp_path))) == fallback_root()
    with pytest.raises(UsageError, match="Codex would be allowed to write everywhere below /"):
        root_for(default, ("/",))
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert root_for(link / "runtime", (str(tmp_path),)) == fallback_root()


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(SessionError, match="is not a folder of yours") as caught:
        make_private(tmp_path / "link")
    assert caught.value.hint == "Set CodexNB.state_dir to a folder of your own."
    made = tmp_path / "a/b"
    make_private(made)
    assert made.stat().st_mode & 0o777 == 0o700


def test_a_root_that_cannot_be_made_is_told(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    spec = rig.spec()
    with pytest.raises(SessionError, match="cannot be made") as caught:
        spawn(spec, tmp_path / "file/root", timeout=spec.start_timeout)
    assert caught.value.hint == "Set CodexNB.state_dir to a folder that you can write."


def test_sessions_are_listed_in_the_order_of_their_birth(rig: Rig) -> None:
    async def check() -> None:
        async with rig.session() as one, rig.session() as two:
            for viewer in (one, two):
                await viewer.until_status("idle")
            first, second = rig.hosts
            assert [entry.id for entry in list_sessions(rig.root)] == [first.id, second.id]

    run(check())


@pytest.mark.parametrize("above", ["", ".."])
def test_settings_that_a_folder_brings_start_nothing(every_rig: Rig, above: str) -> None:
    started = every_rig.root.parent / "started"
    if above:
        (every_rig.cwd.parent / ".git").mkdir()
    settings = every_rig.cwd / above / ".codex"
    settings.mkdir()
    (settings / "config.toml").write_text(
        f'[mcp_servers.hostile]\ncommand = "touch"\nargs = ["{started}"]\n'
    )

    async def check() -> None:
        async with every_rig.model([say("ok")]) as model, every_rig.session(model) as viewer:
            assert (await viewer.turn("a"))["status"] == "completed"
            (notice,) = viewer.records("notices")
            assert notice["level"] == "warning"
            assert ".codex are not used" in str(notice["text"])
            assert f'projects."{every_rig.cwd}".trust_level=trusted' in str(notice["hint"])

    run(check())
    assert not started.exists()


def test_settings_of_a_folder_that_is_trusted_on_purpose_are_used(rig: Rig) -> None:
    started = rig.root.parent / "started"
    (rig.cwd / ".codex").mkdir()
    (rig.cwd / ".codex/config.toml").write_text(
        f'[mcp_servers.wanted]\ncommand = "touch"\nargs = ["{started}"]\n'
    )

    async def check() -> None:
        async with rig.model([say("ok")]) as model:
            settings = rig.settings(model) | {
                "projects": {str(rig.cwd): {"trust_level": "trusted"}}
            }
            async with rig.session(settings=settings) as viewer:
                await viewer.turn("a")
                await wait_until(started.exists)

    run(check())


def test_a_secret_is_only_where_it_has_to_be(rig: Rig, tmp_path: Path) -> None:
    async def check() -> None:
        turn = [command('test -n "$GIVEN" && echo has it; sleep 0.1'), say("done")]
        async with rig.model(turn) as model:
            async with rig.session(model, env={"GIVEN": TOKEN}) as viewer:
                await viewer.turn("a")
                (item,) = viewer.items("commandExecution")
                assert item["output"] == "has it\n"
                for found in processes_below(rig.root.parent):
                    assert TOKEN not in found.command
                assert files_with(TOKEN, tmp_path) == []
            assert TOKEN not in str(viewer.frames)
        assert files_with(TOKEN, tmp_path) == []

    run(check())
