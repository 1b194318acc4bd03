"""Trains a Video LLM on data sets: transformers' Trainer over our own stream of batches.

One process by default. Under `accelerate launch` or `torchrun` each process takes its share of the batches;
FSDP, bf16 and the like are asked for by transformers' own arguments (`TrainingOptions.arguments`).
A run that finds checkpoints in its folder goes on from the last one, to the same losses.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PrinterCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from strefer_core.errors import ConfigError
from strefer_core.training.aligning import align, things_in
from strefer_core.training.batches import MASK_FRAMES, Batches, Features, MaskFrames
from strefer_core.training.mixing import Mixture
from strefer_core.training.options import Trained, TrainingOptions
from strefer_core.training.reading import Lines, Skipped, Videos, prepare, texts
from strefer_core.training.trainer import LEARNED, Advance, Curve, SaveProcessor, StreamTrainer
from strefer_core.video_llm.adapting import adapted
from strefer_core.video_llm.frames import FrameStore
from strefer_core.video_llm.loading import load_model
from strefer_core.video_llm.modeling import VideoLlm
from strefer_core.video_llm.presets import Preset, build, preset_named
from strefer_core.video_llm.processing import REGION_MODES, VideoLlmProcessor
from strefer_core.video_llm.times import TIME_MODES

CURVE = "training.jsonl"
CHECKPOINTS = "checkpoints"
OPTIONS = "training.json"
MODEL = "model"


def train(options: TrainingOptions, advance: Advance = lambda done, total: None) -> Trained:
    """Train, from the last checkpoint in `options.out` where there is one.

    Args:
        options: what to train on what.
        advance: called after each step.

    Returns:
        What came of it. The model's folder holds safetensors and JSON alone.

    Raises:
        ConfigError: options that make no sense, or other ones than those of the checkpoint to go on from.
        InputError: a data set that cannot be read, or too many of its records.
    """
    started = time.perf_counter()
    preset = _checked(options)
    sources, videos = _sources(options)
    model, processor = _model(options, sources)
    mixture = _mixture(options, preset, sources)
    steps = options.steps or max(1, round(options.epochs * len(mixture.epoch(0)) / _world()))
    resumed = _resumed(options, steps)
    batches = Batches(
        sources=sources,
        videos=videos,
        store=FrameStore(_cache(options) / "frames", processor.settings.image_size),
        processor=processor,
        mixture=mixture,
        mask_frames=_mask_frames(options, preset),
        most_tokens=options.most_tokens,
        skipped=Skipped(options.tolerance),
        share=rank(),
        shares=_world(),
    )
    is_frozen = _aligned(options, preset, model, batches, resumed)
    if is_frozen and preset.caches_features:
        batches.features = Features(_encoder(model))
    arguments = _arguments(options, preset, steps)
    per_step = arguments.gradient_accumulation_steps * _world()
    batches.first = _step_of(resumed) * per_step
    if first := _first_weights(options, preset, mixture):
        batches.opening = replace(mixture, weights=first)
        batches.opening_batches = round(preset.first_share * steps) * per_step
    curve = Curve(options.out / CURVE, advance, _step_of(resumed))
    rate = preset.aligned_rate if is_frozen else 1.0
    _run(adapted(model, preset, is_frozen=is_frozen), batches, arguments, curve, resumed, rate)
    return Trained(
        model=options.out / MODEL,
        steps=steps,
        samples=batches.skipped.tried - batches.skipped.count,
        loss=curve.last_loss(),
        seconds=time.perf_counter() - started,
        resumed_at=_step_of(resumed),
        shares=mixture.shares(),
        skipped=dict(batches.skipped.reasons),
    )


# --- what is asked for --------------------------------------------------------------------------------------


def _checked(options: TrainingOptions) -> Preset:
    for name, value, known in (
        ("region mode", options.region_mode, REGION_MODES),
        ("time mode", options.time_mode, TIME_MODES),
        ("mask frames", options.mask_frames or "all", MASK_FRAMES),
    ):
        if value not in known:
            raise ConfigError(f"there is no {name} {value!r}; known: {', '.join(known)}")
    if options.steps is not None and options.steps < 1:
        raise ConfigError(f"steps must be at least 1, not {options.steps}")
    return preset_named(options.preset)


def _cache(options: TrainingOptions) -> Path:
    return options.cache or options.out / "cache"


def _sources(options: TrainingOptions) -> tuple[list[Lines], dict[int, Videos]]:
    """The dataset and the other parts, and where each one's videos are."""
    folder = _cache(options) / "records"
    sources = [prepare(options.dataset, folder)]
    roots = [options.videos or _folder(options.dataset)]
    for name, path in sorted(options.others.items()):
        sources.append(prepare(path, folder, name))
        roots.append(options.videos or _folder(path))
    return sources, {place: root.joinpath for place, root in enumerate(roots)}


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _mask_frames(options: TrainingOptions, preset: Preset) -> MaskFrames:
    return next(one for one in MASK_FRAMES if one == (options.mask_frames or preset.mask_frames))


def _mixture(options: TrainingOptions, preset: Preset, sources: Sequence[Lines]) -> Mixture:
    words = [count for lines in sources for count in lines.words]
    return Mixture(
        groups=[group for lines in sources for group in lines.groups],
        videos=[f"{place}:{video}" for place, lines in enumerate(sources) for video in lines.videos],
        words=_as_array(words),
        weights=options.weights,
        videos_per_batch=options.videos_per_batch or preset.videos_per_batch,
        questions_per_video=options.questions_per_video or preset.questions_per_video,
        seed=options.seed,
    )


def _as_array(words: Sequence[int]) -> Any:
    import numpy as np

    return np.array(words, np.int32)


def rank() -> int:
    """Which of the training's processes this is, as `torchrun` and `accelerate launch` tell it."""
    return int(os.environ.get("RANK", "0"))


def _world() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


# --- the model ----------------------------------------------------------------------------------------------


def _model(options: TrainingOptions, sources: Sequence[Lines]) -> tuple[VideoLlm, VideoLlmProcessor]:
    """A new model, or the one to start from with its own vocabulary."""
    if options.base is None:
        return build(
            options.preset,
            texts(sources),
            region_mode=next(mode for mode in REGION_MODES if mode == options.region_mode),
            time_mode=next(mode for mode in TIME_MODES if mode == options.time_mode),
            vision=options.vision,
            language=options.language,
            seed=options.seed,
        )
    processor = VideoLlmProcessor.from_pretrained(options.base)
    modes = {"region_mode": options.region_mode, "time_mode": options.time_mode}
    processor.settings = processor.settings.model_copy(update=modes)
    return load_model(options.base, torch.float32), processor


def _encoder(model: VideoLlm) -> Callable[[Tensor], Tensor]:
    return lambda pixel_values: model.encode_frames(pixel_values.to(model.device))


def _save(trainer: StreamTrainer, processor: VideoLlmProcessor, folder: Path) -> None:
    """One whole model: what LoRA learned is merged into the language model's weights."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model.language_model, "merge_and_unload"):
        model.language_model = model.language_model.merge_and_unload()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


# --- the run ------------------------------------------------------------------------------------------------


def _aligned(
    options: TrainingOptions, preset: Preset, model: VideoLlm, batches: Batches, resumed: str | None
) -> bool:
    """Align a model from scratch; whether its tower stays as it is from here on: one that was aligned, now or
    before, or pre-trained. Checkpoints hold what that taught, but for LoRA's: there it is done again."""
    if options.base:
        return True
    steps = preset.align_steps if options.align_steps is None else options.align_steps
    things = things_in(batches.sources, batches.videos) if steps else []
    if things and (resumed is None or (Path(resumed) / LEARNED).exists()):
        align(model, batches.processor, things, batches.store, steps=steps, seed=options.seed)
    return bool(things) or not (preset.trains_vision or preset.align_steps)


def _first_weights(options: TrainingOptions, preset: Preset, mixture: Mixture) -> Mapping[str, float]:
    """Weights of the first steps; of the preset's those of parts that are learned from at all."""
    if options.first_weights is not None:
        return options.first_weights
    shares = mixture.shares()
    weights = {} if options.base else preset.first_weights
    return {name: weight for name, weight in weights.items() if shares.get(name)}


def _run(
    model: VideoLlm,
    batches: Batches,
    arguments: TrainingArguments,
    curve: Curve,
    resumed: str | None,
    aligned_rate: float,
) -> None:
    """Train from the checkpoint `resumed` on, and save the model beside the checkpoints."""
    trainer = StreamTrainer(model=model, args=arguments, train_dataset=batches)
    trainer.aligned_rate = aligned_rate
    trainer.remove_callback(PrinterCallback)  # it prints every step, into what `--json` prints
    trainer.add_callback(curve)
    trainer.add_callback(SaveProcessor(batches.processor))
    trainer.train(resume_from_checkpoint=resumed)
    if trainer.is_world_process_zero():
        _save(trainer, batches.processor, Path(str(arguments.output_dir)).parent / MODEL)


def _resumed(options: TrainingOptions, steps: int) -> str | None:
    """The last whole checkpoint, None where the run begins. Raises ConfigError where it is another run's."""
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / OPTIONS
    asked = json.dumps({**_plain(options), "steps": steps}, sort_keys=True, indent=2) + "\n"
    if path.exists() and path.read_text("utf-8") != asked:
        raise ConfigError(
            f"{options.out} holds a training with other options ({path.name}); "
            "name another folder, or remove it"
        )
    path.write_text(asked, "utf-8")
    folder = options.out / CHECKPOINTS
    while folder.is_dir() and (last := get_last_checkpoint(str(folder))):  # type: ignore[no-untyped-call]
        if (Path(last) / "trainer_state.json").exists():
            return last
        shutil.rmtree(last)  # killed while it was written
    return None


def _plain(options: TrainingOptions) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(asdict(replace(options, others={})), default=str))
    return {**found, "others": {name: str(path) for name, path in options.others.items()}}


def _step_of(checkpoint: str | None) -> int:
    return int(checkpoint.rsplit("-", 1)[1]) if checkpoint else 0


def _arguments(options: TrainingOptions, preset: Preset, steps: int) -> TrainingArguments:
    """Ours, then the preset's, then what was asked for."""
    own: dict[str, Any] = {
        "output_dir": str(options.out / CHECKPOINTS),
        "max_steps": steps,
        "learning_rate": options.learning_rate or preset.learning_rate,
        "lr_scheduler_type": "cosine",
        "max_grad_norm": 1.0,
        "seed": options.seed,
        "data_seed": options.seed,
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": options.save_steps or max(1, steps // 10),
        "save_total_limit": 2,
        "report_to": ["tensorboard"] if options.tensorboard else [],
        "remove_unused_columns": False,
        "label_names": ["labels"],
        "ignore_data_skip": True,  # the stream itself begins at the step
        "disable_tqdm": True,
        "bf16": torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": torch.cuda.is_available(),
    }
    return TrainingArguments(**{**own, **preset.arguments, **options.arguments})
