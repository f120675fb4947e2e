"""Get the candidate's answers to a sample, each once, and store them on disk immediately."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path

import msgspec
import polars as pl
import xxhash

from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.contracts.run_dir import JsonLines
from costaudit.errors import BackendError
from costaudit.pipeline.replaying.prompts import prompts_of
from costaudit.pipeline.routing.candidates import Candidate, recorded_answers
from costaudit.progress import Progress
from costaudit.providers.call import Answer, CallError, ModelClient, Prompt
from costaudit.replay.upstream import worst_usd

WORKERS = 4
_GIVE_UP = 3  # failed calls in a row before the trial stops


@dataclass(frozen=True)
class Try:
    """One answer of a candidate."""

    key: str  # of the candidate and the prompt
    candidate: str
    text: str
    tokens: tuple[int, ...]  # in the order of TOKEN_CLASSES
    usd: str  # what the call cost, as a decimal


@dataclass(frozen=True)
class Tries:
    """The result of a trial."""

    answers: tuple[Try | None, ...]  # in the order of the sample; None without an answer
    asked: int  # answered calls of this run
    failed: int  # calls that failed after their retries
    spent_usd: Decimal  # on this sample, including earlier runs
    stopped: str  # why it stopped early; "" if it did not


class TryStore:
    """An append-only file of answers."""

    def __init__(self, path: Path) -> None:
        self._lines = JsonLines(path, Try, "answer")

    def load(self, candidate: str) -> dict[str, Try]:
        """Return a candidate's stored answers by key."""
        return {one.key: one for one in self._lines.load(lambda one: one.candidate == candidate)}

    def append(self, one: Try) -> None:
        """Store one answer."""
        self._lines.append(one)


@dataclass(frozen=True)
class Sampled:
    """The sampled calls as they are sent, and the stored answers."""

    requests: pl.DataFrame  # REQUESTS, in the order of the sample
    prompts: tuple[Prompt, ...]
    keys: tuple[str, ...]
    candidate: Candidate
    store: TryStore

    @classmethod
    def of(
        cls, requests: pl.DataFrame, blocks: pl.DataFrame, candidate: Candidate, store: TryStore
    ) -> "Sampled":
        """Compose the prompts of sampled calls."""
        prompts = tuple(map(candidate.sent, prompts_of(requests, blocks)))
        keys = tuple(_key(candidate, prompt) for prompt in prompts)
        return cls(requests, prompts, keys, candidate, store)

    @property
    def most_usd(self) -> tuple[int, Decimal]:
        """Return the number of missing calls and the most that they may cost."""
        if self.candidate.recorded:
            return 0, Decimal(0)
        waiting = self._waiting(self.store.load(self.candidate.name))
        prices = (worst_usd(self.candidate.rate, self.prompts[i]) for i in waiting)
        return len(waiting), sum(prices, Decimal(0))

    @property
    def expected_usd(self) -> Decimal:
        """Return the price of the whole sample, by the token counts of the log."""
        counts = self.requests.select(pl.col(TOKEN_CLASSES).fill_null(0).sum()).row(0)
        cold = (sum(counts[:-1]), 0, 0, 0, 0, counts[-1])
        return self.candidate.rate.cost_usd(cold)

    def answered(self, max_usd: Decimal, progress: Progress) -> Tries:
        """Return the candidate's answers; missing ones are requested.

        A call starts only if its highest possible cost fits into the rest of `max_usd`, which
        earlier runs of the same sample reduce. It stops after a few failed calls in a row; stored
        answers are kept, and the next run continues from them.
        """
        if self.candidate.recorded:
            return self._recorded(self.candidate.recorded)
        known = self.store.load(self.candidate.name)
        spent = sum((Decimal(known[k].usd) for k in set(self.keys) & known.keys()), Decimal(0))
        waiting, asked = self._waiting(known), _Asked(spent)
        if waiting:
            client = self.candidate.client()
            try:
                self._ask_all(client, waiting, max_usd, asked, progress)
            finally:
                client.close()
        known = self.store.load(self.candidate.name)
        return Tries(
            tuple(known.get(key) for key in self.keys),
            asked.answered,
            asked.failed,
            asked.spent,
            asked.stopped,
        )

    def _recorded(self, path: Path) -> Tries:
        known = recorded_answers(path)
        answers: list[Try | None] = []
        for key, request_id in zip(self.keys, self.requests["request_id"], strict=True):
            one = known.get(request_id)
            tokens = (one.input_tokens, 0, 0, 0, 0, one.output_tokens) if one else ()
            text = one.answer if one else ""
            answers.append(Try(key, self.candidate.name, text, tokens, "0") if one else None)
        return Tries(tuple(answers), 0, 0, Decimal(0), "")

    def _waiting(self, known: dict[str, Try]) -> list[int]:
        """Return the calls without a stored answer, each prompt once, to pay for each only once."""
        first: dict[str, int] = {}
        for place, key in enumerate(self.keys):
            first.setdefault(key, place)
        return [place for key, place in first.items() if key not in known]

    def _ask_all(
        self,
        client: ModelClient,
        waiting: list[int],
        max_usd: Decimal,
        asked: "_Asked",
        progress: Progress,
    ) -> None:
        left = iter(waiting)
        progress.start("try", len(waiting), "calls")
        with ThreadPoolExecutor(WORKERS) as pool:
            while not asked.stopped:
                batch = list(self._affordable(left, max_usd - asked.spent, asked))
                if not batch:
                    break
                found = pool.map(lambda place: _ask(client, self.prompts[place]), batch)
                for place, outcome in zip(batch, found, strict=True):
                    self._take(place, outcome, asked)
                progress.advance(len(batch))
        progress.finish(asked.stopped)

    def _affordable(self, left: Iterator[int], usd: Decimal, asked: "_Asked") -> Iterator[int]:
        for _, place in zip(range(WORKERS), left, strict=False):
            most = worst_usd(self.candidate.rate, self.prompts[place])
            if most > usd:
                asked.stopped = f"the next call may cost ${most:.4f}, and ${usd:.4f} is left"
                return
            usd -= most
            yield place

    def _take(self, place: int, outcome: Answer | CallError, asked: "_Asked") -> None:
        if isinstance(outcome, CallError):
            asked.failed += 1
            asked.in_a_row += 1
            if asked.in_a_row >= _GIVE_UP:
                asked.stopped = f"{asked.in_a_row} calls in a row failed ({outcome.reason})"
            return
        rate = self.candidate.rate
        if outcome.text and not any(outcome.tokens) and any(rate.per_mtok):
            raise BackendError(
                "The candidate's answers report a usage of all zeros, so spending can't be "
                "counted.",
                hint="Make the server report usage; your own model can have a price of 0.",
            )
        usd = rate.cost_usd(outcome.tokens)
        asked.in_a_row = 0
        asked.answered += 1
        asked.spent += usd
        key, name = self.keys[place], self.candidate.name
        self.store.append(Try(key, name, outcome.text, outcome.tokens, str(usd)))


class _Asked:
    """The trial's progress."""

    def __init__(self, spent: Decimal) -> None:
        self.spent = spent
        self.answered = self.failed = self.in_a_row = 0
        self.stopped = ""


def _ask(client: ModelClient, prompt: Prompt) -> Answer | CallError:
    try:
        return client.complete(prompt).answer
    except CallError as error:
        return error


def _key(candidate: Candidate, prompt: Prompt) -> str:
    """Return a key of the candidate and everything that is sent."""
    told = msgspec.json.encode([candidate.name, asdict(prompt) | {"model": ""}])
    return xxhash.xxh3_128_hexdigest(told)
