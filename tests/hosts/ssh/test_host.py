"""The contract of a host, with a real sshd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hosts.contract import HostContract
from tests.hosts.ssh.conftest import box
from tests.support.sshd import needs_sshd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from codex_nb.hosts.base import Host
    from tests.support.sshd import Sshd
    from tests.support.waiting import Run

pytestmark = [pytest.mark.integration, needs_sshd]


class TestSshHost(HostContract):
    @pytest.fixture
    def host(self, sshd: Sshd, run: Run) -> Iterator[Host]:
        host = box(sshd.config)
        yield host
        run(host.close())

    @pytest.fixture
    def folder(self, tmp_path: Path) -> str:
        return str(tmp_path.resolve())
