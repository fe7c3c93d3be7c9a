"""From a file that a person names to a login, and what a seed of it may be called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from codex_nb.errors import LoginError, SeedBusyError, SeedTakenError, UsageError
from codex_nb.seeds.archive import read_config
from codex_nb.seeds.auth import Login
from codex_nb.seeds.share import AGE, open_with

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.vault import Fingerprints

_NAME = re.compile(r"[^\W_][\w.@+-]{0,63}")
_ID = re.compile(r"[0-9a-f]{32}")
_LIMIT = 1024 * 1024


def read_login(path: Path, identity: Path | None = None) -> tuple[Login, JsonObject]:
    """The login of an auth.json, of a CODEX_HOME, or of a file that was exported.

    Args:
        path: The file, or the folder with an auth.json.
        identity: File with the private key for an exported file.

    Returns:
        The login, and the harmless settings of the folder.

    Raises:
        LoginError: It cannot be read, or holds no login.
        UsageError: It is sealed, and there is no private key.
    """
    path = path.expanduser()
    config: JsonObject = {}
    if path.is_dir():
        data = _read(path / "auth.json")
        settings = path / "config.toml"
        if settings.is_file():
            config = read_config(_read(settings))
    else:
        data = _read(path)
    if data.startswith(AGE):
        if identity is None:
            raise UsageError(
                f"{path} is sealed for a person.",
                hint="Name the file with your private key: --identity FILE.",
            )
        data = open_with(_read(identity.expanduser()), data)
    return Login.parse(data), config


def check_name(name: str, what: str) -> None:
    """Make sure that a name can be typed, shown and told from an id.

    Raises:
        UsageError: It cannot.
    """
    if not _NAME.fullmatch(name) or _ID.fullmatch(name):
        raise UsageError(
            f"A {what} cannot be called {name!r}.",
            hint="Use at most 64 letters, digits and . @ + - _, beginning with a letter or digit.",
        )


def free_name(login: Login, taken: Container[str]) -> str:
    """A name for a login that nobody named: of its e-mail address, with a number if need be."""
    name = re.sub(r"[^\w.+-]", "", login.email.partition("@")[0])[:40].lstrip("._+-")
    name = name or ("api-key" if login.kind == "apikey" else "chatgpt")
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def check_follows(seed: Seed, login: Login, fingerprints: Fingerprints) -> None:
    """Make sure that a seed may take a login which a person brought.

    Raises:
        SeedTakenError: The seed is of another account, or holds this login or a later one.
        SeedBusyError: Somebody uses the seed.
    """
    if fingerprints.account(login) != seed.account:
        raise SeedTakenError(
            f"The seed {seed.name} is of another account.", hint="Choose another name."
        )
    if fingerprints.credential(login) == seed.fingerprint:
        raise SeedTakenError(
            f"The seed {seed.name} holds this login already.", hint="There is nothing to do."
        )
    if seed.lease is not None:
        raise SeedBusyError(
            f"The seed {seed.name} is in use by {seed.lease.holder}.",
            hint="Wait until it is free, or release it first.",
        )
    known = seed.details.get("issued_at")
    if isinstance(known, int | float) and login.issued_at and login.issued_at < known:
        raise SeedTakenError(
            f"The seed {seed.name} holds a later login of this account.",
            hint="Log in anew rather than import an older copy.",
        )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT + 1)
    except OSError as exc:
        raise LoginError(
            f"{path} cannot be read: {exc.strerror}.",
            hint="Give an auth.json, or the CODEX_HOME folder in which it lies; a login that "
            "codex keeps in the system's keyring has no file.",
        ) from exc
    if len(data) > _LIMIT:
        raise LoginError(f"{path} is too long to hold a login.", hint="Give an auth.json.")
    return data


__all__ = ["check_follows", "check_name", "free_name", "read_login"]
