"""Whether the answer that a cache would have served agrees with the logged one."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from costaudit.answers.calibration import Calibration, Repeats, calibrate, repeats
from costaudit.answers.kinds import (
    CODE,
    CUT,
    EMPTY,
    JSON,
    MISSING,
    REFUSAL,
    TOOL_USE,
    same_code,
    same_structure,
)
from costaudit.answers.logged import Ints, Logged
from costaudit.answers.traps.detectors import TRAP_NAMES
from costaudit.answers.traps.signatures import Signatures
from costaudit.contracts.grades import Grade

ENOUGH_REPEATS = 30  # pairs; with fewer the noise floor is assumed
ASSUMED_LIMIT = 0.90  # cosine
KIND_FLAGS = ("refusal", "empty", "cut", "structure", "code", "kind")
FLAG_NAMES = (*TRAP_NAMES, *(f"answer_{n}" for n in TRAP_NAMES), *KIND_FLAGS)  # bit by bit
_ANSWER_BIT = len(TRAP_NAMES)
_KIND_BIT = 2 * len(TRAP_NAMES)


@dataclass(frozen=True)
class NoiseFloor:
    """The similarity below which two answers differ more than repeats of one prompt do."""

    limit: float  # cosine
    pairs: int  # repeats with different wordings that it rests on
    quantile: float  # of those pairs that lie below the limit
    grade: Grade  # estimated, or assumed where the pairs are too few


@dataclass(frozen=True)
class Verdicts:
    """One row per pair of requests (asked, matched)."""

    right: npt.NDArray[np.int8]  # 1, 0, or -1 where it can't be known
    similarity: npt.NDArray[np.float32]  # cosine of the two answers; nan where unknown
    contradicts: npt.NDArray[np.bool_]  # a detector that holds for this log tells the answers apart
    certain: npt.NDArray[np.bool_]  # right or wrong whatever the similarity: equal text, kinds
    flags: npt.NDArray[np.uint32]  # bits by FLAG_NAMES

    def names(self, row: int) -> tuple[str, ...]:
        """Name the flags of one pair."""
        bits = int(self.flags[row])
        return tuple(name for bit, name in enumerate(FLAG_NAMES) if bits >> bit & 1)


class Consistency:
    """Judge pairs of requests of one log by their logged answers."""

    def __init__(
        self,
        log: Logged,
        *,
        quantile: float = 0.05,
        question_traps: Signatures | None = None,
        answer_traps: Signatures | None = None,
    ) -> None:
        """Take signatures that are at hand already; else the texts are read."""
        self.log = log
        self.quantile = quantile
        self.question_traps = question_traps or Signatures(log.questions)
        self.answer_traps = answer_traps or Signatures(log.answers)

    @cached_property
    def repeats(self) -> Repeats:
        """Successive requests with the same prompt in the same scope."""
        return repeats(self.log)

    @cached_property
    def calibration(self) -> Calibration:
        """What the repeats say: which detectors hold, which prompts have live answers."""
        return calibrate(self.log, self.repeats, self.answer_traps)

    @cached_property
    def floor(self) -> NoiseFloor:
        """The noise floor: a low quantile over settled repeats whose answers differ in wording."""
        similarity = self.calibration.similarity
        if len(similarity) < ENOUGH_REPEATS:
            return NoiseFloor(ASSUMED_LIMIT, len(similarity), self.quantile, "assumed")
        limit = float(np.quantile(similarity, self.quantile))
        return NoiseFloor(limit, len(similarity), self.quantile, "estimated")

    def judge(self, asked: Ints, matched: Ints) -> Verdicts:
        """Judge pairs: would the answer to `matched` have been right for `asked`?"""
        similarity = self.log.similarity(asked, matched)
        flags = self._flags(asked, matched)
        contradicts = (flags >> np.uint32(_ANSWER_BIT) & self.calibration.kept) != 0
        right = np.where(np.isnan(similarity), -1, (similarity >= self.floor.limit) & ~contradicts)
        right = right.astype(np.int8)
        certain = self._by_kind(asked, matched, similarity, right, flags)
        return Verdicts(right, similarity, contradicts, certain, flags)

    def _flags(self, asked: Ints, matched: Ints) -> npt.NDArray[np.uint32]:
        log = self.log
        questions = self.question_traps.differs(log.question[asked], log.question[matched])
        flags = questions.astype(np.uint32)
        both = np.flatnonzero((log.answer[asked] >= 0) & (log.answer[matched] >= 0))
        found = self.answer_traps.contradicts(log.answer[asked[both]], log.answer[matched[both]])
        flags[both] |= found.astype(np.uint32) << np.uint32(_ANSWER_BIT)
        return flags

    def _by_kind(
        self,
        asked: Ints,
        matched: Ints,
        similarity: npt.NDArray[np.float32],
        right: npt.NDArray[np.int8],
        flags: npt.NDArray[np.uint32],
    ) -> npt.NDArray[np.bool_]:
        """Settle what the kinds of the two answers settle, in place; tell which pairs those are."""
        own, served = self.log.kind[asked], self.log.kind[matched]
        certain = (similarity == 1.0) & (self.log.answer[asked] == self.log.answer[matched])
        right[certain] = 1

        def settle(rows: npt.NDArray[np.bool_], verdict: int, flag: str) -> None:
            right[rows] = verdict
            certain[rows] = verdict >= 0
            flags[rows] |= np.uint32(1 << (_KIND_BIT + KIND_FLAGS.index(flag)))

        mixed = own != served
        settle(mixed & ((own == JSON) | (served == JSON)), 0, "kind")
        settle(mixed & ((own == REFUSAL) | (served == REFUSAL)), 0, "refusal")
        self._compare_exactly(asked, matched, right, certain, flags)
        settle((own == EMPTY) | (served == EMPTY), 0, "empty")
        settle((own == EMPTY) & (served == EMPTY), 1, "empty")
        for kind in (CUT, TOOL_USE, MISSING):
            settle((own == kind) | (served == kind), -1, "cut" if kind == CUT else "kind")
        return np.asarray(certain, np.bool_)

    def _compare_exactly(
        self,
        asked: Ints,
        matched: Ints,
        right: npt.NDArray[np.int8],
        certain: npt.NDArray[np.bool_],
        flags: npt.NDArray[np.uint32],
    ) -> None:
        """Compare structured output field by field, and code as code."""
        texts, answer = self.log.answers, self.log.answer
        own, served = self.log.kind[asked], self.log.kind[matched]
        both = np.flatnonzero((own == JSON) & (served == JSON) & ~certain)
        pairs = [(texts[answer[asked[k]]], texts[answer[matched[k]]]) for k in both]
        if pairs:
            first, second = zip(*pairs, strict=True)
            right[both] = same_structure(first, second, self.calibration.noisy)
            certain[both] = True
            flags[both[right[both] == 0]] |= np.uint32(1 << (_KIND_BIT + 3))
        for k in np.flatnonzero((own == CODE) & (served == CODE) & ~certain):
            if same_code(texts[answer[asked[k]]], texts[answer[matched[k]]]):
                right[k], certain[k] = 1, True
            else:
                flags[k] |= np.uint32(1 << (_KIND_BIT + 4))
