"""The model as a whole: what is learned, what sees what, saving, generating."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from strefer_core.errors import InputError
from strefer_core.video_llm.modeling import IGNORED, VideoLlm, next_token_loss
from strefer_core.video_llm.presets import full_config
from strefer_core.video_llm.processing import Encoded, RegionMode, VideoLlmProcessor
from tests.tiny_llm import HEIGHT, WIDTH, box_region, footage, sample, tiny

LEFT = box_region({0: (2, 2, 20, 20), 9: (4, 2, 22, 20), 31: (8, 2, 26, 20)})
RIGHT = box_region({4: (40, 10, 60, 30)})


def asked(processor: VideoLlmProcessor, seed: int = 0) -> list[Encoded]:
    shown = footage(seed)
    return [
        processor.encode(sample("What colour is the <region>?", "It is red.", regions=(LEFT,)), shown),
        processor.encode(sample("What is it?", "A star."), shown),
        processor.encode(
            sample("Where is the <region> from <start_time> to <end_time>?", "On the left.",
                   regions=(RIGHT,), times=(1.0, 3.0)), shown,
        ),
    ]  # fmt: skip


def test_only_answers_are_learned_their_times_and_their_end_too() -> None:
    _, processor = tiny()
    one = processor.encode(
        sample(
            "When is the <region> seen?",
            "From <start_time> to <end_time>.",
            regions=(LEFT,),
            times=(2.0, 8.0),
        ),
        footage(),
    )
    learned = [token for token, label in zip(one.ids, one.labels, strict=True) if label != IGNORED]
    assert processor.tokenizer.decode(learned) == "From <8> to <31>.<|end|>"
    assert all(label in (token, IGNORED) for token, label in zip(one.ids, one.labels, strict=True))
    regions = one.ids.count(processor.tokenizer.convert_tokens_to_ids("<region>"))
    assert regions == 2 * 3, "of each annotated frame what it shows and how that moves"


def test_the_loss_is_the_mean_over_learned_tokens() -> None:
    logits, labels = torch.randn(2, 5, 7), torch.tensor([[IGNORED, 3, 4, IGNORED, 1], [IGNORED] * 5])
    logs = logits.log_softmax(-1)
    by_hand = -(logs[0, 0, 3] + logs[0, 1, 4] + logs[0, 3, 1]) / 3
    torch.testing.assert_close(next_token_loss(logits, labels), by_hand)


def test_per_answer_long_answers_do_not_outweigh_short_ones() -> None:
    logits = torch.zeros(1, 6, 4)
    logits[0, 0, 1] = 5.0  # the only token of question 1 is foreseen, those of question 2 are not
    labels = torch.tensor([[-100, 1, -100, 2, 2, 2]])
    owners = torch.tensor([[1, 1, 2, 2, 2, 2]])
    own = [float(np.log(np.exp(5) + 3) - 5), float(np.log(4))]
    loss = next_token_loss(logits, labels, owners=owners)
    assert float(loss) == pytest.approx(np.mean(own), abs=1e-5)
    assert float(next_token_loss(logits, labels)) == pytest.approx((own[0] + 3 * own[1]) / 4, abs=1e-5)


def test_a_tiny_model_starts_with_attention_that_looks_for_its_like() -> None:
    model, _ = tiny()
    attention = model.language_model.model.layers[0].self_attn
    width = model.config.text_config.hidden_size
    token = torch.randn(3, width)
    torch.testing.assert_close(attention.q_proj(token), attention.k_proj(token))
    copied = attention.o_proj(attention.v_proj(token))
    torch.testing.assert_close(copied / copied.norm(), token / token.norm(), atol=1e-4, rtol=1e-3)


def test_a_tiny_tower_starts_with_neighbouring_places_alike() -> None:
    model, _ = tiny()
    side = model.config.patches_per_side
    places = model.vision_tower.embeddings.position_embedding.weight.unflatten(0, (side, side))
    near, far = (places[0, 0] - places[0, 1]).norm(), (places[0, 0] - places[0, -1]).norm()
    assert near < 0.7 * far


def test_packed_samples_do_not_see_each_other() -> None:
    model, processor = tiny()
    encoded = asked(processor) + asked(processor, seed=1)
    packed = model(**without_labels(processor.pack(encoded, most_tokens=2000)))
    assert packed.logits.shape[0] == 1  # all in one row
    batch = processor.pack(encoded, most_tokens=2000)
    for place, one in enumerate(encoded):
        alone = model(**without_labels(processor.pack([one]))).logits[0, one.prefix :]
        mine = (batch["videos"][0] == place // 3) & (batch["questions"][0] == place % 3 + 1)
        torch.testing.assert_close(packed.logits[0, mine], alone, atol=2e-5, rtol=1e-4)


def without_labels(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in batch.items() if name != "labels"}


def test_another_mask_or_another_time_gives_other_logits() -> None:
    model, processor = tiny()

    def logits(region: object, times: tuple[float, float]) -> torch.Tensor:
        turn = sample(
            "Is the <region> left from <start_time> to <end_time>?", "Yes.", regions=(region,), times=times
        )  # type: ignore[arg-type]
        return model(**without_labels(processor.pack([processor.encode(turn, footage())]))).logits[:, -2]

    here = logits(box_region({3: (2, 2, 20, 20)}), (0.0, 2.0))
    assert (here - logits(RIGHT, (0.0, 2.0))).abs().max() > 1e-3
    assert (here - logits(box_region({3: (2, 2, 20, 20)}), (5.0, 8.0))).abs().max() > 1e-3


@pytest.mark.parametrize("mode", ["connector", "som", "none"])
def test_saved_and_loaded_the_logits_are_identical(tmp_path: Path, mode: str) -> None:
    model, processor = tiny(region_mode=mode, time_mode="ours")
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".safetensors"}
    again, reread = VideoLlm.from_pretrained(tmp_path).eval(), VideoLlmProcessor.from_pretrained(tmp_path)
    assert reread.settings == processor.settings
    before = model(**processor.pack(asked(processor)))
    after = again(**reread.pack(asked(reread)))
    assert torch.equal(before.logits, after.logits)
    assert torch.equal(before.loss, after.loss)


def test_generating_equals_the_best_token_step_by_step() -> None:
    from strefer_core.video_llm.answering import VideoLlmAnswerer
    from strefer_core.video_llm.frames import FrameStore

    model, processor = tiny(seed=3)

    class Shown(FrameStore):
        def __init__(self) -> None:  # no folder: footage made of numbers
            pass

        def footage(self, video: Path) -> object:  # type: ignore[override]
            return footage()

    questions = [
        sample("What colour is the <region>?", "", regions=(LEFT,)),
        sample("Where is it from <start_time> to <end_time>?", "", times=(1.0, 3.0)),
    ]
    answers = VideoLlmAnswerer(model, processor, Shown()).answer(questions, max_new_tokens=6)
    for question, answer in zip(questions, answers, strict=True):
        one = processor.encode(question, footage())
        ids = list(one.ids)
        seen = processor.seen([[one]])
        for _ in range(6):
            best = int(model(torch.tensor([ids]), **seen).logits[0, -1].argmax())
            if best == processor.tokenizer.eos_token_id:
                break
            ids.append(best)
        said = processor.tokenizer.decode(ids[len(one.ids) :], skip_special_tokens=True)
        assert answer == said.strip()


def test_a_model_with_other_parts_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from strefer_core.video_llm.loading import load_model

    model, _ = tiny()
    model.save_pretrained(tmp_path)
    assert torch.equal(load_model(tmp_path).motion_projector.mark, model.motion_projector.mark)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    del weights["motion_projector.mark"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"another version of strefer: its motion_projector "):
        load_model(tmp_path)
    with pytest.raises(InputError, match="holds no Video LLM"):
        load_model(tmp_path / "none")


def test_likelihoods_of_options_equal_one_at_a_time() -> None:
    from strefer_core.video_llm.answering import VideoLlmAnswerer
    from strefer_core.video_llm.frames import FrameStore

    model, processor = tiny(seed=4)

    class Shown(FrameStore):
        def __init__(self) -> None:
            pass

        def footage(self, video: Path) -> object:  # type: ignore[override]
            return footage(0 if video.name == "none.mp4" else 1)

    question = sample("What colour is the <region>?", "", regions=(LEFT,))
    options = ["It is red.", "Blue.", "It is a star."]
    found = VideoLlmAnswerer(model, processor, Shown()).log_likelihoods(question, options)
    for option, value in zip(options, found, strict=True):
        batch = processor.pack([processor.encode(question, footage(), answer=option)])
        batch["labels"][:, -1] = -100  # an option may be the beginning of an answer: its end does not count
        loss = model(**batch).loss
        assert value == pytest.approx(-float(loss.detach()), abs=1e-5)


def test_a_region_without_any_mask_is_one_pair_of_tokens_and_finite() -> None:
    model, processor = tiny()
    one = processor.encode(sample("What is the <region>?", "A star.", regions=({},)), footage())
    assert one.ids.count(processor.tokenizer.convert_tokens_to_ids("<region>")) == 2
    assert torch.isfinite(model(**processor.pack([one])).logits).all()


def test_masks_of_other_pictures_are_refused() -> None:
    _, processor = tiny()
    upright = {0: {"size": [WIDTH, HEIGHT], "counts": LEFT[0]["counts"]}}
    with pytest.raises(InputError, match="another aspect"):
        processor.encode(sample("What is the <region>?", "A star.", regions=(upright,)), footage())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="1 regions"):
        processor.encode(sample("What is it?", "A star.", regions=(LEFT,)), footage())


# Parameters counted by hand from the shapes of the published models.
def siglip_so400m() -> int:
    width, inner, layers, patches = 1152, 4304, 27, (384 // 14) ** 2
    layer = 4 * (width * width + width) + 2 * width * inner + inner + width + 4 * width
    return layers * layer + 3 * 14 * 14 * width + width + patches * width + 2 * width


def joints(width_in: int, width_out: int) -> int:
    projector = 2 * width_in + (width_in + 1) * width_out + (width_out + 1) * width_out + 2 * width_out
    return 2 * projector + width_in


def phi3_mini(vocabulary: int) -> int:
    width, inner, layers = 3072, 8192, 32
    layer = 4 * width * width + 3 * width * inner + 2 * width
    return 2 * vocabulary * width + layers * layer + width


def qwen3_4b(vocabulary: int) -> int:
    width, inner, layers, heads, groups, head = 2560, 9728, 36, 32, 8, 128
    attention = width * head * (heads + 2 * groups) + heads * head * width + 2 * head
    return vocabulary * width + layers * (attention + 3 * width * inner + 2 * width) + width


@pytest.mark.parametrize(
    ("preset", "language", "width", "vocabulary"),
    [("phi3", phi3_mini, 3072, 32064 + 34), ("qwen3", qwen3_4b, 2560, 151936 + 34)],
)
def test_full_presets_build_without_weights_and_have_the_published_sizes(
    preset: str, language: object, width: int, vocabulary: int
) -> None:
    with torch.device("meta"):
        model = VideoLlm(full_config(preset))
    counted = sum(p.numel() for p in model.parameters())
    assert counted == siglip_so400m() + joints(1152, width) + language(vocabulary)  # type: ignore[operator]
    assert model.config.visual_tokens == 128


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ((("What does the <region> do from <start_time> to <end_time>?", "It moves."),), (0.2, 0.5)),
        ((("When does the <region> move?", "From <start_time> to <end_time>."),), None),
        (
            (
                ("When does the <region> move?", "From <start_time> to <end_time>."),
                ("And from <start_time> to <end_time>?", "It moves."),
            ),
            None,
        ),
        ((("What is the <region>?", "A star."),), None),
    ],
)
def test_regions_and_words_are_of_the_frames_that_are_asked_about(
    turns: tuple[tuple[str, str], ...], expected: tuple[float, float] | None
) -> None:
    _, processor = tiny()
    shown = footage()
    length_s = shown.clock.duration_s
    everywhere = box_region(dict.fromkeys(range(32), (2, 2, 20, 20)))
    one = replace(sample("", "", regions=(everywhere,), times=(0.2 * length_s, 0.5 * length_s)), turns=turns)
    found = processor.encode(one, shown)
    low, high = expected or (0.0, 1.0)
    inside = [low <= time_s / length_s < high for time_s in shown.clock.frames_s]
    assert found.regions[0].any(1).tolist() == inside


def test_words_point_where_a_question_has_no_region() -> None:
    _, processor = tiny()
    turns = (("What is the <region>?", "A star."), ("Where is it from <start_time> to <end_time>?", "Left."))
    one = processor.encode(replace(sample("", "", regions=(LEFT,), times=(0.0, 1.0)), turns=turns), footage())
    assert [len(cells) for cells in one.regions] == [32, 32]
    assert one.words[0] == []
    assert processor.tokenizer.decode([token for _, token in one.words[1]]) == "Where is it from  to ?\n"
    seen = processor.seen([[one]])
    assert seen["region_words"].shape == (2, len(one.words[1]), 2)
    assert (seen["region_words"][0] == -1).all()


@pytest.mark.parametrize("mode", ["som", "none"])
def test_words_point_at_nothing_where_regions_are_not_pooled(mode: RegionMode) -> None:
    _, processor = tiny()
    processor.settings = processor.settings.model_copy(update={"region_mode": mode})
    one = processor.encode(sample("Where is it?", "Left."), footage())
    assert not one.regions
    assert processor.tokenizer.convert_tokens_to_ids("<region>") not in one.ids


class Sure(torch.nn.Module):
    """Words whose masks are given."""

    def __init__(self, cells: torch.Tensor) -> None:
        super().__init__()
        or_nowhere = torch.cat([cells, ~cells.any(1, keepdim=True)], 1)
        self.logs = torch.where(or_nowhere, 0.0, -1e4).log_softmax(-1)

    def forward(self, words: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        return self.logs.expand(len(words), -1, -1)


def test_words_that_are_sure_become_the_region_that_a_mask_would() -> None:
    model, processor = tiny()
    boxes = dict.fromkeys(range(8, 16), (24, 6, 36, 14))
    times = (2.0, 4.0)  # of 32 frames in 8 s: number 8 to 15
    by_mask = processor.encode(
        sample(
            "What is it from <start_time> to <end_time>?<region>",
            "",
            regions=(box_region(boxes),),
            times=times,
        ),
        footage(),
    )
    by_words = processor.encode(
        sample("What is it from <start_time> to <end_time>?", "", times=times), footage()
    )
    assert by_words.ids == by_mask.ids
    model.word_pooling = Sure(torch.from_numpy(by_mask.regions[0]))
    mask, words = (
        model.embed(torch.tensor([one.ids]), **processor.seen([[one]])) for one in (by_mask, by_words)
    )
    torch.testing.assert_close(words, mask, atol=1e-5, rtol=1e-4)
    assert not by_mask.words[0]
    assert by_words.words[0]


def test_words_for_nothing_in_the_pictures_leave_their_region_empty() -> None:
    model, processor = tiny()
    one = processor.encode(sample("Where is it?", ""), footage())
    model.word_pooling = Sure(torch.zeros(32, model.config.patches_per_side**2, dtype=torch.bool))
    found = model.embed(torch.tensor([one.ids]), **processor.seen([[one]]))
    regions = torch.tensor(one.ids) == model.config.region_token_id
    assert regions.any()
    assert found[0, regions].abs().max() == 0
