"""Generate streams of requests with known truth from real questions, one kind of traffic each.

English questions are BANKING77's test half; Spanish ones are in `spanish_answers.toml`. Each
request has a key that decides whether a cached answer is right, and that the estimator never sees:
the intent, and for some kinds also the user, the week or the history. Two requests with the same
key get the same answer in different words.
"""

import random
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from costaudit.answers.kinds import JSON, TEXT, kind_of_text
from costaudit.answers.logged import Logged
from costaudit.embed.minilm import MiniLM

HERE = Path(__file__).parent
USERS = 300
DAYS = 14
WORDINGS = 12  # answers composed for each key
KINDS = (
    "plain", "boilerplate", "hot", "json", "echo", "facts", "word_facts", "users_2", "users_6",
    "one_word", "follow_ups", "yes_no", "names",
)  # fmt: skip
CLEAN = ("plain", "boilerplate", "hot", "json")
_WORDS = tomllib.loads((HERE / "traffic_words.toml").read_text("utf-8"))
_NAMES: list[str] = _WORDS["names"].split()
_PLACES: dict[str, list[str]] = {name: text.split() for name, text in _WORDS["places"].items()}


@dataclass
class World:
    """Questions, and the answers composed for each key."""

    language: str
    questions: list[str]
    intent: np.ndarray  # int (q,)
    vectors: np.ndarray
    compose: Callable[[int, random.Random], str]  # an answer to an intent
    intents: int


@dataclass
class Stream:
    """One draw: the contents of a log, and the truth."""

    question: np.ndarray
    questions: list[str]
    question_vectors: np.ndarray
    key: list[object]  # a cached answer is right if the keys are equal
    answer: list[str]
    user: np.ndarray
    history: np.ndarray
    seconds: np.ndarray
    kind: str = ""
    vector_text: dict[str, str] = field(default_factory=dict)


class Vectors:
    """Embeds texts once, and keeps the vectors in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, np.ndarray] = {}
        if path.is_file():
            kept = np.load(path, allow_pickle=False)
            self._rows = dict(zip(kept["texts"].tolist(), kept["vectors"], strict=True))

    def of(self, texts: list[str]) -> np.ndarray:
        """Return float32 (n, 384), one unit row per text."""
        missing = sorted({text for text in texts if text not in self._rows}, key=len)
        if missing:
            model = MiniLM()
            for start in range(0, len(missing), 64):
                part = missing[start : start + 64]
                self._rows.update(zip(part, model.encode(part), strict=True))
            self._path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(self._path, texts=np.array(list(self._rows)),
                     vectors=np.stack(list(self._rows.values())))  # fmt: skip
        return np.stack([self._rows[text] for text in texts])


def _choose(text: str, draw: random.Random) -> str:
    return re.sub(r"\[([^]]*)]", lambda m: draw.choice(m[1].split("|")), text)


def english(data: Path, vectors: Vectors) -> World:
    """Return BANKING77's test questions, with answers composed for its intents."""
    spec = tomllib.loads((HERE / "banking77_answers.toml").read_text("utf-8"))
    table = pl.read_csv(data / "test.csv").unique("text", maintain_order=True)
    names = sorted(spec["answers"])
    questions = table["text"].to_list()

    def compose(intent: int, draw: random.Random) -> str:
        core = draw.choice(spec["answers"][names[intent]])
        return _choose(draw.choice(spec["openers"]) + core + draw.choice(spec["closers"]), draw)

    intent = np.array([names.index(one) for one in table["category"]])
    return World("en", questions, intent, vectors.of(questions), compose, len(names))


def spanish(vectors: Vectors) -> World:
    """Return Spanish questions: each intent's templates combined with every opener."""
    spec = tomllib.loads((HERE / "spanish_answers.toml").read_text("utf-8"))
    names = sorted(spec["intents"])
    draw = random.Random(3)
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        for text in spec["intents"][name]["questions"]:
            for opener in sorted(set(spec["openers"])):
                for end in ("", "?"):
                    found.setdefault(opener + _choose(text, draw) + end, place)

    def compose(intent: int, draw: random.Random) -> str:
        core = draw.choice(spec["intents"][names[intent]]["answers"])
        start, end = draw.choice(spec["answer_openers"]), draw.choice(spec["closers"])
        return _choose(start + core + end, draw)

    questions = list(found)
    intent = np.array(list(found.values()))
    return World("es", questions, intent, vectors.of(questions), compose, len(names))


def drawn(world: World, kind: str, requests: int, seed: int) -> Stream:
    """Return a random stream of two weeks: Zipf-distributed questions, and answers of one kind."""
    rng, many = np.random.default_rng(seed), len(world.questions)
    rank = 1 / np.arange(1, many + 1) ** 0.8
    question = rng.permutation(many)[rng.choice(many, requests, p=rank / rank.sum())]
    people = 1 / np.arange(1, USERS + 1) ** 0.6
    user = rng.choice(USERS, requests, p=people / people.sum())
    seconds = np.sort(rng.uniform(0, DAYS * 86400, requests))
    intent = world.intent[question]
    stream = Stream(question, world.questions, world.vectors, intent.tolist(), [], user,
                    np.zeros(requests, np.int64), seconds, kind)  # fmt: skip
    if kind == "follow_ups":
        _follow_ups(stream, world, rng)
    special = rng.permutation(world.intents)
    for place in range(requests):
        stream.answer.append(_answer(world, stream, place, special, rng))
    return stream


def _follow_ups(stream: Stream, world: World, rng: np.random.Generator) -> None:
    """Turn three in ten requests into short replies that only make sense with their history."""
    replies = ["yes please", "ok", "no", "and then?", "how?"] if world.language == "en" else [
        "sí por favor", "vale", "no", "¿y luego?", "¿cómo?"]  # fmt: skip
    first = len(stream.questions)
    stream.questions = [*stream.questions, *replies]
    short = np.flatnonzero(rng.random(len(stream.question)) < 0.3)
    stream.history[short] = 1 + stream.question[short]
    which = rng.integers(0, len(replies), len(short))
    stream.question[short] = first + which


def _pool(intent: int, salt: str, make: Callable[[random.Random], str]) -> list[str]:
    """Return the answers composed for one key; they are the same in every draw."""
    draw = random.Random(f"{salt}/{intent}")
    return [make(draw) for _ in range(WORDINGS)]


_POOLS: dict[tuple[object, ...], list[str]] = {}


def _answer(
    world: World, stream: Stream, place: int, special: np.ndarray, rng: np.random.Generator
) -> str:
    """Return the answer to one request, and extend its `stream.key` by what makes it right."""
    intent = int(stream.key[place])  # type: ignore[call-overload]
    name = (world.language, "hot" if stream.kind == "hot" else "plain", intent)
    if name not in _POOLS:

        def make(draw: random.Random) -> str:
            text = world.compose(intent, draw)
            return f"{text} {world.compose(intent, draw)}" if stream.kind == "hot" else text

        _POOLS[name] = _pool(intent, str(name), make)
    text = _POOLS[name][int(rng.integers(WORDINGS))]
    where = int(np.flatnonzero(special == intent)[0])
    change = _CHANGES.get(stream.kind)
    return text if change is None else change(Asked(world, stream, place, where, rng), text)


@dataclass
class Asked:
    """One request of a stream."""

    world: World
    stream: Stream
    place: int
    where: int  # position of its intent in the draw's order of intents
    rng: np.random.Generator

    @property
    def english(self) -> bool:
        """Whether the question is in English."""
        return self.world.language == "en"

    def also(self, what: object) -> None:
        """Add something that decides whether a cached answer is right."""
        self.stream.key[self.place] = (self.stream.key[self.place], what)

    def one_of(self, texts: list[str]) -> str:
        """Return a random text."""
        return texts[int(self.rng.integers(len(texts)))]


def _facts(asked: Asked, text: str) -> str:
    """Add a fact, which changes after a week, to the answers of a quarter of the intents."""
    if asked.where >= asked.world.intents // 4:
        return text
    changed = bool(asked.stream.seconds[asked.place] > 7 * 86400)
    asked.also(changed)
    return text + _fact(asked.stream.kind, changed, asked.english)


def _balances(asked: Asked, text: str) -> str:
    """Add the user's balance to the answers of a few intents."""
    share = 0.02 if asked.stream.kind == "users_2" else 0.06
    if asked.where >= max(1, round(share * asked.world.intents)):
        return text
    user = int(asked.stream.user[asked.place])
    asked.also(user)
    frame = " Your balance is {} euros." if asked.english else " Tu saldo es de {} euros."
    whole = text + frame.format(f"{100 + 7 * user}.{user % 90 + 10}")
    asked.stream.vector_text[whole] = text + frame.format("100.10")
    return whole


def _one_word(asked: Asked, text: str) -> str:
    """Make all answers equal except for one word."""
    words = _PLACES[asked.world.language]
    word = words[asked.where % len(words)]
    asked.stream.key[asked.place] = word
    return asked.one_of(_FRAMES[asked.world.language]).format(word=word.lower())


def _greeted(asked: Asked, text: str) -> str:
    """Greet the user by name."""
    who = _NAMES[int(asked.stream.user[asked.place]) % len(_NAMES)]
    asked.also(who)
    whole = f"{'Hi' if asked.english else 'Hola'} {who}, {text[0].lower()}{text[1:]}"
    asked.stream.vector_text[whole] = text
    return whole


def _bare(asked: Asked, text: str) -> str:
    """Answer only yes or no."""
    yes = bool(asked.where % 2)
    asked.stream.key[asked.place] = yes
    return asked.one_of(_YES_NO[asked.world.language][yes])


def _echo(asked: Asked, text: str) -> str:
    """Repeat words of the question in every other answer."""
    if asked.rng.random() >= 0.5:
        return text
    words = " ".join(asked.stream.questions[asked.stream.question[asked.place]].split()[:8])
    return f"{'About' if asked.english else 'Sobre'} “{words.rstrip('?.! ')}”: {text}"


def _structured(asked: Asked, text: str) -> str:
    """Put the answer into a JSON field."""
    prose = text.replace('"', "'").replace("\n", " ")
    whole = f'{{"answer": "{prose}"}}'
    asked.stream.vector_text[whole] = prose
    return whole


def _boilerplate(asked: Asked, text: str) -> str:
    return _BOILER[asked.world.language].format(text=text)


_CHANGES: dict[str, Callable[[Asked, str], str]] = {
    "facts": _facts,
    "word_facts": _facts,
    "users_2": _balances,
    "users_6": _balances,
    "one_word": _one_word,
    "names": _greeted,
    "yes_no": _bare,
    "echo": _echo,
    "json": _structured,
    "boilerplate": _boilerplate,
}


def _fact(kind: str, changed: bool, english_: bool) -> str:
    if kind == "facts":
        days = 9 if changed else 5
        return f" The current wait is {days} days." if english_ else (
            f" La espera actual es de {days} días.")  # fmt: skip
    if english_:
        return f" The service is currently {'suspended' if changed else 'running'}."
    return f" El servicio está ahora {'suspendido' if changed else 'operativo'}."


_FRAMES = {
    "en": [
        "You can do that in the app: open the {word} section and follow the steps on the screen.",
        "Please open {word} in the app and follow the steps shown there.",
        "That is handled under {word}. Tap it in the app and follow the steps.",
        "Open the app, choose {word}, and the screen will guide you through the steps.",
    ],
    "es": [
        "Puedes hacerlo en la aplicación: abre la sección {word} y sigue los pasos de la pantalla.",
        "Abre {word} en la aplicación y sigue los pasos que verás allí.",
        "Eso se gestiona en {word}. Pulsa ahí dentro de la aplicación y sigue los pasos.",
        "Abre la aplicación, elige {word} y la pantalla te guiará en los pasos.",
    ],
}
_YES_NO = {
    "en": (["No.", "No, it isn't.", "No, sorry."], ["Yes.", "Yes, it is.", "Yes, of course."]),
    "es": (["No.", "No, no se puede.", "No, lo siento."], ["Sí.", "Sí, se puede.", "Sí, claro."]),
}
_BOILER = {
    "en": "Thank you for contacting the help desk. This message was written by an assistant and "
    "may contain errors; please check important details with our staff. {text} Our offices are "
    "open from Monday to Friday. Your opinion matters to us: please rate this conversation.",
    "es": "Gracias por contactar con el servicio de ayuda. Este mensaje lo ha escrito un asistente "
    "y puede contener errores; consulta los detalles importantes con nuestro personal. {text} "
    "Abrimos de lunes a viernes. Tu opinión nos importa: valora esta conversación.",
}  # fmt: skip


def logged_of(stream: Stream, vectors: Vectors, *, users: bool = True) -> Logged:
    """Return a stream as the arrays that the estimator reads."""
    answers = list(dict.fromkeys(stream.answer))
    place = {text: row for row, text in enumerate(answers)}
    n = len(stream.question)
    said = [stream.vector_text.get(text, text) for text in answers]
    kinds = np.array([kind_of_text(text) for text in answers], np.int8)
    number = np.array([place[text] for text in stream.answer], np.int32)
    extra = list(stream.questions[len(stream.question_vectors) :])
    questions = stream.question_vectors
    if extra:
        questions = np.concatenate([questions, vectors.of(extra)])
    zeros = np.zeros(n, np.int32)
    identity = stream.history * (len(stream.questions) + 1) + stream.question
    return Logged(
        question=stream.question.astype(np.int32), questions=tuple(stream.questions),
        question_vectors=questions, scope=zeros, answer=number, answers=tuple(answers),
        vector_row=np.arange(len(answers), dtype=np.int32), vectors=vectors.of(said),
        kind=kinds[number], seconds=stream.seconds,
        prompt=np.unique(identity, return_inverse=True)[1].reshape(-1).astype(np.int32),
        users=stream.user.astype(np.int32) if users else np.full(n, -1, np.int32),
    )  # fmt: skip


__all__ = ["CLEAN", "JSON", "KINDS", "TEXT", "Stream", "Vectors", "World", "drawn", "english",
           "logged_of", "spanish"]  # fmt: skip
