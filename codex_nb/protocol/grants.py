"""What a person would allow by accepting: one sentence each, for a request in its session.

Only what is true of every command that the request could mean. Checked by running codex 0.142.5,
0.163.0 and 0.169.0:

* A command with a reason is one that the model wants outside of the sandbox, and there it runs.
* Without a reason codex does not say. Asked by "on-request" it may be one that the model wants
  outside, or one that codex finds dangerous, which runs in the sandbox. Asked by "untrusted" it
  runs in the sandbox, and once more outside of it, unasked, if that makes it fail in a moment.
* With additional permissions it runs in the sandbox, which is widened by them.
* An accepted patch writes its files and nothing else.

Requests for the network and for input to a running command are in the schemas only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_nb.protocol.values import obj, objects_of, text_of

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject, ServerRequest

_EVERYTHING = "read and write every file of your account on this machine, and use the network."
_PROTOCOLS = {"http": "HTTP", "https": "HTTPS", "socks5Tcp": "TCP", "socks5Udp": "UDP"}
_SHOWN_PATHS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What commands of a session may do unasked.

    Attributes:
        sandbox: read-only, workspace-write or danger-full-access.
        ask: untrusted, on-request or never.
        writable: The folders that the sandbox lets commands write.
    """

    sandbox: str
    ask: str
    writable: tuple[str, ...] = ()


def grants_of(approval: JsonObject, request: ServerRequest, bounds: Bounds) -> list[str]:
    """What accepting would allow, the most important first.

    Args:
        approval: As the transcript is to hold it, with what its item told.
        request: What codex asked.
        bounds: Of the session.
    """
    params = request.params
    match approval.get("kind"):
        case "file_change":
            return _of_files(approval, text_of(params.get("grantRoot")), bounds)
        case "permissions":
            return _of_permissions(obj(params.get("permissions")))
        case "tool":
            return _of_tool(params)
    if params.get("kind") == "writeStdin":
        return ["Types into a command that runs already, with the rights that it was started with."]
    network = obj(params.get("networkApprovalContext"))
    if network:
        protocol = text_of(network.get("protocol"))
        host = text_of(network.get("host")) or "a host that Codex does not name"
        said = f" by {_PROTOCOLS.get(protocol, protocol)}" if protocol else ""
        return [f"Lets the command connect to {host}{said}."]
    return _of_command(params, bounds)


def _of_command(params: JsonObject, bounds: Bounds) -> list[str]:
    if bounds.sandbox == "danger-full-access":
        return [f"Runs without a sandbox, as all commands of this session: it may {_EVERYTHING}"]
    is_untrusted = bounds.ask == "untrusted"
    additional = obj(params.get("additionalPermissions"))
    if additional:
        widened = [f"Runs in the sandbox, and may there {each}." for each in _wishes(additional)]
        if widened and not is_untrusted:
            return widened
        return [*widened, f"May run outside the sandbox if that stops it, to {_EVERYTHING}"]
    if text_of(params.get("reason")):
        return [f"Runs outside the sandbox: it may {_EVERYTHING}"]
    if is_untrusted:
        return [
            "May run outside the sandbox, at once or after the sandbox stopped it: "
            f"it may then {_EVERYTHING}"
        ]
    return [f"May run outside the sandbox, which Codex does not say: it may then {_EVERYTHING}"]


def _of_files(approval: JsonObject, root: str, bounds: Bounds) -> list[str]:
    paths = []
    for change in objects_of(approval.get("changes")):
        moved = text_of(obj(change.get("kind")).get("move_path"))
        paths += [path for path in (text_of(change.get("path")), moved) if path]
    inside = [path for path in paths if any(_is_below(path, each) for each in bounds.writable)]
    outside = [path for path in paths if path not in inside]
    said = []
    if bounds.sandbox == "danger-full-access":
        said = [f"Changes {_files(paths)}."] if paths else []
    else:
        if outside:
            said.append(f"Changes what commands may not write by themselves: {_files(outside)}.")
        if inside:
            said.append(f"Changes what commands may write as well: {_files(inside)}.")
    if root:
        said.append(f"May then change every file below {root} without asking, in this session.")
    return said or ["Changes the files that its patch names."]


def _of_permissions(asked: JsonObject) -> list[str]:
    said = [f"Commands may then {wish}." for wish in _wishes(asked)]
    until = "It holds until the turn ends, or until the session ends if you accept it for that."
    return [*said, until]


def _of_tool(params: JsonObject) -> list[str]:
    server = text_of(params.get("serverName")) or "an MCP server"
    said = [f"Runs in {server}, which no sandbox confines: the server decides what it may do."]
    hints = obj(obj(params.get("_meta")).get("tool_annotations"))
    if hints.get("destructiveHint") is True:
        said.append(f"{server} says that it may destroy something.")
    return said


def _wishes(permissions: JsonObject) -> list[str]:
    """What permissions allow, each to stand after "may"."""
    files = obj(permissions.get("fileSystem"))
    entries = objects_of(files.get("entries"))
    wishes = [
        f"{access} {_place(obj(entry.get('path')))}"
        for entry in entries
        if (access := text_of(entry.get("access"))) in ("read", "write")
    ]
    if not entries:
        wishes = [
            f"{access} {path}" for access in ("read", "write") for path in _texts(files.get(access))
        ]
    if obj(permissions.get("network")).get("enabled") is True:
        wishes.append("use the network")
    return wishes


def _place(path: JsonObject) -> str:
    match text_of(path.get("type")):
        case "path":
            return text_of(path.get("path"))
        case "glob_pattern":
            return f"every file that fits {text_of(path.get('pattern'))}"
    kind = text_of(obj(path.get("value")).get("kind"))
    return "every file" if kind == "root" else f"what Codex calls {kind or 'special'}"


def _files(paths: list[str]) -> str:
    shown = ", ".join(paths[:_SHOWN_PATHS])
    more = len(paths) - _SHOWN_PATHS
    return f"{shown} and {more} more" if more > 0 else shown


def _is_below(path: str, folder: str) -> bool:
    # By name only; the session host, which could follow links, is not asked.
    return f"{path}/".startswith(f"{folder.rstrip('/')}/") and ".." not in path.split("/")


def _texts(value: Json) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
