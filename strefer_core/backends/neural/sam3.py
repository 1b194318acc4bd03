"""SAM 3 video through transformers: noun phrases become tracks in one pass, detector and tracker in one.

It finds all things that a noun names and follows them from where they appear; it does not know who "the man
on the left" is, so an assigner is needed as elsewhere. Text prompts need no torchvision. Past this edge:
prompts by boxes (transformers pools them with torchvision) and transformers 4, which has no SAM 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from strefer_core.backends.interfaces import Detection, Footage, Images, Masks, Track
from strefer_core.errors import BackendError, ConfigError
from strefer_core.masks import tight_box

_MEAN, _STD = 0.5, 0.5  # of every channel: what the released processor has
_MAX_TOKENS = 32  # of a noun phrase; the released text encoder has no more places


@dataclass(frozen=True)
class Found:
    """One thing that the model has found and followed."""

    noun: int  # place among the nouns asked for
    score: float  # of its detection, 0..1
    masks: Masks  # (T, H, W)
    presence: NDArray[np.float32]  # (T,) logits that it is in view; -inf where it has no mask


class Sam3Video:
    """Detector and Tracker (see `backends.interfaces`) in one: what it detects it has tracked already.

    Keeps what it found in the last footage, by its nouns.
    """

    def __init__(self, folder: Path, device: str, dtype: torch.dtype) -> None:
        """Load a checkpoint.

        Args:
            folder: as `save_pretrained` writes it, with the tokenizer of its text encoder.
            device: `cpu` or `cuda[:n]`.
            dtype: of weights and frames.

        Raises:
            ConfigError: no SAM 3 video checkpoint there, or a transformers that has no SAM 3.
        """
        self.model, self._tokenizer = load_sam3(folder)
        self.model.to(device=device, dtype=dtype)
        self._device, self._dtype = device, dtype
        self._side_px = int(self.model.config.image_size)
        self._last: tuple[Images, tuple[str, ...], list[Found]] | None = None

    def detect(
        self, footage: Footage, frame_indices: Sequence[int], nouns: Sequence[str]
    ) -> list[list[Detection]]:
        """Boxes around the masks of everything found, per asked frame."""
        found = self.find(footage, nouns)
        return [
            [
                Detection(
                    frame_index=index, box=box, score=one.score, noun_scores=_noun_scores(one, len(nouns))
                )
                for one in found
                if (box := tight_box(one.masks[footage.sampled[index]])) is not None
            ]
            for index in frame_indices
        ]

    def track(self, footage: Footage, detections: Sequence[Detection]) -> list[Track]:
        """The tracks that detections were made of.

        Raises BackendError for a detection that is not of the last `detect` on this footage: boxes of others
        cannot be tracked without torchvision.
        """
        return [self._track(footage, one) for one in detections]

    def find(self, footage: Footage, nouns: Sequence[str]) -> list[Found]:
        """Everything that any of the nouns names, over all working frames."""
        asked = tuple(nouns)
        if self._last is None or self._last[0] is not footage.images or self._last[1] != asked:
            self._last = None
            self._last = footage.images, asked, self._found(footage, asked) if asked else []
        return self._last[2]

    def _track(self, footage: Footage, detection: Detection) -> Track:
        known = self._last[2] if self._last is not None and self._last[0] is footage.images else []
        for one in known:
            if tight_box(one.masks[footage.sampled[detection.frame_index]]) == detection.box:
                return Track(
                    detection=detection, masks=one.masks, forward_backward_iou=None, presence=one.presence
                )
        raise BackendError(
            f"SAM 3 has found nothing in box {detection.box} of frame {detection.frame_index}: it follows "
            "only what its last call of detect found; give boxes of other detectors to the sam2 tracker"
        )

    @torch.inference_mode()
    def _found(self, footage: Footage, nouns: tuple[str, ...]) -> list[Found]:
        session = self._session(footage, nouns)
        shape = footage.images.shape[:3]
        masks: dict[int, Masks] = {}
        presence: dict[int, NDArray[np.float32]] = {}
        for seen in self.model.propagate_in_video_iterator(session):
            for number, mask in self._masks(seen, session, shape[1:]).items():
                own = masks.setdefault(number, np.zeros(shape, np.bool_))
                own[seen.frame_idx] = mask
                told = presence.setdefault(number, np.full(shape[0], -np.inf, np.float32))
                told[seen.frame_idx] = _logit(seen.obj_id_to_tracker_score.get(number, 1.0))
        return [
            Found(
                noun=session.obj_id_to_prompt_id[number],
                score=float(session.obj_id_to_score[number]),
                masks=own,
                presence=presence[number],
            )
            for number, own in sorted(masks.items())
            if number not in session.hotstart_removed_obj_ids and own.any()
        ]

    def _session(self, footage: Footage, nouns: tuple[str, ...]) -> Any:
        from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession

        height, width = footage.images.shape[1:3]
        session: Any = Sam3VideoInferenceSession(
            video=self._pixels(footage.images),
            video_height=height,
            video_width=width,
            inference_device=self._device,
            inference_state_device=self._device,
            video_storage_device="cpu",
            dtype=self._dtype,
        )
        for noun in nouns:
            number = session.add_prompt(noun)
            words = self._tokenizer(
                noun, return_tensors="pt", padding="max_length", max_length=_MAX_TOKENS, truncation=True
            ).to(self._device)
            session.prompt_input_ids[number] = words.input_ids
            session.prompt_attention_masks[number] = words.attention_mask
        return session

    def _pixels(self, images: Images) -> torch.Tensor:
        """(T, 3, S, S): frame by frame, so that no second full copy is made of them."""
        side = (self._side_px, self._side_px)
        pixels = torch.empty(len(images), 3, *side, dtype=self._dtype)
        for place, image in enumerate(images):
            frame = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
            frame = torch.nn.functional.interpolate(frame, side, mode="bilinear", antialias=True)
            pixels[place] = (frame[0].float() / 255 - _MEAN) / _STD
        return pixels

    def _masks(self, seen: Any, session: Any, size: tuple[int, ...]) -> dict[int, NDArray[np.bool_]]:
        """Masks (H, W) of the things shown on a frame; of one noun's, a pixel goes to the surest only."""
        hidden = set(seen.suppressed_obj_ids or ()) | set(session.hotstart_removed_obj_ids)
        shown = [number for number in seen.obj_id_to_mask if number not in hidden]
        if not shown:
            return {}
        logits = torch.stack([seen.obj_id_to_mask[number] for number in shown]).float()  # (N, 1, h, w)
        whole = torch.nn.functional.interpolate(logits, size, mode="bilinear", align_corners=False)
        masks = dict(zip(shown, (whole[:, 0] > 0).cpu().numpy(), strict=True))
        return _apart(masks, seen.obj_id_to_tracker_score, session.obj_id_to_prompt_id)


def _apart(
    masks: dict[int, NDArray[np.bool_]], scores: dict[int, Any], prompts: dict[int, int]
) -> dict[int, NDArray[np.bool_]]:
    """Masks without the pixels that a surer thing of the same noun has."""
    taken: dict[int, NDArray[np.bool_]] = {}
    apart = {}
    for number in sorted(masks, key=lambda number: -float(scores.get(number, 0.0))):
        others = taken.get(prompts[number], np.zeros_like(masks[number]))
        apart[number] = masks[number] & ~others
        taken[prompts[number]] = others | masks[number]
    return apart


def _noun_scores(one: Found, count: int) -> tuple[float, ...]:
    return tuple(one.score if noun == one.noun else 0.0 for noun in range(count))


def _logit(probability: Any) -> float:
    share = min(max(float(probability), 1e-6), 1 - 1e-6)
    return float(np.log(share / (1 - share)))


def load_sam3(folder: Path) -> tuple[Any, Any]:
    """A `Sam3VideoModel` on the CPU and its tokenizer. Raises ConfigError where that cannot be."""
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"{folder} holds no SAM 3 checkpoint: name a folder with config.json and its weights"
        )
    try:
        from transformers import AutoConfig, AutoTokenizer, Sam3VideoModel
    except ImportError as error:
        raise ConfigError(
            "SAM 3 needs transformers 5; the GPU environment has 4, which groundingdino-py needs: use the "
            "tracker sam2 there"
        ) from error
    kind = AutoConfig.from_pretrained(folder, local_files_only=True).model_type
    if kind != "sam3_video":
        raise ConfigError(f"{folder} holds a {kind} model, and this backend needs one of type sam3_video")
    make: Any = AutoTokenizer
    try:
        tokenizer = make.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder} holds no tokenizer, with which SAM 3 reads its nouns") from error
    model: Any = Sam3VideoModel.from_pretrained(folder, local_files_only=True)
    return model.eval(), tokenizer
