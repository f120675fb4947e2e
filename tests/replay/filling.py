"""Traffic of several tenants, and a cache that is filled with its answers and queried again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from costaudit.providers.call import Message, Prompt
from costaudit.replay.stream import ReplayStream
from costaudit.replay.warm import WarmAnswer
from costaudit.replay.warming.places import admitted, foreign
from costaudit.replay.warming.target import Checked, Filled, WarmTarget
from costaudit.replay.warming.targets import target_at
from tests.replay.conftest import make_log

SCOPE = ("tenant", "model", "system")


def vector_of(text: str) -> np.ndarray:
    """Return a vector that depends only on the text."""
    rng = np.random.default_rng(list(text.encode()))
    vector = rng.standard_normal(32)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@dataclass
class Traffic:
    """Questions that every tenant asks, with different answers for each tenant."""

    stream: ReplayStream
    answers: list[WarmAnswer]


def traffic(tenants: Sequence[str] = ("t0", "t1", "t2"), *, pools_by: str = "tenant") -> Traffic:
    questions = [f"question {number}" for number in range(6)]
    asked = [(tenant, row) for tenant in tenants for row in range(len(questions))]
    log = make_log(len(asked), texts=len(questions), bypass_share=0)
    pools = [tenants.index(one) if pools_by == "tenant" else row % 2 for one, row in asked]
    prompts = [
        Prompt("gpt-4o", (Message("system", "Be kind."), Message("user", questions[row])))
        for _, row in asked
    ]
    stream = replace(
        log.stream,
        rows=np.array([row for _, row in asked]),
        partitions=np.array(pools),
        pools=np.array(pools),
        answers=[f"{tenant} says {row}" for tenant, row in asked],
        scopes=[{"tenant": tenant, "model": "gpt-4o"} for tenant, _ in asked],
        prompts=prompts,
    )
    answers = [
        WarmAnswer(
            index=index, request_id=f"r{index}", cluster_id="c", question=questions[row],
            answer=stream.answers[index], row=row, partition=pools[index],
            ttl_s=None if row else 120.0, hits=1, saved_usd=0.1, scope=stream.scopes[index],
        )
        for index, (_, row) in enumerate(asked)
    ]  # fmt: skip
    return Traffic(stream, answers)


def warmed(
    address: str, made: Traffic, headers: Mapping[str, str] | None = None, similarity: float = 0.95
) -> tuple[WarmTarget, Filled, Checked, Mapping[str, int]]:
    target = target_at(address, made.stream, vector_of, similarity, SCOPE, headers or {})
    separation = target.separation()
    fitting = admitted(made.answers, made.stream, separation, SCOPE)
    filled = target.fill(fitting.answers)
    checked = target.check(filled.answers, foreign(filled.answers, separation))
    return target, filled, checked, fitting.left_out
