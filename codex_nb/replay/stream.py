"""One response of the model as events of the Responses API.

Checked against codex 0.142.5, 0.163.0 and 0.169.0. Codex builds its items from
`response.output_item.added` and `.done`; the deltas between them are what a person sees grow. A
function call has no deltas that codex shows.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_nb.replay.history import Place, call_id
from codex_nb.replay.scenario import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.replay.scenario import Command, Failure, Step

# About four characters each, as the tokens of a real model are.
_PIECE = re.compile(r"\s*\S{1,5}|\s+")
# How long codex waits for a command before it tells the model that it is still running.
POLL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of a stream, and the seconds that pass before it."""

    pause: float
    event: JsonObject


class ResponseStream:
    """The events of one response; counts the tokens that it gives out.

    Args:
        pause: Seconds per token.
    """

    def __init__(self, *, pause: float) -> None:
        self._pause = pause
        self._id = f"resp_{secrets.token_hex(8)}"
        self._items = 0
        self._tokens = 0
        self._reasoning_tokens = 0

    def events(self, place: Place, step: Step, input_tokens: int) -> Iterator[Frame]:
        """Everything of one step of a scenario."""
        yield from self.created()
        if step.think is not None:
            yield from self._reasoning(_filled(step.think, place))
        if step.say is not None:
            message = list(self.message(_filled(step.say, place), final=not step.asks))
            if step.drop:
                yield from message[: max(2, len(message) // 2)]
                return
            yield from message
        if step.error is not None:
            yield self._failed(step.error)
            return
        yield from self._calls(place, step)
        yield from self.completed(input_tokens, step.usage)

    def created(self) -> Iterator[Frame]:
        """The first event of every response."""
        yield Frame(0.0, {"type": "response.created", "response": {"id": self._id}})

    def _pieces(self, text: str) -> list[str]:
        pieces = _PIECE.findall(text)
        self._tokens += len(pieces)
        return pieces

    def _item(self, item: JsonObject, deltas: list[Frame], done: JsonObject) -> Iterator[Frame]:
        index = self._items
        self._items += 1
        yield Frame(
            0.0, {"type": "response.output_item.added", "output_index": index, "item": item}
        )
        for delta in deltas:
            yield Frame(delta.pause, {**delta.event, "output_index": index})
        yield Frame(
            0.0,
            {"type": "response.output_item.done", "output_index": index, "item": {**item, **done}},
        )

    def _reasoning(self, text: str) -> Iterator[Frame]:
        pieces = self._pieces(text)
        self._reasoning_tokens += len(pieces)
        item_id = f"rs_{secrets.token_hex(8)}"
        deltas = [
            Frame(
                0.0,
                {
                    "type": "response.reasoning_summary_part.added",
                    "item_id": item_id,
                    "summary_index": 0,
                    "part": {"type": "summary_text", "text": ""},
                },
            )
        ]
        deltas += [
            Frame(
                self._pause,
                {
                    "type": "response.reasoning_summary_text.delta",
                    "item_id": item_id,
                    "summary_index": 0,
                    "delta": piece,
                },
            )
            for piece in pieces
        ]
        item: JsonObject = {"type": "reasoning", "id": item_id, "summary": []}
        yield from self._item(item, deltas, {"summary": [{"type": "summary_text", "text": text}]})

    def message(self, text: str, *, final: bool) -> Iterator[Frame]:
        """A message; a final one ends the turn, another comments on what follows."""
        item: JsonObject = {
            "type": "message",
            "id": f"msg_{secrets.token_hex(8)}",
            "role": "assistant",
            "phase": "final_answer" if final else "commentary",
            "content": [],
        }
        deltas = [
            Frame(
                self._pause,
                {
                    "type": "response.output_text.delta",
                    "item_id": item["id"],
                    "content_index": 0,
                    "delta": piece,
                },
            )
            for piece in self._pieces(text)
        ]
        content: Json = [{"type": "output_text", "text": text, "annotations": []}]
        yield from self._item(item, deltas, {"content": content})

    def call(
        self, turn: int, step: int, name: str, *, arguments: str, namespace: str | None = None
    ) -> Iterator[Frame]:
        """One call of a function tool."""
        pause = self._pause * len(self._pieces(arguments))
        item: JsonObject = {
            "type": "function_call",
            "id": f"fc_{secrets.token_hex(8)}",
            "call_id": call_id(turn, step, secrets.token_hex(4)),
            "name": name,
            "arguments": arguments,
        }
        if namespace is not None:
            item["namespace"] = namespace
        # Codex shows a call when it is whole, so its writing is one pause.
        writing = Frame(
            pause,
            {
                "type": "response.function_call_arguments.delta",
                "item_id": item["id"],
                "delta": arguments,
            },
        )
        yield from self._item({**item, "arguments": ""}, [writing], item)

    def _custom_call(self, turn: int, step: int, name: str, text: str) -> Iterator[Frame]:
        """One call of a custom tool, which takes free text."""
        item: JsonObject = {
            "type": "custom_tool_call",
            "id": f"ctc_{secrets.token_hex(8)}",
            "call_id": call_id(turn, step, secrets.token_hex(4)),
            "name": name,
            "input": text,
        }
        deltas = [
            Frame(
                self._pause,
                {
                    "type": "response.custom_tool_call_input.delta",
                    "item_id": item["id"],
                    "call_id": item["call_id"],
                    "delta": piece,
                },
            )
            for piece in self._pieces(text)
        ]
        yield from self._item({**item, "input": ""}, deltas, item)

    def _calls(self, place: Place, step: Step) -> Iterator[Frame]:
        turn, number = place.turn, place.step
        if step.plan:
            plan = [{"step": text, "status": status} for text, status in step.plan]
            yield from self.call(turn, number, "update_plan", arguments=json.dumps({"plan": plan}))
        if step.patch is not None:
            yield from self._custom_call(turn, number, "apply_patch", step.patch)
        if step.run is not None:
            arguments = json.dumps(_command_arguments(step.run))
            yield from self.call(turn, number, "exec_command", arguments=arguments)
        if step.tool is not None and step.tool.input is not None:
            yield from self._custom_call(turn, number, step.tool.name, step.tool.input)
        elif step.tool is not None:
            yield from self.call(
                turn,
                number,
                step.tool.name,
                arguments=json.dumps(step.tool.arguments),
                namespace=step.tool.namespace,
            )

    def _failed(self, failure: Failure) -> Frame:
        response: JsonObject = {
            "id": self._id,
            "status": "failed",
            "error": {"code": failure.code, "message": failure.message},
        }
        return Frame(0.0, {"type": "response.failed", "response": response})

    def completed(self, input_tokens: int, usage: Usage | None) -> Iterator[Frame]:
        """The last event of every response that did not fail."""
        usage = usage or Usage()
        tokens_in = _told(usage.input, input_tokens)
        tokens_out = _told(usage.output, self._tokens)
        # A provider's cache holds whole blocks of a history that was sent before.
        cached = _told(usage.cached, tokens_in // 1024 * 1024)
        reasoning = _told(usage.reasoning, self._reasoning_tokens)
        reported: JsonObject = {
            "input_tokens": tokens_in,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": tokens_out,
            "output_tokens_details": {"reasoning_tokens": reasoning},
            "total_tokens": tokens_in + tokens_out,
        }
        response: JsonObject = {"id": self._id, "status": "completed", "usage": reported}
        yield Frame(0.0, {"type": "response.completed", "response": response})


def _told(value: int | None, estimate: int) -> int:
    return estimate if value is None else value


def _filled(text: str, place: Place) -> str:
    return text.replace("{output}", place.output).replace("{prompt}", place.prompt)


def _command_arguments(command: Command) -> JsonObject:
    arguments: JsonObject = {
        "cmd": command.cmd,
        "yield_time_ms": milliseconds(min(POLL_SECONDS, command.timeout)),
    }
    if command.cwd is not None:
        arguments["workdir"] = command.cwd
    if command.escalate:
        arguments["sandbox_permissions"] = "require_escalated"
        if command.justification is not None:
            arguments["justification"] = command.justification
    return arguments


def milliseconds(seconds: float) -> int:
    """Make the number that codex's tools want; it takes no less than 250."""
    return max(250, round(seconds * 1000))
