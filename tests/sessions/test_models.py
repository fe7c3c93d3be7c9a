"""The models that codex offers, and the one that a session uses from then on."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import RemoteError, UsageError
from codex_nb.sessions.host import with_choice
from codex_nb.sessions.models import Models
from codex_nb.sessions.registry import SessionEntry, read_entry
from codex_nb.sessions.spec import SessionSpec
from tests.support.sessions import LIMIT, Rig, Viewer, obj, say
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.replay.model import ReplayModel

pytestmark = pytest.mark.every_host


def model(key: str, *efforts: str, hidden: bool = False) -> JsonObject:
    """A model as codex lists it."""
    options: Json = [{"reasoningEffort": effort, "description": ""} for effort in efforts]
    return {
        "id": key,
        "model": key,
        "displayName": key.upper(),
        "description": f"The model {key}",
        "hidden": hidden,
        "isDefault": key == "big",
        "supportedReasoningEfforts": options,
        "defaultReasoningEffort": efforts[0],
    }


PAGES: dict[object, JsonObject] = {
    None: {"data": [model("big", "low", "high"), model("secret", "low", hidden=True)],
           "nextCursor": "2"},
    "2": {"data": [model("small", "medium")], "nextCursor": None},
}  # fmt: skip


class Codex:
    """What codex would answer to model/list."""

    def __init__(self, *, is_silent: bool = False) -> None:
        self.asked: list[Json] = []
        self._is_silent = is_silent

    async def request(self, method: str, params: JsonObject) -> Json:
        self.asked.append({"method": method, **params})
        if self._is_silent:
            raise RemoteError("no models here", code=-32600)
        return PAGES[params.get("cursor")]


def test_all_pages_are_offered_but_what_is_hidden_and_codex_is_asked_once() -> None:
    codex = Codex()
    models = Models("", "", request=codex.request)
    expected = [
        {
            "id": "big",
            "name": "BIG",
            "description": "The model big",
            "efforts": ["low", "high"],
            "default_effort": "low",
            "is_default": True,
        },
        {
            "id": "small",
            "name": "SMALL",
            "description": "The model small",
            "efforts": ["medium"],
            "default_effort": "medium",
            "is_default": False,
        },
    ]
    assert run(models.offered()) == expected
    assert run(models.offered()) == expected
    assert codex.asked == [
        {"method": "model/list", "includeHidden": True},
        {"method": "model/list", "includeHidden": True, "cursor": "2"},
    ]


@pytest.mark.parametrize(
    ("model", "effort", "message", "hint"),
    [
        ("", "", "Neither a model nor an effort is chosen.", "Give one of them."),
        ("smal", "", "Codex knows no model 'smal'.", "Try one of: big, secret, small."),
        ("small", "high", "The model 'small' takes no effort 'high'.", "It takes: medium."),
        ("", "medium", "The model 'big' takes no effort 'medium'.", "It takes: low, high."),
    ],
)
def test_what_codex_does_not_know_is_refused(
    model: str, effort: str, message: str, hint: str
) -> None:
    models = Models("", "", request=Codex().request)
    with pytest.raises(UsageError) as caught:
        run(models.select(model, effort, current=("big", "")))
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert (models.model, models.effort) == ("", "")


@pytest.mark.parametrize(
    ("chosen", "current", "expected"),
    [
        (("small", ""), ("big", ""), ("small", "")),
        (("small", ""), ("big", "high"), ("small", "medium")),
        (("secret", ""), ("big", "low"), ("secret", "")),
        (("", "high"), ("big", ""), ("", "high")),
        # A provider of one's own: the list is that of another one.
        (("mine-2", "turbo"), ("mine", ""), ("mine-2", "turbo")),
    ],
)
def test_an_effort_goes_with_its_model(
    chosen: tuple[str, str], current: tuple[str, str], expected: tuple[str, str]
) -> None:
    models = Models("", "", request=Codex().request)
    run(models.select(*chosen, current=current))
    assert (models.model, models.effort) == expected


def test_anything_can_be_chosen_where_codex_does_not_tell_its_models() -> None:
    models = Models("", "", request=Codex(is_silent=True).request)
    run(models.select("any", "", current=("big", "")))
    assert models.turn_params("", "low") == {"model": "any", "effort": "low"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("", ""), ("big", "high")),
        (("", "low"), ("big", "low")),
        (("big", ""), ("big", "high")),
        (("small", ""), ("small", "")),
    ],
)
def test_a_later_host_goes_on_with_what_was_chosen_unless_it_is_told(
    asked: tuple[str, str], expected: tuple[str, str]
) -> None:
    entry = SessionEntry(folder="/f", id="s", name="n", cwd="/", model="big", effort="high")
    spec = SessionSpec(id="s", name="n", cwd="/", model=asked[0], effort=asked[1])
    chosen = with_choice(spec, entry)
    assert (chosen.model, chosen.effort) == expected
    assert with_choice(spec, None) == spec


# In a session

SMALL: JsonObject = {"slug": "small", "display_name": "Small", "default_reasoning_level": "low",
         "supported_reasoning_levels": [{"effort": "low", "description": ""}]}  # fmt: skip


def settings_with_two_models(rig: Rig, replay: ReplayModel) -> JsonObject:
    """The replayed model, and the same once more by another name and with fewer efforts."""
    settings = rig.settings(replay)
    catalog = copy.deepcopy(replay.catalog())
    listed = catalog["models"]
    assert isinstance(listed, list)
    listed.append({**obj(listed[0]), **SMALL})
    (rig.root.parent / "models.json").write_text(json.dumps(catalog))
    return settings


def shown(viewer: Viewer) -> tuple[Json, Json]:
    return viewer.session["model"], viewer.session["effort"]


def used(replay: ReplayModel) -> list[tuple[str, str]]:
    return [(request.model, request.effort) for request in replay.requests]


@pytest.mark.integration
def test_the_model_of_a_session_is_chosen_told_and_kept(every_rig: Rig) -> None:
    rig = every_rig

    async def check() -> None:
        turns = [[say(str(number))] for number in range(5)]
        async with rig.model(*turns) as replay:
            spec = rig.spec(settings=settings_with_two_models(rig, replay))
            entry = await rig.start(spec)
            async with rig.viewing(entry) as viewer:
                await viewer.until_status("idle")
                assert shown(viewer) == ("replay", None)
                listed = await viewer.client.request("models")
                found = listed["models"]
                assert isinstance(found, list)
                assert found[1:] == [
                    {
                        "id": "small",
                        "name": "Small",
                        "description": obj(found[0])["description"],
                        "efforts": ["low"],
                        "default_effort": "low",
                        "is_default": False,
                    }
                ]
                assert obj(found[0])["efforts"] == ["low", "medium", "high"]
                await viewer.turn("a")
                await viewer.client.request("select", effort="high")
                await viewer.until(lambda _: shown(viewer) == ("replay", "high"))
                await viewer.turn("b")
                with pytest.raises(UsageError, match="Codex knows no model 'smal'"):
                    await viewer.client.request("select", model="smal")
                await viewer.client.request("select", model="small")
                await viewer.until(lambda _: shown(viewer) == ("small", "low"))
                await viewer.turn("c")
                assert shown(viewer) == ("small", "low")
                thread = str(viewer.session["thread_id"])
            assert used(replay) == [("replay", "medium"), ("replay", "high"), ("small", "low")]
            await wait_until(lambda: not entry.is_running, seconds=LIMIT)
            kept = read_entry(rig.root / spec.id)
            assert kept is not None
            assert (kept.model, kept.effort) == ("small", "low")
            again = await rig.start(replace(spec, resume=thread))
            async with rig.viewing(again) as viewer:
                await viewer.until_status("idle")
                assert shown(viewer) == ("small", "low")
                await viewer.turn("d")
                assert shown(viewer) == ("small", "low")
            assert used(replay)[3:] == [("small", "low")]

    run(check(), seconds=120)


@pytest.mark.integration
def test_a_message_may_bring_its_model_and_the_ones_after_it_keep_it(every_rig: Rig) -> None:
    rig = every_rig

    async def check() -> None:
        async with rig.model([say("1")], [say("2")]) as replay:
            settings = settings_with_two_models(rig, replay)
            async with rig.session(settings=settings) as viewer:
                answer = await viewer.client.request("send", text="a", model="small", effort="low")
                await viewer.until_turn(answer["index"])
                assert shown(viewer) == ("small", "low")
                await viewer.turn("b")
                assert shown(viewer) == ("small", "low")
            assert used(replay) == [("small", "low")] * 2

    run(check())


@pytest.mark.integration
def test_a_choice_holds_for_what_waits_already(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model([replace(say("1"), hold="on")], [say("2")]) as replay:
            settings = settings_with_two_models(rig, replay)
            async with rig.session(settings=settings) as viewer:
                await viewer.client.request("send", text="a")
                await viewer.client.request("send", text="b")
                await viewer.until(lambda _: viewer.items("userMessage") != [])
                await viewer.client.request("select", model="small", effort="low")
                replay.release("on")
                await viewer.until_turn(1)
            assert used(replay) == [("replay", "medium"), ("small", "low")]

    run(check())


@pytest.mark.integration
def test_a_model_given_at_the_start_is_shown_and_used(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model([say("1")]) as replay:
            settings = settings_with_two_models(rig, replay)
            spec = rig.spec(settings=settings, model="small", effort="low")
            async with rig.viewing(await rig.start(spec)) as viewer:
                await viewer.until_status("idle")
                assert shown(viewer) == ("small", "low")
                await viewer.turn("a")
            assert used(replay) == [("small", "low")]

    run(check())
