"""The compose file, checked without an engine: its shape, and that it names only what the code reads."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from strefer_core.config import ServedModel, Settings
from strefer_core.pipeline import STAGES

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

STRINGS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
DURATION = {"type": "string", "pattern": r"^\d+(ms|s|m|h)$"}
SERVICE_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["image"],
    "properties": {
        "image": {"type": "string"},
        "build": {
            "type": "object",
            "additionalProperties": False,
            "required": ["context", "dockerfile", "target"],
            "properties": {k: {"type": "string"} for k in ("context", "dockerfile", "target")},
        },
        "command": STRINGS,
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "ports": {"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
        "volumes": STRINGS,
        "secrets": STRINGS,
        "profiles": STRINGS,
        "ipc": {"enum": ["host", "private", "shareable"]},
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "stop_grace_period": DURATION,
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["condition"],
                "properties": {
                    "condition": {
                        "enum": ["service_started", "service_healthy", "service_completed_successfully"]
                    }
                },
            },
        },
        "healthcheck": {
            "type": "object",
            "additionalProperties": False,
            "required": ["test", "interval", "timeout", "retries"],
            "properties": {
                "test": {
                    "type": "array",
                    "prefixItems": [{"enum": ["CMD", "CMD-SHELL"]}],
                    "items": {"type": "string"},
                    "minItems": 2,
                },
                "interval": DURATION,
                "timeout": DURATION,
                "retries": {"type": "integer", "minimum": 1},
            },
        },
        "deploy": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "resources": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "reservations": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {
                                "devices": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "additionalProperties": False,
                                        "required": ["capabilities"],
                                        "properties": {
                                            "driver": {"type": "string"},
                                            "count": {"type": "integer", "minimum": 1},
                                            "capabilities": STRINGS,
                                        },
                                    },
                                }
                            },
                        }
                    },
                }
            },
        },
    },
}
"""The part of the Compose specification that the file uses, strict: an unknown key is a mistake."""


def strefer_workers() -> dict[str, list[str]]:
    return {n: s["command"] for n, s in SERVICES.items() if "strefer_core.worker" in s.get("command", [])}


@pytest.mark.parametrize("name", SERVICES)
def test_service_has_the_shape_that_compose_asks_for(name: str) -> None:
    jsonschema.validate(SERVICES[name], SERVICE_SCHEMA)


def test_top_level_holds_only_what_compose_knows() -> None:
    assert {k for k in COMPOSE if not k.startswith("x-")} <= {"name", "services", "volumes", "secrets"}


@pytest.mark.parametrize("name", SERVICES)
def test_everything_that_a_service_refers_to_exists(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_a_dependency_on_health_has_a_health_check() -> None:
    for service in SERVICES.values():
        for other, rule in service.get("depends_on", {}).items():
            if rule["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other]


def variables(prefix: str, section: BaseModel) -> Iterator[str]:
    """Names of all settings, nested ones too."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from variables(f"{prefix}{name.upper()}__", value)
        else:
            yield f"{prefix}{name.upper()}"


def test_every_strefer_variable_is_one_that_the_settings_read() -> None:
    known = set(variables("STREFER_", Settings()))
    used = {n for s in SERVICES.values() for n in s.get("environment", {}) if n.startswith("STREFER_")}
    assert used <= known
    assert {"STREFER_DATABASE_URL", "STREFER_BROKER_URL", "STREFER_OBJECTS_URL"} <= used


def with_defaults(value: str) -> str:
    """A value as compose makes it where no variable is set; a default may hold another one."""
    while (filled := re.sub(r"\$\{\w+:-([^${}]*)\}", r"\1", value)) != value:
        value = filled
    return value


@pytest.mark.parametrize("worker", ["worker-cpu", "worker-gpu", "worker-llm", "worker-train"])
def test_settings_load_from_the_variables_of_a_worker(monkeypatch: pytest.MonkeyPatch, worker: str) -> None:
    for name, value in SERVICES[worker]["environment"].items():
        monkeypatch.setenv(name, re.sub(r"\$\{[^}]*\}", "filled-in", with_defaults(value)))
    settings = Settings()
    assert settings.objects_url == "s3://strefer"
    assert settings.database_url.get_secret_value().startswith("postgresql+psycopg2://")
    assert settings.broker_url.get_secret_value().startswith("redis://")
    assert (settings.vlm.base_url, settings.vlm.api_key) == ("http://vllm:8000/v1", None)
    local = settings.pipeline
    assert (local.entities.backend, local.transcript.backend, local.instructions.backend) == (
        "classical",
        "rules",
        "rules",
    )


@pytest.mark.parametrize(
    ("variable", "backend"), [("ENTITIES", "vlm"), ("TRANSCRIPT", "vlm"), ("INSTRUCTIONS", "llm")]
)
def test_one_variable_switches_a_stage_to_the_served_model(
    monkeypatch: pytest.MonkeyPatch, variable: str, backend: str
) -> None:
    environment: dict[str, str] = SERVICES["airflow-scheduler"]["environment"]
    assert environment[f"STREFER_PIPELINE__{variable}__BACKEND"].startswith(f"${{{variable}_BACKEND:-")
    for name, value in environment.items():
        if name.startswith("STREFER_PIPELINE__"):
            monkeypatch.setenv(name, with_defaults(value))
    monkeypatch.setenv(f"STREFER_PIPELINE__{variable}__BACKEND", backend)
    assert getattr(Settings().pipeline, variable.lower()).backend == backend


def test_every_airflow_variable_is_an_option_that_this_airflow_knows() -> None:
    from airflow.configuration import conf

    names = {n for s in SERVICES.values() for n in s.get("environment", {}) if n.startswith("AIRFLOW__")}
    unknown = []
    for name in sorted(names):
        _, section, option = name.lower().split("__")
        if option not in conf.configuration_description.get(section, {}).get("options", {}):
            unknown.append(name)
    # Options of the auth manager and the Celery provider are described by them, not by the core.
    assert [n for n in unknown if "SIMPLE_AUTH_MANAGER" not in n and "__CELERY__" not in n] == []


def test_every_queue_of_a_stage_has_a_worker() -> None:
    served = {command[command.index("-Q") + 1] for command in strefer_workers().values()}
    assert {stage.queue for stage in STAGES.values()} | {"train"} == served


@pytest.mark.parametrize("name", strefer_workers())
def test_worker_command_is_one_that_celery_parses(name: str) -> None:
    from celery.bin.worker import worker

    arguments = strefer_workers()[name]
    assert arguments[:4] == ["celery", "-A", "strefer_core.worker", "worker"]
    assert worker.make_context("worker", list(arguments[4:]), resilient_parsing=True).params["queues"]


def test_strefer_commands_exist() -> None:
    from strefer_core.cli import main

    text = " ".join(part for s in SERVICES.values() for part in s.get("command", []))
    assert set(re.findall(r"\bstrefer (\w+)", text)) <= set(main.commands)


def test_gpu_services_reserve_a_gpu_and_run_one_process() -> None:
    for name in ("worker-gpu", "worker-train"):
        devices = SERVICES[name]["deploy"]["resources"]["reservations"]["devices"]
        assert devices[0]["capabilities"] == ["gpu"]
        command = SERVICES[name]["command"]
        assert command[command.index("-c") + 1] == "1"


def test_images_are_targets_of_the_dockerfile_and_install_declared_extras() -> None:
    dockerfile = (ROOT / "infra" / "Dockerfile").read_text()
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.M))
    assert {s["build"]["target"] for s in SERVICES.values() if "build" in s} <= targets
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extras in re.findall(r"'\.\[([^\]]+)\]'", dockerfile):
        assert set(extras.split(",")) <= set(declared)


def test_every_file_that_an_image_copies_is_sent_to_the_engine() -> None:
    dockerfile = (ROOT / "infra" / "Dockerfile").read_text()
    sent = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.M)
    copied = [name for line in re.findall(r"^COPY (.+)$", dockerfile, re.M) for name in line.split()[:-1]]
    assert set(copied) <= set(sent)
    assert all((ROOT / name).exists() for name in copied)


def test_the_gpu_image_is_built_as_make_builds_its_environment() -> None:
    dockerfile, makefile = (ROOT / "infra" / "Dockerfile").read_text(), (ROOT / "Makefile").read_text()
    (without_deps,) = set(re.findall(r"--no-deps ((?:[\w-]+ ?)+)", dockerfile))
    assert without_deps.strip() in makefile
    assert "SAM2_BUILD_CUDA=0" in dockerfile
    assert "SAM2_BUILD_CUDA=0" in makefile


def test_a_served_model_of_its_own_is_the_one_that_the_stages_ask_for() -> None:
    environment = SERVICES["worker-llm"]["environment"]
    for service, variable in (
        ("vllm", "STREFER_PIPELINE__TRANSCRIPT__VLM__MODEL"),
        ("vllm-text", "STREFER_PIPELINE__INSTRUCTIONS__LLM__MODEL"),
    ):
        command = SERVICES[service]["command"]
        assert command[command.index("--model") + 1] == environment[variable]
        assert "http://localhost:8000/health" in SERVICES[service]["healthcheck"]["test"][1]
        assert "ports" not in SERVICES[service], "reached inside alone"


def test_what_vllm_is_told_in_json_is_json() -> None:
    command = SERVICES["vllm"]["command"]
    limits = json.loads(command[command.index("--limit-mm-per-prompt") + 1])
    most = max(ServedModel().frames, 32)
    assert limits == {"image": most, "video": 1}
    assert json.loads(command[command.index("--media-io-kwargs") + 1]) == {"video": {"num_frames": -1}}


def seconds(duration: str) -> int:
    return int(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]


def test_a_worker_has_time_for_what_it_has_begun() -> None:
    assert seconds(SERVICES["worker-llm"]["stop_grace_period"]) > Settings().llm.question_timeout_s
    assert seconds(SERVICES["worker-gpu"]["stop_grace_period"]) >= 15 * 60


def test_weights_and_trainings_outlive_their_containers() -> None:
    for name, variable in (
        ("worker-gpu", "STREFER_MODELS__WEIGHTS_DIR"),
        ("worker-gpu", "HF_HOME"),
        ("worker-train", "STREFER_JOB_DIR"),
    ):
        service = SERVICES[name]
        mounted = [volume.split(":")[1] for volume in service["volumes"]]
        assert any(Path(service["environment"][variable]).is_relative_to(folder) for folder in mounted)


def test_no_secret_is_written_down_and_every_variable_is_explained() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    example = (ROOT / "infra" / "example.env").read_text()
    for name, value in re.findall(r"(\w*(?:PASSWORD|SECRET|ACCESS_KEY|FERNET_KEY)\w*): (\S+)", text):
        assert value.startswith(("${", "/run/secrets/")), name
    explained = set(re.findall(r"^(\w+)=", example, re.M)) | {"STREFER_VERSION"}
    assert set(re.findall(r"\$\{(\w+)", text)) <= explained
    assert re.findall(r"^\w+=(.+)$", example, re.M) == []
