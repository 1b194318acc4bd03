"""A very small Llava with random weights, saved to disk; it reads text and pictures and answers noise."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

IMAGE_TOKENS = 4
"""Tokens that one picture takes: 2 x 2 patches."""

_SIDE_PX, _PATCH_PX = 16, 8
_SPECIAL = ["<pad>", "<end>", "<image>"]
_TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: "
    "{% for part in m.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<end>\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)


def write_tiny_vlm(folder: Path) -> Path:
    """Save model and processor to `folder`; a token is a byte, so that a reply's length is known."""
    torch.manual_seed(0)
    tokenizer = _tokenizer()
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in _SPECIAL}
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=8192,
        bos_token_id=None,
        eos_token_id=ids["<end>"],
        pad_token_id=ids["<pad>"],
    )
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=_SIDE_PX,
        patch_size=_PATCH_PX,
    )
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_id=ids["<image>"], vision_feature_layer=-1
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    side = {"height": _SIDE_PX, "width": _SIDE_PX}
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size=side, crop_size=side),
        tokenizer=tokenizer,
        patch_size=_PATCH_PX,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
        chat_template=_TEMPLATE,
    ).save_pretrained(folder)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(alphabet)}, merges=[]))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokens, eos_token="<end>", pad_token="<pad>", additional_special_tokens=["<image>"]
    )
