"""The command `codex-nb`: seeds and their stores, for a terminal and for scripts.

    codex-nb seed VERB …        logins, as %codex_seed in a notebook
    codex-nb store VERB …       the store as a whole

Exit status: 0 all is well; 1 something failed, or a login is not known to be alive; 2 the words
cannot be meant; 130 it was stopped. Answers go to stdout, everything else to stderr. An error is
one sentence on what failed and one on what to do.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING

from codex_nb.errors import CodexNBError, UsageError
from codex_nb.seeds.verbs import Parser, add_store_verbs, check_words, parsed, seed_parser, verbs_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from codex_nb.seeds.person import Answer
    from codex_nb.seeds.settings import SeedSettings

GOOD, BAD, MISUSED, STOPPED = 0, 1, 2, 130


def main(words: Sequence[str] | None = None) -> int:
    """Do what the words of a command line say, and return the exit status."""
    try:
        options = _options(sys.argv[1:] if words is None else list(words))
    except UsageError as exc:
        return _told(exc, MISUSED)
    try:
        answer = asyncio.run(_perform(options))
        _print(answer, as_json=options.json)
    except UsageError as exc:
        return _told(exc, MISUSED)
    except CodexNBError as exc:
        return _told(exc, BAD)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return STOPPED
    except BrokenPipeError:
        # Whoever read has enough. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BAD
    return GOOD if answer.is_good else BAD


class Terminal:
    """The person at a terminal."""

    def say(self, text: str) -> None:
        """Print a line, apart from the answer."""
        print(text, file=sys.stderr)  # noqa: T201 - talks to the person who called

    def show_code(self, url: str, code: str, expires_at: float) -> None:
        """Print where to log in."""
        from codex_nb.seeds.person import code_life

        self.say(f"Open {url} and enter the code\n\n    {code}\n\n{code_life(expires_at)}")

    def show_progress(self, done: int, total: int) -> None:
        """Count on one line, if a person looks."""
        if sys.stderr.isatty() and total > 1:
            end = "\n" if done == total else ""
            print(f"\r{done} of {total}", end=end, file=sys.stderr, flush=True)  # noqa: T201 - same

    async def ask_key(self) -> str:
        """Read an API key without echo, or from a pipe."""
        if not sys.stdin.isatty():
            return sys.stdin.readline().strip()
        from getpass import getpass

        return (await asyncio.to_thread(getpass, "API key (not shown): ")).strip()

    async def is_sure(self, question: str) -> bool:
        """Ask for a y."""
        if not sys.stdin.isatty():
            raise UsageError("There is nobody to ask here.", hint="Say --yes if you are sure.")
        answer = await asyncio.to_thread(input, f"{question} [y/N] ")
        return answer.strip().lower() in ("y", "yes")

    def home_of(self, run: str) -> Path:
        """The CODEX_HOME of a session of this user."""
        from codex_nb.sessions.roots import default_root, fallback_root
        from codex_nb.sessions.search import codex_home_of

        return codex_home_of(run, default_root(), fallback_root())


def _options(words: list[str]) -> argparse.Namespace:
    check_words(words)  # before anything repeats one
    parser = Parser(prog="codex-nb", description="Codex in notebooks: its logins.")
    parser.add_argument("area", metavar="seed|store", choices=("seed", "store"))
    parser.add_argument("words", nargs="...", metavar="VERB …", help="-h after it shows the verbs.")
    first = parser.parse_args(words)
    if first.area == "seed":
        inner = seed_parser("codex-nb seed")
    else:
        inner = Parser(prog="codex-nb store", description="A store of seeds as a whole.")
        verbs = inner.add_subparsers(dest="verb", metavar="VERB", required=True)
        add_store_verbs(verbs.add_parser)
    for verb in verbs_of(inner).values():
        _add_common(verb)
    return parsed(inner, first.words)


def _add_common(parser: argparse.ArgumentParser) -> None:
    common = parser.add_argument_group("store")
    common.add_argument("--json", action="store_true", help="Answer as JSON.")
    common.add_argument(
        "--store",
        metavar="URI",
        default="",
        help="Path, sqlite:PATH or mongodb://…; default: $CODEX_NB_STORE, else this user's. A "
        "password belongs in the variable, where no list of processes shows it.",
    )
    common.add_argument("--encryption", choices=("none",), default="", help="Keep logins in clear.")
    common.add_argument("--key-file", metavar="FILE", default="", help="File with the key.")
    common.add_argument("--keyring", action="store_true", help="Keep the key in the keyring.")
    common.add_argument("--program", metavar="PATH", default="", help="Path of codex.")


async def _perform(options: argparse.Namespace) -> Answer:
    from codex_nb.seeds.perform import perform

    task = asyncio.current_task()
    if task is not None:
        # As Ctrl-C: a refresh that has begun is finished, and leases are given back.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        if getattr(options, "until_eof", False):
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _cancel_at_eof, task)
    return await perform(options, _settings(options), Terminal(), codex=options.program)


def _cancel_at_eof(task: asyncio.Task[object]) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        task.cancel()


def _settings(options: argparse.Namespace) -> SeedSettings:
    from codex_nb.seeds.settings import SeedSettings

    return SeedSettings(
        store=options.store,
        encryption=options.encryption,
        key_file=options.key_file,
        keyring=options.keyring,
    )


def _print(answer: Answer, *, as_json: bool) -> None:
    text = json.dumps(answer.data, indent=2) if as_json else str(answer.shown)
    if text:
        print(text, flush=True)  # noqa: T201 - this is the answer


def _told(error: CodexNBError, status: int) -> int:
    for line in (error.message, error.hint):
        if line:
            # Here nobody has magics; the verbs are the same.
            told = line.replace("%codex_seed", "codex-nb seed")
            print(told, file=sys.stderr)  # noqa: T201 - talks to the person who called
    return status


__all__ = ["Terminal", "main"]

if __name__ == "__main__":
    sys.exit(main())
