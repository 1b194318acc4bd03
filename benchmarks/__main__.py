"""Bring a fresh stack up, measure it, take it down: start-up, memory, stages, orchestration overhead."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from benchmarks import clips, instructions, orchestration, stages
from strefer_core import local
from strefer_core.config import settings


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="strefer-bench-") as folder:
        home = Path(folder) / "stack"
        os.environ["STREFER_HOME"] = str(home)
        dags = Path(__file__).parent / "dags"
        try:
            cold_s = _up(home, dags)
            print(f"up, empty folder           {cold_s:6.1f} s")
            _print_memory(home)
            orchestration.measure(Path(folder))
            stages.measure(Path(folder))
            clips.measure(Path(folder) / "clips")
            instructions.measure(Path(folder))
            local.down(home)
            print(f"up again                   {_up(home, dags):6.1f} s")
        finally:
            local.down(home)


def _up(home: Path, dags: Path) -> float:
    started = time.perf_counter()
    local.up(home, options=local.StackOptions(dags_folder=dags))
    settings.cache_clear()
    return time.perf_counter() - started


def _print_memory(home: Path) -> None:
    parts = local.status(home).parts
    for part in parts:
        print(f"  memory {part.name:18} {(part.pss_bytes or part.rss_bytes) / 2**20:7.0f} MiB")
    print(f"  memory in all             {sum(p.pss_bytes or p.rss_bytes for p in parts) / 2**20:7.0f} MiB")


if __name__ == "__main__":
    main()
