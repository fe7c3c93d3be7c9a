"""What a person attaches to a message: checked as a whole, then kept in the session folder.

An image is shown to the model by codex, which reads the file itself. Any other file is named in the
message, where the sandbox lets every command read it. Checked against codex 0.142.5, 0.163.0 and
0.169.0: what an image is, its content tells and not its name; one that cannot be decoded becomes a
note for the model and fails nothing.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_nb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.sessions.place import Place

MAX_FILES = 8
"""Attachments of one message."""

MAX_FILE = 6 * 1024 * 1024
"""Bytes of one attachment."""

MAX_TOTAL = 12 * 1024 * 1024
"""Bytes of all attachments of one message."""

FOLDER = "uploads"
"""In the session folder; it stays as long as that."""

_MB = 1024 * 1024
_MAX_NAME = 120
_MAX_SUFFIX = 20
_PUNCTUATION = " ._-()+,=@"
_IMAGE = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file as a person attached it."""

    name: str
    data: bytes

    @property
    def is_image(self) -> bool:
        """Whether it is of a kind that a model can look at: PNG, JPEG, GIF or WebP."""
        return _IMAGE.match(self.data) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An attachment that was kept.

    Attributes:
        path: Absolute.
        size: In bytes.
        is_image: Whether the model is to see it.
    """

    path: str
    size: int
    is_image: bool


def parse_attachments(value: Json) -> list[Attachment]:
    """The attachments of an operation; none when it has none.

    Raises:
        UsageError: They are no attachments, too many or too large. The message names the first
            that is wrong.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise UsageError("The attachments are no list.", hint="Each has a name, a type and data.")
    if len(value) > MAX_FILES:
        raise UsageError(
            f"A message takes at most {MAX_FILES} attachments, and this one has {len(value)}.",
            hint="Send them with several messages.",
        )
    found = [_parse(each) for each in value]
    total = sum(len(each.data) for each in found)
    if total > MAX_TOTAL:
        raise UsageError(
            f"The attachments have {total / _MB:.1f} MB together, and a message takes "
            f"{MAX_TOTAL // _MB} MB.",
            hint="Send them with several messages.",
        )
    return found


def safe_name(name: str) -> str:
    """A file name that is no path, hides nothing and is short, as near to `name` as can be."""
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(c if c.isalnum() or c in _PUNCTUATION else "_" for c in last).strip(" .-")
    stem, dot, suffix = kept.rpartition(".")
    if not stem or len(suffix.encode()) > _MAX_SUFFIX:
        stem, dot, suffix = kept, "", ""
    stem = stem.encode()[:_MAX_NAME].decode("utf-8", "ignore").strip(" .-")
    return f"{stem or 'file'}{dot}{suffix}"


class Uploads:
    """The folder of a session's attachments.

    Args:
        place: Where the session lives.
    """

    def __init__(self, place: Place) -> None:
        self._place = place

    async def keep(self, attachments: Sequence[Attachment]) -> list[Upload]:
        """Write attachments to files of their own, for their owner only: all of them or none.

        Raises:
            HostError: They cannot be written.
        """
        if not attachments:
            return []
        host, kept = self._place.host, list[Upload]()
        folder = f"{self._place.folder}/{FOLDER}"
        await host.make_folder(folder)
        taken = set(await host.list_folder(folder))
        try:
            for each in attachments:
                name = _free(safe_name(each.name), taken)
                taken.add(name)
                path = f"{folder}/{name}"
                kept.append(Upload(path=path, size=len(each.data), is_image=each.is_image))
                await host.write_file(path, each.data)
        except BaseException:
            await self.drop(kept)
            raise
        return kept

    async def drop(self, uploads: Sequence[Upload]) -> None:
        """Remove what no message names after all."""
        for each in uploads:
            await self._place.host.remove_tree(each.path)


def with_uploads(text: str, uploads: Sequence[Upload]) -> tuple[str, tuple[JsonObject, ...]]:
    """What codex is told: the message with a line for each file, and the images beside it."""
    lines = [f"Attached file: {e.path} ({e.size:,} bytes)" for e in uploads if not e.is_image]
    images: list[JsonObject] = [
        {"type": "localImage", "path": each.path} for each in uploads if each.is_image
    ]
    return "\n\n".join(filter(None, (text, "\n".join(lines)))), tuple(images)


def _parse(value: Json) -> Attachment:
    values = value if isinstance(value, dict) else {}
    name, data = values.get("name"), values.get("data")
    if not isinstance(name, str) or not name.strip():
        raise UsageError("An attachment has no name.", hint="Give it one, such as plot.png.")
    shown = name if len(name) <= 60 else f"{name[:60]}…"
    if not isinstance(data, str):
        raise UsageError(f"The attachment {shown!r} has no data.", hint="Send it as base64.")
    # Four characters are three bytes; what is far too large is not decoded first.
    if len(data) > (MAX_FILE + 2) // 3 * 4:
        raise UsageError(
            f"The attachment {shown!r} has {len(data) * 3 / 4 / _MB:.1f} MB, and "
            f"{MAX_FILE // _MB} MB is the most.",
            hint="Put the file into the working folder and name it in the message.",
        )
    try:
        return Attachment(name=name, data=base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        raise UsageError(
            f"The data of the attachment {shown!r} is not base64.",
            hint="Encode the bytes of the file as base64, without line breaks.",
        ) from None


def _free(name: str, taken: set[str]) -> str:
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{stem}-{number}{dot}{suffix}"
    return free
