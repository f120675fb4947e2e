"""all-MiniLM-L6-v2 through OpenVINO, quicker where the processor multiplies in bfloat16."""

import importlib.util
import sys
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from costaudit.embed.minilm import WEIGHTS_SHA256, MiniLM, published_bert
from costaudit.engine.pool import default_workers
from costaudit.errors import BackendError

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, InferRequest


class FastMiniLM(MiniLM):
    """MiniLM's tokens and weights on the processor, in bfloat16 where it has the instructions."""

    name = "fast"

    def __init__(self, folder: Path | None = None) -> None:
        if importlib.util.find_spec("openvino") is None:
            raise BackendError(
                "The embedder fast needs OpenVINO, which is not installed.",
                hint="Run `pip install 'costaudit[fast]'`, or use the built-in minilm.",
            )
        super().__init__(folder, "cpu")
        self._requests = threading.local()  # a request is one thread's
        self._compiling = threading.Lock()

    @property
    def revision(self) -> str:
        """Digest of the weights, and the precision of products, which moves the vectors."""
        return f"{WEIGHTS_SHA256[:12]}-{self.precision}"

    @cached_property
    def precision(self) -> str:
        """bf16 where OpenVINO counts it among what this processor can do, otherwise f32."""
        able: Sequence[str] = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bf16" if "BF16" in able else "f32"

    def _means(self, tokens: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        if not hasattr(self._requests, "own"):
            with self._compiling:  # once, whichever thread is first
                self._requests.own = self._compiled.create_infer_request()
        request: InferRequest = self._requests.own
        means: np.ndarray = request.infer([tokens, lengths])[0].copy()  # the next call writes there
        return means

    @cached_property
    def _core(self) -> "Core":
        return _openvino().Core()

    @cached_property
    def _compiled(self) -> "CompiledModel":
        import torch

        example = (torch.ones((2, 3), dtype=torch.long), torch.tensor([3, 2]))
        model = _openvino().convert_model(published_bert(self._folder), example_input=example)
        return self._core.compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": self.precision,
                "NUM_STREAMS": default_workers(),  # one batch for each processor
                "INFERENCE_NUM_THREADS": default_workers(),
            },
        )


def _openvino() -> Any:
    """Import OpenVINO without its telemetry, which reports every import to its maker."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # taken for absent
    import openvino

    return openvino
