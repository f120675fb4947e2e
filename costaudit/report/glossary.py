"""The terms of a report that are not plain English, each in one sentence."""

# ruff: noqa: E501

from dataclasses import dataclass

from costaudit.contracts.grades import GRADES, Grade
from costaudit.report.language import tr


@dataclass(frozen=True)
class Term:
    """One entry of the glossary."""

    key: str  # as templates name it
    name: str
    meaning: str


def _n(message: str) -> str:
    """Mark a message for the catalogues; it is translated where it is shown."""
    return message


TERMS = (
    Term(
        "answers_alike",
        _n("answers similar"),
        _n("How similar the answers to two similar questions are; 1 is the same text."),
    ),
    Term(
        "cache_read",
        _n("cache read"),
        _n(
            "Input tokens that the provider found in its own prompt cache and billed at a lower price."
        ),
    ),
    Term(
        "cache_write",
        _n("cache write"),
        _n(
            "Input tokens that the provider put into its prompt cache; some providers charge more for them."
        ),
    ),
    Term("cluster", _n("cluster"), _n("Questions that mean nearly the same, counted together.")),
    Term(
        "eligible",
        _n("eligible request"),
        _n(
            "A request that a response cache may answer: a chat question with a prompt and an answer, without a tool call."
        ),
    ),
    Term(
        "embedder",
        _n("embedder"),
        _n(
            "The model that turns a text into numbers, so that texts with a like meaning have like numbers."
        ),
    ),
    Term(
        "interval",
        _n("95% interval"),
        _n("The range that holds the true number in 95 of 100 such logs."),
    ),
    Term(
        "marker",
        _n("cache marker"),
        _n("The place in a prompt up to which the provider is asked to keep it in its cache."),
    ),
    Term("net", _n("net a month"), _n("What is saved a month, less what the cache itself costs.")),
    Term(
        "noise_floor",
        _n("noise floor"),
        _n(
            "How different two answers to the very same question may be; answers at least this similar count as the same."
        ),
    ),
    Term(
        "overlap",
        _n("overlap"),
        _n("Money that two measures would each claim to save; it is counted once."),
    ),
    Term("p50", "p50", _n("Half of the requests were at most this slow.")),
    Term("p95", "p95", _n("95 of 100 requests were at most this slow.")),
    Term("payback", _n("payback"), _n("Months until what was saved equals what the work cost.")),
    Term(
        "prefix",
        _n("static prefix"),
        _n("The beginning of a prompt that is equal to the beginning of an earlier one."),
    ),
    Term(
        "prompt_caching",
        _n("prompt caching"),
        _n(
            "The provider keeps the beginning of a prompt and bills it at a lower price when it comes again."
        ),
    ),
    Term(
        "raw",
        _n("raw hits"),
        _n("Requests that a response cache would have answered, right or wrong."),
    ),
    Term("replay", _n("replay"), _n("The requests of the log sent again through a real cache.")),
    Term(
        "response_cache",
        _n("response cache"),
        _n(
            "A store that answers a question again with an answer given before, without asking the model."
        ),
    ),
    Term(
        "scope",
        _n("scope"),
        _n("What must be equal, such as the tenant, before an answer may be shared."),
    ),
    Term(
        "similarity",
        _n("similarity"),
        _n(
            "How similar two texts are in meaning, as the cosine of their embeddings; 1 is the same."
        ),
    ),
    Term(
        "steady",
        _n("steady state"),
        _n("The hit rate after the first requests, when the cache is no longer empty."),
    ),
    Term(
        "template",
        _n("prompt template"),
        _n("Prompts of one endpoint and model that share their fixed text."),
    ),
    Term(
        "threshold",
        _n("threshold"),
        _n("The minimum similarity at which a stored answer is served."),
    ),
    Term("token", _n("token"), _n("A piece of a word; providers bill by them.")),
    Term("token_hour", _n("token-hour"), _n("One token that a cache holds for one hour.")),
    Term("ttl", "TTL", _n("Time to live: how long a stored answer may be served.")),
    Term(
        "unsafe",
        _n("wrong answers"),
        _n(
            "Stored answers served to questions that needed another one, as a share of all requests."
        ),
    ),
    Term(
        "valid",
        _n("valid hits"),
        _n("Hits whose stored answer agrees with what the model really answered."),
    ),
)

_GRADES: dict[Grade, tuple[str, str]] = {
    "measured": (_n("measured"), _n("in the log or on the bill")),
    "replayed": (_n("replayed"), _n("a live cache did it")),
    "simulated": (_n("simulated"), _n("an exact rule run over the log")),
    "estimated": (_n("estimated"), _n("statistics or a tokenizer replaced something missing")),
    "assumed": (_n("assumed"), _n("a parameter that the reader can change")),
}


def glossary() -> dict[str, Term]:
    """Return the terms in the language in use, in alphabetical order of their names."""
    told = [Term(one.key, tr(one.name), tr(one.meaning)) for one in TERMS]
    return {one.key: one for one in sorted(told, key=lambda one: one.name.casefold())}


def grades() -> dict[str, Term]:
    """Return how well a number can be known, the best first, in the language in use."""
    return {name: Term(name, *map(tr, _GRADES[name])) for name in GRADES}
