"""Tiles of similarities on an accelerator, of which only the places of near pairs come back."""

import threading
from typing import TYPE_CHECKING

import numpy as np

from costaudit.engine.device import computing_on
from costaudit.simulate.semantic.nodes import Nodes

if TYPE_CHECKING:
    import torch

_SHARE = 0.5  # of the device's free memory that the vectors may fill


class DeviceTiles:
    """Vectors on a device of torch's, or beside it where they don't fit."""

    def __init__(
        self, vectors: np.ndarray, nodes: Nodes, device: str, room_bytes: int | None = None
    ) -> None:
        import torch

        self._torch = torch
        self._device = torch.device(device)
        self._nodes = nodes
        self._turn = threading.Lock()  # one tile at a time: a tile's memory doesn't multiply
        self._vectors = torch.from_numpy(np.ascontiguousarray(vectors))
        with computing_on(device):
            if room_bytes is None:
                room_bytes = self._free_bytes()
            if vectors.nbytes <= _SHARE * room_bytes:
                self._vectors = self._vectors.to(self._device)

    def near(
        self, rows: np.ndarray, columns: np.ndarray, reach: np.ndarray, *, below: bool
    ) -> np.ndarray:
        """List pairs of the same partition whose float32 product reaches its column's `reach`.

        rows, columns: rising node numbers. With `below`, only columns lower than the row. Returns
        places in them, int64 (2, pairs).
        """
        with self._turn, computing_on(self._device.type), self._torch.inference_mode():
            tile = self._gathered(rows) @ self._gathered(columns).T
            near = tile >= self._there(reach)
            row, column = self._there(rows)[:, None], self._there(columns)
            near &= column < row if below else column != row
            row, column = (self._there(self._nodes.partition[part]) for part in (rows, columns))
            near &= row[:, None] == column
            places: np.ndarray = near.nonzero().T.contiguous().cpu().numpy()
        return places

    def _gathered(self, nodes: np.ndarray) -> "torch.Tensor":
        texts = self._torch.from_numpy(self._nodes.text[nodes]).to(self._vectors.device)
        return self._vectors.index_select(0, texts).to(self._device)

    def _there(self, values: np.ndarray) -> "torch.Tensor":
        return self._torch.from_numpy(values).to(self._device)

    def _free_bytes(self) -> int:
        if self._device.type == "cuda":
            return int(self._torch.cuda.mem_get_info(self._device)[0])
        return 2 * self._vectors.nbytes  # the processor's memory holds them already
