"""`strefer config` and `strefer init`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, SecretStr

from strefer_core.config import home, settings
from strefer_core.console import emit, say, table
from strefer_core.errors import ConfigError


def masked(value: Any) -> Any:
    """A setting fit to be shown: secrets only say whether they are set."""
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else ""
    return value


def _rows(prefix: str, section: BaseModel) -> Iterator[list[Any]]:
    """Variable, value and meaning of each setting."""
    for name, field in type(section).model_fields.items():
        value, variable = getattr(section, name), f"{prefix}{name.upper()}"
        if isinstance(value, BaseModel):
            yield from _rows(f"{variable}__", value)
        else:
            yield [variable, masked(value), field.description or ""]


def show(*, as_json: bool) -> None:
    """Every setting, its variable and its value in force."""
    now = settings()
    rows = list(_rows("STREFER_", now))
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
