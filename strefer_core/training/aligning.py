"""First step of a training from scratch: what lies under a mask becomes words, before sentences are learned.

Vision tower and region connector learn to tell, from one frame and one mask, the words of the answers about
that thing, read by the language model's own output layer (a bag of words, rare ones weigh more): of answers
about all of the video, and of those about an interval that the frame lies in, half each. The way
from pixels to words is short here; through the language model's attention alone a model from scratch passes
over the mask for thousands of steps. Ours; the paper starts from pre-trained towers instead.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from strefer_core.errors import InputError
from strefer_core.training.reading import Lines, Videos
from strefer_core.video_llm.connector import pool_regions
from strefer_core.video_llm.frames import FrameStore
from strefer_core.video_llm.modeling import VideoLlm
from strefer_core.video_llm.processing import VideoLlmProcessor, region_cells
from strefer_core.video_llm.samples import Region, Sample

_MOST_THINGS = 50_000  # more are not needed to learn what words look like
_WARM_UP = 20
_LEAST = 0.2  # weight of a word that is said of all


@dataclass
class Thing:
    """Somebody who is asked about, with all that is answered."""

    sample: Sample  # any of those that show it
    always: Counter[int] = field(default_factory=Counter)  # tokens of answers about all of the video
    timed: list[tuple[float, float, frozenset[int]]] = field(
        default_factory=list
    )  # and about [start_s, end_s)

    @property
    def region(self) -> Region:
        return self.sample.regions[0]


def align(
    model: VideoLlm,
    processor: VideoLlmProcessor,
    things: Sequence[Thing],
    store: FrameStore,
    *,
    steps: int,
    batch: int = 48,
    learning_rate: float = 3e-3,
    seed: int = 0,
) -> list[float]:
    """Train the vision tower, the region connector and the embeddings of words.

    Returns:
        The loss of every step, in nats.
    """
    rng = np.random.default_rng([seed, 1])
    weights = _rarity(things, len(processor.tokenizer))
    learning = [
        *model.vision_tower.parameters(),
        *model.region_projector.parameters(),
        *model.get_input_embeddings().parameters(),
    ]
    optimizer = torch.optim.AdamW(learning, lr=learning_rate, weight_decay=0.01)
    losses = []
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, (step + 1) / _WARM_UP) * (1 - 0.9 * step / steps)
        drawn = [things[place] for place in rng.choice(len(things), batch)]
        drawn = [thing for thing in drawn if _can_be_seen(thing, store)]
        if not drawn:
            continue
        loss = _loss(model, *_batch(drawn, processor, store, weights, rng))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    model.visual_projector.load_state_dict(model.region_projector.state_dict())  # the same words for cells
    return losses


def things_in(
    sources: Sequence[Lines], videos: Mapping[int, Videos], processor: VideoLlmProcessor
) -> list[Thing]:
    """Everybody who is asked about alone. Records that cannot be read are left to the training to tell of."""
    found: dict[tuple[str, str], Thing] = {}
    for place, lines in enumerate(sources):
        for number in range(len(lines)):
            sample = _readable(lines, number, videos[place])
            if sample is None or len(sample.regions) != 1 or not sample.regions[0]:
                continue
            frame = min(sample.regions[0])
            key = (str(sample.video), f"{frame} {sample.regions[0][frame]['counts']}")
            thing = found.setdefault(key, Thing(sample))
            _note(thing, sample, processor)
            if len(found) >= _MOST_THINGS:
                return [*found.values()]
    return [*found.values()]


def _can_be_seen(thing: Thing, store: FrameStore) -> bool:
    """Videos that cannot be decoded are left to the training to tell of."""
    try:
        store.footage(thing.sample.video)
    except InputError:
        return False
    return True


def _note(thing: Thing, sample: Sample, processor: VideoLlmProcessor) -> None:
    """Keep what is answered. Answers in times stay out: no single frame tells them."""
    for question, answer in sample.turns:
        ids = frozenset(processor.tokenizer(answer, add_special_tokens=False)["input_ids"])
        if sample.start_s is None or sample.end_s is None:
            thing.always.update(ids)
        elif "<start_time>" in question:
            thing.timed.append((sample.start_s, sample.end_s, ids))


def _readable(lines: Lines, number: int, videos: Videos) -> Sample | None:
    try:
        return lines.sample(number, videos)
    except InputError:
        return None


def _rarity(things: Sequence[Thing], vocabulary: int) -> Tensor:
    """Inverse document frequency (vocabulary,): words that are said of everybody weigh nothing."""
    counts = Counter(
        token
        for thing in things
        for token in thing.always.keys() | {token for *_, ids in thing.timed for token in ids}
    )
    weights = torch.zeros(vocabulary)
    for token, count in counts.items():
        weights[token] = math.log(len(things) / count) + _LEAST
    return weights


def _words(thing: Thing, time_s: float, weights: Tensor) -> Tensor:
    """Shares (vocabulary,) of what is said of a thing at a time."""
    now = Counter(token for start_s, end_s, ids in thing.timed if start_s <= time_s < end_s for token in ids)
    parts = [_shares(part, weights) for part in (thing.always, now) if part]
    return torch.stack(parts).mean(0) if parts else torch.zeros_like(weights)


def _shares(counts: Counter[int], weights: Tensor) -> Tensor:
    found = torch.zeros_like(weights)
    for token, count in counts.items():
        found[token] = count * weights[token]
    return found / found.sum().clamp(min=1e-6)


def _batch(
    drawn: Sequence[Thing],
    processor: VideoLlmProcessor,
    store: FrameStore,
    weights: Tensor,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures (B, 1, 3, S, S), touched cells (B, 1, P), and the shares of words (B, vocabulary)."""
    pictures, cells = [], []
    words = torch.zeros(len(drawn), len(weights))
    for row, thing in enumerate(drawn):
        frame = sorted(thing.region)[int(rng.integers(len(thing.region)))]
        footage = store.footage(thing.sample.video)
        pictures.append(footage.pictures[frame])
        cells.append(region_cells(thing.region[frame], processor.settings.patches_per_side))
        words[row] = _words(thing, footage.clock.frames_s[frame], weights)
    return torch.from_numpy(np.stack(pictures)[:, None]), torch.from_numpy(np.stack(cells)[:, None]), words


def _loss(model: VideoLlm, pictures: Tensor, cells: Tensor, words: Tensor) -> Tensor:
    device = model.device
    features = model.encode_frames(pictures.to(device))
    tokens = model.region_projector(pool_regions(features, cells.to(device))[:, 0])
    logits = model.get_output_embeddings()(nn.functional.rms_norm(tokens, tokens.shape[-1:]))
    return -(words.to(device) * logits.float().log_softmax(-1)).sum(1).mean()
