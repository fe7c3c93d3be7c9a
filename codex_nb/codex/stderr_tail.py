"""The last lines that codex wrote to stderr, fit for an error message.

A line is kept without colours and without secrets. Secrets are looked for in whole lines, before
anything is cut, so that no half of one gets through.
"""

from __future__ import annotations

import re
from collections import deque

LINES = 40
SIZE = 8 * 1024
_LINE_LIMIT = 64 * 1024
_SHOWN = 1000

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
_SECRETS = (
    # A JSON web token, whole or without its signature.
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"), "[secret]"),
    (re.compile(r"\b(?:sk|pk|rt|sess|ghp|gho|github_pat)[-_][\w-]{8,}"), "[secret]"),
    (re.compile(r"(?i)\b(bearer|basic)(\s+)[^\s\"',;]+"), r"\1\2[secret]"),
    (
        re.compile(
            r"(?i)((?:token|secret|password|passwd|api[_-]?key|authorization|cookie)"
            r"[\"']?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|(?!\[secret\])[^\s,;&}]+)"
        ),
        r"\1[secret]",
    ),
    (re.compile(r"(://)[^/\s:@]+:[^/\s@]+@"), r"\1[secret]@"),
)


def redacted(line: str) -> str:
    """The line without colours, control characters and whatever looks like a secret."""
    line = _COLOURS.sub("", line)
    for pattern, replacement in _SECRETS:
        line = pattern.sub(replacement, line)
    return line


class StderrTail:
    """Takes bytes as they come and keeps the last lines of them."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=LINES)
        self._partial = bytearray()
        self._is_skipping = False

    def feed(self, data: bytes) -> None:
        """Take bytes, in any split."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._extend(end)
            if not self._is_skipping:
                self._keep()
            self._is_skipping = False
        self._extend(rest)

    @property
    def text(self) -> str:
        """The last lines, at most LINES and about SIZE characters, an unfinished one included."""
        lines = [*self._lines, *filter(None, [self._shown()])]
        size, first = 0, len(lines)
        while first > 0 and size + len(lines[first - 1]) < SIZE:
            first -= 1
            size += len(lines[first]) + 1
        return "\n".join(lines[first:])

    @property
    def hint(self) -> str:
        """The same as the hint of an error."""
        text = self.text
        return f"Its last lines on stderr:\n{text}" if text else "It wrote nothing to stderr."

    @property
    def last_line(self) -> str:
        """The last line that says something; "" if there is none."""
        return next((line for line in reversed(self.text.splitlines()) if line.strip()), "")

    def _extend(self, data: bytes) -> None:
        if self._is_skipping:
            return
        self._partial += data[: _LINE_LIMIT - len(self._partial)]
        if len(self._partial) >= _LINE_LIMIT:
            # The rest of such a line is dropped: a secret in it could not be told by its beginning.
            self._keep()
            self._is_skipping = True

    def _keep(self) -> None:
        line = self._shown()
        if line:
            self._lines.append(line)
        self._partial.clear()

    def _shown(self) -> str:
        line = redacted(self._partial.decode("utf-8", "replace")).rstrip()
        return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
