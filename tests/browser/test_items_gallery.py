"""What each kind of item says in one line, what it unfolds to, and what it lets a person do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.stage import Stage, events, item, transcript

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject

pytestmark = pytest.mark.browser

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJg"
    "gg=="
)
MINUS = "\N{MINUS SIGN}"
SERVICES = """() => {
  window.opened = [];
  globalThis[Symbol.for("codex-nb.page")] = {
    version: 1,
    open() { throw new Error("no session"); },
    services: {
      canOpen: (path) => path.startsWith("/w/"),
      openFile: (path) => { opened.push(path); },
    },
  };
}"""


def lines(stage: Stage) -> list[str]:
    """What the entries say, line breaks as bars."""
    texts = stage.root.locator(".cnb-entry").all_inner_texts()
    return [" | ".join(part for part in text.split("\n") if part.strip()) for text in texts]


def test_calls_of_tools_are_one_line_each_with_their_problem_or_progress(stage: Stage) -> None:
    stage.show_view("tools")

    assert lines(stage) == [
        "Prompt: | Plot the churn.",
        'kernel.eval(expr="df.shape") · 0.8 s',
        'kernel.plot(x="month", y="churn") · 1.4 s',
        'kernel.describe(name="df", columns=["age","tenure","plan","region","monthly_charges",'
        '"total_cha…) · 0.8 s',
        'failed | kernel.run(code="1/0") · ZeroDivisionError: division by zero · 0.8 s',
        "kernel.restart() · 0.8 s",
        'kernel.get_variable(name="x") · 0.8 s',
        "failed | boom(name=\"x\") · KeyError: 'x' · 0.8 s",
        "output of | notebook_event · cell 5 raised KeyError",
        'running | kernel.fit(model="xgboost") · fold 3 of 5 · 50.0 s',
    ]
    assert stage.root.get_by_alt_text("Picture from the tool").count() == 1
    assert stage.root.locator(".cnb-fold summary").count() == 8


def test_a_call_unfolds_to_arguments_and_result(stage: Stage) -> None:
    stage.show_view("tools")
    call = stage.root.locator(".cnb-call").first

    call.locator("summary").click()

    parts = call.locator(".cnb-part").all_inner_texts()
    assert parts == ['Arguments\n{\n  "expr": "df.shape"\n}', "Result\n(1200, 14)"]


def test_what_a_fold_shows_follows_its_item_while_it_is_open(stage: Stage) -> None:
    body: JsonObject = {"server": "s", "tool": "t", "arguments": {"a": 1}}
    stage.show(transcript(item("mcpToolCall", status="in_progress", body=body)))
    stage.root.locator(".cnb-fold summary").click()
    append: JsonObject = {"op": "append", "in": "items", "id": "i", "field": "output"}
    stage.send(events(0, {**append, "text": "one\n"}))

    assert stage.root.locator(".cnb-part").all_inner_texts()[-1] == "Progress\none\n"


def test_searches_say_what_was_looked_for_and_link_what_was_found(stage: Stage) -> None:
    stage.show_view("searches")
    page = "https://scikit-learn.org/stable/modules/cross_validation.html"
    assert lines(stage)[1:4] == [
        "Searched the web for “sklearn group k fold”",
        f"Opened {page}",
        f"Looked for “GroupKFold” in {page}",
    ]

    stage.root.locator(".cnb-fold summary").first.click()

    assert stage.root.locator(".cnb-results li").all_inner_texts() == [
        "GroupKFold — scikit-learn scikit-learn.org\n"
        "K-fold iterator variant with non-overlapping groups.",
        "Data leakage en.wikipedia.org",
    ]
    assert stage.root.locator(".cnb-results a").count() == 2


def test_a_prompt_shows_what_was_sent_along(stage: Stage) -> None:
    stage.page.evaluate(SERVICES)
    content: list[JsonObject] = [
        {"type": "text", "text": "look"},
        {"type": "localImage", "path": "/w/a.png"},
        {"type": "image", "url": f"data:image/png;base64,{PNG}"},
        {"type": "image", "url": "https://evil.example/x.png"},
        {"type": "skill", "name": "tidy", "path": "/s/SKILL.md"},
    ]
    stage.show(transcript(item("userMessage", text="look", body={"content": [*content]})))

    stage.root.get_by_role("button", name="Open a.png").click()

    assert stage.root.locator(".cnb-attachment").all_inner_texts() == ["a.png", "image", "tidy"]
    assert stage.root.get_by_alt_text("Attached picture").count() == 1
    assert stage.page.evaluate("() => opened") == ["/w/a.png"]


def test_pictures_that_codex_looked_at_or_made(stage: Stage) -> None:
    stage.page.evaluate(SERVICES)
    made: JsonObject = {"result": PNG, "savedPath": "/w/made.png", "revisedPrompt": "a dot"}
    failure: JsonObject = {"type": "usageLimitExceeded", "limitId": "x", "resetsAt": None}
    stage.show(
        transcript(
            item("imageView", key="a", body={"path": "/w/roc.png"}),
            item("imageView", key="b", body={"path": "/x/roc.png"}),
            item("imageGeneration", key="c", body=made),
            item("imageGeneration", key="d", status="failed", body={"failure": failure}),
            item("imageGeneration", key="e", body={"result": "bm90IGEgcGljdHVyZQ=="}),
            item("imageGeneration", key="f", status="in_progress"),
        )
    )

    for button in stage.root.get_by_role("button", name="Open").all():
        button.click()

    assert lines(stage) == [
        "Looked at roc.png",
        "Looked at /x/roc.png",
        "Made a picture in made.png",
        "failed | Could not make a picture: the usage limit is reached",
        "Made a picture",
        "running | Making a picture…",
    ]
    assert stage.root.locator("img").count() == 1
    assert stage.page.evaluate("() => opened") == ["/w/roc.png", "/w/made.png"]


def test_agents_reviews_and_the_rest_are_one_line_each(stage: Stage) -> None:
    stage.show_view("agents")
    said = lines(stage)

    assert [line for line in said if not line.startswith(("Proposed", "Review |"))] == [
        "Prompt: | Review it, with help.",
        "Thought for 8.2 s · Looking for leaks",
        "Started a sub-agent · Read the notebooks and list those that use the old split. "
        "· gpt-5.5-codex-mini, low · 0.8 s",
        "Sub-agent reader started · gpt-5.5-codex-mini",
        "Waited for sub-agents · 21.0 s",
        "The model was changed to gpt-5.5-codex-mini. The first choice is not available.",
        "MCP server kernel is ready.",
        "MCP server mail did not start. Look at its command in config.toml.",
        "Review started",
        "Compacted the context · Codex goes on with a summary of what was said before",
        "Waited 2.5 s",
        "A hook added to the prompt",
        "holographicEdit",
        "Shall I go on? | Which split should the notebooks use? | The grouped one "
        "| Both, side by side",
        "Thinking… · Waiting for the reader",
    ]


def test_the_states_of_sub_agents_are_words(stage: Stage) -> None:
    stage.show_view("agents")
    waited = stage.root.locator(".cnb-fold", has_text="Waited for sub-agents")

    waited.locator("summary").click()

    assert waited.locator(".cnb-part").all_inner_texts() == [
        "d11ea16d finished\n\nnotebooks/a.ipynb\nnotebooks/b.ipynb",
        "d11ea99e failed\n\nThe model did not answer.",
    ]


def test_an_unknown_kind_is_its_json(stage: Stage) -> None:
    stage.show(transcript(item("novel", text="said", body={"a": [1, "\u202e"]})))
    stage.root.locator(".cnb-fold summary").click()

    text = stage.root.locator(".cnb-terminal").inner_text()

    assert text == '{\n  "text": "said",\n  "a": [\n    1,\n    "⟨U+202E⟩"\n  ]\n}'


def test_files_are_folded_where_they_are_many_and_open_where_the_page_can(stage: Stage) -> None:
    stage.page.evaluate(SERVICES)
    update: JsonObject = {"type": "update", "move_path": None}
    many: list[JsonObject] = [
        {"path": f"/w/{i}.md", "kind": update, "diff": "@@ -1 +1 @@\n-a\n+b\n"} for i in range(6)
    ]
    gone: JsonObject = {"path": "/w/gone", "kind": {"type": "delete"}, "diff": "x\n"}
    stage.show(transcript(item("fileChange", body={"changes": [*many, gone]})))
    assert stage.root.locator(".cnb-row").count() == 0

    stage.root.get_by_role("button", name="0.md").first.click()
    stage.root.get_by_role("button", name="Open 5.md").click()

    assert stage.root.locator(".cnb-row").all_inner_texts() == [
        f"removed:\n1\n{MINUS}\na",
        "added:\n1\n+\nb",
    ]
    assert stage.page.evaluate("() => opened") == ["/w/5.md"]
    assert stage.root.get_by_role("button", name="Open ").count() == 6


def test_a_diff_of_many_thousand_lines_comes_in_steps(stage: Stage) -> None:
    added: JsonObject = {"path": "/w/a", "kind": {"type": "add"}, "diff": "x\n" * 9000}
    stage.show(transcript(item("fileChange", body={"changes": [added]})))
    rows = stage.root.locator(".cnb-row")
    counts = [rows.count()]
    for name in ("Show 4,000 more of 9,000 lines", "Show 4,000 more of", "Show all 9,000 lines"):
        stage.root.get_by_role("button", name=name).click()
        counts.append(rows.count())

    assert counts == [16, 4016, 8016, 9000]
