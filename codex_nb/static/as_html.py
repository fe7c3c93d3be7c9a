"""Blocks as HTML: for nbviewer, exported pages, and JupyterLab without the widget.

One element with one class around everything; a style sheet that reads JupyterLab's colours where
there are some, and otherwise inherits those of the page; no script, nothing to load. The elements
carry the meaning, so a page that drops the style sheet, as GitHub does, still reads well. Foreign
text is escaped here or made by prose.py.
"""

from __future__ import annotations

import re
from html import escape
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
from codex_nb.static.prose import html_of_markdown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from codex_nb.static.blocks import Block, FileChange, Step

# Only what the model wrote may have mathematics: elsewhere "$HOME and $PATH" are no formula. The
# names are those of MathJax 2 and of its later versions.
_NO_MATHEMATICS = "tex2jax_ignore mathjax_ignore"
_MATHEMATICS = "tex2jax_process mathjax_process"

# Markdown can become many times its size; prose beyond this is shown as it was written.
_PROSE_LIMIT = 100_000

_BEFORE_BLANK_LINE = re.compile(r"\n(?=[ \t]*(?:\n|\Z))")

_STYLE = """<style>
.codex-nb-static{
--muted:var(--jp-ui-font-color2,color-mix(in srgb,currentColor 65%,transparent));
--line:color-mix(in srgb,currentColor 22%,transparent);
--soft:color-mix(in srgb,currentColor 6%,transparent);
--bad:var(--jp-error-color1,#d03b3b);--good:var(--jp-success-color1,#2e8540);
--warn:var(--jp-warn-color1,#b86e00);--brand:var(--jp-brand-color1,currentColor);
--mono:var(--jp-code-font-family,ui-monospace,monospace);
color:var(--jp-content-font-color1,var(--jp-ui-font-color1,inherit));
max-width:60rem;line-height:1.5;overflow-wrap:anywhere}
.codex-nb-static p,.codex-nb-static ul,.codex-nb-static ol,.codex-nb-static table{margin:.5em 0}
.codex-nb-static pre,.codex-nb-static code{font-family:var(--mono);font-size:.92em;
color:inherit;background:none;border:0}
.codex-nb-static pre{margin:.5em 0;padding:.5em .75em;background:var(--soft);
border-radius:4px;line-height:1.4;white-space:pre-wrap;unicode-bidi:isolate;
max-height:30em;overflow:auto}
@media print{.codex-nb-static pre{max-height:none}}
.codex-nb-static pre code{font-size:1em;padding:0;white-space:inherit}
.codex-nb-static :not(pre)>code{padding:.1em .3em;background:var(--soft);border-radius:3px}
.codex-nb-static h4,.codex-nb-static h5,.codex-nb-static h6{margin:1em 0 .4em;
font-size:1.05em;font-weight:600}
.codex-nb-static table{border-collapse:collapse;table-layout:auto}
.codex-nb-static th,.codex-nb-static td{padding:.25em .75em;border:1px solid var(--line);
text-align:left}
.codex-nb-static [align=left]{text-align:left}
.codex-nb-static [align=right]{text-align:right}
.codex-nb-static [align=center]{text-align:center}
.codex-nb-static .cx-prompt{margin:1.2em 0 .8em;padding:.4em .9em;background:var(--soft);
border-left:3px solid var(--brand);border-radius:0 4px 4px 0;white-space:pre-wrap}
.codex-nb-static .cx-prompt p{margin:0;color:inherit}
.codex-nb-static .cx-block{margin:.6em 0}.codex-nb-static .cx-block>p{margin:.2em 0}
.codex-nb-static .cx-box{padding:.4em .9em;border:1px solid var(--line);border-radius:4px}
.codex-nb-static .cx-box pre{max-height:none}
.codex-nb-static a{color:var(--jp-content-link-color,inherit);text-decoration:underline}
.codex-nb-static .cx-plan{padding-left:.2em;list-style:none}
.codex-nb-static .cx-small{color:var(--muted);font-size:.9em}
.codex-nb-static .cx-out{color:var(--muted)}
.codex-nb-static .cx-bad{color:var(--bad)}.codex-nb-static .cx-good{color:var(--good)}
.codex-nb-static .cx-warn{color:var(--warn)}
.codex-nb-static summary{cursor:pointer;color:var(--muted)}
.codex-nb-static .cx-end{padding-bottom:.5em;border-bottom:1px solid var(--line)}
.codex-nb-static .cx-end:last-child{border-bottom:0}
</style>"""

_MARKS = {"completed": ("☑", "done"), "in_progress": ("▸", "in progress")}


def page_of(parts: Iterable[str]) -> str:
    """Rendered blocks as one element with its style sheet."""
    opened = f'<div class="codex-nb-static {_NO_MATHEMATICS}">'
    return "\n".join([opened, _STYLE, *parts, "</div>\n"])


def gap_html(count: int) -> str:
    """What stands in place of entries that were left out."""
    entries = "1 entry" if count == 1 else f"{count:,} entries"
    return f'<p class="cx-small">… {entries} left out …</p>'


def html_of_block(block: Block) -> str:
    """A block as balanced HTML; "" when there is nothing to show."""
    # nbconvert puts HTML into Markdown, where a blank line would end it and what follows be read
    # as Markdown.
    return _BEFORE_BLANK_LINE.sub("&#10;", _rendered(block))


def _rendered(block: Block) -> str:
    match block:
        case Heading():
            return _small(block.text)
        case Prompt():
            said = _text(block.text).replace("\n", "<br>")
            said = f'<p dir="auto">{said}</p>{_cut(block.left_out)}'
            return f'<blockquote class="cx-prompt">{said}</blockquote>'
        case Message():
            label = f"<p><strong>{_text(block.label)}</strong></p>\n" if block.label else ""
            return label + _prose(block.text) + _cut(block.left_out)
        case Reasoning():
            return _reasoning(block)
        case Checklist():
            why = f" {_text(block.explanation)}" if block.explanation else ""
            steps = "\n".join(map(_step, block.steps))
            return _block(
                f'<p><strong>Plan</strong>{why}</p>\n<ul class="cx-plan">\n{steps}\n</ul>'
            )
        case Command():
            call = f"<strong>$ {_text(block.command)}</strong>"
            return _block(_call(call, block.output) + _note(block.note, failed=block.failed))
        case FileChanges():
            shown = "\n".join(map(_change, block.changes))
            return _block(shown + _note(block.note, failed=block.failed))
        case ToolCall():
            return _tool_call(block)
        case Approval():
            return _approval(block)
        case Notice():
            return _notice(block)
        case Other():
            return _fold(_text(block.text), f"<pre>{_text(block.source)}</pre>")
        case Closing():
            tone = " cx-bad" if block.failed else ""
            return f'<p class="cx-small cx-end{tone}">{_text(block.text)}</p>'
        case _:
            assert_never(block)


def _text(text: str) -> str:
    return escape(text, quote=False)


def _block(inner: str) -> str:
    return f'<div class="cx-block">\n{inner}\n</div>'


def _small(text: str) -> str:
    return f'<p class="cx-small">{_text(text)}</p>'


def _cut(count: int) -> str:
    return f'<p class="cx-small">… {count:,} characters left out …</p>' if count else ""


def _fold(summary: str, inner: str) -> str:
    return f"<details><summary>{summary}</summary>\n{inner}\n</details>"


def _note(note: str, *, failed: bool) -> str:
    tone = " cx-bad" if failed else ""
    return f'\n<p class="cx-small{tone}">{_text(note)}</p>' if note else ""


def _prose(text: str) -> str:
    rendered = html_of_markdown(text)
    if len(rendered) > _PROSE_LIMIT:
        rendered = f"<pre>{_text(text)}</pre>"
    return f'<div class="{_MATHEMATICS}" dir="auto">\n{rendered.strip()}\n</div>'


def _reasoning(block: Reasoning) -> str:
    if not block.text:
        return ""
    title = block.title or "…"
    return _fold(f"Thought: {_text(title)}", _prose(block.text) + _cut(block.left_out))


def _step(step: Step) -> str:
    mark, meaning = _MARKS.get(step.status, ("☐", "to do"))
    text = f"<strong>{_text(step.text)}</strong>" if meaning == "in progress" else _text(step.text)
    return f'<li><span title="{meaning}">{mark}</span> {text}</li>'


def _change(change: FileChange) -> str:
    path = f" <code>{_text(change.path)}</code>" if change.path else " files"
    lines = "\n".join(map(_diff_line, change.diff.split("\n")))
    diff = f"\n<pre>{lines}</pre>" if change.diff else ""
    return f"<p>{change.verb.capitalize()}{path}</p>{diff}"


def _diff_line(line: str) -> str:
    if line.startswith("@@"):
        return f'<span class="cx-out">{_text(line)}</span>'
    if line.startswith("+"):
        return f'<span class="cx-good">{_text(line)}</span>'
    if line.startswith("-"):
        return f'<span class="cx-bad">{_text(line)}</span>'
    return _text(line)


def _tool_call(block: ToolCall) -> str:
    call = f"<strong>{_text(block.name)}</strong>({_text(block.arguments)})"
    return _block(_call(call, block.output) + _note(block.note, failed=block.failed))


def _call(call: str, output: str) -> str:
    printed = f'\n<span class="cx-out">{_text(output)}</span>' if output else ""
    return f"<pre>{call}{printed}</pre>"


def _approval(block: Approval) -> str:
    tone = "cx-good" if block.allowed else "cx-warn"
    verdict = f'<strong class="{tone}">{_text(block.verdict)}</strong>'
    shown = f"<p>Asked: {_text(block.title)} — {verdict}</p>"
    if block.command:
        shown += f"\n<pre>{_text(block.command)}</pre>"
    shown += "".join(f"\n{_small(fact)}" for fact in block.facts)
    return f'<div class="cx-block cx-box">\n{shown}\n</div>'


def _notice(block: Notice) -> str:
    tone = "cx-bad" if block.level == "error" else "cx-warn"
    label = f'<strong class="{tone}">{block.level.capitalize()}:</strong>'
    shown = f"<p>{label} {_text(block.text)}</p>"
    if block.hint:
        shown += f"\n<p>Hint: {_text(block.hint)}</p>"
    if block.detail:
        shown += f"\n<pre>{_text(block.detail)}</pre>"
    return f'<div class="cx-block cx-box">\n{shown}\n</div>'
