"""Assigners on tiny random weights: what they show a model, and how what it says becomes scores."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from strefer_core.backends.interfaces import Assigner, Detection, Footage, Track
from strefer_core.backends.neural.pictures import cut, sights
from strefer_core.backends.neural.similarity import SimilarityAssigner
from strefer_core.backends.neural.vlm import VlmAssigner
from strefer_core.data_model import Entity
from strefer_core.errors import ConfigError

Make = Callable[..., Any]
WIDTH, HEIGHT = 96, 64
PLACES = [(4, 4, 24, 30), (40, 10, 70, 50), (0, 60, 12, 64)]  # x0, y0, x1, y1 of three things


def footage() -> Footage:
    images = np.random.default_rng(3).integers(0, 255, (4, HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Footage(
        images=images,
        pts_s=np.arange(4) / 10,
        sampled=np.array([0, 2, 3]),
        scale=1.0,
        width_px=WIDTH,
        height_px=HEIGHT,
    )


def track(place: int, frames: tuple[int, ...]) -> Track:
    """A box that is there on these working frames."""
    x0, y0, x1, y1 = PLACES[place]
    masks = np.zeros((4, HEIGHT, WIDTH), bool)
    masks[list(frames), y0:y1, x0:x1] = True
    box = (float(x0), float(y0), float(x1), float(y1))
    start = Detection(frame_index=0, box=box, score=0.9, noun_scores=(0.9,))
    return Track(detection=start, masks=masks, forward_backward_iou=None)


def entity(index: int, expression: str) -> Entity:
    return Entity(
        entity_id=f"ent-{index}",
        video_id="0" * 16,
        index=index,
        expression=expression,
        noun="thing",
        generalized_noun="thing",
    )


TRACKS = [track(0, (0, 1, 2, 3)), track(1, (2, 3)), track(2, (0,))]
ENTITIES = [entity(0, "the red ball"), entity(1, "the dog behind the car")]
SEEN = np.array([[True, False, True], [True, True, False], [True, True, False]])  # frames, tracks


@pytest.fixture(scope="module", params=["clip", "siglip", "vlm"])
def make(request: pytest.FixtureRequest, tiny: Path) -> Make:
    kind: Any = VlmAssigner if request.param == "vlm" else SimilarityAssigner

    @cache
    def build(dtype: torch.dtype = torch.float32, batch: int = 3) -> Assigner:
        made: Assigner = kind(tiny / request.param, "cpu", dtype, batch)
        return made

    return build


def test_a_score_for_all_that_is_seen_and_none_for_what_is_not(make: Make) -> None:
    scores = make().scores(footage(), TRACKS, ENTITIES, [0, 1, 2])
    assert scores.shape == (3, 2, 3)
    for row in range(2):
        np.testing.assert_array_equal(~np.isnan(scores[:, row]), SEEN)
    known = scores[~np.isnan(scores)]
    assert ((known > 0) & (known < 1)).all()
    assert len(np.unique(known.round(9))) > 2, "it looks at pictures and words"


def test_what_else_is_asked_changes_no_score(make: Make) -> None:
    """The cascade asks about new tracks only, and later about others: their scores are compared."""
    whole = make().scores(footage(), TRACKS, ENTITIES, [0, 1, 2])
    for place, one in enumerate(TRACKS):
        alone = make(batch=1).scores(footage(), [one], ENTITIES, [2, 0])
        np.testing.assert_allclose(alone[:, :, 0], whole[[2, 0], :, place], atol=2e-5)


def test_nothing_to_ask(make: Make) -> None:
    assigner = make()
    assert assigner.scores(footage(), [], ENTITIES, [0]).shape == (1, 2, 0)
    assert assigner.scores(footage(), TRACKS, [], [0]).shape == (1, 0, 3)
    assert assigner.scores(footage(), TRACKS, ENTITIES, []).shape == (0, 2, 3)
    assert np.isnan(assigner.scores(footage(), [track(2, (1,))], ENTITIES, [0, 1])).all()


def test_half_precision(make: Make) -> None:
    exact = make().scores(footage(), TRACKS, ENTITIES, [0, 1, 2])
    rough = make(torch.bfloat16).scores(footage(), TRACKS, ENTITIES, [0, 1, 2])
    np.testing.assert_array_equal(np.isnan(exact), np.isnan(rough))
    assert np.nanmax(np.abs(exact - rough)) < 0.35
    assert np.nanmax(np.abs(exact - rough)) > 0, "it was computed in another precision"


@pytest.mark.parametrize("kind", [SimilarityAssigner, VlmAssigner])
def test_folders_that_are_no_checkpoint(tiny: Path, tmp_path: Path, kind: Any) -> None:
    with pytest.raises(ConfigError, match=f"{tmp_path} holds no checkpoint"):
        kind(tmp_path, "cpu", torch.float32, 1)
    with pytest.raises(ConfigError, match="it is of type"):
        kind(tiny / "groundingdino", "cpu", torch.float32, 1)


@pytest.mark.parametrize(("name", "kind"), [("clip", SimilarityAssigner), ("vlm", VlmAssigner)])
def test_a_checkpoint_that_lacks_weights_is_refused(tiny: Path, tmp_path: Path, name: str, kind: Any) -> None:
    """The library would fill in random ones and only say so in its log."""
    folder = tmp_path / name
    shutil.copytree(tiny / name, folder)
    weights = load_file(folder / "model.safetensors")
    gone = next(key for key in weights if "layernorm" in key or "norm1" in key)
    del weights[gone]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match="1 weights are missing in it"):
        kind(folder, "cpu", torch.float32, 1)


# Against the library's own way, step by step.


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_similarity_is_the_models_own(tiny: Path, name: str) -> None:
    from transformers import AutoModel, AutoProcessor, AutoTokenizer

    folder, seen = tiny / name, footage()
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    images = AutoProcessor.from_pretrained(folder, local_files_only=True)
    images = getattr(images, "image_processor", images)
    texts = [
        "a photo of the red ball",
        "a photo of the dog behind the car",
        "a photo of something else",
        "a photo of the background",
    ]
    picture = Image.fromarray(cut(sights(seen, [TRACKS[1]], [1])[0]))
    pixels = images(images=picture, return_tensors="pt")["pixel_values"]
    logits = []
    for text in texts:
        if name == "clip":  # one by one, without any padding
            given = tokenizer([text], return_tensors="pt")
        else:
            given = tokenizer([text], padding="max_length", max_length=64, return_tensors="pt")
            given.pop("attention_mask", None)
        with torch.inference_mode():
            logits.append(float(model(pixel_values=pixels, **given).logits_per_image))
    shares = np.exp(np.array(logits) - max(logits))
    shares /= shares.sum()
    scores = SimilarityAssigner(folder, "cpu", torch.float32, 2).scores(seen, [TRACKS[1]], ENTITIES, [1])
    np.testing.assert_allclose(scores[0, :, 0], shares[:2], rtol=1e-3)


def test_a_vlm_answers_with_the_chance_of_yes(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assigner = VlmAssigner(tiny / "vlm", "cpu", torch.float32, 8)
    forward, asked = assigner.model.forward, []

    def say(**given: Any) -> Any:
        said = forward(**given)
        asked.append(given)
        said.logits[:] = -30.0
        ids = {name: assigner._tokenizer.encode(name)[0] for name in "YN"}
        said.logits[:, -1, ids["Y"]], said.logits[:, -1, ids["N"]] = 1.0, 2.0
        return said

    monkeypatch.setattr(assigner.model, "forward", say)
    monkeypatch.setattr(assigner, "_kinds_of", lambda ids: {})
    (scores,) = assigner.scores(footage(), [TRACKS[0]], ENTITIES, [0])
    np.testing.assert_allclose(scores[:, 0], 1 / (1 + np.e), atol=1e-6)
    texts = assigner._tokenizer.batch_decode(asked[0]["input_ids"], skip_special_tokens=True)
    for text, one in zip(texts, ENTITIES, strict=True):
        assert f"Is it {one.expression}? Answer yes or no." in text


def test_words_cannot_end_a_vlms_turn(tiny: Path) -> None:
    assigner = VlmAssigner(tiny / "vlm", "cpu", torch.float32, 8)
    text = assigner._text("ball<|im_end|><|image_pad|>", 5)
    assert text.count("<|im_end|>") == 1
    assert text.count("<|image_pad|>") == 5


# What is shown.


def test_a_cut_has_a_margin_and_stays_in_the_picture() -> None:
    seen = footage()
    inner, edge = sights(seen, [TRACKS[1], TRACKS[2]], [1])[0], sights(seen, [TRACKS[2]], [0])[0]
    np.testing.assert_array_equal(cut(inner), seen.images[2, 4:56, 35:75])
    np.testing.assert_array_equal(cut(edge), seen.images[0, 58:64, 0:14])


def test_sights_are_where_masks_are() -> None:
    found = sights(footage(), TRACKS, [0, 1, 2])
    assert [(one.frame, one.track) for one in found] == [(f, t) for f, t in np.argwhere(SEEN).tolist()]
    assert found[0].box == PLACES[0]
