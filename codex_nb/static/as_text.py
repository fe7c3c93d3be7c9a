"""Blocks as plain text: for a terminal, a diff of two notebooks, the next agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from codex_nb.static.blocks import (
    Approval,
    Checklist,
    Closing,
    Command,
    FileChanges,
    Heading,
    Message,
    Notice,
    Other,
    Prompt,
    Reasoning,
    ToolCall,
)

if TYPE_CHECKING:
    from codex_nb.static.blocks import Block, FileChange

_BOXES = {"completed": "[x]", "in_progress": "[>]"}


def text_of_block(block: Block) -> str:
    """A block as lines without a trailing line break; "" when there is nothing to show."""
    match block:
        case Heading():
            return block.text
        case Prompt():
            return _prefix("> ", block.text) + _left_out(block.left_out)
        case Message():
            label = f"{block.label}:\n" if block.label else ""
            return label + block.text + _left_out(block.left_out)
        case Reasoning():
            return f"· thought: {block.title}" if block.title else ""
        case Checklist():
            steps = [f"{_BOXES.get(step.status, '[ ]')} {step.text}" for step in block.steps]
            return "\n".join([f"plan: {block.explanation}".rstrip(": "), *steps])
        case Command():
            command = "$ " + block.command.replace("\n", "\n  ")
            return _lines(command, _prefix("  ", block.output), _note(block.note))
        case FileChanges():
            return _lines("\n\n".join(map(_change, block.changes)), _note(block.note))
        case ToolCall():
            call = f"* {block.name}({_tail(block.arguments)})"
            return _lines(call, _prefix("  ", block.output), _note(block.note))
        case Approval():
            asked = f"? {block.title} — {block.verdict}"
            command = _prefix("  $ ", block.command, "    ")
            return _lines(asked, command, *(f"  {fact}" for fact in block.facts))
        case Notice():
            hint = f"  hint: {block.hint}" if block.hint else ""
            return _lines(f"! {block.level}: {block.text}", hint, _prefix("  ", block.detail))
        case Other():
            return f"· {block.text}"
        case Closing():
            return f"— {block.text}"
        case _:
            assert_never(block)


def _change(change: FileChange) -> str:
    return _lines(f"± {change.verb} {change.path}".rstrip(), _prefix("  ", change.diff))


def _tail(arguments: str) -> str:
    return arguments.replace("\n", "\n  ")


def _note(note: str) -> str:
    return f"  ({note})" if note else ""


def _left_out(count: int) -> str:
    return f"\n… {count:,} characters left out …" if count else ""


def _lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def _prefix(first: str, text: str, other: str | None = None) -> str:
    """The text with something before each line; "" for no text."""
    if not text:
        return ""
    rest = first if other is None else other
    return "\n".join(
        ((first if index == 0 else rest) + line).rstrip()
        for index, line in enumerate(text.split("\n"))
    )
