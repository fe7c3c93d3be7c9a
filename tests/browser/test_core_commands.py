"""Commands: what is shown of what ran, of what it printed, and of how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.stage import Stage, events, item, transcript

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject

pytestmark = pytest.mark.browser


def run(
    line: str = "x", *, status: str = "completed", output: str = "", cwd: str = "/w", code: int = 0
) -> JsonObject:
    """A transcript of one command."""
    body: JsonObject = {"command": line, "cwd": cwd, "exitCode": code}
    return transcript(item("commandExecution", status=status, output=output, body=body))


WRAPPED = {
    "/bin/bash -lc 'ls -la'": "ls -la",
    "/bin/bash -lc ls": "ls",
    'bash -lc "echo \\"hi\\" \'*\'"': "echo \"hi\" '*'",
    "/usr/bin/zsh -c 'a'\"'\"'b'": "a'b",
    "/bin/bash -lc 'a' 'b'": "/bin/bash -lc 'a' 'b'",
    '/bin/bash -lc "echo $HOME"': '/bin/bash -lc "echo $HOME"',
    "/bin/bash -lc 'ls' && rm x": "/bin/bash -lc 'ls' && rm x",
    "/opt/bash -lc 'ls'": "/opt/bash -lc 'ls'",
    "python -c 'x'": "python -c 'x'",
    "/bin/bash -lc 'unclosed": "/bin/bash -lc 'unclosed",
}


@pytest.mark.parametrize(("line", "shown"), WRAPPED.items())
def test_a_command_is_shown_without_its_shell_only_when_that_is_exact(
    stage: Stage, line: str, shown: str
) -> None:
    stage.show(run(line))

    code = stage.root.locator(".cnb-command")
    assert (code.text_content(), code.get_attribute("title")) == (shown, line)


def test_a_failed_command_shows_its_exit_code_and_its_last_16_lines(stage: Stage) -> None:
    output = "".join(f"{i}\n" for i in range(50))
    stage.show(run("make", status="failed", output=output, cwd="/w/sub", code=2))
    head = stage.root.locator(".cnb-cardhead")

    assert head.inner_text().split("\n") == ["failed", "make", "in sub", "exit 2", "2.0 s"]
    assert stage.root.locator(".cnb-terminal").inner_text().split("\n") == [
        str(i) for i in range(34, 50)
    ]


def test_output_of_a_command_that_succeeded_is_folded_and_unfolded(stage: Stage) -> None:
    output = "".join(f"{i}\n" for i in range(50))
    stage.show(run("seq 50", output=output))
    box = stage.root.locator(".cnb-terminal")
    assert box.inner_text().split("\n") == [str(i) for i in range(44, 50)]

    stage.root.get_by_role("button", name="Show all 50 lines").click()
    assert box.inner_text().split("\n") == [str(i) for i in range(50)]

    stage.root.get_by_role("button", name="Show less").click()
    assert box.inner_text().split("\n") == [str(i) for i in range(44, 50)]


SCREENS = {
    "colours": ("\x1b[31mred\x1b[0m plain", '<span class="cnb-ansi-1">red</span> plain'),
    "bold and bright": ("\x1b[1;92mok\x1b[m", '<span class="cnb-ansi-10 cnb-bold">ok</span>'),
    "256 colours": ("\x1b[38;5;196mx", '<span class="cnb-ansi-1">x</span>'),
    "true colour": ("\x1b[38;2;20;20;250mx", '<span class="cnb-ansi-4">x</span>'),
    "a progress bar": ("10%\r55%\r100%\n", "100%"),
    "carriage returns of Windows": ("a\r\nb\r\n", "a\nb"),
    "a cleared line": ("abc\x1b[2Kd", "d"),
    "backspaces": ("abc\b\bd", "ad"),
    "an operating system command": (
        "a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c\x1b]8;;\x1b\\",
        "abc",
    ),
    "other strings": ("a\x1bPq#1\x1b\\b\x1b_x\x1b\\c\x1b^y\x1b\\d", "abcd"),
    "an unclosed command": ("a\x1b]0;title\nb", "a]0;title\nb"),
    "cursor movement": ("a\x1b[2Ab\x1b[10;5Hc\x1b7\x1b8\x1b=d", "abcd"),
    "eight-bit controls": ("a\x9b31mb\x9d0;t\x9cc", 'a<span class="cnb-ansi-1">bc</span>'),
    "markup": ("<b>x</b>&amp;", "&lt;b&gt;x&lt;/b&gt;&amp;amp;"),
}


@pytest.mark.parametrize("name", SCREENS)
def test_terminal_output_keeps_colours_and_nothing_else(stage: Stage, name: str) -> None:
    text, expected = SCREENS[name]
    stage.show(run(output=text))

    assert stage.root.locator(".cnb-terminal").inner_html() == expected


@pytest.mark.parametrize("name", SCREENS)
def test_terminal_output_is_the_same_in_any_pieces(stage: Stage, name: str) -> None:
    text, expected = SCREENS[name]
    stage.show(run(status="in_progress"))
    append: JsonObject = {"op": "append", "in": "items", "id": "i", "field": "output"}
    stage.send(*(events(n, {**append, "text": piece}) for n, piece in enumerate(text)))

    assert stage.root.locator(".cnb-terminal").inner_html() == f"<div>{expected}</div>"
