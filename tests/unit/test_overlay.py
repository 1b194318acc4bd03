"""Overlays: all sampled frames are there, colours lie on the masks, files play as long as the video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence
from pycocotools import mask as coco

from strefer_core import data_model as dm
from strefer_core.errors import InputError
from strefer_core.overlay import contact_sheet, entity_colour, paint, write_animation, write_contact_sheet
from tests.media import write_video

SIZE_PX = (320, 192)
TICKS = np.cumsum(np.tile([50, 150], 20))[:40].tolist()


def gray_frame(i: int) -> NDArray[np.uint8]:
    return np.full((SIZE_PX[1], SIZE_PX[0], 3), 60 + 3 * i, np.uint8)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "a.mp4", 40, paint=gray_frame, ticks=TICKS, time_base=Fraction(1, 1000))


def entity(index: int, expression: str) -> dm.Entity:
    return dm.Entity(
        entity_id=f"ent-{index}", video_id="v", index=index, expression=expression, noun="object",
        generalized_noun="object",
    )  # fmt: skip


def masklet(index: int, frames: int = 32) -> dm.Masklet:
    """A box in the middle of every frame but the first."""
    mask = np.zeros((SIZE_PX[1], SIZE_PX[0]), np.uint8, order="F")
    mask[60:140, 100:220] = 1
    code = coco.encode(mask)
    rle = dm.Rle(size=[SIZE_PX[1], SIZE_PX[0]], counts=code["counts"].decode())
    return dm.Masklet(
        masklet_id=f"msk-{index}", video_id="v", entity_id=f"ent-{index}",
        frames_pts_s=tuple(float(i) for i in range(frames)), masks=(None, *[rle] * (frames - 1)),
        boxes_px=(None, *[(100.0, 60.0, 220.0, 140.0)] * (frames - 1)), areas_px=(0, *[9600] * (frames - 1)),
        detector_score=1.0, assignment_margin=None, start_frame_index=1, forward_backward_iou=1.0,
    )  # fmt: skip


def test_colours_of_entities_are_far_apart() -> None:
    colours = np.array([entity_colour(i) for i in range(8)], float)
    distances = np.linalg.norm(colours[:, None] - colours[None], axis=-1) + 1e9 * np.eye(8)
    assert distances.min() > 60


def test_paint_changes_the_mask_and_leaves_the_rest() -> None:
    image = np.full((50, 60, 3), 100, np.uint8)
    mask = np.zeros((50, 60), bool)
    mask[10:40, 10:50] = True
    painted = paint(image, mask, (255, 0, 0))
    assert painted[25, 30].tolist() == [169, 55, 55]  # 0.55 x 100 + 0.45 x (255, 0, 0)
    assert painted[25, 10, 0] > 230  # the outline is firm
    assert np.array_equal(painted[:5], image[:5])
    assert (image == 100).all()


def test_the_sheet_shows_all_frames_and_a_legend(video: Path) -> None:
    entities = [entity(0, "the red thing"), entity(1, "the lost thing")]
    sheet = contact_sheet(video, entities, [masklet(0)], columns=8, side_px=160)
    cells = sheet[: 4 * 96].reshape(4, 96, 8, 160, 3).swapaxes(1, 2).reshape(32, 96, 160, 3)
    tint = cells[:, 50, 80].astype(int)
    gray = 60 + 3 * np.linspace(0, 39, 32).astype(int)[:, None]
    assert np.abs(tint[0] - gray[0]).max() < 8  # no mask on the first frame
    assert np.abs(tint[1:] - (0.55 * gray[1:] + 0.45 * np.array(entity_colour(0)))).max() < 8
    assert sheet.shape[1] == 8 * 160
    assert sheet.shape[0] > 4 * 96 + 2 * 15


def test_the_sheet_of_a_short_video_without_entities(tmp_path: Path) -> None:
    path = write_video(tmp_path / "b.mp4", 3)
    out = write_contact_sheet(path, [], [], tmp_path / "new" / "sheet.png")
    with Image.open(out) as picture:
        assert picture.width == 3 * 240


SHOWN_S = [TICKS[i] / 1000 for i in np.linspace(0, 39, 32).astype(int)]


def test_an_mp4_has_all_frames_at_their_times(video: Path, tmp_path: Path) -> None:
    out = write_animation(video, [entity(0, "the thing")], [masklet(0)], tmp_path / "a.mp4", side_px=161)
    with av.open(str(out)) as container:
        times_s = [frame.time for frame in container.decode(video=0)]
    assert times_s == pytest.approx([t - SHOWN_S[0] for t in SHOWN_S], abs=0.002)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_pictures_that_move_last_as_long_as_the_video(video: Path, tmp_path: Path, suffix: str) -> None:
    out = write_animation(video, [entity(0, "the thing")], [masklet(0)], tmp_path / f"a{suffix}", side_px=161)
    total_ms = 0
    with Image.open(out) as picture:
        for frame in ImageSequence.Iterator(picture):  # like frames may be stored as one
            frame.load()
            total_ms += frame.info["duration"]
    last_s = SHOWN_S[-1] - SHOWN_S[-2]
    assert total_ms / 1000 == pytest.approx(SHOWN_S[-1] - SHOWN_S[0] + last_s, abs=0.2)


def test_labels_stay_inside_the_picture(video: Path, tmp_path: Path) -> None:
    words = "the extraordinarily long and winding expression that does not fit in the picture at all"
    assert write_animation(video, [entity(0, words)], [masklet(0)], tmp_path / "a.gif", side_px=160).exists()


def test_wrong_masklets_and_formats_are_refused(video: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"msk-0 .* 32 sampled frames of a\.mp4"):
        contact_sheet(video, [entity(0, "x")], [masklet(0, frames=5)])
    with pytest.raises(InputError, match=r"out\.avi.*\.gif"):
        write_animation(video, [], [], tmp_path / "out.avi")
