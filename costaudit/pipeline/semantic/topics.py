"""Find and measure topics on a sample, for a log that gets no exact sweep."""

from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from costaudit.contracts.grades import Estimate, Money, micro_usd
from costaudit.contracts.semantic import ClusterCentres, SampledCluster, SampledClusters
from costaudit.embed.embedders import embedder_on
from costaudit.embed.store import VectorStore, embed_texts, named
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.semantic.evidence import SMALLEST, TOP, SemanticResult, topic_name
from costaudit.pipeline.semantic.text_run import usd_by_text
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.topics.clusters import cluster_texts
from costaudit.simulate.semantic.topics.drawn import Drawn, Sizes, draw_texts


@dataclass(frozen=True)
class _ByText:
    """What was asked with each text of a stream; float64 (m,)."""

    requests: np.ndarray
    usd: np.ndarray
    hits: np.ndarray  # requests that repeat it exactly and are served


def with_topics(
    result: SemanticResult,
    log: Loaded,
    options: AnalyzeOptions,
    stream: Stream,
    texts: int,
    progress: Progress,
) -> SemanticResult:
    """Return a result of identical questions with topics, from embedding up to so many texts."""
    eligible = stream.text >= 0
    many = len(stream.texts)
    by_text = _ByText(
        np.bincount(stream.text[eligible], minlength=many).astype(np.float64),
        usd_by_text(log, stream),
        np.bincount(stream.text[result.exact.hits], minlength=many).astype(np.float64),
    )
    drawn = draw_texts(by_text.requests, by_text.usd, texts, options.seed)
    rows = drawn.rows
    embedder = embedder_on(options.policy.embedder, options.ingest.engine)
    spec = embedder.spec
    store = VectorStore(log.run.vectors_path, spec.name, spec.revision, spec.dimensions)
    held = named(stream.texts[rows])
    vectors = embed_texts(held, embedder, store, progress).vectors
    found, usd = drawn.found(by_text.usd if by_text.usd.any() else by_text.requests)
    place = np.searchsorted(rows, found)
    clusters = cluster_texts(held[place], vectors[place], usd)
    of_text = np.full(many, -1, np.int64)
    of_text[rows] = clusters.nearest(vectors)
    known = np.bincount(of_text[rows], by_text.requests[rows], len(clusters.ids))
    measured = _Measured(drawn, by_text, of_text, log.usd_of(eligible))
    told = tuple(
        measured.row(
            number,
            clusters.ids[number],
            topic_name(
                clusters, number, held["text"].gather(place), show_prompts=options.show_prompts
            ),
            float(clusters.tightness[number]),
        )
        for number in np.flatnonzero(known >= SMALLEST)[:TOP].tolist()
    )
    ranked = sorted(
        (one for one in told if one.request_share.value),
        key=lambda one: (-one.cost.usd, -one.request_share.value),
    )
    sampled = SampledClusters(spec.name, spec.revision, len(rows), tuple(ranked))
    return replace(
        result,
        section=replace(result.section, sampled_clusters=sampled),
        centres=ClusterCentres(spec.name, spec.revision, clusters.ids, clusters.centres),
    )


class _Measured:
    """The sizes of topics, by the texts that were drawn to count them."""

    def __init__(self, drawn: Drawn, by_text: _ByText, of_text: np.ndarray, usd: Decimal) -> None:
        self._requests, self._usd = Sizes(drawn, by_text.requests), Sizes(drawn, by_text.usd)
        hit = by_text.hits / np.maximum(by_text.requests, 1)
        self._hit = hit[drawn.certain], hit[drawn.counted]
        self._of = of_text[drawn.certain], of_text[drawn.counted]
        self._seen = np.bincount(of_text[drawn.rows])
        self._total = usd

    def row(self, number: int, cluster_id: str, label: str, tightness: float) -> SampledCluster:
        """Return one topic, with its intervals."""
        own = self._of[0] == number, self._of[1] == number
        share = self._usd.share(*own)
        return SampledCluster(
            cluster_id=cluster_id,
            label=label,
            request_share=self._requests.share(*own),
            cost=self._money(share),
            share=share,
            hit_share=self._requests.share_within(*own, self._hit),
            tightness=tightness,
            sampled_texts=int(self._seen[number]),
        )

    def _money(self, share: Estimate) -> Money:
        ends = (share.value, share.low or 0.0, share.high or 0.0)
        usd, low, high = (micro_usd(self._total * Decimal(repr(one))) for one in ends)
        return Money(usd, "estimated", low, high)
