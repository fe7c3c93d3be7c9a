"""Who asks for a verb, and what the verb gives them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from codex_nb.seeds.settings import FROM_ENVIRONMENT, given_uri, has_password
from codex_nb.seeds.table import Table, clean, seed_json, seed_table, told_span

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from codex_nb.codex.scratch import Surroundings
    from codex_nb.protocol.messages import Json
    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.seeds import Seeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a verb gave.

    Attributes:
        shown: For a person.
        data: The same for a program; no secret.
        is_good: Whether all went well: no verdict but alive, no finding of a failure.
    """

    shown: Table | str
    data: Json
    is_good: bool = True


class Person(Protocol):
    """Who asked for a verb. Methods are called on the event loop that does it."""

    def say(self, text: str) -> None:
        """Tell something that matters before the verb is done."""

    def show_code(self, url: str, code: str, expires_at: float) -> None:
        """Show where to log in and with which code, until `expires_at` in Unix seconds."""

    def show_progress(self, done: int, total: int) -> None:
        """Show how far the verb is."""

    async def ask_key(self) -> str:
        """Ask for an API key without showing it.

        Raises:
            UsageError: There is nobody to ask.
        """
        ...

    async def is_sure(self, question: str) -> bool:
        """Ask whether to go on.

        Raises:
            UsageError: There is nobody to ask.
        """
        ...

    def home_of(self, run: str) -> Path:
        """The CODEX_HOME of a session, by its name or id.

        Raises:
            UsageError: There is no such session.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A verb that is being done.

    Attributes:
        options: The words of the person.
        seeds: The open store.
        person: Who asked.
        codex: Path of the codex program, or "" to look for one.
        surroundings: What codex is given where it is needed.
    """

    options: argparse.Namespace
    seeds: Seeds
    person: Person
    codex: str
    surroundings: Surroundings

    def uri(self, text: str) -> str:
        """The URI that was given as a word, or through a variable.

        Raises:
            UsageError: There is no such variable.
        """
        if has_password(text):
            self.person.say(
                "The password in this line is in a history now, and in the list of processes. "
                f"Put the URI into a variable and give {FROM_ENVIRONMENT}NAME."
            )
        return given_uri(text, self.seeds.environment)

    async def one(self, seed: Seed, what: str) -> Answer:
        """The answer that a seed is something now."""
        table = seed_table([seed], await self.seeds.store.now())
        caption = f"{clean(seed.name)} {what}"
        return Answer(shown=replace(table, caption=caption), data=seed_json(seed))

    async def many(self, seeds: Sequence[Seed]) -> Answer:
        """The answer that lists seeds."""
        table = seed_table(seeds, await self.seeds.store.now())
        return Answer(shown=table, data=[seed_json(seed) for seed in seeds])


def code_life(expires_at: float) -> str:
    """How long a code can be entered, as a sentence that still holds when it is read later."""
    until = time.strftime("%H:%M", time.localtime(expires_at))
    return f"It is good for {told_span(max(0.0, expires_at - time.time()))}, until {until}."


__all__ = ["Answer", "Call", "Person", "code_life"]
