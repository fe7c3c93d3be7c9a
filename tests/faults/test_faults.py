"""A cut of all rounds, quick enough for every run; `make faults` plays them all, many times."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.faults import crowd
from tests.faults.specs import NETWORK, Outcome, Round
from tests.faults.table import POINTLESS, all_rounds, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.rounds import Rounds

FAULTS = {
    "kill": 16,
    "freeze": 4,
    "store down": 9,
    "disk full": 4,
    "clock +1 h": 3,
    "clock -1 h": 3,
    "network": 12,
}
"""How many rounds of each fault are played here, about."""

FAULT_NAMES = {*FAULTS, "server killed", "step-down"} - {"network"}

SESSION_POINTS = ("file_torn", "codex_wrote", "logged_out")


def cut(fault: str) -> Sequence[Round]:
    """Some rounds of a fault, from everywhere in a cycle."""
    specs = [
        spec
        for spec in all_rounds(["sqlite"])
        if spec.is_strict and (spec.fault in NETWORK if fault == "network" else spec.fault == fault)
    ]
    return specs[:: len(specs) // FAULTS[fault]]


@pytest.mark.parametrize("fault", FAULTS)
def test_no_login_is_lost_outside_of_the_two_windows_and_none_is_dead_that_is_good(
    rounds: Rounds, fault: str
) -> None:
    specs = cut(fault)
    assert specs
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(rounds.play, specs))

    bad = [
        (spec, outcome)
        for spec, outcome in zip(specs, outcomes, strict=True)
        if not outcome.is_good
    ]
    assert bad == []


@pytest.mark.parametrize(
    ("point", "fault", "label"),
    [("after_response", "kill", "lost in W1"), ("", "garbled after", "lost in W2")],
)
def test_a_login_that_is_lost_in_a_window_is_found_out(
    rounds: Rounds, point: str, fault: str, label: str
) -> None:
    spec = Round(
        verb="refresh", point=point, fault=fault, store="sqlite", is_strict=True, elsewhere=False
    )

    assert rounds.play(spec).label == label


def test_a_process_that_ends_without_a_report_is_no_good_round(rounds: Rounds) -> None:
    spec = Round(
        verb="no verb",  # type: ignore[arg-type]  # on purpose
        point="",
        fault="none",
        store="sqlite",
        is_strict=True,
        elsewhere=False,
    )

    assert rounds.play(spec) == Outcome(label="CRASHED", text="exit status 1")


def test_one_login_that_two_processes_keep_at_once_is_there_once(rounds: Rounds) -> None:
    spec = Round(
        verb="capture",
        point="before_create",
        fault="freeze",
        store="sqlite",
        is_strict=True,
        elsewhere=False,
    )

    assert rounds.play(spec) == Outcome(label="ok", text="kept")


def test_every_fault_happens_at_every_point_or_is_said_to_be_pointless() -> None:
    played = {(spec.fault, spec.verb, spec.point) for spec in all_rounds()}
    points = {(verb, point) for fault, verb, point in played if fault == "kill"}
    missing = {(fault, *each) for fault in FAULT_NAMES for each in points} - played

    assert points
    assert missing == set(POINTLESS)


@pytest.mark.parametrize("point", ["blob_written", "after_create"])
def test_a_new_seed_is_there_with_its_login_or_not_at_all(rounds: Rounds, point: str) -> None:
    spec = Round(
        verb="capture",
        point=point,
        fault="kill",
        store="sqlite on a network",
        is_strict=True,
        elsewhere=False,
    )

    kept = {"blob_written": "not kept", "after_create": "kept"}[point]
    assert rounds.play(spec) == Outcome(label="ok", text=kept)


@pytest.mark.parametrize("point", SESSION_POINTS)
def test_what_codex_wrote_outlives_its_session_and_nothing_else_is_saved(
    rounds: Rounds, point: str
) -> None:
    spec = Round(
        verb="session",
        point=point,
        fault="kill",
        store="sqlite",
        is_strict=True,
        elsewhere=False,
    )

    assert rounds.play(spec) == Outcome(label="ok", text="alive; current")


def test_two_holders_and_a_keeper_that_are_killed_lose_nothing_that_was_stored() -> None:
    ended = crowd.play(5, kills=8)

    assert ended.faults == ()
    assert min(ended.fences["holder 1"] + ended.fences["holder 2"], ended.saved) > 0


@pytest.mark.parametrize("fault", ["server killed", "step-down"])
def test_a_refresh_outlives_the_end_of_its_server(mongo_rounds: Rounds, fault: str) -> None:
    spec = Round(
        verb="refresh",
        point="after_response",
        fault=fault,
        store="mongodb replica set",
        is_strict=True,
        elsewhere=False,
    )

    assert mongo_rounds.play(spec) == Outcome(label="ok", text="alive; refreshed | current")


def test_the_table_tells_what_came_of_each_point() -> None:
    def spec(point: str, fault: str, *, elsewhere: bool) -> Round:
        return Round(
            verb="refresh",
            point=point,
            fault=fault,
            store="sqlite",
            is_strict=True,
            elsewhere=elsewhere,
        )

    played = [
        (spec("after_save", "kill", elsewhere=False), Outcome(label="ok")),
        (spec("after_save", "kill", elsewhere=True), Outcome(label="LOST")),
        (spec("after_response", "kill", elsewhere=True), Outcome(label="lost in W1")),
        (spec("after_save", "freeze", elsewhere=True), Outcome(label="LOST")),
        (spec("after_save", "disk full", elsewhere=True), Outcome(label="ok")),
        (spec("after_release", "kill", elsewhere=True), Outcome(label="ok")),
        (spec("", "429", elsewhere=True), Outcome(label="ok")),
    ]

    assert table(played) == "\n".join(
        [
            "| where | process killed | process frozen until its lease was over "
            "| disk of this machine full |",
            "|---|---|---|---|",
            "| refresh: the endpoint answered | lost (W1) |  |  |",
            "| refresh: the new login was stored | 1 **LOST**, 1 kept | **LOST** | kept |",
            "| refresh: the lease was given back | kept |  | - |",
            "",
            "| answer of the endpoint | then this machine | then another machine, then this |",
            "|---|---|---|",
            "| 429, too many requests |  | kept |",
        ]
    )
