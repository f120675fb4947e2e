"""Which accelerator torch computes on, found on most machines without loading torch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from costaudit.errors import BackendError, UsageError

VARIABLE = "COSTAUDIT_DEVICE"
_NAMES = ("cpu", "cuda", "mps")  # torch calls AMD's accelerators cuda, too
_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # of NVIDIA, of AMD, and inside Windows


def accelerator() -> str | None:
    """Name torch's device for large products, which then are in full float32; None: the processor.

    Without a graphics driver torch isn't asked, because loading it takes a second. COSTAUDIT_DEVICE
    decides where it is set; raises UsageError where that device is unknown or not there. Apple's is
    used only when named so.
    """
    named = os.environ.get(VARIABLE, "")
    if named and named not in _NAMES:
        raise UsageError(
            f"{VARIABLE} is {named!r}.", hint=f"Set it to one of {', '.join(_NAMES)}, or unset it."
        )
    if named == "cpu" or not (named or any(Path(driver).exists() for driver in _DRIVERS)):
        return None
    import torch

    there = torch.backends.mps.is_available() if named == "mps" else torch.cuda.is_available()
    if there:
        torch.set_float32_matmul_precision("highest")  # never TensorFloat-32
        return named or "cuda"
    if named:
        raise UsageError(
            f"{VARIABLE} is {named}, but torch {torch.__version__} finds no such device.",
            hint=f"Install torch for {named} and the device's driver, or unset {VARIABLE}.",
        )
    return None


@contextmanager
def computing_on(device: str) -> Iterator[None]:
    """Turn torch's failures on an accelerator, such as full memory, into BackendError."""
    try:
        yield
    except RuntimeError as error:
        if device == "cpu":
            raise
        raise BackendError(
            f"torch can't compute on {device}: {str(error).splitlines()[0]}",
            hint=f"Free the device's memory, or compute on the processor with {VARIABLE}=cpu.",
        ) from None
