"""How a login by device code ended, in the words that replace the code."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import CodexNBError, LoginError, StoreError
from codex_nb.kernel.seed_login import _end_forms

if TYPE_CHECKING:
    from codex_nb.seeds.person import Answer

REFUSED = LoginError("The login failed: status 400 <Bad Request>", hint="Start again.")
AWAY = StoreError("The store is away.", hint="Look for it.")


@pytest.mark.parametrize(
    ("error", "is_late", "text"),
    [
        (REFUSED, False, "The login failed: status 400 <Bad Request>. Start again."),
        (REFUSED, True, "The code ran out before it was used. Run the cell again for a new one."),
        (AWAY, True, "The store is away. Look for it."),
    ],
    ids=["refused in time", "refused too late", "not kept"],
)
def test_a_login_that_came_to_nothing_says_why_and_what_to_do(
    error: CodexNBError, is_late: bool, text: str
) -> None:
    work: Future[Answer] = Future()
    work.set_exception(error)

    forms, told = _end_forms(work, is_late=is_late)

    assert told == text
    page = text.replace("<", "&lt;").replace(">", "&gt;")
    assert forms == {"text/plain": text, "text/html": f"<p>{page}</p>"}


def test_a_login_that_was_cancelled_says_that_nothing_is_kept() -> None:
    work: Future[Answer] = Future()
    work.cancel()
    work.set_running_or_notify_cancel()

    assert _end_forms(work, is_late=True)[1] == "The login was cancelled; nothing is kept."
