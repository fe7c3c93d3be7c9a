"""The verbs of `%codex_seed` and `codex-nb`, as their users type them.

Both read their words with the same parser. No secret is ever given as a word: words end up in the
history of a shell or a notebook, and in the list of processes.
"""

from __future__ import annotations

import argparse
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, NoReturn

from codex_nb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Adder = Callable[..., argparse.ArgumentParser]

NAMED = (
    "delete",
    "export",
    "pool",
    "refresh",
    "release",
    "rename",
    "retire",
    "show",
    "verify",
)
"""The verbs that take the name of a seed."""

STORE_VERBS = ("doctor", "move", "rekey")
"""The verbs on the whole store."""

_SECRET = re.compile(
    r"\b(sk-[\w-]{8,}|eyJ[\w-]{8,}\.|AGE-SECRET-KEY-\w|rt[._-]\w{16,})|PRIVATE KEY", re.IGNORECASE
)
_USER_INFO = re.compile(r"//[^/\s@]*@")


class Parser(argparse.ArgumentParser):
    """A parser that raises what we raise, and repeats no secret."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError, always."""
        said = _USER_INFO.sub("//…@", message)
        raise UsageError(
            f"{said[:1].upper()}{said[1:].rstrip('.')}.", hint=f"{self.prog} -h shows how it goes."
        )


def seed_parser(prog: str) -> Parser:
    """The parser of all verbs on seeds; the verb is in `verb`."""
    parser = Parser(
        prog=prog,
        description="Logins of Codex: kept in one place, lent to one session at a time.",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, prog=prog)
    _add_intake(verbs.add_parser)
    _add_looking(verbs.add_parser)
    _add_changing(verbs.add_parser)
    return parser


def add_store_verbs(add: Adder) -> None:
    """The verbs on a whole store."""
    add("doctor", help="Try whatever seeds rely on, and say what is not fine.")
    move = add("move", help="Take all seeds to another store; they leave this one.")
    move.add_argument(
        "--to",
        metavar="URI",
        required=True,
        help="Where to; env:NAME takes the URI from a variable.",
    )
    move.add_argument(
        "--to-encryption", choices=("none",), default="", help="Keep them in clear there."
    )
    rekey = add("rekey", help="Make a new key, and wrap every login with it.")
    rekey.add_argument(
        "--given",
        action="store_true",
        help="Make none: the first key of CODEX_NB_KEY or of the key file is the new one.",
    )


def check_words(words: Sequence[str]) -> None:
    """Refuse a line with a secret in it, before anything repeats it.

    Raises:
        UsageError: There is one; it is not in the message.
    """
    if any(_SECRET.search(word) for word in words):
        raise UsageError(
            "There is a key or a token in this line, which is kept in a history now.",
            hint="Revoke it, and give the new one in the password field that `login NAME "
            "--api-key` opens.",
        )


def parsed(parser: Parser, words: Sequence[str]) -> argparse.Namespace:
    """The options in these words.

    Raises:
        UsageError: They cannot be meant, or hold a secret.
        SystemExit: Help was asked for, and printed.
    """
    check_words(words)
    known = verbs_of(parser)
    if words and not words[0].startswith("-") and known and words[0] not in known:
        close = get_close_matches(words[0], known, 1)
        meant = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}."
        raise UsageError(f"There is no verb {words[0]}.", hint=meant)
    return parser.parse_args(words)


def verbs_of(parser: Parser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the verbs, by verb."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public list of them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - nor a public name
            return dict(action.choices)
    return {}


def _add_intake(add: Adder) -> None:
    login = add("login", help="Log in, and keep the login under a name.")
    login.add_argument("name", metavar="NAME")
    login.add_argument("--pool", metavar="POOL", default="", help="Seeds that stand in for it.")
    login.add_argument(
        "--api-key", action="store_true", help="With an API key, which is asked for."
    )
    read = add("import", help="Keep the login of an auth.json, a CODEX_HOME or an exported file.")
    read.add_argument("path", metavar="PATH")
    capture = add("capture", help="Keep the login of a session in which a person logged in.")
    capture.add_argument("run", metavar="RUN", help="Name or id of the session.")
    for parser in (read, capture):
        parser.add_argument("--name", default="", help="What to call it; else after its account.")
        parser.add_argument(
            "--pool", metavar="POOL", default="", help="Seeds that stand in for it."
        )
    read.add_argument(
        "--legacy",
        metavar="PREFIX",
        default="",
        help="Take all seeds of the older system; PATH is the URI of its MongoDB, or env:NAME for "
        "the one in a variable.",
    )
    read.add_argument(
        "--decrypt",
        metavar="MODULE:FUNCTION",
        default="",
        help="What the older system encrypted them with: takes bytes, returns bytes.",
    )
    read.add_argument("--identity", metavar="FILE", help="Private key for an exported file.")


def _add_looking(add: Adder) -> None:
    seeds = add("list", help="Show all seeds.")
    seeds.add_argument("--pool", metavar="POOL", help="Only those of a pool.")
    show = add("show", help="Show all that is known of a seed.")
    show.add_argument("name", metavar="NAME")
    verify = add("verify", help="Find out whether logins are good; refresh those that have to be.")
    verify.add_argument("names", metavar="NAME", nargs="*")
    verify.add_argument("--all", action="store_true", help="All seeds.")
    verify.add_argument("--pool", metavar="POOL", help="All of a pool.")
    verify.add_argument(
        "--models", action="store_true", help="Ask the API whether it takes an API key."
    )
    verify.add_argument("--codex", action="store_true", help="Let Codex do it, to cross-check.")
    verify.add_argument(
        "--probe", action="store_true", help="Run one real turn, which costs what a turn costs."
    )
    refresh = add("refresh", help="Get new tokens now, whether they are due or not.")
    refresh.add_argument("names", metavar="NAME", nargs="+")


def _add_changing(add: Adder) -> None:
    rename = add("rename", help="Give a seed another name.")
    rename.add_argument("name", metavar="NAME")
    rename.add_argument("new", metavar="NEW")
    pool = add("pool", help="Put a seed into a pool; without POOL, take it out.")
    pool.add_argument("name", metavar="NAME")
    pool.add_argument("pool", metavar="POOL", nargs="?", default="")
    release = add("release", help="Take a seed away from whoever uses it.")
    release.add_argument("name", metavar="NAME")
    retire = add("retire", help="Take a seed out of use; its login stays.")
    retire.add_argument("name", metavar="NAME")
    retire.add_argument("--undo", action="store_true", help="Take it into use again.")
    delete = add("delete", help="Remove a seed and its login for ever.")
    delete.add_argument("name", metavar="NAME")
    purge = add("purge", help="Remove all dead and retired seeds for ever.")
    purge.add_argument("--pool", metavar="POOL", help="Only those of a pool.")
    for parser in (delete, purge):
        parser.add_argument("--yes", action="store_true", help="Do not ask.")
    export = add("export", help="Write the login for one person, sealed with age.")
    export.add_argument("name", metavar="NAME")
    export.add_argument(
        "--to", metavar="RECIPIENT", required=True, help="Public key: age1… or ssh-…"
    )
    export.add_argument("-o", "--output", metavar="FILE", help="Default: NAME.age.")
    keep = add("keep", help="Refresh idle seeds before they run out, until it is stopped.")
    keep.add_argument("--until-eof", action="store_true", help="Stop also when stdin ends.")
    add_store_verbs(add)


__all__ = [
    "NAMED",
    "STORE_VERBS",
    "Parser",
    "add_store_verbs",
    "check_words",
    "parsed",
    "seed_parser",
    "verbs_of",
]
