"""A table of a scenario file, which knows its place in it and refuses what is not legal there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from codex_nb.errors import ReplayError

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json


class Table:
    """One table of the file.

    Args:
        data: What tomllib read.
        place: Where it stands, as errors say it.
        legal: The keys that it may have, with spaces between them.

    Raises:
        ReplayError: It has another key. Every method raises it for a value of another kind.
    """

    def __init__(self, data: dict[str, object], place: str, legal: str) -> None:
        self._data = data
        self._place = place
        keys = legal.split()
        for key in data:
            if key not in keys:
                self.refuse(f'unknown key "{key}"', hint=f"Legal here: {', '.join(keys)}.")

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def refuse(self, message: str, *, hint: str = "") -> NoReturn:
        """Raise a ReplayError that names this place."""
        raise ReplayError(f"{self._place}: {message}", hint=hint)

    def _refuse_value(self, key: str, wanted: str) -> NoReturn:
        self.refuse(f'"{key}" is {self._data[key]!r}', hint=f'"{key}" has to be {wanted}.')

    def text(self, key: str) -> str | None:
        """A text that is not empty, or None when there is none."""
        value = self._data.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            self._refuse_value(key, "a text that is not empty")
        return value

    def need_text(self, key: str) -> str:
        """A text that has to be there."""
        value = self.text(key)
        if value is None:
            self.refuse(f'"{key}" is missing')
        return value

    def number(self, key: str) -> float | None:
        """A number from 0 on, or None when there is none."""
        value = self._data.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
            self._refuse_value(key, "a number that is not negative")
        return float(value)

    def whole(self, key: str) -> int | None:
        """A whole number from 0 on, or None when there is none."""
        value = self.number(key)
        if value is not None and not isinstance(self._data[key], int):
            self._refuse_value(key, "a whole number that is not negative")
        return None if value is None else int(value)

    def flag(self, key: str) -> bool:
        """True or false; false when there is none."""
        value = self._data.get(key, False)
        if not isinstance(value, bool):
            self._refuse_value(key, "true or false")
        return value

    def table(self, key: str, legal: str) -> Table | None:
        """A table with these legal keys, or None when there is none."""
        value = self._data.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self._refuse_value(key, f"a table of {', '.join(legal.split())}")
        return Table(value, f"{self._place}, {key}", legal)

    def text_or_table(self, key: str, legal: str) -> str | Table | None:
        """A text, a table with these legal keys, or None when there is neither."""
        if isinstance(self._data.get(key), str):
            return self.text(key)
        return self.table(key, legal)

    def tables(self, key: str, legal: str) -> list[Table]:
        """One or more tables with these legal keys."""
        value = self._data.get(key)
        if value is None:
            self.refuse(f"there is no [[{key}]]", hint=f"Write at least one [[{key}]].")
        if (
            not isinstance(value, list)
            or not value
            or not all(isinstance(each, dict) for each in value)
        ):
            self._refuse_value(key, f"written as [[{key}]]")
        return [
            Table(each, f"{self._place}, {key} {number}", legal)
            for number, each in enumerate(value, 1)
        ]

    def texts(self, key: str) -> list[str]:
        """A list of texts, empty when there is none."""
        value = self._data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            self._refuse_value(key, "a list of texts")
        return [str(each) for each in value]

    def json(self, key: str) -> dict[str, Json]:
        """A table as JSON, empty when there is none."""
        value = self._data.get(key, {})
        if not isinstance(value, dict):
            self._refuse_value(key, "a table")
        return {name: self._to_json(key, each) for name, each in value.items()}

    def _to_json(self, key: str, value: object) -> Json:
        if isinstance(value, dict):
            return {name: self._to_json(key, each) for name, each in value.items()}
        if isinstance(value, list):
            return [self._to_json(key, each) for each in value]
        if not isinstance(value, bool | int | float | str):
            self._refuse_value(key, "made of texts, numbers, true, false, lists and tables")
        return value
