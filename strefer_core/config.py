"""Settings (where things are) and the pipeline's configuration (what is computed).

`Settings` come from `STREFER_*` variables, then from `$STREFER_HOME/stack.env`, which `strefer up`
writes; nothing in them changes a result. `PipelineConfig` is what results depend on: each stage's
section is part of its fingerprint, so changing one section recomputes that stage and what follows it.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from strefer_core.errors import ConfigError


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VideosConfig(_Section):
    """Limits and filters of the `videos` stage."""

    max_side_px: int = 8192
    max_frames: int = 500_000
    max_duration_s: float = 4 * 3600.0
    min_duration_s: float = 0.5  # shorter is filtered: nothing can happen in it
    min_motion_px: float = 0.02  # motion of the fastest 1 % of the picture; below it nothing moves
    max_black_share: float = 0.9
    max_frozen_share: float = 0.98
    min_sharpness: float = 2.0  # variance of the Laplacian; below it even edges are gone


class NearDuplicatesConfig(_Section):
    """Compares videos, so it is no stage's section: changing it recomputes nothing."""

    max_distance_bits: float = Field(4.0, ge=0, lt=32)  # mean Hamming distance per 64-bit hash


class ClipsConfig(_Section):
    backend: Literal["scenedetect"] = "scenedetect"
    min_s: float = Field(1.0, ge=0)  # shorter ones join a neighbour
    max_s: float = Field(20.0, gt=0)  # longer ones are split evenly

    @model_validator(mode="after")
    def _halves_fit(self) -> ClipsConfig:
        if self.max_s < 2 * self.min_s:
            raise ValueError(
                f"clips.max_s {self.max_s} must be at least twice clips.min_s {self.min_s}: halves must fit"
            )
        return self


class EntitiesConfig(_Section):
    backend: Literal["classical"] = "classical"
    max_entities: int = Field(8, ge=1)


class MaskletsConfig(_Section):
    backend: Literal["classical"] = "classical"
    cascade: Literal["first_frame", "paper", "strefer"] = "strefer"
    detection_batch: int = Field(4, ge=1)  # most frames per call of the detector
    min_score: float = Field(0.3, ge=0, le=1)  # of a box; weaker ones are ignored
    max_anchors: int = Field(6, ge=1)  # frames from which tracks begin
    # Share of all masks asked for that further looks of the detector may still win, or the search ends; 0
    # looks on as long as anything is missing: a few more masks for about half as many looks again.
    min_gain: float = Field(0.18, ge=0, le=1)
    min_match: float = Field(0.4, ge=0, le=1)  # of a track with an entity's words; else it stays without one


class TranscriptConfig(_Section):
    backend: Literal["rules"] = "rules"


class InstructionsConfig(_Section):
    backend: Literal["rules"] = "rules"
    seed: int = 0
    negative_share: float = Field(0.2, ge=0, le=1)
    max_per_video: int = 60


class QualityConfig(_Section):
    max_area_jump: float = 4.0  # largest ratio of mask areas of neighbouring visible frames
    min_forward_backward_iou: float = 0.3
    min_visible_frames: int = 3
    max_fragments: int = 4  # stretches of visible frames of one masklet
    min_assignment_margin: float = 0.0


class PipelineConfig(_Section):
    """Everything that results depend on, one section per stage."""

    videos: VideosConfig = VideosConfig()
    near_duplicates: NearDuplicatesConfig = NearDuplicatesConfig()
    clips: ClipsConfig = ClipsConfig()
    entities: EntitiesConfig = EntitiesConfig()
    masklets: MaskletsConfig = MaskletsConfig()
    transcript: TranscriptConfig = TranscriptConfig()
    instructions: InstructionsConfig = InstructionsConfig()
    quality: QualityConfig = QualityConfig()


def home() -> Path:
    """Folder of the embedded stack's state: `$STREFER_HOME`, by default `.strefer` in the working folder."""
    return Path(os.environ.get("STREFER_HOME", ".strefer")).absolute()


class Settings(BaseSettings):
    """Where things are. Every field is read from `STREFER_<NAME>`; nested ones with `__`."""

    model_config = SettingsConfigDict(
        env_prefix="STREFER_", env_nested_delimiter="__", extra="ignore", frozen=True
    )

    database_url: SecretStr = Field(SecretStr(""), description="Catalog: postgresql+psycopg2://...")
    broker_url: SecretStr = Field(SecretStr(""), description="Celery broker: redis://... or amqp://...")
    objects_url: str = Field("", description="Object store: s3://bucket[/prefix] or file:///folder")
    s3_endpoint_url: str | None = Field(None, description="S3 server; unset for AWS itself")
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    s3_region: str = "us-east-1"
    airflow_url: str = Field("", description="Airflow's API and UI, without the /api/v2")
    airflow_user: str = "admin"
    airflow_password: SecretStr | None = None
    drop_prefix: str = Field("drops/", description="Object keys under it are videos to ingest")
    drop_poll_s: float = Field(20.0, gt=0, description="How often the watcher looks for new objects")
    cache_dir: Path | None = Field(None, description="Where workers keep fetched videos; default under home")
    cache_max_bytes: int = 20 * 2**30
    max_attempts: int = Field(
        3, ge=1, description="Starts of one stage on one video before it counts as failed"
    )
    pipeline: PipelineConfig = PipelineConfig()

    @property
    def video_cache_dir(self) -> Path:
        """Where this machine keeps fetched videos."""
        return self.cache_dir or home() / "cache" / "videos"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        from pydantic_settings import DotEnvSettingsSource

        stack = DotEnvSettingsSource(settings_cls, env_file=home() / "stack.env")
        return init_settings, env_settings, stack


@cache
def settings() -> Settings:
    """The process's settings, read once. Tests call `settings.cache_clear()`.

    Raises ConfigError naming every setting that is malformed; values are not shown, they may be secret.
    """
    try:
        return Settings()
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"settings are malformed: {found}; see `strefer config --help`") from None
