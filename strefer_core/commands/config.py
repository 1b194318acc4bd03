"""`strefer config` and `strefer init`."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from strefer_core.config import Settings, home, settings
from strefer_core.console import emit, say, table
from strefer_core.errors import ConfigError


def masked(value: Any) -> Any:
    """A setting fit to be shown: secrets only say whether they are set."""
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else ""
    return value


def show(*, as_json: bool) -> None:
    """Every setting, its variable and its value in force."""
    now = settings()
    rows = [
        [f"STREFER_{name.upper()}", masked(getattr(now, name)), field.description or ""]
        for name, field in Settings.model_fields.items()
        if name != "pipeline"
    ]
    rows += [
        [f"STREFER_PIPELINE__{stage.upper()}__{name.upper()}", value, ""]
        for stage, section in now.pipeline.model_dump(mode="json").items()
        for name, value in section.items()
    ]
    stack = home() / "stack.env"
    title = f"Settings ({stack if stack.exists() else 'no embedded stack is up'})"
    emit(
        {name: value for name, value, _ in rows},
        as_json=as_json,
        human=table(title, ["variable", "value", "meaning"], rows),
    )


def init() -> None:
    """Bring the configured catalog's schema up to date and make sure that the bucket exists."""
    from strefer_core.store.catalog import migrate
    from strefer_core.store.objects import open_objects

    now = settings()
    if not (url := now.database_url.get_secret_value()):
        raise ConfigError("no catalog is known: set STREFER_DATABASE_URL, or run `strefer up`")
    migrate(url)
    say("the catalog's schema is up to date")
    open_objects(now).create()
    say(f"{now.objects_url} is there")


def password() -> None:
    """Print the one secret that a person has to type."""
    secret = settings().airflow_password
    if secret is None:
        raise ConfigError("no password is known: run `strefer up`, or set STREFER_AIRFLOW_PASSWORD")
    emit(None, as_json=False, human=secret.get_secret_value())
