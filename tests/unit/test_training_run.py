"""A whole training on a small data set: it learns, stops anywhere, and goes on to the same losses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from strefer_core.errors import ConfigError, InputError
from strefer_core.training.options import TrainingOptions
from strefer_core.training.training import CURVE, train
from strefer_core.video_llm.adapting import adapted, lora_config
from strefer_core.video_llm.answering import VideoLlmAnswerer
from strefer_core.video_llm.presets import PRESETS
from strefer_core.video_llm.samples import Sample
from tests.training_data import record, write_released, write_version

ARGUMENTS = {"warmup_steps": 2}
JOINTS = ("language_model", "temporal", "visual", "region", "motion", "word")


def options(tmp_path: Path, out: str, **given: object) -> TrainingOptions:
    asked = {
        "dataset": tmp_path / "set", "out": tmp_path / out, "cache": tmp_path / "cache", "steps": 8,
        "save_steps": 3, "align_steps": 2, "videos_per_batch": 2, "questions_per_video": 2,
        "arguments": ARGUMENTS, **given,
    }  # fmt: skip
    return TrainingOptions(**asked)  # type: ignore[arg-type]


def losses(folder: Path) -> list[tuple[int, float]]:
    lines = [json.loads(text) for text in (folder / CURVE).read_text("utf-8").splitlines()]
    return [(line["step"], line["loss"]) for line in lines]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_version(tmp_path / "set", videos=4)
    return tmp_path


def test_training_lowers_the_loss_and_the_model_answers(data: Path) -> None:
    steps: list[tuple[int, int]] = []
    trained = train(options(data, "run"), lambda done, total: steps.append((done, total)))
    curve = losses(data / "run")
    assert [step for step, _ in curve] == list(range(1, 9))
    assert curve[-1][1] < curve[0][1]
    assert steps == [(step, 8) for step in range(1, 9)]
    assert (trained.steps, trained.resumed_at, trained.skipped) == (8, 0, {})
    assert trained.shares == {"G3": pytest.approx(1 / 3), "G5": pytest.approx(2 / 3)}
    files = {path.suffix for path in trained.model.iterdir()}
    assert files <= {".json", ".safetensors"}
    answerer = VideoLlmAnswerer.load(trained.model, data / "frames", "cpu")
    asked = Sample(sample_id="one", video=data / "set" / "v0.mp4", turns=(("What moves?", ""),))
    assert isinstance(answerer.answer([asked], max_new_tokens=4)[0], str)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As the killed process: sums over another number of threads are rounded otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_killed_and_asked_again_the_losses_are_those_of_an_undisturbed_run(data: Path) -> None:
    undisturbed = options(data, "whole", steps=40)
    train(undisturbed)
    script = (
        "import sys; from pathlib import Path; from tests.unit.test_training_run import options, train\n"
        "train(options(Path(sys.argv[1]), 'killed', steps=40))"
    )
    killed = data / "killed"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}  # noqa: PTH109
    process = subprocess.Popen([sys.executable, "-c", script, str(data)], env=environment)
    deadline = time.monotonic() + 120
    while not (killed / "checkpoints" / "checkpoint-3" / "trainer_state.json").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    resumed = train(options(data, "killed", steps=40))
    assert 3 <= resumed.resumed_at < 40
    expected, found = losses(data / "whole"), losses(killed)
    assert [step for step, _ in found] == [step for step, _ in expected]
    assert [loss for _, loss in found] == pytest.approx([loss for _, loss in expected], rel=1e-5)


@pytest.mark.usefixtures("one_thread")
def test_two_processes_learn_what_one_does_of_both_their_batches(data: Path) -> None:
    """Under DDP; the gradients of the two are averaged, as are those of two batches in one process."""
    train(options(data, "one", steps=4, arguments={**ARGUMENTS, "gradient_accumulation_steps": 2}))
    script = data / "two.py"
    script.write_text(
        "import sys; from pathlib import Path; from tests.unit.test_training_run import options, train\n"
        "train(options(Path(sys.argv[1]), 'two', steps=4))"
    )
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1",
        "--nproc-per-node", "2", str(script), str(data),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}  # noqa: PTH109
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    expected = [loss for _, loss in losses(data / "one")]
    assert [loss for _, loss in losses(data / "two")] == pytest.approx(expected, rel=1e-5)
    weights = [load_file(data / name / "model" / "model.safetensors") for name in ("one", "two")]
    for name, learned in weights[0].items():
        torch.testing.assert_close(weights[1][name], learned, rtol=1e-4, atol=1e-5)


def test_the_same_options_give_the_same_model(data: Path) -> None:
    first, second = (train(options(data, name, steps=2)).model for name in ("one", "two"))
    weights = [load_file(folder / "model.safetensors") for folder in (first, second)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_what_was_aligned_learns_at_a_rate_of_its_own(data: Path) -> None:
    """Adam's first step changes every weight by the rate, whatever the gradient's size."""
    first = train(options(data, "first", steps=1))
    asked = options(
        data, "second", steps=1, base=first.model, learning_rate=0.01,
        arguments={"warmup_steps": 0, "weight_decay": 0.0},
    )  # fmt: skip
    folders = (first.model, train(asked).model)
    before, after = (load_file(folder / "model.safetensors") for folder in folders)
    changes = {name: float((after[name] - before[name]).abs().max()) for name in before}
    layer = "language_model.model.layers.0.mlp.up_proj.weight"
    assert changes[layer] == pytest.approx(0.01, rel=0.05)
    for name in ("language_model.model.embed_tokens.weight", "region_projector.project.weight"):
        assert changes[name] == pytest.approx(0.01 * PRESETS["tiny"].aligned_rate, rel=0.05)
    assert not any(change for name, change in changes.items() if name.startswith("vision_tower"))


def test_a_folder_of_another_training_is_not_gone_on_with(data: Path) -> None:
    train(options(data, "run", steps=1))
    with pytest.raises(ConfigError, match="other options"):
        train(options(data, "run", steps=2))


def test_training_goes_on_from_a_trained_model_with_another_set(data: Path) -> None:
    first = train(options(data, "first", steps=2))
    write_released(data / "set" / "more.json", [record("v0.mp4"), record("v1.mp4")])
    asked = options(
        data, "second", steps=2, base=first.model, others={"more": data / "set" / "more.json"},
        weights={"more": 1.0, "G5": 3.0}, mask_frames="one", time_mode="text", region_mode="som",
    )  # fmt: skip
    trained = train(asked)
    assert trained.shares == {"G3": 0.0, "G5": 0.75, "more": 0.25}


def test_too_many_unusable_records_end_the_training(data: Path) -> None:
    (data / "set" / "v0.mp4").unlink()
    (data / "set" / "v1.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match="records cannot be used"):
        train(options(data, "run", steps=50))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks for the old name
def test_lora_learns_the_connectors_and_the_new_tokens_alone() -> None:
    from strefer_core.video_llm.presets import PRESETS, Preset
    from tests.tiny_llm import tiny

    model, _ = tiny()
    preset: Preset = replace(
        PRESETS["tiny"], lora_targets=("q_proj", "v_proj"), trains_vision=False, align_steps=0
    )
    before = model.language_model.get_input_embeddings().weight.numel()
    config = lora_config(model, preset)
    assert config.trainable_token_indices == {
        "embed_tokens": [
            model.config.image_token_id,
            model.config.region_token_id,
            *model.config.time_token_ids,
        ]
    }
    learner = adapted(model, preset, is_frozen=True)
    learning = {name for name, value in learner.named_parameters() if value.requires_grad}
    assert all(name.startswith(JOINTS) for name in learning)
    inside = {name for name in learning if name.startswith("language_model")}
    assert inside
    assert all("lora_" in name or "trainable_tokens" in name for name in inside)
    assert sum(p.numel() for n, p in learner.named_parameters() if n in inside) < before


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks for the old name
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("align_steps", [0, 2])
def test_pre_trained_parts_are_joined_and_what_lora_learned_is_merged(data: Path, align_steps: int) -> None:
    from transformers import AutoModel, AutoModelForCausalLM

    from strefer_core.video_llm.modeling import VideoLlm
    from tests.tiny_llm import tiny

    small, processor = tiny()
    small.vision_tower.save_pretrained(data / "vision")
    small.language_model.save_pretrained(data / "language")
    processor.tokenizer.save_pretrained(data / "language")
    parts = {"vision": data / "vision", "language": data / "language", "align_steps": align_steps}
    trained = train(options(data, "run", steps=4, preset="qwen3", learning_rate=1e-2, **parts))
    kept = data / "run" / "checkpoints" / "checkpoint-3"
    assert (kept / "learned.safetensors").exists()
    shutil.rmtree(data / "run" / "checkpoints" / "checkpoint-4")
    curve, weights = losses(data / "run"), load_file(trained.model / "model.safetensors")
    again = train(options(data, "run", steps=4, preset="qwen3", learning_rate=1e-2, **parts))
    assert again.resumed_at == 3
    assert [loss for _, loss in losses(data / "run")] == pytest.approx([loss for _, loss in curve], rel=1e-5)
    for name, learned in load_file(again.model / "model.safetensors").items():
        torch.testing.assert_close(learned, weights[name], rtol=1e-4, atol=1e-6)
    model = VideoLlm.from_pretrained(trained.model)
    assert not [name for name, _ in model.named_parameters() if "lora" in name]
    before = AutoModelForCausalLM.from_pretrained(data / "language").model.layers[0].self_attn
    after = model.language_model.model.layers[0].self_attn
    assert not torch.equal(after.q_proj.weight, before.q_proj.weight)
    tower = dict(AutoModel.from_pretrained(data / "vision").named_parameters())
    learned = dict(model.vision_tower.named_parameters())
    assert all(torch.equal(learned[name], value) for name, value in tower.items()) == (not align_steps)
