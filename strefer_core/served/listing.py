"""Which models an OpenAI-compatible server says it has."""

from __future__ import annotations

from http import HTTPStatus

import httpx
from pydantic import BaseModel, ValidationError

from strefer_core.config import ServedEndpoint
from strefer_core.errors import BackendError, ConfigError


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


def served_models(name: str, endpoint: ServedEndpoint, timeout_s: float = 5.0) -> list[str]:
    """Ids of the models that a server lists, as the field `model` of the stages names them.

    Args:
        name: of the endpoint in the settings, `vlm` or `llm`.
        endpoint: where it is.
        timeout_s: longest wait for the list.

    Raises:
        ConfigError: no server is set, or it refuses the key.
        BackendError: it does not answer, or with something else than a list of models.
    """
    variable = f"STREFER_{name.upper()}__"
    if not endpoint.base_url:
        raise ConfigError(f"{variable}BASE_URL is not set; for example http://host:8000/v1")
    key = endpoint.api_key.get_secret_value() if endpoint.api_key else ""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    where = f"the {name} server at {endpoint.base_url}"
    try:
        answer = httpx.get(f"{endpoint.base_url}/models", headers=headers, timeout=timeout_s)
    except httpx.HTTPError as error:
        raise BackendError(f"{where} does not answer: {type(error).__name__}") from error
    if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise ConfigError(f"{where} answers HTTP {answer.status_code}: check {variable}API_KEY")
    if answer.status_code != HTTPStatus.OK:
        raise BackendError(f"{where} answers HTTP {answer.status_code}: check {variable}BASE_URL")
    try:
        return [model.id for model in _Models.model_validate_json(answer.content).data]
    except ValidationError as error:
        raise BackendError(f"{where} gives no list of models: check {variable}BASE_URL") from error
