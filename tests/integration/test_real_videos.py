"""`strefer run` on real footage: a dataset with masklets and pairs, readable by the rules of the format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from pycocotools import mask as coco

from strefer_core.cli import main
from strefer_core.data_model import FRAME_COUNT
from strefer_core.released_format import read_records

VIDEOS = sorted((Path(__file__).parents[3] / "shared" / "data").glob("*.mp4"))

pytestmark = [
    pytest.mark.skipif(not VIDEOS, reason="the real videos are not beside the checkout (../shared/data)"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    result = CliRunner().invoke(
        main, ["run", *map(str, VIDEOS), "--out", str(folder), "--json"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.stderr
    (folder / "report.json").write_text(result.stdout)
    return folder


def test_every_video_has_a_masklet_and_ten_accepted_pairs(out: Path) -> None:
    videos = json.loads((out / "report.json").read_text())["videos"]
    assert [video["name"] for video in videos] == [path.name for path in VIDEOS]
    assert all(video["masklets"] >= 1 and video["accepted"] >= 10 for video in videos), videos


def test_every_record_follows_the_rules_of_the_released_format(out: Path) -> None:
    records = list(read_records(out / "instructions.json"))
    assert {Path(record.path).name for record in records} == {path.name for path in VIDEOS}
    regions = [region for record in records for region in record.annotation]
    assert regions
    for frame_index, mask in [item for region in regions for item in region.items()]:
        assert 0 <= int(frame_index) < FRAME_COUNT
        assert coco.area({"size": mask.segmentation.size, "counts": mask.segmentation.counts}) > 0


def test_overlays_are_pictures_with_something_drawn_on_them(out: Path) -> None:
    for path in VIDEOS:
        with Image.open(out / "overlays" / f"{path.stem}.png") as picture:
            assert min(picture.size) > 200
            assert len(picture.convert("RGB").getcolors(maxcolors=2**24) or []) > 1000
