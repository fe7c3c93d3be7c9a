"""A real IPython in the test's process, for what happens between a cell and a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import codex_nb
from codex_nb.kernel import start

if TYPE_CHECKING:
    import pytest

    from codex_nb.kernel.config import CodexNB
    from codex_nb.kernel.options import Request


class Shell:
    """An IPython with codex_nb, in which a cell is understood and nothing is started.

    The start of a run is replaced: what a cell asks for is the end of what these tests look at, and
    a session host for each of some hundred cells would take minutes.

    Attributes:
        requests: What the cells asked for.
    """

    def __init__(self, patch: pytest.MonkeyPatch, **settings: object) -> None:
        config = Config()
        config.HistoryManager.enabled = False
        config.CodexNB = Config(settings)
        self.ip = InteractiveShell(config=config)
        self.requests: list[Request] = []
        patch.setattr(start, "start_run", self._start)
        codex_nb.load_ipython_extension(self.ip)

    def _start(self, _shell: object, request: Request, _config: CodexNB) -> str:
        self.requests.append(request)
        return "a run"

    def request(self, cell: str) -> Request:
        """What a cell asks for.

        Raises:
            CodexNBError: As the cell raised it.
        """
        self.run(cell)
        return self.requests[-1]

    def run(self, cell: str) -> object:
        """Run a cell as a notebook does, and return its value."""
        done = self.ip.run_cell(cell)
        done.raise_error()
        return done.result

    def complete(self, line: str) -> list[str]:
        """What Tab offers at the end of a line."""
        with provisionalcompleter():
            return [found.text for found in self.ip.Completer.completions(line, len(line))]
