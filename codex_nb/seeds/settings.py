"""Which store is meant, and with which key.

A store is named by a URI: "mongodb://…" and "mongodb+srv://…" for a shared one, "sqlite:PATH" or a
path for a file, "" for the one of this user: $CODEX_NB_STORE if it is set, else `seeds.db` in the
user's data folder. This module imports no store: whoever only passes settings on needs none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

ENCRYPTIONS = ("", "none")

FROM_ENVIRONMENT = "env:"
"""How a variable is named where a URI with a password could be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedSettings:
    """Where seeds are kept, and how they are sealed.

    Attributes:
        store: URI or path of the store; "" for this user's. It may hold a password.
        encryption: "" seals every login; "none" keeps them in clear, which has to be written out.
        key_file: File with the key, for when the environment names none; "" for the default one.
        keyring: Whether the key is kept in the operating system's keyring instead of a file.
    """

    store: str = ""
    encryption: str = ""
    key_file: str = ""
    keyring: bool = False

    def check(self) -> None:
        """Make sure that it can be meant.

        Raises:
            UsageError: It cannot.
        """
        if self.encryption not in ENCRYPTIONS:
            raise UsageError(
                f"The encryption cannot be {self.encryption!r}.",
                hint="Leave it empty to seal every login, or write none.",
            )
        if self.keyring and self.key_file:
            raise UsageError(
                "A key file and the keyring contradict each other.", hint="Choose one of them."
            )

    def __repr__(self) -> str:
        # The URI may hold a password.
        return f"SeedSettings(encryption={self.encryption!r}, keyring={self.keyring})"


def file_of(uri: str, environment: Mapping[str, str]) -> Path | None:
    """The file that such a store is kept in; None for a database server.

    Raises:
        UsageError: It is no name of a store.
    """
    uri = uri or environment.get("CODEX_NB_STORE", "")
    scheme, separator, rest = uri.partition(":")
    match scheme.lower() if separator and re.fullmatch(r"[A-Za-z][\w.+-]+", scheme) else "":
        case "mongodb" | "mongodb+srv":
            return None
        case "sqlite" if rest:
            # sqlite:PATH and, as others write it, sqlite:///PATH
            path = rest[2:] if rest.startswith("//") else rest
        case "":
            path = uri or str(default_file(environment))
        case "sqlite":
            raise UsageError("sqlite: needs a path.", hint="Give sqlite:PATH, or leave it out.")
        case other:
            raise UsageError(
                f"There is no kind of store that is called {other}.",
                hint="Give a path, sqlite:PATH or mongodb://HOST/DATABASE.",
            )
    return Path(path).expanduser().absolute()


def given_uri(text: str, environment: Mapping[str, str]) -> str:
    """The URI that a person gave, or the one in the variable that "env:NAME" names.

    Raises:
        UsageError: There is no such variable.
    """
    if not text.startswith(FROM_ENVIRONMENT):
        return text
    name = text.removeprefix(FROM_ENVIRONMENT)
    if not environment.get(name):
        raise UsageError(
            f"There is no variable {name} in the environment.",
            hint=f"Put the URI into it, and give {FROM_ENVIRONMENT}{name} again.",
        )
    return environment[name]


def has_password(uri: str) -> bool:
    """Whether there is a password in such a URI."""
    return re.match(r"[\w+.-]+://[^/?#@:]*:[^/?#@]+@", uri) is not None


def default_file(environment: Mapping[str, str]) -> Path:
    """`codex_nb/seeds.db` in $XDG_DATA_HOME, or in ~/.local/share."""
    base = environment.get("XDG_DATA_HOME", "")
    # The specification says that a relative path is to be ignored.
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "share"
    return root / "codex_nb" / "seeds.db"


def state_folder(environment: Mapping[str, str]) -> Path:
    """`codex_nb` in $XDG_STATE_HOME, or in ~/.local/state: the spool, and the key."""
    base = environment.get("XDG_STATE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return root / "codex_nb"


__all__ = [
    "ENCRYPTIONS",
    "FROM_ENVIRONMENT",
    "SeedSettings",
    "default_file",
    "file_of",
    "given_uri",
    "has_password",
    "state_folder",
]
