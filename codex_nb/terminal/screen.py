"""What a terminal shows at one moment. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass

from codex_nb.errors import HostError

_STYLES = re.compile(r"\x1b\[[0-9;:]*m|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x0e\x0f]")

FACTS = "#{cursor_flag} #{cursor_x} #{cursor_y} #{session_activity}"
"""The format with which tmux tells what a Screen is made from, besides the rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What a terminal shows at one moment.

    Attributes:
        rows: The visible rows, with their colours as escape sequences.
        cursor_x: Column of the cursor; the first is 0.
        cursor_y: Row of the cursor.
        is_cursor_visible: Whether the program shows the cursor.
        facts: The same facts as tmux tells them, and when a person last pressed a key.
        is_quiet: Whether nobody pressed a key for a second.
    """

    rows: tuple[str, ...]
    cursor_x: int
    cursor_y: int
    is_cursor_visible: bool
    facts: str
    is_quiet: bool

    @property
    def cursor_row(self) -> str:
        """The row of the cursor, with its colours."""
        return self.rows[self.cursor_y] if self.cursor_y < len(self.rows) else ""


def read_screen(output: str) -> Screen:
    """Read a line with the time and FACTS, and the rows after it.

    Raises:
        HostError: tmux told something else.
    """
    first, _, rest = output.partition("\n")
    now, _, facts = first.partition(" ")
    try:
        flag, x, y, pressed = facts.split(" ")
        return Screen(
            rows=tuple(rest.split("\n")),
            cursor_x=int(x),
            cursor_y=int(y),
            is_cursor_visible=flag == "1",
            facts=facts,
            # Both are whole seconds, so that a difference of 1 may be a moment.
            is_quiet=int(now) - int(pressed) > 1,
        )
    except ValueError:
        raise HostError("tmux does not tell what the terminal shows") from None


def plain(text: str) -> str:
    """The text without colours, blanks at the ends of rows, and empty rows at the end."""
    return "\n".join(row.rstrip() for row in _STYLES.sub("", text).split("\n")).rstrip()
