"""How many entries each policy held at its fullest moment."""

from collections.abc import Mapping, Sequence

import numpy as np

from costaudit.contracts.policies import SemanticPolicy
from costaudit.simulate.semantic.nodes import Nodes
from costaudit.simulate.semantic.stream import Stream


def peak_entries(
    stream: Stream,
    nodes: Nodes,
    policies: Sequence[SemanticPolicy],
    served: np.ndarray,
    evicted: Mapping[int, np.ndarray],
) -> np.ndarray:
    """Follow each policy's entries through its decisions; int64 (k,).

    served: int32 (k, n), negative unless served. evicted: by place of a policy with a size limit,
    int32 (n,), the request whose entry a request's insertion pushed out, or negative.
    """
    from costaudit.simulate.semantic.decision_kernels import most_held

    times = np.sort(nodes.order)
    place = np.full(len(stream.text), -1, dtype=np.int32)
    place[times] = np.arange(len(times), dtype=np.int32)
    node = np.empty(len(times), dtype=np.int32)
    node[place[nodes.order]] = nodes.node
    nothing = np.full(len(times), -1, dtype=np.int32)
    queue = np.empty(len(times), dtype=np.int32)

    def local(requests: np.ndarray) -> np.ndarray:
        return np.where(requests < 0, -1, place[np.maximum(requests, 0)])

    peaks = np.zeros(len(policies), dtype=np.int64)
    for number, policy in enumerate(policies):
        pushed = local(evicted[number][times]) if number in evicted else nothing
        peaks[number] = most_held(
            node, stream.ts_s[times], stream.ready_s[times],
            local(served[number, times]), pushed,
            np.inf if policy.ttl_s is None else policy.ttl_s, policy.ttl_kind == "sliding",
            np.full(len(nodes.text), -1, dtype=np.int32),
            np.full(len(nodes.text), -1, dtype=np.int32),
            queue,
        )  # fmt: skip
    return peaks
