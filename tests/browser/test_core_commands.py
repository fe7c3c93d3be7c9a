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

    box = stage.root.locator(".cnb-command")
    title = "" if shown == line else line
    assert (box.locator("code").text_content(), box.get_attribute("title")) == (shown, title)


def test_a_long_command_is_folded_and_unfolded(stage: Stage) -> None:
    stage.show(run("\n".join(f"line {i}" for i in range(40))))
    code = stage.root.locator(".cnb-command code")
    folded = code.evaluate("(it) => it.clientHeight")

    stage.root.get_by_role("button", name="Show more").click()

    unfolded = code.evaluate("(it) => it.clientHeight")
    assert (round(folded / 18), round(unfolded / 18)) == (8, 40)


def test_what_ran_and_what_it_printed_can_be_copied(stage: Stage) -> None:
    stage.page.evaluate(
        """() => Object.defineProperty(navigator, "clipboard", {
          value: { writeText: async (text) => { (window.copied ??= []).push(text); } },
        })"""
    )
    stage.show(run("/bin/bash -lc 'ls \u202e'", output="\x1b[31ma\x1b[0m\nb\n"))

    stage.root.get_by_role("button", name="Copy the command").click()
    stage.root.locator(".cnb-output").hover()
    stage.root.get_by_role("button", name="Copy the output").click()

    stage.root.get_by_role("button", name="Copied").first.wait_for()
    assert stage.page.evaluate("() => window.copied") == ["ls \u202e", "a\nb\n"]


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


def printed(stage: Stage) -> str:
    """The lines of the output, as markup."""
    rows = stage.root.locator(".cnb-terminal .cnb-row")
    lines: list[str] = rows.evaluate_all("(all) => all.map((it) => it.innerHTML)")
    return "\n".join(lines)


@pytest.mark.parametrize("name", SCREENS)
def test_terminal_output_keeps_colours_and_nothing_else(stage: Stage, name: str) -> None:
    text, expected = SCREENS[name]
    stage.show(run(output=text))

    assert printed(stage) == expected


@pytest.mark.parametrize("name", SCREENS)
def test_terminal_output_is_the_same_in_any_pieces(stage: Stage, name: str) -> None:
    text, expected = SCREENS[name]
    stage.show(run(status="in_progress"))
    append: JsonObject = {"op": "append", "in": "items", "id": "i", "field": "output"}
    stage.send(*(events(n, {**append, "text": piece}) for n, piece in enumerate(text)))

    assert printed(stage) == expected


def append_lines(since: int, lines: range) -> JsonObject:
    text = "".join(f"line {i}\n" for i in lines)
    return events(
        since, {"op": "append", "in": "items", "id": "i", "field": "output", "text": text}
    )


IN_SIGHT = """(box) => {
  const top = box.getBoundingClientRect().top;
  const rows = [...box.querySelectorAll(".cnb-row")].filter((it) => {
    const place = it.getBoundingClientRect();
    return place.bottom > top + 1 && place.top < top + box.clientHeight - 1;
  });
  return rows.map((it) => it.textContent);
}"""


def test_of_many_lines_only_those_in_sight_are_in_the_document(stage: Stage) -> None:
    stage.show(run(status="in_progress"))
    for n in range(50):
        stage.send(append_lines(n, range(n * 1000, (n + 1) * 1000)))
    box = stage.root.locator(".cnb-terminal")

    assert box.evaluate(IN_SIGHT)[-1] == "line 49999"
    assert box.locator(".cnb-row").count() < 120

    box.evaluate("(it) => { it.scrollTop = 18 * 20_000; }")
    stage.settle()
    in_sight = box.evaluate(IN_SIGHT)
    assert "line 20005" in in_sight
    assert box.locator(".cnb-row").count() < 120

    stage.send(append_lines(50, range(50_000, 51_000)))
    assert box.evaluate(IN_SIGHT) == in_sight


def test_a_box_that_was_scrolled_back_to_its_end_follows_it_again(stage: Stage) -> None:
    stage.show(run(status="in_progress"))
    stage.send(append_lines(0, range(1000)))
    box = stage.root.locator(".cnb-terminal")
    for top in (100, 1_000_000):
        box.evaluate("(it, top) => { it.scrollTop = top; }", top)
        stage.settle()

    stage.send(append_lines(1, range(1000, 2000)))

    assert box.evaluate(IN_SIGHT)[-1] == "line 1999"


def test_all_lines_of_a_long_output_can_be_reached_when_the_command_is_done(stage: Stage) -> None:
    stage.show(run(output="".join(f"line {i}\n" for i in range(5000))))
    stage.root.get_by_role("button", name="Show all 5,000 lines").click()
    box = stage.root.locator(".cnb-terminal")
    assert box.evaluate(IN_SIGHT)[0] == "line 0"

    box.evaluate("(it) => { it.scrollTop = it.scrollHeight; }")
    stage.settle()

    assert box.evaluate(IN_SIGHT)[-1] == "line 4999"


def test_a_long_line_is_shown_on_demand(stage: Stage) -> None:
    stage.show(run(output="x" * 20_000))
    box = stage.root.locator(".cnb-terminal")
    assert box.inner_text() == "x" * 5000 + " … 15,000 more characters"

    stage.root.get_by_role("button", name="Show all 1 line").click()

    assert box.inner_text() == "x" * 20_000
