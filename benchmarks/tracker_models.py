"""Detector and tracker with random weights and the sizes of a benchmark, saved as real checkpoints are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from transformers import AutoConfig, GroundingDinoForObjectDetection, Sam2VideoConfig, Sam2VideoModel

from tests.tiny_models import build

SIZES = ("tiny", "mid", "full")


def write_models(size: str, folder: Path) -> None:
    """Write `folder/sam2` and `folder/groundingdino`.

    Args:
        size: `tiny` (of the tests), `mid` (for a CPU) or `full` (SAM 2.1 tiny at 1024 pixels, GroundingDINO
            tiny, as released).
        folder: made where it does not exist.
    """
    small = build(folder / "small")
    torch.manual_seed(0)
    if size == "tiny":
        shutil.copytree(small / "sam2", folder / "sam2")
        shutil.copytree(small / "groundingdino", folder / "groundingdino")
        return
    _disturbed(
        Sam2VideoModel(Sam2VideoConfig() if size == "full" else _mid_sam2(small / "sam2"))
    ).save_pretrained(folder / "sam2")
    shutil.copytree(small / "groundingdino", folder / "groundingdino")
    config = AutoConfig.from_pretrained(small / "groundingdino")
    _enlarge_groundingdino(config, is_full=size == "full")
    GroundingDinoForObjectDetection(config).save_pretrained(folder / "groundingdino")
    _enlarge_pictures(folder / "groundingdino", *((800, 1333) if size == "full" else (320, 533)))


def _mid_sam2(small: Path) -> Sam2VideoConfig:
    """Twice the tests' side and width, 6 million parameters."""
    config = Sam2VideoConfig.from_pretrained(small)
    side, width = 256, 256
    config.image_size = config.prompt_encoder_config.image_size = side
    vision, hiera = config.vision_config, config.vision_config.backbone_config
    hiera.image_size = [side, side]
    hiera.hidden_size = 48
    hiera.embed_dim_per_stage = [48, 96, 192, 384]
    hiera.num_attention_heads_per_stage = [1, 2, 4, 8]
    hiera.blocks_per_stage, hiera.global_attention_blocks = [1, 2, 5, 2], [5, 7]
    vision.backbone_channel_list = hiera.embed_dim_per_stage[::-1]
    vision.fpn_hidden_size = width
    vision.backbone_feature_sizes = [[side // 4] * 2, [side // 8] * 2, [side // 16] * 2]
    config.prompt_encoder_config.hidden_size = config.mask_decoder_config.hidden_size = width
    config.mask_decoder_config.iou_head_hidden_dim = width
    config.memory_attention_hidden_size = config.memory_encoder_hidden_size = width
    config.memory_attention_num_layers = 4
    config.memory_attention_rope_feat_sizes = [side // 16] * 2
    config.mask_downsampler_embed_dim = config.memory_fuser_embed_dim = width
    config.memory_attention_feed_forward_hidden_size = 1024
    return config


def _enlarge_groundingdino(config: AutoConfig, *, is_full: bool) -> None:
    """Sizes of the released tiny model, or half of them; the tests' words."""
    swin, text = config.backbone_config, config.text_config
    swin.embed_dim, swin.depths = (96, [2, 2, 6, 2]) if is_full else (48, [1, 1, 2, 1])
    swin.num_heads = [3, 6, 12, 24]
    swin.hidden_size = swin.embed_dim * 8
    swin.window_size = 7
    text.hidden_size, text.num_attention_heads = (768, 12) if is_full else (128, 4)
    text.intermediate_size, text.num_hidden_layers = (3072, 12) if is_full else (256, 2)
    config.d_model = 256 if is_full else 128
    config.encoder_ffn_dim = config.decoder_ffn_dim = 2048 if is_full else 256
    config.encoder_layers = config.decoder_layers = 6 if is_full else 2
    config.encoder_attention_heads = config.decoder_attention_heads = 8 if is_full else 4
    config.num_queries = 900 if is_full else 100


def _enlarge_pictures(folder: Path, shorter_px: int, longer_px: int) -> None:
    """What the detector's preprocessing makes of a frame."""
    (path,) = folder.glob("*processor_config.json")
    config = json.loads(path.read_text())
    part = config.get("image_processor", config)  # of its own in transformers 4
    part["size"] = {"shortest_edge": shorter_px, "longest_edge": longer_px}
    path.write_text(json.dumps(config))


def _disturbed(model: torch.nn.Module) -> Sam2VideoModel:
    """Values for parameters that begin as zeros: memories would do nothing."""
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    return model
