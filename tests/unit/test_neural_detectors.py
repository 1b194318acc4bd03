"""What every GroundingDINO must do, on tiny random weights: boxes mean nothing, all else is exact."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

from strefer_core.backends.interfaces import Footage
from strefer_core.backends.neural.groundingdino import (
    Answer,
    GroundingDino,
    GroundingDinoDetector,
    merged,
    noun_scores,
)
from strefer_core.backends.neural.groundingdino_package import GroundingDinoPackageDetector, converted
from strefer_core.backends.neural.pixels import Pixels
from strefer_core.backends.neural.prompts import Prompt
from strefer_core.errors import ConfigError, TooLargeForDevice

Make = Callable[..., GroundingDino]
NOUNS = ["person", "dog", "cat"]


@pytest.fixture(scope="module", params=["transformers", "package"])
def make(request: pytest.FixtureRequest, tiny: Path) -> Make:
    """Builds the detector of one implementation; both read the same folder."""
    kind: Callable[..., GroundingDino] = GroundingDinoDetector
    if request.param == "package":
        pytest.importorskip("groundingdino", reason="groundingdino-py is in the GPU environment only")
        kind = GroundingDinoPackageDetector

    @cache
    def build(dtype: torch.dtype = torch.float32, batch: int = 4) -> GroundingDino:
        return kind(tiny / "groundingdino", "cpu", dtype, batch)

    return build


def footage(width: int = 64, height: int = 48, frames: int = 6, seed: int = 0) -> Footage:
    """Noise with a bright square that moves; every second working frame is a sampled one."""
    images = np.random.default_rng(seed).integers(0, 120, (frames, height, width, 3), dtype=np.uint8)
    for place, image in enumerate(images):
        image[height // 4 : height // 2, 4 * place : 4 * place + width // 4] = 250
    return Footage(
        images=images,
        pts_s=np.arange(frames) / 10,
        sampled=np.arange(0, frames, 2),
        scale=1.0,
        width_px=width,
        height_px=height,
    )


def test_boxes_lie_in_the_picture_with_a_score_for_every_noun(make: Make) -> None:
    found = make().detect(footage(), [0, 2], NOUNS)
    assert len(found) == 2
    assert all(found)
    for index, boxes in zip([0, 2], found, strict=True):
        for one in boxes:
            x0, y0, x1, y1 = one.box
            assert 0 <= x0 < x1 <= 64
            assert 0 <= y0 < y1 <= 48
            assert one.frame_index == index
            assert len(one.noun_scores) == len(NOUNS)
            assert one.score == max(one.noun_scores)
            assert 0 < one.score <= 1
        assert [one.score for one in boxes] == sorted((one.score for one in boxes), reverse=True)


def test_an_index_is_a_place_among_the_sampled_frames(make: Make) -> None:
    seen = footage()
    alone = Footage(
        images=seen.images[4:5],
        pts_s=np.zeros(1),
        sampled=np.zeros(1, np.int64),
        scale=1.0,
        width_px=64,
        height_px=48,
    )
    detector = make()
    (second,), (only,) = detector.detect(seen, [2], NOUNS), detector.detect(alone, [0], NOUNS)
    assert [one.box for one in second] == [one.box for one in only]
    assert [one.noun_scores for one in second] == [one.noun_scores for one in only]


def test_frames_of_a_batch_do_not_see_each_other(make: Make) -> None:
    at_once = make(batch=3).detect(footage(), [2, 0, 1], NOUNS)
    one_by_one = make(batch=1).detect(footage(), [2, 0, 1], NOUNS)
    assert [[one.frame_index for one in boxes] for boxes in at_once] == [
        [index] * len(boxes) for index, boxes in zip([2, 0, 1], at_once, strict=True)
    ]
    for some, others in zip(at_once, one_by_one, strict=True):
        np.testing.assert_allclose(table(some), table(others), atol=1e-4)
    assert not np.allclose(at_once[0][0].box, at_once[1][0].box, atol=1e-3), "frames must differ to prove it"


@pytest.mark.parametrize(("width", "height"), [(51, 37), (37, 51), (640, 20), (16, 16), (333, 250)])
def test_odd_sizes(make: Make, width: int, height: int) -> None:
    ((*boxes,),) = make().detect(footage(width, height, frames=1), [0], NOUNS)
    assert boxes
    assert all(0 <= one.box[0] < one.box[2] <= width for one in boxes)
    assert all(0 <= one.box[1] < one.box[3] <= height for one in boxes)


def test_nothing_to_look_at_and_nothing_to_look_for(make: Make) -> None:
    detector = make()
    assert detector.detect(footage(), [], NOUNS) == []
    assert detector.detect(footage(), [0, 1], []) == [[], []]
    assert detector.detect(footage(), [0, 1], ["", "."]) == [[], []]


@pytest.mark.parametrize("noun", ["st. bernard", "[SEP]", "Hühnchen", "🐕", "x" * 300, "dog?", "a  dog\n"])
def test_odd_nouns_neither_fail_nor_disturb_their_place(make: Make, noun: str) -> None:
    (boxes,) = make().detect(footage(), [0], ["", noun, "dog"])
    assert boxes
    assert all(one.noun_scores[0] == 0 for one in boxes), "no noun, no score"
    assert all(one.noun_scores[2] > 0 for one in boxes)


def test_more_nouns_than_the_text_holds(make: Make) -> None:
    many = [f"noun{number}" for number in range(20)]
    detector = make()
    assert len(detector.prompts(many)) > 1
    (boxes,) = detector.detect(footage(), [0], many)
    answered = {place for one in boxes for place, score in enumerate(one.noun_scores) if score}
    assert answered == set(range(20))


def test_a_text_is_made_once_per_set_of_nouns(make: Make) -> None:
    detector = make()
    assert detector.prompts(NOUNS) is detector.prompts(list(NOUNS))
    assert detector.prompts(NOUNS) is not detector.prompts(NOUNS[::-1])


def test_half_precision_finds_about_the_same(make: Make) -> None:
    exact, rough = (make(dtype).detect(footage(), [0], NOUNS)[0] for dtype in (torch.float32, torch.bfloat16))
    assert len(rough) == pytest.approx(len(exact), abs=2)
    assert rough[0].score == pytest.approx(exact[0].score, abs=0.05)
    assert table(rough).shape[1] == table(exact).shape[1]
    assert not np.array_equal(table(rough)[0], table(exact)[0]), "it was computed in another precision"


def test_a_batch_that_does_not_fit_is_halved(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    detector, sizes = make(batch=3), list[int]()
    forward = detector.forward

    def tight(pixels: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sizes.append(len(pixels))
        if len(pixels) > 1:
            raise torch.cuda.OutOfMemoryError("injected")
        return forward(pixels, ids)

    monkeypatch.setattr(detector, "forward", tight)
    found = detector.detect(footage(), [0, 1, 2], NOUNS)
    assert sizes == [3, 1, 1, 1]
    assert [boxes[0].frame_index for boxes in found] == [0, 1, 2]

    def full(pixels: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        raise torch.cuda.OutOfMemoryError("injected")

    monkeypatch.setattr(detector, "forward", full)
    with pytest.raises(TooLargeForDevice, match="does not fit"):
        detector.detect(footage(), [0], NOUNS)


def test_scores_that_are_no_numbers_are_refused(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = make()
    broken = torch.full((1, 5, 48), torch.nan), torch.full((1, 5, 4), 0.5)
    monkeypatch.setattr(detector, "forward", lambda pixels, ids: broken)
    with pytest.raises(ConfigError, match="dtype to float32"):
        detector.detect(footage(), [0], NOUNS)


# transformers' own way from frames and nouns to scores, step by step, as the judge of ours.


def test_scores_are_those_of_the_nouns_own_tokens(tiny: Path) -> None:
    from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

    folder = tiny / "groundingdino"
    processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    model = AutoModelForZeroShotObjectDetection.from_pretrained(folder, local_files_only=True).eval()
    seen, text = footage(128, 96), "person. hound. cat."  # a size that is kept: the pixels are the same
    given = processor(images=Image.fromarray(seen.images[2]), text=text, return_tensors="pt")
    with torch.inference_mode():
        said = model(**given)
    places = processor.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    starts = [text.index(noun) for noun in ("person", "hound", "cat")]
    tokens = [
        [i for i, (a, b) in enumerate(places) if start <= a < b <= start + length]
        for start, length in zip(starts, (6, 5, 3), strict=True)
    ]
    assert [len(each) for each in tokens] == [1, 5, 1], "one noun is in pieces"
    expected = torch.stack([said.logits[0].sigmoid()[:, each].amax(-1) for each in tokens], dim=-1)
    detector = GroundingDinoDetector(folder, "cpu", torch.float32, 1)
    (boxes,) = detector.detect(seen, [1], ["person", "hound", "cat"])
    results = processor.post_process_grounded_object_detection(
        said, given["input_ids"], threshold=0.0, text_threshold=0.0, target_sizes=[(96, 128)]
    )
    corners = results[0]["boxes"].numpy().clip(0, [128, 96, 128, 96])
    theirs = np.hstack([corners, expected.numpy()])
    is_box = (corners[:, 2:] - corners[:, :2] >= 1).all(axis=1) & (theirs[:, 4:].max(axis=1) >= 0.05)
    assert len(boxes) == is_box.sum() > 10
    for one in table(boxes):  # the best ones come first, with ties: every one has its own counterpart
        nearest = np.abs(theirs - one).max(axis=1).argmin()
        np.testing.assert_allclose(one, theirs[nearest], atol=1e-3)
        theirs[nearest] = np.inf


@pytest.mark.parametrize("nouns", [["person"], ["dog", "st. bernard", "red ball"], ["a cat", "zebra"]])
def test_both_implementations_agree_on_the_same_weights(tiny: Path, nouns: list[str]) -> None:
    pytest.importorskip("groundingdino", reason="groundingdino-py is in the GPU environment only")
    folder, seen = tiny / "groundingdino", footage(150, 97)
    kinds = (GroundingDinoDetector, GroundingDinoPackageDetector)
    ours, theirs = (kind(folder, "cpu", torch.float32, 2).detect(seen, [0, 1, 2], nouns) for kind in kinds)
    for some, others in zip(ours, theirs, strict=True):
        assert len(some) == len(others) > 0
        np.testing.assert_allclose(table(some)[:, 4:], table(others)[:, 4:], atol=1e-4)
        np.testing.assert_allclose(table(some)[:, :4], table(others)[:, :4], atol=0.01)


def test_pixels_are_those_of_the_image_processor(tiny: Path) -> None:
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(tiny / "groundingdino", local_files_only=True)
    pixels = Pixels.of(processor)
    for width, height in [(64, 48), (333, 250), (250, 333), (640, 20), (51, 37), (1280, 720)]:
        images = footage(width, height, frames=2).images
        theirs = processor(images=list(images), return_tensors="pt")["pixel_values"]
        ours = pixels.tensor(images, "cpu")
        assert ours.shape == theirs.shape, (width, height)
        assert (ours - theirs).abs().max() < 1.5 / 255 / min(pixels.std), "one step of 255 at most"
        assert ((ours - theirs).abs() > 1e-4).float().mean() < 0.01, (
            "and only where Pillow's fixed point meets a tie"
        )


def test_sizes_of_the_released_checkpoints() -> None:
    pixels = Pixels(shortest_edge=800, longest_edge=1333, mean=(0.5,) * 3, std=(0.5,) * 3)
    assert pixels.size_of(720, 1280) == (750, 1333)
    assert pixels.size_of(1280, 720) == (1333, 750)
    assert pixels.size_of(480, 640) == (800, 1066)


def test_a_box_that_two_nouns_name_keeps_both(tiny: Path) -> None:
    """The library labels it "person dog", which is neither noun."""
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(tiny / "groundingdino", local_files_only=True)
    ids = processor.tokenizer("person. dog.", return_tensors="pt")["input_ids"]
    logits = torch.full((1, 1, 48), -torch.inf)
    logits[0, 0, : ids.shape[1]] = -5.0
    logits[0, 0, [1, 3]] = torch.tensor([1.0, 2.0])

    class Said:
        pred_boxes = torch.full((1, 1, 4), 0.5)

    Said.logits = logits  # type: ignore[attr-defined]
    (labelled,) = processor.post_process_grounded_object_detection(
        Said, ids, threshold=0.3, text_threshold=0.25
    )
    assert labelled["text_labels"] == ["person dog"]
    prompt = Prompt(ids=tuple(ids[0].tolist()), spans={0: (1, 2), 1: (3, 4)})
    expected = [1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(-2.0)), 0.0]
    np.testing.assert_allclose(noun_scores(logits, prompt, 3)[0, 0], expected, rtol=1e-5)


# Boxes of several texts.


def answer(boxes: list[list[float]], scores: list[list[float]]) -> Answer:
    return Answer(boxes=np.array(boxes, float), scores=np.array(scores, float))


def test_boxes_of_two_prompts_lend_each_other_their_scores() -> None:
    first = answer([[0, 0, 10, 10], [50, 50, 60, 60]], [[0.4, 0, 0], [0.9, 0, 0]])
    second = answer([[0, 0, 10, 11], [20, 20, 30, 30]], [[0, 0.6, 0.2], [0, 0.3, 0.1]])
    both = merged([first, second], 3)
    np.testing.assert_array_equal(both.boxes, np.concatenate([first.boxes, second.boxes]))
    expected = [[0.4, 0.6, 0.2], [0.9, 0, 0], [0.4, 0.6, 0.2], [0, 0.3, 0.1]]
    np.testing.assert_array_equal(both.scores, expected)


def test_boxes_of_one_prompt_do_not() -> None:
    alone = answer([[0, 0, 10, 10], [0, 0, 10, 10]], [[0.4, 0.1], [0.2, 0.5]])
    np.testing.assert_array_equal(merged([alone], 2).scores, alone.scores)
    empty = answer([[90, 90, 99, 99]], [[0.0, 0.0]])
    np.testing.assert_array_equal(merged([alone, empty], 2).scores[:2], alone.scores)


def test_no_prompt_no_boxes() -> None:
    assert merged([], 2).boxes.shape == (0, 4)
    assert merged([], 2).scores.shape == (0, 2)


# The other implementation.


def test_the_package_is_missed_with_a_way_out(tiny: Path) -> None:
    if find_spec("groundingdino"):
        pytest.skip("groundingdino-py is installed here")
    with pytest.raises(ConfigError, match=r"not installed.*implementation to transformers"):
        GroundingDinoPackageDetector(tiny / "groundingdino", "cpu", torch.float32, 1)


def test_every_weight_has_a_counterpart(tiny: Path) -> None:
    weights = load_file(tiny / "groundingdino/model.safetensors")
    found = converted(weights)
    layer = "transformer.decoder.layers.1.self_attn.in_proj_weight"
    source = "model.decoder.layers.1.self_attn"
    parts = [weights[f"{source}.{part}.weight"] for part in ("query", "key", "value")]
    assert torch.equal(found[layer], torch.cat(parts))
    assert torch.equal(
        found["bert.encoder.layer.0.attention.self.key.weight"],
        weights["model.text_backbone.encoder.layer.0.attention.self.key.weight"],
    )
    with pytest.raises(ValueError, match=r"no counterpart of model\.other"):
        converted({"model.other.weight": torch.zeros(1)})


# Folders that are no checkpoint.


def test_a_folder_without_a_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{tmp_path} holds no checkpoint of GroundingDINO"):
        GroundingDinoDetector(tmp_path, "cpu", torch.float32, 1)


def test_a_damaged_checkpoint_is_named(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "config.json").write_bytes((tiny / "groundingdino/config.json").read_bytes())
    with pytest.raises(ConfigError, match="is no usable checkpoint of GroundingDINO"):
        GroundingDinoDetector(tmp_path, "cpu", torch.float32, 1)


def test_a_checkpoint_of_another_model_is_named(tiny: Path) -> None:
    with pytest.raises(ConfigError, match="is no usable checkpoint of GroundingDINO"):
        GroundingDinoDetector(tiny / "clip", "cpu", torch.float32, 1)


def table(boxes: list[Any]) -> NDArray[np.float64]:
    return np.array([[*one.box, *one.noun_scores] for one in boxes])
