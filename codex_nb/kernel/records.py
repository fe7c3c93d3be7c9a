"""Lists of dictionaries that turn into a pandas DataFrame when asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    import pandas as pd

    from codex_nb.protocol.messages import JsonObject


class Records(Sequence["JsonObject"]):
    """A read-only list of records of one kind.

    Args:
        name: What one of them is called.
        records: The records; not copied.
        key: The field by which a short description counts them.
    """

    def __init__(self, name: str, records: Sequence[JsonObject], *, key: str) -> None:
        self._name = name
        self._records = records
        self._key = key

    @overload
    def __getitem__(self, index: int) -> JsonObject: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> JsonObject | Records:
        if isinstance(index, slice):
            return Records(self._name, self._records[index], key=self._key)
        return self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        kinds = Counter(str(record.get(self._key)) for record in self._records)
        counts = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
        return f"<{len(self)} {self._name}s{': ' if counts else ''}{counts}>"

    def to_pandas(self) -> pd.DataFrame:
        """A DataFrame with one row for each record and one column for each field.

        Raises:
            ImportError: pandas is not installed; it is no dependency of codex_nb.
        """
        import pandas as pd

        return pd.DataFrame(list(self._records))
