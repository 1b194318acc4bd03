"""One training step and one generation of a full-size Video LLM with random weights.

`python -m benchmarks.full_size --preset phi3 --json` on a machine with a GPU; `--preset tiny` anywhere.
Prints tokens per second, the largest memory, and the operators that cost most. No weights are downloaded:
what is measured hangs on sizes alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from strefer_core.video_llm.adapting import adapted
from strefer_core.video_llm.modeling import VideoLlm
from strefer_core.video_llm.presets import full_config, preset_named

REGIONS, WORDS = 2, 96
HOTTEST = 8


def build(name: str, device: str) -> VideoLlm:
    """The preset with random weights on a device, frozen and adapted as it is trained."""
    preset, dtype = preset_named(name), torch.bfloat16 if device == "cuda" else torch.float32
    with torch.device(device):
        torch.set_default_dtype(dtype)
        model = VideoLlm(full_config(name))
        torch.set_default_dtype(torch.float32)
    return adapted(model, preset, is_frozen=not preset.trains_vision)


def batch(model: VideoLlm, videos: int, device: str) -> dict[str, Tensor]:
    """Videos of 32 frames, each with one question about two regions."""
    config = model.config
    torch.manual_seed(0)
    head = [config.image_token_id] * config.visual_tokens
    head += [config.region_token_id] * (REGIONS * config.region_tokens)
    words = torch.randint(0, config.image_token_id, (videos, WORDS))
    ids = torch.cat([torch.tensor(head).expand(videos, -1), words], 1)
    labels = torch.where(torch.arange(ids.shape[1]) >= ids.shape[1] - WORDS // 2, ids, -100)
    side = config.vision_config.image_size
    cells = torch.rand(videos * REGIONS, config.frames, config.patches_per_side**2) < 0.1
    given = {
        "input_ids": ids,
        "labels": labels,
        "pixel_values": torch.randint(0, 255, (videos, config.frames, 3, side, side), dtype=torch.uint8),
        "frame_fractions": torch.linspace(0, 1, config.frames).expand(videos, -1),
        "region_cells": cells,
        "region_videos": torch.arange(videos).repeat_interleave(REGIONS),
    }
    return {key: value.to(device) for key, value in given.items()}


def train_step(model: VideoLlm, given: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> float:
    loss = model(**given).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.detach())


def generate(model: VideoLlm, given: dict[str, Tensor], new_tokens: int) -> Tensor:
    seen = {name: value for name, value in given.items() if name not in ("input_ids", "labels")}
    return model.generate(
        given["input_ids"], torch.ones_like(given["input_ids"]), seen=seen, max_new_tokens=new_tokens,
        min_new_tokens=new_tokens, do_sample=False, pad_token_id=0,
    )  # fmt: skip


def seconds(work: Callable[[], Any], repeats: int) -> float:
    """Least of several, after one that warms up."""
    found = []
    for _ in range(repeats + 1):
        _wait()
        start = time.perf_counter()
        work()
        _wait()
        found.append(time.perf_counter() - start)
    return min(found[1:])


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def hottest(work: Callable[[], Any], device: str) -> list[dict[str, Any]]:
    """The operators with the most time of their own."""
    cuda = device == "cuda"
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=kinds) as seen:
        work()
        _wait()
    key = "self_device_time_total" if cuda else "self_cpu_time_total"
    rows = sorted(seen.key_averages(), key=lambda row: -getattr(row, key))
    whole = sum(getattr(row, key) for row in rows) or 1
    return [
        {"operator": row.key[:90], "share": round(getattr(row, key) / whole, 4), "calls": row.count}
        for row in rows[:HOTTEST]
    ]


def measure(name: str, videos: int, new_tokens: int, repeats: int) -> dict[str, Any]:
    """See the module."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = build(name, device)
    given = batch(model, videos, device)
    learned = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=1e-5)
    model.train()
    step_s = seconds(lambda: train_step(model, given, optimizer), repeats)
    vision_s = seconds(lambda: _frames(model, given), repeats)
    hot = hottest(lambda: train_step(model, given, optimizer), device)
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else 0
    model.eval()
    answer_s = seconds(lambda: generate(model, given, new_tokens), repeats)
    return {
        "preset": name,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "parameters": sum(one.numel() for one in model.parameters()),
        "learned": sum(one.numel() for one in learned),
        "videos": videos,
        "tokens": given["input_ids"].numel(),
        "step_s": step_s,
        "vision_s": vision_s,
        "trained_tokens_per_s": given["input_ids"].numel() / step_s,
        "frames_per_s": videos * model.config.frames / vision_s,
        "generated_tokens_per_s": videos * new_tokens / answer_s,
        "largest_gib": peak / 2**30,
        "hottest": hot,
    }


@torch.no_grad()
def _frames(model: VideoLlm, given: dict[str, Tensor]) -> None:
    model.encode_frames(given["pixel_values"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="phi3")
    parser.add_argument("--videos", type=int, default=2)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given.preset, given.videos, given.new_tokens, given.repeats)
    print(json.dumps(found) if given.json else "\n".join(f"{key}: {value}" for key, value in found.items()))


if __name__ == "__main__":
    main()
