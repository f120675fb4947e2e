"""Judge whether a cached answer agrees with the logged one."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from costaudit.answers.calibration import LEVELS, STRONG, Calibration, calibrate
from costaudit.answers.kinds import (
    CODE,
    CUT,
    EMPTY,
    JSON,
    MISSING,
    REFUSAL,
    TOOL_USE,
    answers_yes_or_no,
    code_of,
    parse_json,
    same_code,
    same_structure,
)
from costaudit.answers.logged import Ints, Logged
from costaudit.answers.repeats import Repeats, repeats
from costaudit.answers.traps.detectors import TRAP_NAMES
from costaudit.answers.traps.replies import NO, is_bare, reply_of
from costaudit.answers.traps.signatures import Signatures
from costaudit.answers.wording import common_share
from costaudit.answers.words import Wording
from costaudit.contracts.grades import Grade

ENOUGH_REPEATS = 30  # pairs; with fewer, the noise floor is assumed
ASSUMED_LIMIT = 0.90  # cosine
KIND_FLAGS = ("refusal", "empty", "cut", "structure", "code", "kind", "reply", "words")
FLAG_NAMES = (*TRAP_NAMES, *(f"answer_{n}" for n in TRAP_NAMES), *KIND_FLAGS)  # bit by bit
_ANSWER_BIT = len(TRAP_NAMES)
_KIND_BIT = 2 * len(TRAP_NAMES)
_OPPOSED = np.uint32(1 << TRAP_NAMES.index("negation"))  # set if the questions ask for opposites


_SAME_MATTER = 0.6  # share of common words from which questions are about the same matter


@dataclass(frozen=True)
class NoiseFloor:
    """The similarity below which two answers differ more than repeats of one prompt do."""

    limit: float  # cosine
    pairs: int  # repeats with different wordings that it is computed from
    quantile: float  # share of those pairs below the limit
    grade: Grade  # estimated, or assumed if there are too few pairs


@dataclass(frozen=True)
class Verdicts:
    """One row per pair of requests (asked, matched)."""

    right: npt.NDArray[np.int8]  # 1, 0, or -1 if unknown
    similarity: npt.NDArray[np.float32]  # cosine of the two answers; nan if unknown
    level: npt.NDArray[np.int8]  # of contradiction between the answers, 0 to calibration.LEVELS - 1
    certain: npt.NDArray[np.bool_]  # decided without similarity: by equal text or by kinds
    flags: npt.NDArray[np.uint32]  # bits by FLAG_NAMES

    @property
    def contradicts(self) -> npt.NDArray[np.bool_]:
        """Return which pairs' answers differ in a way that repeats rarely do."""
        return np.asarray(self.level >= STRONG)

    def names(self, row: int) -> tuple[str, ...]:
        """Return the names of one pair's flags."""
        bits = int(self.flags[row])
        return tuple(name for bit, name in enumerate(FLAG_NAMES) if bits >> bit & 1)


class Consistency:
    """Judges pairs of requests from one log by their logged answers."""

    def __init__(
        self,
        log: Logged,
        *,
        quantile: float = 0.05,
        question_traps: Signatures | None = None,
        answer_traps: Signatures | None = None,
    ) -> None:
        """Take signatures computed before; without them, compute them from the texts."""
        self.log = log
        self.quantile = quantile
        self.question_traps = question_traps or Signatures(log.questions)
        self.answer_traps = answer_traps or Signatures(log.said)

    @cached_property
    def repeats(self) -> Repeats:
        """Pairs of requests with the same whole prompt."""
        return repeats(self.log)

    @cached_property
    def wording(self) -> Wording:
        """How stable words are between repeats."""
        return Wording(self.log, self.repeats)

    @cached_property
    def calibration(self) -> Calibration:
        """How much answers differ by noise, and which prompts ask for live data."""
        return calibrate(self.log, self.repeats, self.answer_traps, self.wording)

    @cached_property
    def floor(self) -> NoiseFloor:
        """The noise floor: a low quantile of similarity over repeats that differ in wording."""
        similarity = self.calibration.similarity
        if len(similarity) < ENOUGH_REPEATS:
            return NoiseFloor(ASSUMED_LIMIT, len(similarity), self.quantile, "assumed")
        limit = float(np.quantile(similarity, self.quantile))
        return NoiseFloor(limit, len(similarity), self.quantile, "estimated")

    def judge(self, asked: Ints, matched: Ints) -> Verdicts:
        """Judge, per pair, whether the answer to `matched` would have been right for `asked`."""
        similarity = self.log.similarity(asked, matched)
        flags = self._flags(asked, matched)
        told = (flags >> np.uint32(_ANSWER_BIT) & np.uint32((1 << _ANSWER_BIT) - 1)).astype(
            np.uint16
        )
        surprise = self.wording.surprise(asked, matched)
        scale = self.calibration.scale
        ratios = scale.of(self.log, matched)
        level = scale.levels(told, surprise, ratios)
        moved, named = self.wording.carried(asked, matched)
        level[moved | named] = LEVELS - 1
        telling = scale.levels(np.zeros_like(told), surprise, ratios) >= STRONG
        flags |= telling.astype(np.uint32) << np.uint32(_KIND_BIT + KIND_FLAGS.index("words"))
        alike = (similarity >= self.floor.limit) & (level < STRONG)
        right = np.where(np.isnan(similarity), -1, alike).astype(np.int8)
        verdicts = Verdicts(right, similarity, level, np.zeros(len(right), np.bool_), flags)
        self._by_kind(asked, matched, verdicts)
        return verdicts

    def _flags(self, asked: Ints, matched: Ints) -> npt.NDArray[np.uint32]:
        log = self.log
        questions = self.question_traps.differs(log.question[asked], log.question[matched])
        flags = questions.astype(np.uint32)
        both = np.flatnonzero((log.answer[asked] >= 0) & (log.answer[matched] >= 0))
        found = self.answer_traps.contradicts(log.answer[asked[both]], log.answer[matched[both]])
        flags[both] |= found.astype(np.uint32) << np.uint32(_ANSWER_BIT)
        return flags

    def _by_kind(self, asked: Ints, matched: Ints, found: Verdicts) -> None:
        """Set, in place, the verdicts that follow from the kinds of the two answers."""
        own, served = self.log.kind[asked], self.log.kind[matched]
        same = self.log.answer[asked] == self.log.answer[matched]
        found.certain[:] = same & (found.similarity == 1.0)
        found.right[found.certain] = 1
        mixed = own != served
        _settle(found, mixed & ((own == JSON) | (served == JSON)), 0, "kind")
        _settle(found, mixed & ((own == REFUSAL) | (served == REFUSAL)), 0, "refusal")
        self._compare_replies(asked, matched, found)
        self._compare_structure(asked, matched, (own == JSON) & (served == JSON), found)
        self._compare_code(asked, matched, (own == CODE) & (served == CODE), found)
        _settle(found, (own == EMPTY) | (served == EMPTY), 0, "empty")
        _settle(found, (own == EMPTY) & (served == EMPTY), 1, "empty")
        for kind in (CUT, TOOL_USE, MISSING):
            unknown = (own == kind) | (served == kind)
            _settle(found, unknown, -1, "cut" if kind == CUT else "kind")

    @cached_property
    def _replies(self) -> npt.NDArray[np.int8]:
        """1 for short answers that say yes, 0 for no, -1 for others; an extra -1 at the end."""
        return np.array([*(reply_of(text) for text in self.log.answers), -1], np.int8)

    @cached_property
    def _says(self) -> npt.NDArray[np.bool_]:
        """Which answers have prose."""
        return np.array([bool(text) for text in self.log.said] or [False])

    @cached_property
    def _bare(self) -> npt.NDArray[np.bool_]:
        """Which answers say yes or no and nothing else; an extra False at the end."""
        return np.array([*(is_bare(text) for text in self.log.answers), False])

    def _compare_replies(self, asked: Ints, matched: Ints, found: Verdicts) -> None:
        """Compare short replies: a yes and a no contradict each other.

        Two equal replies of a bare yes or no are right. If the questions ask for opposites, or only
        one of the replies denies something, nothing shows whether they are.
        """
        first, second = self.log.answer[asked], self.log.answer[matched]
        own, served = self._replies[first], self._replies[second]  # no answer (-1): the last item
        both = (own >= 0) & (served >= 0)
        same = both & (own == served) & self._bare[first] & self._bare[second]
        denied = found.flags & (_OPPOSED << np.uint32(_ANSWER_BIT)) != 0
        opposed = self._opposed(asked, matched, found, same)
        opposed |= denied & (own != NO)  # a denial after a no only says it again
        _settle(found, same & ~opposed, 1, "reply")
        _settle(found, same & opposed, -1, "reply")
        _settle(found, both & (own != served), 0, "reply")

    def _opposed(
        self, asked: Ints, matched: Ints, found: Verdicts, rows: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        """Return which pairs among `rows` ask for opposites: one denies what the other says.

        They share most of their words; otherwise, a denial is of something else.
        """
        out = rows & (found.flags & _OPPOSED != 0)
        texts, question = self.log.questions, self.log.question
        at = np.flatnonzero(out)
        pairs = np.stack([question[asked[at]], question[matched[at]]])
        distinct, place = np.unique(pairs, axis=1, return_inverse=True)
        shares = [common_share(texts[a], texts[b]) for a, b in distinct.T.tolist()]
        out[at] = np.array(shares, np.float64)[place.reshape(-1)] >= _SAME_MATTER
        return np.asarray(out)

    def _compare_structure(
        self, asked: Ints, matched: Ints, both: npt.NDArray[np.bool_], found: Verdicts
    ) -> None:
        """Compare structured output field by field; prose inside it is compared as prose.

        If the questions ask for opposites, nothing shows whether an equal yes or no is right.
        """
        texts, answer = self.log.answers, self.log.answer
        rows = np.flatnonzero(both & ~found.certain)
        first = [texts[k] for k in answer[asked[rows]]]
        second = [texts[k] for k in answer[matched[rows]]]
        same = same_structure(first, second, self.calibration.noisy) == 1
        prose = self._says[answer[asked[rows]]] | self._says[answer[matched[rows]]]
        wrong, right = np.zeros_like(both), np.zeros_like(both)
        wrong[rows], right[rows] = ~same, same & ~prose
        _settle(found, wrong, 0, "structure")
        found.right[right], found.certain[right] = 1, True
        equal = both & found.certain & (found.right == 1)
        for k in np.flatnonzero(self._opposed(asked, matched, found, equal)):
            if answers_yes_or_no(parse_json(texts[answer[asked[k]]])):
                found.right[k], found.certain[k] = -1, False

    def _compare_code(
        self, asked: Ints, matched: Ints, both: npt.NDArray[np.bool_], found: Verdicts
    ) -> None:
        """Compare code without comments; prose and comments around it are compared as prose."""
        texts, answer = self.log.answers, self.log.answer
        for k in np.flatnonzero(both & ~found.certain):
            own, served = texts[answer[asked[k]]], texts[answer[matched[k]]]
            if not same_code(own, served):
                found.flags[k] |= _bit("code")
            elif code_of(own).words == code_of(served).words:
                found.right[k], found.certain[k] = 1, True


def _bit(flag: str) -> np.uint32:
    return np.uint32(1 << (_KIND_BIT + KIND_FLAGS.index(flag)))


def _settle(found: Verdicts, rows: npt.NDArray[np.bool_], verdict: int, flag: str) -> None:
    found.right[rows] = verdict
    found.certain[rows] = verdict >= 0
    found.flags[rows] |= _bit(flag)
