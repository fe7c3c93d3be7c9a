"""Blocks as Markdown: for GitHub, and for exports to Markdown and PDF.

What the model wrote stays Markdown, with four things taken from it: raw HTML, images, links to
anything but the web and mail, and fences that could stay open. Readers of Markdown disagree about
its corners, so nothing here depends on where exactly a block or a code span ends: a place in doubt
is escaped, which costs looks and not safety.
"""

from __future__ import annotations

import html
import re
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
from codex_nb.static.clean import fence_for

if TYPE_CHECKING:
    from codex_nb.static.blocks import Block, FileChange

_FENCE = re.compile(r"( *)(`{3,}|~{3,})([^`]*)$")
_FENCE_MARKS = re.compile(r"`{3,}|~{3,}")
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_TAG = re.compile(r"<(?!https?://[^\s<>`]*>)(?=[A-Za-z/!?])")
_IMAGE = re.compile(r"(?<!!)!+\[")
_LONGEST_TARGET = 2_000
# A look-ahead, so that a target which contains another link does not shield that one.
_TARGET = re.compile(rf"\](\(|:)(?=(\s*<?[^\s)>]{{0,{_LONGEST_TARGET}}}))")
_SCHEME = re.compile(r"[^/?#]*:")
_WEB = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\xa0]")
_SPECIAL = re.compile(r"([\\`*_\[\]~|$#])")
_BOXES = {"completed": "[x]"}


def markdown_of_block(block: Block) -> str:
    """A block as Markdown that leaves nothing open; "" when there is nothing to show."""
    match block:
        case Heading():
            return f"*{inline(block.text)}*"
        case Prompt():
            return _quote(_paragraphs(safe_markdown(block.text), _left_out(block.left_out)))
        case Message():
            label = f"**{inline(block.label)}**" if block.label else ""
            return _paragraphs(label, safe_markdown(block.text), _left_out(block.left_out))
        case Reasoning():
            return f"*{inline('Thought: ' + block.title)}*" if block.title else ""
        case Checklist():
            steps = [_step(step.text, step.status) for step in block.steps]
            return _paragraphs(f"**Plan** {inline(block.explanation)}".strip(), "\n".join(steps))
        case Command():
            shown = "$ " + block.command.replace("\n", "\n  ")
            return _paragraphs(
                fenced("\n".join(filter(None, [shown, block.output])), "console"),
                _note(block.note),
            )
        case FileChanges():
            return _paragraphs(*map(_change, block.changes), _note(block.note))
        case ToolCall():
            return _paragraphs(
                f"**Tool** {code(block.name)}",
                fenced(block.arguments, "json"),
                fenced(block.output, "text"),
                _note(block.note),
            )
        case Approval():
            asked = f"**Asked:** {inline(block.title)} — **{inline(block.verdict)}**"
            facts = "\n".join(f"- {inline(fact)}" for fact in block.facts)
            return _paragraphs(asked, fenced(block.command, "console"), facts)
        case Notice():
            what = f"**{block.level.capitalize()}:** {inline(block.text)}"
            hint = f"*{inline('Hint: ' + block.hint)}*" if block.hint else ""
            return _paragraphs(what, hint, fenced(block.detail, "text"))
        case Other():
            return f"*{inline(block.text)}*"
        case Closing():
            return f"*{inline(block.text)}*"
        case _:
            assert_never(block)


def inline(text: str) -> str:
    """Text of one line as Markdown that shows exactly this text."""
    return _SPECIAL.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;"))


def code(text: str) -> str:
    """Text of one line as a code span."""
    mark = fence_for(text, shortest=1)
    padding = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{mark}{padding}{text}{padding}{mark}"


def fenced(text: str, language: str) -> str:
    """Text as a code block that nothing inside it can close; "" for no text."""
    if not text:
        return ""
    mark = fence_for(text)
    return f"{mark}{language}\n{text}\n{mark}"


def safe_markdown(text: str) -> str:
    """Foreign Markdown with raw HTML, images and odd links disarmed, and every fence closed.

    All fences are moved to the first column, because only there they are a fence for every reader.
    """
    parts: list[str] = []
    prose: list[str] = []
    block: list[str] = []
    opened: re.Match[str] | None = None
    for line in text.split("\n"):
        if opened is None:
            opened = _FENCE.match(line)
            if opened is None:
                prose.append(line)
            else:
                parts.append(_safe_prose("\n".join(prose)))
                prose, block = [], []
        elif _closes(line, opened[2]):
            parts.append(_refenced(block, opened))
            opened = None
        else:
            block.append(line)
    parts.append(_safe_prose("\n".join(prose)) if opened is None else _refenced(block, opened))
    return _paragraphs(*parts)


def _closes(line: str, mark: str) -> bool:
    line = line.strip()
    return len(line) >= len(mark) and line == mark[0] * len(line)


def _refenced(block: list[str], opened: re.Match[str]) -> str:
    indent = len(opened[1])
    text = "\n".join(line[min(indent, len(line) - len(line.lstrip(" "))) :] for line in block)
    language = re.match(r"\s*([A-Za-z0-9+#_-]{0,30})", opened[3])
    return fenced(text or " ", language[1] if language else "")


def _safe_prose(text: str) -> str:
    """Markdown outside of fences; paragraphs are the widest that a code span can reach."""
    text = _FENCE_MARKS.sub(lambda found: "".join("\\" + mark for mark in found[0]), text)
    return "\n\n".join(map(_safe_paragraph, re.split(r"\n[ \t]*\n", text))).strip("\n")


def _safe_paragraph(paragraph: str) -> str:
    lines = paragraph.split("\n")
    # Code spans are trusted only when each ends on its own line; then all readers see the same.
    trusted = not any("\\`" in line or "`" in _CODE_SPAN.sub("", line) for line in lines)
    return "\n".join(
        _safe_line(line) if trusted and "|" not in line else _disarm(line) for line in lines
    )


def _safe_line(line: str) -> str:
    parts: list[str] = []
    end = 0
    for span in _CODE_SPAN.finditer(line):
        parts += [_disarm(line[end : span.start()]), span[0]]
        end = span.end()
    return "".join([*parts, _disarm(line[end:])])


def _disarm(text: str) -> str:
    text = _IMAGE.sub("[", _TAG.sub("&lt;", text))
    return _TARGET.sub(_safe_target, text)


def _safe_target(found: re.Match[str]) -> str:
    """Break a link that leads neither to the web nor to mail nor to a path.

    A target that is very long, or that stands on the next line, is not looked at and is broken too.
    """
    target = _UNSEEN.sub("", html.unescape(found[2])).lstrip("<").replace("\\", "")
    seen = target != "" and len(found[2]) < _LONGEST_TARGET
    harmless = seen and (_WEB.match(target) or not _SCHEME.match(target))
    return found[0] if harmless else f"]\\{found[1]}"


def _step(text: str, status: str) -> str:
    shown = f"*{inline(text)}*" if status == "in_progress" else inline(text)
    return f"- {_BOXES.get(status, '[ ]')} {shown}"


def _change(change: FileChange) -> str:
    path = code(change.path) if change.path else ""
    return _paragraphs(
        f"**{change.verb.capitalize()}** {path}".rstrip(), fenced(change.diff, "diff")
    )


def _note(note: str) -> str:
    return f"*{inline(note)}*" if note else ""


def _left_out(count: int) -> str:
    return f"*… {count:,} characters left out …*" if count else ""


def _quote(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n")) if text else ""


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
