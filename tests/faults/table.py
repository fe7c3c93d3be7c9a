"""All rounds that make sense, and the table of what they came to."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import TYPE_CHECKING, get_args

from tests.faults.places import StoreKind
from tests.faults.specs import NETWORK, REFUSED_LATE, Outcome, Round

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.faults.child import Verb

_REFRESH = {
    "before_lease": "before the lease",
    "after_lease": "the lease was given",
    "before_reserve": "before room in the spool",
    "after_reserve": "room in the spool was reserved",
    "after_intent": "the intent was stored",
    "before_post": "before the endpoint is asked",
    "after_response": "the endpoint answered",
    "spool_written": "the spool was written, not yet to the disk",
    "after_spool": "the new login was in the spool",
    "before_save": "before the new login is stored",
    "after_save": "the new login was stored",
    "after_clear": "the spool was cleared",
    "before_release": "before the lease is given back",
    "after_release": "the lease was given back",
}
_SAVE = {
    "spool_written": "the spool was written, not yet to the disk",
    "before_save": "before the new login is stored",
    "after_save": "the new login was stored",
    "after_clear": "the spool was cleared",
}
_CAPTURE = {
    "before_create": "before the seed is made",
    "blob_written": "the login was written, its seed was not",
    "after_create": "the seed was made",
}
_SESSION = {
    "planted": "Codex has its file",
    "file_torn": "Codex wrote half of its file",
    "codex_wrote": "Codex wrote a new login",
    "login_saved": "the new login was stored",
    "logged_out": "Codex logged out",
}
_VERBS: dict[Verb, tuple[str, dict[str, str]]] = {
    "capture": ("new seed", _CAPTURE),
    "refresh": ("refresh", _REFRESH),
    "save": ("login from Codex", _SAVE),
    "session": ("file of Codex", _SESSION),
}
_FAULTS = {
    "kill": "process killed",
    "freeze": "process frozen until its lease was over",
    "store down": "store out of reach",
    "server killed": "MongoDB killed and restarted",
    "step-down": "MongoDB primary stepped down",
    "disk full": "disk of this machine full",
    "clock +1 h": "clock 1 h ahead",
    "clock -1 h": "clock 1 h back",
}
_ANSWERS = {
    "lost before": "connection lost before it did anything",
    "429": "429, too many requests",
    "403": "403, challenge of a firewall",
    "400 other": "400, something else than the login is wrong",
    "503": "503",
    "silent before": "none, and it did nothing",
    REFUSED_LATE: "401, and another holder has the lease by now",
    "lost after": "connection lost after it made the new token",
    "500 after": "500 after it made the new token",
    "garbled after": "garbled after it made the new token",
    "empty after": "empty after it made the new token",
    "silent after": "none, and it made the new token",
}
_STORE_NAMES: dict[StoreKind, str] = {
    "sqlite": "SQLite",
    "sqlite on a network": "SQLite on a network file system",
    "mongodb standalone": "a MongoDB server",
    "mongodb replica set": "a MongoDB replica set",
}
_LABELS = {"ok": "kept", "lost in W1": "lost (W1)", "lost in W2": "lost (W2)"}

POINTLESS: tuple[tuple[str, Verb, str], ...] = (
    ("disk full", "capture", "after_create"),
    ("disk full", "refresh", "after_release"),
)
"""Faults at points after which the process does nothing that they could hit."""

_STORES: dict[str, tuple[StoreKind, ...]] = {
    "server killed": ("mongodb standalone", "mongodb replica set"),
    "step-down": ("mongodb replica set",),
}
"""The only stores that a fault can happen to."""


_BOTH = (True, False)
_STRICT = {"kill": _BOTH, "freeze": _BOTH, **dict.fromkeys(NETWORK, _BOTH)}
"""Faults that are tried with an endpoint that is not strict as well."""


def all_rounds(stores: Iterable[StoreKind] = get_args(StoreKind)) -> Sequence[Round]:
    """One round of each kind."""
    cases: list[tuple[Verb, str, str]] = [
        (verb, point, fault)
        for fault in _FAULTS
        for verb, (_, points) in _VERBS.items()
        for point in points
        if (fault, verb, point) not in POINTLESS
    ]
    cases += [
        ("refresh", "after_response" if fault == REFUSED_LATE else "", fault) for fault in NETWORK
    ]
    return [
        Round(
            verb=verb,
            point=point,
            fault=fault,
            store=store,
            is_strict=is_strict,
            elsewhere=elsewhere,
        )
        for (verb, point, fault), store, is_strict, elsewhere in product(
            cases, stores, _BOTH, (False, True)
        )
        # A login that is not there yet cannot be refreshed elsewhere.
        if not (verb == "capture" and (elsewhere or not is_strict))
        and store in _STORES.get(fault, (store,))
        and is_strict in _STRICT.get(fault, (True,))
    ]


def table(played: Sequence[tuple[Round, Outcome]]) -> str:
    """What the rounds came to, as Markdown: where it happened down, what happened across."""
    at_points = [each for each in played if each[0].fault not in NETWORK]
    on_network = [each for each in played if each[0].fault in NETWORK]
    parts = []
    if at_points:
        rows = [
            (verb, point)
            for verb, (_, points) in _VERBS.items()
            for point in points
            if any((spec.verb, spec.point) == (verb, point) for spec, _ in at_points)
        ]
        faults = [name for name in _FAULTS if any(spec.fault == name for spec, _ in at_points)]
        lines = [
            [
                f"{_VERBS[row[0]][0]}: {_VERBS[row[0]][1][row[1]]}",
                *(
                    _cell(
                        (
                            outcome
                            for spec, outcome in at_points
                            if ((spec.verb, spec.point), spec.fault) == (row, fault)
                        ),
                        "-" if (fault, *row) in POINTLESS else "",
                    )
                    for fault in faults
                ),
            ]
            for row in rows
        ]
        parts += _grid(["where", *(_FAULTS[fault] for fault in faults)], lines)
    if on_network:
        lines = [
            [
                text,
                *(
                    _cell(
                        outcome
                        for spec, outcome in on_network
                        if (spec.fault, spec.elsewhere) == (fault, elsewhere)
                    )
                    for elsewhere in (False, True)
                ),
            ]
            for fault, text in _ANSWERS.items()
            if any(spec.fault == fault for spec, _ in on_network)
        ]
        heads = ["answer of the endpoint", "then this machine", "then another machine, then this"]
        parts += ["", *_grid(heads, lines)]
    return "\n".join(parts)


def _cell(outcomes: Iterable[Outcome], without: str = "") -> str:
    counts = Counter(outcome.label for outcome in outcomes)
    if not counts:
        return without
    if len(counts) == 1:
        label = next(iter(counts))
        return _LABELS.get(label, f"**{label}**")
    return ", ".join(
        f"{count} {_LABELS.get(label, f'**{label}**')}" for label, count in sorted(counts.items())
    )


def _grid(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
        *(f"| {' | '.join(line)} |" for line in lines),
    ]


def summary(played: Sequence[tuple[Round, Outcome]]) -> str:
    """How much was played, and what the words of the table mean."""
    kinds = {spec.store for spec, _ in played}
    stores = [name for kind, name in _STORE_NAMES.items() if kind in kinds]
    named = " and ".join(filter(None, [", ".join(stores[:-1]), stores[-1]]))
    return (
        f"{len(played):,} rounds on {named}; a dash stands where nothing is written any more. "
        "*Kept*: afterwards the stored login is the one that the endpoint takes, or the seed is "
        "not there and can be made anew; no fence was given twice, and no good login was called "
        "dead, neither by this machine nor by another that came first. While a process was frozen, "
        "another one of this or of another machine took the lease, or tried to keep the same new "
        "login. *W1*: the process was killed between the endpoint's answer and its write to the "
        "disk. *W2*: the endpoint made a token that never arrived. In both the new token is "
        "nowhere, and the seed is found dead."
    )


__all__ = ["POINTLESS", "all_rounds", "summary", "table"]
