"""Real-world tables: separators, encodings, number formats, dates and broken quotes."""

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.errors import InputError
from costaudit.ingest.files.tables import Table, csv_records, table_columns
from costaudit.ingest.mapping.cells import date_text, number_text
from costaudit.ingest.mapping.columns import _MOMENT, _POINT, Column, _Evidence, columns_of
from tests.ingest.conftest import Ingest, chat, write_lines

HEADER = "Fecha;Modelo;Pregunta;Respuesta;Tokens (entrada/total);Salida;Coste (€)"
MAP = """
[fields]
ts = "Fecha"
model = "Modelo"
prompt = "Pregunta"
answer = "Respuesta"
input_tokens = "Tokens (entrada/total)"
output_tokens = "Salida"
cost = "Coste (€)"
"""


def rows_of(text: str | bytes) -> list[list[str]]:
    data = text.encode() if isinstance(text, str) else text
    return [row for _, row in Table(iter([data])).rows() if isinstance(row, list)]


def skips_of(text: str) -> list[str]:
    found = csv_records(iter([text.encode()]))
    return [one[1].reason for one in found if isinstance(one, tuple)]


def column(*cells: str, separator: str = ",") -> Column:
    (found,) = columns_of(["x"], [[cell] for cell in cells], separator)
    return found


@pytest.mark.parametrize(
    ("cells", "read", "convention"),
    [
        (("1.200", "0,0033"), ("1200", "0.0033"), "decimal comma"),
        (("1,200", "0.0033"), ("1200", "0.0033"), "decimal point"),
        (("1.234.567,5", "1.200"), ("1234567.5", "1200"), "decimal comma"),
        (("12,34,567", "1,200.5"), ("1234567", "1200.5"), "decimal point"),
        (("1,200", "1.200", "1 200"), ("1200", "1200", "1200"), "whole numbers in groups"),
        (("1'200.5", "7"), ("1200.5", "7"), "decimal point"),
        (("$0.12", "$1,200.00"), ("0.12", "1200.00"), "decimal point, USD"),
        (("0,12 €", "1.200,00 €"), ("EUR 0.12", "EUR 1200.00"), "decimal comma, EUR"),
        (("GBP 0.5", "1.234"), ("GBP 0.5", "1.234"), "decimal point, GBP"),
        (("1.5e-05", "2,000"), ("1.5e-05", "2000"), "decimal point"),
        (("\u22121,5", "2,25"), ("-1.5", "2.25"), "decimal comma"),
        # five numbers that all end in three zeros are taken to have three decimals
        (("12.000", "3.000", "7.000", "1.000", "2.000"), ("12.000", "3.000"), "decimal point"),
    ],
)
def test_a_column_of_numbers_is_read_by_its_own_evidence(
    cells: tuple[str, ...], read: tuple[str, ...], convention: str
) -> None:
    found = column(*cells)
    assert tuple(found.read(cell) for cell in cells[: len(read)]) == read
    assert (found.kind, found.convention, found.unread) == ("number", convention, 0)


def test_what_no_cell_decides_stays_as_it_is_and_is_counted() -> None:
    found = column("1.200", "3.450")
    assert found.convention == "undecided: decimal or group"
    assert (found.read("1.200"), found.unread) == ("1.200", 2)


def test_undecided_columns_follow_the_table() -> None:
    rows = [["1.200", "0,0033"], ["3.450", "0,5"]]
    counts, costs = columns_of(["in", "cost"], rows, ";")
    assert (counts.decimal, costs.decimal) == (",", ",")
    assert counts.evidence == "as in the table's other columns"


def test_texts_and_plain_numbers_are_left_alone() -> None:
    rows = [["12", "1.5", "Is 1,200 right?", "2026-11-02T09:00:00Z"]] * 3
    assert columns_of(["a", "b", "c", "d"], rows, ",") == ()


@pytest.mark.parametrize(
    ("cells", "iso", "convention"),
    [
        (("28/10/2026 14:00", "03/10/2026"), ("2026-10-28T14:00:00", "2026-10-03T00:00:00"), "day"),
        (("10/28/26 2:05 PM", "3/4/26"), ("2026-10-28T14:05:00", "2026-03-04T00:00:00"), "month"),
        (("03.04.2026", "05.04.2026"), ("2026-04-03T00:00:00", "2026-04-05T00:00:00"), "day"),
        # the rows are in order of time only if the first number is the day
        (
            ("09/11/2026", "10/11/2026", "01/12/2026"),
            ("2026-11-09T00:00:00", "2026-11-10T00:00:00"),
            "day",
        ),
    ],
)
def test_dates_are_read_in_the_order_that_the_column_shows(
    cells: tuple[str, ...], iso: tuple[str, ...], convention: str
) -> None:
    found = column(*cells)
    assert tuple(found.read(cell) for cell in cells[: len(iso)]) == iso
    assert found.convention == f"{convention} first"


def test_an_order_that_nothing_shows_is_no_date() -> None:
    found = column("03/04/2026", "03/04/2026")
    assert found.convention == "undecided: day or month first"
    assert (found.read("03/04/2026"), found.unread) == ("03/04/2026", 2)
    assert column("03/04/2026", separator=";").convention == "day first"


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("28 oct 2026, 14:00", "2026-10-28T14:00:00"),
        ("28 de octubre de 2026 14:00", "2026-10-28T14:00:00"),
        ("Wed, 28 Oct 2026 14:00:05 GMT", "2026-10-28T14:00:05Z"),
        ("October 28, 2026 at 2:00 PM", "2026-10-28T14:00:00"),
        ("2026/1/8 7:05", "2026-01-08T07:05:00"),
        ("2026-11-01T00:1:00Z", "2026-11-01T00:01:00Z"),
        ("28. Dezember 2026", "2026-12-28T00:00:00"),
        ("31 juil. 2026", "2026-07-31T00:00:00"),
        ("30 feb 2026", None),
        ("order 12", None),
    ],
)
def test_dates_with_names_and_years_in_front(text: str, iso: str | None) -> None:
    assert date_text(text, None) == iso


def test_numbers_that_are_none() -> None:
    assert [number_text(t, ".", groups=True) for t in ("1.2.3", "abc", "1,2,3", "10:30")] == [
        None
    ] * 4


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16",
                                      "utf-16-le", "utf-16-be", "utf-32"])  # fmt: skip
@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_spanish_table_in_any_encoding(
    ingested: Ingest, tmp_path: Path, encoding: str, separator: str
) -> None:
    lines = [
        f"{day:02d}/10/2026 14:00;gpt-4o;¿Años de garantía, nº {day}?;Sí;1.200;30;0,0033"
        for day in range(1, 29)
    ]
    text = "\r\n".join([HEADER, *lines, ""])
    if encoding in ("latin-1",):
        text = text.replace("€", "EUR")
    (tmp_path / "es.csv").write_bytes(text.replace(";", separator).encode(encoding))
    mapping = MAP.replace("€", "EUR") if encoding == "latin-1" else MAP
    (tmp_path / "es.toml").write_text(mapping, "utf-8")
    run, summary = ingested(tmp_path / "es.csv", maps=(str(tmp_path / "es.toml"),))
    rows = run.requests()
    assert (summary.kept, summary.skipped) == (28, 0)
    assert rows["ts"].dt.to_string("%Y-%m-%d").to_list() == [
        f"2026-10-{d:02d}" for d in range(1, 29)
    ]
    assert rows["input_uncached_tokens"].unique().to_list() == [1200]
    assert rows["logged_cost"].unique().to_list() == ["0.0033"]
    assert run.blocks()["text"].str.contains("¿Años de garantía, nº").sum() == 28


def test_an_amount_is_in_the_currency_of_its_cell(ingested: Ingest, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(
        "model,in,out,cost,cur\ngpt-4o,10,1,€0.5,\ngpt-4o,10,1,0.25,GBP\ngpt-4o,10,1,$2.00,\n",
        "utf-8",
    )
    (tmp_path / "m.toml").write_text(
        'model="model"\ninput_tokens="in"\noutput_tokens="out"\ncost="cost"\ncurrency="cur"\n'
    )
    run, _ = ingested(tmp_path / "x.csv", maps=(str(tmp_path / "m.toml"),))
    found = run.requests().sort("source_offset").select("logged_cost", "cost_unit").rows()
    assert found == [("0.5", "eur"), ("0.25", "gbp"), ("2.00", "usd")]


def test_an_unclosed_quote_costs_its_own_line() -> None:
    text = 'a,b,c\n1,"x,2\n3,y,4\n5,"two\nlines",6\n7,"open,8\n9,z,"10\n11,"q ""in"" q",12\n'
    assert rows_of(text) == [
        ["3", "y", "4"],
        ["5", "two\nlines", "6"],
        ["11", 'q "in" q', "12"],
    ]
    assert skips_of(text) == ["bad-csv"] * 3


def test_two_unclosed_quotes_do_not_close_each_other() -> None:
    text = 'ts,q,n\n1,"open,2\n3,mid,4\n5,"",6\n7,last,8\n'
    assert rows_of(text) == [["3", "mid", "4"], ["5", "", "6"], ["7", "last", "8"]]
    # the closing quote would give a row of three cells, but with whole rows inside one cell
    text = 'ts,q,n\n1,"open\n3,mid,4\n5,mid,6\n7",x,8\n'
    assert [row[0] for row in rows_of(text)] == ["3", "5", '7"']


def test_many_unclosed_quotes_take_linear_time() -> None:
    lines = ["a,b,c", *(f'{n},"five inches",5" pipe {n}' for n in range(20_000))]
    assert len(rows_of("\n".join(lines) + "\n")) == 20_000
    lines = ["a,b,c", *(f'{n},"{n},x' for n in range(5_000)), "1,2,3"]
    assert rows_of("\n".join(lines) + "\n") == [["1", "2", "3"]]


def test_shapes_that_people_export() -> None:
    assert rows_of("sep=;\na;b\n1;2\n") == [["1", "2"]]
    assert rows_of("Usage report\n\na,b,c\n1,2,3\n4,5,6\n7,8,9\n") == [
        list("123"),
        list("456"),
        list("789"),
    ]
    assert Table(iter([b"a,a,,b\n"])).header == ["a", "a (2)", "column 3", "b"]
    assert rows_of("a,b\r1,2\r3,4\r") == [["1", "2"], ["3", "4"]]
    assert skips_of("a,b,c\n1,2,3\n4,5") == ["truncated"]
    assert skips_of("a,b\n1,2,3\n4,5,\n") == ["wrong-shape"]
    assert rows_of('a,b\n"say \\"hi\\", you",2\n') == [['say "hi", you', "2"]]


def test_chunks_may_end_anywhere() -> None:
    text = "año;n\né\u20ac;1.200,5\n".encode()
    whole = rows_of(text)
    for size in (1, 2, 3, 5):
        chunks: Iterator[bytes] = iter([text[i : i + size] for i in range(0, len(text), size)])
        assert [row for _, row in Table(chunks).rows()] == whole


def test_zeros_and_byte_order_marks_between_lines(ingested: Ingest, tmp_path: Path) -> None:
    log = write_lines(tmp_path / "x.jsonl", [chat(n) for n in range(40)])
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(b"\xef\xbb\xbf" + line for line in lines))
    _, summary = ingested(log, into="marks")
    assert (summary.records, summary.kept) == (40, 40)
    log.write_bytes(b"\0" * 900 + b"".join(b"\0" * 90 + line for line in lines))
    _, summary = ingested(log, into="zeros")
    assert (summary.records, summary.kept) == (40, 40)


def test_bytes_of_another_encoding_keep_questions_apart(ingested: Ingest, tmp_path: Path) -> None:
    words = ["caña", "caza", "cañá", "caüa", "ca§a"]
    log = write_lines(tmp_path / "x.jsonl", [chat(n, word) for n, word in enumerate(words)])
    text = "\n".join(json.dumps(chat(n, w), ensure_ascii=False) for n, w in enumerate(words))
    log.write_bytes(text.encode("latin-1"))
    run, _ = ingested(log)
    assert set(words) <= set(run.blocks()["text"])


def test_said_conventions_win_and_are_checked() -> None:
    text = b"d;n\n03/04/2026;1.200\n"
    found = table_columns(iter([text]), {"d": "month first", "n": "decimal point"})
    assert [one.convention for one in found] == ["month first", "decimal point"]
    with pytest.raises(InputError, match="does not have"):
        table_columns(iter([text]), {"x": "day first"})
    with pytest.raises(InputError, match="means nothing"):
        table_columns(iter([text]), {"d": "backwards"})


def test_an_impossible_row_of_a_trace_is_skipped(ingested: Ingest, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(
        '{"timestamp":0,"input_length":1100,"output_length":52,"hash_ids":[4,7,8]}\n'
        '{"timestamp":0,"input_length":-6e9,"output_length":50,"hash_ids":[4,7]}\n'
        '{"timestamp":9e14,"input_length":600,"output_length":50,"hash_ids":[4,7]}\n'
    )
    (tmp_path / "y.csv").write_text(
        "Timestamp,Request tokens,Response tokens,Total tokens,Log Type\n"
        "5,472,18,490,Conversation log\n9e14,9e12,1,1,Conversation log\n"
    )
    run, summary = ingested(tmp_path / "x.jsonl", tmp_path / "y.csv")
    assert (summary.kept, summary.skip_reasons) == (3, {"impossible-count": 2})
    assert run.requests()["ts"].null_count() == 1
    assert run.requests().select(pl.col("input_uncached_tokens").min()).item() > 0


@given(st.from_regex(_POINT, fullmatch=True) | st.from_regex(_MOMENT, fullmatch=True))
def test_what_machines_write_is_read_like_any_other_cell(cell: str) -> None:
    quick, thorough = _Evidence("x"), _Evidence("x")
    quick.add(cell)
    thorough.look(cell)
    assert vars(quick) == vars(thorough)
