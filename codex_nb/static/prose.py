"""The model's Markdown as HTML that can do nothing but be read.

Raw HTML is shown as text. There are no images: an image is a link to it, because loading one would
tell its server who reads. Links lead to the web or to mail; any other target is dropped. No id,
class, style or title comes from the model. The module is imported only when HTML is made, because
mistune takes time to import (checked with 3.4.0).
"""

from __future__ import annotations

import html
import re
from functools import cache

import mistune

_URL = re.compile(r"(?:https?://|mailto:)[^\x00-\x20\x7f-\xa0\"'<>\\^`{|}]+", re.IGNORECASE)
_LINK_TAG = re.compile(r"</?a\b[^>]*>")
_ALIGNMENTS = frozenset({"left", "center", "right"})
_LINK_TYPES = "noopener noreferrer nofollow"


def html_of_markdown(text: str) -> str:
    """Foreign Markdown as HTML of a small set of elements, without anything that loads or runs."""
    return str(_markdown()(text))


class _Prose(mistune.HTMLRenderer):
    """HTML with nothing of the source but text, structure and web links."""

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """The text, as a link if the target is harmless; titles are dropped."""
        # Links do not nest, but an image in a link became one.
        text = _LINK_TAG.sub("", text)
        target = html.unescape(url).strip()
        if not _URL.fullmatch(target):
            return text
        return (
            f'<a href="{html.escape(target)}" rel="{_LINK_TYPES}">{text or html.escape(target)}</a>'
        )

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """A link to the image, called by what it should show."""
        return self.link(text or "image", url)

    def heading(self, text: str, level: int, **attrs: object) -> str:
        """A heading below those of the notebook, which no table of contents lists."""
        return f'<h{min(level + 3, 6)} class="jp-toc-ignore">{text}</h{min(level + 3, 6)}>\n'

    def block_code(self, code: str, info: str | None = None) -> str:
        """The code; its language is dropped, nothing here colours it."""
        return f"<pre><code>{html.escape(code, quote=False)}</code></pre>\n"

    def table_cell(self, text: str, align: str | None = None, head: bool = False) -> str:
        """A cell with its alignment."""
        tag = "th" if head else "td"
        where = f' align="{align}"' if align in _ALIGNMENTS else ""
        return f"<{tag}{where}>{text}</{tag}>\n"


@cache
def _markdown() -> mistune.Markdown:
    return mistune.create_markdown(renderer=_Prose(escape=True), plugins=["table", "strikethrough"])
