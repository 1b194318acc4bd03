"""A Video LLM that answers: implements `samples.Answerer` over a model, a processor and a store of frames."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from strefer_core.errors import ConfigError
from strefer_core.video_llm.frames import FrameStore
from strefer_core.video_llm.loading import load_model
from strefer_core.video_llm.modeling import IGNORED, VideoLlm
from strefer_core.video_llm.processing import REGION_MODES, Encoded, VideoLlmProcessor, on_device
from strefer_core.video_llm.samples import Sample
from strefer_core.video_llm.times import TIME_MODES, in_seconds

_ANSWERS_AT_ONCE = 16
_OPTIONS_AT_ONCE = 16  # measured on two cores: rows are padded to the longest, more at once is slower


class VideoLlmAnswerer:
    """Implements `samples.Answerer`; `log_likelihoods_of` asks many questions at once."""

    def __init__(self, model: VideoLlm, processor: VideoLlmProcessor, store: FrameStore) -> None:
        self.model = model.eval()  # type: ignore[no-untyped-call]
        self.processor = processor
        self.store = store

    @classmethod
    def load(cls, folder: Path, cache: Path | None = None, device: str | None = None) -> VideoLlmAnswerer:
        """A saved model.

        Args:
            folder: of the model.
            cache: where decoded frames are kept; None: a folder that is new each time.
            device: by default a GPU where there is one.

        Raises:
            InputError: as `load_model`.
        """
        processor = VideoLlmProcessor.from_pretrained(folder)
        model = load_model(folder)
        cache = cache or Path(tempfile.mkdtemp(prefix="strefer-frames-"))
        store = FrameStore(cache, processor.settings.image_size, processor.settings.frames)
        place = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return cls(model.to(place), processor, store)  # type: ignore[arg-type]

    # --- free answers ---------------------------------------------------------------------------------------

    def answer(self, samples: Sequence[Sample], *, max_new_tokens: int = 64) -> list[str]:
        """The greedy answer to each sample's last question; time tokens stay as the model writes them."""
        found: list[str] = []
        for first in range(0, len(samples), _ANSWERS_AT_ONCE):
            found += self._answered(samples[first : first + _ANSWERS_AT_ONCE], max_new_tokens)
        return found

    @torch.inference_mode()
    def _answered(self, samples: Sequence[Sample], max_new_tokens: int) -> list[str]:
        encoded = [self._encode(sample, "") for sample in samples]
        prompts, seen = self._prompts(encoded)
        tokenizer = self.processor.tokenizer
        new = self.model.generate(
            prompts["input_ids"],
            prompts["attention_mask"],
            seen=seen,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=self.end_ids(),
            pad_token_id=tokenizer.pad_token_id,
        )
        texts: list[str] = tokenizer.batch_decode(new, skip_special_tokens=True)
        end = self.processor.settings.chat.answer_end
        return [text.split(end)[0].strip() for text in texts]

    def in_seconds(self, sample: Sample, answer: str) -> str:
        """An answer with the times that it writes in tokens as "12.3 s"."""
        clock = self.store.footage(sample.video).clock
        return in_seconds(answer, clock, self.processor.settings.time_mode)

    def end_ids(self) -> list[int]:
        """The token that an answer ends with."""
        return self._end_ids()[-1:]

    def _end_ids(self) -> list[int]:
        ids = self.processor.tokenizer(self.processor.settings.chat.answer_end, add_special_tokens=False)
        return [int(one) for one in ids["input_ids"]]

    def _prompts(self, encoded: Sequence[Encoded]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """One row each, padded on the left, and what is seen in the order of the rows."""
        rows = [torch.tensor(one.ids[::-1]) for one in encoded]
        pad = float(self.processor.tokenizer.pad_token_id or 0)
        ids = pad_sequence(rows, batch_first=True, padding_value=pad).flip(1)
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True).flip(1)
        seen = self.processor.seen([[one] for one in encoded])
        device = self.model.device
        return on_device({"input_ids": ids, "attention_mask": mask}, device), on_device(seen, device)

    # --- likelihoods ----------------------------------------------------------------------------------------

    def log_likelihoods(self, sample: Sample, options: Sequence[str]) -> list[float]:
        """Log probability of each option as the answer, in nats per token."""
        return self.log_likelihoods_of([(sample, options)])[0]

    def log_likelihoods_of(self, asked: Sequence[tuple[Sample, Sequence[str]]]) -> list[list[float]]:
        """`log_likelihoods` of many questions; those on one video in a row share what is seen of it."""
        flat = [
            (number, sample, option) for number, (sample, options) in enumerate(asked) for option in options
        ]
        found: list[list[float]] = [[] for _ in asked]
        for first in range(0, len(flat), _OPTIONS_AT_ONCE):
            some = flat[first : first + _OPTIONS_AT_ONCE]
            encoded = [self._encode(sample, option) for _, sample, option in some]
            for (number, _, _), value in zip(some, self._scored(encoded), strict=True):
                found[number].append(value)
        return found

    def _encode(self, sample: Sample, answer: str) -> Encoded:
        return self.processor.encode(sample, self.store.footage(sample.video), answer=answer)

    @torch.inference_mode()
    def _scored(self, encoded: Sequence[Encoded]) -> list[float]:
        """Mean log probability of the last answer's tokens, without its end: "Yes" begins others, too."""
        batch = on_device(self.processor.pack(encoded), self.model.device)
        labels, questions = batch.pop("labels"), batch["questions"]
        logits = self.model(**batch).logits
        learned = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED) != IGNORED
        targets = labels[:, 1:][learned[:, :-1]]
        logs = logits[learned].float().log_softmax(-1).gather(1, targets[:, None])[:, 0]
        places = learned.nonzero()
        owners = [(int(row), int(questions[row, column])) for row, column in places.tolist()]
        sums: dict[tuple[int, int], list[float]] = {}
        for owner, value in zip(owners, logs.tolist(), strict=True):
            sums.setdefault(owner, []).append(value)
        order = _owners(encoded)
        end = len(self._end_ids())
        return [sum(sums[owner][:-end]) / max(len(sums[owner]) - end, 1) for owner in order]


def load_answerer(
    path: Path, *, region_mode: str | None = None, time_mode: str | None = None
) -> VideoLlmAnswerer:
    """A saved model that answers, with regions and times given in other ways than it was trained with.

    Raises:
        InputError: the folder holds no Video LLM.
        ConfigError: there is no such mode.
    """
    found = VideoLlmAnswerer.load(path)
    changes = {"region_mode": region_mode, "time_mode": time_mode}
    for (name, mode), known in zip(changes.items(), (REGION_MODES, TIME_MODES), strict=True):
        if mode is not None and mode not in known:
            raise ConfigError(f"there is no {name.replace('_', ' ')} {mode!r}; known: {', '.join(known)}")
    wanted = {name: mode for name, mode in changes.items() if mode is not None}
    found.processor.settings = found.processor.settings.model_copy(update=wanted)
    return found


def _owners(encoded: Sequence[Encoded]) -> list[tuple[int, int]]:
    """Row and question that each sample has in a batch with a row for each video."""
    rows: dict[Any, int] = {}
    counts: dict[Any, int] = {}
    found = []
    for one in encoded:
        row = rows.setdefault(one.key, len(rows))
        counts[one.key] = counts.get(one.key, 0) + 1
        found.append((row, counts[one.key]))
    return found
