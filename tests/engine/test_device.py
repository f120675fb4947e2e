"""Which device torch computes on, on the machine that runs the tests."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from costaudit.engine import device
from costaudit.errors import UsageError


@pytest.fixture(autouse=True)
def _not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COSTAUDIT_DEVICE", raising=False)


def test_without_a_driver_torch_is_not_loaded() -> None:
    code = (
        "import sys\n"
        "from costaudit.engine import device\n"
        "assert device.accelerator(['/no/such/driver']) is None\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_with_a_driver_torch_is_asked(tmp_path: Path) -> None:
    assert device.accelerator([str(tmp_path)]) == ("cuda" if torch.cuda.is_available() else None)


def test_the_processor_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COSTAUDIT_DEVICE", "cpu")
    assert device.accelerator([str(tmp_path)]) is None


def test_a_named_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    assert not all(there.values())  # no machine has both
    for name, found in there.items():
        monkeypatch.setenv("COSTAUDIT_DEVICE", name)
        if found:
            assert device.accelerator() == name
            continue
        with pytest.raises(UsageError, match=f"COSTAUDIT_DEVICE is {name}, but torch") as caught:
            device.accelerator()
        assert "unset COSTAUDIT_DEVICE" in caught.value.hint


def test_an_unknown_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSTAUDIT_DEVICE", "gpu")
    with pytest.raises(UsageError, match="'gpu'") as caught:
        device.accelerator()
    assert "cpu, cuda, mps" in caught.value.hint
