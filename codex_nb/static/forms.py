"""The fallbacks that stand in a saved notebook: a transcript as plain text, Markdown and HTML.

Transcripts come from foreign data: whatever is missing or wrong in one, these functions return
something readable and do not raise. The size of each result is bounded; when a session is longer,
its middle is left out and the result says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_nb.static.as_markdown import markdown_of_block
from codex_nb.static.as_text import text_of_block
from codex_nb.static.entries import entries_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.static.blocks import Block
    from codex_nb.static.entries import Entry, Window

# UTF-8 bytes. A notebook keeps all three of them for each cell.
_TEXT_LIMIT = 160_000
_MARKDOWN_LIMIT = 160_000
_HTML_LIMIT = 320_000


def text_of(transcript: JsonObject, *, window: Window = (0, None)) -> str:
    """A transcript for a terminal, a diff, or the next agent.

    Args:
        transcript: The value that docs/architecture.md describes.
        window: Indices of turns, from the first to before the last; None means up to the end.

    Returns:
        Lines without escape sequences, at most 160 kB, not folded to any width.
    """
    return _text(entries_of(transcript, window))


def markdown_of(transcript: JsonObject, *, window: Window = (0, None)) -> str:
    """A transcript for GitHub and for exports to Markdown and PDF.

    Args:
        transcript: The value that docs/architecture.md describes.
        window: Indices of turns, from the first to before the last; None means up to the end.

    Returns:
        Markdown of at most 160 kB, without raw HTML and images.
    """
    return _markdown(entries_of(transcript, window))


def html_of(transcript: JsonObject, *, window: Window = (0, None)) -> str:
    """A transcript for pages: nbviewer, HTML exports, JupyterLab without the widget.

    Args:
        transcript: The value that docs/architecture.md describes.
        window: Indices of turns, from the first to before the last; None means up to the end.

    Returns:
        One element of at most 325 kB, without scripts and without anything to load.
    """
    return _html(entries_of(transcript, window))


def forms_of(transcript: JsonObject, *, window: Window = (0, None)) -> dict[str, str]:
    """All three forms by MIME type, as an output of a notebook cell keeps them.

    Args:
        transcript: The value that docs/architecture.md describes.
        window: Indices of turns, from the first to before the last; None means up to the end.
    """
    entries = entries_of(transcript, window)
    return {
        "text/plain": _text(entries),
        "text/markdown": _markdown(entries),
        "text/html": _html(entries),
    }


def _text(entries: Sequence[Entry]) -> str:
    parts = _fit(entries, text_of_block, _gap_text, _TEXT_LIMIT)
    return "\n\n".join(parts) + "\n"


def _markdown(entries: Sequence[Entry]) -> str:
    parts = _fit(entries, markdown_of_block, _gap_markdown, _MARKDOWN_LIMIT)
    return "\n\n".join(parts) + "\n"


def _html(entries: Sequence[Entry]) -> str:
    # Its Markdown renderer takes time to import, and most kernels never need it.
    from codex_nb.static.as_html import gap_html, html_of_block, page_of

    return page_of(_fit(entries, html_of_block, gap_html, _HTML_LIMIT))


def _gap_text(count: int) -> str:
    return f"… {_counted(count)} left out …"


def _gap_markdown(count: int) -> str:
    return f"*… {_counted(count)} left out …*"


def _counted(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"


def _fit(
    entries: Sequence[Entry],
    render: Callable[[Block], str],
    gap: Callable[[int], str],
    limit: int,
) -> list[str]:
    """Entries rendered until a third of the limit is used, then from the end until all of it is.

    The end counts for more because it holds the answer. What is in between is not even read.
    """
    separator = 2
    front: list[str] = []
    back: list[str] = []
    room = limit // 3
    start, end = 0, len(entries)
    while start < end:
        part = render(entries[start]())
        size = len(part.encode()) + separator
        if size > room:
            break
        room -= size
        front.append(part)
        start += 1
    room += limit - limit // 3
    while start < end:
        part = render(entries[end - 1]())
        size = len(part.encode()) + separator
        if size > room:
            break
        room -= size
        back.append(part)
        end -= 1
    middle = [gap(end - start)] if start < end else []
    return [part for part in [*front, *middle, *reversed(back)] if part]
