"""The order in which a static transcript tells a session.

A window of turns becomes a list of entries. An entry is read only when it is asked for, because of
a long session only the beginning and the end are shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from codex_nb.static.blocks import (
    Block,
    Checklist,
    Closing,
    Heading,
    Level,
    Message,
    Notice,
    Step,
)
from codex_nb.static.clean import elide, one_line, resolve_terminal, reveal
from codex_nb.static.items import read_approval, read_diff, read_item
from codex_nb.static.values import duration, mapping, mappings, number, words
from codex_nb.terminal.links import MOST, link_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_nb.protocol.messages import Json, JsonObject

Entry: TypeAlias = "Callable[[], Block]"
Window: TypeAlias = tuple[int, int | None]

_STEPS_SHOWN = 100
_WITHDRAWN = "withdrawn"
_TURN_STATUS = {
    "completed": "completed",
    "failed": "failed",
    "in_progress": "still running",
    "interrupted": "interrupted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """A transcript with its items and approvals by turn."""

    transcript: JsonObject
    turns: list[Json]
    items: dict[str, list[JsonObject]]
    approvals: dict[str, list[JsonObject]]


def entries_of(transcript: JsonObject, window: Window) -> list[Entry]:
    """What a window of turns shows, in order.

    Args:
        transcript: The value that docs/architecture.md describes, with whatever is wrong in it.
        window: Indices of turns, from the first to before the last; None means up to the end.

    Returns:
        One reader per entry; calling it does the work.
    """
    session = mapping(transcript.get("session"))
    turns = transcript.get("turns")
    told = _Told(
        transcript=transcript,
        turns=turns if isinstance(turns, list) else [],
        items=_grouped(transcript.get("items"), "turn"),
        approvals=_grouped(transcript.get("approvals"), "turn"),
    )
    count = len(told.turns)
    start, stop = max(0, window[0]), count if window[1] is None else min(window[1], count)
    entries: list[Entry] = [partial(_heading, session)]
    for index in range(start, stop):
        entries += _turn_entries(told, index)
    if stop >= count:
        entries += _links(session)
        entries += _session_problem(session)
    return entries


def _turn_entries(told: _Told, index: int) -> list[Entry]:
    turn = mapping(told.turns[index])
    if mapping(turn.get("error")).get("kind") == _WITHDRAWN:
        return []  # its message was taken back; it stands there for the places of the others
    latest = index == len(told.turns) - 1
    cwd = words(mapping(told.transcript.get("session")).get("cwd"))
    name = turn.get("id")
    items = told.items.get(name, []) if isinstance(name, str) else []
    approvals = told.approvals.get(name, []) if isinstance(name, str) else []
    entries = _item_entries(items, approvals, cwd)
    plan = mapping(told.transcript.get("plan"))
    if plan.get("turn") == name or (latest and "turn" not in plan):
        # The prompt stands first, and the plan says how it was taken.
        entries[1:1] = _plan(plan)
    if latest:
        diff = words(told.transcript.get("diff"))
        if diff and not any(item.get("type") == "fileChange" for item in items):
            entries.append(partial(read_diff, diff))
    for notice in _notices(told, index):
        entries += _notice(notice)
    if error := mapping(turn.get("error")):
        entries.append(partial(_problem, error))
    usage = mapping(mapping(told.transcript.get("usage")).get("total")) if latest else {}
    entries.append(partial(_closing, turn, usage))
    return entries


def _grouped(values: Json, key: str) -> dict[str, list[JsonObject]]:
    groups: dict[str, list[JsonObject]] = {}
    for value in mappings(values):
        if isinstance(name := value.get(key), str):
            groups.setdefault(name, []).append(value)
    return groups


def _item_entries(items: list[JsonObject], approvals: list[JsonObject], cwd: str) -> list[Entry]:
    """Items in order, each after the approvals that it waited for; the others come last."""
    entries: list[Entry] = []
    waiting = _grouped([*approvals], "item")
    shown: set[int] = set()
    for item in items:
        for name in (item.get("id"), mapping(item.get("body")).get("id")):
            asked = waiting.pop(name, []) if isinstance(name, str) else []
            entries += [partial(read_approval, approval, item, cwd) for approval in asked]
            shown.update(map(id, asked))
        entries.append(partial(read_item, item, cwd))
    rest = [approval for approval in approvals if id(approval) not in shown]
    return entries + [partial(read_approval, approval, {}, cwd) for approval in rest]


def _heading(session: JsonObject) -> Heading:
    effort = words(session.get("effort"))
    parts = [
        "Codex",
        words(session.get("name")),
        f"{words(session.get('model'))} {effort}".strip(),
        words(session.get("sandbox")),
        "network" if session.get("network") is True else "",
        f"replay {replay}" if (replay := words(session.get("replay") or None)) else "",
    ]
    return Heading(text=" · ".join(one_line(part, 80) for part in parts if part))


def _plan(plan: JsonObject) -> list[Entry]:
    steps = mappings(plan.get("steps"))
    return [partial(_checklist, words(plan.get("explanation")), steps)] if steps else []


def _checklist(explanation: str, steps: list[JsonObject]) -> Checklist:
    shown = [
        Step(text=one_line(words(step.get("step"))), status=words(step.get("status")))
        for step in steps[:_STEPS_SHOWN]
    ]
    return Checklist(explanation=one_line(explanation, 1_000), steps=tuple(shown))


def _notices(told: _Told, index: int) -> list[JsonObject]:
    """The notices that came in the time of a turn, which lasts until the next one starts.

    The first turn also has what came before it, and what has no time goes to the latest.
    """
    starts = [number(mapping(turn).get("started_at")) for turn in told.turns[index : index + 2]]
    begin = -math.inf if index == 0 or starts[0] is None else starts[0]
    latest = index == len(told.turns) - 1
    end = math.inf if latest or starts[1] is None else starts[1]
    found = []
    for notice in mappings(told.transcript.get("notices")):
        at = number(notice.get("at"))
        if latest if at is None else begin <= at < end:
            found.append(notice)
    return found


def _notice(notice: JsonObject) -> list[Entry]:
    level = notice.get("level")
    if level not in ("warning", "error"):
        return []
    shown: Level = "error" if level == "error" else "warning"
    text, hint = words(notice.get("text")), words(notice.get("hint"))
    return [partial(_make_notice, shown, text, hint, "")]


def _problem(error: JsonObject) -> Notice:
    text = words(error.get("message")) or words(error.get("kind")) or "The turn failed."
    return _make_notice("error", text, words(error.get("hint")), words(error.get("detail")))


def _links(session: JsonObject) -> list[Entry]:
    """What Codex in a terminal that runs asks to open in a browser, for who has no other view."""
    terminal = mapping(session.get("terminal"))
    if terminal.get("status") != "running" or session.get("ended"):
        return []
    asked = terminal.get("links")
    told = map(words, asked) if isinstance(asked, list) else ()
    links = [link for text in told if (link := link_of(text.encode(errors="replace")))]
    return [partial(_make_request, link) for link in links[-MOST:]]


def _make_request(link: str) -> Message:
    return Message(text=f"Codex in the terminal asks to open <{link}>")


def _session_problem(session: JsonObject) -> list[Entry]:
    if session.get("status") != "failed":
        return []
    hint, detail = words(session.get("hint")), words(session.get("detail"))
    return [partial(_make_notice, "error", "The session failed.", hint, detail)]


def _make_notice(level: Level, text: str, hint: str, detail: str) -> Notice:
    # A message of several lines keeps its first as the text and all of them as the detail.
    if "\n" in text.strip() and not detail:
        text, detail = text.strip().split("\n", 1)
    return Notice(
        level=level,
        text=one_line(text, 1_000),
        hint=one_line(hint, 1_000),
        detail=elide(reveal(resolve_terminal(detail))),
    )


def _closing(turn: JsonObject, usage: JsonObject) -> Closing:
    status = words(turn.get("status"))
    started, completed = number(turn.get("started_at")), number(turn.get("completed_at"))
    if started is not None and completed is not None and completed >= started:
        ran = f" in {duration(completed - started)}"
    else:
        ran = ""
    parts = [one_line(_TURN_STATUS.get(status, status) or "unknown", 40) + ran, *_tokens(usage)]
    return Closing(text=" · ".join(parts), failed=status in ("failed", "interrupted"))


def _tokens(usage: JsonObject) -> list[str]:
    total = number(usage.get("total"))
    if not total:
        return []
    cached = number(usage.get("cached_input"))
    kept = f" ({cached:,.0f} from cache)" if cached else ""
    return [f"{total:,.0f} tokens{kept} in this session"]
