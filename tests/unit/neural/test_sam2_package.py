"""SAM 2 through the `sam2` package: the same masks as through transformers, from the same weights.

These run where the package is, in the GPU environment; what needs no package runs everywhere.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Sam2VideoConfig, Sam2VideoModel

from strefer_core.backends.interfaces import Detection, Footage, Track
from strefer_core.backends.neural.sam2 import Sam2Tracker
from strefer_core.backends.neural.sam2_convert import predictor_of, renamed
from strefer_core.backends.neural.sam2_package import Sam2PackageTracker, prune
from strefer_core.errors import ConfigError
from tests.lively_sam2 import write_lively_sam2

HAS_PACKAGE = importlib.util.find_spec("sam2") is not None
with_package = pytest.mark.skipif(not HAS_PACKAGE, reason="the sam2 package is not installed")
without_package = pytest.mark.skipif(HAS_PACKAGE, reason="the sam2 package is installed")

FRAMES, HEIGHT, WIDTH = 12, 90, 160


@pytest.fixture(scope="module")
def folder(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of sizes that the package has fixed in code."""
    config = Sam2VideoConfig.from_pretrained(tiny / "sam2")
    decoder = config.mask_decoder_config
    decoder.mlp_dim, decoder.num_attention_heads, decoder.iou_head_hidden_dim = 2048, 8, 256
    config.prompt_encoder_config.mask_input_channels = 16
    config.memory_fuser_intermediate_dim = 4 * config.memory_fuser_embed_dim
    config.vision_config.backbone_config.num_attention_heads_per_stage = [1, 2, 4, 8]
    base = tmp_path_factory.mktemp("sam2_package")
    Sam2VideoModel(config).save_pretrained(base / "quiet")
    return write_lively_sam2(base / "quiet", base / "lively")


@pytest.fixture(scope="module")
def shown() -> Footage:
    images = np.random.default_rng(0).integers(0, 255, (FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Footage(
        images=images,
        pts_s=np.arange(FRAMES) / 10,
        sampled=np.arange(0, FRAMES, 2),
        scale=1.0,
        width_px=WIDTH,
        height_px=HEIGHT,
    )


BOXES = [
    Detection(frame_index=index, box=box, score=0.9, noun_scores=(0.9,))
    for index, box in (
        (0, (10.0, 10.0, 60.0, 70.0)),
        (3, (80.0, 20.0, 150.0, 80.0)),
        (3, (5.0, 30.0, 50.0, 80.0)),
        (5, (5.0, 5.0, 155.0, 85.0)),
    )
]


def presences(tracks: Sequence[Track]) -> np.ndarray:
    return np.stack([one.presence for one in tracks if one.presence is not None])


@pytest.fixture(scope="module")
def ours(folder: Path, shown: Footage) -> list[Track]:
    return Sam2Tracker(folder, "cpu", torch.float32, 4).track(shown, BOXES)


@pytest.fixture(scope="module")
def theirs(folder: Path, shown: Footage) -> list[Track]:
    return Sam2PackageTracker(folder, "cpu", torch.float32, 4).track(shown, BOXES)


@with_package
class TestAgreement:
    def test_presences(self, ours: list[Track], theirs: list[Track]) -> None:
        np.testing.assert_allclose(presences(theirs), presences(ours), atol=2e-3)
        assert presences(ours).std() > 0.05

    def test_masks(self, ours: list[Track], theirs: list[Track]) -> None:
        pixels = sum(one.masks.size for one in ours)
        differing = sum(int((a.masks ^ b.masks).sum()) for a, b in zip(ours, theirs, strict=True))
        assert differing <= 1e-4 * pixels  # rounding decides pixels on a border
        shares = [float(one.masks.mean()) for one in ours]
        assert max(shares) > 0
        assert min(shares) < 1

    def test_forward_backward(self, ours: list[Track], theirs: list[Track]) -> None:
        """Not the same: the package remembers a mask that it is given from a quarter of its size."""
        for a, b in zip(ours, theirs, strict=True):
            assert a.forward_backward_iou is not None
            assert b.forward_backward_iou == pytest.approx(a.forward_backward_iou, abs=0.05)


@with_package
class TestOwnPath:
    def test_plain_use(self, folder: Path, shown: Footage) -> None:
        """Against the package's own calls: frames encoded one by one, nothing shared, nothing forgotten."""
        used = Sam2PackageTracker(folder, "cpu", torch.float32, 4, measures_agreement=False)
        (found,) = used.track(shown, BOXES[1:2])
        predictor, images = used.predictor, used.pixels(shown)
        start = int(shown.sampled[BOXES[1].frame_index])
        for reverse in (False, True):
            state = used.new_state(used.features_of(shown)) | {"images": images, "cached_features": {}}
            predictor.add_new_points_or_box(
                inference_state=state, frame_idx=start, obj_id=0, box=np.array(BOXES[1].box, np.float32)
            )
            for frame, _, logits in predictor.propagate_in_video(
                state, start_frame_idx=start, reverse=reverse
            ):
                near = (logits[0, 0].abs() < 1e-2).numpy()
                assert ((found.masks[frame] == (logits[0, 0] > 0).numpy()) | near).all()

    def test_frames_are_encoded_once(self, folder: Path, shown: Footage) -> None:
        used = Sam2PackageTracker(folder, "cpu", torch.float32, 4)
        used.track(shown, BOXES[:2])
        used.track(shown, BOXES[2:3])
        assert used.features is not None
        assert used.features.encoded_frames == FRAMES

    def test_one_frame(self, folder: Path, shown: Footage) -> None:
        alone = Footage(
            images=shown.images[:1], pts_s=np.zeros(1), sampled=np.zeros(1, int), scale=1.0,
            width_px=WIDTH, height_px=HEIGHT,
        )  # fmt: skip
        used = Sam2PackageTracker(folder, "cpu", torch.float32, 4)
        (found,) = used.track(alone, BOXES[:1])
        assert found.masks.shape == (1, HEIGHT, WIDTH)
        assert used.track(alone, []) == []

    def test_released_checkpoint(self, folder: Path, tmp_path: Path) -> None:
        """A file under a released name has released sizes; other weights in it are refused."""
        predictor = predictor_of(Sam2VideoConfig.from_pretrained(folder))
        torch.save({"model": predictor.state_dict()}, tmp_path / "sam2.1_hiera_tiny.pt")
        with pytest.raises(ConfigError, match=r"sam2\.1_hiera_tiny\.pt does not fit"):
            Sam2PackageTracker(tmp_path, "cpu", torch.float32)

    def test_checkpoint_with_code_in_it(self, tmp_path: Path) -> None:
        torch.save({"model": Path("anything")}, tmp_path / "sam2.1_hiera_tiny.pt")
        with pytest.raises(ConfigError, match="holds more than weights"):
            Sam2PackageTracker(tmp_path, "cpu", torch.float32)

    def test_no_checkpoint(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="holds no SAM 2 checkpoint"):
            Sam2PackageTracker(tmp_path, "cpu", torch.float32)

    def test_names_that_do_not_fit(self, folder: Path) -> None:
        config = Sam2VideoConfig.from_pretrained(folder)
        weights = Sam2VideoModel(config).state_dict()
        weights["something.else"] = weights.pop("no_memory_embedding")
        with pytest.raises(
            ConfigError, match=r"does not fit the sam2 package: no_mem_embed, something\.else"
        ):
            renamed(weights, predictor_of(config).state_dict())


def test_sizes_that_the_package_has_fixed(tiny: Path) -> None:
    config = Sam2VideoConfig.from_pretrained(tiny / "sam2")
    with pytest.raises(ConfigError, match=r"mask_decoder_config\.mlp_dim is 64, not 2048"):
        predictor_of(config)


@without_package
def test_without_the_package(folder: Path) -> None:
    with pytest.raises(ConfigError, match="needs the sam2 package, which the GPU environment has"):
        Sam2PackageTracker(folder, "cpu", torch.float32)


def test_prune() -> None:
    """Frame 20 was looked at: 21 looks at the memories of 15..20 and the pointers of 6..20."""
    kept = {
        frame: {"pred_masks": 1, "maskmem_features": frame, "maskmem_pos_enc": frame, "obj_ptr": frame}
        for frame in range(21)
    }
    state = {"output_dict_per_obj": {0: {"cond_frame_outputs": {0: 1}, "non_cond_frame_outputs": kept}}}
    prune(state, 20, memories=7, pointers=16)
    assert sorted(kept) == list(range(5, 21))
    assert [frame for frame, one in kept.items() if one["maskmem_features"] is not None] == [*range(14, 21)]
    assert state["output_dict_per_obj"][0]["cond_frame_outputs"] == {0: 1}
