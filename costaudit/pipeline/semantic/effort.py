"""How long a sample takes on this machine, and how many texts it may have."""

import time
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from costaudit.embed.words import WordTable, WordVectors
from costaudit.simulate.semantic.halo.neighbours import Frame, halo_of
from costaudit.simulate.semantic.sample import LEAST_TEXTS, core_size
from costaudit.simulate.semantic.stream import Stream

_TRIED = 24_576  # texts that show how long all take, beyond what the first _FEW of them take
_FEW = 8_192
_TOPIC_TEXTS = 2_400  # half of these are as many as are linked when topics are found


@dataclass(frozen=True)
class Effort:
    """The seconds of a sample's parts. All texts are read, and compared with the core texts."""

    texts: int
    together: float  # share of the pairs of requests that share a partition
    embed_s: float  # for each text of the sample
    read_s: float = 0.0  # for each text
    listed_s: float = 0.0  # for each text in a partition with core texts,
    pair_s: float = 0.0  # and for each of these core texts

    def seconds(self, sample: int) -> float:
        """Return how long a sample of so many texts takes."""
        near = core_size(sample) * self.together
        each = self.read_s + self.listed_s * min(1.0, near) + self.pair_s * near
        return self.embed_s * (sample + topic_texts(sample)) + self.texts * each

    def affordable(self, seconds: float, most: int) -> int:
        """Return how many texts, at most `most`, can be sampled in a time."""
        return bisect_right(range(1, most + 1), seconds, key=self.seconds)


def topic_texts(sample: int) -> int:
    """Return how many texts are embedded for topics, beside a sample."""
    return min(_TOPIC_TEXTS, sample // 2)


def effort_of(stream: Stream, embed_s: float, most: int) -> Effort:
    """Measure the effort of samples of up to `most` texts on some texts of a stream.

    Few texts need no measurement: only embedding takes time there.
    """
    requests = np.bincount(stream.partition[stream.text >= 0]).astype(np.float64)
    together = float((requests**2).sum() / max(1.0, requests.sum()) ** 2)
    texts = stream.texts["text"]
    if len(texts) <= _TRIED:
        return Effort(len(texts), together, embed_s)
    rows = np.random.default_rng(0).choice(len(texts), _TRIED, replace=False)
    tried = texts.gather(np.sort(rows))
    table = WordTable()
    halo_seconds(WordVectors(tried[:_FEW], table), 1)  # loads, and compiles loops
    took = []
    for count in (_FEW, _TRIED):
        started = time.perf_counter()
        cheap = WordVectors(tried[:count], table)
        took.append(time.perf_counter() - started)
    low, high = core_size(LEAST_TEXTS), max(core_size(most), core_size(LEAST_TEXTS) + 1)
    least_s, most_s = (halo_seconds(cheap, core) for core in (low, high))
    pair_s = max(0.0, most_s - least_s) / (high - low)
    return Effort(
        len(texts),
        together,
        embed_s,
        read_s=max(0.0, took[1] - took[0]) / (_TRIED - _FEW),
        listed_s=max(0.0, least_s - low * pair_s),
        pair_s=pair_s,
    )


def halo_seconds(cheap: WordVectors, core: int) -> float:
    """Return the seconds per text of listing neighbours of so many core texts in one partition."""
    took = []
    for count in (_FEW, len(cheap)):
        rows = np.arange(count)
        frame = Frame(rows, rows, np.full(count, count), np.array([0, count]))
        drawn = np.linspace(0, _FEW - 1, core).astype(np.int64)
        known = cheap[drawn]
        started = time.perf_counter()
        halo_of(frame, cheap, drawn, known, count)
        took.append(time.perf_counter() - started)
    return max(0.0, took[1] - took[0]) / max(1, len(cheap) - _FEW)
