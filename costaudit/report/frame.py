"""How wide a chart is drawn, and what of that its labels take."""

from dataclasses import dataclass

_LETTER = 7.0  # pixels of one character of a label
_LABEL_GAP = 10  # pixels between two labels of an axis
_MOST_LABELS = 8


@dataclass(frozen=True)
class Frame:
    """The horizontal measures of a chart, in pixels."""

    name: str  # CSS class: which screens see it
    width: float
    start: float  # of the horizontal axis; labels of the vertical one stand before it
    stop: float  # of the horizontal axis; names of lines stand behind it

    @property
    def middle(self) -> float:
        """Give the middle of the horizontal axis."""
        return (self.start + self.stop) / 2

    def labels(self, longest: int) -> int:
        """Give how many labels of so many characters fit below the axis."""
        room = (self.stop - self.start) / (longest * _LETTER + _LABEL_GAP)
        return max(1, min(_MOST_LABELS, int(room)))


WIDE = Frame("wide", 860, 64, 800)
SLIM = Frame("slim", 356, 56, 326)  # a telephone, pixel by pixel
