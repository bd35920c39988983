"""Reads the settings from where the process runs: its environment, and a TOML file."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.contract.errors import AssayError
from assay_collector.settings import CONFIG_VARIABLE, Resolved, resolve

CONFIG_FILE = Path("assay.toml")


@dataclass(eq=False)
class ConfigUnreadable(AssayError):
    """The TOML file cannot be read."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"cannot read the settings file {self.path}: {self.reason}"


def settings_here(
    *,
    flags: Mapping[str, Any] | None = None,
    config: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Resolved:
    """
    The settings of a process started here.

    Args:
        flags: What the command line says, by setting name.
        config: The TOML file; without it the one that ASSAY_CONFIG names, else ``assay.toml`` here if there is one.

    Raises:
        ConfigUnreadable: The file was asked for and is missing, or is not TOML.
        SettingRefused: A value cannot be read.
        SettingUnknown: The file names something else.
    """
    path = _config_path(config, environment)
    file = _read_toml(path) if path else {}
    return resolve(flags=flags or {}, environment=environment, file=file, file_name=str(path))


def _config_path(config: Path | None, environment: Mapping[str, str]) -> Path | None:
    if config:
        return config
    if named := environment.get(CONFIG_VARIABLE):
        return Path(named)
    return CONFIG_FILE if CONFIG_FILE.exists() else None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigUnreadable(path, error.strerror or str(error)) from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigUnreadable(path, str(error)) from error
