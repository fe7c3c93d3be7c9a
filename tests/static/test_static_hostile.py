"""The static transcript and foreign data: nothing runs, loads, breaks out or grows."""

from __future__ import annotations

import copy
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import mistune
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex_nb.static.clean import reveal
from codex_nb.static.forms import forms_of, html_of, markdown_of

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

DATA = Path(__file__).parents[1] / "data"
TRANSCRIPTS: dict[str, JsonObject] = {
    name: json.loads((DATA / "static" / f"{name}.json").read_text("utf-8"))
    for name in ("two_turns", "failed")
}
HOSTILE: dict[str, str] = {
    payload["name"]: payload["text"]
    for payload in json.loads((DATA / "hostile.json").read_text("utf-8"))
}
# Where a hostile word would only make another kind of block.
STRUCTURE = {"id", "turn", "item", "type", "status", "kind", "level", "decision"}
LARGEST = 512 * 1024

VOID = {"br", "hr"}
TAGS = {
    *("a", "blockquote", "br", "code", "del", "details", "div", "em", "h4", "h5", "h6", "hr", "li"),
    *("ol", "p", "pre", "span", "strong", "style", "summary", "table", "tbody", "td", "th"),
    *("thead", "tr", "ul"),
}
CLASSES = {
    *("codex-nb-static", "cx-bad", "cx-block", "cx-box", "cx-end", "cx-good", "cx-out", "cx-plan"),
    *("cx-prompt", "cx-small", "cx-warn", "jp-toc-ignore"),
    *("mathjax_ignore", "mathjax_process", "tex2jax_ignore", "tex2jax_process"),
}
FIXED = {
    ("dir", "auto"),
    ("rel", "noopener noreferrer nofollow"),
    *(("align", where) for where in ("left", "center", "right")),
    *(("title", meaning) for meaning in ("done", "in progress", "to do")),
}


class Inspector(HTMLParser):
    """Collects what is not on the allow-list, and what is not balanced."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.open: list[str] = []
        self.styles = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.faults.append(f"<{tag}>")
        if tag not in VOID:
            self.open.append(tag)
        self.styles += tag == "style"
        self.faults += [
            f"{tag} {name}={value}" for name, value in attrs if not allowed(name, value)
        ]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and (not self.open or self.open.pop() != tag):
            self.faults.append(f"</{tag}>")

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"<!--{data}")

    def handle_decl(self, decl: str) -> None:
        self.faults.append(f"<!{decl}")

    def unknown_decl(self, data: str) -> None:
        self.faults.append(f"<![{data}")

    def handle_pi(self, data: str) -> None:
        self.faults.append(f"<?{data}")


def allowed(name: str, value: str | None) -> bool:
    value = value or ""
    if name == "class":
        return set(value.split()) <= CLASSES
    if name == "href":
        return value.lower().startswith(("http://", "https://", "mailto:")) and value.isprintable()
    if name == "start":
        return value.isdigit()
    return (name, value) in FIXED


def inspect(page: str, *, styles: int = 1) -> list[str]:
    inspector = Inspector()
    inspector.feed(page)
    inspector.close()
    unclosed = [f"unclosed {tag}" for tag in inspector.open]
    return inspector.faults + unclosed + ["styles"] * (inspector.styles != styles)


def plant(value: Json, text: str, *, spared: set[str], key: str = "") -> Json:
    """The value with every string replaced, except under the spared keys."""
    if isinstance(value, dict):
        return {name: plant(part, text, spared=spared, key=name) for name, part in value.items()}
    if isinstance(value, list):
        return [plant(part, text, spared=spared, key=key) for part in value]
    return text if isinstance(value, str) and key not in spared else value


def infested(text: str) -> list[JsonObject]:
    planted = [
        plant(transcript, text, spared=spared)
        for transcript in TRANSCRIPTS.values()
        for spared in (STRUCTURE, {"id", "turn"})
    ]
    return [value for value in planted if isinstance(value, dict)]


def test_the_unhandled_forms_of_a_transcript_have_no_fault() -> None:
    assert [inspect(html_of(transcript)) for transcript in TRANSCRIPTS.values()] == [[], []]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_in_every_field_stays_text(name: str) -> None:
    for transcript in infested(HOSTILE[name]):
        bundle = forms_of(transcript)
        seen = "".join(bundle.values()).replace("\n", "").replace("\t", "")

        assert inspect(bundle["text/html"]) == []
        assert len((bundle["text/html"] + bundle["text/markdown"]).encode()) <= LARGEST
        assert reveal(seen) == seen


@pytest.mark.parametrize("reader", ["mistune", "markdown_it"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_in_markdown_is_harmless_to_a_reader_that_allows_html(
    name: str, reader: str
) -> None:
    for transcript in infested(HOSTILE[name]):
        page = read_markdown(markdown_of(transcript), reader)
        inspector = Inspector()
        inspector.feed(page)
        loose = ("rel=", "class=language-", "a title=", "<h1>", "<h2>", "<h3>", "style=text-align:")
        rest = [fault for fault in inspector.faults if not any(word in fault for word in loose)]

        assert [fault for fault in rest if not is_plain_path(fault)] == []


def read_markdown(text: str, reader: str) -> str:
    if reader == "mistune":
        return str(mistune.create_markdown(escape=False, plugins=["table", "strikethrough"])(text))
    markdown_it = pytest.importorskip("markdown_it", reason="markdown-it-py is a second reader")
    parser = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.validateLink = lambda _: True
    return str(parser.render(text))


@pytest.mark.parametrize("name", HOSTILE)
def test_the_html_inside_of_markdown_is_not_read_as_markdown(name: str) -> None:
    for transcript in infested(HOSTILE[name]):
        page = html_of(transcript)

        assert read_markdown(page, "mistune").strip() == page.strip()
        assert read_markdown(page, "markdown_it") == page


def is_plain_path(fault: str) -> bool:
    """Whether a fault is only a link without a scheme: a reader decides what it is relative to."""
    name, _, target = fault.partition("=")
    return name == "a href" and ":" not in target.split("/")[0].split("?")[0].split("#")[0]


@pytest.mark.parametrize(
    "letter", ["x", '"', "&", "`", "漢", "\U000e0041", "- a\n", "[a](http://b)"]
)
def test_no_session_is_too_long_for_a_notebook(letter: str) -> None:
    transcript = copy.deepcopy(TRANSCRIPTS["two_turns"])
    items = transcript["items"]
    assert isinstance(items, list)
    transcript["items"] = [plant(item, letter * 9_000, spared=STRUCTURE) for item in items * 40]
    bundle = forms_of(transcript)

    assert len((bundle["text/html"] + bundle["text/markdown"]).encode()) <= LARGEST
    assert len(bundle["text/plain"].encode()) <= LARGEST
    assert [" left out …" in form for form in bundle.values()] == [True, True, True]
    assert inspect(bundle["text/html"]) == []


texts = st.text(max_size=30) | st.sampled_from(["\ud800", "\x1b[", "```", "<!--", "![", "\r\b"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -1, 0])
    | st.floats(allow_nan=True, allow_infinity=True)
    | texts
)
values = st.recursive(
    leaves,
    lambda part: st.lists(part, max_size=3) | st.dictionaries(texts, part, max_size=3),
    max_leaves=8,
)


def paths_of(value: Json) -> list[list[str | int]]:
    """Every place in a JSON value, as the keys and indices that lead to it."""
    if not isinstance(value, dict | list):
        return []
    inner: list[tuple[str | int, Json]] = [
        *(value.items() if isinstance(value, dict) else enumerate(value))
    ]
    return [path for key, part in inner for path in [[key], *([key, *p] for p in paths_of(part))]]


def put(target: Json, path: list[str | int], value: Json) -> None:
    """Replace what is at a path, if an earlier replacement has left it there."""
    *way, last = path
    for key in way:
        target = at(target, key)
    if isinstance(target, dict) and isinstance(last, str):
        target[last] = value
    if isinstance(target, list) and isinstance(last, int) and last < len(target):
        target[last] = value


def at(value: Json, key: str | int) -> Json:
    if isinstance(value, dict) and isinstance(key, str):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return value[key]
    return None


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), name=st.sampled_from(sorted(TRANSCRIPTS)))
def test_no_value_in_any_place_raises(data: st.DataObject, name: str) -> None:
    transcript = copy.deepcopy(TRANSCRIPTS[name])
    places = paths_of(transcript)
    for path in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=12)):
        put(transcript, path, data.draw(values))
    bundle = forms_of(transcript)

    assert inspect(bundle["text/html"]) == []
    assert "".join(bundle.values()).encode()
