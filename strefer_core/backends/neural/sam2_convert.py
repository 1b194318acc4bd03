"""The same SAM 2 weights under the names of the `sam2` package, and a predictor of the sizes of a config.

transformers renamed every module; the arithmetic is the same, so names are all that changes. `sam2` fixes a
few sizes of its mask decoder in code: a checkpoint with other ones cannot be loaded there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from strefer_core.errors import ConfigError

_FIXED_SIZES = {"mlp_dim": 2048, "num_attention_heads": 8, "num_hidden_layers": 2, "iou_head_hidden_dim": 256}
_MASK_CHANNELS = 16
_FUSER_WIDENING = 4

_PLACES = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
_DOWNSAMPLER = "memory_encoder.mask_downsampler.encoder."
_BLOCK = r"^(image_encoder\.trunk\.blocks\.\d+)\."
_FUSER = r"^memory_encoder\.memory_fuser\.layers\.(\d+)\."
_DECODER = r"^(mask_decoder\.transformer\.layers\.\d+)\."
_PERCEPTRON = (
    r"^((?:object_pointer_proj|mask_decoder\.(?:iou_prediction_head|pred_obj_score_head"
    r"|output_hypernetworks_mlps\.\d+)))\."
)

# Applied one after the other to a name of transformers; no name meets two rules that exclude each other.
_RULES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    # image encoder
    (r"^vision_encoder\.backbone\.patch_embed\.projection\.", "image_encoder.trunk.patch_embed.proj."),
    (r"^vision_encoder\.backbone\.", "image_encoder.trunk."),
    (_BLOCK + r"layer_norm(\d)\.", r"\1.norm\2."),
    (_BLOCK + r"mlp\.proj_in\.", r"\1.mlp.layers.0."),
    (_BLOCK + r"mlp\.proj_out\.", r"\1.mlp.layers.1."),
    (r"^vision_encoder\.neck\.convs\.(\d+)\.", r"image_encoder.neck.convs.\1.conv."),
    # memory
    (r"^memory_attention\.layer_norm\.", "memory_attention.norm."),
    (r"^(memory_attention\.layers\.\d+)\.layer_norm(\d)\.", r"\1.norm\2."),
    (r"^(memory_attention\..*)\.o_proj\.", r"\1.out_proj."),
    (r"^memory_encoder\.feature_projection\.", "memory_encoder.pix_feat_proj."),
    (r"^memory_encoder\.projection\.", "memory_encoder.out_proj."),
    (r"^(memory_encoder\.mask_downsampler)\.layers\.(\d+)\.conv\.", lambda m: _third(m, 0)),
    (r"^(memory_encoder\.mask_downsampler)\.layers\.(\d+)\.layer_norm\.", lambda m: _third(m, 1)),
    (_FUSER + r"depthwise_conv\.", r"memory_encoder.fuser.layers.\1.dwconv."),
    (_FUSER + r"layer_norm\.", r"memory_encoder.fuser.layers.\1.norm."),
    (_FUSER + r"pointwise_conv(\d)\.", r"memory_encoder.fuser.layers.\1.pwconv\2."),
    (_FUSER + r"scale$", r"memory_encoder.fuser.layers.\1.gamma"),
    # prompts
    (r"^prompt_encoder\.shared_embedding\.positional_embedding$", _PLACES),
    (r"^prompt_encoder\.mask_embed\.conv1\.", "sam_prompt_encoder.mask_downscaling.0."),
    (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "sam_prompt_encoder.mask_downscaling.1."),
    (r"^prompt_encoder\.mask_embed\.conv2\.", "sam_prompt_encoder.mask_downscaling.3."),
    (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "sam_prompt_encoder.mask_downscaling.4."),
    (r"^prompt_encoder\.mask_embed\.conv3\.", "sam_prompt_encoder.mask_downscaling.6."),
    (r"^prompt_encoder\.", "sam_prompt_encoder."),
    # perceptrons of three layers
    (_PERCEPTRON + r"layers\.0\.", r"\1.layers.1."),
    (_PERCEPTRON + r"proj_in\.", r"\1.layers.0."),
    (_PERCEPTRON + r"proj_out\.", r"\1.layers.2."),
    # mask decoder
    (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
    (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
    (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
    (r"^(mask_decoder\.transformer\..*)\.o_proj\.", r"\1.out_proj."),
    (r"^(mask_decoder\.transformer)\.layer_norm_final_attn\.", r"\1.norm_final_attn."),
    (_DECODER + r"layer_norm(\d)\.", r"\1.norm\2."),
    (_DECODER + r"mlp\.proj_in\.", r"\1.mlp.layers.0."),
    (_DECODER + r"mlp\.proj_out\.", r"\1.mlp.layers.1."),
    (r"^mask_decoder\.", "sam_mask_decoder."),
    # the rest
    (r"^object_pointer_proj\.", "obj_ptr_proj."),
    (r"^temporal_positional_encoding_projection_layer\.", "obj_ptr_tpos_proj."),
    (r"^no_memory_embedding$", "no_mem_embed"),
    (r"^no_memory_positional_encoding$", "no_mem_pos_enc"),
    (r"^memory_temporal_positional_encoding$", "maskmem_tpos_enc"),
    (r"^no_object_pointer$", "no_obj_ptr"),
    (r"^occlusion_spatial_embedding_parameter$", "no_obj_embed_spatial"),
)

_POINTS = "prompt_encoder.point_embed.weight"  # one table here, one module per row there
_TWICE = "shared_image_embedding.positional_embedding"  # the prompt encoder has the same values


def renamed(weights: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, Any]:
    """Weights of a `Sam2VideoModel` under the names of `sam2`.

    Args:
        weights: its state dict.
        reference: the state dict of a predictor of the same sizes: what has to be filled.

    Raises:
        ConfigError: a weight has no place there, has another shape, or one is missing; all of them named.
    """
    found: dict[str, Any] = {}
    for name, value in weights.items():
        if name == _POINTS:
            rows = enumerate(value.split(1))
            found |= {f"sam_prompt_encoder.point_embeddings.{row}.weight": one for row, one in rows}
        elif name != _TWICE:
            found[_name(name)] = value
    last = max(int(name.split(".")[3]) for name in reference if name.startswith(_DOWNSAMPLER))
    for kind in ("weight", "bias"):
        final = found.pop(f"memory_encoder.mask_downsampler.final_conv.{kind}")
        found[f"{_DOWNSAMPLER}{last}.{kind}"] = final
    _check(found, reference)
    return found


def _name(name: str) -> str:
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    return name


def _third(found: re.Match[str], offset: int) -> str:
    """There a layer is a convolution, a norm and an activation in one sequence."""
    return f"{found[1]}.encoder.{3 * int(found[2]) + offset}."


def _check(found: Mapping[str, Any], reference: Mapping[str, Any]) -> None:
    other = sorted(
        name for name in found.keys() & reference.keys() if found[name].shape != reference[name].shape
    )
    wrong = [*sorted(found.keys() ^ reference.keys()), *other]
    if wrong:
        raise ConfigError(
            f"the checkpoint does not fit the sam2 package: {', '.join(wrong[:8])}"
            f"{' ...' if len(wrong) > 8 else ''}; use the tracker of transformers for it"
        )


def predictor_of(config: Any) -> Any:
    """A `SAM2VideoPredictor` of the sizes of a `Sam2VideoConfig`, weights at random.

    Raises ConfigError where a size is one that the package cannot be given.
    """
    _refuse_other_sizes(config)
    from sam2.modeling.memory_attention import MemoryAttention, MemoryAttentionLayer
    from sam2.modeling.sam.transformer import RoPEAttention
    from sam2.sam2_video_predictor import SAM2VideoPredictor

    width, grid = config.memory_attention_hidden_size, list(config.memory_attention_rope_feat_sizes)

    def attention(**more: Any) -> Any:
        return RoPEAttention(
            rope_theta=_rope_theta(config),
            feat_sizes=grid,
            embedding_dim=width,
            num_heads=config.memory_attention_num_attention_heads,
            downsample_rate=config.memory_attention_downsample_rate,
            dropout=config.memory_attention_rope_dropout,
            **more,
        )

    layer = MemoryAttentionLayer(
        activation=config.memory_attention_feed_forward_hidden_act,
        self_attention=attention(),
        cross_attention=attention(rope_k_repeat=True, kv_in_dim=config.memory_encoder_output_channels),
        d_model=width,
        dim_feedforward=config.memory_attention_feed_forward_hidden_size,
        dropout=config.memory_attention_dropout,
        pos_enc_at_attn=False,
        pos_enc_at_cross_attn_keys=True,
        pos_enc_at_cross_attn_queries=False,
    )
    return SAM2VideoPredictor(
        image_encoder=_image_encoder(config.vision_config),
        memory_attention=MemoryAttention(
            d_model=width, pos_enc_at_input=True, layer=layer, num_layers=config.memory_attention_num_layers
        ),
        memory_encoder=_memory_encoder(config),
        **_flags(config),
    ).eval()


def _refuse_other_sizes(config: Any) -> None:
    decoder = config.mask_decoder_config
    wrong = [
        f"mask_decoder_config.{name} is {getattr(decoder, name)}, not {value}"
        for name, value in _FIXED_SIZES.items()
        if getattr(decoder, name) != value
    ]
    channels = config.prompt_encoder_config.mask_input_channels
    if channels != _MASK_CHANNELS:
        wrong.append(f"prompt_encoder_config.mask_input_channels is {channels}, not {_MASK_CHANNELS}")
    if config.memory_fuser_intermediate_dim != _FUSER_WIDENING * config.memory_fuser_embed_dim:
        wrong.append(f"memory_fuser_intermediate_dim is not {_FUSER_WIDENING} times memory_fuser_embed_dim")
    if wrong:
        raise ConfigError(
            f"the sam2 package builds released sizes only: {'; '.join(wrong)}; use the tracker sam2"
        )


def _rope_theta(config: Any) -> float:
    rope = getattr(config, "rope_parameters", None) or {}
    return float(rope.get("rope_theta") or config.memory_attention_rope_theta)


def _image_encoder(config: Any) -> Any:
    from sam2.modeling.backbones.hieradet import Hiera
    from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
    from sam2.modeling.position_encoding import PositionEmbeddingSine

    hiera = config.backbone_config
    return ImageEncoder(
        trunk=Hiera(
            embed_dim=hiera.embed_dim_per_stage[0],
            num_heads=hiera.num_attention_heads_per_stage[0],
            q_pool=hiera.num_query_pool_stages,
            stages=tuple(hiera.blocks_per_stage),
            global_att_blocks=tuple(hiera.global_attention_blocks),
            window_pos_embed_bkg_spatial_size=tuple(hiera.window_positional_embedding_background_size),
            window_spec=tuple(hiera.window_size_per_stage),
        ),
        neck=FpnNeck(
            position_encoding=PositionEmbeddingSine(num_pos_feats=config.fpn_hidden_size),
            d_model=config.fpn_hidden_size,
            backbone_channel_list=list(config.backbone_channel_list),
            fpn_top_down_levels=list(config.fpn_top_down_levels),
            fpn_interp_model="nearest",
        ),
        scalp=len(config.backbone_channel_list) - config.num_feature_levels,
    )


def _memory_encoder(config: Any) -> Any:
    from sam2.modeling.memory_encoder import CXBlock, Fuser, MaskDownSampler, MemoryEncoder
    from sam2.modeling.position_encoding import PositionEmbeddingSine

    block = CXBlock(
        dim=config.memory_fuser_embed_dim,
        kernel_size=config.memory_fuser_kernel_size,
        padding=config.memory_fuser_padding,
        layer_scale_init_value=config.memory_fuser_layer_scale_init_value,
        use_dwconv=True,
    )
    return MemoryEncoder(
        in_dim=config.memory_encoder_hidden_size,
        out_dim=config.memory_encoder_output_channels,
        position_encoding=PositionEmbeddingSine(num_pos_feats=config.memory_encoder_output_channels),
        mask_downsampler=MaskDownSampler(
            embed_dim=config.mask_downsampler_embed_dim,
            kernel_size=config.mask_downsampler_kernel_size,
            stride=config.mask_downsampler_stride,
            padding=config.mask_downsampler_padding,
            total_stride=config.mask_downsampler_total_stride,
        ),
        fuser=Fuser(block, num_layers=config.memory_fuser_num_layers),
    )


def _flags(config: Any) -> dict[str, Any]:
    """What transformers has built in, and what its config says."""
    decoder = config.mask_decoder_config
    return {
        "num_maskmem": config.num_maskmem,
        "image_size": config.image_size,
        "sigmoid_scale_for_mem_enc": config.sigmoid_scale_for_mem_enc,
        "sigmoid_bias_for_mem_enc": config.sigmoid_bias_for_mem_enc,
        "binarize_mask_from_pts_for_mem_enc": True,
        "use_mask_input_as_output_without_sam": True,
        "max_cond_frames_in_attn": getattr(config, "max_cond_frame_num", -1),  # transformers 4 has no limit
        "directly_add_no_mem_embed": True,
        "use_high_res_features_in_sam": True,
        "multimask_output_in_sam": config.multimask_output_in_sam,
        "multimask_min_pt_num": config.multimask_min_pt_num,
        "multimask_max_pt_num": config.multimask_max_pt_num,
        "multimask_output_for_tracking": config.multimask_output_for_tracking,
        "use_multimask_token_for_obj_ptr": True,
        "iou_prediction_use_sigmoid": True,
        "use_obj_ptrs_in_encoder": True,
        "max_obj_ptrs_in_encoder": config.max_object_pointers_in_encoder,
        "add_tpos_enc_to_obj_ptrs": config.enable_temporal_pos_encoding_for_object_pointers,
        "proj_tpos_enc_in_obj_ptrs": config.enable_temporal_pos_encoding_for_object_pointers,
        "use_signed_tpos_enc_to_obj_ptrs": True,
        "only_obj_ptrs_in_the_past_for_eval": True,
        "pred_obj_scores": True,
        "pred_obj_scores_mlp": True,
        "fixed_no_obj_ptr": True,
        "use_mlp_for_obj_ptr_proj": True,
        "no_obj_embed_spatial": config.enable_occlusion_spatial_embedding,
        "sam_mask_decoder_extra_args": {
            "dynamic_multimask_via_stability": decoder.dynamic_multimask_via_stability,
            "dynamic_multimask_stability_delta": decoder.dynamic_multimask_stability_delta,
            "dynamic_multimask_stability_thresh": decoder.dynamic_multimask_stability_thresh,
        },
    }
