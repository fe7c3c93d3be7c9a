from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nb.seeds.claims import claims_of, time_of

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json


@given(st.text())
def test_any_text_is_a_token_without_claims_or_with_an_object_of_them(text: str) -> None:
    assert isinstance(claims_of(text), dict)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-11-22T15:17:00.630228887Z", 1_795_360_620.630228),
        ("2026-11-22T15:17:00Z", 1_795_360_620.0),
        ("2026-11-22T17:17:00+02:00", 1_795_360_620.0),
        ("2026-11-22 15:17:00", 1_795_360_620.0),
        (1_795_360_620, 1_795_360_620.0),
        (1_795_360_620.5, 1_795_360_620.5),
        (1_795_360_620_500, 1_795_360_620.5),
        ("1795360620", 1_795_360_620.0),
        ("1795360620500", 1_795_360_620.5),
        ("yesterday", None),
        ("", None),
        (True, None),
        (-1, None),
        (10**400, None),
        ("0000-00-00T00:00:00Z", None),
        ([], None),
        (None, None),
    ],
)
def test_every_form_of_a_time_that_was_ever_written_is_read(
    written: Json, read: float | None
) -> None:
    assert time_of(written) == read
