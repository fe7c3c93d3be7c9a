"""The fake of OpenAI in a process of its own: for measurements, as it takes no time of theirs."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING, Self, cast

from tests.support.openai_fake import FakeOpenAI
from tests.support.waiting import scaled

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from types import TracebackType

_LIMIT = 30.0


class OpenAIProcess:
    """A running fake, of which only what a measurement needs can be asked."""

    def __init__(self) -> None:
        # Spawned, as a fork would take the event loop and the threads of its parent with it.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._environment = cast("dict[str, str]", self._hear())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pipe.close()
        self._process.join(scaled(_LIMIT))

    def environment(self) -> dict[str, str]:
        """As `FakeOpenAI.environment`."""
        return dict(self._environment)

    def new_logins(self, count: int, *, expires_in: float = 3600) -> list[bytes]:
        """So many logins of different accounts; see `FakeOpenAI.new_login`."""
        self._pipe.send((count, expires_in))
        return cast("list[bytes]", self._hear())

    def _hear(self) -> object:
        if not self._pipe.poll(scaled(_LIMIT)):
            raise TimeoutError("the process of the fake does not answer")
        heard: object = self._pipe.recv()
        return heard


def _serve(pipe: Connection) -> None:
    with FakeOpenAI() as fake:
        pipe.send(fake.environment())
        try:
            while True:
                count, expires_in = pipe.recv()
                pipe.send(
                    [fake.new_login(str(number), expires_in=expires_in) for number in range(count)]
                )
        except EOFError:  # nobody asks any more
            return


__all__ = ["OpenAIProcess"]
