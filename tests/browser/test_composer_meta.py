"""The row below the input: model and effort, time, tokens, context and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.browser.stage import Stage, events, transcript

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from codex_nb.protocol.messages import Json, JsonObject

pytestmark = pytest.mark.browser

NOON = 1795348800.0
"""2026-11-22, 12:00 UTC."""


def session(**values: Json) -> JsonObject:
    shown = transcript()
    more: JsonObject = {
        "model": "codex-large",
        "effort": "medium",
        "sandbox": "workspace-write",
        **values,
    }
    return {**shown, "session": {**cast("JsonObject", shown["session"]), **more}}


def usage(last: int) -> JsonObject:
    total: JsonObject = {
        "total": 48231,
        "input": 43407,
        "cached_input": 19292,
        "output": 4823,
        "reasoning_output": 1446,
    }
    return {"total": total, "last": {**total, "total": last}, "context_window": 100_000}


def window(used: float, minutes: int | None = 300, resets: float | None = None) -> JsonObject:
    return {"usedPercent": used, "windowDurationMins": minutes, "resetsAt": resets}


def row(stage: Stage) -> list[str]:
    """What stands in the row, part by part."""
    parts = stage.root.locator(".cnb-with > *, .cnb-figures > *").all()
    return [it.inner_text() for it in parts if it.is_visible() and it.inner_text()]


def test_the_row_says_with_what_how_long_and_how_much(stage: Stage) -> None:
    limits: JsonObject = {"primary": window(34, resets=NOON + 8400), "secondary": window(5, 10080)}
    shown = session(network=True)
    turns = cast("list[JsonObject]", shown["turns"])
    turns[0]["started_at"] = NOON - 47
    stage.show({**shown, "usage": usage(38_000), "rate_limits": limits}, now=NOON)

    assert row(stage) == [
        "codex-large · medium",
        "workspace-write + network",
        "0:47",
        "48.2k tokens",
        "62 % context left",
        stage.page.evaluate(
            """(at) => `5 h limit 34 % used, resets ${
              new Date(at * 1000).toTimeString().slice(0, 5)}`""",
            NOON + 8400,
        ),
    ]
    assert stage.root.locator(".cnb-tokens").get_attribute("title") == (
        "48.2k in all: 43.4k in (19.3k of them cached), 4.8k out"
    )
    stage.set_time(NOON + 61)
    stage.root.locator(".cnb-figures .cnb-time", has_text="1:48").wait_for()


def test_a_turn_that_is_over_shows_no_clock_and_unknown_things_no_place(stage: Stage) -> None:
    stage.show(transcript(turn_status="completed"))

    assert row(stage) == ["Default model"]


LIMITS: dict[str, tuple[list[Json], str, str]] = {
    "calm": ([79.6, 300], "5 h limit 80 % used", "calm"),
    "near": ([80, 10080], "Weekly limit 80 % used", "near"),
    "over": ([95, 4320], "3 d limit 95 % used", "over"),
    "odd": ([1, 90], "90 min limit 1 % used", "calm"),
    "nameless": ([1, None], "Limit 1 % used", "calm"),
}


def test_the_limit_is_named_by_its_window_and_warns_when_it_is_near(stage: Stage) -> None:
    told = {}
    for name, ([used, minutes], _words, _level) in LIMITS.items():
        primary: JsonObject = {"usedPercent": used, "windowDurationMins": minutes}
        stage.show({**session(), "rate_limits": {"primary": primary, "secondary": None}})
        limit = stage.root.locator(".cnb-limit")
        told[name] = limit.inner_text(), limit.get_attribute("class")

    assert told == {
        name: (words, f"cnb-limit cnb-{level}") for name, (_, words, level) in LIMITS.items()
    }


def test_the_tightest_limit_is_shown_and_one_that_began_anew_is_not(stage: Stage) -> None:
    limits: JsonObject = {
        "primary": window(99, resets=NOON - 1),
        "secondary": window(40, 10080, resets=NOON + 400_000),
    }
    stage.show({**session(), "rate_limits": limits}, now=NOON)
    assert stage.root.locator(".cnb-limit").inner_text().startswith("Weekly limit 40 % used, reset")

    stage.show({**session(), "rate_limits": {"primary": None, "limitId": "codex"}})
    assert stage.root.locator(".cnb-limit").is_hidden()


@pytest.mark.parametrize(
    ("last", "words", "level"),
    [(0, "100 %", "calm"), (85_000, "15 %", "near"), (96_000, "4 %", "over"), (2e5, "0 %", "over")],
)
def test_the_context_that_is_left_warns_when_it_runs_out(
    stage: Stage, last: int, words: str, level: str
) -> None:
    stage.show({**session(), "usage": usage(last)})

    room = stage.root.locator(".cnb-context")
    assert room.inner_text() == f"{words} context left"
    assert room.get_attribute("class") == f"cnb-context cnb-{level}"


def test_a_replayed_model_is_named_and_cannot_be_chosen(stage: Stage) -> None:
    stage.show(session(replay="first-steps", sandbox="danger-full-access"))

    assert row(stage)[:2] == ["replay first-steps", "danger-full-access"]
    assert "cnb-open" in (stage.root.get_by_text("danger-full-access").get_attribute("class") or "")


MODELS: list[Json] = [
    {
        "id": "codex-large",
        "name": "Codex Large",
        "description": "For hard work.",
        "efforts": ["low", "medium", "high"],
        "default_effort": "medium",
        "is_default": True,
    },
    {
        "id": "codex-small",
        "name": "Codex \N{RIGHT-TO-LEFT OVERRIDE}Small",
        "description": "",
        "efforts": ["low"],
        "default_effort": "low",
        "is_default": False,
    },
]


def opener(stage: Stage) -> Locator:
    return stage.root.locator(".cnb-pick > button")


def open_picker(stage: Stage, **values: Json) -> Locator:
    stage.show(session(**values))
    opener(stage).click()
    [message] = stage.sent()
    assert message == {"id": message["id"], "op": "models"}
    stage.send({"reply": message["id"], "ok": {"models": MODELS}})
    return stage.root.get_by_role("dialog", name="Model and effort")


def options(picker: Locator, name: str) -> list[tuple[str, bool]]:
    found = picker.get_by_role("listbox", name=name).get_by_role("option").all()
    return [(it.inner_text(), it.get_attribute("aria-selected") == "true") for it in found]


def focused(stage: Stage) -> str:
    """The first line of what has the focus."""
    return str(stage.page.evaluate("() => document.activeElement.innerText.split('\\n')[0]"))


def asked(stage: Stage) -> list[JsonObject]:
    return [{key: it[key] for key in it if key != "id"} for it in stage.sent()]


def answer(stage: Stage) -> None:
    stage.send({"reply": stage.sent()[-1]["id"], "ok": {}})


def told(stage: Stage, since: int, **values: str) -> None:
    change: JsonObject = {"op": "merge", "key": "session", "value": dict(values)}
    stage.send(events(since, change))


def test_the_models_are_loaded_when_the_choice_is_first_opened(stage: Stage) -> None:
    picker = open_picker(stage)

    assert options(picker, "Model") == [
        ("Codex Large\nFor hard work.", True),
        ("Codex ⟨U+202E⟩Small", False),
    ]
    assert options(picker, "Effort") == [("low", False), ("medium", True), ("high", False)]
    assert focused(stage) == "Codex Large"
    stage.page.keyboard.press("Escape")
    assert picker.is_hidden()
    assert opener(stage).evaluate("(it) => it === document.activeElement")
    opener(stage).click()
    assert len(stage.sent()) == 1


def test_a_model_and_an_effort_are_chosen_by_the_keyboard(stage: Stage) -> None:
    picker = open_picker(stage, effort="high")
    keys = stage.page.keyboard

    keys.press("ArrowDown")
    keys.press("Enter")
    answer(stage)
    told(stage, 0, model="codex-small", effort="low")
    assert focused(stage) == "Codex ⟨U+202E⟩Small"
    assert options(picker, "Effort") == [("low", True)]
    keys.press("Home")
    keys.press(" ")
    answer(stage)
    told(stage, 1, model="codex-large", effort="low")
    keys.press("Tab")
    keys.press("End")
    keys.press("Enter")
    answer(stage)
    told(stage, 2, effort="high")

    assert asked(stage)[1:] == [
        {"op": "select", "model": "codex-small", "effort": "low"},
        {"op": "select", "model": "codex-large"},
        {"op": "select", "effort": "high"},
    ]
    assert picker.is_hidden()
    assert opener(stage).inner_text() == "codex-large · high"
    assert opener(stage).evaluate("(it) => it === document.activeElement")


def test_a_choice_that_is_refused_says_why(stage: Stage) -> None:
    picker = open_picker(stage)
    picker.get_by_role("option", name="high").click()

    refusal: JsonObject = {"message": "It takes no high.", "hint": "Try low."}
    stage.send({"reply": stage.sent()[-1]["id"], "error": refusal})

    assert picker.get_by_text("It takes no high. Try low.").is_visible()
    assert opener(stage).inner_text() == "codex-large · medium"


def test_a_list_that_cannot_be_loaded_says_why_and_is_asked_for_again(stage: Stage) -> None:
    stage.show(session())
    opener(stage).click()
    refusal: JsonObject = {"message": "Codex does not answer.", "hint": ""}
    stage.send({"reply": stage.sent()[-1]["id"], "error": refusal})
    assert stage.root.get_by_text("Codex does not answer.").is_visible()
    stage.page.keyboard.press("Escape")

    opener(stage).click()

    assert [it["op"] for it in stage.sent()] == ["models", "models"]


def test_the_choice_stands_inside_of_the_window_and_closes_with_a_press_elsewhere(
    stage: Stage,
) -> None:
    stage.page.set_viewport_size({"width": 400, "height": 320})
    picker = open_picker(stage)

    place = picker.evaluate(
        """(it) => {
          const { left, top, right, bottom } = it.getBoundingClientRect();
          return left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
        }"""
    )
    assert place
    stage.page.mouse.click(395, 5)
    picker.wait_for(state="hidden")
    assert opener(stage).get_attribute("aria-expanded") == "false"
