"""Tiny models with random weights, saved as real checkpoints are: `python -m tests.tiny_models [FOLDER]`.

The same weights on every run. They find nothing sensible; what they prove is that the code loads a folder
through `from_pretrained` and hands the models what they take and understands what they answer.

    groundingdino/  GroundingDINO with a Swin backbone and BERT, 0.5 M parameters
    sam2/           SAM2 video at 128 x 128, 1.3 M parameters
    clip/ siglip/   image and text towers
    vlm/            Qwen2.5-VL, which reads bytes
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import string
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

FOLDER = Path(__file__).parent / "tiny"

_WORDS = ("person", "man", "woman", "dog", "cat", "ball", "car", "red", "blue", "the", "a", "in", "shape")
_BYTES = [*map(chr, range(33, 127)), *map(chr, range(161, 173)), *map(chr, range(174, 256))]
_VLM_MARKS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content is string %}{{ m.content }}"
    "{% else %}{% for c in m.content %}{% if c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build(folder: Path = FOLDER) -> Path:
    """All tiny models under `folder`, built unless this very file and release built them before."""
    stamp = {
        "builder": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:  # tests run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "built_with.json"
        if not done.is_file() or json.loads(done.read_text()) != stamp:
            done.unlink(missing_ok=True)
            for name, make in BUILDERS.items():
                shutil.rmtree(folder / name, ignore_errors=True)
                (folder / name).mkdir()
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(0)
                    make(folder / name)
            done.write_text(json.dumps(stamp, indent=1))
    return folder


def groundingdino(folder: Path) -> None:
    from transformers import (
        BertConfig,
        BertTokenizerFast,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoProcessor,
        SwinConfig,
    )

    letters = [*string.ascii_lowercase, *string.digits]
    tokens = ["[MASK]", ",", "-", *_WORDS, *letters, *(f"##{letter}" for letter in letters)]
    others = iter(dict.fromkeys(tokens))
    # The model knows where phrases end by the ids that these have in BERT's own vocabulary.
    fixed = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 1012: ".", 1029: "?"}
    vocabulary = [fixed.get(i) or next(others, f"[unused{i}]") for i in range(max(fixed) + 1)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    tokenizer = BertTokenizerFast.from_pretrained(folder, do_lower_case=True)
    swin = SwinConfig(
        image_size=64,
        patch_size=4,
        embed_dim=16,
        depths=[1, 1, 1, 1],
        num_heads=[1, 2, 4, 8],
        window_size=4,
        out_indices=[2, 3, 4],
    )
    bert = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    config = GroundingDinoConfig(
        backbone_config=swin,
        text_config=bert,
        d_model=256,  # the other implementation, groundingdino-py, knows no other width
        encoder_layers=2,
        decoder_layers=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        num_queries=30,
        max_text_len=48,
        disable_custom_kernels=True,
    )
    model = GroundingDinoForObjectDetection(config).eval()
    _disturb(model)
    model.save_pretrained(folder)
    images = _image_processor("GroundingDinoImageProcessor")
    GroundingDinoProcessor(
        image_processor=images(size={"shortest_edge": 96, "longest_edge": 160}), tokenizer=tokenizer
    ).save_pretrained(folder)


def sam2(folder: Path) -> None:
    from transformers import (
        Sam2HieraDetConfig,
        Sam2VideoConfig,
        Sam2VideoMaskDecoderConfig,
        Sam2VideoModel,
        Sam2VideoPromptEncoderConfig,
        Sam2VisionConfig,
    )

    side, width = 128, 128
    hiera = Sam2HieraDetConfig(
        hidden_size=8,
        num_attention_heads=1,
        image_size=[side, side],
        blocks_per_stage=[1, 2, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[8, 4, 8, 4],
        global_attention_blocks=[4],
        window_positional_embedding_background_size=[4, 4],
    )
    config = Sam2VideoConfig(
        vision_config=Sam2VisionConfig(
            backbone_config=hiera,
            backbone_channel_list=[64, 32, 16, 8],
            fpn_hidden_size=width,
            backbone_feature_sizes=[[side // 4] * 2, [side // 8] * 2, [side // 16] * 2],
        ),
        prompt_encoder_config=Sam2VideoPromptEncoderConfig(
            hidden_size=width, image_size=side, patch_size=16, mask_input_channels=8
        ),
        mask_decoder_config=Sam2VideoMaskDecoderConfig(
            hidden_size=width, mlp_dim=64, num_attention_heads=2, iou_head_hidden_dim=width, iou_head_depth=3
        ),
        image_size=side,
        memory_attention_hidden_size=width,
        memory_attention_num_layers=2,
        memory_attention_feed_forward_hidden_size=64,
        memory_attention_rope_feat_sizes=[side // 16] * 2,
        memory_encoder_hidden_size=width,
        memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=width,
        memory_fuser_embed_dim=width,
        memory_fuser_intermediate_dim=64,
        num_maskmem=7,
    )
    model = Sam2VideoModel(config).eval()
    _disturb(model)
    with torch.no_grad():  # whether there is anything to see would else be luck, of each release another's
        model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(1.0)
    model.save_pretrained(folder)


def clip(folder: Path) -> None:
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor, CLIPTokenizerFast

    letters = [*_BYTES, *(f"{letter}</w>" for letter in _BYTES)]
    vocabulary = [*letters, "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizerFast.from_pretrained(folder, model_max_length=77)
    towers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"bos_token_id": len(vocabulary) - 2, "eos_token_id": len(vocabulary) - 1}
    config = CLIPConfig(
        text_config={
            **towers,
            **ids,
            "pad_token_id": ids["eos_token_id"],
            "vocab_size": len(vocabulary),
            "max_position_embeddings": 77,
        },
        vision_config={**towers, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    CLIPModel(config).eval().save_pretrained(folder)
    images = _image_processor("CLIPImageProcessor")
    CLIPProcessor(
        image_processor=images(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        tokenizer=tokenizer,
    ).save_pretrained(folder)


def siglip(folder: Path) -> None:
    from transformers import SiglipConfig, SiglipModel

    tokenizer = _byte_tokenizer(pad_token="<pad>", eos_token="</s>", model_max_length=64)
    tokenizer.save_pretrained(folder)
    towers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {f"{kind}_token_id": getattr(tokenizer, f"{kind}_token_id") for kind in ("pad", "eos")}
    ids["bos_token_id"] = ids["eos_token_id"]
    config = SiglipConfig(
        text_config={**towers, **ids, "vocab_size": len(tokenizer), "max_position_embeddings": 64},
        vision_config={**towers, "image_size": 32, "patch_size": 8},
    )
    SiglipModel(config).eval().save_pretrained(folder)
    images = _image_processor("SiglipImageProcessor")
    images(size={"height": 32, "width": 32}).save_pretrained(folder)


def vlm(folder: Path) -> None:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokenizer = _byte_tokenizer(
        pad_token=_VLM_MARKS[0],
        eos_token=_VLM_MARKS[2],
        additional_special_tokens=list(_VLM_MARKS),
        model_max_length=4096,
    )
    tokenizer.chat_template = _CHAT
    tokenizer.save_pretrained(folder)
    ids = {mark: tokenizer.convert_tokens_to_ids(mark) for mark in _VLM_MARKS}
    rope: dict[str, Any] = {"rope_type": "default", "mrope_section": [2, 3, 3]}
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
        "rope_scaling": rope,  # as transformers 4 writes it; 5 reads both
    }
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 64,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    Qwen2_5_VLForConditionalGeneration(config).eval().save_pretrained(folder)
    images = _image_processor("Qwen2VLImageProcessor")
    images(
        patch_size=14,
        merge_size=2,
        temporal_patch_size=2,
        min_pixels=56 * 56,
        max_pixels=112 * 112,
    ).save_pretrained(folder)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "groundingdino": groundingdino,
    "sam2": sam2,
    "clip": clip,
    "siglip": siglip,
    "vlm": vlm,
}


def _disturb(model: torch.nn.Module) -> None:
    """Give values to parameters that begin as zeros: with these, memories and offsets would do nothing."""
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)


def _image_processor(name: str) -> Any:
    """The class that works on PIL images, without torchvision, under its name in this release."""
    return getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)


def _byte_tokenizer(**options: Any) -> Any:
    """One token per byte, beside the special ones."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_only = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=bytes_only, **options)


if __name__ == "__main__":
    build(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
