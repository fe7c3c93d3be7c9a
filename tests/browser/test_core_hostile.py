"""Text of the model never becomes script, style, a request or a part of the page around it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import pytest

from tests.browser.stage import DATA, Stage, item, transcript

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

pytestmark = pytest.mark.browser

HOSTILE: dict[str, str] = {
    case["name"]: case["text"] for case in json.loads((DATA / "hostile.json").read_text())
}
HOSTILE |= {
    "pwned": "<img src=x onerror='window.pwned=1'><script>window.pwned=1</script>",
    "commandlinker": "<button data-commandlinker-command='runmenu:run'>run</button>",
    "an id of the page": "<p id='jp-main-dock-panel' class='jp-Dialog' style='inset:0'>x</p>",
    "our own classes": "<section class='cnb-approval'><button class='cnb-button'>Allow</button>",
    "an image": "![x](https://evil.example/a.png) ![y][r]\n\n[r]: https://evil.example/b.png",
    "an image of data": "![x](data:image/svg+xml,<svg onload=window.pwned=1>)",
    "a javascript link": "[x](javascript:window.pwned=1) <javascript:window.pwned=1>",
    "an encoded javascript link": "[y](JaVaScRiPt&colon;window.pwned=1) [z](java\tscript:x)",
    "a link that breaks out": '[x](https://a.example/"onmouseover="window.pwned=1)',
    "a title that breaks out": '[y](https://b.example "t\\" onclick=window.pwned=1")',
    "a poster": "<video poster='https://evil.example/p.png'></video>",
    "an image button": "<input type=image src='https://evil.example/i.png'>",
    "a style": "<style>@import 'https://evil.example/x.css'; .cnb{display:none}</style>",
    "a background": "<p style='background:url(https://evil.example/b.png)'>x</p>",
    "a prefetch": "<link rel=prefetch href='https://evil.example/'>",
    "a refresh": "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "quotes without end": "> " * 5000 + "x",
    "lists without end": "\n".join("  " * i + "- x" for i in range(400)),
    "emphasis without end": "*_" * 20_000,
    "brackets without end": "[" * 20_000,
    "a huge line": "x" * 100_000,
    "commands to a terminal": "\x1b]8;;https://evil.example/\x07x\x1b]0;t\x07\x1b]52;c;cHduZWQ=\x07",
    "keys of a prototype": "__proto__ constructor toString",
}

ALLOWED_IN_MARKDOWN = {
    "a": {"href", "rel", "target", "title"},
    "ol": {"start"},
    "td": {"align"},
    "th": {"align"},
    "pre": {"tabindex"},
}
TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li",
    "ol", "p", "pre", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
OURS = {
    "div.cnb-block",
    "div.cnb-table",
    "div.cnb-code",
    "button.cnb-button cnb-copy",
    "pre.cnb-plain",
}

AUDIT = """() => [...document.querySelectorAll(".cnb *")].map((it) => [
  it.localName,
  it.getAttribute("class") ?? "",
  it.getAttributeNames(),
  it.closest(".cnb-markdown") !== null && !it.matches(".cnb-markdown"),
  it.getAttribute("href") ?? "",
])"""


def audit(stage: Stage) -> list[str]:
    """What stands in the view and has no business there."""
    strange = []
    for tag, style, attributes, is_markdown, href in stage.page.evaluate(AUDIT):
        names = set(attributes) - {"data-lm-suppress-shortcuts"}  # ours, on boxes that scroll
        if tag in {
            "script",
            "style",
            "iframe",
            "img",
            "video",
            "object",
            "form",
            "link",
            "meta",
            "base",
        }:
            strange.append(tag)
        if any(
            name.startswith(("on", "data-")) or name in {"id", "src", "srcdoc", "name"}
            for name in names
        ):
            strange.append(f"{tag} {sorted(names)}")
        if style and not all(part.startswith("cnb-") for part in style.split()):
            strange.append(f"{tag}.{style}")
        if not is_markdown or f"{tag}.{style}" in OURS:
            continue
        if tag not in TAGS or names - ALLOWED_IN_MARKDOWN.get(tag, set()):
            strange.append(f"{tag} {sorted(names)} in Markdown")
        if tag == "a" and not href.lower().startswith(("http://", "https://", "mailto:")):
            strange.append(href)
    if stage.page.evaluate("() => window.pwned ?? window.hostile ?? null") is not None:
        strange.append("script ran")
    return strange


def everywhere(text: str) -> JsonObject:
    """A transcript with a text in each field that a model, a tool or a file can fill."""
    kinds: dict[str, JsonObject] = {
        "userMessage": {},
        "agentMessage": {},
        "plan": {},
        "reasoning": {},
        "commandExecution": {"command": text, "cwd": text, "exitCode": 1},
        "fileChange": {
            "changes": [
                {"path": text, "kind": {"type": "update", "move_path": text}, "diff": f"+{text}"}
            ]
        },
        "mcpToolCall": {
            "server": text,
            "tool": text,
            "arguments": {text[:99]: text},
            "result": {
                "content": [
                    {"type": "image", "data": text, "mimeType": text},
                    {"type": "text", "text": text},
                ]
            },
            "error": {"message": text},
        },
        "dynamicToolCall": {
            "namespace": text,
            "tool": text,
            "contentItems": [
                {"type": "inputImage", "imageUrl": text},
                {"type": "inputImage", "imageUrl": "https://evil.example/i.png"},
            ],
        },
        "webSearch": {"query": text, "action": {"type": "search", "query": text, "url": text}},
        "imageView": {"path": text},
        "collabAgentToolCall": {"tool": text, "prompt": text},
        "exitedReviewMode": {"review": text},
        text[:50] or "unknown": {"value": text},
    }
    items = [
        item(kind, key=f"i{n}", text=text, output=text, body=body)
        for n, (kind, body) in enumerate(kinds.items())
    ]
    approval: JsonObject = {
        **dict.fromkeys(("title", "reason", "command", "cwd", "host", "rule", "note"), text),
        "id": "a",
        "kind": "command",
        "turn": "turn",
        "permissions": {"p": text},
        "decisions": ["accept", "accept_rule", "decline"],
        "status": "pending",
    }
    base = transcript(*items, turn_status="failed")
    turn = cast("JsonObject", cast("list[Json]", base["turns"])[0])
    turn["error"] = {
        "message": text,
        "kind": text,
        "detail": text,
        "hint": text,
        "status_code": None,
    }
    known = ("name", "host", "cwd", "detail", "hint", "model", "sandbox", "replay", "thread_id")
    base["session"] = dict.fromkeys(known, text)
    base["approvals"] = [approval, {**approval, "id": "b", "status": "declined"}]
    base["notices"] = [{"id": "n", "level": text, "text": text, "hint": text, "at": 1.0}]
    base["plan"] = {"explanation": text, "steps": [{"step": text, "status": text}]}
    return base


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_stays_text(stage: Stage, name: str) -> None:
    stage.show(everywhere(HOSTILE[name]))
    for button in stage.root.get_by_role("button", name="Details").all():
        button.click()
    stage.page.evaluate(
        "() => document.querySelectorAll('details').forEach((it) => { it.open = true; })"
    )
    stage.settle()

    assert audit(stage) == []


def test_the_audit_finds_what_it_looks_for(stage: Stage) -> None:
    stage.show(transcript(item("agentMessage", text="x")))
    stage.page.evaluate(
        """() => {
          const block = document.querySelector(".cnb-block");
          block.innerHTML = "<a href='javascript:1' onclick='1'>x</a><img>"
            + "<p id=y class=jp-Dialog data-x=1>y</p>";
          window.pwned = 1;
        }"""
    )

    assert len(audit(stage)) >= 7


def test_links_are_marked_and_show_where_they_lead(stage: Stage) -> None:
    stage.show(
        transcript(
            item(
                "agentMessage",
                text="[docs](https://a.example/x) <me@a.example> [f](src/a.py) www.b.example",
            )
        )
    )

    links = stage.root.locator("a").evaluate_all(
        "(all) => all.map((a) => [a.textContent, a.getAttribute('href'), a.target, a.rel, a.title])"
    )

    safe = ["_blank", "noopener noreferrer nofollow"]
    assert links == [
        ["docs", "https://a.example/x", *safe, "https://a.example/x"],
        ["me@a.example", "mailto:me@a.example", *safe, "mailto:me@a.example"],
        ["www.b.example", "http://www.b.example", *safe, "http://www.b.example"],
    ]
    assert stage.root.locator(".cnb-message").inner_text() == "docs me@a.example f www.b.example"


def test_formulas_and_raw_html_stay_as_they_were_written(stage: Stage) -> None:
    text = r"$a_1 *b* c_2$ and \(x_1\) and \[y\] and $$z_{*}$$, but $5 and $6; <b>bold</b>"
    stage.show(transcript(item("agentMessage", text=text)))

    assert stage.root.locator(".cnb-message").inner_text() == text
    assert stage.root.locator(".cnb-message em, .cnb-message b").count() == 0


def test_markdown_is_drawn(stage: Stage) -> None:
    text = (
        "# T\n\n**b** *i* ~~d~~ `c`\n\n3. x\n4. y\n   - z\n\n- [x] done\n- [ ] open\n\n> q\n\n"
        "|a|b|\n|-:|:-|\n|1|2|\n\n```py\nx < 1\n```\n\n---"
    )
    stage.show(transcript(item("agentMessage", text=text)))

    drawn = stage.root.locator(".cnb-markdown").inner_html().replace("\n", "")

    assert drawn.replace('<div class="cnb-block">', "").replace("</div>", "") == (
        "<h1>T</h1><p><strong>b</strong> <em>i</em> <del>d</del> <code>c</code></p>"
        '<ol start="3"><li>x</li><li>y<ul><li>z</li></ul></li></ol>'
        "<ul><li>☑ done</li><li>☐ open</li></ul><blockquote><p>q</p></blockquote>"
        '<div class="cnb-table"><table>'
        '<thead><tr><th align="right">a</th><th align="left">b</th></tr></thead>'
        '<tbody><tr><td align="right">1</td><td align="left">2</td></tr></tbody></table>'
        '<div class="cnb-code"><pre tabindex="0" data-lm-suppress-shortcuts="true">'
        "<code>x &lt; 1</code></pre>"
        '<button class="cnb-button cnb-copy" type="button">Copy</button><hr>'
    )
