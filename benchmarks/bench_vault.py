"""How fast the vault seals and opens, as a ratio to AES-GCM alone on the same frames.

python benchmarks/bench_vault.py [--size MIB] [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import time
from statistics import median
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from codex_nb.seeds.vault import Binding, Key, Vault

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024 * 1024
BINDING = Binding("store", "seed", "login", 1)


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The median of the processor's seconds: this machine is not ours alone."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return median(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=64, help="MiB of the large blob.")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()

    data = os.urandom(options.size * MIB)
    view = memoryview(data)
    bare = AESGCM(os.urandom(32))
    nonces = [os.urandom(12) for _ in range(options.size)]
    parts = [view[at : at + MIB] for at in range(0, len(data), MIB)]
    frames = [bare.encrypt(nonce, part, None) for nonce, part in zip(nonces, parts, strict=True)]
    vault = Vault([Key.new()])
    blob = vault.seal(data, BINDING)
    login = data[:4096]
    small = vault.seal(login, BINDING)

    def bare_seal() -> None:
        b"".join(bare.encrypt(n, part, None) for n, part in zip(nonces, parts, strict=True))

    def bare_open() -> None:
        b"".join(bare.decrypt(n, part, None) for n, part in zip(nonces, frames, strict=True))

    def many(work: Callable[[], object]) -> None:
        for _ in range(1000):
            work()

    for name, ours, theirs in (
        ("seal", lambda: vault.seal(data, BINDING), bare_seal),
        ("open", lambda: vault.open(blob, BINDING), bare_open),
    ):
        took, base = seconds(ours, options.rounds), seconds(theirs, options.rounds)
        print(
            f"{name} {options.size} MiB: {options.size * MIB / took / 1e6:,.0f} MB/s, "
            f"{took / base:.2f} times AES-GCM alone"
        )
    for name, work in (
        ("seal", lambda: vault.seal(login, BINDING)),
        ("open", lambda: vault.open(small, BINDING)),
    ):
        took = seconds(lambda work=work: many(work), 3)  # type: ignore[misc]
        print(f"{name} a login of 4 kB: {took * 1000:.1f} microseconds")


if __name__ == "__main__":
    main()
