"""Items and approvals of a transcript, read into blocks.

The fields of `body` are codex's own (checked against 0.142.5, 0.163.0 and 0.169.0). An item of a
kind that is not known becomes one line, so a newer codex loses nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_nb.static.blocks import (
    Approval,
    Block,
    Command,
    FileChange,
    FileChanges,
    Message,
    Other,
    Prompt,
    Reasoning,
    ToolCall,
)
from codex_nb.static.clean import (
    elide,
    one_line,
    resolve_terminal,
    reveal,
    reveal_all,
    shorten,
)
from codex_nb.static.values import (
    as_json,
    duration,
    mapping,
    mappings,
    number,
    relative,
    without_shell,
    words,
)

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

_LONGEST_PROSE = 24_000
_FILES_SHOWN = 40

_STATUS_NOTES = {
    "in_progress": "still running",
    "failed": "failed",
    "declined": "declined",
    "interrupted": "interrupted",
}
_VERBS = {"add": "added", "delete": "deleted", "update": "changed"}
# What a kind is called, and the field of its body that says what it was about.
_OTHER_KINDS = {
    "collabAgentToolCall": ("asked another agent", "prompt"),
    "contextCompaction": ("compacted the context", ""),
    "enteredReviewMode": ("started a review", "review"),
    "exitedReviewMode": ("ended a review", "review"),
    "functionCallOutput": ("was told", "output"),
    "hookPrompt": ("a hook added a prompt", ""),
    "imageGeneration": ("made an image", "revisedPrompt"),
    "imageView": ("looked at an image", "path"),
    "sleep": ("waited", ""),
    "subAgentActivity": ("another agent", "kind"),
    "webSearch": ("searched the web", "query"),
}
_APPROVAL_TITLES = {
    "command": "Run a command outside the sandbox?",
    "file_change": "Change files outside the workspace?",
    "permissions": "Grant more permissions?",
    "tool": "Call a tool?",
}
_VERDICTS = {
    "accept": "allowed",
    "accept_for_session": "allowed for this session",
    "accept_rule": "allowed, also from now on",
    "decline": "declined",
    "cancel": "declined, and the turn ended",
}
_OUTCOMES = {
    "pending": "waiting for an answer",
    "accepted": "allowed",
    "declined": "declined",
    "cancelled": "declined, and the turn ended",
    "expired": "not answered in time",
    "resolved": "no longer needed an answer",
}


def read_item(item: JsonObject, cwd: str) -> Block:
    """One item as what is shown of it.

    Args:
        item: An item of a transcript, with whatever values.
        cwd: The folder of the session; paths below it are shown relative to it.
    """
    body = mapping(item.get("body"))
    match item.get("type"):
        case "userMessage":
            text, left_out = shorten(_said(item, body), _LONGEST_PROSE)
            return Prompt(text=reveal(text).strip(), left_out=left_out)
        case "agentMessage":
            return _message(item, body, "")
        case "plan":
            return _message(item, body, "Proposed plan")
        case "reasoning":
            return _reasoning(item, body)
        case "commandExecution":
            return _command(item, body)
        case "fileChange":
            return _file_changes(item, body, cwd)
        case "mcpToolCall" | "dynamicToolCall":
            return _tool_call(item, body)
        case kind:
            return _other(words(kind), item, body)


def read_approval(approval: JsonObject, beside: JsonObject, cwd: str) -> Approval:
    """One approval as what was asked and what was decided.

    Args:
        approval: An approval of a transcript, with whatever values.
        beside: The item that it belongs to and that is shown after it, or {}.
        cwd: The folder of the session.
    """
    kind = words(approval.get("kind"))
    status = words(approval.get("status"))
    decision = words(approval.get("decision"))
    verdict = _OUTCOMES.get(status, status) or "unknown"
    if status in ("accepted", "declined", "cancelled"):
        verdict = _VERDICTS.get(decision, verdict)
    rule = words(approval.get("rule")) if decision == "accept_rule" else ""
    paths = [words(change.get("path")) for change in mappings(approval.get("changes"))]
    facts = [
        ("reason", words(approval.get("reason"))),
        ("in", words(approval.get("cwd")) if approval.get("cwd") != cwd else ""),
        ("host", words(approval.get("host"))),
        ("files", ", ".join(relative(path, cwd) for path in paths[:_FILES_SHOWN])),
        ("permissions", words(approval.get("permissions") or None)),
        ("rule", rule),
        ("note", words(approval.get("note"))),
    ]
    command = words(approval.get("command"))
    if command == words(mapping(beside.get("body")).get("command")):
        command = ""
    return Approval(
        title=one_line(words(approval.get("title")) or _APPROVAL_TITLES.get(kind, "May it?")),
        verdict=one_line(verdict),
        allowed=status == "accepted",
        facts=tuple(f"{name}: {one_line(fact, 1_000)}" for name, fact in facts if fact),
        command=elide(reveal_all(without_shell(command))) if command else "",
    )


def read_diff(diff: str) -> FileChanges:
    """The diff of a whole turn, for when no item tells what changed."""
    change = FileChange(verb="changed", path="", diff=elide(reveal(diff)))
    return FileChanges(changes=(change,), note="", failed=False)


def _said(item: JsonObject, body: JsonObject) -> str:
    """The text of an item; of a message that came in parts, the parts that are text."""
    text = words(item.get("text"))
    return text or "\n".join(words(part.get("text")) for part in mappings(body.get("content")))


def _message(item: JsonObject, body: JsonObject, label: str) -> Message:
    text, left_out = shorten(_said(item, body), _LONGEST_PROSE)
    return Message(text=reveal(text).strip(), label=label, left_out=left_out)


def _reasoning(item: JsonObject, body: JsonObject) -> Block:
    text = words(item.get("text"))
    if not text and isinstance(summary := body.get("summary"), list):
        text = "\n\n".join(map(words, summary))
    text, left_out = shorten(text, _LONGEST_PROSE)
    text = reveal(text).strip()
    # Summaries begin with their title in bold.
    title = one_line(text.split("\n", 1)[0].replace("*", "").strip("# "), 120)
    return Reasoning(title=title, text=text, left_out=left_out)


def _command(item: JsonObject, body: JsonObject) -> Command:
    exit_code = body.get("exitCode")
    status = words(item.get("status"))
    failed = exit_code not in (0, None) or status in ("failed", "declined")
    ended = f"exit {one_line(words(exit_code), 20)}" if exit_code not in (0, None) else ""
    return Command(
        command=elide(reveal_all(without_shell(words(body.get("command"))))),
        output=elide(reveal(resolve_terminal(words(item.get("output"))))),
        note=_note(item, body, ended),
        failed=failed,
    )


def _file_changes(item: JsonObject, body: JsonObject, cwd: str) -> FileChanges:
    found = mappings(body.get("changes"))
    changes = tuple(_file_change(change, cwd) for change in found[:_FILES_SHOWN])
    more = len(found) - _FILES_SHOWN
    return FileChanges(
        changes=changes,
        note=_note(item, body, f"{more:,} more files" if more > 0 else "", timed=False),
        failed=item.get("status") in ("failed", "declined"),
    )


def _file_change(change: JsonObject, cwd: str) -> FileChange:
    kind = change.get("kind")
    detail = mapping(kind)
    name = words(detail.get("type")) if detail else words(kind)
    path = relative(words(change.get("path")), cwd)
    # No terminal is asked here: a carriage return must not hide what stands before it in a file.
    diff = words(change.get("diff"))
    if name in ("add", "delete"):
        diff = _whole_file(diff, "+" if name == "add" else "-")
    moved = relative(words(detail.get("move_path")), cwd)
    return FileChange(
        verb=_VERBS.get(name, "changed"),
        path=one_line(f"{path} → {moved}" if moved else path, 400),
        diff=elide(reveal(diff)),
    )


def _whole_file(content: str, mark: str) -> str:
    """A file that came or went, as a diff; codex sends its content alone."""
    if not content:
        return ""
    lines = content.removesuffix("\n").split("\n")
    span = f"-0,0 +1,{len(lines)}" if mark == "+" else f"-1,{len(lines)} +0,0"
    return "\n".join([f"@@ {span} @@", *(mark + line for line in lines)])


def _tool_call(item: JsonObject, body: JsonObject) -> ToolCall:
    place = words(body.get("server")) or words(body.get("namespace"))
    tool = words(body.get("tool")) or "tool"
    arguments = body.get("arguments")
    error = body.get("error")
    problem = words(mapping(error).get("message")) or words(error)
    output = words(item.get("output")) or problem or _content(body)
    return ToolCall(
        name=one_line(f"{place}.{tool}" if place else tool, 200),
        arguments=elide(reveal_all(_arguments(arguments))),
        output=elide(reveal(resolve_terminal(output))),
        note=_note(item, body, ""),
        failed=item.get("status") in ("failed", "declined") or body.get("success") is False,
    )


def _arguments(value: Json) -> str:
    if value in (None, {}, []):
        return ""
    if isinstance(value, str):
        return value
    short = as_json(value)
    return short if len(short) <= 100 else as_json(value, indent=2)


def _content(body: JsonObject) -> str:
    """The text that a tool gave back; what is no text only by its kind."""
    parts = mappings(mapping(body.get("result")).get("content"))
    parts += mappings(body.get("contentItems"))
    shown = (words(part.get("text")) or f"({words(part.get('type')) or 'part'})" for part in parts)
    return "\n".join(shown)


def _other(kind: str, item: JsonObject, body: JsonObject) -> Other:
    label, field = _OTHER_KINDS.get(kind, (kind or "item", ""))
    about = words(body.get(field)) if field else words(item.get("text"))
    return Other(
        text=one_line(f"{label}: {about}" if about else label),
        source=elide(reveal_all(as_json(item, indent=2))),
    )


def _note(item: JsonObject, body: JsonObject, first: str, *, timed: bool = True) -> str:
    """The small print of an item; a status only when it is not the expected one."""
    status = item.get("status")
    started, completed = number(item.get("started_at")), number(item.get("completed_at"))
    seconds = completed - started if started is not None and completed is not None else None
    milliseconds = number(body.get("durationMs"))
    if milliseconds is not None:
        seconds = milliseconds / 1_000
    known = _STATUS_NOTES.get(status, "") if isinstance(status, str) else ""
    if first and known == "failed":
        known = ""  # an exit code says it better
    return " · ".join(part for part in (known, first, duration(seconds) if timed else "") if part)
