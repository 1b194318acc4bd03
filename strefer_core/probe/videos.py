"""Where a probe's videos come from: rendered for it, kept from before, or your own with a truth file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from strefer_core.errors import ConfigError, InputError
from strefer_core.world import knobs
from strefer_core.world.truth import WorldTruth, load_truth, truth_path

PLAN, DEFAULT, NONE = "plan", "default", "none"

Knobs = frozenset[str] | None  # None: the six scenarios of default difficulty


@dataclass(frozen=True, kw_only=True)
class WorldVideo:
    """A video of the world, rendered into a folder where it is not there yet."""

    seed: int
    index: int
    knobs: Knobs
    folder: Path

    @property
    def name(self) -> str:
        return f"world-{self.seed}-{self.index:02d}.mp4"

    def fetch(self) -> Path:
        """The video, its truth beside it. Kept ones are used where they are this very video, unchanged."""
        from strefer_core.world.render import render_video

        path = self.folder / self.name
        if self._is_kept(path):
            return path
        return render_video(self.seed, self.index, self.folder, knobs=self.knobs)

    def _is_kept(self, path: Path) -> bool:
        from strefer_core.world.scenarios import write_script

        try:
            truth = load_checked(path)
        except InputError:
            return False
        script = write_script(self.seed, self.index, knobs=self.knobs)
        wanted = (self.seed, self.index, script.scenario, tuple(sorted(self.knobs or ())))
        return (truth.seed, truth.index, truth.scenario, truth.knobs) == wanted


@dataclass(frozen=True, kw_only=True)
class OwnVideo:
    """A video file with its truth beside it."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def fetch(self) -> Path:
        return self.path


Source = WorldVideo | OwnVideo


def load_checked(path: Path) -> WorldTruth:
    """The truth of a video.

    Raises:
        InputError: either file is missing or unreadable, or the truth is that of another video.
    """
    truth = load_truth(truth_path(path))
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if digest != truth.video_sha256:
        raise InputError(
            f"{truth_path(path)} is not the truth of this {path.name}: one of them was changed or replaced; "
            "render both again with `strefer world render`"
        )
    return truth


def world_videos(seed: int, count: int, knobs_text: str, folder: Path) -> list[WorldVideo]:
    """The first `count` videos of a seed, each with its knobs. Raises ConfigError as `knobs_of` does."""
    return [
        WorldVideo(seed=seed, index=index, knobs=knobs_of(knobs_text, seed, index), folder=folder)
        for index in range(count)
    ]


def knobs_of(text: str, seed: int, index: int) -> Knobs:
    """Knobs of one video.

    Args:
        text: "plan" (what `world.knobs.plan` says for the index), "default" (the six scenarios of default
            difficulty), "none", or names of knobs with commas between them.
        seed: of the world.
        index: of the video.

    Raises:
        ConfigError: a name is none of the known knobs.
    """
    if text == PLAN:
        return knobs.plan(seed, index)
    if text == DEFAULT:
        return None
    names = frozenset() if text == NONE else frozenset(name.strip() for name in text.split(","))
    if unknown := sorted(names - set(knobs.KNOBS)):
        raise ConfigError(
            f"there is no knob {unknown[0]!r}; known: {PLAN}, {DEFAULT}, {NONE}, {', '.join(knobs.KNOBS)}"
        )
    return names
