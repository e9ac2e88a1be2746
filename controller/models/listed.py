"""Reads the models that could be made: timm's architectures with their figures, from data/models.csv."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from types import MappingProxyType

from broker.errors import InvalidError
from controller.models.naming import NAME
from controller.models.shipped import DATA
from controller.predict.features import Features

LABELS = 1_000
"""Every listed model is counted with the labels of ImageNet-1k."""

BYTES_PER_PARAM = 4
"""In fp32: what a file of the model would hold, the graph left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An architecture of timm at its default size, as counted on the meta device; no weights were needed.

    `pretrained` is timm's tag of the best published weights at `input_res`. `top1_pct` and `gmacs_published` (10^9) are
    figures that `top1_source` and timm's results publish for these weights at this size, None where they publish none;
    `note` says why `gmacs` differs from the published figure, empty where it does not.

    Raises InvalidError, `field` among its facts, for figures that make no sense.
    """

    name: str
    family: str
    pretrained: str | None
    params_m: float
    gmacs: float
    macts_m: float | None
    dw_gmacs: float
    n_convs: int
    input_res: int
    top1_pct: float | None
    top1_source: str | None
    gmacs_published: float | None
    note: str
    popular: bool

    def __post_init__(self) -> None:
        """Refuse what cannot be: a name that is none, figures outside their limits, an accuracy of nobody."""
        if not NAME.fullmatch(self.name):
            raise InvalidError(f"{self.name!r} cannot be a model's name", hint="letters, digits, . _ -", field="name")
        if self.top1_pct is not None and not 0 < self.top1_pct <= 100:  # noqa: PLR2004  # per cent
            raise InvalidError(f"top1_pct {self.top1_pct:g} is no percentage", hint="0 to 100", field="top1_pct")
        if (self.top1_pct is None) != (self.top1_source is None):
            raise InvalidError("an accuracy needs its source", hint="fill both or none", field="top1_source")
        _ = self.features

    @property
    def size_mb(self) -> float:
        """10^6 bytes of the weights in fp32."""
        return self.params_m * BYTES_PER_PARAM

    @property
    def weights(self) -> str:
        """What timm calls the best published weights, or the architecture where there are none."""
        return f"{self.name}.{self.pretrained}" if self.pretrained else self.name

    @property
    def features(self) -> Features:
        """What a predictor asks about this model in fp32."""
        return Features(
            params_m=self.params_m,
            gmacs=self.gmacs,
            size_mb=self.size_mb,
            macts_m=self.macts_m,
            input_res=self.input_res,
            dw_gmacs=self.dw_gmacs,
            n_convs=self.n_convs,
        )


COLUMNS = tuple(field.name for field in fields(Listed))
"""The columns of data/models.csv; an empty field is None."""


@cache
def load() -> Mapping[str, Listed]:
    """Return every model of data/models.csv by name; the table is read once."""
    return read(DATA / "models.csv")


def read(path: Path) -> Mapping[str, Listed]:
    """Return every model in the table at `path` by name, in the order of the file.

    Raises InvalidError naming line and column for a table that is not as `data/README.md` says.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file, strict=True)
            return MappingProxyType(_rows(path.name, ((lines.line_num, cells) for cells in lines)))
    except OSError as error:
        raise InvalidError(f"cannot read {path}: {error.strerror}", hint="it comes with EdgeWatt") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidError(f"{path.name} is no table of models: {error}", hint="see data/README.md") from None


def _rows(name: str, lines: Iterator[tuple[int, list[str]]]) -> dict[str, Listed]:
    _, header = next(lines, (1, []))
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise InvalidError(
            f"{name}, line 1: the column {missing[0]} is missing", hint="see data/README.md", field=missing[0]
        )
    found: dict[str, Listed] = {}
    for number, cells in lines:
        where = f"{name}, line {number}"
        if len(cells) != len(header):
            raise InvalidError(f"{where}: {len(cells)} fields, not {len(header)}", hint="see data/README.md")
        model = _model(where, dict(zip(header, cells, strict=True)))
        if model.name in found:
            raise InvalidError(f"{where}, column name: {model.name} is there twice", hint="remove one", field="name")
        found[model.name] = model
    return found


def _model(where: str, row: Mapping[str, str]) -> Listed:
    try:
        return Listed(
            name=row["name"],
            family=row["family"],
            pretrained=row["pretrained"] or None,
            params_m=_number(row, "params_m"),
            gmacs=_number(row, "gmacs"),
            macts_m=_absent_or_number(row, "macts_m"),
            dw_gmacs=_number(row, "dw_gmacs"),
            n_convs=_whole(row, "n_convs"),
            input_res=_whole(row, "input_res"),
            top1_pct=_absent_or_number(row, "top1_pct"),
            top1_source=row["top1_source"] or None,
            gmacs_published=_absent_or_number(row, "gmacs_published"),
            note=row["note"],
            popular=_yes(row, "popular"),
        )
    except InvalidError as error:
        column = error.facts.get("field", "")
        raise InvalidError(
            f"{where}, column {column}: {error.message}", hint=error.hint or "see data/README.md", field=column
        ) from None


def _number(row: Mapping[str, str], column: str) -> float:
    try:
        return float(row[column])
    except ValueError:
        raise InvalidError(f"{row[column]!r} is no number", field=column) from None


def _absent_or_number(row: Mapping[str, str], column: str) -> float | None:
    return _number(row, column) if row[column] else None


def _whole(row: Mapping[str, str], column: str) -> int:
    try:
        return int(row[column])
    except ValueError:
        raise InvalidError(f"{row[column]!r} is no whole number", field=column) from None


def _yes(row: Mapping[str, str], column: str) -> bool:
    if row[column] not in {"0", "1"}:
        raise InvalidError(f"{row[column]!r} is neither 0 nor 1", field=column)
    return row[column] == "1"
