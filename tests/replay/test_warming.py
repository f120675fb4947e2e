"""Warmed caches: each product's own client finds the entries, and scopes stay separate."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from costaudit.errors import BackendError, UsageError
from costaudit.replay.warming.names import filled_name, names_in
from costaudit.replay.warming.places import admitted
from costaudit.replay.warming.target import Separation
from costaudit.replay.warming.targets import reach_target
from tests.replay.conftest import RedisServer
from tests.replay.filling import SCOPE, traffic, vector_of, warmed

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
TENANTS = ("Acme, Inc.", "acme", "Globex | {x}", "globex")


# Which answers may be written.


def test_an_answer_that_would_reach_another_scope_is_left_out() -> None:
    made = traffic()
    none_apart = admitted(made.answers, made.stream, Separation(), SCOPE)
    assert none_apart.answers == ()
    (reason,) = none_apart.left_out
    assert reason.startswith("tenant would be mixed") and none_apart.left_out[reason] == 18
    apart = admitted(made.answers, made.stream, Separation(("tenant",)), SCOPE)
    assert len(apart.answers) == 18 and apart.left_out == {}


def test_system_prompts_that_differ_behind_the_same_fields_are_not_mixed() -> None:
    made = traffic(("t0",), pools_by="system")
    mixed = admitted(made.answers, made.stream, Separation(("tenant", "model")), SCOPE)
    assert mixed.answers == ()
    assert next(iter(mixed.left_out)).startswith("system prompt or tools would be mixed")
    whole = Separation(("tenant", "model"), whole_prompt=True)
    assert len(admitted(made.answers, made.stream, whole, SCOPE).answers) == 6


def test_names_that_a_cache_reads_as_equal_or_as_several_are_left_out() -> None:
    made = traffic(("Acme", "acme", "a,b", ""))
    tags = Separation(("tenant",), folds_case=True, separators=",")
    fitting = admitted(made.answers, made.stream, tags, SCOPE)
    assert fitting.answers == ()
    assert Counter(fitting.left_out.values()) == {12: 1, 6: 2}
    exact = admitted(made.answers, made.stream, Separation(("tenant",)), SCOPE)
    assert {one.scope["tenant"] for one in exact.answers} == {"Acme", "acme", "a,b"}


def test_answers_to_later_turns_are_left_out_where_the_question_alone_is_compared() -> None:
    made = traffic(("t0",))
    later = [replace(one, follows=True) for one in made.answers]
    assert admitted(later, made.stream, Separation(("tenant",)), SCOPE).answers == ()
    whole = Separation(("tenant", "model"), whole_prompt=True)
    assert len(admitted(later, made.stream, whole, SCOPE).answers) == 6


def test_names_with_braces_are_one_cache_for_each_value() -> None:
    assert names_in("llm-{tenant}:{model}") == ("tenant", "model")
    assert filled_name("llm-{tenant}", {"tenant": "acme"}) == "llm-acme"
    for wrong in ("{", "{colour}"):
        with pytest.raises(UsageError, match="can't be filled in"):
            names_in(wrong)


# RedisVL.


def test_redisvl_s_own_client_finds_what_was_written_within_its_tags(
    redis_server: RedisServer,
) -> None:
    made = traffic()
    client = redis_server.client()
    try:
        url = redis_server.url("name=faq&fields=customer:tenant")
        _, filled, checked, left_out = warmed(url, made)
        assert (len(filled.answers), left_out) == (18, {})
        assert (checked.found, checked.other, checked.missing) == (18, 0, 0)
        assert (checked.probes, checked.crossed) == (18, 0)
        ttls = [client.ttl(key) for key in redis_server.key_names()]
        assert sorted(set(ttls))[0] == -1 and 0 < sorted(set(ttls))[1] <= 120
        tenants = {client.hget(key, "customer") for key in redis_server.key_names()}
        assert tenants == {"t0", "t1", "t2"}  # the value, not our number for it

        again = warmed(redis_server.url("name=faq&fields=customer:tenant"), made)
        assert (len(again[1].answers), again[1].present) == (0, 18)
    finally:
        client.ft("faq").dropindex(delete_documents=True)


def test_the_application_s_own_semantic_cache_serves_them(redis_server: RedisServer) -> None:
    redisvl = pytest.importorskip("redisvl.extensions.cache.llm")
    from redisvl.query.filter import Tag
    from redisvl.utils.vectorize import CustomVectorizer

    theirs = redisvl.SemanticCache(  # created by the application before the warming
        "app", vectorizer=CustomVectorizer(embed=lambda text: vector_of(text).tolist()),
        filterable_fields=[{"name": "tenant", "type": "tag"}], redis_url=redis_server.url(),
        distance_threshold=0.05,
    )  # fmt: skip
    try:
        made = traffic()
        _, filled, _, _ = warmed(redis_server.url("name=app"), made)
        assert len(filled.answers) == 18
        for one in made.answers:
            rows = theirs.check(
                prompt=one.question, filter_expression=Tag("tenant") == one.scope["tenant"]
            )
            assert rows[0]["response"] == one.answer
    finally:
        theirs.delete()


def test_without_filterable_fields_one_tenant_s_answers_are_taken_and_several_are_not(
    redis_server: RedisServer,
) -> None:
    url = redis_server.url("name=plain&fields=none")
    _, filled, _, left_out = warmed(url, traffic())
    assert filled.answers == () and sum(left_out.values()) == 18
    try:
        _, filled, checked, _ = warmed(url, traffic(("t0",)))
        assert (len(filled.answers), checked.found) == (6, 6)
    finally:
        redis_server.client().ft("plain").dropindex(delete_documents=True)


def test_an_index_for_each_tenant_keeps_them_apart(redis_server: RedisServer) -> None:
    try:
        _, filled, checked, _ = warmed(redis_server.url("name=faq-{tenant}&fields=none"), traffic())
        assert (len(filled.answers), checked.found, checked.crossed) == (18, 18, 0)
        names = redis_server.client().execute_command("FT._LIST")
        assert sorted(names) == ["faq-t0", "faq-t1", "faq-t2"]
    finally:
        for name in redis_server.client().execute_command("FT._LIST"):
            redis_server.client().ft(name).dropindex(delete_documents=True)


def test_odd_names_reach_their_own_tenant_alone(redis_server: RedisServer) -> None:
    try:
        _, filled, checked, left_out = warmed(
            redis_server.url("name=odd&fields=tenant"), traffic(TENANTS)
        )
        assert {one.scope["tenant"] for one in filled.answers} == {
            "acme", "Globex | {x}", "globex",
        }  # fmt: skip
        assert sum(left_out.values()) == 6  # a comma separates tags
        assert (checked.found, checked.missing, checked.crossed) == (18, 0, 0)
    finally:
        redis_server.client().ft("odd").dropindex(delete_documents=True)


def test_an_index_of_other_vectors_or_unknown_tags_is_refused(redis_server: RedisServer) -> None:
    redisvl = pytest.importorskip("redisvl.extensions.cache.llm")
    from redisvl.utils.vectorize import CustomVectorizer

    theirs = redisvl.SemanticCache(
        "wide", vectorizer=CustomVectorizer(embed=lambda text: [0.1] * 64),
        filterable_fields=[{"name": "shop", "type": "tag"}], redis_url=redis_server.url(),
    )  # fmt: skip
    try:
        with pytest.raises(UsageError, match="has the tags shop"):
            warmed(redis_server.url("name=wide"), traffic())
        with pytest.raises(BackendError, match="another schema than 32 dimensions"):
            warmed(redis_server.url("name=wide&fields=shop:tenant"), traffic())
        assert redis_server.key_names() == []
    finally:
        theirs.delete()


# LangChain.

LLM = """
from langchain_core.language_models.fake_chat_models import FakeListChatModel

class Model(FakeListChatModel):
    model: str = "gpt-4o"

llm = Model(responses=["from the model"])
other = Model(responses=["from the model"], model="gpt-4o-mini")
"""


def test_langchain_serves_them_without_asking_its_model(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    pytest.importorskip("langchain_redis", reason="pip install langchain-redis")
    from langchain_core.messages import HumanMessage, SystemMessage
    from langchain_redis import RedisSemanticCache

    from costaudit.replay.caches.own_class import named
    from costaudit.replay.warming.langchain import _embeddings

    file = tmp_path / "my_app.py"
    file.write_text(LLM)
    made = traffic()
    address = redis_server.url(f"flavour=langchain&name=chat-{{tenant}}&llm={file}:llm")
    try:
        _, filled, checked, _ = warmed(address, made)
        assert (len(filled.answers), checked.found, checked.missing) == (18, 18, 0)
        assert (checked.probes, checked.crossed) == (18, 0)
        app = named(f"{file}:llm").model_copy()
        cache = RedisSemanticCache(
            embeddings=_embeddings(vector_of), redis_url=redis_server.url(), name="chat-t1",
            distance_threshold=0.05,
        )  # fmt: skip
        object.__setattr__(app, "cache", cache)
        said = app.invoke([SystemMessage("Be kind."), HumanMessage("question 3")]).content
        assert said == "t1 says 3"
        elsewhere = app.invoke([SystemMessage("Be rude."), HumanMessage("question 3")]).content
        assert elsewhere == "from the model"
        _, none, _, left_out = warmed(address.replace(":llm", ":other"), made)
        assert none.answers == () and left_out == {"their model is not gpt-4o-mini": 18}
    finally:
        for name in redis_server.client().execute_command("FT._LIST"):
            redis_server.client().ft(name).dropindex(delete_documents=True)


# A user's own class: that of docs/examples, and one that mixes scopes that it claims to separate.


def test_the_article_s_class_finds_them_by_its_own_rules(redis_server: RedisServer) -> None:
    address = f"{EXAMPLES / 'article_cache.py'}:ArticleCache?url={redis_server.url()}"
    _, filled, _, left_out = warmed(address, traffic())
    assert filled.answers == () and sum(left_out.values()) == 18  # one place for all tenants
    target, filled, checked, _ = warmed(address, traffic(("t0",)))
    assert (len(filled.answers), checked.found, checked.missing) == (6, 6, 0)
    assert len(redis_server.key_names()) == 6
    target.remove(filled.answers)
    assert redis_server.key_names() == []


LEAKY = """
class Leaky:
    fields = ("tenant",)
    def __init__(self):
        self.kept = {}
    def get(self, question, context):
        return self.kept.get(question)
    def set(self, question, answer, context):
        self.kept[question] = answer
    def clear(self):
        self.kept.clear()
"""


def test_a_class_that_serves_across_its_own_fields_is_found_out(tmp_path: Path) -> None:
    file = tmp_path / "leaky.py"
    file.write_text(LEAKY)
    _, _, checked, _ = warmed(f"{file}:Leaky", traffic())
    assert checked.crossed > 0 and checked.other > 0


# Caches that can't be filled.


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("memory://", "keeps nothing beyond this run"),
        ("redis://127.0.0.1:1?flavour=vectorset", "no application reads"),
        ("http://127.0.0.1:1/v1?product=portkey", "only LiteLLM can be filled"),
        ("redis://127.0.0.1:1?flavour=langchain", "the model is needed"),
        ("redis://127.0.0.1:1?fields=colour", "names 'colour', which is no field"),
    ],
)
def test_what_can_not_be_filled_is_refused(
    address: str, said: str, redis_server: RedisServer
) -> None:
    there = address.replace(":1?", f":{redis_server.port}?")
    with pytest.raises(UsageError, match=said) as refused:
        warmed(there, traffic())
    assert refused.value.hint


def test_a_server_that_is_down_is_said_before_a_log_is_read() -> None:
    with pytest.raises(BackendError, match="Can't speak to Redis"):
        reach_target("redis://127.0.0.1:1")
    with pytest.raises(BackendError, match="Can't reach the proxy"):
        reach_target("http://127.0.0.1:1/v1?product=litellm")
