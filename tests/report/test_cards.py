"""Wide tables become cards on narrow screens, with each cell labelled by its column."""

from costaudit.report.html import with_cards

NUMBERS = "".join(f'<th class="n">n{place}</th>' for place in range(4))


def table(heads: str) -> str:
    return f'<table class="data"><thead><tr>{heads}</tr></thead><tbody></tbody></table>'


def test_a_table_of_five_columns_fits_as_it_is() -> None:
    assert with_cards(table(f"<th>name</th>{NUMBERS}"))[0] == table(f"<th>name</th>{NUMBERS}")


def test_columns_are_named_once_for_all_tables_that_have_them() -> None:
    wide = table(f"<th>name</th><th>why</th>{NUMBERS}")
    body, rules = with_cards(wide * 2 + table("<th>a</th><th>b</th><th>c</th>"))
    assert body.count("data cards cards-0") == 2 and body.count("data cards cards-1") == 1
    assert rules.count("::before") == 6 + 3
    assert '.cards-0 td:nth-child(3)::before{content:"n0"}' in rules


def test_a_mark_is_no_name_and_a_name_can_end_neither_its_string_nor_the_style() -> None:
    marked = 'saved <abbr class="grade letter" title="x">S</abbr>'
    _, rules = with_cards(table(f"<th>{marked}</th><th>a &lt;/style&gt;</th><th>&quot;}}</th>"))
    assert 'content:"saved"' in rules
    assert "<" not in rules and rules.count('"') == 2 * 3
