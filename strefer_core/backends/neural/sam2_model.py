"""SAM 2's arithmetic on a batch of runs: what `Sam2VideoModel` computes per object, for many of them at once.

transformers carries its objects one after the other, each with a batch of one, and keeps their memories in a
session. Here a batch holds one entry per *run* (one thing carried from its frame in one direction): runs
that are equally far from their prompts have memories of the same shape, wherever in the video they are. Only
the model's modules and parameters are used, whose names the checkpoints fix; the masks are those of a session
(tests compare them). The method: Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024.

Shapes: B runs, C channels of the model, S its side in pixels, h x w its coarsest features, M of memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from strefer_core.backends.interfaces import Images

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet: every released SAM 2 has these
_NOTHING = -1024.0  # mask logit where the model says that the thing is not in view
_PROMPT_SCALE, _PROMPT_BIAS = 20.0, -10.0  # turn a mask that is given into logits
_BOX_LABELS = (2, 3)  # what the prompt encoder calls a box's corners
_NO_POINT = -1


@dataclass(frozen=True)
class Features:
    """Encoded frames."""

    fine: torch.Tensor  # (B, C / 8, S / 4, S / 4)
    middle: torch.Tensor  # (B, C / 4, S / 8, S / 8)
    coarse: torch.Tensor  # (B, C, h, w)

    @property
    def size_bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in (self.fine, self.middle, self.coarse))

    def __len__(self) -> int:
        return len(self.coarse)

    def __getitem__(self, place: int | slice) -> Features:
        part = slice(place, place + 1) if isinstance(place, int) else place
        return Features(self.fine[part], self.middle[part], self.coarse[part])

    @classmethod
    def cat(cls, parts: Sequence[Features]) -> Features:
        return cls(
            torch.cat([part.fine for part in parts]),
            torch.cat([part.middle for part in parts]),
            torch.cat([part.coarse for part in parts]),
        )


@dataclass(frozen=True)
class Look:
    """What the model sees of each run's thing on one frame."""

    logits: torch.Tensor  # (B, 1, S / 4, S / 4), above 0: mask
    pointer: torch.Tensor  # (B, C), its name in the memory
    presence: torch.Tensor  # (B, 1) logits, above 0: in view
    memory: torch.Tensor  # (h * w, B, M) bfloat16

    def first(self, count: int) -> Look:
        return Look(self.logits[:count], self.pointer[:count], self.presence[:count], self.memory[:, :count])


class Memory:
    """What a batch of runs remembers: its prompts, the last frames, and the pointers of some more of them.

    Its size does not grow with the length of the video.
    """

    def __init__(self, prompt: Look, *, frames: int, pointers: int) -> None:
        """`frames` and `pointers`: how many of the last looks are remembered as memories and as pointers."""
        self.prompt = prompt
        self.memories: deque[torch.Tensor] = deque(maxlen=frames)
        self.pointers: deque[torch.Tensor] = deque(maxlen=pointers)
        self.age = 0  # looks after the prompt

    def add(self, look: Look) -> None:
        self.memories.append(look.memory)
        self.pointers.append(look.pointer)
        self.age += 1

    def keep(self, count: int) -> None:
        """Forget all runs but the first ones."""
        if count == len(self.prompt.pointer):
            return
        self.prompt = self.prompt.first(count)
        self.memories = deque((part[:, :count] for part in self.memories), self.memories.maxlen)
        self.pointers = deque((part[:count] for part in self.pointers), self.pointers.maxlen)

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All that is held."""
        prompt = self.prompt
        return [
            prompt.logits, prompt.pointer, prompt.presence, prompt.memory, *self.memories, *self.pointers
        ]  # fmt: skip


@dataclass(frozen=True)
class _Constants:
    """What is the same for all frames: where in the picture a feature is, and how old a memory."""

    place: torch.Tensor  # (h * w, 1, C)
    wide: torch.Tensor  # (1, C, h, w), as the mask decoder has it
    ages: torch.Tensor  # (memories, h * w, 1, M): place plus age, of 1, 2, ... frames, then of the prompt

    @classmethod
    def of(cls, model: Any, place: torch.Tensor) -> _Constants:
        """`place`: (1, C, h, w), as the vision encoder gives it."""
        size = torch.Size((1, model.mem_dim, *place.shape[2:]))
        memory = model.memory_encoder.position_encoding(size, place.device, place.dtype)
        return cls(
            place=_as_tokens(place),
            wide=model.get_image_wide_positional_embeddings(),
            ages=_as_tokens(memory) + model.memory_temporal_positional_encoding,
        )


class Sam2Model:
    """A `Sam2VideoModel` as four steps: encode frames, begin from boxes or masks, follow."""

    def __init__(self, model: Any) -> None:
        self._model = model.eval()
        self._config = model.config
        self.device: torch.device = model.no_memory_embedding.device
        self.dtype: torch.dtype = model.no_memory_embedding.dtype
        self.side_px: int = int(model.image_size)
        self._constants: _Constants | None = None

    @property
    def parts(self) -> Any:
        """The `Sam2VideoModel`."""
        return self._model

    # frames

    def encode(self, images: Images) -> Features:
        """Features of frames (B, H, W, 3) uint8."""
        found = self._model.vision_encoder(pixels(images, self.side_px, self.device).to(self.dtype))
        fine, middle, coarse = found.fpn_hidden_states
        if self._constants is None:
            self._constants = _Constants.of(self._model, found.fpn_position_encoding[-1][:1])
        decoder = self._model.mask_decoder
        return Features(decoder.conv_s0(fine), decoder.conv_s1(middle), coarse)

    # looks

    def begin_with_boxes(self, features: Features, boxes: torch.Tensor) -> Look:
        """The things in boxes (B, 4), `x0, y0, x1, y1` in the model's pixels."""
        corners = boxes.to(self.dtype).reshape(-1, 1, 2, 2)
        labels = torch.tensor(_BOX_LABELS, dtype=torch.int32, device=self.device).expand(len(boxes), 1, 2)
        seen = self._without_memory(features)
        return self._look(features, seen, corners, labels, None, is_prompt=True)

    def begin_with_masks(self, features: Features, masks: torch.Tensor) -> Look:
        """The things under masks (B, 1, S, S), 0 or 1, which are taken as they are."""
        given = masks.to(self.dtype)
        whole = given * _PROMPT_SCALE + _PROMPT_BIAS
        side = self._model.prompt_encoder.mask_input_size
        logits = interpolate(whole.float(), side, mode="bilinear", antialias=True, align_corners=False).to(
            self.dtype
        )
        dense = self._model.mask_downsample(given)
        _, pointer, _ = self._decoded(features, features.coarse, None, None, dense, is_multimask=True)
        is_given = given.flatten(1).any(-1, keepdim=True).to(self.dtype)  # (B, 1)
        pointer = is_given * pointer + (1 - is_given) * self._model.no_object_pointer
        presence = is_given * _PROMPT_SCALE + _PROMPT_BIAS
        memory = self._remembered(features, whole, presence, is_prompt=True)
        return Look(logits, pointer, presence, memory)

    def follow(self, features: Features, memory: Memory, frame_count: int) -> Look:
        """The things of a batch of runs on their next frames; `frame_count`: of the whole video."""
        past, positions, pointers = self._past(memory, frame_count)
        seen = self._model.memory_attention(
            current_vision_features=_as_tokens(features.coarse),
            memory=past,
            current_vision_position_embeddings=self._known.place,
            memory_posision_embeddings=positions,  # the library's spelling
            num_object_pointer_tokens=pointers,
        )
        seen = seen.flatten(0, -3).mT.reshape(features.coarse.shape)  # from (1, B, h * w, C)
        return self._look(features, seen, None, None, None, is_prompt=False)

    def new_memory(self, prompt: Look) -> Memory:
        return Memory(
            prompt,
            frames=max(self._model.num_maskmem - 1, 0),
            pointers=self._config.max_object_pointers_in_encoder - 1,
        )

    # the parts of a look

    @property
    def _known(self) -> _Constants:
        assert self._constants is not None, "frames are encoded before they are looked at"
        return self._constants

    def _without_memory(self, features: Features) -> torch.Tensor:
        return features.coarse + self._model.no_memory_embedding.reshape(1, -1, 1, 1)

    def _look(
        self,
        features: Features,
        seen: torch.Tensor,
        points: torch.Tensor | None,
        labels: torch.Tensor | None,
        dense: torch.Tensor | None,
        *,
        is_prompt: bool,
    ) -> Look:
        is_multimask = self._is_multimask(0 if labels is None else labels.shape[-1], is_prompt)
        logits, pointer, presence = self._decoded(features, seen, points, labels, dense, is_multimask)
        whole = interpolate(
            logits.float(), (self.side_px, self.side_px), mode="bilinear", align_corners=False
        ).to(logits.dtype)
        return Look(logits, pointer, presence, self._remembered(features, whole, presence, is_prompt))

    def _is_multimask(self, points: int, is_prompt: bool) -> bool:
        config = self._config
        return bool(
            config.multimask_output_in_sam
            and (is_prompt or config.multimask_output_for_tracking)
            and config.multimask_min_pt_num <= points <= config.multimask_max_pt_num
        )

    def _decoded(
        self,
        features: Features,
        seen: torch.Tensor,
        points: torch.Tensor | None,
        labels: torch.Tensor | None,
        dense: torch.Tensor | None,
        is_multimask: bool,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits (B, 1, S / 4, S / 4), pointer (B, C) and presence (B, 1), see `Look`."""
        count, model = len(seen), self._model
        if points is None:
            points = torch.zeros(count, 1, 1, 2, dtype=self.dtype, device=self.device)
            labels = torch.full((count, 1, 1), _NO_POINT, dtype=torch.int32, device=self.device)
        sparse, whole = model.prompt_encoder(
            input_points=points, input_labels=labels, input_boxes=None, input_masks=dense
        )
        masks, ious, tokens, presence = model.mask_decoder(
            image_embeddings=seen,
            image_positional_embeddings=self._known.wide.expand_as(seen),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=whole,
            multimask_output=is_multimask,
            high_resolution_features=[features.fine, features.middle],
        )
        best = ious[:, 0].argmax(-1) if is_multimask else torch.zeros_like(ious[:, 0, 0], dtype=torch.long)
        rows = torch.arange(count, device=self.device)
        token = tokens[rows, 0, best if tokens.shape[2] > 1 else torch.zeros_like(best)]
        is_there = presence[:, 0] > 0  # (B, 1)
        logits = torch.where(is_there[..., None, None], masks[rows, 0, best][:, None], _NOTHING)
        return logits, self._named(token, is_there), presence[:, 0]

    def _named(self, token: torch.Tensor, is_there: torch.Tensor) -> torch.Tensor:
        pointer, share = self._model.object_pointer_proj(token), is_there.to(token.dtype)
        return share * pointer + (1 - share) * self._model.no_object_pointer

    def _remembered(
        self, features: Features, whole: torch.Tensor, presence: torch.Tensor, is_prompt: bool
    ) -> torch.Tensor:
        """(h * w, B, M) from mask logits (B, 1, S, S); a prompt's mask is remembered hard, others soft."""
        model = self._model
        mask = (whole > 0).to(whole.dtype) if is_prompt else torch.sigmoid(whole)
        mask = mask * self._config.sigmoid_scale_for_mem_enc + self._config.sigmoid_bias_for_mem_enc
        memory, _ = model.memory_encoder(features.coarse, mask)
        if model.occlusion_spatial_embedding_parameter is not None:
            hidden = (presence <= 0).to(memory.dtype)[..., None, None]  # (B, 1, 1, 1)
            memory = memory + hidden * model.occlusion_spatial_embedding_parameter[..., None, None]
        # bfloat16 as in the model's own code, whatever it computes in.
        return _as_tokens(memory.to(torch.bfloat16))

    # memory

    def _past(self, memory: Memory, frame_count: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Tokens (N, B, M) of a memory, their positions (N, 1, M), and how many of them are of pointers."""
        ages = range(len(memory.memories), 0, -1)  # the oldest first
        kept = [memory.prompt.memory, *memory.memories]
        positions = [self._known.ages[-1], *(self._known.ages[age - 1] for age in ages)]
        tokens, places = self._pointer_tokens(memory, frame_count)
        past = torch.cat([*kept, tokens]).to(self.dtype)
        return past, torch.cat([*positions, places]), len(tokens)

    def _pointer_tokens(self, memory: Memory, frame_count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Pointers cut to the width of memories (P, B, M), and their positions (P, 1, M)."""
        width, model = self._model.mem_dim, self._model
        most = min(frame_count, self._config.max_object_pointers_in_encoder)
        recent = list(memory.pointers)[::-1][: most - 1]
        pointers = torch.stack([memory.prompt.pointer, *recent])  # (p, B, C)
        parts = pointers.shape[-1] // width
        tokens = pointers.reshape(*pointers.shape[:2], parts, width).permute(0, 2, 1, 3).flatten(0, 1)
        if self._config.enable_temporal_pos_encoding_for_object_pointers:
            ages = self._ages(memory.age + 1, len(recent)) / float(max(most - 1, 1))
            places = model.temporal_positional_encoding_projection_layer(
                _sines(ages, pointers.shape[-1]).to(self.dtype)
            )
        else:
            places = torch.zeros(len(pointers), width, dtype=self.dtype, device=self.device)
        return tokens, places[:, None].repeat_interleave(parts, dim=0)

    def _ages(self, of_prompt: int, recent: int) -> torch.Tensor:
        """(1 + recent,) frames that have passed since the prompt, and since the last looks, newest first."""
        ages = torch.arange(recent + 1, dtype=torch.float32, device=self.device)
        ages[0] = of_prompt  # filled on the device: a copy from the host would wait for it
        return ages


def pixels(images: Images, side_px: int, device: torch.device) -> torch.Tensor:
    """(B, H, W, 3) uint8 to (B, 3, S, S) float32 as the models were trained: squares, whatever the shape."""
    frames = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2)
    if device.type != "cpu":
        frames = frames.float()  # bytes are resized on CPUs only; rounding makes bytes again
    frames = interpolate(frames, (side_px, side_px), mode="bilinear", antialias=True, align_corners=False)
    mean, std = (torch.tensor(of, device=device).view(1, 3, 1, 1) for of in (_MEAN, _STD))
    return (frames.float().round() / 255 - mean) / std


def _as_tokens(features: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) to (h * w, B, C)."""
    return features.flatten(2).permute(2, 0, 1)


def _sines(values: torch.Tensor, width: int) -> torch.Tensor:
    """(N,) to (N, width): sines, then cosines, of geometrically falling frequencies, each of them twice."""
    half = width // 2
    place = torch.arange(half, dtype=torch.float32, device=values.device)
    angles = values[:, None] / 10_000 ** (2 * (place // 2) / half)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
