"""Hypothesis strategies for JSON, friendly and hostile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

# What JSON on the wire can hold: no halves of surrogate pairs, no integer beyond 64 bits.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS: st.SearchStrategy[Json] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
JSON: st.SearchStrategy[Json] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def objects(**members: st.SearchStrategy[Json]) -> st.SearchStrategy[JsonObject]:
    """Objects with some of these members."""
    return st.fixed_dictionaries({}, optional=members)
