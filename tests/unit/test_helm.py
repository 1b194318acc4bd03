"""The chart as helm renders it, held against Kubernetes' own schemas and against what the code reads.

What is not tried here: a cluster, KEDA itself, and the official Airflow chart, which cannot be had offline.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from kombu.transport.redis import Channel

from strefer_core import worker
from strefer_core.config import Settings
from strefer_core.pipeline import STAGES
from tests import helm
from tests.unit.test_compose import SERVICES, variables

ROOT = Path(__file__).parents[2]
VALUES: dict[str, Any] = yaml.safe_load((helm.CHART / "values.yaml").read_text())
AIRFLOW: dict[str, Any] = yaml.safe_load((ROOT / "infra" / "helm" / "airflow-values.yaml").read_text())
QUEUES = sorted({stage.queue for stage in STAGES.values()} | {"train"})
KUBERNETES = ("1.29", "1.34")
VARIANTS = {
    "redis": (),
    "rabbitmq": ("--set", "scaling.broker=rabbitmq"),
    "no-keda": ("--set", "scaling.broker="),
    "two-served": ("--set", "served.vllm-text.enabled=true"),
    "claims": ("--set", "workers.gpu.cache.claim=models", "--set", "served.vllm.cache.claim=models"),
}

TEXT = {"type": "string", "minLength": 1}
REDIS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["address", "listName", "listLength"],
    "properties": {
        "address": {"type": "string", "pattern": r"^[^:]+:\d+$"},
        "databaseIndex": {"type": "string", "pattern": r"^\d+$"},
        "enableTLS": {"enum": ["true", "false"]},
        "listName": TEXT,
        "listLength": {"type": "string", "pattern": r"^[1-9]\d*$"},
    },
}
RABBITMQ = {
    "type": "object",
    "additionalProperties": False,
    "required": ["queueName", "mode", "value"],
    "properties": {
        "protocol": {"enum": ["auto", "http", "amqp"]},
        "queueName": TEXT,
        "mode": {"enum": ["QueueLength", "MessageRate"]},
        "value": {"type": "string", "pattern": r"^[1-9]\d*$"},
    },
}
"""Metadata of KEDA's triggers, the part that the chart uses; KEDA's own schema comes with the cluster."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return helm.unpack(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="module")
def rendered(program: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: helm.render(program, *options) for name, options in VARIANTS.items()}


def of_kind(found: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in found if one["kind"] == kind}


def containers(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    pods = [one["spec"]["template"]["spec"] for one in found if one["kind"] in ("Deployment", "Job")]
    return [container for pod in pods for container in pod["containers"]]


def workers(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Pod specification of each queue's worker."""
    return {
        name.removeprefix("strefer-worker-"): one["spec"]["template"]["spec"]
        for name, one in of_kind(found, "Deployment").items()
        if name.startswith("strefer-worker-")
    }


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in container.get("env", [])}


def test_helm_finds_no_fault(program: Path) -> None:
    done = helm.call(program, "lint", "--strict", str(helm.CHART))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("release", KUBERNETES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_is_one_that_kubernetes_takes(
    rendered: dict[str, list[dict[str, Any]]], variant: str, release: str
) -> None:
    own = [one for one in rendered[variant] if not one["apiVersion"].startswith("keda.sh/")]
    assert {one["kind"] for one in own} == {"Deployment", "Service", "PodDisruptionBudget", "Job"}
    for one in own:
        kubernetes_validate.validate(one, release, strict=True)


def test_every_queue_has_a_worker_that_celery_can_start(rendered: dict[str, list[dict[str, Any]]]) -> None:
    from celery.bin.worker import worker as command_line

    found = workers(rendered["redis"])
    assert sorted(found) == QUEUES
    for queue, pod in found.items():
        command = pod["containers"][0]["command"]
        assert command[:4] == ["celery", "-A", "strefer_core.worker", "worker"], "no shell before it: SIGTERM"
        parsed = command_line.make_context("worker", list(command[4:]), resilient_parsing=True).params
        assert parsed["queues"] == [queue]
        assert parsed["concurrency"] == VALUES["workers"][queue]["concurrency"]


def test_each_list_that_keda_watches_is_one_that_the_broker_fills(
    rendered: dict[str, list[dict[str, Any]]],
) -> None:
    channel = Channel.__new__(Channel)  # its naming needs no connection
    channel.priority_steps = sorted(worker.PRIORITIES["redis"].values())
    scaled = of_kind(rendered["redis"], "ScaledObject")
    assert sorted(scaled) == [f"strefer-worker-{queue}" for queue in QUEUES]
    for queue in QUEUES:
        triggers = scaled[f"strefer-worker-{queue}"]["spec"]["triggers"]
        filled = {channel._q_for_pri(queue, step) for step in channel.priority_steps}
        assert {trigger["metadata"]["listName"] for trigger in triggers} == filled
        for trigger in triggers:
            jsonschema.validate(trigger["metadata"], REDIS)


def test_rabbitmq_has_one_queue_for_both_priorities(rendered: dict[str, list[dict[str, Any]]]) -> None:
    for name, scaled in of_kind(rendered["rabbitmq"], "ScaledObject").items():
        (trigger,) = scaled["spec"]["triggers"]
        jsonschema.validate(trigger["metadata"], RABBITMQ)
        assert name == f"strefer-worker-{trigger['metadata']['queueName']}"


@pytest.mark.parametrize("variant", ["redis", "rabbitmq"])
def test_keda_scales_deployments_that_are_there_with_a_secret_that_is_named(
    rendered: dict[str, list[dict[str, Any]]], variant: str
) -> None:
    found = rendered[variant]
    known = of_kind(found, "TriggerAuthentication")
    for scaled in of_kind(found, "ScaledObject").values():
        assert scaled["spec"]["scaleTargetRef"]["name"] in of_kind(found, "Deployment")
        assert 0 <= scaled["spec"]["minReplicaCount"] <= scaled["spec"]["maxReplicaCount"]
        assert {t["authenticationRef"]["name"] for t in scaled["spec"]["triggers"]} <= set(known)
    assert not any(
        "replicas" in one["spec"] for n, one in of_kind(found, "Deployment").items() if "worker" in n
    )


def test_without_keda_there_are_as_many_workers_as_the_least(
    rendered: dict[str, list[dict[str, Any]]],
) -> None:
    found = rendered["no-keda"]
    assert not of_kind(found, "ScaledObject")
    for queue in QUEUES:
        deployment = of_kind(found, "Deployment")[f"strefer-worker-{queue}"]
        assert deployment["spec"]["replicas"] == VALUES["workers"][queue]["min"]


def test_an_unknown_broker_is_refused_by_name(program: Path) -> None:
    done = helm.call(program, "template", "strefer", str(helm.CHART), "--set", "scaling.broker=kafka")
    assert done.returncode != 0
    assert 'scaling.broker is redis, rabbitmq or empty, not "kafka"' in done.stderr


def test_every_variable_is_a_setting_and_the_settings_load(
    rendered: dict[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = set(variables("STREFER_", Settings()))
    for container in containers(rendered["redis"]):
        own = {n: v for n, v in environment(container).items() if n.startswith("STREFER_")}
        assert set(own) <= known
        with monkeypatch.context() as patch:
            for name, value in own.items():
                patch.setenv(name, value)
            Settings()


def test_secrets_are_named_and_never_written(rendered: dict[str, list[dict[str, Any]]]) -> None:
    explained = set(
        re.findall(r"\b(STREFER_\w+)", (helm.CHART / "values.yaml").read_text().split("settings:")[0])
    )
    assert explained <= set(variables("STREFER_", Settings()))
    secret = {
        n for n in variables("STREFER_", Settings()) if re.search("PASSWORD|KEY$|DATABASE_URL|BROKER", n)
    }
    for container in containers(rendered["redis"]):
        assert not secret & set(environment(container))
        if container["name"] != "vllm":
            assert container["envFrom"] == [{"secretRef": {"name": VALUES["secretName"]}}]


def test_images_are_targets_of_the_dockerfile_and_those_of_compose(
    rendered: dict[str, list[dict[str, Any]]],
) -> None:
    dockerfile = (ROOT / "infra" / "Dockerfile").read_text()
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.M))
    ours = {c["image"] for c in containers(rendered["redis"]) if c["image"].startswith("strefer/")}
    assert {image.split("/")[1].split(":")[0] for image in ours} <= targets
    in_compose = {
        service["image"].replace("${STREFER_VERSION:-0.1.0}", "0.1.0") for service in SERVICES.values()
    }
    assert {c["image"] for c in containers(rendered["two-served"])} <= in_compose
    for queue, pod in workers(rendered["redis"]).items():
        assert (
            pod["containers"][0]["image"].split(":")[0] == SERVICES[f"worker-{queue}"]["image"].split(":")[0]
        )


def test_a_worker_has_time_for_what_it_has_begun(rendered: dict[str, list[dict[str, Any]]]) -> None:
    found = workers(rendered["redis"])
    assert found["llm"]["terminationGracePeriodSeconds"] > Settings().llm.question_timeout_s
    for queue, pod in found.items():
        (container,) = pod["containers"]
        drain = container["lifecycle"]["preStop"]["exec"]["command"][-1]
        assert f'--destination "{queue}@$POD_NAME" cancel_consumer {queue}' in drain
        assert container["command"][container["command"].index("-n") + 1] == f"{queue}@$(POD_NAME)"
        of_compose = SERVICES[f"worker-{queue}"]["stop_grace_period"]
        assert pod["terminationGracePeriodSeconds"] >= 60 * int(of_compose.removesuffix("m"))


def test_gpus_are_asked_for_by_those_who_use_them_alone(rendered: dict[str, list[dict[str, Any]]]) -> None:
    for queue, pod in workers(rendered["redis"]).items():
        limits = pod["containers"][0]["resources"]["limits"]
        assert ("nvidia.com/gpu" in limits) == (queue in ("gpu", "train"))
        assert ("nodeSelector" in pod) == (queue in ("gpu", "train"))
    spot = [t["key"] for t in workers(rendered["redis"])["gpu"]["tolerations"]]
    assert any("spot" in key or "scalesetpriority" in key for key in spot)


def test_every_worker_has_a_disruption_budget_of_its_own(rendered: dict[str, list[dict[str, Any]]]) -> None:
    budgets = of_kind(rendered["redis"], "PodDisruptionBudget")
    for queue in QUEUES:
        labels = of_kind(rendered["redis"], "Deployment")[f"strefer-worker-{queue}"]["spec"]["template"][
            "metadata"
        ]["labels"]
        selected = budgets[f"strefer-worker-{queue}"]["spec"]["selector"]["matchLabels"]
        assert selected.items() <= labels.items()


def test_a_served_model_is_ready_when_it_answers_and_is_where_the_settings_look(
    rendered: dict[str, list[dict[str, Any]]],
) -> None:
    found = rendered["two-served"]
    services = of_kind(found, "Service")
    for name in ("strefer-vllm", "strefer-vllm-text"):
        pod = of_kind(found, "Deployment")[name]["spec"]["template"]
        (container,) = pod["spec"]["containers"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"] == {"path": "/health", "port": "http"}
        assert services[name]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        assert container["args"][0] == "--model"
    assert VALUES["settings"]["STREFER_VLM__BASE_URL"] == "http://strefer-vllm:8000/v1"
    assert VALUES["settings"]["STREFER_LLM__BASE_URL"] == "http://strefer-vllm:8000/v1"
    assert VALUES["served"]["vllm"]["model"] == VALUES["settings"]["STREFER_PIPELINE__TRANSCRIPT__VLM__MODEL"]
    assert VALUES["served"]["vllm"]["args"] == SERVICES["vllm"]["command"][2:]


def test_the_schema_is_brought_up_before_the_workers_are(rendered: dict[str, list[dict[str, Any]]]) -> None:
    (job,) = of_kind(rendered["redis"], "Job").values()
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["command"] == ["strefer", "init"]


# Values for Airflow's own chart.


def test_airflow_gets_the_settings_that_the_workers_get() -> None:
    given = {one["name"]: one["value"] for one in AIRFLOW["env"]}
    assert given == VALUES["settings"]
    assert yaml.safe_load(AIRFLOW["extraEnvFrom"]) == [{"secretRef": {"name": VALUES["secretName"]}}]


def test_airflow_is_configured_as_in_compose() -> None:
    of_compose = SERVICES["airflow-scheduler"]["environment"]
    for section, options in AIRFLOW["config"].items():
        for option, value in options.items():
            assert of_compose[f"AIRFLOW__{section.upper()}__{option.upper()}"] == value
    image = AIRFLOW["images"]["airflow"]
    assert SERVICES["airflow-api-server"]["image"].split(":")[0] == image["repository"]
    assert AIRFLOW["executor"] == of_compose["AIRFLOW__CORE__EXECUTOR"]


def test_airflow_is_the_release_that_is_pinned() -> None:
    assert f"apache-airflow=={AIRFLOW['airflowVersion']}\n" in (ROOT / "constraints.txt").read_text()
