"""Choose the accelerator for torch; most machines need not load torch for that."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from costaudit.errors import BackendError, UsageError

VARIABLE = "COSTAUDIT_DEVICE"
_NAMES = ("cpu", "cuda", "mps")  # torch calls AMD's accelerators cuda too
DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # of NVIDIA, of AMD, and inside Windows


def accelerator(drivers: Sequence[str] = DRIVERS) -> str | None:
    """Return torch's name of the device for large products; None for the processor.

    The products are in full float32. If no path of `drivers` exists, torch is not loaded, because
    that takes a second. COSTAUDIT_DEVICE overrides the choice; raises UsageError if that device is
    unknown or missing. Apple's device is used only if COSTAUDIT_DEVICE names it.
    """
    named = os.environ.get(VARIABLE, "")
    if named and named not in _NAMES:
        raise UsageError(
            f"{VARIABLE} is {named!r}.", hint=f"Set it to one of {', '.join(_NAMES)}, or unset it."
        )
    if named == "cpu" or not (named or any(Path(driver).exists() for driver in drivers)):
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
