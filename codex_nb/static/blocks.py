"""What a static transcript is made of, before it becomes text, Markdown or HTML.

Every string in a block is clean (see clean.py) and bounded, but not escaped: that is the
business of each format.
A `note` is what follows in small print: an exit code, a duration, a status that is not the expected
one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What ran: program, name, model, sandbox."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the user said."""

    text: str
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What the model said, in its Markdown.

    Attributes:
        text: The Markdown as it came.
        label: What kind of message, or "" for an ordinary one.
        left_out: Characters cut from its end.
    """

    text: str
    label: str = ""
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """A summary of what the model thought: its title, and all of it in Markdown."""

    title: str
    text: str
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a plan; its status is pending, in_progress or completed."""

    text: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """The plan as it stands at the end."""

    explanation: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line without its shell wrapper, and what it printed."""

    command: str
    output: str
    note: str
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A unified diff of one file; the path is "" when the diff names its files itself."""

    verb: str
    path: str
    diff: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChanges:
    """Files that changed together."""

    changes: tuple[FileChange, ...]
    note: str
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call of a tool that is not a command: arguments as JSON, and what came back."""

    name: str
    arguments: str
    output: str
    note: str
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What codex asked, and what was decided.

    Attributes:
        title: What was asked, on one line.
        verdict: What became of it, on one line.
        allowed: Whether it was accepted.
        facts: Further lines: reason, place, rule, note.
        command: The command, unless the item beside it shows the same one.
    """

    title: str
    verdict: str
    allowed: bool
    facts: tuple[str, ...]
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A warning or an error, with what to do about it and the words of who reported it."""

    level: Level
    text: str
    hint: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Something that has no form of its own: one line, and the JSON that it came as."""

    text: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The last line of a turn: status, time, tokens."""

    text: str
    failed: bool


Block: TypeAlias = (
    Heading
    | Prompt
    | Message
    | Reasoning
    | Checklist
    | Command
    | FileChanges
    | ToolCall
    | Approval
    | Notice
    | Other
    | Closing
)
