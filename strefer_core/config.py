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
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
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
    embedder: Literal["none", "layout", "siglip"] = "layout"  # of frames; "none": shots alone make clips
    siglip_path: str = ""  # of `siglip`: folder of its checkpoint
    min_change: float = Field(1.0, gt=0)  # of the features, in what the embedder counts as one
    min_s: float = Field(1.0, ge=0)  # shorter ones join a neighbour
    max_s: float = Field(20.0, gt=0)  # longer ones are split evenly

    @model_validator(mode="after")
    def _is_whole(self) -> ClipsConfig:
        if self.embedder == "siglip" and not self.siglip_path:
            raise ValueError("clips.embedder siglip needs clips.siglip_path, the folder of a checkpoint")
        return self

    @model_validator(mode="after")
    def _halves_fit(self) -> ClipsConfig:
        if self.max_s < 2 * self.min_s:
            raise ValueError(
                f"clips.max_s {self.max_s} must be at least twice clips.min_s {self.min_s}: halves must fit"
            )
        return self


class ServedModel(_Section):
    """A model behind an OpenAI-compatible server, and how it is asked. Where the server is: `Settings`."""

    model: str = ""  # the server's name for it; must be set where a backend uses it
    temperature: float = Field(0.2, ge=0)
    max_tokens: int = Field(1024, ge=1)
    samples: int = Field(3, ge=1)  # at most so many replies per question until one is usable
    seed: int = 0
    frames: int = Field(8, ge=1)  # pictures per question, of a model that sees
    max_side_px: int = Field(512, ge=64)  # of these pictures
    sends: Literal["images", "video"] = "images"  # a few JPEGs, or one MP4 made of the same frames
    guided: bool = True  # sends the answer's schema as response_format too; off for servers that refuse it


def _need_models(section: str, backend: str, used: str, **models: ServedModel) -> None:
    """Raise ValueError where `backend` is the one that is `used` and a model that it asks has no name."""
    for name, served in models.items():
        if backend == used and not served.model:
            raise ValueError(
                f"{section}.backend is {backend}, which asks a served model: set {section}.{name}.model"
            )


class EntitiesConfig(_Section):
    backend: Literal["classical", "vlm"] = "classical"
    recognizer: ServedModel = ServedModel()  # of `vlm`: sees the video, writes a paragraph
    parser: ServedModel = ServedModel()  # of `vlm`: turns the paragraph into expressions and nouns
    max_entities: int = Field(8, ge=1)

    @model_validator(mode="after")
    def _models_are_named(self) -> EntitiesConfig:
        _need_models("entities", self.backend, "vlm", recognizer=self.recognizer, parser=self.parser)
        return self


class LocalModel(_Section):
    """A model that the worker loads. Where it runs is `Settings.device`."""

    weights: str = ""  # folder, s3://bucket/prefix, or owner/name[@revision] of the Hugging Face hub
    sha256: str = ""  # of all its files, as `strefer weights` prints it: then it is what says which it is
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # auto: half on a GPU, float32 on a CPU
    batch: int = Field(8, ge=1)  # at most so many frames, cuts or questions at a time


class DetectorModel(LocalModel):
    """GroundingDINO, or SAM 3, which follows what it finds: then no tracker is loaded."""

    # package: GroundingDINO through groundingdino-py; sam3: SAM 3 video through transformers 5.
    implementation: Literal["transformers", "package", "sam3"] = "transformers"


class TrackerModel(LocalModel):
    """SAM 2 or 2.1."""

    implementation: Literal["transformers", "package"] = "transformers"  # package: sam2


class AssignerModel(LocalModel):
    # similarity: CLIP or SigLIP; vlm: a local one of the Qwen-VL family; served: asks `served`.
    kind: Literal["similarity", "vlm", "served"] = "similarity"
    served: ServedModel = ServedModel()
    repeats: int = Field(1, ge=1)  # of `served`: times that each question is asked; scores are means


class MaskletsConfig(_Section):
    backend: Literal["classical", "gpu"] = "classical"
    detector: DetectorModel = DetectorModel()  # these three are of `gpu`
    tracker: TrackerModel = TrackerModel()
    assigner: AssignerModel = AssignerModel()
    cascade: Literal["first_frame", "paper", "strefer"] = "strefer"
    detection_batch: int = Field(4, ge=1)  # most frames per call of the detector
    min_score: float = Field(0.3, ge=0, le=1)  # of a box; weaker ones are ignored
    max_anchors: int = Field(6, ge=1)  # frames from which tracks begin
    # Share of all masks asked for that further looks of the detector may still win, or the search ends; 0
    # looks on as long as anything is missing: a few more masks for about half as many looks again.
    min_gain: float = Field(0.18, ge=0, le=1)
    min_match: float = Field(0.4, ge=0, le=1)  # of a track with an entity's words; else it stays without one

    @model_validator(mode="after")
    def _models_are_named(self) -> MaskletsConfig:
        if self.backend == "gpu":
            local: dict[str, LocalModel] = {"detector": self.detector}
            if self.detector.implementation != "sam3":
                local["tracker"] = self.tracker
            if self.assigner.kind != "served":
                local["assigner"] = self.assigner
            for name, model in local.items():
                if not model.weights:
                    raise ValueError(
                        f"masklets.backend is gpu, which needs masklets.{name}.weights: a folder, "
                        "s3://bucket/prefix, or owner/name[@revision] of the hub"
                    )
            is_asked = self.backend if self.servers else ""
            _need_models("masklets", "gpu", is_asked, **{"assigner.served": self.assigner.served})
        return self

    @property
    def servers(self) -> tuple[Literal["vlm"], ...]:
        """The served models that the assigner asks."""
        return ("vlm",) if self.backend == "gpu" and self.assigner.kind == "served" else ()


class TranscriptConfig(_Section):
    backend: Literal["rules", "vlm"] = "rules"
    vlm: ServedModel = ServedModel()
    repeats: int = Field(1, ge=1)  # of `vlm`: times that each question is asked, to see whether it agrees
    shows: Literal["marked", "cropped"] = "marked"  # of `vlm`: how the track is shown to the model

    @model_validator(mode="after")
    def _model_is_named(self) -> TranscriptConfig:
        _need_models("transcript", self.backend, "vlm", vlm=self.vlm)
        return self


class InstructionsConfig(_Section):
    backend: Literal["rules", "llm"] = "rules"
    llm: ServedModel = ServedModel()
    seed: int = 0
    negative_share: float = Field(0.2, ge=0, le=1)
    max_per_video: int = 60
    turns: int = Field(1, ge=1)  # at most so many questions in one conversation

    @model_validator(mode="after")
    def _model_is_named(self) -> InstructionsConfig:
        _need_models("instructions", self.backend, "llm", llm=self.llm)
        return self


class QualityConfig(_Section):
    # Estimates the chance that a pair is wrong: a shipped filter's name, a .json file's path, or "" for none;
    # then single checks decide.
    filter: str = ""
    target_error: float = Field(0.02, gt=0, lt=1)  # share of wrong pairs among those accepted
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


class ServedEndpoint(_Section):
    """An OpenAI-compatible server. Nothing here changes a result."""

    base_url: str = Field("", description="Its address up to the version: http://host:8000/v1")
    api_key: SecretStr | None = Field(None, description="Sent in a header, never shown")
    timeout_s: float = Field(120.0, gt=0, description="Longest wait for one reply, from first byte to last")
    connect_timeout_s: float = Field(10.0, gt=0, description="Longest wait for a connection")
    question_timeout_s: float = Field(
        900.0, gt=0, description="Longest wait for a usable answer, all tries and samples together"
    )
    max_tries: int = Field(5, ge=1, description="Tries of a call that the server does not answer")
    max_concurrency: int = Field(16, ge=1, description="Questions of one process at a time, at most")
    max_away_s: float = Field(
        3600.0, ge=0, description="So long a video waits for a server that is away; then it has failed"
    )
    prompt_price: float | None = Field(None, ge=0, description="Per million prompt tokens; unset: unknown")
    completion_price: float | None = Field(None, ge=0, description="Per million completion tokens")

    @field_validator("base_url")
    @classmethod
    def _is_plain_address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            is_plain = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # a port that is no number, half a bracket
            is_plain = False
        if url and not is_plain:
            raise ValueError("write http://host:port/v1 or https://host/v1")
        if url and ("@" in parts.netloc or parts.query or parts.fragment):
            raise ValueError("an address carries no key, query or fragment: the key goes into API_KEY")
        return url.rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        text = key.get_secret_value() if key else ""
        if not (text.isascii() and (text.isprintable() and " " not in text)):
            raise ValueError("a key is printable ASCII without blanks")
        return key if text else None


class ModelsConfig(_Section):
    """Models that worker processes load and keep. Nothing here changes a result."""

    budget_bytes: int | None = Field(
        None, ge=0, description="Most bytes that one process keeps of models; unset: a share of the GPU's"
    )
    device_share: float = Field(
        0.6, gt=0, le=1, description="That share of its memory; the rest is for the work itself"
    )
    weights_dir: Path | None = Field(None, description="Where fetched weights are kept; default under home")
    offline: bool = Field(
        False, description="Never ask the hub: only folders, S3 and what was fetched before"
    )


class GateConfig(_Section):
    """Bars that a drop must meet to be published. Nothing here changes a result."""

    max_failed_share: float = Field(
        0.5, ge=0, le=1, description="Largest share of a drop's videos that failed"
    )
    min_accepted_share: float = Field(
        0.2, ge=0, le=1, description="Smallest share of its pairs to be accepted"
    )
    max_estimated_error: float = Field(
        0.05, ge=0, le=1, description="Largest mean chance that an accepted pair is wrong"
    )
    max_check_share: float = Field(
        0.6, ge=0, le=1, description="Largest share of its pairs that any one check stops"
    )
    max_drift: float = Field(
        0.25, ge=0, description="Largest population stability index of groups or task types to the last drop"
    )
    max_largest_share: float = Field(
        0.6, gt=0, le=1, description="Largest share of one group or task type; beyond it a warning"
    )
    min_videos: int = Field(3, ge=1, description="Shares of smaller drops are shown, but keep nothing out")
    answer_wait_s: float = Field(
        3600.0, gt=0, description="How long a run waits for a person to open a gate; then it stays closed"
    )


class AlertsConfig(_Section):
    """Who is told that something went wrong. Everything is logged, whatever is set here."""

    webhook_url: SecretStr | None = Field(None, description="Gets a JSON POST per alert; may hold a token")
    webhook_timeout_s: float = Field(10.0, gt=0, description="Longest wait for it")
    drop_expected_s: float | None = Field(
        None, gt=0, description="The nightly run alerts where the last drop is older; unset: never"
    )
    run_late_s: float = Field(
        6 * 3600.0,
        gt=0,
        description="A run alerts that takes so much longer than its last ten did on average",
    )

    @field_validator("webhook_url")
    @classmethod
    def _is_address(cls, url: SecretStr | None) -> SecretStr | None:
        text = url.get_secret_value() if url else ""
        if text and not text.startswith(("http://", "https://")):
            raise ValueError("write http://host/path or https://host/path")
        return url if text else None


class BenchConfig(_Section):
    """The fixed questions that champion and challenger are asked: of world videos that no training sees."""

    seed: int = Field(20_011, ge=0, description="Of the world; never one that data is made from")
    videos: int = Field(40, ge=1, description="So many of its videos")
    per_task: int = Field(6, ge=1, description="Most questions of one task type per video")


class LearningConfig(_Section):
    """When a Video LLM is trained anew, and when the new one is used."""

    preset: str = Field("tiny", description="Which model is trained where the form names none")
    min_new_pairs: int = Field(
        1000, ge=0, description="Accepted pairs that the champion never saw, for a training to be due"
    )
    weights: dict[str, float] = Field({}, description="Share of each group in the mixture; {}: as it comes")
    options: dict[str, int | float | str] = Field(
        {}, description="Of a training, where the form names none: steps, epochs, learning_rate, ..."
    )
    margin: float = Field(0.0, ge=-1, le=1, description="By how much a challenger must be better")
    confidence: float = Field(0.95, ge=0.5, lt=1, description="Least share of resamples in which it is")
    bench: BenchConfig = BenchConfig()
    keep_newest: int = Field(5, ge=1, description="So many of the newest models keep their files")
    keep_champions: int = Field(3, ge=1, description="And so many of the last champions")


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
    picture_dir: Path | None = Field(None, description="Where dashboards keep pictures; default under home")
    job_dir: Path | None = Field(
        None, description="Where workers keep checkpoints and decoded frames of trainings; default under home"
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$",
        description="Where neural backends run: auto, cpu, cuda or cuda:1; auto is the first GPU, or the CPU",
    )
    max_attempts: int = Field(
        3, ge=1, description="Starts of one stage on one video before it counts as failed"
    )
    rate_limit: str = Field(
        "",
        pattern=r"^(\d+/[smh])?$",
        description="Most videos that one worker begins: 30/m, 1/s, 500/h; empty: as many as it can",
    )
    vlm: ServedEndpoint = ServedEndpoint()  # a model that sees; the same server as `llm` may be named
    llm: ServedEndpoint = ServedEndpoint()
    models: ModelsConfig = ModelsConfig()
    gate: GateConfig = GateConfig()
    alerts: AlertsConfig = AlertsConfig()
    learning: LearningConfig = LearningConfig()
    pipeline: PipelineConfig = PipelineConfig()

    @property
    def video_cache_dir(self) -> Path:
        """Where this machine keeps fetched videos."""
        return self.cache_dir or home() / "cache" / "videos"

    @property
    def weights_folder(self) -> Path:
        """Where this machine keeps the weights that it fetched."""
        return self.models.weights_dir or home() / "cache" / "weights"

    @property
    def job_folder(self) -> Path:
        """Where this machine keeps what jobs write while they run."""
        return self.job_dir or home() / "jobs"

    @property
    def picture_cache_dir(self) -> Path:
        """Where the dashboards keep the frames and masks that they drew."""
        return self.picture_dir or home() / "cache" / "pictures"

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
