"""What is typed for a person: clean text and the keys that have names. No I/O."""

from __future__ import annotations

import re

from codex_nb.errors import UsageError

LONGEST = 1024 * 1024
"""The most characters of one paste; Codex takes no longer message."""

KEYS = (
    *("Enter", "Escape", "Tab", "BTab", "Space", "BSpace", "Delete"),
    *("Up", "Down", "Left", "Right", "PageUp", "PageDown", "Home", "End"),
    *("C-a", "C-c", "C-d", "C-e", "C-j", "C-k", "C-l", "C-o", "C-r", "C-t", "C-u", "C-w", "C-y"),
    *(f"F{number}" for number in range(1, 13)),
)
"""The keys that can be pressed, as tmux names them; C-c is Ctrl+C."""

# The end of a bracketed paste: whatever stands behind it would count as typed.
_BRACKETS = re.compile("(?:\x1b\\[|\x9b)20[01]~")
_NAME_AT_END = re.compile(r"(?:^|\s)[@$]\S*\Z")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def pasted(text: str) -> str:
    """The text as it can be pasted: without control characters but newline and tab.

    Raises:
        UsageError: Nothing is left of it, or it is longer than LONGEST.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROLS.sub("", _BRACKETS.sub("", text))
    if not text:
        raise UsageError("There is nothing to type: the text is empty.")
    if len(text) > LONGEST:
        raise UsageError(
            f"The text has {len(text):,} characters; at most {LONGEST:,} can be typed at once.",
            hint="Put it into a file and name the file.",
        )
    return text


def finished(text: str) -> str:
    """The text as it can be sent with Enter at once.

    Behind a name that begins with @ or $ Codex opens a menu, which would take the Enter; a blank
    keeps it shut, and Codex cuts it off.
    """
    return f"{text} " if _NAME_AT_END.search(text) else text


def known_key(name: str) -> str:
    """The key of this name.

    Raises:
        UsageError: There is none; the hint lists those that there are.
    """
    if name not in KEYS:
        raise UsageError(f"There is no key {name!r}.", hint=f"Keys: {', '.join(KEYS)}.")
    return name
