"""The Video LLM: a vision tower, few tokens for a video and for each region, a clock, any causal LM.

One row of `input_ids` may hold several questions, on one video or on several: `videos` and `questions` say
which token belongs where. A token sees the tokens before it of its own question and the ones that its video
begins with (question 0); so questions never see each other, and a video is encoded once for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedModel
from transformers import initialization as init
from transformers.utils.generic import ModelOutput

from strefer_core.video_llm.configuration import VideoLlmConfig
from strefer_core.video_llm.connector import (
    PLACES,
    PLACES_SCALE,
    GroupedPooling,
    Projector,
    RegionProjector,
    WordPooling,
    joint_masks,
    merge_adjacent,
    merge_evenly,
    motion,
    places,
    pool_regions,
)

IGNORED = -100
"""Label of a token that is not learned."""


@dataclass
class VideoLlmOutput(ModelOutput):  # type: ignore[no-untyped-call, unused-ignore]
    """`loss` in nats per learned token; `logits` (B, L, vocabulary)."""

    loss: Tensor | None = None
    logits: Tensor | None = None


class VideoLlm(PreTrainedModel):  # type: ignore[no-untyped-call]
    """See `VideoLlmConfig` for its parts and `VideoLlmProcessor` for its inputs."""

    config_class = VideoLlmConfig
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules: ClassVar[list[str]] = []  # type: ignore[misc]

    def __init__(self, config: VideoLlmConfig) -> None:
        super().__init__(config)
        self.vision_tower = AutoModel.from_config(config.vision_config)  # type: ignore[no-untyped-call]
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)  # type: ignore[no-untyped-call]
        width_in, width_out = config.vision_config.hidden_size, config.text_config.hidden_size
        scale = float(getattr(config.text_config, "initializer_range", 0.02))
        self.temporal_encoder = GroupedPooling(width_in, config.time_groups, config.cells_per_side)
        self.visual_projector = Projector(width_in, width_out, scale)
        self.region_projector = RegionProjector(width_in, width_out, scale, takes_places=config.region_places)
        width_pooled = width_in + (PLACES if config.region_places else 0)
        self.motion_projector = (
            Projector(width_pooled, width_out, scale, is_normed=False) if config.region_motion else None
        )
        self.word_pooling = WordPooling(width_out, width_in) if config.word_pooling else None
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, GroupedPooling):
            init.zeros_(module.score)
        elif isinstance(module, Projector):
            init.constant_(module.gain, module.scale)
            init.normal_(module.mark, std=module.scale)
        elif isinstance(module, WordPooling):
            init.zeros_(module.nowhere)
        elif isinstance(module, nn.Linear):
            init.xavier_uniform_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)

    def get_input_embeddings(self) -> nn.Module:
        return cast(nn.Module, self.language_model.get_input_embeddings())

    def get_output_embeddings(self) -> nn.Module:
        return cast(nn.Module, self.language_model.get_output_embeddings())

    # --- what is seen ---------------------------------------------------------------------------------------

    def encode_frames(self, pixel_values: Tensor) -> Tensor:
        """Patch features (V, F, P, d) of uint8 RGB pictures (V, F, 3, S, S), one row per patch."""
        pictures = pixel_values.flatten(0, 1).to(self._vision_dtype()) / 127.5 - 1.0
        features = self.vision_tower(pixel_values=pictures).last_hidden_state
        return cast(Tensor, features.unflatten(0, pixel_values.shape[:2]))

    def _features(self, pixel_values: Tensor | None, patch_features: Tensor | None) -> Tensor:
        if patch_features is not None:
            return patch_features
        if pixel_values is None:
            raise ValueError("either pixel_values or patch_features must be given")
        return self.encode_frames(pixel_values)

    def _vision_dtype(self) -> torch.dtype:
        return cast(torch.dtype, next(self.vision_tower.parameters()).dtype)

    def clock(self, fractions: Tensor) -> Tensor:
        """Embeddings (..., width) of times, fractions of the video: between those of the time tokens."""
        ids = torch.tensor(self.config.time_token_ids, device=fractions.device)
        table = self.get_input_embeddings()(ids)  # (M + 1, width)
        places = fractions.clamp(0, 1).float() * (len(ids) - 1)
        below = places.floor().long().clamp(max=len(ids) - 2)
        upper = (places - below)[..., None].to(table.dtype)
        return torch.lerp(table[below], table[below + 1], upper)

    def visual_embeddings(self, features: Tensor, fractions: Tensor) -> Tensor:
        """(V, visual_tokens, width) of patch features (V, F, P, d) and the frames' times (V, F)."""
        pooled = self.visual_projector(self.temporal_encoder(features))
        groups = self.clock(fractions).unflatten(1, (self.config.time_groups, -1)).mean(2)  # type: ignore[no-untyped-call]
        return cast(Tensor, pooled + groups.repeat_interleave(self.config.cells_per_side**2, dim=1))

    def pool(self, features: Tensor, cells: Tensor) -> Tensor:
        """What regions show on each frame, (N, F, d), and behind it where they are if the model takes that.

        Args:
            features: (N, F, P, d).
            cells: (N, F, P), bool or shares.
        """
        pooled = pool_regions(features, cells)
        if not self.config.region_places:
            return pooled
        return torch.cat([pooled, places(cells).to(pooled.dtype) * PLACES_SCALE], -1)

    def region_embeddings(
        self, features: Tensor, fractions: Tensor, cells: Tensor, there: Tensor | None = None
    ) -> Tensor:
        """Tokens of all regions one after another, (sum of counts, width).

        Args:
            features: (N, F, P, d), of each region's video.
            fractions: (N, F) times of the frames.
            cells: (N, F, P), bool or shares. A region without any cell gets one token of an all-zero feature.
            there: (N, F) chance that each frame shows the region; by default 1 where it has cells.
        """
        pooled = self.pool(features, cells)
        valid = (cells > 0).any(-1)
        sure = valid if there is None else valid & (there > 0.5)
        valid[:, 0] |= ~valid.any(1)
        shares = self._shares(pooled, valid).to(pooled.dtype)
        kept = shares.any(-1)
        size = torch.ones_like(shares[..., :1])
        if there is not None:
            shares = shares * there[:, None].to(shares.dtype)
            size = shares.sum(-1, keepdim=True)
            shares = shares / size.clamp(min=1e-6)
        tokens = (self.region_projector(shares @ pooled) * size)[:, :, None]
        if self.motion_projector is not None:
            moved = self.motion_projector(shares @ motion(pooled, sure)) * size
            tokens = torch.cat([tokens, moved[:, :, None]], 2)
        times = shares.to(tokens.dtype) @ self.clock(fractions).to(tokens.dtype)
        return (tokens + times[:, :, None])[kept].flatten(0, 1)

    def _shares(self, pooled: Tensor, valid: Tensor) -> Tensor:
        """Which frames become which token, (N, region_tokens, F): see `VideoLlmConfig.region_merge`."""
        if self.config.region_merge == "even":
            return merge_evenly(valid, self.config.region_tokens)
        return merge_adjacent(pooled, valid, self.config.region_tokens)[0]

    def pointed(
        self, features: Tensor, cells: Tensor, videos: Tensor, words: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Regions of masks as they are, and of words as they are found.

        Args:
            features: (V, F, P, d).
            cells: (N, F, P) bool, the cells of a mask; of a region in words all of the frames to look at.
            videos: (N,) which of the V videos each region is on.
            words: (N, T, 2) ids of the token before each word, and its own, of a region in words; else -1.

        Returns:
            cells: (N, F, P) shares.
            there: (N, F) chance that each frame shows the region.
        """
        assert self.word_pooling is not None
        shares, there = cells.float(), cells.any(-1).float()
        in_words = words[:, :, 1] >= 0  # (N, T)
        for number in torch.unique(videos[in_words.any(1)]).tolist():
            own = (videos == number) & in_words.any(1)
            unique, which = torch.unique(words[own].flatten(0, 1), dim=0, return_inverse=True)
            said = torch.zeros(int(own.sum()), len(unique), dtype=torch.bool, device=words.device)
            said.scatter_(1, which.view(len(said), -1), True)
            said &= unique[:, 1] >= 0  # not what rows are filled up with
            embedded = self.get_input_embeddings()(unique.clamp(min=0)).flatten(1)
            masks, chances = joint_masks(self.word_pooling(embedded, features[number]), said)
            shares = shares.index_put((own,), masks * cells[own])
            there = there.index_put((own,), chances * cells[own].any(-1))
        return shares, there

    def embed(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        frame_fractions: Tensor | None = None,
        region_cells: Tensor | None = None,
        region_videos: Tensor | None = None,
        region_words: Tensor | None = None,
        patch_features: Tensor | None = None,
    ) -> Tensor:
        """Input embeddings (B, L, width) with what is seen in place of the placeholders.

        Args:
            input_ids: (B, L), with `visual_tokens` image placeholders for every video, row by row, and for
                every region as many region placeholders as it has tokens.
            pixel_values: (V, F, 3, S, S) uint8.
            frame_fractions: (V, F) times of the frames as fractions of the video.
            region_cells: (N, F, P) bool, None where there are no regions.
            region_videos: (N,) which of the V videos each region is on.
            region_words: (N, T, 2), see `pointed`; None where all regions are masks.
            patch_features: (V, F, P, d) what `encode_frames` gave before: in place of `pixel_values`.

        Raises:
            ValueError: placeholders and tokens differ in number.
        """
        embeds = cast(Tensor, self.get_input_embeddings()(input_ids))
        if frame_fractions is None:
            return embeds
        features = self._features(pixel_values, patch_features).to(embeds.dtype)
        seen = self.visual_embeddings(features, frame_fractions).flatten(0, 1)
        embeds = _placed(embeds, input_ids == self.config.image_token_id, seen, "<image>")
        if region_cells is None or region_videos is None or not len(region_cells):
            return embeds
        cells, there = region_cells, None
        if self.word_pooling is not None and region_words is not None:
            cells, there = self.pointed(features, region_cells, region_videos, region_words)
        shown = self.region_embeddings(features[region_videos], frame_fractions[region_videos], cells, there)
        return _placed(embeds, input_ids == self.config.region_token_id, shown, "<region>")

    # --- what is said ---------------------------------------------------------------------------------------

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        position_ids: Tensor | None = None,
        videos: Tensor | None = None,
        questions: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **seen: Any,
    ) -> VideoLlmOutput:
        """Logits, and the loss where labels are given.

        Args:
            input_ids: (B, L).
            attention_mask: (B, L), 0 on padding; not used where `videos` is given.
            labels: (B, L), the token itself where it is learned, else `IGNORED`; shifted here.
            position_ids: (B, L); counted from 0 by default.
            videos, questions: (B, L), which video and which question a token belongs to, see the module; -1
                on padding.
            num_items_in_batch: learned tokens that the loss is divided by; by default those of this batch.
            seen: as `embed`.
        """
        embeds = self.embed(input_ids, **seen)
        mask = attention_mask if videos is None or questions is None else visible(videos, questions)
        logits = self.language_model(
            inputs_embeds=embeds, attention_mask=mask, position_ids=position_ids, use_cache=False
        ).logits
        loss = None
        if labels is not None:
            owners = _owners(videos, questions) if self.config.loss_per == "answer" else None
            loss = next_token_loss(logits, labels, num_items_in_batch, owners)
        return VideoLlmOutput(loss=loss, logits=logits)

    @torch.no_grad()
    def generate(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, *, seen: Any = None, **options: Any
    ) -> Tensor:
        """New tokens only, (B, at most max_new_tokens). Prompts are padded on the left.

        Args:
            input_ids: (B, L) prompts.
            attention_mask: (B, L), 0 on padding.
            seen: arguments of `embed`, by name.
            options: as of transformers' `generate`.
        """
        embeds = self.embed(input_ids, **(seen or {}))
        return cast(
            Tensor,
            self.language_model.generate(inputs_embeds=embeds, attention_mask=attention_mask, **options),
        )


def _placed(embeds: Tensor, places: Tensor, tokens: Tensor, name: str) -> Tensor:
    if int(places.sum()) != len(tokens):
        raise ValueError(f"{int(places.sum())} {name} placeholders for {len(tokens)} tokens")
    return embeds.masked_scatter(places[..., None], tokens.to(embeds.dtype))


def visible(videos: Tensor, questions: Tensor) -> Tensor:
    """Which token (B, 1, L queries, L keys) sees which: see the module. Padding sees itself alone."""
    same_video = videos[:, :, None] == videos[:, None, :]
    same_question = (questions[:, :, None] == questions[:, None, :]) | (questions[:, None, :] == 0)
    length = videos.shape[1]
    before = torch.ones(length, length, dtype=torch.bool, device=videos.device).tril()
    seen = same_video & same_question & before & (videos >= 0)[:, None, :]
    return (seen | torch.eye(length, dtype=torch.bool, device=videos.device))[:, None]


def _owners(videos: Tensor | None, questions: Tensor | None) -> Tensor | None:
    """A number (B, L) of the question that each token belongs to, one per question of a batch."""
    if videos is None or questions is None:
        return None
    return videos * (questions.max() + 1) + questions


def next_token_loss(
    logits: Tensor, labels: Tensor, items: Tensor | int | None = None, owners: Tensor | None = None
) -> Tensor:
    """Cross-entropy of each next token, summed over the learned ones, by `items` (or their number).

    Where `owners` (B, L) are given, which question each token belongs to, all questions weigh the same; the
    weights are 1 in the mean.
    """
    shifted = nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
    learned = shifted != IGNORED
    losses = nn.functional.cross_entropy(logits[learned].float(), shifted[learned], reduction="none")
    if owners is not None:
        _, own, counts = torch.unique(owners[learned], return_inverse=True, return_counts=True)
        losses = losses * (len(losses) / len(counts) / counts[own])
    return losses.sum() / (learned.sum().clamp(min=1) if items is None else items)


AutoConfig.register(VideoLlmConfig.model_type, VideoLlmConfig, exist_ok=True)
AutoModel.register(VideoLlmConfig, VideoLlm)
