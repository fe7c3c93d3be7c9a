"""`%codex_hosts`: the hosts that have a name, and what a check finds on a real sshd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codex_nb.codex.package import package_of
from codex_nb.errors import UsageError
from codex_nb.hosts.ssh.host import SshHost
from codex_nb.kernel.config import CodexNB
from codex_nb.kernel.hosts import candidates_for_hosts, host_table, run_hosts
from codex_nb.sessions.host_check import HostFinding, check_host
from tests.codex.test_provision import make_package
from tests.support.codex_versions import codex_programs
from tests.support.kernels import kernel_in
from tests.support.sshd import needs_sshd, running_sshd
from tests.support.waiting import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from codex_nb.codex.package import Package
    from tests.support.shells import Shell
    from tests.support.sshd import Sshd


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    with running_sshd(tmp_path / "server") as sshd:
        yield sshd


def findings(sshd: Sshd, **values: object) -> dict[str, HostFinding]:
    async def check() -> dict[str, HostFinding]:
        async with SshHost("box", config=[str(sshd.config)]) as host:
            found = check_host(host, progress=lambda _: None, **values)  # type: ignore[arg-type]
            return {finding.name: finding async for finding in found}

    return run(check())


@needs_sshd
@pytest.mark.integration
def test_a_host_that_is_ready_is_all_green(sshd: Sshd) -> None:
    found = findings(sshd, codex=codex_programs()[0].path)
    assert {name: it.state for name, it in found.items()} == dict.fromkeys(
        (
            *("connection", "latency", "platform", "clock", "session folder", "cache"),
            *("tmux", "ttyd here", "codex", "sandbox"),
        ),
        "ok",
    )
    assert codex_programs()[0].version in found["codex"].text
    assert not list(sshd.folder.glob("home/.cache/codex-nb/codex/*"))


@needs_sshd
@pytest.mark.integration
def test_what_is_wrong_says_what_mends_it(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wrong(_: SshHost) -> float:
        return 1000.0

    async def little(*_: object) -> int:
        return 5_000_000

    monkeypatch.setattr(SshHost, "clock", wrong)
    monkeypatch.setattr(SshHost, "free_bytes", little)
    found = findings(sshd, codex="/no/codex", tmux="/no/tmux", ttyd=str(tmp_path / "none"))
    states = {name: it.state for name, it in found.items()}
    assert {name: state for name, state in states.items() if state != "ok"} == {
        "clock": "warn",
        "session folder": "warn",
        "cache": "warn",
        "tmux": "warn",
        "ttyd here": "warn",
        "codex": "fail",
    }
    for name, words in {
        "clock": "timedatectl",
        "cache": "0.005 GB free: make room",
        "tmux": "There is no tmux on box",
        "ttyd here": "pip install",
        "codex": "There is no codex at /no/codex on box",
    }.items():
        assert words in found[name].text


@needs_sshd
@pytest.mark.integration
def test_codex_that_is_missing_can_be_sent(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = package_of(str(make_package(tmp_path / "package")), "0.163.0")
    assert here is not None

    async def the_package(*_: object) -> Package:
        return here

    monkeypatch.setattr("codex_nb.sessions.host_check.package_for", the_package)
    cut = sshd.folder / "home/.cache/codex-nb/codex/0.1.0.part"
    cut.mkdir(parents=True)
    (cut / "large").write_bytes(bytes(3_000_000))
    found = findings(sshd)
    assert "none there; 0.163.0 (5 MB) is sent with the first session" in found["codex"].text
    assert "%codex_hosts check box --send" in found["codex"].text
    assert "3 MB of an upload that was cut" in found["codex"].text
    assert found["sandbox"].state == "warn"
    found = findings(sshd, send=True)
    assert found["codex"].text.startswith("0.163.0 at ")
    # What was sent here is a shell script, which has no sandbox.
    assert found["sandbox"].state == "fail"


@needs_sshd
@pytest.mark.integration
def test_who_cannot_connect_hears_why_and_nothing_else(sshd: Sshd) -> None:
    sshd.known_hosts.unlink()

    async def check() -> list[HostFinding]:
        host = SshHost("box", config=[str(sshd.config)])
        return [it async for it in check_host(host, progress=lambda _: None)]

    [only] = run(check())
    assert (only.name, only.state) == ("connection", "fail")
    assert "was not accepted" in only.text
    assert "Compare the fingerprint" in only.text


@needs_sshd
@pytest.mark.integration
def test_a_cell_shows_the_findings_as_a_table(
    tmp_path: Path, work: Path, env: dict[str, str], sshd: Sshd
) -> None:
    home = tmp_path / "user"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    (home / ".ssh/config").write_text(sshd.config.read_text())
    sshd.known_hosts.unlink()
    with kernel_in(work, {**env, "HOME": str(home)}) as kernel:
        kernel.run("%load_ext codex_nb")
        assert "box" in kernel.run("%codex_hosts").text
        cell = kernel.run("%codex_hosts check box", answers=["once"])
        assert cell.error == []
        assert "SHA256:" in cell.text
        shown = str(cell.bundle["text/html"])
        assert "Host box" in shown
        assert 'class="cx-good">ok<' in shown
        assert "sandbox" in shown
        wrong = kernel.run("%codex_hosts check -oProxyCommand=x")
        assert wrong.error[0].startswith("UsageError")
    assert not sshd.known_hosts.exists()


def test_the_list_says_where_hosts_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    config = CodexNB()
    assert "No host has a name yet" in str(host_table(config))
    config.hosts = {"gpu1": {"address": "me@gpu1:2222", "cwd": "/data"}, "gpu2": {}}
    assert host_table(config).rows == (
        ("gpu1", "me@gpu1:2222", "/data", "found or sent"),
        ("gpu2", "~/.ssh/config", "~", "found or sent"),
    )
    assert candidates_for_hosts("", config) == ("", ["check", "list"])
    assert candidates_for_hosts("check g", config) == ("g", ["gpu1", "gpu2"])
    assert candidates_for_hosts("check gpu1 --", config) == ("--", ["--send"])
    assert candidates_for_hosts("list g", config) == ("g", [])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("check", "HOST"),
        ("nonsense", "invalid choice"),
        ("check 'open", "quote"),
        ("check local", "no SSH host"),
        ("check gpu1 --nonsense", "nonsense"),
    ],
)
def test_a_line_that_cannot_be_meant_is_refused(shell: Shell, line: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run_hosts(shell.ip, line, CodexNB())
