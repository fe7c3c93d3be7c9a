"""The static transcript: what it says, and how."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_nb.static.as_html import page_of
from codex_nb.static.as_markdown import safe_markdown
from codex_nb.static.clean import elide, resolve_terminal, reveal, reveal_all
from codex_nb.static.forms import forms_of, html_of, markdown_of, text_of
from codex_nb.static.prose import html_of_markdown
from codex_nb.static.values import duration, without_shell

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

DATA = Path(__file__).parents[1] / "data"
TRANSCRIPTS: dict[str, JsonObject] = {
    name: json.loads((DATA / "static" / f"{name}.json").read_text("utf-8"))
    for name in ("two_turns", "failed")
}


@pytest.mark.parametrize("name", TRANSCRIPTS)
@pytest.mark.parametrize(("kind", "suffix"), [("text/plain", "txt"), ("text/markdown", "md")])
def test_a_session_reads_as_in_the_kept_example(name: str, kind: str, suffix: str) -> None:
    expected = (DATA / "static" / f"{name}.{suffix}").read_text("utf-8")

    assert forms_of(TRANSCRIPTS[name])[kind] == expected


def test_a_failed_session_has_the_html_of_the_kept_example() -> None:
    expected = (DATA / "static" / "failed.html").read_text("utf-8")

    assert html_of(TRANSCRIPTS["failed"]).replace(page_of([]).split("\n</div>")[0], "") == expected


def test_the_bundle_is_the_three_forms() -> None:
    transcript = TRANSCRIPTS["two_turns"]

    assert forms_of(transcript, window=(1, 2)) == {
        "text/plain": text_of(transcript, window=(1, 2)),
        "text/markdown": markdown_of(transcript, window=(1, 2)),
        "text/html": html_of(transcript, window=(1, 2)),
    }


def test_a_window_shows_its_turns_only() -> None:
    first = text_of(TRANSCRIPTS["two_turns"], window=(0, 1))
    second = text_of(TRANSCRIPTS["two_turns"], window=(1, None))

    assert [line for line in (first + second).split("\n") if line.startswith((">", "$", "—"))] == [
        "> Why does the mean of south.csv fail? Fix it, and add a test.",
        ">",
        "> Keep the public names as they are.",
        "$ pytest -q tests/test_readings.py",
        "$ grep -n '°' data/south.csv",
        "$ pip install -U pandas",
        "— completed in 54 s",
        "> Now push it.",
        "$ git push --force origin main",
        "— completed in 4.4 s · 48,213 tokens (31,200 from cache) in this session",
    ]


@pytest.mark.parametrize("window", [(5, None), (-3, 0), (2, 1), (0, -1)])
def test_a_window_outside_of_the_turns_shows_none(window: tuple[int, int | None]) -> None:
    heading = "Codex · sensors · gpt-5.6-codex medium · workspace-write · replay sensors.toml\n"

    assert text_of(TRANSCRIPTS["two_turns"], window=window) == heading


def test_an_empty_transcript_is_a_heading() -> None:
    assert (text_of({}), markdown_of({})) == ("Codex\n", "*Codex*\n")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("![a](https://x.example/i.png)", "[a](https://x.example/i.png)"),
        ("!![a](b)", "[a](b)"),
        ("a < b and <b>bold</b>", "a < b and &lt;b>bold&lt;/b>"),
        ("`<b>` and <b>", "`<b>` and &lt;b>"),
        ("`<b>\n` <i>", "`&lt;b>\n` &lt;i>"),
        ("<https://x.example>", "<https://x.example>"),
        ("[a](JavaScript:1) [b](&#106;s:1)", "[a]\\(JavaScript:1) [b]\\(&#106;s:1)"),
        ("[a]: data:text/html,x", "[a]\\: data:text/html,x"),
        ("](b[a](\njs:1)", "](b[a]\\(\njs:1)"),
        ("[a](j" + "&Tab;" * 999 + "s:1)", "[a]\\(j" + "&Tab;" * 999 + "s:1)"),
        ("```py\nx", "```py\nx\n```"),
        ("1. a\n   ```\n   <b>\n   ```\n2. b", "1. a\n\n```\n<b>\n```\n\n2. b"),
        ("> ```\n> <b>", "> \\`\\`\\`\n> &lt;b>"),
        ("~~~\n```\n~~~", "````\n```\n````"),
    ],
)
def test_foreign_markdown_is_disarmed_and_otherwise_kept(source: str, expected: str) -> None:
    assert safe_markdown(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "[![badge](https://x.example/b.svg)](https://x.example/c)",
            '<p><a href="https://x.example/c" rel="noopener noreferrer nofollow">badge</a></p>\n',
        ),
        ("![q](data:image/png;base64,xx)", "<p>q</p>\n"),
        ("[a](javascript:1) [b](/tree)", "<p>a b</p>\n"),
        ("<b onclick=1>", "<p>&lt;b onclick=1&gt;</p>\n"),
        ("# Title", '<h4 class="jp-toc-ignore">Title</h4>\n'),
        ('```py" onload=1\n<\n```', "<pre><code>&lt;\n</code></pre>\n"),
    ],
)
def test_foreign_markdown_becomes_inert_html(source: str, expected: str) -> None:
    assert html_of_markdown(source) == expected


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("\x1b[1;31mred\x1b[0m\x07", "red"),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
        ("\x1b]0;never ends\nnext", "0;never ends\nnext"),
        (" 10%\r 50%\r100%\r\ndone\r\n", "100%\ndone\n"),
        ("downloading\rdone\x1b[K", "done"),
        ("downloading\x1b[2K\rdone", "done"),
        ("abc\b\bX", "aXc"),
        ("\x9b32mC1\x9b0m \ud800", "C1 \ufffd"),
    ],
)
def test_output_is_what_a_terminal_shows_in_the_end(printed: str, expected: str) -> None:
    assert resolve_terminal(printed) == expected


def test_characters_that_hide_or_reorder_are_shown() -> None:
    text = "a\u202eb\u200bc\u00a0d\U000e0041 é 漢 \u3164"

    assert reveal_all(text) == "a⟨U+202E⟩b⟨U+200B⟩c⟨U+00A0⟩d⟨U+E0041⟩ é 漢 ⟨U+3164⟩"
    assert reveal(text) == "a⟨U+202E⟩b\u200bc\u00a0d⟨U+E0041⟩ é 漢 \u3164"


def test_long_output_keeps_its_first_and_last_forty_lines() -> None:
    lines = [f"line {index}" for index in range(1_080)]

    assert elide("\n".join(lines)).split("\n") == [
        *lines[:40],
        "… 1,000 lines left out …",
        *lines[-40:],
    ]
    assert elide("\n".join(lines[:80])) == "\n".join(lines[:80])
    assert elide("x" * 1_500) == "x" * 400 + " … 1,000 characters left out … " + "x" * 100


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("/bin/bash -lc 'echo '\\''a'\\'''", "echo 'a'"),
        ("bash -c ls", "ls"),
        ("/bin/bash -lc 'ls' extra", "/bin/bash -lc 'ls' extra"),
        ("/bin/bash -lc 'open", "/bin/bash -lc 'open"),
        ("python -c x", "python -c x"),
    ],
)
def test_the_shell_around_a_command_is_not_shown(command: str, expected: str) -> None:
    assert without_shell(command) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(None, ""), (0.01, ""), (9.96, "10 s"), (185, "3 min 05 s"), (3_720, "1 h 02 min")],
)
def test_a_duration_is_read_at_a_glance(seconds: float | None, expected: str) -> None:
    assert duration(seconds) == expected


def test_the_beginning_and_the_end_of_a_long_session_are_kept() -> None:
    items: list[Json] = [
        {"turn": "t", "type": "agentMessage", "text": f"message {index} " + "x" * 990}
        for index in range(1_000)
    ]
    transcript: JsonObject = {"turns": [{"id": "t"}], "items": items}
    lines = [line.split(" x")[0] for line in text_of(transcript).split("\n") if line]

    assert (lines[1], lines[53:56], lines[-2]) == (
        "message 0",
        ["message 52", "… 841 entries left out …", "message 894"],
        "message 999",
    )


def test_mistune_is_not_imported_before_html_is_made() -> None:
    script = "import sys, codex_nb.static.forms; sys.exit('mistune' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0


def test_a_message_that_was_taken_back_leaves_no_trace() -> None:
    turns: list[Json] = [
        {"id": "a", "status": "completed", "started_at": 1.0, "completed_at": 2.0, "error": None},
        {"id": "b", "status": "interrupted", "error": {"kind": "withdrawn", "message": "Taken."}},
    ]
    whole: JsonObject = {"session": {"name": "demo"}, "turns": turns}
    assert text_of(whole) == text_of({**whole, "turns": turns[:1]})


def test_what_a_running_terminal_asks_to_open_can_be_followed() -> None:
    link = "https://auth.example.com/authorize?a=b&c=d"
    links: list[Json] = ["https://a@b.example", "javascript:alert(1)", link, 1, None]
    terminal: JsonObject = {"status": "running", "links": links}
    session: JsonObject = {"status": "idle", "terminal": terminal}
    forms = forms_of({"session": session})

    asked = f"Codex in the terminal asks to open <{link}>"
    assert [line for line in forms["text/plain"].split("\n") if "open" in line] == [asked]
    assert [line for line in forms["text/markdown"].split("\n") if "open" in line] == [asked]
    assert forms["text/html"].count("<a ") == 1
    assert 'href="https://auth.example.com/authorize?a=b&amp;c=d"' in forms["text/html"]

    over: list[JsonObject] = [
        {**session, "ended": "closed"},
        {**session, "terminal": {**terminal, "status": "ended"}},
    ]
    assert [text for it in over if "open" in (text := text_of({"session": it}))] == []
