"""What a seed holds, before it is sealed: an auth.json, and the few settings that go with it.

The form is JSON with a version. Settings come from an allow-list, when they are packed and again
when they are unpacked: whoever uses a seed of somebody else must not run that person's hooks,
programs or MCP servers by it. The older system packed both files as tar.gz; that is only read.
"""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from codex_nb.errors import LoginError
from codex_nb.protocol.values import obj
from codex_nb.seeds.auth import Login, UnusableLoginError
from codex_nb.seeds.claims import Fault, Flaw, read_json

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

VERSION = 1

ALLOWED = frozenset(
    {
        "model",
        "model_reasoning_effort",
        "model_reasoning_summary",
        "model_verbosity",
        "review_model",
        "service_tier",
        # Where the login is good, and for which workspace.
        "chatgpt_base_url",
        "forced_login_method",
        "forced_chatgpt_workspace_id",
    }
)
"""The settings that may travel with a login; none of them starts a program or opens a file."""

_MAX_SETTING = 1000
_MAX_LEGACY = 16 * 1024 * 1024
_LEGACY_AUTH, _LEGACY_CONFIG = ".codex/auth.json", ".codex/config.toml"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def pack(login: Login, config: JsonObject) -> bytes:
    """The payload of a seed, not sealed yet; of the settings, only what may travel."""
    value: JsonObject = {
        "version": VERSION,
        "auth": json.loads(login.to_bytes()),
        "config": harmless(config),
    }
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def unpack(data: bytes) -> tuple[Login, JsonObject]:
    """The login and the settings in a payload.

    Raises:
        UnusableLoginError: It holds no login.
        LoginError: A later version of codex-nb wrote it; nothing is known of its login.
    """
    value = read_json(data)
    del data
    if isinstance(value, Flaw):
        raise UnusableLoginError(*value)
    version, auth, config = _parts(value)
    del value
    if isinstance(version, int) and version > VERSION:
        del auth, config
        raise LoginError(
            f"The login was packed by a later codex-nb, in form {version}.",
            hint="Update codex-nb.",
        )
    if version != VERSION or auth is None:
        del auth, config
        raise UnusableLoginError(Fault.MALFORMED, "The payload of the seed is not one of ours.")
    return Login.from_document(auth), harmless(config)


def unpack_legacy(data: bytes) -> tuple[Login, JsonObject]:
    """The login and the settings in a tar.gz of the older system, decrypted already.

    Only the two files that it ever held are looked at, in memory; nothing is written anywhere.

    Raises:
        UnusableLoginError: It is torn, or holds no login.
    """
    files = _legacy_files(data)
    del data
    if isinstance(files, Flaw):
        raise UnusableLoginError(*files)
    auth, config = files.get(_LEGACY_AUTH, b""), files.get(_LEGACY_CONFIG, b"")
    del files
    return Login.parse(auth), read_config(config)


def read_config(data: bytes) -> JsonObject:
    """What may travel of a config.toml; {} when it is no TOML."""
    import tomllib  # here, because only a capture or an import needs it

    try:
        return harmless(tomllib.loads(data.decode()))
    except (ValueError, RecursionError):
        return {}


def harmless(config: JsonObject) -> JsonObject:
    """The settings that may travel, of those in `config`."""
    return {key: value for key, value in sorted(config.items()) if _is_harmless(key, value)}


def is_safe_url(text: str) -> bool:
    """Whether a login may be sent there: https, or this machine."""
    try:
        url = urlsplit(text)
        # Looking at the port checks its range.
        scheme, host, _ = url.scheme, url.hostname, url.port
    except ValueError:
        return False
    return host in _LOOPBACK if scheme == "http" else scheme == "https" and bool(host)


def _is_harmless(key: str, value: object) -> bool:
    if key not in ALLOWED or not isinstance(value, str) or not 0 < len(value) <= _MAX_SETTING:
        return False
    return not key.endswith("_url") or is_safe_url(value)


def _parts(value: Json) -> tuple[Json, JsonObject | None, JsonObject]:
    payload = obj(value)
    auth = payload.get("auth")
    return (
        payload.get("version"),
        auth if isinstance(auth, dict) else None,
        obj(payload.get("config")),
    )


def _legacy_files(data: bytes) -> dict[str, bytes] | Flaw:
    unzip = zlib.decompressobj(wbits=31)
    try:
        unpacked = unzip.decompress(data, _MAX_LEGACY)
        if not unzip.eof:
            return Flaw(Fault.TORN, "The archive of the seed is cut off, or far too large.")
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            archive.extraction_filter = tarfile.data_filter
            files = {}
            for member in archive:
                name = member.name.removeprefix("./")
                file = archive.extractfile(member) if member.isreg() else None
                if file is not None and name in (_LEGACY_AUTH, _LEGACY_CONFIG):
                    files[name] = file.read(_MAX_LEGACY)
            return files
    except (zlib.error, tarfile.TarError, EOFError, ValueError):
        return Flaw(Fault.TORN, "The archive of the seed is damaged.")


__all__ = [
    "ALLOWED",
    "VERSION",
    "harmless",
    "is_safe_url",
    "pack",
    "read_config",
    "unpack",
    "unpack_legacy",
]
