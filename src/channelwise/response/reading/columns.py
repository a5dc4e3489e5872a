"""The role of each column of a market's table, and the roles that a user names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from channelwise.response.reading import patterns

RoleName = Literal[
    "date",
    "outcome",
    "spend",
    "exposure",
    "control",
    "organic",
    "event",
    "geo",
    "population",
    "ignored",
]


class Role(NamedTuple):
    """What one column is for.

    Attributes:
      column: its name in the file.
      role: "date", "outcome", "spend", …, or "ignored".
      why: the reason, in words.
      channel: for spend and exposure, the name of the channel.
    """

    column: str
    role: RoleName
    why: str
    channel: str | None = None


@dataclass(frozen=True)
class Roles:
    """The roles of all columns of a table.

    Attributes:
      all: one for each column, in the order of the file.
      channels: the spend column of each channel, in the order of the user's list or the file.
    """

    all: tuple[Role, ...]
    channels: dict[str, str]

    def columns(self, role: RoleName) -> tuple[str, ...]:
        """Names of the columns with this role."""
        return tuple(r.column for r in self.all if r.role == role)

    def column(self, role: RoleName) -> str | None:
        """The one column with this role, None if there is none."""
        return next(iter(self.columns(role)), None)

    @property
    def exposure(self) -> dict[str, str]:
        """The exposure column of each channel that has one."""
        return {r.channel: r.column for r in self.all if r.role == "exposure"}

    def without(self, reasons: Mapping[str, str]) -> "Roles":
        """The same with some columns ignored, each for its reason."""
        left = (
            Role(r.column, "ignored", reasons[r.column]) if r.column in reasons else r
            for r in self.all
        )
        return Roles(tuple(left), self.channels)

    def table(self) -> str:
        """One line a column: name, role, reason."""
        lines = [("column", "role", "why"), *((r.column, _of(r), r.why) for r in self.all)]
        wide = [max(len(line[i]) for line in lines) for i in (0, 1)]
        return "\n".join(f"{c:<{wide[0]}}  {r:<{wide[1]}}  {w}" for c, r, w in lines)


def _of(role: Role) -> str:
    named = role.channel not in (None, role.column)
    return f"{role.role} of {role.channel}" if named else role.role


@dataclass(frozen=True)
class Named:
    """The columns that the user names, by role; None where the role is to be detected.

    Attributes:
      spend: the columns, or the column of each channel by the channel's name.
      exposure: the exposure column by the channel's name or its spend column.
      conversions: whether the outcome counts conversions rather than money.
    """

    date: str | None = None
    outcome: str | None = None
    spend: Mapping[str, str] | Sequence[str] | None = None
    exposure: Mapping[str, str] | None = None
    controls: Sequence[str] | None = None
    organic: Sequence[str] | None = None
    events: Sequence[str] | None = None
    geo: str | None = None
    population: str | None = None
    conversions: bool = False

    def __post_init__(self):
        for field in ("spend", "controls", "organic", "events"):
            if isinstance(getattr(self, field), str):  # one name is a list of one
                object.__setattr__(self, field, [getattr(self, field)])

    def roles(self) -> list[Role]:
        """One role for each column named."""
        you = "you named it"
        spend = self.channels()
        by_column = {column: channel for channel, column in spend.items()}
        exposure = (self.exposure or {}).items()
        lists = (("control", self.controls), ("organic", self.organic), ("event", self.events))
        ones = ("date", "outcome", "geo", "population")
        return [
            *(Role(getattr(self, n), n, you) for n in ones if getattr(self, n) is not None),
            *(Role(column, "spend", you, channel) for channel, column in spend.items()),
            *(Role(column, "exposure", you, by_column.get(of, of)) for of, column in exposure),
            *(Role(column, role, you) for role, columns in lists for column in columns or ()),
        ]

    def channels(self) -> dict[str, str]:
        """The spend columns named, by channel."""
        if isinstance(self.spend, Mapping):
            return dict(self.spend)
        return by_channel(self.spend or ())

    def decides(self, role: RoleName) -> bool:
        """Whether the user has said which columns have this role."""
        field = {"control": "controls", "event": "events"}.get(role, role)
        return getattr(self, field, None) is not None


def by_channel(columns: Iterable[str]) -> dict[str, str]:
    """Columns by the name of the channel inside; by the whole name where two would be the same."""
    columns = list(columns)
    short = [patterns.channel_of(column) for column in columns]
    return {s if short.count(s) == 1 else c: c for s, c in zip(short, columns, strict=True)}
