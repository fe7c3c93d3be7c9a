"""Lets a prompt on one line end in a question mark.

IPython takes a line that ends in `?` as a call for help, also `%codex_run why is it slow?`. This
transformation sees such a line first. `%codex_run?` stays a call for help. Checked against IPython
8.18 to 9.18, where HelpEnd has priority 5.
"""

from __future__ import annotations

import tokenize
from typing import TYPE_CHECKING

from IPython.core.inputtransformer2 import (
    TokenTransformBase,
    assemble_continued_line,
    find_end_of_continued_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

_MAGIC = "codex_run"


class PromptLine(TokenTransformBase):  # type: ignore[misc]  # IPython has no types
    """A `%codex_run` line, or an assignment from one, that ends in a question mark."""

    priority = 1

    def __init__(self, start: tuple[int, int], magic: tuple[int, int]) -> None:
        super().__init__(start)
        self._line = magic[0] - 1
        self._column = magic[1]

    @classmethod
    def find(cls, tokens_by_line: list[list[tokenize.TokenInfo]]) -> PromptLine | None:
        """The first such line of a cell."""
        for line in tokens_by_line:
            tokens = [t for t in line if t.type not in (tokenize.INDENT, tokenize.DEDENT)]
            words = [token.string for token in tokens]
            if "%" not in words or not "".join(words).rstrip().endswith("?"):
                continue
            at = words.index("%")
            is_start = at == 0 or words[at - 1] == "="
            rest = words[at + 2 :]
            is_prompt = any(word.strip() not in ("", "?") for word in rest)
            if is_start and words[at + 1 : at + 2] == [_MAGIC] and is_prompt:
                return cls(tokens[0].start, tokens[at].start)
        return None

    def transform(self, lines: list[str]) -> list[str]:
        """The lines of the cell with the call in place of the line."""
        end = find_end_of_continued_line(lines, self._line)
        text = assemble_continued_line(lines, (self._line, self._column), end)
        arguments = text.removeprefix(f"%{_MAGIC}").strip()
        before = lines[self._line][: self._column]
        call = f"{before}get_ipython().run_line_magic({_MAGIC!r}, {arguments!r})\n"
        return [*lines[: self._line], call, *lines[end + 1 :]]


def add_prompt_lines(shell: InteractiveShell) -> Callable[[], None]:
    """Teach a shell such lines, and return what unteaches it."""
    transforms = shell.input_transformer_manager.token_transformers
    transforms.append(PromptLine)
    return lambda: transforms.remove(PromptLine)
