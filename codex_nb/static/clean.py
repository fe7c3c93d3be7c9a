"""Foreign text made fit for a page that stays: no terminal tricks, nothing unseen, nothing endless.

Commands print for terminals, and models write what they like. These functions keep what a person is
meant to read and make visible what could deceive. They are pure, take any string and never raise.
"""

from __future__ import annotations

import re
import unicodedata

HEAD_LINES = 40
TAIL_LINES = 40
LINE_LENGTH = 500
_LINE_TAIL = 100

_ERASE = "\x00"
_ERASE_SEQUENCE = re.compile(r"(?:\x1b\[|\x9b)([012]?)K")
_ESCAPE_SEQUENCE = re.compile(
    r"""
      \x1b\][^\x07\x1b\n]{0,65536}(?:\x07|\x1b\\)       # OSC: title, link, clipboard
    | \x1b[PX^_][^\x07\x1b\n]{0,65536}(?:\x07|\x1b\\)   # DCS, SOS, PM, APC
    | (?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]                  # CSI: colour, movement
    | \x1b[ -/]*[0-~]                                   # the short ones
    """,
    re.VERBOSE,
)
# Only the last states of a progress line can still be seen.
_REWRITES = 200

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATES = re.compile("[\ud800-\udfff]")
# What hides or reorders other text in any language. Joiners and direction marks stay: emoji and
# right-to-left scripts need them.
_DECEIVING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
    "\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)
_NOT_ASCII = re.compile(r"[^\t\n\x20-\x7e]")
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
# Letters and marks that draw nothing although their category says otherwise.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def resolve_terminal(text: str) -> str:
    """What a terminal would show in the end, as plain lines.

    Escape sequences are dropped; carriage returns, backspaces and line erasures are carried out, so
    that a progress bar is its last state. Movement between lines is not followed.
    """
    text = text.replace(_ERASE, "")
    text = _ERASE_SEQUENCE.sub(lambda found: ("\r" if found[1] == "2" else "") + _ERASE, text)
    text = _ESCAPE_SEQUENCE.sub("", text)
    text = "\n".join(_last_state(line) for line in text.split("\n"))
    return _replace_surrogates(_CONTROLS.sub("", text))


def reveal(text: str) -> str:
    """The text with what hides or reorders other text made visible, like ⟨U+202E⟩."""
    return _DECEIVING.sub(_show, text.replace("\r\n", "\n"))


def reveal_all(text: str) -> str:
    """The text with every character that cannot be seen made visible: for what a person decides on.

    Line breaks, tabs and ordinary spaces stay.
    """
    return _NOT_ASCII.sub(_show_if_unseen, text)


def one_line(text: str, limit: int = 300) -> str:
    """The text on one line of at most `limit` characters, with everything unseen made visible."""
    line = reveal_all(" ".join(text[: 4 * limit].split()))
    whole = len(line) <= limit and len(text) <= 4 * limit
    return line if whole else line[: limit - 1] + "…"


def shorten(text: str, limit: int) -> tuple[str, int]:
    """The beginning of a text, and how many characters were left out."""
    return (text, 0) if len(text) <= limit else (text[:limit], len(text) - limit)


def elide(text: str) -> str:
    """The first and last lines of a text, with a line between them that counts what was left out.

    A line that is too long loses its middle in the same way, so the result is bounded for any
    input.
    """
    lines = text.strip("\n").split("\n")
    left_out = len(lines) - HEAD_LINES - TAIL_LINES
    if left_out > 0:
        gap = f"… {left_out:,} lines left out …"
        lines = [*map(_fit_line, lines[:HEAD_LINES]), gap, *map(_fit_line, lines[-TAIL_LINES:])]
        return "\n".join(lines)
    return "\n".join(map(_fit_line, lines))


def fence_for(text: str, mark: str = "`", shortest: int = 3) -> str:
    """A run of marks that is longer than any inside the text."""
    runs = re.findall(re.escape(mark) + "+", text)
    return mark * max(shortest, 1 + max(map(len, runs), default=0))


def _fit_line(line: str) -> str:
    line = line.rstrip()
    left_out = len(line) - LINE_LENGTH
    if left_out <= 0:
        return line
    head = line[: LINE_LENGTH - _LINE_TAIL]
    return f"{head} … {left_out:,} characters left out … {line[-_LINE_TAIL:]}"


def _last_state(line: str) -> str:
    if "\r" not in line and "\b" not in line and _ERASE not in line:
        return line
    shown = ""
    for segment in line.split("\r")[-_REWRITES:]:
        shown = _overwrite(shown, segment)
    return shown


def _overwrite(shown: str, segment: str) -> str:
    """What stands on a line after a segment was printed over it from its first column."""
    if "\b" not in segment and _ERASE not in segment:
        return segment + shown[len(segment) :]
    cells = list(shown)
    column = 0
    for character in segment:
        if character == "\b":
            column = max(0, column - 1)
        elif character == _ERASE:
            del cells[column:]
        else:
            cells[column : column + 1] = character
            column += 1
    return "".join(cells)


def _replace_surrogates(text: str) -> str:
    # Half a surrogate pair cannot be saved as UTF-8.
    return _SURROGATES.sub("\ufffd", text)


def _show(found: re.Match[str]) -> str:
    return f"⟨U+{ord(found[0]):04X}⟩"


def _show_if_unseen(found: re.Match[str]) -> str:
    character = found[0]
    unseen = unicodedata.category(character) in _HIDDEN_CATEGORIES or _BLANK.match(character)
    return _show(found) if unseen else character
