"""Let every fault happen at every point, on all kinds of stores, and show what it came to.

    python scripts/run_faults.py [--rounds N] [--store KIND] [--crowds N] [--jobs N] [--write]

Ends with 1 when a login was lost outside of the two windows, or anything else that must not happen.
`--write` puts the table into docs/seeds.md, between its markers.
"""

from __future__ import annotations

import argparse
import math
import random
import re
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, get_args

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.faults import crowd  # noqa: E402 - the path comes first
from tests.faults.places import ALONE, StoreKind  # noqa: E402 - the path comes first
from tests.faults.rounds import Rounds  # noqa: E402 - the path comes first
from tests.faults.table import all_rounds, summary, table  # noqa: E402
from tests.seeds.mongod import end_shared  # noqa: E402

if TYPE_CHECKING:
    from tests.faults.specs import Outcome, Round

DOCUMENT = ROOT / "docs" / "seeds.md"
WIDTH = 128
MARKERS = re.compile(r"(<!-- faults -->\n).*?(<!-- /faults -->)", re.DOTALL)


def main() -> int:
    """Play the rounds; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=1000, metavar="N", help="at least so many")
    parser.add_argument("--store", choices=get_args(StoreKind), help="only on this one")
    parser.add_argument("--fault", help="only this one")
    parser.add_argument("--point", help="only at this one")
    parser.add_argument(
        "--crowds", type=int, default=20, metavar="N", help="of several processes on one login"
    )
    parser.add_argument("--jobs", type=int, default=10, metavar="N", help="rounds at once")
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT.name}")
    options = parser.parse_args()
    kinds = all_rounds([options.store] if options.store else get_args(StoreKind))
    kinds = [
        kind
        for kind in kinds
        if options.fault in (None, kind.fault) and options.point in (None, kind.point)
    ]
    specs = list(kinds) * math.ceil(options.rounds / len(kinds))
    # Not all that wait for a lease to be over at once.
    random.Random(0).shuffle(specs)  # noqa: S311 - guards nothing
    begin = time.monotonic()
    try:
        played = play(specs, options.jobs)
    finally:
        end_shared()
    crowds = [crowd.play(number, kills=12) for number in range(options.crowds)]
    below = f"{summary(played)} {crowd.told(crowds) if crowds else ''}".strip()
    text = f"{table(played)}\n\n{textwrap.fill(below, WIDTH)}"
    print(text)
    print(f"\n{len(played)} rounds in {time.monotonic() - begin:.0f} s")
    bad = [(spec, outcome) for spec, outcome in played if not outcome.is_good]
    for spec, outcome in bad:
        print(f"\n{outcome.label}: {spec}\n  {outcome.text}", file=sys.stderr)
    faults = [fault for each in crowds for fault in each.faults]
    for fault in faults:
        print(f"\nwith a crowd: {fault}", file=sys.stderr)
    if options.write and not bad and not faults:
        write(f"{text}\n")
    return 1 if bad or faults else 0


def play(specs: list[Round], jobs: int) -> list[tuple[Round, Outcome]]:
    """Play rounds, several at once, and show how far it is."""
    played = []
    with Rounds() as rounds, ExitStack() as exits:
        pool = exits.enter_context(ThreadPoolExecutor(jobs))
        # Those that need a server for themselves wait for each other, and keep nobody else waiting.
        alone = {kind: exits.enter_context(ThreadPoolExecutor(1)) for kind in get_args(StoreKind)}
        futures = {
            (alone[spec.store] if spec.fault in ALONE else pool).submit(rounds.play, spec): spec
            for spec in specs
        }
        exits.callback(lambda: [future.cancel() for future in futures])
        for number, future in enumerate(as_completed(futures), start=1):
            played.append((futures[future], future.result()))
            if sys.stderr.isatty() or number % 100 == 0:
                print(f"\r{number} of {len(specs)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return played


def write(text: str) -> None:
    """Put the table between the markers of the document."""
    before = DOCUMENT.read_text(encoding="utf-8")
    after, count = MARKERS.subn(lambda found: f"{found[1]}{text}{found[2]}", before)
    if not count:
        sys.exit(f"There are no markers for the table in {DOCUMENT}.")
    DOCUMENT.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
