"""What of a model learns: all of it, or connectors, low-rank updates and the new tokens' rows."""

from __future__ import annotations

from peft import LoraConfig, get_peft_model

from strefer_core.video_llm.modeling import VideoLlm
from strefer_core.video_llm.presets import Preset


def adapted(model: VideoLlm, preset: Preset, *, is_frozen: bool) -> VideoLlm:
    """Freeze the vision tower, and put LoRA and the new tokens' rows where the preset has them."""
    model.vision_tower.requires_grad_(not is_frozen)
    if preset.lora_targets:
        model.language_model = get_peft_model(model.language_model, lora_config(model, preset))
    return model


def lora_config(model: VideoLlm, preset: Preset) -> LoraConfig:
    """Low-rank updates of the attention, and whole rows for the placeholders and the clock."""
    ids = [model.config.image_token_id, model.config.region_token_id, *model.config.time_token_ids]
    rows = {"embed_tokens": ids}
    if not model.config.text_config.tie_word_embeddings:
        rows["lm_head"] = ids
    return LoraConfig(
        r=16,
        lora_alpha=32,
        lora_dropout=0.0,
        target_modules=list(preset.lora_targets),
        trainable_token_indices=rows,
        task_type="CAUSAL_LM",
    )
