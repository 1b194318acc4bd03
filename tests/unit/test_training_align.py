"""The first part of a training from scratch, and the features of a tower that is frozen after it."""

from __future__ import annotations

from pathlib import Path

import torch

from strefer_core.training.aligning import Thing, _name, align, things_in
from strefer_core.training.batches import Features
from strefer_core.training.reading import prepare
from strefer_core.video_llm.frames import FrameStore
from strefer_core.video_llm.modeling import VideoLlm
from strefer_core.video_llm.presets import PRESETS
from strefer_core.video_llm.processing import VideoLlmProcessor, region_cells
from tests.tiny_llm import WORDS, box_region, footage, sample, tiny
from tests.training_data import COLOURS, write_version

SIZE = PRESETS["tiny"].vision["image_size"]


def test_things_are_those_that_are_asked_about_alone(tmp_path: Path) -> None:
    write_version(tmp_path / "set", videos=3)
    lines = prepare(tmp_path / "set", tmp_path / "records")
    things = things_in([lines], {0: (tmp_path / "set").joinpath})
    assert [thing.sample.video.name for thing in things] == ["v0.mp4", "v1.mp4", "v2.mp4"]
    assert len(things[0].always) == 2
    assert "red" in " ".join(things[0].always)
    assert things[0].timed == []  # the question on a time shows no region


def test_aligning_teaches_words_and_leaves_videos_out_that_cannot_be_seen(tmp_path: Path) -> None:
    write_version(tmp_path / "set", videos=4)
    model, processor = tiny()
    lines = prepare(tmp_path / "set", tmp_path / "records")
    things = things_in([lines], {0: (tmp_path / "set").joinpath})
    (tmp_path / "set" / "v3.mp4").write_bytes(b"no video")
    tower = model.vision_tower.embeddings.patch_embedding.weight.detach().clone()
    store = FrameStore(tmp_path / "frames", SIZE)
    before = means(model, processor, store, things[0])
    losses = align(model, processor, things, store, steps=30)
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert means(model, processor, store, things[0]) > 2 * before
    assert not torch.equal(tower, model.vision_tower.embeddings.patch_embedding.weight)
    assert len(list((tmp_path / "frames").iterdir())) == 3


def test_names_are_the_words_that_tell_things_apart(tmp_path: Path) -> None:
    write_version(tmp_path / "set", videos=3)
    _, processor = tiny()
    lines = prepare(tmp_path / "set", tmp_path / "records")
    things = things_in([lines], {0: (tmp_path / "set").joinpath})
    nameless = {token for _, token in _name(things, processor)}
    for thing, colour in zip(things, COLOURS, strict=True):
        # This tokenizer knows no colour as a whole: pieces of it.
        pieces = [processor.tokenizer.decode([token]).strip() for _, token in thing.names]
        assert pieces
        assert all(piece.lower() in f"{colour}." for piece in pieces)
        assert not nameless & {token for _, token in thing.names}
    assert processor.tokenizer("What colour is", add_special_tokens=False)["input_ids"][-1] in nameless


def means(model: VideoLlm, processor: VideoLlmProcessor, store: FrameStore, thing: Thing) -> float:
    """How much of what "red", after "is", means in the first frame lies on the red block."""
    pair = processor.tokenizer("It is red.", add_special_tokens=False)["input_ids"][1:3]
    assert processor.tokenizer.decode(pair) == " is red"
    shown = torch.from_numpy(store.footage(thing.sample.video).pictures[:1])
    cells = torch.from_numpy(region_cells(thing.region[0], processor.settings.patches_per_side))
    with torch.no_grad():
        words = model.get_input_embeddings()(torch.tensor([pair])).flatten(1)
        assert model.word_pooling is not None
        chances = model.word_pooling(words, model.encode_frames(shown[None])[0]).exp()
    return float(chances[0, 0, :-1][cells].sum())


def test_kept_features_are_those_of_the_tower() -> None:
    model, processor = tiny()
    one = processor.encode(sample(WORDS[0], WORDS[1], regions=(box_region({3: (2, 2, 20, 20)}),)), footage())
    calls: list[int] = []

    def encode(pictures: torch.Tensor) -> torch.Tensor:
        calls.append(len(pictures))
        return model.encode_frames(pictures)

    features = Features(encode)
    first, second = features.of(one), features.of(one)
    assert calls == [1]
    assert torch.equal(first, second)
    batch = processor.pack([one])
    expected = model(**batch).logits
    del batch["pixel_values"]
    found = model(**batch, patch_features=first[None]).logits
    torch.testing.assert_close(found, expected, atol=5e-3, rtol=1e-2)  # half precision


def test_few_features_are_kept() -> None:
    model, processor = tiny()
    features = Features(model.encode_frames, most_bytes=1)
    for seed in (0, 1, 2):
        features.of(processor.encode(sample(WORDS[2], WORDS[3], times=(0.0, 1.0)), footage(seed)))
    assert len(features._held) == 1
