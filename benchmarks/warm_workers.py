"""What a kept model is worth: videos per minute of a warm worker against a load per task.

`python -m benchmarks.warm_workers --json` takes two minutes on two idle cores. A task is what a GPU worker
does with one video: find the weights' folder, get the models, decode, detect on one frame (GroundingDINO, 58
million parameters), track two things (SAM2 video, 39 million). The models are of transformers, with random
weights, saved to disk once. Few and small frames keep the computation to about a second: that is what stands
for a GPU here, and the ratio hangs on it; with longer videos loading weighs less.

Three ways, one video each in turn, so that whatever else the machine does meets all alike:

    warm     one process, models kept between tasks (`strefer_core.warm.keeper`)
    cold     the same process, models loaded for every task and let go after it
    process  a process per task, as an Airflow task with the model in it would be: Python, imports, load

`warm_over_cold` is the ratio of videos per minute of the first two, `warm_over_process` of the first and the
third. Files are in the system's page cache in all three, so a first load from a network drive is not in them:
they are lower bounds. A ratio has its range over the rounds beside it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import transformers
from torch.nn.functional import interpolate

from strefer_core.footage import load_footage
from strefer_core.warm.keeper import Keeper, model_bytes
from strefer_core.warm.weights import fetch_weights

SIDE_PX = 64  # of SAM2's input; a real one has 1024
FRAMES = 4
WORDS = ("person", "dog", "ball", "red", "blue", "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", ".", "?")
TEXT = "person. dog. ball."
BOXES = [[20.0, 20.0, 60.0, 60.0], [90.0, 40.0, 130.0, 90.0]]


def write_detector(folder: Path) -> None:
    """A GroundingDINO of middle size: Swin-T, a small BERT, three layers each of encoder and decoder."""
    tokenizer = transformers.BertTokenizer(
        vocab={word: i for i, word in enumerate(WORDS)}, do_lower_case=True
    )
    config = transformers.GroundingDinoConfig(
        backbone_config=transformers.SwinConfig(
            image_size=224, embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], window_size=7,
            out_indices=[2, 3, 4],
        ),
        text_config=transformers.BertConfig(
            vocab_size=30_522, hidden_size=256, num_hidden_layers=4, num_attention_heads=4,
            intermediate_size=1024,
        ),
        encoder_layers=3,
        decoder_layers=3,
        num_queries=100,
        disable_custom_kernels=True,
    )  # fmt: skip
    transformers.GroundingDinoForObjectDetection(config).save_pretrained(folder)
    images = transformers.GroundingDinoImageProcessorPil(size={"shortest_edge": 96, "longest_edge": 128})
    transformers.GroundingDinoProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)


def write_tracker(folder: Path) -> None:
    """SAM2 video as published (Hiera-T), but for small pictures."""
    config = transformers.Sam2VideoConfig()
    config.image_size = config.prompt_encoder_config.image_size = SIDE_PX
    vision = config.vision_config
    vision.backbone_config.image_size = [SIDE_PX, SIDE_PX]
    vision.backbone_feature_sizes = [[SIDE_PX // n, SIDE_PX // n] for n in (4, 8, 16)]
    config.memory_attention_rope_feat_sizes = [SIDE_PX // 16, SIDE_PX // 16]
    transformers.Sam2VideoModel(config).save_pretrained(folder)


def write_video(path: Path, seed: int) -> Path:
    """Two squares that move over noise, 160 x 120 pixels."""
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for t in range(FRAMES):
            image = rng.integers(60, 90, (120, 160, 3), dtype=np.uint8)
            image[20:60, 20 + 2 * t : 60 + 2 * t] = (255, 0, 0)
            image[40:90, 90 - 2 * t : 130 - 2 * t] = (0, 0, 255)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        file.mux(stream.encode())
    return path


def load_detector(folder: Path) -> Any:
    processor = transformers.AutoProcessor.from_pretrained(folder, local_files_only=True)
    model = transformers.AutoModelForZeroShotObjectDetection.from_pretrained(
        folder, local_files_only=True
    ).eval()
    return processor, model


def load_tracker(folder: Path) -> Any:
    return transformers.Sam2VideoModel.from_pretrained(folder, local_files_only=True).eval()


@torch.inference_mode()
def detect(detector: Any, images: np.ndarray[Any, Any]) -> Any:
    processor, model = detector
    inputs = processor(images=list(images), text=[TEXT] * len(images), return_tensors="pt", padding=True)
    return model(**inputs).pred_boxes


@torch.inference_mode()
def track(model: Any, images: np.ndarray[Any, Any]) -> int:
    """Number of frames tracked."""
    height, width = images.shape[1:3]
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    pixels = interpolate(pixels, (SIDE_PX, SIDE_PX), mode="bilinear", antialias=True)
    session = transformers.Sam2VideoInferenceSession(
        video=pixels, video_height=height, video_width=width, dtype=torch.float32
    )
    for number, (left, top, right, bottom) in enumerate(BOXES, 1):
        x, y = SIDE_PX / width, SIDE_PX / height
        corners = torch.tensor([[[[left * x, top * y], [right * x, bottom * y]]]])
        labels = torch.tensor([[[2, 3]]], dtype=torch.int32)  # the two corners of a box
        index = session.obj_id_to_idx(number)
        session.add_point_inputs(index, 0, {"point_coords": corners, "point_labels": labels})
        session.remove_mask_inputs(index, 0)
    session.obj_with_new_inputs = [1, 2]
    model(session, frame_idx=0)
    return sum(1 for _ in model.propagate_in_video_iterator(session, start_frame_idx=0))


def task(kept: Keeper, models: Path, video: Path) -> None:
    """What a worker does with one video."""
    weights = {name: fetch_weights(str(models / name)) for name in ("detector", "tracker")}
    detector = kept.get("detector", lambda: load_detector(weights["detector"]), lambda m: model_bytes(m[1]))
    tracker = kept.get("tracker", lambda: load_tracker(weights["tracker"]), model_bytes)
    images = load_footage(video, side_px=160, fps=10, max_frames=FRAMES).images
    assert detect(detector, images[:1]).shape[0] == 1
    assert track(tracker, images) == len(images)


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def in_a_process(models: Path, video: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.warm_workers", "--task", str(models), str(video)]
    subprocess.run(command, check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Seconds of each way, round by round, and the ratios."""
    models = folder / "models"
    torch.manual_seed(0)
    transformers.utils.logging.disable_progress_bar()
    write_detector(models / "detector")
    write_tracker(models / "tracker")
    videos = [write_video(folder / f"{seed}.mp4", seed) for seed in range(rounds + 1)]
    kept, loads = Keeper(None), Keeper(None)
    task(kept, models, videos[-1])  # the load that a warm worker pays once; and imports, for all
    seconds: dict[str, list[float]] = {"warm": [], "cold": [], "process": []}
    for video in videos[:rounds]:
        seconds["warm"].append(timed(lambda video=video: task(kept, models, video)))
        seconds["cold"].append(timed(lambda video=video: (task(loads, models, video), loads.clear())))
        seconds["process"].append(timed(lambda video=video: in_a_process(models, video)))
        print({way: round(took[-1], 2) for way, took in seconds.items()}, file=sys.stderr)
    return summary(seconds, kept)


def summary(seconds: dict[str, list[float]], kept: Keeper) -> dict[str, Any]:
    found: dict[str, Any] = {
        "models": kept.names,
        "parameters_millions": round(kept.kept_bytes / 4 / 1e6, 1),
        "rounds": len(seconds["warm"]),
    }
    for way, took in seconds.items():
        found[f"{way}_videos_per_minute"] = round(60 * len(took) / math.fsum(took), 2)
        found[f"{way}_median_s"] = round(statistics.median(took), 3)
    for way in ("cold", "process"):
        ratios = [other / warm for warm, other in zip(seconds["warm"], seconds[way], strict=True)]
        found[f"warm_over_{way}"] = round(math.fsum(seconds[way]) / math.fsum(seconds["warm"]), 2)
        found[f"warm_over_{way}_range"] = [round(min(ratios), 2), round(max(ratios), 2)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--task", nargs=2, type=Path, metavar=("MODELS", "VIDEO"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.task:
        task(Keeper(None), *given.task)
        return
    with tempfile.TemporaryDirectory(prefix="strefer-bench-") as folder:
        found = measure(Path(folder), given.rounds)
    if given.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:28} {value}")


if __name__ == "__main__":
    main()
