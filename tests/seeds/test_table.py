"""What the verbs of seeds show, in each of its forms."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from codex_nb.seeds.records import Finding, Intent, Lease, Seed, Status
from codex_nb.seeds.table import (
    Table,
    finding_table,
    seed_card,
    seed_json,
    seed_table,
    told_span,
    told_time,
)

NOW = 1_800_000_000.0
HOUR = 3600.0

SEED = Seed(
    id="a" * 32,
    name="work",
    pool="team",
    kind="chatgpt",
    account="c" * 64,
    fingerprint="f" * 64,
    version=3,
    details={
        "email": "ada@example.org",
        "plan": "pro",
        "refresh_by": NOW + 3 * HOUR,
        "usage": {
            "primary": {"usedPercent": 12.4, "windowDurationMins": 300},
            "secondary": {"usedPercent": 40, "windowDurationMins": 10080},
        },
    },
    created_at=NOW - 3 * 24 * HOUR,
    updated_at=NOW - 120,
    verified_at=NOW - 2 * HOUR,
)
LEASE = Lease(seed=SEED.id, id="l", holder="session tidy", fence=4, expires_at=NOW + 42, left=42.0)
INTENT = Intent(attempt="1", fence=4, parent="p", host="box", at=NOW - 100)


class Outline(HTMLParser):
    """The elements of a page and the text in them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.elements.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_a_row_tells_everything_that_is_known_of_a_seed() -> None:
    [row] = seed_table([replace(SEED, lease=LEASE)], NOW).rows

    assert row == (
        "work",
        "team",
        "ChatGPT",
        "ada@example.org",
        "pro",
        "alive",
        "session tidy, 42 s left",
        "2 h ago",
        "in 3 h",
        "5 h: 12 %, 7 days: 40 %",
    )


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        (
            replace(SEED, status=Status.DEAD, reason="The token was revoked."),
            "dead: The token was revoked.",
        ),
        (replace(SEED, intent=INTENT), "alive, a refresh is under way"),
        (
            replace(SEED, status=Status.SUSPECT, reason="no answer", intent=INTENT),
            "suspect: no answer",
        ),
    ],
    ids=["dead", "refreshing", "suspect"],
)
def test_the_state_of_a_seed_comes_with_its_reason(changed: Seed, state: str) -> None:
    assert seed_table([changed], NOW).rows[0][5] == state


def test_a_column_in_which_nothing_is_known_is_left_out() -> None:
    bare = Seed(id="b" * 32, name="key", kind="apikey", account="c", fingerprint="f")

    alone = seed_table([bare], NOW)
    beside = seed_table([bare, replace(bare, name="other", pool="team")], NOW)

    assert alone.columns == ("name", "kind", "account", "state")
    assert alone.rows == (("key", "API key", "#c", "alive"),)
    assert beside.rows == (
        ("key", "", "API key", "#c", "alive"),
        ("other", "team", "API key", "#c", "alive"),
    )


def test_a_card_has_a_row_for_each_fact_that_is_known() -> None:
    card = seed_card(replace(SEED, intent=INTENT), NOW)

    assert {row[0]: row[1] for row in card.rows} == {
        "pool": "team",
        "kind": "ChatGPT",
        "account": "ada@example.org",
        "plan": "pro",
        "state": "alive, a refresh is under way",
        "verified": "2 h ago",
        "refresh by": "in 3 h",
        "usage": "5 h: 12 %, 7 days: 40 %",
        "id": "a" * 32,
        "version": "3",
        "made": "3 days ago",
        "saved": "2 min ago",
        "refresh": "begun 2 min ago on box",
    }


def test_a_program_gets_the_same_facts_and_no_fingerprint() -> None:
    value = seed_json(replace(SEED, lease=LEASE, intent=INTENT))

    assert json.loads(json.dumps(value)) == value
    assert (value["name"], value["status"], value["details"]) == ("work", "alive", SEED.details)
    assert value["lease"] == {
        "holder": "session tidy",
        "fence": 4,
        "expires_at": NOW + 42,
        "left": 42.0,
    }
    assert "f" * 64 not in json.dumps(value)


TABLE = Table(columns=("name", "state"), rows=(("one", "alive"), ("three", "dead: gone")), toned=1)


def test_a_terminal_gets_columns() -> None:
    assert str(TABLE) == "name   state\none    alive\nthree  dead: gone"


def test_github_gets_a_table() -> None:
    assert TABLE.to_markdown() == (
        "| name | state |\n| --- | --- |\n| one | alive |\n| three | dead: gone |"
    )


def test_a_notebook_gets_a_table_with_headers_for_rows_and_columns() -> None:
    page = TABLE.to_html()

    assert Outline(page).elements == [
        "div", "style", "table", "thead", "tr", "th", "th",
        "tbody", "tr", "th", "td", "tr", "th", "td",
    ]  # fmt: skip
    assert '<td class="cx-good">alive</td>' in page
    assert '<td class="cx-bad">dead: gone</td>' in page


def test_without_rows_a_sentence_stands_in_each_form() -> None:
    table = seed_table([], NOW)

    assert str(table) == "There are no seeds; `login NAME` makes one."
    assert all("There are no seeds" in form for form in table.forms().values())


HOSTILE = "</td><script>alert(1)</script> | **b** [x](javascript:0) \x1b[31m\u202e\n$a$ `c`"


def test_foreign_text_cannot_leave_its_cell() -> None:
    table = Table(columns=("name", "text"), rows=((HOSTILE, HOSTILE),), caption=HOSTILE)

    forms = table.forms()

    assert "script" not in Outline(forms["text/html"]).elements
    assert len(forms["text/markdown"].splitlines()) == 3
    assert len(forms["text/plain"].splitlines()) == 2
    assert not any(mark in "".join(forms.values()) for mark in ("\x1b", "\u202e"))
    unescaped = forms["text/markdown"].splitlines()[2].replace("\\|", "")
    assert unescaped.count("|") == 3
    assert "\\<script\\>" in forms["text/markdown"]


def test_findings_are_a_table_too() -> None:
    found = finding_table([Finding(name="clock", state="warn", text="It jumps.")])

    assert found.rows == (("clock", "warn", "It jumps."),)
    assert 'class="cx-warn"' in found.to_html()


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "2 h"), (172_800, "2 days")],
)
def test_a_span_is_told_in_its_largest_unit(seconds: float, told: str) -> None:
    assert told_span(seconds) == told


@pytest.mark.parametrize(
    ("at", "told"),
    [(None, ""), (0.0, ""), (NOW, "now"), (NOW + 60, "in 60 s"), (NOW - 60, "60 s ago")],
)
def test_a_moment_is_told_from_now(at: float | None, told: str) -> None:
    assert told_time(at, NOW) == told
