"""SAM 3 video: nouns in, tracks out, without torchvision; and a clear error where that cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from strefer_core.backends.interfaces import Detection, Footage
from strefer_core.backends.neural.sam3 import Sam3Video, _apart
from strefer_core.errors import BackendError, ConfigError
from strefer_core.masks import tight_box

HAS_SAM3 = hasattr(transformers, "Sam3VideoModel")
with_sam3 = pytest.mark.skipif(not HAS_SAM3, reason="this release of transformers has no SAM 3")
NOUNS = ("person", "dog")


@pytest.fixture(scope="module")
def model(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Sam3Video:
    from tests.tiny_sam3 import write_tiny_sam3

    folder = write_tiny_sam3(tiny / "clip", tmp_path_factory.mktemp("sam3"))
    return Sam3Video(folder, "cpu", torch.float32)


@pytest.fixture(scope="module")
def shown() -> Footage:
    images = np.random.default_rng(0).integers(0, 255, (4, 45, 81, 3), dtype=np.uint8)
    return Footage(
        images=images,
        pts_s=np.arange(4) / 10,
        sampled=np.array([0, 2, 3]),
        scale=1.0,
        width_px=81,
        height_px=45,
    )


@with_sam3
class TestOnePass:
    def test_found(self, model: Sam3Video, shown: Footage) -> None:
        found = model.find(shown, NOUNS)
        assert found
        assert {one.noun for one in found} <= {0, 1}
        for one in found:
            assert (one.masks.shape, one.masks.dtype) == ((4, 45, 81), np.bool_)
            assert one.masks.any()
            assert one.presence.shape == (4,)
            assert 0 <= one.score <= 1

    def test_detections_are_boxes_of_tracks(self, model: Sam3Video, shown: Footage) -> None:
        (boxes,) = model.detect(shown, [1], NOUNS)
        assert boxes
        for box, track in zip(boxes, model.track(shown, boxes), strict=True):
            assert track.detection is box
            assert tight_box(track.masks[2]) == box.box  # sampled frame 1 is working frame 2
            assert box.score == max(box.noun_scores)
            assert len(box.noun_scores) == 2

    def test_things_of_one_noun_share_no_pixel(self, model: Sam3Video, shown: Footage) -> None:
        for noun in (0, 1):
            masks = [one.masks for one in model.find(shown, NOUNS) if one.noun == noun]
            assert np.sum(masks, axis=0).max(initial=0) <= 1

    def test_no_nouns(self, model: Sam3Video, shown: Footage) -> None:
        assert model.detect(shown, [0, 1], []) == [[], []]

    def test_box_of_another_detector(self, model: Sam3Video, shown: Footage) -> None:
        box = Detection(frame_index=0, box=(1.0, 2.0, 3.0, 4.5), score=0.5, noun_scores=(0.5, 0.0))
        with pytest.raises(BackendError, match="give boxes of other detectors to the sam2 tracker"):
            model.track(shown, [box])


def test_a_pixel_goes_to_the_surest_of_its_noun() -> None:
    whole, left = np.ones((1, 4), bool), np.array([[1, 1, 0, 0]], bool)
    apart = _apart({7: whole, 8: left, 9: whole}, {7: 0.2, 8: 0.9, 9: 0.1}, {7: 0, 8: 0, 9: 1})
    assert {number: mask.astype(int).tolist() for number, mask in apart.items()} == {
        7: [[0, 0, 1, 1]],
        8: [[1, 1, 0, 0]],
        9: [[1, 1, 1, 1]],
    }


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no SAM 3 checkpoint"):
        Sam3Video(tmp_path, "cpu", torch.float32)


@with_sam3
def test_another_model(tiny: Path) -> None:
    with pytest.raises(
        ConfigError, match="holds a sam2_video model, and this backend needs one of type sam3"
    ):
        Sam3Video(tiny / "sam2", "cpu", torch.float32)


@pytest.mark.skipif(HAS_SAM3, reason="this release of transformers has SAM 3")
def test_transformers_without_sam3(tiny: Path) -> None:
    with pytest.raises(ConfigError, match="SAM 3 needs transformers 5"):
        Sam3Video(tiny / "sam2", "cpu", torch.float32)
