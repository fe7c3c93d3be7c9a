"""The way to a host: whose key it is, and who we are. With a real sshd."""

from __future__ import annotations

import getpass
import subprocess
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import HostError
from codex_nb.hosts.ssh.asking import KeyAnswer
from tests.hosts.contract import ENV
from tests.hosts.ssh.conftest import Person, box
from tests.support.sshd import make_key, needs_sshd, running_sshd

if TYPE_CHECKING:
    from pathlib import Path

    from codex_nb.hosts.ssh.host import SshHost
    from tests.support.sshd import Sshd
    from tests.support.waiting import Run

pytestmark = [pytest.mark.integration, needs_sshd]


def client_config(
    sshd: Sshd, folder: Path, *, known: str = "", key: Path | None = None, extra: str = ""
) -> Path:
    """A configuration for "box" with a known_hosts file, in a folder yet to be made, of its own."""
    known_hosts = folder / "ssh/known_hosts"
    if known:
        known_hosts.parent.mkdir(mode=0o755)
        known_hosts.write_text(known)
    config = folder / "config"
    config.write_text(
        f"{extra}\nHost box\n HostName 127.0.0.1\n Port {sshd.port}\n User {getpass.getuser()}\n"
        f" IdentityFile {key or sshd.folder / 'user_key'}\n IdentitiesOnly yes\n"
        f" IdentityAgent none\n"
        f" UserKnownHostsFile {known_hosts}\n GlobalKnownHostsFile {folder}/none\n"
    )
    return config


def public(sshd: Sshd) -> str:
    return (sshd.folder / "host_key.pub").read_text()


def fingerprint(path: Path) -> str:
    argv = ["ssh-keygen", "-l", "-f", str(path)]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[1]


async def use(host: SshHost) -> None:
    async with host:
        assert (await host.run(["true"], cwd="/", env=ENV, timeout=20)).exit_status == 0


def test_an_unknown_key_is_shown_accepted_and_known_from_then_on(
    sshd: Sshd, tmp_path: Path, run: Run
) -> None:
    config = client_config(sshd, tmp_path)
    person = Person(key=KeyAnswer.ACCEPT)
    run(use(box(config, person=person)))
    (question,) = person.questions
    assert (question.host, question.key_type, question.fingerprint) == (
        f"[127.0.0.1]:{sshd.port}",
        "ssh-ed25519",
        fingerprint(sshd.folder / "host_key.pub"),
    )
    known_hosts = tmp_path / "ssh/known_hosts"
    modes = [oct(path.stat().st_mode & 0o777) for path in (known_hosts.parent, known_hosts)]
    assert modes == ["0o700", "0o600"]
    # OpenSSH finds it as well, although the name is not in it.
    assert "127.0.0.1" not in known_hosts.read_text()
    argv = ["ssh-keygen", "-F", question.host, "-f", str(known_hosts)]
    assert public(sshd).split()[1] in subprocess.run(argv, capture_output=True, text=True).stdout
    run(use(box(config)))


def test_a_key_is_appended_to_what_is_known(sshd: Sshd, tmp_path: Path, run: Run) -> None:
    other = f"other.example {public(sshd).strip()}"  # without a newline at its end
    config = client_config(sshd, tmp_path, known=other)
    run(use(box(config, person=Person(key=KeyAnswer.ACCEPT))))
    first, second = (tmp_path / "ssh/known_hosts").read_text().splitlines()
    assert (first, second.split()[1:]) == (other, public(sshd).split())


def test_a_key_that_is_accepted_once_is_not_written_down(
    sshd: Sshd, tmp_path: Path, run: Run
) -> None:
    config = client_config(sshd, tmp_path)
    person = Person(key=KeyAnswer.ONCE)

    async def scenario() -> None:
        host = box(config, person=person)
        await use(host)
        await use(host)

    run(scenario())
    assert len(person.questions) == 1
    assert not (tmp_path / "ssh").exists()


@pytest.mark.parametrize("person", [None, Person(key=KeyAnswer.REFUSE)])
def test_an_unknown_key_is_refused_unless_somebody_accepts_it(
    sshd: Sshd, tmp_path: Path, run: Run, person: Person | None
) -> None:
    with pytest.raises(HostError, match="is not known, and was not accepted") as caught:
        run(use(box(client_config(sshd, tmp_path), person=person)))
    assert fingerprint(sshd.folder / "host_key.pub") in caught.value.message
    assert not (tmp_path / "ssh").exists()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_changed_key_is_refused_with_what_to_do(
    sshd: Sshd, tmp_path: Path, run: Run, kind: str
) -> None:
    name = f"[127.0.0.1]:{sshd.port}"
    other = make_key(tmp_path / "other", kind=kind).with_suffix(".pub").read_text()
    person = Person(key=KeyAnswer.ACCEPT)
    with pytest.raises(HostError, match="has changed") as caught:
        run(use(box(client_config(sshd, tmp_path, known=f"{name} {other}"), person=person)))
    assert f"ssh-keygen -R '{name}'" in caught.value.hint
    assert person.questions == []


def test_a_revoked_key_is_refused_whatever_else_is_known(
    sshd: Sshd, tmp_path: Path, run: Run
) -> None:
    name = f"[127.0.0.1]:{sshd.port}"
    known = f"{name} {public(sshd)}@revoked * {public(sshd)}"
    with pytest.raises(HostError, match="was revoked"):
        run(use(box(client_config(sshd, tmp_path, known=known), person=Person())))


def test_another_key_of_the_name_at_another_port_is_no_change(
    sshd: Sshd, tmp_path: Path, run: Run
) -> None:
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text()
    config = client_config(sshd, tmp_path, known=f"127.0.0.1 {other}")
    person = Person(key=KeyAnswer.ONCE)
    run(use(box(config, person=person)))
    assert len(person.questions) == 1


def test_a_key_that_an_authority_signed_is_known(tmp_path: Path, run: Run) -> None:
    authority = make_key(tmp_path / "authority")
    server = tmp_path / "server"
    setting = f"HostCertificate {server}/host_key-cert.pub"
    with running_sshd(server, setting) as sshd:
        sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "box", "-h", "-n", "127.0.0.1"]
        subprocess.run([*sign, str(server / "host_key.pub")], check=True)
        known = f"@cert-authority * {authority.with_suffix('.pub').read_text()}"
        run(use(box(client_config(sshd, tmp_path, known=known))))


def test_a_host_on_the_way_is_asked_about_as_well(sshd: Sshd, tmp_path: Path, run: Run) -> None:
    jump = f"Host gate\n HostName 127.0.0.1\n Port {sshd.port}\n HostKeyAlias gate.example\n"
    extra = f"{jump}Host box\n ProxyJump {getpass.getuser()}@gate\n"
    config = client_config(sshd, tmp_path, extra=extra)
    config.write_text(config.read_text().replace("Host box\n HostName", "Host *\n HostName"))
    person = Person(key=KeyAnswer.ONCE)
    run(use(box(config, person=person)))
    hosts = [question.host for question in person.questions]
    assert hosts == [f"[gate.example]:{sshd.port}", f"[127.0.0.1]:{sshd.port}"]


def test_a_refused_login_says_what_was_tried(sshd: Sshd, tmp_path: Path, run: Run) -> None:
    known = f"[127.0.0.1]:{sshd.port} {public(sshd)}"
    config = client_config(sshd, tmp_path, known=known, key=make_key(tmp_path / "stranger"))
    message = r"box .* refused the login \(tried publickey, takes publickey\)"
    with pytest.raises(HostError, match=message) as caught:
        run(use(box(config, person=Person())))
    assert "ssh-add" in caught.value.hint


@pytest.mark.parametrize("has_public", [True, False])
def test_a_passphrase_is_asked_for_once(tmp_path: Path, run: Run, has_public: bool) -> None:
    with running_sshd(tmp_path / "server") as sshd:
        key = make_key(tmp_path / "locked", passphrase="marked-secret")
        allowed = sshd.folder / "authorized_keys"
        allowed.write_bytes(key.with_suffix(".pub").read_bytes())
        if not has_public:
            key.with_suffix(".pub").unlink()
        known = f"[127.0.0.1]:{sshd.port} {public(sshd)}"
        config = client_config(sshd, tmp_path, known=known, key=key)
        person = Person("marked-secret")
        host = box(config, person=person)
        run(use(host))
        assert person.prompts == [f"Passphrase of the key {key}"]
        with pytest.raises(HostError) as caught:
            run(use(box(config, person=Person("marked-wrong"))))
        assert "passphrase" in f"{caught.value.message} {caught.value.hint}"
        assert "marked" not in f"{caught.value.message} {caught.value.hint}"


def test_a_configuration_that_names_no_such_key_is_an_error(
    sshd: Sshd, tmp_path: Path, run: Run
) -> None:
    config = client_config(sshd, tmp_path, known="", key=tmp_path / "nowhere")
    with pytest.raises(HostError, match=r"nowhere, which ~/.ssh/config names, cannot be read"):
        run(use(box(config)))


def test_a_line_that_is_no_entry_is_named(sshd: Sshd, tmp_path: Path, run: Run) -> None:
    config = client_config(sshd, tmp_path, known="# fine\n\n@revoked\n")
    with pytest.raises(HostError, match=r"line 3 of .*known_hosts is not an entry"):
        run(use(box(config)))
