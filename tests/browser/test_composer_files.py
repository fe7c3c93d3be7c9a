"""Files that go with a message: pasted, dropped, chosen; and paths dragged in JupyterLab."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from tests.browser.stage import Stage, transcript

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Locator

    from codex_nb.protocol.messages import Json, JsonObject

pytestmark = pytest.mark.browser

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

GIVE = """([kind, files, types]) => {
  const data = new DataTransfer();
  for (const [name, type, size, content] of files) {
    const given = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
    const bytes = content ? given : new Uint8Array(size);
    data.items.add(new File([bytes], name, { type }));
  }
  for (const type of types) data.setData(type, "text");
  const box = document.querySelector(".cnb-box");
  const init = { bubbles: true, cancelable: true };
  const event = kind === "paste"
    ? new ClipboardEvent("paste", { ...init, clipboardData: data })
    : new DragEvent(kind, { ...init, dataTransfer: data });
  box.dispatchEvent(event);
  return event.defaultPrevented;
}"""


def give(
    stage: Stage, *files: tuple[str, str, int], how: str = "paste", types: tuple[str, ...] = ()
) -> bool:
    """Paste or drop files given by name, type and size; answers whether the view took the event."""
    listed = [[name, kind, size, ""] for name, kind, size in files]
    return bool(stage.page.evaluate(GIVE, [how, listed, list(types)]))


def box(stage: Stage) -> Locator:
    return stage.root.get_by_role("textbox", name="Message to Codex")


def chips(stage: Stage, count: int) -> list[str]:
    """The chips, when so many are there."""
    found = stage.root.locator(".cnb-upload")
    if count:
        found.nth(count - 1).wait_for()
    stage.settle()
    return [text.replace("\n", " ") for text in found.all_inner_texts()]


def attachments(stage: Stage) -> Json:
    return stage.sent()[-1].get("attachments")


def idle() -> JsonObject:
    return transcript(turn_status="completed")


def test_a_pasted_image_goes_with_the_message_and_is_seen_before(stage: Stage) -> None:
    stage.show(idle())
    data = base64.b64encode(PNG).decode()

    assert stage.page.evaluate(GIVE, ["paste", [["plot.png", "image/png", 0, data]], []])
    assert chips(stage, 1) == [f"plot.png {len(PNG)} bytes"]
    picture = stage.root.locator("img.cnb-thumbnail")
    assert picture.evaluate("(it) => it.decode().then(() => it.naturalWidth)") == 1
    box(stage).fill("What is this?")
    box(stage).press("Enter")

    assert stage.sent()[-1] == {
        "id": stage.sent()[-1]["id"],
        "op": "send",
        "text": "What is this?",
        "attachments": [{"name": "plot.png", "type": "image/png", "data": data}],
    }
    stage.send({"reply": stage.sent()[-1]["id"], "ok": {"index": 1}})
    assert chips(stage, 0) == []


def test_a_dropped_file_goes_with_a_steering_message_as_well(stage: Stage) -> None:
    stage.show(transcript())

    assert give(stage, ("table.csv", "text/csv", 3), how="dragover")
    assert give(stage, ("table.csv", "text/csv", 3), ("empty", "", 0), how="drop")
    assert chips(stage, 2) == ["table.csv 3 bytes", "empty 0 bytes"]
    box(stage).fill("Use it.")
    box(stage).press("Enter")

    assert stage.sent()[-1]["op"] == "steer"
    assert attachments(stage) == [
        {"name": "table.csv", "type": "text/csv", "data": "AAAA"},
        {"name": "empty", "type": "application/octet-stream", "data": ""},
    ]


def test_files_are_chosen_by_a_button_that_the_keyboard_reaches(stage: Stage) -> None:
    stage.show(idle())

    with stage.page.expect_file_chooser() as chooser:
        stage.root.get_by_role("button", name="Attach files").press("Enter")
    chosen: FilePayload = {"name": "a.txt", "mimeType": "text/plain", "buffer": b"a"}
    chooser.value.set_files(chosen)

    assert chips(stage, 1) == ["a.txt 1 byte"]


def test_a_chip_is_removed_by_its_button_and_the_focus_goes_to_the_next(stage: Stage) -> None:
    stage.show(idle())
    give(stage, ("a", "", 1), ("b", "", 1), ("c", "", 1))
    chips(stage, 3)

    for name in ("b", "c", "a"):
        stage.root.get_by_role("button", name=f"Remove {name}").click()
        focused = stage.page.evaluate("() => document.activeElement.getAttribute('aria-label')")
        assert focused == {"b": "Remove c", "c": "Remove a", "a": "Attach files"}[name]

    assert chips(stage, 0) == []


def problem(stage: Stage) -> str:
    return stage.root.locator(".cnb-foot .cnb-problem").inner_text()


def test_what_is_too_much_is_told_in_one_sentence_and_the_rest_is_kept(stage: Stage) -> None:
    stage.show(idle())
    box(stage).fill("typed")
    give(stage, ("a", "", 5_000_000), ("big.bin", "", 6_000_001), ("b", "", 5_000_000))
    assert chips(stage, 2) == ["a 5 MB", "b 5 MB"]
    assert problem(stage) == "Not attached: big.bin is larger than 6 MB."

    give(stage, ("c", "", 2_500_000))
    stage.root.get_by_text("more than 12 MB").wait_for()
    assert problem(stage) == "Not attached: c, because all together would be more than 12 MB."

    give(stage, *((f"small{i}", "", 10) for i in range(8)))
    assert len(chips(stage, 8)) == 8
    assert problem(stage) == (
        "Not attached: small6, because 8 files are the most; small7, because 8 files are the most."
    )
    assert box(stage).input_value() == "typed"


def test_a_refusal_keeps_the_files_and_a_new_drawing_of_the_view_as_well(stage: Stage) -> None:
    stage.show(idle())
    give(stage, ("a", "", 1))
    chips(stage, 1)
    box(stage).fill("Use it.")
    box(stage).press("Enter")
    refusal: JsonObject = {"message": "No room.", "hint": ""}
    stage.send({"reply": stage.sent()[-1]["id"], "error": refusal})
    assert chips(stage, 1) == ["a 1 byte"]

    stage.show(idle())

    assert chips(stage, 1) == ["a 1 byte"]
    assert box(stage).input_value() == "Use it."


def test_files_alone_are_no_message_and_the_button_says_what_is_missing(stage: Stage) -> None:
    stage.show(idle())
    give(stage, ("a", "", 1))
    chips(stage, 1)

    send = stage.root.get_by_role("button", name="Send")

    assert send.is_disabled()
    assert send.get_attribute("title") == "Say what Codex is to do with the files"


def test_text_of_an_office_program_is_pasted_as_text(stage: Stage) -> None:
    stage.show(idle())

    taken = give(stage, ("image.png", "image/png", 3), types=("text/plain", "text/html"))

    assert taken is False
    assert chips(stage, 0) == []


def test_a_name_cannot_play_tricks(stage: Stage) -> None:
    stage.show(idle())

    give(stage, ("a\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe", "image/svg+xml", 3))

    assert chips(stage, 1) == ["a⟨U+202E⟩gnp.exe 3 bytes"]
    assert stage.root.locator("img").count() == 0


DRAG = """([kind, data]) => {
  const event = new Event(kind, { bubbles: true, cancelable: true });
  event.mimeData = { hasData: (type) => type in data, getData: (type) => data[type] };
  event.proposedAction = "move";
  event.dropAction = "none";
  document.querySelector(".cnb-box").dispatchEvent(event);
  return [event.defaultPrevented, event.dropAction];
}"""
PATHS = "application/x-jupyter-icontents"


def test_a_path_of_the_file_browser_is_put_into_the_text(stage: Stage) -> None:
    stage.show(idle())
    stage.page.evaluate(
        """() => {
          const config = document.createElement("script");
          config.id = "jupyter-config-data";
          config.type = "application/json";
          config.textContent = JSON.stringify({ serverRoot: "/home/ada" });
          document.head.append(config);
        }"""
    )
    box(stage).fill("Read and plot.")
    box(stage).evaluate("(it) => it.setSelectionRange(4, 4)")
    dragged: JsonObject = {PATHS: ["data/a.csv", "my data/b.csv"]}

    for kind in ("lm-dragenter", "lm-dragover", "lm-drop"):
        assert stage.page.evaluate(DRAG, [kind, dragged]) == [True, "move"]

    assert box(stage).input_value() == (
        'Read /home/ada/data/a.csv "/home/ada/my data/b.csv" and plot.'
    )


def test_what_is_dragged_in_jupyterlab_and_is_no_text_is_left_to_the_notebook(
    stage: Stage,
) -> None:
    stage.show(idle())

    cells: JsonObject = {"application/vnd.jupyter.cells": []}

    assert stage.page.evaluate(DRAG, ["lm-drop", cells]) == [False, "none"]
    assert stage.page.evaluate(DRAG, ["lm-drop", {"text/plain": "hello"}]) == [True, "move"]
    assert box(stage).input_value() == "hello"
