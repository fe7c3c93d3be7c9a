"""Requests for approval: what they show, how they are answered, what is left of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import pytest

from tests.browser.stage import Stage, events, load_view, transcript

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from codex_nb.protocol.messages import Json, JsonObject

pytestmark = pytest.mark.browser

NOW = 1795361765.0
DASH = "\N{EN DASH}"


def sample(**values: Json) -> JsonObject:
    """The approval of tests/data/views/approval-command.json, of the turn of `transcript`."""
    snapshot = cast("JsonObject", load_view("approval-command")["snapshot"])
    approvals = cast("JsonObject", snapshot["transcript"])["approvals"]
    return {**cast("list[JsonObject]", approvals)[0], "turn": "turn", "item": "", **values}


def show(stage: Stage, **values: Json) -> Locator:
    """Show a session that waits for one approval; returns its card."""
    stage.show(transcript(approvals=[sample(**values)]), now=NOW)
    return stage.root.locator(".cnb-approval")


def settle(stage: Stage, since: int = 0, **values: Json) -> None:
    stage.send(events(since, {"op": "put", "in": "approvals", "value": sample(**values)}))


ANSWERS = {
    "Allow once": "accept",
    "Allow for this session": "accept_for_session",
    "Always allow": "accept_rule",
    "Stop the turn": "cancel",
}


@pytest.mark.parametrize(("label", "decision"), ANSWERS.items())
def test_an_approval_sends_exactly_one_answer(stage: Stage, label: str, decision: str) -> None:
    card = show(stage)
    card.get_by_role("button", name=label, exact=True).click()
    button = card.locator(f".cnb-decision-{decision}")
    button.evaluate("(it) => it.click()")

    [message] = stage.sent()
    assert message == {
        "id": message["id"],
        "op": "answer",
        "approval": "a-1",
        "decision": decision,
    }
    assert [it.is_disabled() for it in card.locator(".cnb-decision").all()] == [True] * 5
    assert button.inner_text().endswith("ing…")
    assert button.evaluate("(it) => it === document.activeElement")


KEYS = {"y": "accept", "S": "accept_for_session"}


@pytest.mark.parametrize(("key", "decision"), KEYS.items())
def test_a_letter_answers_while_the_focus_is_inside(stage: Stage, key: str, decision: str) -> None:
    card = show(stage)
    stage.page.keyboard.press(key)
    assert stage.sent() == []

    card.focus()
    stage.page.keyboard.press(f"Control+{key.lower()}")
    assert stage.sent() == []
    stage.page.keyboard.press(key)

    assert [it["decision"] for it in stage.sent()] == [decision]


def test_a_key_that_is_held_down_answers_nothing(stage: Stage) -> None:
    card = show(stage)
    card.focus()

    card.evaluate(
        "(it) => it.dispatchEvent(new KeyboardEvent('keydown', {key: 'y', repeat: true}))"
    )

    assert stage.sent() == []


def test_decline_asks_for_a_reason_and_enter_sends_it(stage: Stage) -> None:
    card = show(stage)
    card.focus()
    stage.page.keyboard.press("n")
    assert stage.sent() == []

    # The letters of the reason are no answers.
    stage.page.keyboard.type("yes, but use the mirror")
    stage.page.keyboard.press("Enter")

    assert [(it["decision"], it.get("reason")) for it in stage.sent()] == [
        ("decline", "yes, but use the mirror")
    ]
    assert card.get_by_label("Tell Codex why (optional)").get_attribute("readonly") is not None


def test_decline_needs_no_reason_and_escape_takes_it_back(stage: Stage) -> None:
    card = show(stage)
    decline = card.get_by_role("button", name="Decline", exact=True)
    decline.click()
    assert decline.get_attribute("aria-expanded") == "true"
    stage.page.keyboard.press("Escape")
    assert card.get_by_label("Tell Codex why (optional)").is_hidden()
    assert decline.evaluate("(it) => it === document.activeElement")
    assert stage.sent() == []

    decline.click()
    card.get_by_role("button", name="Decline now").click()

    [message] = stage.sent()
    assert message == {
        "id": message["id"],
        "op": "answer",
        "approval": "a-1",
        "decision": "decline",
    }


def test_only_legal_answers_are_offered_and_they_come_back_after_a_refusal(stage: Stage) -> None:
    card = show(stage, decisions=["accept", "decline", "cancel"])
    buttons = card.locator(".cnb-decision")
    assert buttons.all_inner_texts() == ["Allow once\nY", "Decline\nN", "Stop the turn"]
    buttons.first.click()
    [message] = stage.sent()

    refusal: JsonObject = {"message": "It is not legal here.", "hint": "Look again."}
    stage.send({"reply": message["id"], "error": refusal})

    assert [it.is_enabled() for it in buttons.all()] == [True] * 3
    assert card.locator(".cnb-problem").inner_text() == "It is not legal here. Look again."
    assert buttons.first.evaluate("(it) => it === document.activeElement")
    card.focus()
    stage.page.keyboard.press("s")
    assert len(stage.sent()) == 1


def test_a_reply_to_another_view_changes_nothing(stage: Stage) -> None:
    card = show(stage)
    card.locator(".cnb-decision").first.click()

    stage.send({"reply": "another-1", "error": {"message": "no", "hint": ""}})

    assert card.locator(".cnb-decision").first.is_disabled()


def test_the_card_is_a_labelled_stop_of_the_keyboard_and_nothing_in_it_is_focused(
    stage: Stage,
) -> None:
    card = show(stage, item="i")

    names = ("role", "tabindex", "aria-label", "data-lm-suppress-shortcuts")
    assert {name: card.get_attribute(name) for name in names} == {
        "role": "group",
        "tabindex": "0",
        "aria-label": "Approval: Run a command outside the sandbox",
        "data-lm-suppress-shortcuts": "true",
    }
    assert stage.page.evaluate("() => document.activeElement.tagName") == "BODY"
    assert card.locator("[aria-live], [role=alert], [role=status], [autofocus]").count() == 0


LEFT = {
    600.0: "Declined by itself in 10 min",
    545.0: "Declined by itself in 10 min",
    121.0: "Declined by itself in 3 min",
    119.0: "Declined by itself in 1:59",
    -1.0: "Is being declined: nobody answered",
}


def test_the_time_that_is_left_is_told_by_the_minute_and_then_by_the_second(stage: Stage) -> None:
    told = {
        left: show(stage, expires_at=NOW + left).locator(".cnb-expiry").inner_text()
        for left in LEFT
    }

    assert told == LEFT


SETTLED: dict[str, JsonObject] = {
    "Allowed once": {"status": "accepted", "decision": "accept"},
    "Allowed for this session": {"status": "accepted", "decision": "accept_for_session"},
    f"Allowed from now on {DASH} Run every command that begins with: ls": {
        "status": "accepted",
        "decision": "accept_rule",
        "rule": "Run every command that begins with: ls",
    },
    f"Declined {DASH} Use the mirror": {
        "status": "declined",
        "decision": "decline",
        "note": "Use the mirror",
    },
    "Declined, and the turn was stopped": {"status": "cancelled", "decision": "cancel"},
    "Declined: nobody answered": {
        "status": "expired",
        "decision": "decline",
        "note": "Nobody answered in 30 minutes.",
    },
    "Answered elsewhere, or no longer asked": {"status": "resolved", "decision": None},
}


def test_one_line_is_left_of_a_settled_request(stage: Stage) -> None:
    lines = []
    for values in SETTLED.values():
        stage.show(transcript(approvals=[sample(item="i", **values)]))
        lines.append(stage.root.locator(".cnb-approvalholder").inner_text())

    assert lines == list(SETTLED)


def test_an_answer_given_elsewhere_says_so_and_keeps_the_focus_in_the_view(stage: Stage) -> None:
    card = show(stage, item="i")
    card.get_by_role("button", name="Allow once").focus()

    settle(stage, item="i", status="accepted", decision="accept")

    line = stage.root.locator(".cnb-settled")
    assert line.inner_text() == "Allowed once, answered elsewhere"
    assert line.evaluate("(it) => it === document.activeElement")


def test_an_answer_given_here_does_not_claim_to_come_from_elsewhere(stage: Stage) -> None:
    card = show(stage, item="i")
    card.get_by_role("button", name="Allow once").click()

    settle(stage, item="i", status="accepted", decision="accept")

    assert stage.root.locator(".cnb-settled").inner_text() == "Allowed once"


def test_a_settled_request_that_was_not_focused_takes_no_focus(stage: Stage) -> None:
    show(stage)

    settle(stage, status="expired", decision="decline")

    assert stage.page.evaluate("() => document.activeElement.tagName") == "BODY"


def test_a_command_is_shown_whole_with_its_lines_place_and_consequences(stage: Stage) -> None:
    script = "set -e\nfor i in 1 2; do\n  echo $i\ndone"
    card = show(
        stage,
        command=f"/bin/bash -lc '{script}'",
        grants=["Runs outside the sandbox.", "Uses the network."],
        rule="Run every command that begins with: set -e",
    )

    assert card.locator(".cnb-asked").inner_text() == script
    words = [line for line in card.inner_text().split("\n") if line]
    assert words[words.index("done") + 1 :] == [
        "with /bin/bash -lc in /home/ada/churn on gpu-3 (ssh)",
        "If you allow it:",
        "Runs outside the sandbox.",
        "Uses the network.",
        "“Always allow” means: Run every command that begins with: set -e",
        "Allow once",
        "Y",
        "Allow for this session",
        "S",
        "Always allow",
        "Decline",
        "N",
        "Stop the turn",
    ]
    rule = card.locator(".cnb-decision-accept_rule").get_attribute("aria-description")
    assert rule == "Run every command that begins with: set -e"


HIDDEN = {
    "right-to-left override": "\N{RIGHT-TO-LEFT OVERRIDE}",
    "zero-width space": "\N{ZERO WIDTH SPACE}",
    "tag": "\N{TAG LATIN SMALL LETTER A}",
    "no-break space": "\N{NO-BREAK SPACE}",
    "figure space": "\N{FIGURE SPACE}",
    "escape": "\x1b[8m",
    "byte order mark": "\N{ZERO WIDTH NO-BREAK SPACE}",
    "Hangul filler": "\N{HANGUL FILLER}",
}
TELLING: dict[str, JsonObject] = {
    "title": {"title": "a%sb"},
    "reason": {"reason": "a%sb"},
    "command": {"command": "echo a%sb"},
    "folder": {"cwd": "/a%sb"},
    "host": {"host": "a%sb"},
    "rule": {"rule": "a%sb"},
    "grant": {"grants": ["a%sb"]},
    "file": {"changes": [{"path": "/a%sb", "kind": {"type": "add"}, "diff": "x\n"}]},
    "line": {"changes": [{"path": "/a", "kind": {"type": "add"}, "diff": "a%sb\n"}]},
    "path": {"permissions": {"fileSystem": {"write": ["/a%sb"]}}},
    "key": {"permissions": {"a%sb": "x"}},
}


def planted(value: Json, trick: str) -> Json:
    if isinstance(value, str):
        return value.replace("%s", trick)
    if isinstance(value, list):
        return [planted(each, trick) for each in value]
    if isinstance(value, dict):
        return {key.replace("%s", trick): planted(each, trick) for key, each in value.items()}
    return value


@pytest.mark.parametrize("trick", HIDDEN)
def test_hidden_characters_are_made_visible_wherever_they_stand(stage: Stage, trick: str) -> None:
    hidden = HIDDEN[trick]
    plain: JsonObject = {"command": "true", "reason": ""}
    for field, values in TELLING.items():
        card = show(stage, **{**plain, **cast("JsonObject", planted(values, hidden))})

        everything = card.evaluate(
            """(it) => it.textContent + [...it.querySelectorAll("*"), it]
              .flatMap((e) => [...e.attributes].map(({ value }) => value)).join(" ")"""
        )
        assert hidden[0] not in everything, field
        assert f"a⟨U+{ord(hidden[0]):04X}⟩" in card.inner_text(), field
        assert card.locator(".cnb-tricky").count() == 1, field


def test_a_plain_request_carries_no_warning(stage: Stage) -> None:
    change: JsonObject = {"path": "/a", "kind": {"type": "add"}, "diff": "\N{SPARKLES}\ufe0f\r\n"}
    card = show(stage, command="echo ü\ttab\nline", changes=[change])

    assert card.locator(".cnb-tricky").count() == 0


def facts(card: Locator) -> list[list[str]]:
    names, values = card.locator(".cnb-asks dt"), card.locator(".cnb-asks dd")
    return [list(it) for it in zip(names.all_inner_texts(), values.all_inner_texts(), strict=True)]


def test_permissions_are_read_as_words_and_what_is_unknown_is_shown_as_it_came(
    stage: Stage,
) -> None:
    entries: list[Json] = [
        {"access": "write", "path": {"type": "path", "path": "/data/out"}},
        {"access": "read", "path": {"type": "glob_pattern", "pattern": "/etc/*.conf"}},
        {
            "access": "read",
            "path": {"type": "special", "value": {"kind": "project_roots", "subpath": ".git"}},
        },
        {"access": "deny", "path": {"type": "special", "value": {"kind": "root"}}},
        {"access": "execute", "path": {"type": "path", "path": "/bin"}},
    ]
    asked: JsonObject = {
        "fileSystem": {"read": ["/data/raw"], "write": ["/data/out"], "entries": entries},
        "network": {"enabled": True},
        "camera": True,
    }

    card = show(stage, kind="permissions", command="", permissions=asked)

    assert facts(card) == [
        ["Read", "/data/raw"],
        ["Write", "/data/out"],
        ["Read", "/etc/*.conf"],
        ["Read", "the folder of the project, in it: .git"],
        ["No access to", "every file of this machine"],
        [
            "Files",
            json.dumps(entries[-1], indent=2),
        ],
        ["Network", "every address"],
        ["camera", "true"],
    ]


def test_the_arguments_of_a_tool_stand_one_by_one(stage: Stage) -> None:
    values: JsonObject = {"title": "A bug", "body": "one\ntwo", "labels": ["p1"]}

    card = show(stage, kind="tool", command="", permissions=values)

    assert facts(card) == [
        ["title", "A bug"],
        ["body", "one\ntwo"],
        ["labels", '[\n  "p1"\n]'],
    ]


def test_changes_of_files_are_shown_as_a_diff(stage: Stage) -> None:
    stage.show_view("approval-files")

    card = stage.root.locator(".cnb-approval")
    assert card.locator(".cnb-file .cnb-path").all_inner_texts() == [
        "/etc/hosts",
        "/home/ada/old/notes.txt",
    ]
    assert card.locator(".cnb-added .cnb-text").all_inner_texts() == ["10.0.0.7 gpu-3"]
