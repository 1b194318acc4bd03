"""`strefer world render`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from strefer_core.console import emit, progress, table
from strefer_core.errors import ConfigError


def render(seed: int, videos: int, out_dir: Path, names: Sequence[str] = (), *, as_json: bool) -> None:
    """Write a world and list its files.

    Raises:
        ConfigError: a bad seed, count, folder or name of a knob.
    """
    from strefer_core.world import render_worlds

    knobs = _knobs(seed, names)
    with progress() as bars:
        task = bars.add_task("render", total=videos)
        paths = render_worlds(seed, videos, out_dir, knobs=knobs, report=lambda *_: bars.advance(task))
    emit(
        [str(path) for path in paths],
        as_json=as_json,
        human=table(f"World of seed {seed}", ["video"], [[path] for path in paths]),
    )


def _knobs(seed: int, names: Sequence[str]) -> frozenset[str] | Callable[[int], frozenset[str]] | None:
    """What `--knob` asks for: nothing, the probe's plan, a plain video, or knobs by name."""
    from strefer_core.world.knobs import checked, plan

    if not names:
        return None
    for word in ("plan", "plain"):
        if word in names and len(set(names)) > 1:
            raise ConfigError(f"--knob {word} stands alone; leave out {word} or the other knobs")
    if "plan" in names:
        return partial(plan, seed)
    return frozenset() if "plain" in names else checked(names)
