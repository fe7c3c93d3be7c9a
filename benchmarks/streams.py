"""What the benchmarks let stream: numbered words of a model, of a command and of two widgets."""

from __future__ import annotations

import json
import re
from itertools import count, cycle
from typing import TYPE_CHECKING

from codex_nb.replay.stream import ResponseStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_nb.protocol.messages import JsonObject

WORD = r"t(\d{4})"
"""A numbered word, for Python and for JavaScript."""

LINE = r"L(\d{5})"
"""The same of a line of output."""

_PRINTING = """
import json, sys, time
from pathlib import Path
times = []
start = time.perf_counter()
for number in range({lines}):
    times.append(time.time())
    print(f"L{{number:05d}}  step of an epoch, loss 0.{{number * 7919 % 100000:05d}}")
    if number % {chunk} == {chunk} - 1:
        sys.stdout.flush()
        time.sleep(max(0.0, start + number / {pace} - time.perf_counter()))
Path({result!r}).write_text(json.dumps(times))
"""
_WIDGET = """
import json, time
from pathlib import Path
import ipywidgets
{make}
display(widget)
times = []
start = time.perf_counter()
for number in range({count}):
    times.append(time.time())
    {add}
    time.sleep(max(0.0, start + (number + 1) / {pace} - time.perf_counter()))
Path({result!r}).write_text(json.dumps(times))
"""


def message_of(deltas: int) -> str:
    """A message in Markdown of so many deltas, with all that a long answer has."""
    numbers = count()
    text = ""
    for section in cycle(_SECTIONS):
        longer = text + section(numbers)
        if count_deltas(longer) >= deltas:
            break
        text = longer
    left = deltas - count_deltas(text.rstrip())
    number = len(re.findall(WORD, text))
    words = [f"t{each:04d}" for each in range(number, number + left)]
    return text + "\n\n".join(" ".join(words[at : at + 60]) for at in range(0, left, 60))


def count_deltas(text: str) -> int:
    """In how many deltas a replay gives out a message."""
    frames = ResponseStream(pause=0.0).message(text, final=True)
    return sum(frame.event["type"] == "response.output_text.delta" for frame in frames)


def _words(numbers: Iterator[int], size: int) -> list[str]:
    return [f"t{next(numbers):04d}" for _ in range(size)]


def _paragraph(numbers: Iterator[int]) -> str:
    words = _words(numbers, 60)
    words[10], words[30] = f"**{words[10]}**", f"`{words[30]}`"
    return " ".join(words) + "\n\n"


def _heading(numbers: Iterator[int]) -> str:
    return f"## {' '.join(_words(numbers, 4))}\n\n"


def _list(numbers: Iterator[int]) -> str:
    return "".join(f"- {' '.join(_words(numbers, 9))}\n" for _ in range(6)) + "\n"


def _code(numbers: Iterator[int]) -> str:
    lines = (f"    {' = '.join(_words(numbers, 3))}\n" for _ in range(14))
    return f"```python\ndef run():\n{''.join(lines)}```\n\n"


def _table(numbers: Iterator[int]) -> str:
    rows = [f"| {' | '.join(_words(numbers, 3))} |\n" for _ in range(6)]
    return f"{rows[0]}|---|---|---|\n{''.join(rows[1:])}\n"


_SECTIONS = (_heading, _paragraph, _paragraph, _list, _paragraph, _code, _paragraph, _table)


def scenario(*steps: dict[str, str]) -> str:
    """A replay that answers every prompt with these steps, as the text of its file."""
    lines = ['title = "Streams"', "[[turn]]"]
    for step in steps:
        lines += ["[[turn.step]]", *(f"{key} = {json.dumps(text)}" for key, text in step.items())]
    return "\n".join(lines) + "\n"


def times_of(events: list[JsonObject], pattern: str, field: str) -> dict[int, float]:
    """When each number was whole in a field of the items, in Unix seconds.

    Args:
        events: The log of a session.
        pattern: WORD or LINE.
        field: `text` or `output`.
    """
    expression = re.compile(pattern)
    times: dict[int, float] = {}
    rest = ""
    for event in events:
        if event.get("op") == "append" and event.get("field") == field:
            text = rest + str(event["text"])
        elif event.get("in") == "items" and isinstance(value := event.get("value"), dict):
            # What a short command printed may come with its end only.
            text = str(value.get(field))
        else:
            continue
        end = 0
        for found in expression.finditer(text):
            times.setdefault(int(found[1]), float(str(event["t"])))
            end = found.end()
        rest = text[end:][-10:]
    return times


def count_appends(events: list[JsonObject], field: str) -> int:
    """How many events appended to a field of the items."""
    return sum(it.get("op") == "append" and it.get("field") == field for it in events)


def html_widget(words: int, *, pace: float, result: str) -> str:
    """A cell that sends the whole value of a widget again with each word.

    Args:
        words: How many.
        pace: Words a second.
        result: The file for the time of each word.
    """
    return _WIDGET.format(
        make="widget = ipywidgets.HTML()",
        add='widget.value += f"t{number:04d} "',
        count=words,
        pace=pace,
        result=result,
    )


def output_widget(lines: int, *, pace: float, result: str) -> str:
    """The same with `Output.append_stdout` and lines."""
    return _WIDGET.format(
        make="widget = ipywidgets.Output()",
        add=r'widget.append_stdout(f"t{number:04d} is a line of some words\n")',
        count=lines,
        pace=pace,
        result=result,
    )


def printing(lines: int, *, pace: float, result: str) -> str:
    """Python that prints numbered lines, in a cell or as a command.

    Args:
        lines: How many.
        pace: Lines a second.
        result: The file for the time of each line.
    """
    return _PRINTING.format(lines=lines, chunk=max(1, round(pace / 20)), pace=pace, result=result)
