"""Attachments: checked as a whole, kept safely, shown to the model or named in the message."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nb.errors import HostError, SessionError, UsageError
from codex_nb.hosts.local import LocalHost
from codex_nb.replay.scenario import Step
from codex_nb.sessions.place import LocalPlace
from codex_nb.sessions.spec import SessionSpec
from codex_nb.sessions.uploads import (
    MAX_FILE,
    MAX_FILES,
    MAX_TOTAL,
    Attachment,
    Upload,
    Uploads,
    parse_attachments,
    safe_name,
    with_uploads,
)
from tests.support.sessions import Rig, Viewer, command, say
from tests.support.waiting import run

if TYPE_CHECKING:
    from pathlib import Path

    from codex_nb.hosts.base import Host
    from codex_nb.protocol.messages import Json, JsonObject
    from codex_nb.sessions.place import Place

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5E"
    "rkJggg=="
)
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
WEBP = base64.b64decode("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
JPEG = b"\xff\xd8\xff\xe0 not all of one"


def attached(name: str, data: bytes) -> JsonObject:
    return {"name": name, "type": "x/y", "data": base64.b64encode(data).decode()}


# What is taken


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param("a.png", "The attachments are no list.", id="no list"),
        pytest.param(["a.png"], "An attachment has no name.", id="no object"),
        pytest.param([attached("  ", b"")], "An attachment has no name.", id="an empty name"),
        pytest.param([{"name": "a"}], "The attachment 'a' has no data.", id="no data"),
        pytest.param(
            [{"name": "a", "data": "AA=A"}],
            "The data of the attachment 'a' is not base64.",
            id="no base64",
        ),
        pytest.param(
            [{"name": "a", "data": "é"}],
            "The data of the attachment 'a' is not base64.",
            id="letters that base64 has not",
        ),
        pytest.param(
            [{"name": "\n" + "a" * 70, "data": "AAAA\n"}],
            rf"The data of the attachment '\n{'a' * 59}…' is not base64.",
            id="a long name, and a line break",
        ),
        pytest.param(
            [attached("a", b"")] * (MAX_FILES + 1),
            "A message takes at most 8 attachments, and this one has 9.",
            id="too many",
        ),
        pytest.param(
            [attached("a", bytes(MAX_FILE + 1))],
            "The attachment 'a' has 6.0 MB, and 6 MB is the most.",
            id="too large",
        ),
        pytest.param(
            [attached("a", bytes(MAX_TOTAL // 3 + 1))] * 3,
            "The attachments have 12.0 MB together, and a message takes 12 MB.",
            id="too large together",
        ),
    ],
)
def test_what_is_no_attachment_is_refused_in_one_sentence(value: Json, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_attachments(value)
    assert caught.value.message == message
    assert caught.value.hint


def test_attachments_may_be_as_large_as_the_limits() -> None:
    assert parse_attachments(None) == []
    values: list[Json] = [attached("a", bytes(MAX_FILE)), attached("b", bytes(MAX_FILE))]
    assert parse_attachments(values) == [
        Attachment(name="a", data=bytes(MAX_FILE)),
        Attachment(name="b", data=bytes(MAX_FILE)),
    ]


@pytest.mark.parametrize(
    ("data", "is_image"),
    [
        (PNG, True),
        (GIF, True),
        (WEBP, True),
        (JPEG, True),
        (b"", False),
        (b"RIFF1234WAVE", False),
        (b"<svg/>", False),
        (b"iVBORw0KGgo", False),
    ],
)
def test_an_image_is_known_by_its_content(data: bytes, is_image: bool) -> None:
    assert Attachment(name="a.png", data=data).is_image is is_image


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plot.png", "plot.png"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("../..", "file"),
        (".bashrc", "bashrc"),
        ("-rf.txt", "rf.txt"),
        ("a\0b\n\u202egnp.txt", "a_b__gnp.txt"),
        ("$(reboot) `x`; 'y'.sh", "_(reboot) _x__ _y_.sh"),
        ("Größe 日本.csv", "Größe 日本.csv"),
        ("x" * 300 + ".csv", "x" * 120 + ".csv"),
        ("日" * 300, "日" * 40),
        ("a." + "b" * 200, "a." + "b" * 118),
        ("...", "file"),
    ],
)
def test_a_name_becomes_a_safe_one(name: str, expected: str) -> None:
    assert safe_name(name) == expected


@given(st.text(max_size=400))
def test_no_name_leads_out_of_the_folder_or_hides_something(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(safe.encode()) <= 160
    assert not set(safe) & set("/\\\0")
    assert safe.isprintable()
    assert safe[0] not in ".- "
    assert safe[-1] not in ". "


def place_in(folder: Path, host: Host) -> Place:
    place = LocalPlace(SessionSpec(id="s", name="n", cwd="/"), str(folder))
    place.host = host
    return place


def test_files_of_one_name_lie_side_by_side_for_their_owner_only(tmp_path: Path) -> None:
    uploads = Uploads(place_in(tmp_path, LocalHost()))
    folder = tmp_path / "uploads"

    async def check() -> None:
        first = await uploads.keep([Attachment(name="a.csv", data=b"1")])
        more = await uploads.keep(
            [Attachment(name="x/a.csv", data=b"22"), Attachment(name="a.csv", data=PNG)]
        )
        assert [*first, *more] == [
            Upload(path=f"{folder}/a.csv", size=1, is_image=False),
            Upload(path=f"{folder}/a-2.csv", size=2, is_image=False),
            Upload(path=f"{folder}/a-3.csv", size=len(PNG), is_image=True),
        ]
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
            "a.csv": b"1",
            "a-2.csv": b"22",
            "a-3.csv": PNG,
        }
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        assert folder.stat().st_mode & 0o777 == 0o700
        assert with_uploads("Look", more) == (
            f"Look\n\nAttached file: {folder}/a-2.csv (2 bytes)",
            ({"type": "localImage", "path": f"{folder}/a-3.csv"},),
        )
        assert with_uploads("", more[1:]) == ("", ({**with_uploads("", more[1:])[1][0]},))
        await uploads.drop(more)
        assert [path.name for path in folder.iterdir()] == ["a.csv"]

    run(check())


def test_files_that_cannot_all_be_written_are_not_kept(tmp_path: Path) -> None:
    class FullHost(LocalHost):
        """A disk that is full after one file; a real one cannot be filled in a test."""

        async def write_file(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
            if "second" in path:
                raise HostError("The disk is full.")
            await super().write_file(path, data, mode=mode)

    async def check() -> None:
        uploads = Uploads(place_in(tmp_path, FullHost()))
        with pytest.raises(HostError, match="full"):
            await uploads.keep(
                [Attachment(name="first", data=b"1"), Attachment(name="second", data=b"2")]
            )
        assert list((tmp_path / "uploads").iterdir()) == []

    run(check())


# In a session


def kept(rig: Rig, viewer: Viewer) -> list[str]:
    folder = rig.folder(viewer) / "uploads"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.integration
@pytest.mark.parametrize("sandbox", ["workspace-write", "read-only"])
def test_an_image_reaches_the_model_and_a_file_every_command(every_rig: Rig, sandbox: str) -> None:
    rig = every_rig
    read = command("cat $(dirname $CODEX_HOME)/uploads/data.csv")

    async def check() -> None:
        turns = ([read, say("{prompt}: {output}")], [say("2")])
        async with rig.model(*turns) as model, rig.session(model, sandbox=sandbox) as viewer:
            files: list[Json] = [
                attached("plot.txt", PNG),
                attached("data.csv", b"a,b\n1,2\n"),
                attached("x.png", GIF),
                attached("y.png", WEBP),
            ]
            answer = await viewer.client.request("send", text="Look", attachments=files)
            over = await viewer.until_turn(answer["index"])
            assert over["status"] == "completed"
            folder = rig.folder(viewer) / "uploads"
            told = f"Look\n\nAttached file: {folder}/data.csv (8 bytes)"
            (message,) = viewer.items("userMessage")
            assert message["text"] == told
            assert [item["text"] for item in viewer.items("agentMessage")] == [f"{told}: a,b\n1,2"]
            request = model.requests[-1]
            assert request.said == (told,)
            assert request.images[0] == "image/png"
            assert len(request.images) == 3
            # Without a word as well.
            picture: list[Json] = [attached("again.png", PNG)]
            answer = await viewer.client.request("send", text="", attachments=picture)
            assert (await viewer.until_turn(answer["index"]))["status"] == "completed"
            assert (len(model.requests[-1].images), model.requests[-1].place.turn) == (4, 1)
            await viewer.until_status("idle")
        names = ["again.png", "data.csv", "plot.txt", "x.png", "y.png"]
        assert kept(rig, viewer) == names  # the session is over

    run(check())


@pytest.mark.integration
def test_a_turn_is_steered_with_an_image(every_rig: Rig) -> None:
    rig = every_rig
    held = Step(say="first", hold="on")

    async def check() -> None:
        async with rig.model([held, say("second")]) as model, rig.session(model) as viewer:
            await viewer.client.request("send", text="a")
            await viewer.until(lambda _: viewer.items("userMessage") != [])
            pictures: list[Json] = [attached("plot.png", PNG)]
            await viewer.client.request("steer", text="see", attachments=pictures)
            model.release("on")
            assert (await viewer.until_turn(0))["status"] == "completed"
            assert (model.requests[-1].said, model.requests[-1].images) == (
                ("a", "see"),
                ("image/png",),
            )

    run(check())


@pytest.mark.integration
def test_what_is_refused_leaves_no_file_and_no_turn(rig: Rig) -> None:
    async def check() -> None:
        async with rig.model([say("one")]) as model, rig.session(model) as viewer:
            await viewer.until_status("idle")
            good = attached("a.csv", b"1")
            for op, files, error in (
                ("send", [good, {"name": "b", "data": "?"}], UsageError),
                ("send", [], UsageError),
                ("steer", [good], SessionError),
            ):
                with pytest.raises(error):
                    await viewer.client.request(op, text="", attachments=cast("Json", files))
            assert (kept(rig, viewer), viewer.records("turns")) == ([], [])
            assert (await viewer.turn("fine"))["status"] == "completed"

    run(check())


@pytest.mark.integration
def test_messages_keep_their_order_also_behind_one_with_files(rig: Rig) -> None:
    async def check() -> None:
        turns = [[say(f"to {number}")] for number in range(3)]
        async with rig.model(*turns) as model, rig.session(model) as viewer:
            await viewer.until_status("idle")
            many: list[Json] = [attached("a.bin", bytes(1_500_000)) for _ in range(8)]
            first = viewer.client.request("send", text="1", attachments=many)
            others = [viewer.client.request("send", text=text) for text in ("2", "3")]
            answers = await asyncio.gather(first, *others)
            assert [answer["index"] for answer in answers] == [0, 1, 2]
            await viewer.until_turn(2)
            said = [str(item["text"])[0] for item in viewer.items("userMessage")]
            assert said == ["1", "2", "3"]
            assert len(kept(rig, viewer)) == 8

    run(check())


@pytest.mark.integration
def test_a_message_of_files_only_waits_by_their_names(rig: Rig) -> None:
    held = Step(say="first", hold="on")

    async def check() -> None:
        async with rig.model([held], [say("2")]) as model, rig.session(model) as viewer:
            await viewer.client.request("send", text="a")
            await viewer.until(lambda _: viewer.items("userMessage") != [])
            files: list[Json] = [attached("plot.png", PNG), attached("b.csv", b"")]
            await viewer.client.request("send", text="", attachments=files)
            await viewer.until(lambda _: viewer.transcript["queue"] != [])
            queue = viewer.transcript["queue"]
            assert isinstance(queue, list)
            (message,) = queue
            assert isinstance(message, dict)
            assert message["text"] == "[plot.png, b.csv]"
            taken = await viewer.client.request("unqueue", message=message["id"])
            assert taken == {"text": ""}
            model.release("on")
            await viewer.until_turn(1)

    run(check())
