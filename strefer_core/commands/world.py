"""`strefer world render`."""

from __future__ import annotations

from pathlib import Path

from strefer_core.console import emit, progress, table


def render(seed: int, videos: int, out_dir: Path, *, as_json: bool) -> None:
    """Write a world and list its files."""
    from strefer_core.world import render_worlds

    with progress() as bars:
        task = bars.add_task("render", total=videos)
        paths = render_worlds(seed, videos, out_dir, report=lambda *_: bars.advance(task))
    emit(
        [str(path) for path in paths],
        as_json=as_json,
        human=table(f"World of seed {seed}", ["video"], [[path] for path in paths]),
    )
