"""Find a model's folder, on this machine or on the Hugging Face hub."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_FILES = ("*.json", "*.txt", "*.safetensors", "*.model")  # no *.bin: pickled weights can run code


NO_TELEMETRY = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}  # read on import


def without_telemetry() -> None:
    """Turn the telemetry of dependencies off, unless the user decided on it.

    Call it before they are imported.
    """
    for name, value in NO_TELEMETRY.items():
        os.environ.setdefault(name, value)


_offline = ContextVar("costaudit_offline", default=False)


@contextmanager
def without_downloads() -> Iterator[None]:
    """Find only models that are on this machine."""
    token = _offline.set(True)
    try:
        yield
    finally:
        _offline.reset(token)


class ModelNotFoundError(Exception):
    """The message says why no model was found."""


def model_folder(name: str) -> Path:
    """Return the folder of a model by its path or its name on the hub.

    A model that was downloaded before needs no network. Raises ModelNotFoundError.
    """
    without_telemetry()
    folder = Path(name)
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download

    for local_only in (True, False):
        try:
            found = snapshot_download(name, local_files_only=local_only, allow_patterns=[*_FILES])
            return Path(found)
        except Exception as error:  # of the hub's client or its libraries
            if not local_only or _offline.get() or os.environ.get("HF_HUB_OFFLINE"):
                raise ModelNotFoundError(str(error).splitlines()[0]) from None
    raise ModelNotFoundError("it was not found")
