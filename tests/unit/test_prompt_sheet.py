"""Sheets of visual prompts: every sampled frame is there, marks go by entity and only where it is visible."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from strefer_core import data_model as dm
from strefer_core.commands import show
from strefer_core.errors import InputError
from strefer_core.prompt_sheet import write_prompt_sheet
from tests import samples
from tests.media import write_video

SIZE_PX = (samples.WIDTH_PX, samples.HEIGHT_PX)
SCENE = samples.rich()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gray = np.full((SIZE_PX[1], SIZE_PX[0], 3), 120, np.uint8)
    return write_video(tmp_path_factory.mktemp("videos") / "a.mp4", 32, paint=lambda _: gray)


def cells(out: Path) -> list[np.ndarray]:
    """The frames of a sheet of eight columns, in order."""
    sheet = np.asarray(Image.open(out)).astype(int)
    assert sheet.shape == (4 * SIZE_PX[1], 8 * SIZE_PX[0], 3)
    return [cell for row in np.split(sheet, 4) for cell in np.split(row, 8, axis=1)]


def test_marks_are_where_the_entities_are(tmp_path: Path, video: Path) -> None:
    out = write_prompt_sheet(video, SCENE.entities, SCENE.masklets, "som", tmp_path / "new" / "som.png")
    circle = SCENE.masklet("circle")
    for frame, cell in enumerate(cells(out)):
        changed = (abs(cell - 120) > 30).any(axis=2)
        visible = [one.boxes_px[frame] for one in SCENE.masklets if one.boxes_px[frame]]
        allowed = np.zeros(changed.shape, bool)
        for box in visible:
            assert box
            x0, y0, x1, y1 = (int(side) for side in box)
            assert changed[y0:y1, x0:x1].any()
            allowed[y0 - 12 : y1 + 12, max(x0 - 12, 0) : x1 + 12] = (
                True  # a mark may be larger than its region
            )
        assert not changed[~allowed].any()
    assert circle.boxes_px[0] is None
    assert circle.boxes_px[-1] is not None


def test_frames_are_numbered_from_0(tmp_path: Path, video: Path) -> None:
    out = write_prompt_sheet(video, (), (), "numberit", tmp_path / "numbers.png")
    found = cells(out)
    for cell in found:
        ys, xs = np.nonzero((abs(cell - 120) > 60).any(axis=2))
        assert ys.min() > SIZE_PX[1] * 0.8
        assert xs.min() > SIZE_PX[0] * 0.7
    assert len({cell.tobytes() for cell in found}) == 32


def test_masklets_of_another_video_are_refused(tmp_path: Path) -> None:
    short = write_video(tmp_path / "short.mp4", 5)
    with pytest.raises(InputError, match=r"short\.mp4"):
        write_prompt_sheet(short, SCENE.entities, SCENE.masklets, "som", tmp_path / "x.png")


def test_show_writes_regions_as_json(tmp_path: Path) -> None:
    results: dict[str, dm.Result] = {
        "entities": dm.EntitiesResult(entities=SCENE.entities),
        "masklets": dm.MaskletsResult(masklets=SCENE.masklets),
    }
    (out,) = show._regions("v", results, tmp_path / "new", "box")
    assert out.name == "v.box.json"
    regions = json.loads(out.read_text())
    assert [one["entity_id"] for one in regions] == [one.entity_id for one in SCENE.masklets]
    expected = [[box and list(box) for box in one.boxes_px] for one in SCENE.masklets]
    assert [[frame["region"] for frame in one["frames"]] for one in regions] == expected
    assert show._regions("v", {}, tmp_path, "box") == []
