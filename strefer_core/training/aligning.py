"""First step of a training from scratch: masks become phrases, before sentences are learned.

Vision tower and region connector learn to tell, from a frame, its neighbours and one mask, what is answered
about that thing: phrases of one to three words (rare ones weigh more), of answers about all of the video and
of those about an interval that the frame lies in, half each. An auxiliary layer reads the phrases, which is
dropped afterwards, and the language model's own output layer reads the words. A bag of words alone would not
do: "to the left" and "on the left" share their words. The way from pixels to phrases is short here; through
the language model's attention alone a model from scratch passes over the mask for thousands of steps.
Likewise the temporal encoder learns which patches are salient: those that masks touch; and the pooling by
words where a thing's names are, and that the names of things of other videos are nowhere, nor words that
name nothing.
Ours; the paper starts from pre-trained towers instead.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from strefer_core.errors import InputError
from strefer_core.training.reading import Lines, Videos
from strefer_core.video_llm.connector import motion
from strefer_core.video_llm.frames import FrameStore
from strefer_core.video_llm.modeling import VideoLlm
from strefer_core.video_llm.processing import VideoLlmProcessor, region_cells
from strefer_core.video_llm.samples import Region, Sample
from strefer_core.video_llm.times import Clock

_MOST_THINGS = 50_000  # more are not needed to learn what words look like
_MOST_PHRASES = 1500
_LEAST_THINGS = 8  # that a phrase is said of
_WORDS = 3  # of the longest phrase
_STRIDE = 2  # every second frame of a video: neighbours are nearly the same
_WARM_UP = 20
_LEAST = 0.2  # weight of a phrase that is said of all
_NAMES = 6  # words by which a thing is found
_NOWHERE = 0.5  # weight of words that mean nothing in a video
_MOST_STRANGE = 32  # of these at a time


@dataclass
class Thing:
    """Somebody who is asked about, with all that is answered."""

    sample: Sample  # any of those that show it
    always: list[str] = field(default_factory=list)  # answers about all of the video
    timed: list[tuple[float, float, str]] = field(default_factory=list)  # and about [start_s, end_s)

    @property
    def region(self) -> Region:
        return self.sample.regions[0]

    questions: set[str] = field(default_factory=set)
    names: set[tuple[int, int]] = field(default_factory=set)  # tokens, each with the one before

    def answers(self) -> Iterator[str]:
        yield from self.always
        yield from (answer for *_, answer in self.timed)


def align(
    model: VideoLlm,
    processor: VideoLlmProcessor,
    things: Sequence[Thing],
    store: FrameStore,
    *,
    steps: int,
    videos: int = 8,
    learning_rate: float = 3e-3,
    seed: int = 0,
) -> list[float]:
    """Train the vision tower, the connectors, the embeddings of words and the score of salience.

    Args:
        model, processor: to be trained.
        things: what to learn from, with what is said of it.
        store: of the videos.
        steps: of training.
        videos: in a step.
        learning_rate: at its highest.
        seed: of the draws.

    Returns:
        The loss of every step, in nats.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 1])
    seen = _seen(things, store, processor)
    if not seen:
        return []
    readers = [_phrases(things), _tokens(things, processor)]
    for one in seen:
        one.learn(readers)
    nameless = _name(things, processor) if model.word_pooling is not None else []
    width = int(model.config.text_config.hidden_size)
    head = nn.Linear(width, readers[0].size)
    head.to(model.device)
    learning = _learning(model, head)
    optimizer = torch.optim.AdamW(learning, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    losses = []
    model.train()
    for step in range(steps):
        _set_rate(optimizer, learning_rate * min(1.0, (step + 1) / _WARM_UP) * (1 - 0.9 * step / steps))
        drawn = [seen[place] for place in rng.choice(len(seen), min(videos, len(seen)), replace=False)]
        some = [nameless[n] for n in rng.choice(len(nameless), _MOST_STRANGE)] if nameless else []
        loss = _loss(model, head, drawn, store, some, slice(int(rng.integers(_STRIDE)), None, _STRIDE))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    own = {name: one for name, one in model.region_projector.state_dict().items() if name != "mark"}
    model.visual_projector.load_state_dict(own, strict=False)
    return losses


def _learning(model: VideoLlm, head: nn.Module) -> list[nn.Parameter]:
    """What `align` trains."""
    parts = (
        model.vision_tower,
        model.temporal_encoder,
        model.region_projector,
        model.motion_projector,
        model.word_pooling,
        model.get_input_embeddings(),
        head,
    )
    return [parameter for part in parts if part is not None for parameter in part.parameters()]


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


# --- what is said -------------------------------------------------------------------------------------------


def things_in(sources: Sequence[Lines], videos: Mapping[int, Videos]) -> list[Thing]:
    """Everybody who is asked about alone. Records that cannot be read are left to the training to tell of."""
    found: dict[tuple[str, str], Thing] = {}
    for place, lines in enumerate(sources):
        for number in range(len(lines)):
            sample = _readable(lines, number, videos[place])
            if sample is None or len(sample.regions) != 1 or not sample.regions[0]:
                continue
            frame = min(sample.regions[0])
            key = (str(sample.video), f"{frame} {sample.regions[0][frame]['counts']}")
            _note(found.setdefault(key, Thing(sample)), sample)
            if len(found) >= _MOST_THINGS:
                return [*found.values()]
    return [*found.values()]


def _note(thing: Thing, sample: Sample) -> None:
    """Keep what is answered. Answers in times stay out: no single frame tells them."""
    for question, answer in sample.turns:
        thing.questions.add(question)
        if sample.start_s is None or sample.end_s is None:
            thing.always.append(answer)
        elif "<start_time>" in question:
            thing.timed.append((sample.start_s, sample.end_s, answer))


def _readable(lines: Lines, number: int, videos: Videos) -> Sample | None:
    try:
        return lines.sample(number, videos)
    except InputError:
        return None


@dataclass
class _Shares:
    """Shares by time: neighbouring frames mostly have the same, and most of them are 0."""

    rows: Tensor  # (R, size), sparse
    places: list[int]  # per time its row

    def at(self, times: slice) -> Tensor:
        """(T, size) of some of the times."""
        return self.rows.to_dense()[self.places[times]]


class _Reader:
    """Shares of what is said in answers; what is said of few things weighs more."""

    def __init__(self, split: Mapping[str, frozenset[int]], weights: Tensor) -> None:
        self._split, self._weights = split, weights
        self.size = len(weights)

    def shares(self, thing: Thing, times_s: Sequence[float]) -> _Shares:
        """What is said of a thing at times; each row sums to 1, or to 0 for nothing."""
        said = [tuple(a for start_s, end_s, a in thing.timed if start_s <= t < end_s) for t in times_s]
        places = {now: place for place, now in enumerate(dict.fromkeys(said))}
        rows = torch.stack([self._both(thing.always, now) for now in places])
        return _Shares(rows.to_sparse(), [places[now] for now in said])

    def _both(self, always: Sequence[str], now: Sequence[str]) -> Tensor:
        parts = [self._of(answers) for answers in (always, now) if answers]
        return torch.stack(parts).mean(0) if parts else torch.zeros(self.size)

    def _of(self, answers: Sequence[str]) -> Tensor:
        counts = Counter(one for answer in answers for one in self._split[answer])
        found = torch.zeros(self.size)
        found[list(counts)] = torch.tensor([float(count) for count in counts.values()])
        found *= self._weights
        return found / found.sum().clamp(min=1e-6)


def _phrases(things: Sequence[Thing]) -> _Reader:
    split = {answer: _phrases_of(answer) for thing in things for answer in thing.answers()}
    counts = Counter(one for thing in things for one in {p for a in thing.answers() for p in split[a]})
    least = min(_LEAST_THINGS, max(1, len(things) // 4))
    # Sorted, not as sets have them: their order is another one in each process.
    ranked = sorted(counts, key=lambda phrase: (-counts[phrase], phrase))
    kept = [phrase for phrase in ranked[:_MOST_PHRASES] if counts[phrase] >= least]
    places = {phrase: place for place, phrase in enumerate(kept)}
    weights = torch.tensor([math.log(len(things) / counts[phrase]) + _LEAST for phrase in kept])
    numbers = {a: frozenset(places[p] for p in said if p in places) for a, said in split.items()}
    return _Reader(numbers, weights)


def _phrases_of(answer: str) -> frozenset[str]:
    found = set()
    for clause in re.split(r"[.,;:]", answer.lower()):
        words = re.findall(r"\w+", clause)
        for length in range(1, _WORDS + 1):
            found |= {" ".join(words[first : first + length]) for first in range(len(words) - length + 1)}
    return frozenset(found)


def _tokens(things: Sequence[Thing], processor: VideoLlmProcessor) -> _Reader:
    answers = {answer for thing in things for answer in thing.answers()}
    ids = {a: frozenset(processor.tokenizer(a, add_special_tokens=False)["input_ids"]) for a in answers}
    counts = Counter(one for thing in things for one in {token for a in thing.answers() for token in ids[a]})
    weights = torch.zeros(len(processor.tokenizer))
    for token, count in counts.items():
        weights[token] = math.log(len(things) / count) + _LEAST
    return _Reader(ids, weights)


def _name(things: Sequence[Thing], processor: VideoLlmProcessor) -> list[tuple[int, int]]:
    """Find the words that most of a thing's answers have and few other things' answers; return other words,
    of questions, that no name has."""
    answers = {answer for thing in things for answer in thing.answers()}
    asked = {question for thing in things for question in thing.questions}
    ids = {a: processor.tokenizer(a, add_special_tokens=False)["input_ids"] for a in answers | asked}
    pairs = {text: set(pairwise(found)) for text, found in ids.items()}
    counts = [Counter(pair for answer in thing.answers() for pair in pairs[answer]) for thing in things]
    spread = Counter(pair for count in counts for pair in count)
    for thing, count in zip(things, counts, strict=True):
        worth = {pair: number * math.log(len(things) / spread[pair]) for pair, number in count.items()}
        ranked = sorted((pair for pair in worth if worth[pair]), key=lambda pair: (-worth[pair], pair))
        thing.names = set(ranked[:_NAMES])  # what is said of all names nobody
    naming = {token for thing in things for _, token in thing.names}
    return sorted({pair for question in asked for pair in pairs[question] if pair[1] not in naming})


# --- what is seen -------------------------------------------------------------------------------------------


@dataclass
class _Seen:
    """One video with the things in it."""

    video: Path
    clock: Clock
    things: list[Thing]
    cells: Tensor  # (N, F, P) bool
    shares: list[list[_Shares]] = field(default_factory=list)  # per reader and thing

    def learn(self, readers: Sequence[_Reader]) -> None:
        """Work out what is to be told of each thing on each frame."""
        times = self.clock.frames_s
        self.shares = [[reader.shares(one, times) for one in self.things] for reader in readers]


def _seen(things: Sequence[Thing], store: FrameStore, processor: VideoLlmProcessor) -> list[_Seen]:
    """By video. Videos that cannot be decoded are left to the training to tell of."""
    of_video = defaultdict(list)
    for thing in things:
        of_video[thing.sample.video].append(thing)
    found = []
    for video, own in of_video.items():
        try:
            clock = store.footage(video).clock
        except InputError:
            continue
        cells = torch.stack([_cells(thing.region, processor) for thing in own])
        found.append(_Seen(video, clock, own, cells))
    return found


def _cells(region: Region, processor: VideoLlmProcessor) -> Tensor:
    side = processor.settings.patches_per_side
    found = torch.zeros(processor.settings.frames, side**2, dtype=torch.bool)
    for frame, rle in region.items():
        found[frame] = torch.from_numpy(region_cells(rle, side))
    return found


def _loss(
    model: VideoLlm,
    head: nn.Module,
    drawn: Sequence[_Seen],
    store: FrameStore,
    nameless: Sequence[tuple[int, int]],
    frames: slice,
) -> Tensor:
    """Cross-entropy of phrases and of words, and of the touched patches among all of a frame."""
    device = model.device
    pictures = np.stack([store.footage(one.video).pictures[frames] for one in drawn])
    features = model.encode_frames(torch.from_numpy(pictures).to(device))
    owners = torch.tensor([place for place, one in enumerate(drawn) for _ in one.things], device=device)
    cells = torch.cat([one.cells[:, frames] for one in drawn]).to(device)
    shown = cells.any(-1)
    pooled = model.pool(features[owners], cells)
    tokens = [model.region_projector(pooled[shown])]
    if model.motion_projector is not None:
        tokens.append(model.motion_projector(motion(pooled, shown, reach=1)[shown]))
    tokens = [nn.functional.rms_norm(one, one.shape[-1:]) for one in tokens]
    loss = _salience_loss(model, features, owners, cells)
    if model.word_pooling is not None:
        loss = (
            loss
            + torch.stack(
                [
                    _naming_loss(model, video, drawn, nameless, features[place], cells[owners == place])
                    for place, video in enumerate(drawn)
                ]
            ).mean()
        )
    for place, layer in enumerate((head, model.get_output_embeddings())):
        shares = torch.stack([said.at(frames) for one in drawn for said in one.shares[place]])
        shares = shares.to(device)[shown]
        told = torch.stack([layer(one).float() for one in tokens]).sum(0)
        loss = loss - (shares * told.log_softmax(-1)).sum(1).mean()
    return loss


def _naming_loss(
    model: VideoLlm,
    video: _Seen,
    drawn: Sequence[_Seen],
    nameless: Sequence[tuple[int, int]],
    features: Tensor,
    cells: Tensor,
) -> Tensor:
    """Of the words for a video's things, and of those for nothing in it.

    Args:
        drawn: other videos, whose things have names.
        nameless: words that name nothing anywhere.
        features: (F, P, d).
        cells: (N, F, P) of the video's things.
    """
    assert model.word_pooling is not None
    own = [(pair, place) for place, thing in enumerate(video.things) for pair in sorted(thing.names)]
    if not own:  # a thing whose answers are those of all others
        return features.new_zeros(())
    known = {token for (_, token), _ in own}
    others = {pair for one in drawn for thing in one.things for pair in thing.names}
    strange = sorted(pair for pair in others if pair[1] not in known)
    strange = [*strange[:: 1 + len(strange) // _MOST_STRANGE], *nameless]
    pairs = torch.tensor([pair for pair, _ in own] + strange, device=features.device)
    logs = model.word_pooling(model.get_input_embeddings()(pairs).flatten(1), features)
    meant = cells[[place for _, place in own]]  # (own names, F, P)
    hits = logs[: len(own), :, :-1].masked_fill(~meant, -torch.inf).logsumexp(-1)[meant.any(-1)]
    loss = -hits.sum() / max(1, len(hits))
    return loss - _NOWHERE * logs[len(own) :, :, -1].mean() if strange else loss


def _salience_loss(model: VideoLlm, features: Tensor, owners: Tensor, cells: Tensor) -> Tensor:
    touched = torch.zeros(features.shape[:3], dtype=torch.bool, device=features.device)
    for place, owner in enumerate(owners.tolist()):
        touched[owner] |= cells[place]
    logs = (features @ model.temporal_encoder.score).float().log_softmax(-1)
    found = logs.masked_fill(~touched, -torch.inf).logsumexp(-1)
    return -found[touched.any(-1)].mean()
