"""Where keys come from, and which places are refused."""

from __future__ import annotations

import base64
import os
import threading
from typing import TYPE_CHECKING

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import null
from keyring.backends.fail import Keyring as NoKeyring

from codex_nb.errors import VaultError
from codex_nb.seeds import keys
from codex_nb.seeds.keys import Keys, add_key, find_keys
from codex_nb.seeds.vault import Key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ONE, TWO = Key.of(b"\xfb" * 32), Key.of(bytes(range(32)))


def base64_of(key: Key) -> str:
    return base64.b64encode(key.secret).decode()


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's state folder, in the environment of the process as well."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def env(state: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(state)}


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize(
    "text",
    [
        base64_of(ONE),
        base64.urlsafe_b64encode(ONE.secret).decode().rstrip("="),
        ONE.secret.hex(),
        ONE.secret.hex().upper(),
        f"  {base64_of(ONE)}\n",
    ],
    ids=["base64", "base64 for URLs", "hexadecimal", "capitals", "white space"],
)
def test_a_key_is_taken_from_the_environment(text: str) -> None:
    assert find_keys({"CODEX_NB_KEY": text}) == Keys(keys=(ONE,), source="CODEX_NB_KEY")


def test_of_several_keys_the_first_is_the_current_one() -> None:
    found = find_keys({"CODEX_NB_KEY": f"{base64_of(TWO)}, {ONE.secret.hex()},{base64_of(TWO)}"})

    assert found.keys == (TWO, ONE)


@pytest.mark.parametrize(
    "text", ["c2hvcnQ=", "abc", "0" * 63, "a key that is none!", ",", "0" * 66]
)
def test_what_is_no_key_is_refused_and_never_repeated(text: str) -> None:
    with pytest.raises(VaultError) as caught:
        find_keys({"CODEX_NB_KEY": text})

    said = caught.value.message + caught.value.hint
    assert text == "," or text not in said


def test_a_key_file_is_made_on_first_use_and_found_again(env: dict[str, str], state: Path) -> None:
    first = find_keys(env)

    path = state / "codex_nb" / "key"
    assert first == Keys(keys=first.keys, source=f"the file {path}", file=path)
    assert find_keys(env) == first
    assert (mode_of(path), mode_of(path.parent)) == (0o600, 0o700)
    assert path.read_text() == f"{base64_of(first.keys[0])}\n"


def test_the_mode_of_a_key_file_does_not_depend_on_the_umask(
    env: dict[str, str], state: Path
) -> None:
    before = os.umask(0)
    try:
        find_keys(env)
    finally:
        os.umask(before)

    assert mode_of(state / "codex_nb" / "key") == 0o600


def test_two_that_make_the_first_key_at_once_have_the_same(env: dict[str, str]) -> None:
    found: list[Keys] = []
    gate = threading.Barrier(8)

    def look() -> None:
        gate.wait(10)
        found.append(find_keys(env))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert found == [found[0]] * 8


def test_without_hard_links_a_key_file_is_made_as_well(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # No file system without links can be had in a test.
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)

    assert find_keys(env) == find_keys(env)


def test_nothing_but_the_key_and_its_lock_stays_in_the_folder(
    env: dict[str, str], state: Path
) -> None:
    add_key(find_keys(env))

    assert sorted(path.name for path in (state / "codex_nb").iterdir()) == [".key.lock", "key"]


def test_a_named_file_comes_before_the_settings_and_the_environment_before_both(
    tmp_path: Path,
) -> None:
    for name, key in (("one", ONE), ("two", TWO)):
        (tmp_path / name).write_text(key.secret.hex())
        (tmp_path / name).chmod(0o600)
    one, two = str(tmp_path / "one"), str(tmp_path / "two")

    assert find_keys({}, key_file=one).keys == (ONE,)
    assert find_keys({"CODEX_NB_KEY_FILE": two}, key_file=one).keys == (TWO,)
    both = {"CODEX_NB_KEY": base64_of(ONE), "CODEX_NB_KEY_FILE": two}
    assert find_keys(both).keys == (ONE,)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_text(base64_of(ONE))
    path.chmod(mode)

    with pytest.raises(VaultError, match="Others may read") as caught:
        find_keys({"CODEX_NB_KEY_FILE": str(path)})
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("kind", ["missing", "folder", "empty"])
def test_a_named_file_that_holds_no_key_is_not_made(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "key"
    if kind == "folder":
        path.mkdir(0o700)
    elif kind == "empty":
        path.touch(0o600)

    with pytest.raises(VaultError) as caught:
        find_keys({"CODEX_NB_KEY_FILE": str(path)})
    assert str(path) in caught.value.message
    assert path.exists() == (kind != "missing")


def test_a_key_in_the_shared_folder_of_the_store_is_refused(
    env: dict[str, str], state: Path
) -> None:
    with pytest.raises(VaultError, match="which others can reach"):
        find_keys(env, shared_folder=state)
    assert not state.exists()


def test_a_new_key_comes_first_and_the_old_ones_stay(env: dict[str, str], state: Path) -> None:
    before = find_keys(env)

    after = add_key(before)

    assert after.keys[1:] == before.keys
    assert after.keys[0] not in before.keys
    assert find_keys(env) == after
    assert mode_of(state / "codex_nb" / "key") == 0o600


def test_of_two_new_keys_none_is_lost(env: dict[str, str]) -> None:
    before = find_keys(env)

    one, two = add_key(before), add_key(before)

    assert two.keys == (two.keys[0], one.keys[0], *before.keys)


def test_a_key_of_the_environment_is_not_ours_to_change() -> None:
    with pytest.raises(VaultError, match="CODEX_NB_KEY"):
        add_key(find_keys({"CODEX_NB_KEY": base64_of(ONE)}))


@pytest.mark.parametrize("name", ["BINDER_SERVICE_HOST", "BINDER_LAUNCH_HOST"])
def test_on_binder_the_key_is_in_memory_and_a_warning_says_so(
    name: str, env: dict[str, str], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_of_this_process", [])
    env[name] = "somewhere"

    found = find_keys(env)

    assert "in memory only" in found.warning
    assert find_keys(env) == found
    assert not state.exists()
    assert find_keys({**env, "CODEX_NB_KEY": base64_of(ONE)}).warning == ""


class Memory(KeyringBackend):
    """A keyring that keeps secrets: in this object."""

    priority = 5

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring has none
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


class Clear(Memory):
    """What keyrings.alt is: it works, and keeps everything in clear."""

    __module__ = "keyrings.alt.file"


class Low(Memory):
    priority = 0.5  # type: ignore[assignment]  # a descriptor in the base class


@pytest.fixture
def _keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


@pytest.mark.usefixtures("_keyring")
def test_a_keyring_is_used_only_when_it_is_asked_for(env: dict[str, str], state: Path) -> None:
    memory = Memory()
    keyring.set_keyring(memory)

    found = find_keys(env, keyring=True)

    assert found.in_keyring
    assert memory.kept == {("codex_nb", "store key"): base64_of(found.keys[0])}
    assert not (state / "codex_nb" / "key").exists()
    assert find_keys(env, keyring=True) == found
    assert find_keys(env).keys != found.keys


@pytest.mark.usefixtures("_keyring")
def test_a_new_key_goes_to_the_keyring(env: dict[str, str]) -> None:
    keyring.set_keyring(Memory())
    before = find_keys(env, keyring=True)

    after = add_key(before)

    assert after.keys[1:] == before.keys
    assert find_keys(env, keyring=True) == after


@pytest.mark.usefixtures("_keyring")
@pytest.mark.parametrize("backend", [Clear, Low, null.Keyring, NoKeyring])
def test_a_backend_that_keeps_no_secret_is_refused(
    backend: type[KeyringBackend], env: dict[str, str]
) -> None:
    keyring.set_keyring(backend())

    with pytest.raises(VaultError, match="no keyring here that keeps secrets"):
        find_keys(env, keyring=True)
