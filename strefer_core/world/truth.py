"""What is known exactly of a world video: who is where on every frame, what they do, and when.

The truth lies beside its video as `NAME.truth.json`. Masks are of what can be *seen*: after occlusion and
cut off at the frame's borders. Boxes and fractions also tell of the hidden part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from strefer_core import data_model as dm
from strefer_core import masks
from strefer_core.errors import InputError

ActionKind = Literal["move", "stand", "enter", "leave", "occluded"]
EventKind = Literal["occlude", "approach"]
Direction = Literal["left", "right", "up", "down"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrueAction:
    """What one entity does over `[start_s, end_s)`, always within one shot and while in view.

    Movement is that through the world: a camera that pans or zooms changes nothing in it, nor do hops.
    """

    kind: ActionKind  # "occluded": more than half of what would be in the frame is hidden
    start_s: float
    end_s: float
    direction: Direction | None = None  # of "move"; the side come from ("enter") or gone to ("leave")
    other_entity_id: str | None = None  # of "occluded": who hides most of it; None: a thing of the place


@dataclass(frozen=True, kw_only=True, slots=True)
class TrueEvent:
    """Something between two entities over `[start_s, end_s)`."""

    kind: EventKind  # "occlude": subject covers a part of object; "approach": subject walks up to object
    subject_entity_id: str
    object_entity_id: str
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class AbsentEntity:
    """Somebody who is spoken of as if they played, and is on no frame."""

    expression: str  # fits no entity of the video
    noun: str
    generalized_noun: str
    attributes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AmbiguousExpression:
    """Words that fit more than one entity, on purpose."""

    expression: str
    noun: str
    generalized_noun: str
    entity_ids: tuple[str, ...]  # two or more


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoy:
    """A figure that is part of the place: it looks like somebody, never moves, and is no entity."""

    noun: str
    generalized_noun: str
    attributes: tuple[tuple[str, str], ...]  # colour, pattern, size


@dataclass(frozen=True, kw_only=True, slots=True)
class TrueEntity:
    """One identity over all frames; per-frame tuples have one item per frame of the video."""

    entity_id: str
    expression: str  # fits no other entity of the video
    noun: str
    generalized_noun: str  # "animal" or "shape"
    attributes: tuple[tuple[str, str], ...]  # colour, pattern, size
    masks: tuple[dm.Rle | None, ...]  # of the visible part; None where nothing of it can be seen
    full_boxes_px: tuple[
        dm.Box | None, ...
    ]  # with hidden parts, may pass the borders; None: not in this scene
    visible_fractions: tuple[float, ...]  # visible area over whole area, 0..1
    in_frame_fractions: tuple[float, ...]  # area within the borders, hidden or not, over whole area, 0..1
    blur_px: tuple[float, ...]  # length of its smear while the shutter is open; 0 where it is drawn sharp
    actions: tuple[TrueAction, ...]  # in order of start; may overlap
    # World pixels of where it stands or walks, without hops, limbs and spin; None: not in this scene.
    ground_px: tuple[tuple[float, float] | None, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldTruth:
    """Everything known of one world video."""

    seed: int
    index: int  # place among the videos of the seed
    scenario: str
    knobs: tuple[str, ...]  # names of `knobs.KNOBS` that were turned on, sorted
    video_sha256: str  # of the bytes of the video that this is the truth of
    fps: Fraction
    width_px: int
    height_px: int
    frames_pts_s: tuple[float, ...]
    cuts_s: tuple[float, ...]  # presentation time of the first frame after each hard cut
    places: tuple[str, ...]  # background and its seed, per shot: equal where a shot returns to a place
    camera_px: tuple[tuple[float, float], ...]  # world position of the frame's corner, per frame
    camera_zoom: tuple[float, ...]  # frame pixels per world pixel, per frame
    entities: tuple[TrueEntity, ...]
    absent: tuple[AbsentEntity, ...]
    ambiguous: tuple[AmbiguousExpression, ...]
    events: tuple[TrueEvent, ...]  # in order of start
    decoys: tuple[Decoy, ...] = ()  # of all places

    @property
    def duration_s(self) -> float:
        return float(len(self.frames_pts_s) / self.fps)


def truth_path(video_path: Path) -> Path:
    """Where the truth of a world video lies: beside it."""
    return video_path.with_suffix(".truth.json")


def save_truth(truth: WorldTruth, path: Path) -> None:
    """Write the truth as JSON; the same truth gives the same bytes."""
    path.write_bytes(_adapter().dump_json(truth))


def load_truth(path: Path) -> WorldTruth:
    """Read a truth file.

    Raises:
        InputError: the file is missing or is no truth of this version.
    """
    try:
        return _adapter().validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"no truth at {path}; `strefer world render` writes one beside each video") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise InputError(
            f"{path} is no world truth: {where}: {first['msg']}; render it again with `strefer world render`"
        ) from error


def expected_masks(truth: WorldTruth, positions: Sequence[int]) -> dict[str, list[NDArray[np.bool_]]]:
    """Visible masks by entity id, one (height_px, width_px) bool array per asked frame position.

    Raises:
        IndexError: a position is outside the video.
    """
    return {
        entity.entity_id: [_decoded(truth, entity, position) for position in positions]
        for entity in truth.entities
    }


def true_camera(truth: WorldTruth, positions: Sequence[int]) -> tuple[dm.Affine | None, ...]:
    """How the ground moves in the picture from each asked frame to the next; None across a cut.

    Args:
        truth: of the video.
        positions: frames in any order; for `data_model.ClipsResult.camera` the sampled ones.

    Returns:
        One less than there are positions; none for fewer than two.

    Raises:
        IndexError: a position is outside the video.
    """
    count = len(truth.frames_pts_s)
    if outside := [position for position in positions if not 0 <= position < count]:
        raise IndexError(f"frame {outside[0]} of a video with {count} frames")
    shots = np.searchsorted(truth.cuts_s, np.array(truth.frames_pts_s), side="right")
    return tuple(
        _ground_motion(truth, a, b) if shots[a] == shots[b] else None for a, b in pairwise(positions)
    )


def _ground_motion(truth: WorldTruth, a: int, b: int) -> dm.Affine:
    """A world point w is seen at (w - camera_px) * camera_zoom, counted from the picture's corner."""
    (x, y), (next_x, next_y) = truth.camera_px[a], truth.camera_px[b]
    zoom = truth.camera_zoom[b]
    scale = zoom / truth.camera_zoom[a]
    return scale, 0.0, (x - next_x) * zoom, 0.0, scale, (y - next_y) * zoom


def _decoded(truth: WorldTruth, entity: TrueEntity, position: int) -> NDArray[np.bool_]:
    if not 0 <= position < len(entity.masks):
        raise IndexError(f"frame {position} of a video with {len(entity.masks)} frames")
    mask = entity.masks[position]
    if mask is None:
        return np.zeros((truth.height_px, truth.width_px), dtype=np.bool_)
    return masks.decode(mask)


@cache
def _adapter() -> TypeAdapter[WorldTruth]:
    return TypeAdapter(WorldTruth)
