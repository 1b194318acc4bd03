"""GroundingDINO through the package `groundingdino-py`, from the same folder as through transformers.

The package is in the GPU environment only: it needs torchvision and transformers 4. It builds its model from
Python files and its weights are pickles. Here the model is built from the checkpoint's `config.json`, and its
weights are those of the safetensors under the package's names: the same arithmetic in the authors' own code.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from strefer_core.backends.neural.checkpoint import loading, pretrained
from strefer_core.backends.neural.groundingdino import GroundingDino
from strefer_core.backends.neural.pixels import Pixels
from strefer_core.errors import ConfigError

if TYPE_CHECKING:
    import torch

_FIXED: dict[str, object] = {  # what the package's code does not let one choose
    "d_model": 256,
    "query_dim": 4,
    "activation_function": "relu",
    "two_stage": True,
    "two_stage_bbox_embed_share": False,
    "embedding_init_target": True,
    "position_embedding_type": "sine",
    "positional_embedding_temperature": 20,
}
_MAX_TOKENS = 256

_Pairs = tuple[tuple[str, str], ...]
_JOINED = ("query", "key", "value")  # one matrix in the package, in this order
_IN_PROJ: _Pairs = ((r"(self_attn|ca_text)\.(?:query|key|value)\.(\w+)$", r"\1.in_proj_\2"),)
_FFN: _Pairs = ((r"\bfc([12])\b", r"linear\1"),)
_SWIN: _Pairs = (
    (r"attention\.self\.(?:query|key|value)\b", "attn.qkv"),
    (r"attention\.self\.", "attn."),
    (r"attention\.output\.dense", "attn.proj"),
    (r"intermediate\.dense", "mlp.fc1"),
    (r"output\.dense", "mlp.fc2"),
    (r"layernorm_before", "norm1"),
    (r"layernorm_after", "norm2"),
)
_DEFORMABLE: _Pairs = (*_FFN, (r"self_attn_layer_norm", "norm1"), (r"final_layer_norm", "norm2"))
_ENHANCER: _Pairs = (*_FFN, *_IN_PROJ, (r"layer_norm_before", "norm1"), (r"layer_norm_after", "norm2"))
_FUSION: _Pairs = (
    (r"text_param", "gamma_l"),
    (r"vision_param", "gamma_v"),
    (r"text", "l"),
    (r"vision", "v"),
)
_DECODER: _Pairs = (
    *_FFN,
    (r"encoder_attn_text_layer_norm", "catext_norm"),
    (r"encoder_attn_layer_norm", "norm1"),
    (r"self_attn_layer_norm", "norm2"),
    (r"final_layer_norm", "norm3"),
    (r"encoder_attn_text\b", "ca_text"),
    (r"encoder_attn\b", "cross_attn"),
    *_IN_PROJ,
)
_SWIN_NORMS: _Pairs = tuple((f"stage{place + 1}", f"norm{place}") for place in range(4))
_BACKBONE = r"model\.backbone\.conv_encoder\.model\."
_LAYER = r"model\.encoder\.layers\.(\d+)\."
_PREFIXES: tuple[tuple[str, str, _Pairs], ...] = (  # in transformers, in the package, and names below these
    (_BACKBONE + r"embeddings\.patch_embeddings\.projection\.", "backbone.0.patch_embed.proj.", ()),
    (_BACKBONE + r"embeddings\.norm\.", "backbone.0.patch_embed.norm.", ()),
    (_BACKBONE + r"encoder\.layers\.", "backbone.0.layers.", _SWIN),
    (
        _BACKBONE + r"hidden_states_norms\.",
        "backbone.0.",
        tuple((f"stage{i + 1}", f"norm{i}") for i in range(4)),
    ),
    (r"model\.text_backbone\.", "bert.", ()),
    (r"model\.text_projection\.", "feat_map.", ()),
    (r"model\.input_proj_vision\.", "input_proj.", ()),
    (r"model\.query_position_embeddings\.", "transformer.tgt_embed.", ()),
    (r"model\.encoder_output_bbox_embed\.", "transformer.enc_out_bbox_embed.", ()),
    (r"model\.(level_embed|enc_output|enc_output_norm)\b", r"transformer.\1", ()),
    (_LAYER + r"deformable_layer\.", r"transformer.encoder.layers.\1.", _DEFORMABLE),
    (_LAYER + r"fusion_layer\.", r"transformer.encoder.fusion_layers.\1.", _FUSION),
    (
        _LAYER + r"text_enhancer_layer\.",
        r"transformer.encoder.text_layers.\1.",
        _ENHANCER,
    ),
    (r"model\.decoder\.layers\.", "transformer.decoder.layers.", _DECODER),
    (r"model\.decoder\.layer_norm\.", "transformer.decoder.norm.", ()),
    (r"model\.decoder\.reference_points_head\.", "transformer.decoder.ref_point_head.", ()),
    (r"bbox_embed\.", "bbox_embed.", ()),
)
_NOT_THERE = r"relative_position_index|\.model\.swin\.layernorm\.|^model\.decoder\.bbox_embed\."
"""Names in transformers of what the package computes itself, does not use, or has under another name too."""
_NOT_GIVEN = r"relative_position_index|^bert\.pooler\.|bbox_embed\."
"""Names in the package of the same; of the boxes' heads one stands for all that it shares."""


class GroundingDinoPackageDetector(GroundingDino):
    """GroundingDINO from a folder, through `groundingdino-py`; arguments as of `GroundingDinoDetector`.

    Raises:
        ConfigError: there is no such checkpoint, the package is not installed, or it cannot build this model.
    """

    def __init__(self, folder: Path, device: str, dtype: torch.dtype, batch: int) -> None:
        _check_environment()
        with loading(folder, "GroundingDINO"):
            from safetensors.torch import load_file

            config = pretrained("AutoConfig", folder)
            tokenizer = pretrained("AutoTokenizer", folder)
            processor = pretrained("AutoImageProcessor", folder)
            _check(config)
            self.model = _built(config, tokenizer)
            _fill(self.model, converted(load_file(folder / "model.safetensors")))
        self.model.to(device).eval()
        self.model.tokenizer = _as_encoded
        super().__init__(
            tokenizer=tokenizer,
            pixels=Pixels.of(processor),
            max_tokens=min(config.max_text_len, _MAX_TOKENS),
            device=device,
            dtype=dtype,
            batch=batch,
        )

    def forward(self, pixels: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See the base class."""
        from groundingdino.util.misc import NestedTensor

        padding = pixels.new_zeros((len(pixels), *pixels.shape[-2:])).bool()
        with _old_calls():
            said = self.model(NestedTensor(pixels, padding), captions=ids.expand(len(pixels), -1))
        return said["pred_logits"], said["pred_boxes"]


def converted(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights under the names of transformers to those under the names of the package.

    Raises ValueError for a name that has no counterpart.
    """
    import torch

    parts: dict[str, dict[int, torch.Tensor]] = {}
    for name, tensor in weights.items():
        if not re.search(_NOT_THERE, name):
            place = next((i for i, part in enumerate(_JOINED) if f".{part}." in name), 0)
            parts.setdefault(_renamed(name), {})[place] = tensor
    return {name: torch.cat([some[i] for i in sorted(some)]) for name, some in parts.items()}


def _renamed(name: str) -> str:
    for old, new, inner in _PREFIXES:
        if found := re.match(old, name):
            rest = name[found.end() :]
            for pattern, replacement in inner:
                rest = re.sub(pattern, replacement, rest)
            return found.expand(new) + rest
    raise ValueError(f"groundingdino-py has no counterpart of {name}")


@contextmanager
def _old_calls() -> Iterator[None]:
    """The package calls torch, timm and transformers in ways that these would rather see no more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", UserWarning)
        yield


def _check_environment() -> None:
    try:
        version("groundingdino-py")
    except PackageNotFoundError as error:
        raise ConfigError(
            "groundingdino-py is not installed; it belongs into the GPU environment (constraints-gpu.txt); "
            "elsewhere set masklets.detector.implementation to transformers"
        ) from error
    if not version("transformers").startswith("4."):
        raise ConfigError(
            f"groundingdino-py cannot work with transformers {version('transformers')}: use the GPU "
            "environment (constraints-gpu.txt), or set masklets.detector.implementation to transformers"
        )


def _check(config: Any) -> None:
    """Raise ValueError where the package would build another model than the checkpoint is of."""
    wrong = [
        f"{name} {getattr(config, name)}" for name, value in _FIXED.items() if getattr(config, name) != value
    ]
    if config.backbone_config.model_type != "swin":
        wrong.append(f"backbone {config.backbone_config.model_type}")
    if config.encoder_attention_heads != config.decoder_attention_heads:
        wrong.append("different numbers of heads in encoder and decoder")
    if config.encoder_ffn_dim != config.decoder_ffn_dim:
        wrong.append("different widths of encoder and decoder")
    if wrong:
        raise ValueError(f"groundingdino-py has no model with {', '.join(wrong)}; use transformers for it")


def _built(config: Any, tokenizer: Any) -> Any:
    """The package's model of a configuration of transformers, with random weights."""
    with _old_calls():
        return _assembled(config, tokenizer, _options(config))


def _assembled(config: Any, tokenizer: Any, options: SimpleNamespace) -> Any:
    from groundingdino.models.GroundingDINO.groundingdino import GroundingDINO
    from groundingdino.models.GroundingDINO.transformer import build_transformer
    from groundingdino.util import get_tokenlizer
    from transformers import BertModel

    # It would take tokenizer and text encoder from the hub, by name.
    with patch.multiple(
        get_tokenlizer,
        get_tokenlizer=lambda _: tokenizer,
        get_pretrained_language_model=lambda _: BertModel(config.text_config),
    ):
        return GroundingDINO(
            _backbone(config, options),
            build_transformer(options),
            num_queries=config.num_queries,
            iter_update=True,
            query_dim=4,
            num_feature_levels=config.num_feature_levels,
            nheads=config.encoder_attention_heads,
            dec_pred_bbox_embed_share=config.decoder_bbox_embed_share,
            two_stage_type="standard",
            two_stage_bbox_embed_share=False,
            two_stage_class_embed_share=False,
        )


def _backbone(config: Any, options: SimpleNamespace) -> Any:
    from groundingdino.models.GroundingDINO.backbone.backbone import Joiner
    from groundingdino.models.GroundingDINO.backbone.position_encoding import build_position_encoding
    from groundingdino.models.GroundingDINO.backbone.swin_transformer import SwinTransformer

    swin = config.backbone_config
    stages = [stage - 1 for stage in swin.out_indices]  # transformers counts the stem as the first
    body = SwinTransformer(
        pretrain_img_size=swin.image_size,
        patch_size=swin.patch_size,
        embed_dim=swin.embed_dim,
        depths=swin.depths,
        num_heads=swin.num_heads,
        window_size=swin.window_size,
        mlp_ratio=swin.mlp_ratio,
        qkv_bias=swin.qkv_bias,
        ape=swin.use_absolute_embeddings,
        out_indices=tuple(stages),
    )
    backbone = Joiner(body, build_position_encoding(options))
    backbone.num_channels = [body.num_features[stage] for stage in stages]
    return backbone


def _options(config: Any) -> SimpleNamespace:
    """The configuration in the package's words."""
    return SimpleNamespace(
        hidden_dim=config.d_model,
        dropout=0.0,
        nheads=config.encoder_attention_heads,
        num_queries=config.num_queries,
        dim_feedforward=config.encoder_ffn_dim,
        enc_layers=config.encoder_layers,
        dec_layers=config.decoder_layers,
        pre_norm=False,
        query_dim=4,
        transformer_activation="relu",
        num_patterns=0,
        num_feature_levels=config.num_feature_levels,
        enc_n_points=config.encoder_n_points,
        dec_n_points=config.decoder_n_points,
        two_stage_type="standard",
        embed_init_tgt=True,
        use_text_enhancer=True,
        use_fusion_layer=True,
        use_checkpoint=False,
        use_transformer_ckpt=False,
        use_text_cross_attention=True,
        text_dropout=0.0,
        fusion_dropout=0.0,
        fusion_droppath=0.0,
        position_embedding="sine",
        pe_temperatureH=config.positional_embedding_temperature,
        pe_temperatureW=config.positional_embedding_temperature,
    )


def _fill(model: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Raise ValueError where weights are missing or left over, or of another shape."""
    try:
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise ValueError(f"groundingdino-py cannot take these weights: {error}") from error
    wrong = [*(name for name in missing if not re.search(_NOT_GIVEN, name)), *unexpected]
    if wrong:
        raise ValueError(f"weights of groundingdino-py do not match: {', '.join(sorted(wrong)[:5])}")


def _as_encoded(ids: torch.Tensor, **_: object) -> Any:
    """Stands for the package's tokenizer: a text comes as tokens already, whose places are known."""
    import torch
    from transformers import BatchEncoding

    return BatchEncoding(
        {
            "input_ids": ids,
            "token_type_ids": torch.zeros_like(ids),
            "attention_mask": torch.ones_like(ids),
        }
    )
