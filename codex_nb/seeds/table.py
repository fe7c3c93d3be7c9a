"""What the verbs of seeds show: tables as HTML, Markdown and text, and seeds in words.

Text in a table comes from logins and from other users of a store: it is cleaned and escaped here.
Times are told relative to `now`, on the store's clock.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from codex_nb.protocol.values import obj, text_of
from codex_nb.seeds.records import Status
from codex_nb.seeds.spool import host_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.seeds.records import Finding, Seed
    from codex_nb.seeds.verify import Verdict

# The tones of a theme are too faint for text in one theme or another; with some of the colour of
# the text, they can be read in all.
_STYLE = """<style>
.codex-nb-seeds{--line:color-mix(in srgb,currentColor 18%,transparent);
color:var(--jp-content-font-color1,var(--jp-ui-font-color1,inherit));
overflow-x:auto;line-height:1.45}
.codex-nb-seeds p{margin:.3em 0}
.codex-nb-seeds table{border-collapse:collapse;margin:.3em 0;font-variant-numeric:tabular-nums}
.codex-nb-seeds caption{text-align:left;padding:.2em 0 .4em;font-weight:600;
color:inherit;caption-side:top;white-space:nowrap}
.codex-nb-seeds tr{background:none!important;border-bottom:1px solid var(--line)}
.codex-nb-seeds th,.codex-nb-seeds td{padding:.3em .9em .3em 0;border:0;
text-align:left!important;vertical-align:top;background:none;white-space:nowrap}
.codex-nb-seeds .cx-long{min-width:8em;max-width:30em;white-space:normal;overflow-wrap:anywhere}
.codex-nb-seeds thead th{font-weight:500;
color:var(--jp-ui-font-color2,color-mix(in srgb,currentColor 65%,transparent))}
.codex-nb-seeds tbody th{font-weight:600}
.codex-nb-seeds .cx-good{--tone:var(--jp-success-color1,currentColor)}
.codex-nb-seeds .cx-warn{--tone:var(--jp-warn-color1,currentColor)}
.codex-nb-seeds .cx-bad{--tone:var(--jp-error-color1,currentColor)}
.codex-nb-seeds [class*=cx-]{color:color-mix(in srgb,var(--tone,currentColor) 65%,currentColor)}
</style>"""

_PHRASE, _WORD = 14, 40
"""Lengths above which a cell with blanks, and one without, may take several lines."""

_TONES = {
    "alive": "good",
    "ok": "good",
    "suspect": "warn",
    "inconclusive": "warn",
    "warn": "warn",
    "dead": "bad",
    "fail": "bad",
}
"""How the first word of a cell is coloured; the word itself says it all."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~$&-])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text under names of columns.

    The last expression of a cell shows it as HTML, and a terminal as text.

    Attributes:
        columns: Their names.
        rows: As many cells each; the first one names the row.
        caption: What it is about.
        empty: What is said when there are no rows.
        toned: Index of the column whose first word tells how it stands; -1 for none.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    empty: str = "Nothing to show."
    toned: int = -1

    def __str__(self) -> str:
        if not self.rows:
            return self.empty
        rows = [self.columns, *(tuple(map(clean, row)) for row in self.rows)]
        widths = [max(len(row[at]) for row in rows) for at in range(len(self.columns))]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def to_markdown(self) -> str:
        """The table for GitHub and for exports."""
        if not self.rows:
            return f"*{self.empty}*"
        rows = [[_MARKDOWN.sub(r"\\\1", clean(text)) or " " for text in row] for row in self.rows]
        lines = [list(self.columns), ["---"] * len(self.columns), *rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

    def to_html(self) -> str:
        """One element without scripts, which reads JupyterLab's colours where there are some."""
        if not self.rows:
            text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(self.empty))
            return f'<div class="codex-nb-seeds">{_STYLE}<p>{text}</p></div>'
        caption = f"<caption>{escape(clean(self.caption))}</caption>" if self.caption else ""
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in self.columns)
        body = "".join(f"<tr>{self._html_row(row)}</tr>" for row in self.rows)
        # A wide table scrolls sideways, also by keyboard, which needs the focus and a name for it.
        named = f' role="group" tabindex="0" aria-label="{escape(clean(self.caption) or "Table")}"'
        return (
            f'<div class="codex-nb-seeds tex2jax_ignore mathjax_ignore"{named}>{_STYLE}'
            f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def forms(self) -> dict[str, str]:
        """All three by MIME type, as an output of a notebook cell keeps them."""
        return {
            "text/plain": str(self),
            "text/markdown": self.to_markdown(),
            "text/html": self.to_html(),
        }

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return self.forms()

    def _html_row(self, row: Sequence[str]) -> str:
        cells = [f'<th scope="row"{_classes(row[0])}>{escape(clean(row[0]))}</th>']
        for at, text in enumerate(map(clean, row[1:]), 1):
            tone = _TONES.get(re.split(r"[\s:,]", text, maxsplit=1)[0], "")
            classes = _classes(text, f"cx-{tone}" if at == self.toned and tone else "")
            cells.append(f"<td{classes}>{escape(text)}</td>")
        return "".join(cells)


_COLUMNS = (
    *("name", "pool", "kind", "account", "plan", "state", "lease", "verified", "refresh by"),
    "usage",
)
_ALWAYS = {"name", "kind", "account", "state"}


def seed_table(seeds: Iterable[Seed], now: float) -> Table:
    """One row for each seed; columns that would be empty are left out."""
    rows = [_row(seed, now) for seed in seeds]
    shown = [
        at for at, name in enumerate(_COLUMNS) if name in _ALWAYS or any(row[at] for row in rows)
    ]
    columns = tuple(_COLUMNS[at] for at in shown)
    return Table(
        columns=columns,
        rows=tuple(tuple(row[at] for at in shown) for row in rows),
        caption="Seeds",
        empty="There are no seeds; `login NAME` makes one.",
        toned=columns.index("state"),
    )


def seed_card(seed: Seed, now: float) -> Table:
    """One seed, with a row for each fact."""
    facts = dict(zip(_COLUMNS, _row(seed, now), strict=True))
    del facts["name"]
    facts |= {
        "id": seed.id,
        "version": str(seed.version),
        "made": told_time(seed.created_at, now),
        "saved": told_time(seed.updated_at, now),
        "leased": told_time(seed.leased_at, now),
    }
    if seed.intent is not None:
        host = host_name(seed.intent.host)
        facts["refresh"] = f"begun {told_time(seed.intent.at, now)} on {host}"
    rows = tuple((name, text) for name, text in facts.items() if text)
    return Table(columns=("fact", "value"), rows=rows, caption=seed.name, toned=1)


def finding_table(findings: Iterable[Finding]) -> Table:
    """What a doctor found."""
    rows = tuple((finding.name, finding.state, finding.text) for finding in findings)
    return Table(columns=("tried", "state", "found"), rows=rows, caption="Store", toned=1)


def verdict_table(verdicts: Iterable[Verdict]) -> Table:
    """One row for each verdict; columns that would be empty are left out."""
    rows = [
        (
            verdict.name,
            verdict.kind,
            _sentence(verdict.reason) or ("It got new tokens." if verdict.is_refreshed else ""),
            f"in {told_span(verdict.retry_after)}" if verdict.retry_after else "",
        )
        for verdict in verdicts
    ]
    columns = ("name", "verdict", "reason", "try again")
    shown = [at for at in range(len(columns)) if at < 2 or any(row[at] for row in rows)]
    counts = sorted(Counter(row[1] for row in rows).items())
    return Table(
        columns=tuple(columns[at] for at in shown),
        rows=tuple(tuple(row[at] for at in shown) for row in rows),
        caption=f"Verdicts: {', '.join(f'{count} {kind}' for kind, count in counts)}",
        empty="There are no seeds to verify.",
        toned=1,
    )


def verdict_json(verdict: Verdict) -> JsonObject:
    """A verdict for a program."""
    return {
        "id": verdict.seed,
        "name": verdict.name,
        "verdict": verdict.kind,
        "reason": verdict.reason,
        "retry_after": verdict.retry_after,
        "refreshed": verdict.is_refreshed,
    }


def seed_json(seed: Seed) -> JsonObject:
    """A seed for a program: every fact, and no secret."""
    lease: JsonObject | None = None
    if seed.lease is not None:
        lease = {
            "holder": seed.lease.holder,
            "fence": seed.lease.fence,
            "expires_at": seed.lease.expires_at,
            "left": seed.lease.left,
        }
    intent: JsonObject | None = None
    if seed.intent is not None:
        intent = {"host": seed.intent.host, "at": seed.intent.at}
    return {
        "id": seed.id,
        "name": seed.name,
        "pool": seed.pool,
        "kind": seed.kind,
        "version": seed.version,
        "status": seed.status.value,
        "reason": seed.reason,
        "details": seed.details,
        "created_at": seed.created_at,
        "updated_at": seed.updated_at,
        "verified_at": seed.verified_at,
        "leased_at": seed.leased_at,
        "lease": lease,
        "refresh": intent,
    }


def told_time(at: float | None, now: float) -> str:
    """A moment in words: "in 3 h", "2 days ago"; "" for None and 0."""
    if not at:
        return ""
    if abs(at - now) < 1:
        return "now"
    span = told_span(abs(at - now))
    return f"in {span}" if at > now else f"{span} ago"


def told_span(seconds: float) -> str:
    """A stretch of time in its largest unit: "40 s", "5 min", "3 h", "2 days"."""
    for unit, size, most in (("s", 1, 90), ("min", 60, 90), ("h", 3600, 48)):
        if seconds / size < most:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"


def clean(text: str) -> str:
    """The text on one line, without anything that a terminal or a page would act on."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _classes(text: str, tone: str = "") -> str:
    """The attribute of a cell: its tone, and whether it may take several lines."""
    is_long = len(text) > (_PHRASE if " " in text else _WORD)
    names = " ".join(filter(None, (tone, "cx-long" if is_long else "")))
    return f' class="{names}"' if names else ""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _row(seed: Seed, now: float) -> tuple[str, ...]:
    details = seed.details
    by = details.get("refresh_by")
    lease = ""
    if seed.lease is not None:
        lease = f"{seed.lease.holder}, {told_span(max(0.0, seed.lease.left))} left"
    return (
        seed.name,
        seed.pool,
        "API key" if seed.kind == "apikey" else "ChatGPT",
        text_of(details.get("email")) or f"#{seed.account[:8]}",
        text_of(details.get("plan")),
        _state(seed),
        lease,
        told_time(seed.verified_at, now),
        told_time(by if isinstance(by, int | float) else None, now),
        _usage(details.get("usage")),
    )


def _state(seed: Seed) -> str:
    state = f"{seed.status}: {seed.reason}" if seed.reason else str(seed.status)
    if seed.status is Status.ALIVE and seed.intent is not None:
        return f"{state}, a refresh is under way"
    return state


def _usage(value: Json) -> str:
    """Windows of usage as codex reports them: {"primary": {"usedPercent", …}, "secondary": …}."""
    told = []
    for name in ("primary", "secondary"):
        window = obj(obj(value).get(name))
        used, minutes = window.get("usedPercent"), window.get("windowDurationMins")
        if isinstance(used, int | float):
            span = told_span(minutes * 60) if isinstance(minutes, int | float) else name
            told.append(f"{span}: {used:.0f} %")
    return ", ".join(told)


__all__ = [
    "Table",
    "clean",
    "finding_table",
    "seed_card",
    "seed_json",
    "seed_table",
    "told_span",
    "told_time",
    "verdict_json",
    "verdict_table",
]
