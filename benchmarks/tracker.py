"""Our way from frames to masks against the reference recipe: time and memory, same weights, same machine.

`python -m benchmarks.tracker --json` on a CPU, about two minutes; `--full-size` on a GPU. Each way runs in a
process of its own, so that its peak memory is its own. The reference recipe (arXiv 2509.03501 and its
released script): frames go to the detector one by one, to disk as JPEG in two folders, back from there into
two video states, forward and backward, each with its own encoding; objects advance one after the other and
every mask comes to the host at full size. Both use the same classes of transformers and the same random
weights: time and memory hang on sizes, not on what is found.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.tracker_models import SIZES, write_models
from strefer_core.backends.interfaces import Detection, Footage
from strefer_core.backends.neural.groundingdino import GroundingDinoDetector
from strefer_core.backends.neural.sam2 import Sam2Tracker, load_sam2

NOUNS = ("person", "dog", "car")
WAYS = ("reference", "ours", "ours_with_agreement")
ENCODER_BATCHES = (1, 2, 4, 8, 16, 32)
HOTTEST = 12
SAMPLE_S = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--full-size", action="store_true", help="the released sizes, for a GPU")
    parser.add_argument(
        "--size", choices=SIZES, help="of the models; by default mid, or full with --full-size"
    )
    parser.add_argument("--frames", type=int, help="of the footage; by default 16, or 64 with --full-size")
    parser.add_argument("--side", type=int, help="longer side of a frame, pixels; by default 480, or 1280")
    parser.add_argument("--things", type=int, help="tracked; by default 2, or 3 with --full-size")
    parser.add_argument("--looked-at", type=int, default=8, help="frames that the detector sees; 0: none")
    parser.add_argument("--batch", type=int, default=8, help="frames per call of detector and encoder")
    parser.add_argument("--repeats", type=int, default=2, help="of which the fastest counts")
    parser.add_argument("--compile", action="store_true", help="also our way with a compiled model")
    parser.add_argument("--profile", action="store_true", help="also the operators that cost most in ours")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--models", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    full = given.full_size
    given.size = given.size or ("full" if full else "mid")
    given.frames = given.frames or (64 if full else 16)
    given.side = given.side or (1280 if full else 480)
    given.things = given.things or (3 if full else 2)
    if given.way:
        print(json.dumps(measured(given)))
        return
    with tempfile.TemporaryDirectory(prefix="strefer-tracker-") as folder:
        found = compared(given, Path(folder))
    print(json.dumps(found, indent=1) if given.json else _told(found))


def compared(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All ways, one after the other, and what they are to each other."""
    write_models(given.size, folder)
    ways = [*WAYS, *(["ours_compiled"] if given.compile else [])]
    found: dict[str, Any] = {way: _in_a_process(way, folder) for way in ways}
    ours, reference = found["ours"], found["reference"]
    found["times_faster"] = {
        name: reference[name] / ours[name]
        for name in ("detect_s", "detect_cpu_s", "track_s", "track_cpu_s")
        if ours[name]
    }
    for name in ("tracker_peak_bytes", "tracker_above_models_bytes", "peak_bytes"):
        found[f"{name}_share"] = ours[name] / reference[name]
    floor = min(ours["encoder_s"].values())
    found["over_encoder_floor"] = {way: found[way]["track_s"] / floor for way in ways}
    found["setting"] = {
        name: getattr(given, name)
        for name in ("size", "frames", "side", "things", "looked_at", "batch", "repeats")
    } | {"device": _device_name(), "torch": torch.__version__}
    return found


def _in_a_process(way: str, folder: Path) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.tracker",
        *sys.argv[1:],
        "--way",
        way,
        "--models",
        str(folder),
    ]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(f"{way}: {ended.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """One way in this process: seconds, frames per second, memory, use of the GPU."""
    work = Reference(given) if given.way == "reference" else Ours(given)
    shown = footage(given.frames, given.side)
    things = [_detection(given, number, given.frames // 2) for number in range(given.things)]
    work.track(footage(3, given.side, seed=1), [_detection(given, 0, 1)])  # kernels are chosen, caches filled
    if given.looked_at:
        work.detect(shown, 1)
    before = _peak_bytes()
    with utilisation() as shares:
        track_s, track_cpu_s = best(lambda: work.track(shown, things), given.repeats)
    peak = _peak_bytes()
    looks = given.repeats if given.looked_at else 0
    detect_s, detect_cpu_s = best(lambda: work.detect(shown, given.looked_at), looks)
    found: dict[str, Any] = {
        "track_s": track_s,
        "track_cpu_s": track_cpu_s,
        "detect_s": detect_s,
        "detect_cpu_s": detect_cpu_s,
        "frames_per_s": given.frames / track_s,
        "tracker_peak_bytes": peak,
        "tracker_above_models_bytes": max(peak - before, 1),
        "peak_bytes": _peak_bytes(),
        "gpu_utilisation": float(np.mean(shares)) if shares else None,
    }
    if isinstance(work, Ours) and given.way == "ours":
        found["encoder_s"] = work.encoder_floor(shown)
        if given.profile:
            found["hottest"] = work.hottest(shown, things)
    return found


class Ours:
    """Detector and tracker of this project."""

    def __init__(self, given: argparse.Namespace) -> None:
        device, dtype = _device()
        self.detector = GroundingDinoDetector(given.models / "groundingdino", device, dtype, given.batch)
        self.tracker = Sam2Tracker(
            given.models / "sam2",
            device,
            dtype,
            given.batch,
            measures_agreement=given.way == "ours_with_agreement",
            compiles=given.way == "ours_compiled",
        )

    def detect(self, shown: Footage, count: int) -> None:
        self.detector.detect(shown, range(min(count, len(shown.sampled))), NOUNS)

    def track(self, shown: Footage, things: list[Detection]) -> None:
        self.tracker.features = None
        self.tracker.track(shown, things)

    def encoder_floor(self, shown: Footage) -> dict[int, float]:
        """Seconds of the image encoder alone for all frames, by batch."""
        found = {}
        for batch in ENCODER_BATCHES:
            if batch <= len(shown.images):
                self._encode(shown, batch)
                found[batch], _ = best(lambda batch=batch: self._encode(shown, batch), 2)  # type: ignore[misc]
        return found

    @torch.inference_mode()
    def _encode(self, shown: Footage, batch: int) -> None:
        for start in range(0, len(shown.images), batch):
            self.tracker.model.encode(shown.images[start : start + batch])

    def hottest(self, shown: Footage, things: list[Detection]) -> list[dict[str, Any]]:
        """The operators that cost most, and all of them together, on the GPU where there is one."""
        from torch.profiler import ProfilerActivity, profile

        on_gpu = torch.cuda.is_available()
        kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
        with profile(activities=kinds) as watched:
            self.track(shown, things)
        rows = [
            {
                "name": event.key,
                "calls": event.count,
                "ms": (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1000,
            }
            for event in watched.key_averages()
            if event.key.startswith("aten::")  # a kernel's time is its operator's, too
        ]
        whole = {"name": "all", "calls": 1, "ms": sum(row["ms"] for row in rows)}
        return [whole, *sorted(rows, key=lambda row: -row["ms"])[:HOTTEST]]


class Reference:
    """The reference recipe."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.device, self.dtype = _device()
        self.detector = GroundingDinoDetector(given.models / "groundingdino", self.device, self.dtype, 1)
        self.model: Any = load_sam2(given.models / "sam2").to(device=self.device, dtype=self.dtype)

    def detect(self, shown: Footage, count: int) -> None:
        for frame in range(min(count, len(shown.sampled))):
            self.detector.detect(shown, [frame], NOUNS)

    def track(self, shown: Footage, things: list[Detection]) -> None:
        """Masks of all things on all frames at full size, on the host."""
        start = int(shown.sampled[things[0].frame_index])
        forward = self._clip(shown, range(start, len(shown.images)), things)
        backward = self._clip(shown, range(start, -1, -1), things)
        assert len(forward) + len(backward) == len(shown.images) + 1

    def _clip(self, shown: Footage, frames: range, things: list[Detection]) -> list[list[Any]]:
        with tempfile.TemporaryDirectory() as folder:
            self._write(shown, frames, Path(folder))
            video = self._read(Path(folder))
        return self._propagated(video, shown, things)

    def _write(self, shown: Footage, frames: range, folder: Path) -> None:
        from PIL import Image

        for place, frame in enumerate(frames):
            Image.fromarray(shown.images[frame]).save(folder / f"{place:05}.jpg", quality=95)

    def _read(self, folder: Path) -> torch.Tensor:
        """(T, 3, S, S), all of it on the device."""
        from PIL import Image

        side = (self.model.config.image_size,) * 2
        mean, std = (np.array(of, np.float32) for of in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        squares = [np.asarray(Image.open(path).resize(side)) for path in sorted(folder.iterdir())]
        pixels = (np.stack(squares).astype(np.float32) / 255 - mean) / std
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).to(device=self.device, dtype=self.dtype)

    @torch.inference_mode()
    def _propagated(self, video: torch.Tensor, shown: Footage, things: list[Detection]) -> list[list[Any]]:
        from transformers import Sam2VideoInferenceSession

        height, width = shown.images.shape[1:3]
        session: Any = Sam2VideoInferenceSession(
            video=video,
            video_height=height,
            video_width=width,
            inference_device=self.device,
            inference_state_device=self.device,
            video_storage_device=self.device,
            dtype=self.dtype,
        )
        scale = np.array([video.shape[-1] / width, video.shape[-1] / height] * 2)
        for thing in things:
            number = session.obj_id_to_idx(len(session.obj_ids))
            corners = torch.tensor(np.array(thing.box) * scale, dtype=self.dtype).reshape(1, 1, 2, 2)
            labels = torch.tensor([[[2, 3]]], dtype=torch.int32)
            session.add_point_inputs(number, 0, {"point_coords": corners, "point_labels": labels})
        session.obj_with_new_inputs = list(session.obj_ids)
        self.model(session, frame_idx=0)
        masks = []
        for one in self.model.propagate_in_video_iterator(session, start_frame_idx=0):
            whole = torch.nn.functional.interpolate(one.pred_masks.float(), (height, width), mode="bilinear")
            masks.append([(whole[number] > 0).cpu().numpy() for number in range(len(things))])
        return masks


def footage(frames: int, side_px: int, seed: int = 0) -> Footage:
    """Discs that move over a striped ground: pictures that a JPEG encoder finds usual."""
    height, width = side_px * 9 // 16, side_px
    draws = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    ground = np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 256], -1)
    images = np.repeat(ground[None].astype(np.uint8), frames, axis=0)
    for _ in range(4):
        (x, y), (dx, dy) = draws.uniform(0.2, 0.8, 2), draws.uniform(-0.01, 0.01, 2)
        colour = draws.integers(0, 255, 3)
        for t in range(frames):
            disc = np.hypot(columns - (x + t * dx) * width, rows - (y + t * dy) * height) < height / 8
            images[t][disc] = colour
    return Footage(
        images=images,
        pts_s=np.arange(frames) / 10,
        sampled=np.arange(frames),
        scale=1.0,
        width_px=width,
        height_px=height,
    )


def _detection(given: argparse.Namespace, number: int, frame: int) -> Detection:
    """Boxes side by side on one frame."""
    height, width = given.side * 9 / 16, given.side
    left = width * number / given.things
    box = (left + 4, height / 4, left + width / given.things - 4, 3 * height / 4)
    return Detection(frame_index=frame, box=box, score=0.9, noun_scores=(0.9,) * len(NOUNS))


def best(work: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Least seconds of the clock and of this process's CPUs, which a busy machine disturbs less."""
    found = []
    for _ in range(repeats):
        _wait()
        started, used = time.perf_counter(), time.process_time()
        work()
        _wait()
        found.append((time.perf_counter() - started, time.process_time() - used))
    return min((wall for wall, _ in found), default=0.0), min((used for _, used in found), default=0.0)


@contextmanager
def utilisation() -> Iterator[list[float]]:
    """Shares of time in which the GPU did something, 0..1, as its driver tells; empty without one."""
    shares: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_S):
            shares.append(torch.cuda.utilization() / 100)

    watcher = threading.Thread(target=watch, daemon=True)
    if torch.cuda.is_available():
        watcher.start()
    try:
        yield shares
    finally:
        over.set()
        if watcher.is_alive():
            watcher.join()


def _device() -> tuple[str, torch.dtype]:
    return ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", torch.float32)


def _device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {os.cpu_count()} cores"


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _peak_bytes() -> int:
    """Most memory so far: of the GPU where there is one, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _told(found: dict[str, Any]) -> str:
    lines = [str(found["setting"])]
    for way, one in found.items():
        if isinstance(one, dict) and "track_s" in one:
            used = "" if one["gpu_utilisation"] is None else f", GPU busy {one['gpu_utilisation']:.0%}"
            lines.append(
                f"{way:20} detect {one['detect_s']:6.2f} s, track {one['track_s']:6.2f} s "
                f"({one['frames_per_s']:.1f} frames/s), peak {one['peak_bytes'] / 2**20:.0f} MiB{used}"
            )
    lines += [f"{name} {found[name]}" for name in found if name not in (*WAYS, "ours_compiled", "setting")]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
