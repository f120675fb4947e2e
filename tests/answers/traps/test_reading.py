"""The values that each detector finds in a text, compared with values found by hand."""

import pytest

from costaudit.answers.traps.detectors import Reading
from costaudit.answers.traps.folding import fold, plain
from costaudit.answers.traps.quantities import number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Twenty-four hours", "24 hours"),
        ("one hundred and twenty five", "125"),
        ("treinta y cinco", "35"),
        ("two, three", "2, 3"),
        ("mil euros", "1000 euros"),
        ("one of them", "one of them"),
        ("one day", "1 day"),
        ("at once", "at -"),  # it means eleven only in Spanish
        ("de las once", "de las 11"),
        ("1) open 2) tap", "  open   tap"),
        ("20 por ciento", "20 %"),
    ],
)
def test_plain(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_folding_keeps_the_length() -> None:
    text = "¿Dónde está “el” PAÑO – İ? ǅ\xa0x"
    assert len(fold(text)) == len(text)
    assert fold("ÁÉÑ’") == "aen'"


@pytest.mark.parametrize(
    ("digits", "value"),
    [("1,000", 1000), ("1.000", 1000), ("3,95", 3.95), ("3.95", 3.95), ("0.125", 0.125),
     ("1,234,567", 1234567), ("5,000.50", 5000.5), ("12", 12)],
)  # fmt: skip
def test_number(digits: str, value: float) -> None:
    assert number(digits) == value


@pytest.mark.parametrize(
    ("text", "part", "expected"),
    [
        # 24 h x 3600 s = 86400 s = one day
        ("within 24 hours, one day", "measures", {"86400 time"}),
        ("3 to 5 business days", "measures", {"3 workday", "5 workday"}),
        ("2 years or 24 months", "measures", {"24 month"}),
        ("$5k and 20 €", "amounts", {"5000 money:usd", "20 money:eur"}),
        ("5 pounds", "amounts", {"5 money:gbp"}),
        ("free over 50, else 3.95", "numbers", {"50", "3.95"}),
        ("on 14 October 2026", "dates", {"14.10.2026"}),
        ("el 14 de octubre de 2026", "dates", {"14.10.2026"}),
        ("2026-10-14", "dates", {"14.10.2026"}),
        ("at 9 pm", "dates", {"21:00"}),
        ("a las 9 de la mañana", "dates", {"09:00"}),
        ("at 12 pm", "dates", {"12:00"}),
        ("at 12 a.m.", "dates", {"00:00"}),
        ("12 de la noche", "dates", {"00:00"}),
        ("10 de la noche", "dates", {"22:00"}),
        ("2 de la noche", "dates", {"02:00"}),
        ("3 de la madrugada", "dates", {"03:00"}),
        ("12 de la mañana", "dates", {"12:00"}),  # noon in Spain
        ("12 del mediodía", "dates", {"12:00"}),
        ("1 de la tarde", "dates", {"13:00"}),
        ("11 at night", "dates", {"23:00"}),
        ("at midnight", "dates", {"00:00"}),
        ("a medianoche", "dates", {"00:00"}),
        ("at 24:00", "dates", {"00:00"}),
        ("14/10/25", "dates", {"14.10.2025"}),
        ("14.10.2025", "dates", {"14.10.2025"}),
        ("2025/10/14", "dates", {"14.10.2025"}),
        ("10/14/2025", "dates", {"14.10.2025"}),  # no month 14
        ("14/10/98", "dates", {"14.10.1998"}),
        ("14-10-2025", "dates", {"14.10.2025"}),
        ("2025-10-14T09:30:00Z", "dates", {"14.10.2025", "09:30"}),
        ("2025-10-14T00:00", "dates", {"14.10.2025"}),
        ("on 14.10.2025", "identifiers", set()),
        ("version 3.11.2, call 55-2025", "identifiers", {"3.11.2", "55-2025"}),
        ("may I?", "dates", set()),
        ("in May", "dates", {"may"}),
        ("mañana por la mañana", "dates", {"tomorrow", "morning"}),
        ("order #4711", "identifiers", {"4711"}),
        ("código AUTUMN10", "identifiers", {"autumn10"}),
        ("write to A@b.example", "identifiers", {"a@b.example"}),
        ("Can I order 3 tickets", "identifiers", set()),
        ("a 24h wait, 2FA, the 2nd", "identifiers", set()),
        ("pay in Alemania with apple pay", "entities", {"germany", "apple pay"}),
        ("tell us more", "entities", set()),
        ("I spoke with Marta Ruiz", "entities", {"marta ruiz"}),
        ("HOW DO I CANCEL", "entities", set()),
        ("no tengo ninguna tarjeta", "polarity", {"negated=yes", "reply=no"}),
        ("I have not failed", "polarity", {"negated=yes", "success=-"}),
        ("order 48213 costs 5", "numbers", {"5"}),
    ],
)
def test_reading(text: str, part: str, expected: set[str]) -> None:
    assert getattr(Reading(text), part) == expected
