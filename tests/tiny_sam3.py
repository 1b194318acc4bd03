"""A very small SAM 3 video with random weights, saved to disk; it finds noise, but in every frame."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from transformers import Sam3VideoConfig, Sam3VideoModel

_SIDE_PX, _PATCH_PX, _WIDTH = 112, 14, 128


def write_tiny_sam3(tokenizer: Path, folder: Path) -> Path:
    """Save a model to `folder`, with the CLIP tokenizer of the folder `tokenizer`."""
    torch.manual_seed(0)
    config = Sam3VideoConfig()
    grid = _SIDE_PX // _PATCH_PX
    _shrink_detector(config.detector_config, grid)
    _shrink_tracker(config.tracker_config, config.detector_config.vision_config, grid)
    config.low_res_mask_size = 4 * grid
    config.score_threshold_detection = config.new_det_thresh = 0.0  # random scores are low
    config.fill_hole_area = 0
    config.hotstart_delay = 0  # nothing is taken back because its detections do not last
    Sam3VideoModel(config).save_pretrained(folder)
    for path in tokenizer.iterdir():
        if path.name.startswith(("tokenizer", "vocab", "merges", "special")):
            shutil.copy(path, folder)
    return folder


def _shrink_detector(config: object, grid: int) -> None:
    vision = config.vision_config  # type: ignore[attr-defined]
    vit = vision.backbone_config
    vit.image_size, vit.pretrain_image_size, vit.window_size = _SIDE_PX, _SIDE_PX // 2, 4
    vit.hidden_size, vit.intermediate_size, vit.num_attention_heads = 32, 64, 2
    vit.num_hidden_layers, vit.global_attn_indexes = 2, [1]
    vision.fpn_hidden_size = _WIDTH
    vision.backbone_feature_sizes = [[4 * grid] * 2, [2 * grid] * 2, [grid] * 2]
    for name in ("detr_encoder_config", "detr_decoder_config", "geometry_encoder_config"):
        part = getattr(config, name)
        part.hidden_size, part.intermediate_size = _WIDTH, 64
        part.num_attention_heads, part.num_layers = 4, 1
    config.detr_decoder_config.num_queries = 4  # type: ignore[attr-defined]
    decoder = config.mask_decoder_config  # type: ignore[attr-defined]
    decoder.hidden_size, decoder.num_attention_heads = _WIDTH, 4
    text = config.text_config  # type: ignore[attr-defined]
    text.hidden_size, text.intermediate_size, text.num_attention_heads = 32, 64, 2
    text.num_hidden_layers, text.projection_dim = 1, 16


def _shrink_tracker(config: object, vision: object, grid: int) -> None:
    config.vision_config = vision  # type: ignore[attr-defined]
    config.image_size = _SIDE_PX  # type: ignore[attr-defined]
    prompts = config.prompt_encoder_config  # type: ignore[attr-defined]
    prompts.image_size, prompts.hidden_size, prompts.mask_input_channels = _SIDE_PX, _WIDTH, 8
    decoder = config.mask_decoder_config  # type: ignore[attr-defined]
    decoder.hidden_size, decoder.mlp_dim = _WIDTH, 64
    decoder.num_attention_heads, decoder.iou_head_hidden_dim = 2, _WIDTH
    for name, value in {
        "memory_attention_hidden_size": _WIDTH,
        "memory_attention_num_layers": 1,
        "memory_attention_feed_forward_hidden_size": 64,
        "memory_attention_rope_feat_sizes": [grid, grid],
        "memory_encoder_hidden_size": _WIDTH,
        "mask_downsampler_embed_dim": _WIDTH,
        "memory_fuser_embed_dim": _WIDTH,
        "memory_fuser_intermediate_dim": 64,
    }.items():
        setattr(config, name, value)
