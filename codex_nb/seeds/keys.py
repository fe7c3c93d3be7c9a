"""Where the keys of a store come from: the environment, a file, the keyring, or this process.

The first of these that is there is used, and no other:

1. CODEX_NB_KEY: 32 bytes in base64 or hexadecimal; several separated by commas, current first.
2. CODEX_NB_KEY_FILE, or the file of the settings: the same in a file.
3. On Binder a key in memory, which dies with the process.
4. The operating system's keyring, when it is asked for.
5. `codex_nb/key` in the user's state folder, made on first use.

A file protects copies of the store (a backup, a synced or shared folder, a database), and not
against programs of the same user. Facts on back ends checked against keyring 25.7, which takes a
file in clear for a keyring when `keyrings.alt` is installed.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import os
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.errors import HostError, VaultError
from codex_nb.hosts import files
from codex_nb.seeds.settings import state_folder
from codex_nb.seeds.vault import Key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keyring.backend import KeyringBackend

_SERVICE = "codex_nb"
_USER = "store key"
_LIMIT = 64 * 1024
_BINDER = ("BINDER_SERVICE_HOST", "BINDER_LAUNCH_HOST", "BINDER_REQUEST", "BINDER_REF_URL")

_of_this_process: list[Key] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of a store.

    Attributes:
        keys: The current one, then older ones.
        source: Where they come from, in words for a person.
        warning: What a person must know of it, as one sentence; else "".
        file: The file that they are in, or None.
        in_keyring: Whether the keyring has them.
    """

    keys: tuple[Key, ...]
    source: str
    warning: str = ""
    file: Path | None = None
    in_keyring: bool = False


def find_keys(
    environment: Mapping[str, str],
    *,
    key_file: str = "",
    keyring: bool = False,
    shared_folder: Path | None = None,
) -> Keys:
    """The keys, made if there are none yet. Waits for the disk, and for a keyring to be unlocked.

    Args:
        environment: Of this process.
        key_file: Of the settings, or "".
        keyring: Whether to ask the operating system's keyring.
        shared_folder: The folder of the store when others may see it: no key may lie there.

    Raises:
        VaultError: A key is malformed, a file of them is missing or readable by others, or there is
            no keyring that keeps secrets.
    """
    if given := environment.get("CODEX_NB_KEY", "").strip():
        return Keys(keys=_parse(given, "CODEX_NB_KEY"), source="CODEX_NB_KEY")
    if named := environment.get("CODEX_NB_KEY_FILE", "") or key_file:
        path = Path(named).expanduser()
        _check_place(path, shared_folder)
        return _in_file(path)
    if is_on_binder(environment):
        return _in_memory()
    if keyring:
        return _from_keyring()
    path = default_key_file(environment)
    _check_place(path, shared_folder)
    if not path.exists():
        _make_file(path)
    return _in_file(path)


def add_key(found: Keys) -> Keys:
    """Put a new key before the others, where they are kept. The old ones stay, and still open.

    Raises:
        VaultError: It cannot be written there.
    """
    if found.file is not None:
        with _alone(found.file):
            now = _in_file(found.file)
            keys = (Key.new(), *now.keys)
            _write(found.file, _listed(keys))
            return replace(now, keys=keys)
    if found.in_keyring:
        with _alone(default_key_file(os.environ)):
            backend = _backend()
            keys = (Key.new(), *_from_backend(backend))
            return replace(found, keys=_kept(backend, keys))
    raise VaultError(
        f"A new key cannot be added to {found.source}.",
        hint="Put the new key before the old one there, separated by a comma, and ask again with "
        "--given.",
    )


def default_key_file(environment: Mapping[str, str]) -> Path:
    """`key` in our state folder."""
    return state_folder(environment) / "key"


def is_on_binder(environment: Mapping[str, str]) -> bool:
    """Whether this is a Binder, whose disk is gone when it ends."""
    return any(environment.get(name) for name in _BINDER)


def _in_memory() -> Keys:
    if not _of_this_process:
        _of_this_process.append(Key.new())
    return Keys(
        keys=tuple(_of_this_process),
        source="the memory of this process",
        warning="On Binder the key is kept in memory only, so that seeds are lost when this "
        "process ends; set CODEX_NB_KEY to keep them.",
    )


# Files


def _in_file(path: Path) -> Keys:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            facts = os.fstat(fd)
            data = file.read(_LIMIT)
    except OSError as exc:
        raise VaultError(
            f"The key file {path} cannot be read: {exc.strerror}.",
            hint="Give another one in CODEX_NB_KEY_FILE, or the key itself in CODEX_NB_KEY.",
        ) from exc
    if not stat.S_ISREG(facts.st_mode):
        raise VaultError(f"{path} is no file.", hint="Name a file with a key.")
    if facts.st_mode & 0o077:
        raise VaultError(
            f"Others may read the key file {path}.",
            hint=f"Make it yours alone: `chmod 600 {path}`, or mount the secret with mode 0400.",
        )
    if facts.st_uid not in (os.geteuid(), 0):
        raise VaultError(
            f"The key file {path} belongs to another user.", hint="Give one that is yours."
        )
    text = data.decode("ascii", "replace")
    return Keys(keys=_parse(text, f"the key file {path}"), source=f"the file {path}", file=path)


def _check_place(path: Path, shared_folder: Path | None) -> None:
    if shared_folder is not None and path.resolve().is_relative_to(shared_folder.resolve()):
        raise VaultError(
            f"The key file {path} lies in the folder of the store, which others can reach.",
            hint="Keep it elsewhere, and name it in CODEX_NB_KEY_FILE.",
        )


def _make_file(path: Path) -> None:
    with _alone(path):
        if not path.exists():
            _write(path, _listed((Key.new(),)), is_new=True)


def _write(path: Path, text: str, *, is_new: bool = False) -> None:
    """Put the whole text in place, or leave what is there; on disk when it returns."""
    draft = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    try:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(fd)
            if not (is_new and _linked(draft, path)):
                draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as exc:
        raise VaultError(
            f"The key file {path} cannot be written: {exc.strerror}.",
            hint="Make room, or name another place in CODEX_NB_KEY_FILE.",
        ) from exc


def _linked(draft: Path, path: Path) -> bool:
    """Whether the name now leads to a key; unlike a rename, never at the cost of one there."""
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return True
    except OSError:  # a file system without links; the lock has to do
        return path.exists()
    return True


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Only one process at a time, so that no key is lost to another that writes."""
    try:
        files.make_folder(str(path.parent), mode=0o700)
        lock = path.with_name(f".{path.name}.lock")
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (OSError, HostError) as exc:
        raise VaultError(
            f"The folder {path.parent} of the key cannot be written: {exc}.",
            hint="Name another place in CODEX_NB_KEY_FILE, or give the key in CODEX_NB_KEY.",
        ) from exc
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


# The keyring


def _from_keyring() -> Keys:
    backend = _backend()
    keys = _from_backend(backend)
    if not keys:
        with _alone(default_key_file(os.environ)):
            keys = _from_backend(backend) or _kept(backend, (Key.new(),))
    return Keys(keys=keys, source=f"the keyring ({backend.name})", in_keyring=True)


def _from_backend(backend: KeyringBackend) -> tuple[Key, ...]:
    import keyring.errors

    try:
        text = backend.get_password(_SERVICE, _USER)
    except keyring.errors.KeyringError as exc:
        raise _keyring_trouble(backend) from exc
    return _parse(text, "the keyring") if text else ()


def _kept(backend: KeyringBackend, keys: tuple[Key, ...]) -> tuple[Key, ...]:
    import keyring.errors

    try:
        backend.set_password(_SERVICE, _USER, ",".join(_listed(keys).split()))
    except keyring.errors.KeyringError as exc:
        raise _keyring_trouble(backend) from exc
    if (kept := _from_backend(backend)) != keys:
        raise VaultError(
            f"The keyring ({backend.name}) did not keep the key.", hint="Use a key file instead."
        )
    return kept


def _keyring_trouble(backend: KeyringBackend) -> VaultError:
    return VaultError(
        f"The keyring ({backend.name}) did not answer.", hint="Unlock it, or use a key file."
    )


def _backend() -> KeyringBackend:
    try:
        import keyring
        from keyring.backends.chainer import ChainerBackend
    except ImportError:
        raise VaultError(
            "The keyring was asked for, and the library for it is not installed.",
            hint="Install it with `pip install codex-nb[keyring]`, or use a key file.",
        ) from None
    chosen = keyring.get_keyring()
    for backend in chosen.backends if isinstance(chosen, ChainerBackend) else [chosen]:
        if _keeps_secrets(backend):
            return backend
    raise VaultError(
        f"There is no keyring here that keeps secrets, only {chosen.name}.",
        hint="Use a key file instead, which is the default.",
    )


def _keeps_secrets(backend: KeyringBackend) -> bool:
    # keyrings.alt holds files, one of them in clear, which call themselves keyrings.
    module = type(backend).__module__
    return not module.startswith("keyrings.alt") and float(backend.priority) >= 1


# Their text


def _parse(text: str, source: str) -> tuple[Key, ...]:
    # The text never enters a message: it is the secret.
    words = [word for word in re.split(r"[,\s]+", text) if word]
    if not words:
        raise VaultError(f"There is no key in {source}.", hint="Give 32 bytes in base64.")
    keys = {key.id: key for key in (_parse_one(word, source) for word in words)}
    return tuple(keys.values())


def _parse_one(word: str, source: str) -> Key:
    try:
        if re.fullmatch(r"[0-9a-fA-F]{64}", word):
            return Key.of(bytes.fromhex(word))
        padded = word.rstrip("=").translate(str.maketrans("-_", "+/"))
        return Key.of(base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True))
    except (ValueError, binascii.Error):
        raise VaultError(
            f"{source[:1].upper()}{source[1:]} holds something that is no key of 32 bytes.",
            hint="Make one with `openssl rand -base64 32`.",
        ) from None


def _listed(keys: tuple[Key, ...]) -> str:
    return "".join(f"{base64.b64encode(key.secret).decode()}\n" for key in keys)


__all__ = ["Keys", "add_key", "default_key_file", "find_keys", "is_on_binder"]
