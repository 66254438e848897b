"""The plugin's own setting, read like the server's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import SettingsConfigDict

from discovery.system.env import EnvSettings


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


class JournalSettings(EnvSettings):
    model_config = SettingsConfigDict(env_ignore_empty=False)  # DATA_DIR= is a choice: memory only

    data_dir: Annotated[Path | None, BeforeValidator(_empty_is_none)] = Path("data")
    """Folder where everything registered is kept. DATA_DIR= keeps it in memory only."""
