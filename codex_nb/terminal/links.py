"""The links that a program in the terminal asks to open, read from what it writes. No I/O.

Whoever runs commands outside of Codex's sandbox may write there, so every line is foreign, and what
is no link for sure is dropped. The view has its own look at what is left (`safeUrl`), with the same
greatest length.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

LONGEST = 2_000
"""Bytes of a link, which are characters as well: there is only ASCII in one."""

MOST = 3
"""The most links that are kept."""

# Neither blank nor control character, nor what browsers read as another character than we do.
_LINK = re.compile(rb"""https?://[!#-;=?-\[\]_a-z{|}~]+""", re.IGNORECASE)
_HOST = re.compile(r"(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]*)?", re.IGNORECASE)


def link_of(line: bytes) -> str:
    """The link that a line is; "" when it is none that a person should be shown.

    A link is an address of http or https, in printable ASCII, whose host is plain to see: it has no
    user name or password, with which `https://good.example@evil.example` hides where it leads.
    """
    if len(line) > LONGEST or _LINK.fullmatch(line) is None:
        return ""
    link = line.decode("ascii")
    try:
        parts = urlsplit(link)
        _ = parts.port  # a number that can be one
    except ValueError:
        return ""
    return link if _HOST.fullmatch(parts.netloc) else ""


def with_link(links: list[str], link: str) -> list[str]:
    """The links with one more at the end, without the oldest when that is too many.

    One that is there already stays where it is.
    """
    return links if link in links else [*links, link][-MOST:]


class Lines:
    """Bytes cut into lines. One that is too long to be a link is never kept in memory."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now, without their ends."""
        *lines, rest = (self._rest + data).split(b"\n")
        # What is left of it stays too long to be taken for a link.
        self._rest = rest[: LONGEST + 1]
        return lines
