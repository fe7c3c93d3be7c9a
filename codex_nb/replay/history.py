"""Where in a conversation a request of codex stands.

Codex sends the whole history with every request, so the place is read from it, and the model works
after an interrupt, a retry, a resume in a new process and with several threads. Each call that the
model makes carries its step in its call id. What the history does not tell is remembered from
earlier requests: which turn id began at which message, and so which later messages only steered
that turn, and how far a turn was when codex shortened its history.

Checked against codex 0.142.5, 0.163.0 and 0.169.0: all send client_metadata with turn_id, thread_id
and, as JSON in x-codex-turn-metadata, request_kind; the folder's AGENTS.md and the environment
arrive as messages of the user; an interrupted turn ends with a message that starts with
<turn_aborted>.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_nb.protocol.messages import Json, JsonObject

Value = TypeVar("Value")

_CALLS = ("function_call", "custom_tool_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")
# What codex itself writes into messages of the user; a person's HTML has no tag with an underscore.
_CONTEXT = re.compile(
    r"\s*(<(?P<tag>[a-z]+(_[a-z]+)+|skill)\b.*</(?P=tag)>\s*$"
    r"|# AGENTS\.md instructions\b|<[a-z_ ]*instructions>"
    r"|Another language model started to solve this problem)",
    re.DOTALL,
)
_ABORTED = "<turn_aborted>"
# Codex puts an attached image, or a note in its place, between two texts of its own.
_IMAGE = re.compile(r"<image name=\[Image #\d+\][^>]*>$")
_IMAGE_END = "</image>"
_STEP_OF_CALL = re.compile(r"call_t\d+s(\d+)_")
_RUNNING = re.compile(r"^Process running with session ID (\d+)$", re.MULTILINE)
_MAX_REMEMBERED = 1000


def call_id(turn: int, step: int, suffix: str) -> str:
    """Name a call so that its step can be read from the history; turn and step count from 0."""
    return f"call_t{turn}s{step}_{suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A command that codex left running when it answered the model.

    Attributes:
        session: The number by which the model asks for more of its output.
        waited: Seconds that the model has waited for it.
    """

    session: int
    waited: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What codex wants an answer to.

    Attributes:
        kind: "turn" for a step of a turn; codex's own word for anything else, such as "compaction".
        thread: Codex's id of the thread.
        turn_id: Codex's id of the turn.
        sub_agent: Whether the thread was spawned by another one.
        turn: How many prompts of the thread came before this one.
        step: How many responses this prompt has had.
        prompt: What the person asked.
        output: What the last command or tool of this turn gave back; patches and plans do not
            count.
        running: The command that the last step started and that has not ended.
    """

    kind: str
    thread: str
    turn_id: str
    sub_agent: bool
    turn: int
    step: int
    prompt: str
    output: str
    running: Running | None


@dataclass(slots=True)
class Memory:
    """What earlier requests told: for each thread, which of the person's messages began a turn."""

    _threads: OrderedDict[str, dict[int, bool]] = field(default_factory=OrderedDict)
    _turns: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _steps: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def start_of(self, thread: str, turn_id: str, said: list[_Said]) -> int:
        """Find the message with which a turn began, by its place among the person's messages."""
        marks = self._threads.setdefault(thread, {})
        self._threads.move_to_end(thread)
        last = len(said) - 1
        start = self._turns.get(turn_id)
        if start is None or start > last:
            # A turn that is new to us was begun by the newest message, or history was cut.
            start = last
            self._turns[turn_id] = start
        marks[start] = True
        for steering in range(start + 1, len(said)):
            marks[steering] = False
        _forget_oldest(self._threads)
        _forget_oldest(self._turns)
        return start

    def turns_before(self, thread: str, start: int, said: list[_Said]) -> int:
        """Count the turns that began before a message."""
        marks = self._threads.get(thread, {})
        return sum(marks.get(each, not said[each].after_output) for each in range(start))

    def step_of(self, turn_id: str, step: int) -> int:
        """Correct a step that was read from a history which codex shortened within the turn."""
        last = self._steps.get(turn_id, 0)
        # A retry asks for the last step again; only a history without its calls asks for an earlier
        # one.
        step = last + 1 if step < last else step
        self._steps[turn_id] = step
        _forget_oldest(self._steps)
        return step


def _forget_oldest(remembered: OrderedDict[str, Value]) -> None:
    while len(remembered) > _MAX_REMEMBERED:
        remembered.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _Said:
    """A message of the person: where it stands, and whether a turn was under way."""

    index: int
    text: str
    after_output: bool


def read_place(body: JsonObject, memory: Memory) -> Place:
    """Find where a request stands.

    Args:
        body: The request for a response, as codex sent it. A body of an unknown shape gives the
            first place.
        memory: Is brought up to date.
    """
    metadata = _metadata(body)
    items = _items(body)
    said = list(_said(items))
    kind = _text(metadata.get("request_kind")) or "turn"
    thread = _text(metadata.get("thread_id"))
    turn_id = _text(metadata.get("turn_id"))
    turn, prompt, since = 0, "", items
    if said and kind == "turn":
        start = memory.start_of(thread, turn_id or f"{thread}:{len(said)}", said)
        turn = memory.turns_before(thread, start, said)
        prompt = said[start].text
        since = items[said[start].index + 1 :]
    step, output, running = _progress(since)
    if kind == "turn" and turn_id:
        step = memory.step_of(turn_id, step)
    return Place(
        kind=kind,
        thread=thread,
        turn_id=turn_id,
        sub_agent=bool(metadata.get("parent_thread_id"))
        or metadata.get("thread_source") == "subagent",
        turn=turn,
        step=step,
        prompt=prompt,
        output=output,
        running=running,
    )


def said_in(body: JsonObject) -> tuple[str, ...]:
    """Everything that the person said in the thread so far, the newest last."""
    return tuple(each.text for each in _said(_items(body)))


def images_in(body: JsonObject) -> tuple[str, ...]:
    """The media type of every image that the person showed in the thread so far."""
    parts = [
        part
        for item in _items(body)
        if item.get("role") == "user"
        for part in _list(item.get("content"))
        if isinstance(part, dict) and part.get("type") == "input_image"
    ]
    urls = [_text(part.get("image_url")) for part in parts]
    return tuple(url.partition(";")[0].removeprefix("data:") for url in urls)


def _items(body: JsonObject) -> list[JsonObject]:
    return [item for item in _list(body.get("input")) if isinstance(item, dict)]


def _metadata(body: JsonObject) -> JsonObject:
    outer = body.get("client_metadata")
    if not isinstance(outer, dict):
        return {}
    inner: Json = None
    try:
        inner = json.loads(_text(outer.get("x-codex-turn-metadata")) or "null")
    except json.JSONDecodeError:
        inner = None
    return {**outer, **inner} if isinstance(inner, dict) else outer


def _said(items: list[JsonObject]) -> Iterator[_Said]:
    after_output = False
    for index, item in enumerate(items):
        kind = item.get("type")
        if kind in _OUTPUTS:
            after_output = True
        elif kind == "message":
            texts = _without_images(_texts(item.get("content")))
            if any(text.startswith(_ABORTED) for text in texts) or item.get("role") == "assistant":
                after_output = False
            elif item.get("role") == "user":
                own = [text for text in texts if not _CONTEXT.match(text)]
                if own or not texts:
                    yield _Said(index, "\n".join(own), after_output)


def _without_images(texts: list[str]) -> list[str]:
    """What is no part of an attached image."""
    own, is_image = [], False
    for text in texts:
        is_image = is_image or _IMAGE.match(text) is not None
        if not is_image:
            own.append(text)
        is_image = is_image and text != _IMAGE_END
    return own


def _progress(items: list[JsonObject]) -> tuple[int, str, Running | None]:
    """Read the step that is due, the last output and the command that runs on."""
    step = 0
    calls: dict[str, tuple[int, str, str]] = {}
    outputs: dict[int, list[str]] = {}
    last_call_output = ""
    said_at_the_end = False
    for item in items:
        kind = item.get("type")
        its_id = _text(item.get("call_id"))
        if kind in _CALLS:
            found = _STEP_OF_CALL.match(its_id)
            of_step = int(found[1]) if found else step
            step = max(step, of_step + 1)
            calls[its_id] = (of_step, _text(item.get("name")), _text(item.get("arguments")))
            said_at_the_end = False
        elif kind in _OUTPUTS and its_id in calls:
            of_step, name, _ = calls[its_id]
            if name not in {"update_plan", "apply_patch"}:
                last_call_output = "\n".join(_texts(item.get("output")))
                outputs.setdefault(of_step, []).append(last_call_output)
            said_at_the_end = False
        elif kind == "message" and item.get("role") == "assistant":
            said_at_the_end = True
    if said_at_the_end:
        step += 1
    output = "".join(_printed(each) for each in outputs[max(outputs)]) if outputs else ""
    found = _RUNNING.search(last_call_output.partition("\nOutput:\n")[0])
    if found is None or max(outputs) != step - 1:
        return step, output.rstrip("\n"), None
    waited = sum(
        _yield_time(arguments) for of_step, _, arguments in calls.values() if of_step == step - 1
    )
    return step, output.rstrip("\n"), Running(session=int(found[1]), waited=waited)


def _printed(output: str) -> str:
    """Take what a command printed out of what codex tells the model about it."""
    head, mark, printed = output.partition("\nOutput:\n")
    return printed if mark else head


def _yield_time(arguments: str) -> float:
    try:
        parsed = json.loads(arguments or "{}")
    except json.JSONDecodeError:
        return 0.0
    milliseconds = parsed.get("yield_time_ms") if isinstance(parsed, dict) else None
    return milliseconds / 1000 if isinstance(milliseconds, int | float) else 0.0


def _texts(content: Json) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [
        text
        for part in _list(content)
        if isinstance(part, dict) and isinstance(text := part.get("text"), str)
    ]


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
