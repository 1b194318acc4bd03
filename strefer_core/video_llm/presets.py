"""Sizes of Video LLMs: one to learn from nothing on a processor, and full ones around pre-trained parts.

| preset | vision tower | language model | learns |
|---|---|---|---|
| `tiny` | SigLIP of one layer, 96 px | Qwen3 of two layers | everything, from scratch: the tower first |
| `phi3` | SigLIP-so400m-384 | Phi-3-mini-4k (3.8 billion) | connectors, LoRA on the LM, new tokens |
| `qwen3` | SigLIP-so400m-384 | Qwen3-4B | likewise |

The sizes of the published towers are those of their `config.json` files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)

from strefer_core.errors import ConfigError
from strefer_core.video_llm.configuration import LossPer, RegionMerge, VideoLlmConfig
from strefer_core.video_llm.modeling import VideoLlm
from strefer_core.video_llm.processing import (
    ChatFormat,
    ProcessorSettings,
    RegionMode,
    VideoLlmProcessor,
)
from strefer_core.video_llm.times import CLOCK_TOKENS, TimeMode
from strefer_core.video_llm.tokens import IMAGE_TOKEN, REGION_TOKEN, add_tokens, train_tokenizer

_SO400M = {
    "model_type": "siglip_vision_model",
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 384,
    "patch_size": 14,
    "vision_use_head": False,
}


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What a model is built from."""

    vision: dict[str, Any]
    language: dict[str, Any]
    chat: ChatFormat
    time_groups: int = 8
    cells_per_side: int = 4
    region_tokens: int = 4
    region_merge: RegionMerge = "similar"
    region_motion: bool = False
    interval_pooling: bool = False  # see `ProcessorSettings`
    region_places: bool = False
    word_pooling: bool = False
    loss_per: LossPer = "token"
    lora_targets: tuple[str, ...] = ()  # empty: all of the language model learns
    trains_vision: bool = False
    mask_frames: Literal["one", "all"] = "one"  # the paper draws one frame per step
    learning_rate: float = 2e-5
    videos_per_batch: int = 8
    questions_per_video: int = 1
    align_steps: int = 0  # of `training.aligning`, before the vision tower is frozen
    # Of what was aligned, over the learning rate: words that were told apart there ("left" and "right") fall
    # together again at the full rate, before anything is known to tell them by.
    aligned_rate: float = 1.0
    # Weights of the groups for the first share of the steps of a training from scratch: what must be read off
    # regions is drowned by other tasks if it does not come first.
    first_weights: dict[str, float] = field(default_factory=dict)
    first_share: float = 0.4
    caches_features: bool = False  # what a frozen tower sees is kept in memory
    vocabulary: int = 0  # of the tokenizer that is trained on the data; 0: a pre-trained one's
    arguments: dict[str, Any] = field(default_factory=dict)  # of transformers' TrainingArguments


_COPIED = 0.7  # of a token that is looked at, twice: at values and at outputs

PRESETS: dict[str, Preset] = {
    "tiny": Preset(
        vision={
            "model_type": "siglip_vision_model",
            "hidden_size": 48,
            "intermediate_size": 96,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 96,
            "patch_size": 8,
            "vision_use_head": False,
        },
        language={
            "model_type": "qwen3",
            "hidden_size": 96,
            "intermediate_size": 192,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "head_dim": 24,
            "tie_word_embeddings": True,
            "initializer_range": 0.05,
            "max_position_embeddings": 2048,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        },
        chat=ChatFormat(answer_end="<|end|>"),
        time_groups=8,
        cells_per_side=4,
        region_tokens=8,
        region_merge="even",
        region_motion=True,
        interval_pooling=True,
        region_places=True,
        word_pooling=True,
        loss_per="answer",
        align_steps=250,
        aligned_rate=0.1,
        first_weights={"G3": 1.0, "G7": 1.5},
        caches_features=True,
        mask_frames="all",
        learning_rate=3e-3,
        videos_per_batch=4,
        questions_per_video=10,
        vocabulary=1024,
        arguments={"adam_beta2": 0.98, "weight_decay": 0.05, "warmup_steps": 0.05},
    ),
    "phi3": Preset(
        vision=_SO400M,
        language={
            "model_type": "phi3",
            "vocab_size": 32064,
            "hidden_size": 3072,
            "intermediate_size": 8192,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "max_position_embeddings": 4096,
            "tie_word_embeddings": False,
            "bos_token_id": 1,
            "eos_token_id": 32000,
            "pad_token_id": 32000,
        },
        chat=ChatFormat(
            opening="<|user|>\n",
            question_end="<|end|>\n<|assistant|>\n",
            answer_end="<|end|>",
            next_opening="\n<|user|>\n",
        ),
        lora_targets=("qkv_proj", "o_proj"),
        arguments={"weight_decay": 0.1, "warmup_steps": 500, "activation_checkpointing": True},
    ),
    "qwen3": Preset(
        vision=_SO400M,
        language={
            "model_type": "qwen3",
            "vocab_size": 151936,
            "hidden_size": 2560,
            "intermediate_size": 9728,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 40960,
            "tie_word_embeddings": True,
            "bos_token_id": 151643,
            "eos_token_id": 151645,
            "pad_token_id": 151643,
        },
        chat=ChatFormat(
            opening="<|im_start|>user\n",
            question_end="<|im_end|>\n<|im_start|>assistant\n",
            answer_end="<|im_end|>",
            next_opening="\n<|im_start|>user\n",
        ),
        lora_targets=("q_proj", "k_proj", "v_proj", "o_proj"),
        arguments={"weight_decay": 0.1, "warmup_steps": 500, "activation_checkpointing": True},
    ),
}


def preset_named(name: str) -> Preset:
    """Raises ConfigError for an unknown name."""
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}; known: {', '.join(PRESETS)}")
    return PRESETS[name]


def full_config(name: str, extra_tokens: int = 2 + len(CLOCK_TOKENS)) -> VideoLlmConfig:
    """The configuration of a preset without any tokenizer: new tokens come after its vocabulary.

    Args:
        name: of the preset.
        extra_tokens: how many come; the last but two are the clock.
    """
    preset = preset_named(name)
    language = dict(preset.language)
    first = language.get("vocab_size", preset.vocabulary)
    language["vocab_size"] = first + extra_tokens
    return VideoLlmConfig(
        preset.vision,
        language,
        **_shape(preset),
        image_token_id=first,
        region_token_id=first + 1,
        time_token_ids=list(range(first + 2, first + 2 + len(CLOCK_TOKENS))),
    )


def build(
    name: str,
    texts: Iterable[str] = (),
    *,
    region_mode: RegionMode = "connector",
    time_mode: TimeMode = "31",
    vision: Path | None = None,
    language: Path | None = None,
    seed: int = 0,
) -> tuple[VideoLlm, VideoLlmProcessor]:
    """A model to be trained, and its processor.

    Args:
        name: of the preset.
        texts: what a tokenizer of the data's own words is trained on, where the preset has none.
        region_mode, time_mode: how the processor writes regions and times.
        vision: folder of a pre-trained vision tower; random weights without.
        language: folder of a pre-trained language model with its tokenizer.
        seed: of the random weights.

    Raises:
        ConfigError: an unknown preset, or one that needs a pre-trained tokenizer and got none.
    """
    preset = preset_named(name)
    torch.manual_seed(seed)
    tokenizer = _tokenizer(name, preset, texts, language)
    config = _config(preset, tokenizer, vision, language)
    model = VideoLlm(config)
    if vision is not None:
        model.vision_tower = AutoModel.from_pretrained(vision, local_files_only=True, dtype=torch.float32)
        model.config.vision_config = model.vision_tower.config
    if language is not None:
        model.language_model = AutoModelForCausalLM.from_pretrained(
            language, local_files_only=True, dtype=torch.float32
        )
        model.language_model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        model.config.text_config = model.language_model.config
    if vision is None and not preset.lora_targets:
        _start_places(model)
    if language is None and not preset.lora_targets:
        _start_attention(model)
    _start_clock(model)
    settings = ProcessorSettings(
        image_size=config.vision_config.image_size,
        patches_per_side=config.patches_per_side,
        visual_tokens=config.visual_tokens,
        region_tokens=config.region_tokens,
        region_merge=config.region_merge,
        region_motion=config.region_motion,
        frames=config.frames,
        interval_pooling=preset.interval_pooling,
        word_regions=preset.word_pooling,
        region_mode=region_mode,
        time_mode=time_mode,
        chat=preset.chat,
    )
    return model, VideoLlmProcessor(tokenizer, settings)


def _tokenizer(
    name: str, preset: Preset, texts: Iterable[str], language: Path | None
) -> PreTrainedTokenizerBase:
    if language is not None:
        tokenizer = cast(
            PreTrainedTokenizerBase, AutoTokenizer.from_pretrained(language, local_files_only=True)
        )
        add_tokens(tokenizer)
        return tokenizer
    if not preset.vocabulary:
        raise ConfigError(
            f"preset {name} needs a pre-trained language model with its tokenizer: name its folder "
            "(--language), or train the preset tiny"
        )
    return train_tokenizer(texts, preset.vocabulary)


def _config(
    preset: Preset, tokenizer: PreTrainedTokenizerBase, vision: Path | None, language: Path | None
) -> VideoLlmConfig:
    return VideoLlmConfig(
        _loaded(vision, vision=True) or preset.vision,
        _loaded(language)
        or {
            **preset.language,
            "vocab_size": len(tokenizer),
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "bos_token_id": None,
        },
        **_shape(preset),
        image_token_id=tokenizer.get_vocab()[IMAGE_TOKEN],
        region_token_id=tokenizer.get_vocab()[REGION_TOKEN],
        time_token_ids=[tokenizer.get_vocab()[token] for token in CLOCK_TOKENS],
    )


def _shape(preset: Preset) -> dict[str, Any]:
    names = (
        "time_groups", "cells_per_side", "region_tokens", "region_merge", "region_motion", "region_places",
        "word_pooling", "loss_per",
    )  # fmt: skip
    return {name: getattr(preset, name) for name in names}


def _loaded(folder: Path | None, *, vision: bool = False) -> PreTrainedConfig | None:
    if folder is None:
        return None
    found = AutoConfig.from_pretrained(folder, local_files_only=True)
    return getattr(found, "vision_config", found) if vision else found


@torch.no_grad()
def _start_places(model: VideoLlm) -> None:
    """Sines over the picture as the tower's embeddings of places: a region's mean tells where it is."""
    side = model.config.patches_per_side
    table = model.vision_tower.get_submodule("embeddings.position_embedding").weight
    assert isinstance(table, torch.Tensor)
    halves = torch.arange(1, table.shape[1] // 4 + 1).clamp(max=6) * torch.pi / 2
    angles = (torch.arange(side)[:, None] + 0.5) / side * halves[None]
    waves = torch.cat([angles.sin(), angles.cos()], 1)
    rows = torch.cat([waves[:, None].expand(-1, side, -1), waves[None].expand(side, -1, -1)], -1)
    table.zero_()
    table[:, : rows.shape[-1]] = rows.flatten(0, 1).to(table.dtype)


@torch.no_grad()
def _start_attention(model: VideoLlm) -> None:
    """Attention that looks for tokens like its own and copies them, from the start.

    Queries and keys share an orthogonal matrix, and outputs undo what values do ("Mimetic Initialization of
    Self-Attention Layers", Trockman and Kolter, arXiv 2305.09828). So a time in a question finds the tokens
    seen at that time, which carry its embedding, within hundreds of steps; from random matrices it takes
    thousands.
    """
    layers = model.language_model.get_submodule("model.layers")
    assert isinstance(layers, torch.nn.ModuleList)
    for layer in layers:
        parts = {name: layer.get_parameter(f"self_attn.{name}_proj.weight") for name in "qkvo"}
        alike, copied = (torch.nn.init.orthogonal_(torch.empty_like(parts["q"])) for _ in range(2))
        for name in "qk":
            parts[name].copy_(alike)
        parts["v"].copy_(copied * _COPIED)
        parts["o"].copy_(copied.T * _COPIED)


@torch.no_grad()
def _start_clock(model: VideoLlm) -> None:
    """Sines over the video in the rows of the time tokens: near times are alike from the start."""
    ids = model.config.time_token_ids
    table = model.get_input_embeddings().weight
    assert isinstance(table, torch.Tensor)
    others = [row for row in range(len(table)) if row not in set(ids)]
    size = table[others[: 4 * len(ids)]].float().std()
    width = table.shape[1]
    halves = torch.arange(1, width // 2 + 1).clamp(max=16) * torch.pi / 2
    angles = torch.linspace(0, 1, len(ids))[:, None] * halves[None]
    waves = torch.cat([angles.sin(), angles.cos()], 1) * size * 2**0.5
    rows = torch.zeros(len(ids), width)
    rows[:, : waves.shape[1]] = waves
    table[ids] = rows.to(table.dtype)
