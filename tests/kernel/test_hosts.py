"""Cells that run Codex on an SSH host, in a real kernel: only what a user has, and a real sshd."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from traitlets import TraitError

from codex_nb.errors import UsageError
from codex_nb.kernel.config import CodexNB
from codex_nb.kernel.host_choice import HostChoice, host_from
from codex_nb.kernel.host_names import host_names
from tests.support.codex_versions import codex_programs
from tests.support.kernels import kernel_in
from tests.support.sshd import make_key, needs_sshd, running_sshd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.shells import Shell
    from tests.support.sshd import Sshd


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    with running_sshd(tmp_path / "server") as sshd:
        yield sshd


@pytest.fixture
def home(tmp_path: Path, sshd: Sshd) -> Path:
    """A home folder from which `ssh box` works."""
    home = tmp_path / "user"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    (home / ".ssh/config").write_text(sshd.config.read_text())
    return home


@needs_sshd
@pytest.mark.integration
def test_a_cell_on_a_host_sends_codex_asks_about_the_key_and_plays_its_model(
    tmp_path: Path, work: Path, env: dict[str, str], home: Path, sshd: Sshd
) -> None:
    sshd.known_hosts.unlink()
    there = tmp_path / "there"
    there.mkdir()
    with kernel_in(work, {**env, "HOME": str(home)}) as kernel:
        kernel.run("%load_ext codex_nb\n%config CodexNB.replay = 'play.toml'")
        cell = kernel.run(
            f"%codex_run --host box --cwd {there} -o run hello there", answers=["what?", "yes"]
        )
        assert cell.error == []
        assert [is_hidden for _, is_hidden in cell.asked] == [False, False]
        assert "Is this the right host?" in cell.asked[0][0]
        assert "SHA256:" in cell.text
        kernel.run("run.wait()")
        assert kernel.value("run.status, run.text") == "completed You said hello there."
        assert kernel.value("run._session['host']") == "box"
        assert kernel.value("run._session['cwd']") == str(there)
        sshd.cut()
        assert kernel.run("run.retry()").error == []
        kernel.run("run.send('again').wait()")
        assert kernel.value("run.text") == "You said again."
        # The same name, folder and host goes on; the codex that was sent is there already.
        again = kernel.run(f"%codex_run --host box --cwd {there} -o other hello")
        assert (again.error, again.asked) == ([], [])
        kernel.run("other.wait()\nrun.close()\nother.close()")
    sent = list(Path(sshd.folder, "home/.cache/codex-nb/codex").iterdir())
    assert [it.name.split("-")[0] for it in sent] == [codex_programs()[0].version]
    assert f"[127.0.0.1]:{sshd.port}" not in sshd.known_hosts.read_text()  # it is hashed
    assert sshd.known_hosts.read_text().startswith("|1|")


@needs_sshd
@pytest.mark.integration
def test_a_passphrase_is_asked_for_unseen_and_a_refusal_fails_the_cell(
    tmp_path: Path, work: Path, env: dict[str, str], home: Path, sshd: Sshd
) -> None:
    phrase = "marked-phrase-77c1"
    locked = make_key(sshd.folder / "locked", passphrase=phrase)
    sshd.folder.joinpath("authorized_keys").write_text(Path(f"{locked}.pub").read_text())
    config = (home / ".ssh/config").read_text().replace("user_key", "locked")
    (home / ".ssh/config").write_text(config)
    with kernel_in(work, {**env, "HOME": str(home)}) as kernel:
        kernel.run("%load_ext codex_nb\n%config CodexNB.replay = 'play.toml'")
        cell = kernel.run(
            f"%codex_run --host box --cwd {tmp_path} -o run --sandbox read-only hello",
            answers=[""],
        )
        assert [is_hidden for _, is_hidden in cell.asked] == [True]
        assert "Passphrase of the key" in cell.asked[0][0]
        kernel.run("run.wait()")
        assert "refused the login" in kernel.value("run.error")
        assert kernel.value("run.status") == "failed"
        shown = kernel.run("run")
        assert phrase not in str(shown.outputs)


def test_what_can_be_a_host() -> None:
    hosts = {"gpu1": {"address": "me@gpu1.example:2222", "codex": "~/codex", "cwd": "/data"}}
    assert host_from("", hosts) is None
    assert host_from("local", hosts) is None
    assert host_from("gpu1", hosts) == HostChoice(
        name="gpu1", address="me@gpu1.example:2222", codex="~/codex", cwd="/data"
    )
    assert host_from("me@other", hosts) == HostChoice(name="me@other", address="me@other")
    with pytest.raises(UsageError, match="is no host"):
        host_from("-oProxyCommand=x", hosts)


def test_paths_of_a_cell_are_those_of_its_host(shell: Shell) -> None:
    spec = shell.request("%codex_run --host me@gpu1 --allow ~/data hi").spec
    assert (spec.host, spec.address, spec.cwd, spec.allow) == (
        "me@gpu1",
        "me@gpu1",
        "~",
        ("~/data",),
    )
    assert spec.fixed()["host"] == "me@gpu1"
    with pytest.raises(UsageError, match="is not an absolute path"):
        shell.request("%codex_run --host me@gpu1 --cwd work hi")


def test_names_come_from_the_settings_and_from_ssh_itself(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "# Host comment\nHost gpu1 gpu2 *.example !no\n  HostName 10.0.0.1\n"
        'host=with-equals\nHost "quoted"\nHost \'open\nInclude more/*.conf missing\nMatch all\n'
        f"Include {tmp_path}/config\n"
    )
    (tmp_path / "more").mkdir()
    (tmp_path / "more/a.conf").write_text("Host deeper\n")
    assert host_names(["mine"], tmp_path / "config") == [
        "deeper", "gpu1", "gpu2", "mine", "quoted", "with-equals",
    ]  # fmt: skip
    assert host_names(["mine"], tmp_path / "none") == ["mine"]


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ({"gpu1": "me@gpu1"}, "must be a dictionary"),
        ({"gpu1": {"port": 22}}, "'port', which is none of address, cwd, codex, tmux"),
        ({"gpu1": {"cwd": 1}}, "'cwd' of the host 'gpu1' must be a text"),
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused(hosts: object, words: str) -> None:
    with pytest.raises(TraitError, match=words):
        CodexNB().hosts = hosts
