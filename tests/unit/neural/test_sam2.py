"""SAM 2 through transformers: the same masks as its plain use, whatever is shared, batched or thrown away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from strefer_core.backends.interfaces import Detection, Footage, Track
from strefer_core.backends.neural.leaving import pack
from strefer_core.backends.neural.sam2 import Sam2Tracker
from strefer_core.errors import ConfigError
from tests.lively_sam2 import write_lively_sam2
from tests.plain_sam2 import Plain, PlainSam2, all_differing, differing

MARGIN = 1e-2  # of logits whose spread is about 4: rounding of batches may decide pixels within it


@pytest.fixture(scope="module")
def folder(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lively_sam2(tiny / "sam2", tmp_path_factory.mktemp("lively_sam2"))


@pytest.fixture(scope="module")
def plain(folder: Path) -> PlainSam2:
    return PlainSam2(folder)


def footage(count: int = 24, height: int = 90, width: int = 160, every: int = 2, seed: int = 0) -> Footage:
    draws = np.random.default_rng(seed)
    return Footage(
        images=draws.integers(0, 255, (count, height, width, 3), dtype=np.uint8),
        pts_s=np.arange(count) / 10,
        sampled=np.arange(0, count, every),
        scale=1.0,
        width_px=width,
        height_px=height,
    )


def detection(frame_index: int, *box: float) -> Detection:
    x0, y0, x1, y1 = box
    return Detection(frame_index=frame_index, box=(x0, y0, x1, y1), score=0.9, noun_scores=(0.9,))


def tracker(folder: Path, *, batch: int = 4, feature_bytes: int = 1 << 30) -> Sam2Tracker:
    return Sam2Tracker(folder, "cpu", torch.float32, batch, feature_bytes=feature_bytes)


THREE = [
    detection(0, 10.0, 10.0, 60.0, 70.0),  # the first frame
    detection(3, 80.0, 20.0, 150.0, 80.0),
    detection(8, 5.0, 5.0, 155.0, 85.0),  # the last sampled frame
]


def plains(plain: PlainSam2, shown: Footage, detections: Sequence[Detection]) -> list[Plain]:
    return [plain.track(shown, int(shown.sampled[one.frame_index]), one.box) for one in detections]


def presences(tracks: Sequence[Track]) -> np.ndarray:
    return np.stack([one.presence for one in tracks if one.presence is not None])


def assert_same(some: Sequence[Track], others: Sequence[Track]) -> None:
    """The same tracks: presences to rounding, masks but for pixels that rounding may decide."""
    assert len(some) == len(others)
    np.testing.assert_allclose(presences(some), presences(others), atol=1e-3)
    for a, b in zip(some, others, strict=True):
        assert (a.masks ^ b.masks).sum() <= 1e-4 * a.masks.size


@pytest.fixture(scope="module")
def shown() -> Footage:
    return footage(18)


@pytest.fixture(scope="module")
def tracks(folder: Path, shown: Footage) -> list[Track]:
    return tracker(folder).track(shown, THREE)


@pytest.fixture(scope="module")
def expected(plain: PlainSam2, shown: Footage) -> list[Plain]:
    return plains(plain, shown, THREE)


class TestAgainstPlainUse:
    """Anchors on the first, a middle and the last sampled frame, more frames than memories."""

    def test_masks(self, tracks: list[Track], expected: list[Plain]) -> None:
        assert all_differing([one.masks for one in tracks], expected, margin=MARGIN) == 0

    def test_presences(self, tracks: list[Track], expected: list[Plain]) -> None:
        told = np.stack([one.presence for one in expected])
        if np.isnan(told).all():
            pytest.skip("this release of transformers does not tell presences")
        np.testing.assert_allclose(presences(tracks), told, atol=1e-3)

    def test_things_come_and_go(self, tracks: list[Track]) -> None:
        """Else the tests above would show little."""
        visible = np.stack([one.masks.any(axis=(1, 2)) for one in tracks])
        assert 0.1 < visible.mean() < 0.95

    def test_memory_matters(self, plain: PlainSam2) -> None:
        """The same frame, prompted alone or reached by tracking, looks different."""
        shown = footage(2, every=1)
        prompted, reached = (plain.track(shown, frame, THREE[0].box).logits[0] for frame in (0, 1))
        assert np.abs(prompted - reached).max() > 0.5

    def test_agreement(self, plain: PlainSam2, shown: Footage, tracks: list[Track]) -> None:
        """Masks at both ends, tracked back in a session of their own."""
        for one, found in zip(THREE, tracks, strict=True):
            start = int(shown.sampled[one.frame_index])
            seen = np.flatnonzero(found.masks.any(axis=(1, 2)))
            ious = []
            for end in (seen[seen >= start][-1:], seen[seen <= start][:1]):
                between = [
                    t for t in shown.sampled if end.size and min(start, end[0]) < t < max(start, end[0])
                ]
                if between:
                    back = plain.track(shown, int(end[0]), found.masks[end[0]]).logits > 0
                    ious += [
                        (back[t] & found.masks[t]).sum() / (back[t] | found.masks[t]).sum()
                        for t in between
                        if (back[t] | found.masks[t]).any()
                    ]
            if ious:
                assert found.forward_backward_iou == pytest.approx(np.mean(ious), abs=1e-3)
            else:
                assert found.forward_backward_iou is None


class TestShapes:
    def test_none(self, folder: Path) -> None:
        assert tracker(folder).track(footage(3), []) == []

    @pytest.mark.parametrize(("height", "width"), [(90, 160), (97, 33), (128, 128), (200, 131)])
    def test_sizes(self, folder: Path, plain: PlainSam2, height: int, width: int) -> None:
        shown, box = footage(3, height, width, every=1), detection(1, 3.0, 5.0, width - 9.0, height / 2)
        (found,) = tracker(folder).track(shown, [box])
        assert (found.masks.shape, found.masks.dtype) == ((3, height, width), np.bool_)
        assert found.presence is not None
        assert (found.presence.shape, found.presence.dtype) == ((3,), np.float32)
        assert found.detection is box
        assert differing(found.masks, plain.track(shown, 1, box.box), margin=MARGIN) == 0

    def test_one_frame(self, folder: Path, plain: PlainSam2) -> None:
        shown = footage(1)
        (found,) = tracker(folder).track(shown, [THREE[0]])
        assert differing(found.masks, plain.track(shown, 0, THREE[0].box), margin=MARGIN) == 0
        assert found.forward_backward_iou is None

    def test_many(self, folder: Path) -> None:
        """More than are carried at once, each as if it were alone."""
        shown = footage(3)
        draws = np.random.default_rng(1)
        first, second = draws.uniform(0, 1, (2, 20, 2)) * [70, 40]
        boxes = [detection(n % 2, *first[n], *(second[n] + np.array([80, 45]))) for n in range(20)]
        found = tracker(folder).track(shown, boxes)
        assert [one.detection for one in found] == boxes
        assert_same(found[17:18], tracker(folder).track(shown, boxes[17:18]))

    def test_agreement_is_left_out(self, folder: Path) -> None:
        quick = Sam2Tracker(folder, "cpu", torch.float32, 4, measures_agreement=False)
        assert [one.forward_backward_iou for one in quick.track(footage(7), THREE[:2])] == [None, None]

    def test_half_precision(self, folder: Path) -> None:
        half = Sam2Tracker(folder, "cpu", torch.bfloat16, 4)
        (found,) = half.track(footage(4), THREE[:1])
        (exact,) = tracker(folder).track(footage(4), THREE[:1])
        assert found.presence is not None
        assert exact.presence is not None
        np.testing.assert_allclose(found.presence, exact.presence, atol=0.2)


class TestSharing:
    def test_frames_are_encoded_once(self, folder: Path) -> None:
        """For both directions, all anchors, the way back, and the next call on the same footage."""
        shown, used = footage(8), tracker(folder)
        first = used.track(shown, THREE[:2])
        again = used.track(shown, THREE[1:2])
        assert used.features is not None
        assert used.features.encoded_frames == 8
        assert_same(again, first[1:2])

    def test_other_footage_is_encoded_anew(self, folder: Path) -> None:
        used = tracker(folder)
        used.track(footage(4, seed=1), THREE[:1])
        assert_same(used.track(footage(4), THREE[:1]), tracker(folder).track(footage(4), THREE[:1]))

    def test_only_footage_of_the_same_images_is_shared(self, folder: Path) -> None:
        shown, used = footage(6), tracker(folder)
        used.track(shown, THREE[:1])
        used.track(replace(shown, sampled=np.arange(6)), THREE[:1])
        assert used.features is not None
        assert used.features.encoded_frames == 6

    @pytest.mark.parametrize("batch", [1, 3, 64])
    def test_batch_changes_nothing(self, folder: Path, batch: int) -> None:
        assert_same(
            tracker(folder, batch=batch).track(footage(8), THREE[:2]),
            tracker(folder).track(footage(8), THREE[:2]),
        )


class TestMemory:
    def test_long_footage_is_encoded_piece_by_piece(self, folder: Path) -> None:
        """Runs go on from piece to piece with what they remember, so nothing has to be joined again."""
        shown = footage(12)
        whole, pieces = tracker(folder), tracker(folder, batch=2, feature_bytes=1)
        assert_same(pieces.track(shown, THREE[:2]), whole.track(shown, THREE[:2]))
        assert pieces.features is not None
        assert whole.features is not None
        assert pieces.features.encoded_frames > 12
        assert pieces.features.size_bytes <= whole.features.size_bytes / 3

    def test_what_is_remembered_does_not_grow(self, folder: Path) -> None:
        """Bytes held on each of 24 frames: none more once the model remembers all that it may."""
        held: list[int] = []
        used = tracker(folder)
        follow = used.model.follow

        def watched(features, memory, frame_count):  # type: ignore[no-untyped-def]
            held.append(sum(t.untyped_storage().nbytes() for t in memory.tensors))
            return follow(features, memory, frame_count)

        used.model.follow = watched  # type: ignore[method-assign]
        used.track(footage(24), [THREE[0]])
        forward = held[:23]
        assert forward[5] > forward[0]
        assert len(set(forward[16:])) == 1

    def test_out_of_memory_halves_the_runs(self, folder: Path) -> None:
        shown, used = footage(7), tracker(folder)
        follow, batches = used.model.follow, []

        def limited(features, memory, frame_count):  # type: ignore[no-untyped-def]
            batches.append(len(features))
            if len(features) > 1:
                raise torch.OutOfMemoryError("made up")
            return follow(features, memory, frame_count)

        used.model.follow = limited  # type: ignore[method-assign]
        found = used.track(shown, THREE[:2])
        assert max(batches) == 2
        assert_same(found, tracker(folder).track(shown, THREE[:2]))


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (7, 16)])
def test_pack(size: tuple[int, int]) -> None:
    masks = np.random.default_rng(0).integers(0, 2, (2, *size)).astype(bool)
    np.testing.assert_array_equal(
        pack(torch.from_numpy(masks)).numpy(), np.packbits(masks.reshape(2, -1), axis=1)
    )


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no SAM 2 checkpoint: name a folder with config\.json"):
        Sam2Tracker(tmp_path, "cpu", torch.float32, 1)


def test_another_model(tiny: Path) -> None:
    with pytest.raises(ConfigError, match="holds a clip model, and the tracker needs one of type sam2_video"):
        Sam2Tracker(tiny / "clip", "cpu", torch.float32, 1)
