"""How long `dbtune --help` takes, against importing the libraries that such a command line cannot do without."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

PAIRS = 30


def seconds(*arguments: str) -> float:
    """One run of this Python, in seconds; its output is thrown away."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    ours, theirs = ("-m", "dbtune", "--help"), ("-c", "import typer, rich")
    for arguments in (ours, theirs):
        seconds(*arguments)  # fills the caches of bytecode and files
    pairs = [(seconds(*ours), seconds(*theirs)) for _ in range(PAIRS)]
    for name, index in (("dbtune --help", 0), ("import typer, rich", 1)):
        print(f"{name}: median {statistics.median(pair[index] for pair in pairs) * 1000:.0f} ms")
    ratios = sorted(ours_s / theirs_s for ours_s, theirs_s in pairs)
    print(
        f"ratio {statistics.median(ratios):.2f} (min {ratios[0]:.2f}, max {ratios[-1]:.2f}) over {PAIRS} pairs:"
        " dbtune --help against import typer, rich"
    )


if __name__ == "__main__":
    main()
