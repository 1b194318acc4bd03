"""Configuration of the Video LLM: its two towers and what joins them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from strefer_core.data_model import FRAME_COUNT

RegionMerge = Literal["similar", "even"]
LossPer = Literal["token", "answer"]


class VideoLlmConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """What a `VideoLlm` is made of.

    Args:
        vision_config: of any tower that `AutoModel` builds and that returns `last_hidden_state` with one row
            per patch, without a class token (SigLIP).
        text_config: of any model that `AutoModelForCausalLM` builds.
        frames: pictures of a video.
        time_groups: the frames are pooled in so many groups of neighbours; divides `frames`.
        cells_per_side: each group's picture is pooled to so many cells a side.
        region_tokens: at most so many tokens stand for a region.
        region_merge: which frames of a region become one token: alike neighbours ("similar", the paper's), or
            those of each of `region_tokens` equal spans of the video ("even").
        region_motion: behind each token of a region another one tells how what the first stands for changes.
        region_places: region tokens also tell where in the picture the region is and how large, see
            `connector.places`; with `region_motion` also how that changes.
        word_pooling: a question that points at no region gets one from its words, see
            `connector.WordPooling`.
        loss_per: every learned token weighs the same, or every question of a batch: then long descriptions
            do not outweigh "Yes.".
        image_token_id, region_token_id: placeholders in `input_ids`.
        time_token_ids: the clock: ids of `<0>`..`<M>` in order. Their embeddings also tell the frames' times.
    """

    model_type = "strefer_video_llm"
    sub_configs: ClassVar[dict[str, Any]] = {"vision_config": AutoConfig, "text_config": AutoConfig}

    def __init__(
        self,
        vision_config: dict[str, Any] | PreTrainedConfig | None = None,
        text_config: dict[str, Any] | PreTrainedConfig | None = None,
        *,
        frames: int = FRAME_COUNT,
        time_groups: int = 8,
        cells_per_side: int = 4,
        region_tokens: int = 4,
        region_merge: RegionMerge = "similar",
        region_motion: bool = False,
        region_places: bool = False,
        word_pooling: bool = False,
        loss_per: LossPer = "token",
        image_token_id: int = 0,
        region_token_id: int = 1,
        time_token_ids: list[int] | None = None,
        **kwargs: Any,
    ) -> None:
        self.vision_config = _sub_config(vision_config, "siglip_vision_model")
        self.text_config = _sub_config(text_config, "qwen3")
        self.frames = frames
        self.time_groups = time_groups
        self.cells_per_side = cells_per_side
        self.region_tokens = region_tokens
        self.region_merge = region_merge
        self.region_motion = region_motion
        self.region_places = region_places
        self.word_pooling = word_pooling
        self.loss_per = loss_per
        self.image_token_id = image_token_id
        self.region_token_id = region_token_id
        self.time_token_ids = time_token_ids or [2, 3]
        super().__init__(**kwargs)
        self.tie_word_embeddings = False  # the language model ties its own

    @property
    def visual_tokens(self) -> int:
        """Tokens that stand for a video, however long."""
        return self.time_groups * self.cells_per_side**2

    @property
    def patches_per_side(self) -> int:
        """Of the vision tower."""
        return int(self.vision_config.image_size // self.vision_config.patch_size)


def _sub_config(given: dict[str, Any] | PreTrainedConfig | None, default: str) -> PreTrainedConfig:
    if isinstance(given, PreTrainedConfig):
        return given
    values = dict(given or {})
    return CONFIG_MAPPING[values.pop("model_type", default)](**values)


AutoConfig.register(VideoLlmConfig.model_type, VideoLlmConfig)
