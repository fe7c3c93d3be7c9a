"""A short race on every kind of store; `make race` runs the long one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.seeds.race import Race, race

if TYPE_CHECKING:
    from tests.seeds.stores import Place


def test_of_many_processes_one_gets_the_seed_in_each_round(place: Place) -> None:
    found = race(place.name, processes=8, rounds=8)

    assert found == Race(winners=(1,) * 8, fences=tuple(range(1, 9)), seconds=found.seconds)


@pytest.mark.parametrize(
    ("winners", "fences"),
    [((1, 2), (1, 2, 3)), ((1, 0), (1,)), ((1, 1), (1, 1)), ((1, 1), (2, 1))],
    ids=["two winners", "no winner", "one fence twice", "a fence that falls"],
)
def test_a_race_that_went_wrong_is_not_fair(
    winners: tuple[int, ...], fences: tuple[int, ...]
) -> None:
    assert not Race(winners=winners, fences=fences, seconds=1.0).is_fair
    assert Race(winners=(1, 1), fences=(1, 2), seconds=1.0).is_fair
