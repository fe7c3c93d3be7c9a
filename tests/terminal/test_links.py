"""What is taken for a link, of whatever is written."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nb.terminal.links import LONGEST, MOST, Lines, link_of, with_link

LOGIN = (
    "https://auth.openai.com/oauth/authorize?response_type=code&client_id=app_1&"
    "redirect_uri=http%3A%2F%2Flocalhost%3A1455%2Fauth%2Fcallback&scope=openid+email"
)
LINKS = [
    LOGIN,
    "http://localhost:1455/success",
    "http://[::1]:8080/",
    "HTTPS://Example.org",
    "https://example.org?mail=a@b",
    "https://example.org/#a@b",
    "https://example.org/a;b,c'd(e)[f]|{g}~!$*",
    "https://example.org/" + "a" * (LONGEST - 20),
]
OTHERS = [
    "",
    "example.org",
    "//example.org",
    "https:example.org",
    "https://",
    "https:///path",
    "https://?query",
    "javascript:alert(1)",
    "javascript://example.org/%0aalert(1)",
    "data:text/html,hello",
    "file:///etc/passwd",
    "ftp://example.org/",
    "vscode://example.org",
    "https://good.example@evil.example/",
    "https://user:password@example.org/",
    "https://@example.org/",
    "https://good.example\\@evil.example/",
    "https://good.example\\evil.example/",
    "https://example.org/a b",
    " https://example.org/",
    "https://example.org/\r",
    "https://example.org/\x1b]8;;",
    "https://example.org/\0",
    'https://example.org/"onclick="',
    "https://example.org/<script>",
    "https://example.org/`",
    "https://ex\u0430mple.org/",
    "https://example.org/\u202egpj",
    "https://exa%6dple.org/",
    "https://example.org:99999/",
    "https://example.org:80:80/",
    "https://example.org:x/",
    "https://[::1/",
    "https://example.org/" + "a" * (LONGEST - 19),
]


@pytest.mark.parametrize("link", LINKS)
def test_an_address_of_the_web_is_a_link(link: str) -> None:
    assert link_of(link.encode()) == link


@pytest.mark.parametrize("line", OTHERS)
def test_nothing_else_is(line: str) -> None:
    assert link_of(line.encode()) == ""


@given(st.binary(max_size=80) | st.builds(b"https://".__add__, st.binary(max_size=80)))
def test_a_link_shows_where_it_leads(line: bytes) -> None:
    link = link_of(line)
    if link:
        parts = urlsplit(link)
        assert link.encode() == line
        assert parts.scheme in ("http", "https")
        assert (parts.username, parts.password) == (None, None)
        assert parts.hostname
        assert link.isascii()
        assert link.isprintable()
        assert " " not in link


@given(st.lists(st.binary(max_size=40)), st.binary(max_size=40))
def test_lines_come_out_whole_however_they_were_cut(parts: list[bytes], end: bytes) -> None:
    lines = Lines()
    found = [line for part in [*parts, end, b"\n"] for line in lines.feed(part)]
    assert found == (b"".join(parts) + end).split(b"\n")


def test_a_line_without_an_end_is_not_kept_and_is_no_link() -> None:
    lines, flood = Lines(), b"https://example.org/" + b"a" * 60_000
    for _ in range(100):
        assert lines.feed(flood) == []
    [line, after] = lines.feed(b"\nhttps://example.org/\n")
    assert len(line) == LONGEST + 1
    assert (link_of(line), link_of(after)) == ("", "https://example.org/")


def test_the_last_few_different_links_are_kept() -> None:
    links: list[str] = []
    for number in (0, 1, 2, 1, 3, 3, 4):
        links = with_link(links, str(number))
    assert links == ["2", "3", "4"]
    assert len(links) == MOST
