"""Tells what each column of a market's table is for, from its name and its content."""

from typing import Final

from channelwise.response.reading import patterns
from channelwise.response.reading.columns import Named, Role, RoleName, Roles, by_channel
from channelwise.response.reading.findings import Finding, MarketError, error, listed, nearest
from channelwise.response.reading.table import Table

_OTHER: Final = "a number with no other role"


def find_roles(table: Table, named: Named | None = None) -> Roles:
    """Gives every column of a table its role.

    What the user names for a role overrules: no other column gets that role.

    Raises:
      MarketError: for names that are not in the table or have two roles, and if no column holds
        dates, the outcome, or spend.
    """
    named = named or Named()
    roles = _named(table, named)
    for step in _STEPS:
        roles |= step(table, named, roles)
    _require(table, roles)
    found = by_channel(c for c in table.names if roles[c].role == "spend")
    return Roles(tuple(roles[c] for c in table.names), named.channels() or found)


def _named(table: Table, named: Named) -> dict[str, Role]:
    """The user's own, after a look at whether they can be."""
    given = named.roles()
    problems = [_unknown(r, table) for r in given if r.column not in table.names]
    problems += [_misnamed(r, table) for r in given if _is_misnamed(r, table)]
    columns = [r.column for r in given]
    for column in dict.fromkeys(c for c in columns if columns.count(c) > 1):
        twice = listed(r.role for r in given if r.column == column)
        problems.append(
            error("two-roles", f"Column {column!r} is named twice: as {twice}. Name it once.")
        )
    if problems:
        raise MarketError(problems)
    return {r.column: r for r in given}


def _unknown(role: Role, table: Table) -> Finding:
    return error(
        "unknown-column",
        f"There is no column {role.column!r} in {table.sheet.file}, named as {role.role}: "
        f"{nearest(role.column, table.names)}",
    )


def _is_misnamed(role: Role, table: Table) -> bool:
    """A date that is none, or dates where there should be something else."""
    if role.column not in table.names:
        return False
    return table.is_dates(role.column) != (role.role == "date")


def _misnamed(role: Role, table: Table) -> Finding:
    example = next(iter(table.present(role.column)), "")
    holds = "no dates" if role.role == "date" else "dates"
    return error(
        "wrong-outcome" if role.role == "outcome" else "misnamed",
        f"Column {role.column!r} is named as {role.role}, but holds {holds} (such as {example!r}).",
    )


def _find_date(table: Table, named: Named, roles: dict[str, Role]) -> dict[str, Role]:
    """The column that holds dates and, where several do, is called so."""
    if named.date is not None:
        return {}
    dates = [c for c in table.names if c not in roles and table.is_dates(c)]
    called = [c for c in dates if patterns.DATE.fullmatch(patterns.normal(c))]
    if len(called or dates) > 1:
        choices = listed(map(repr, called or dates))
        raise MarketError([error("dates", f"Columns {choices} hold dates: name one with date=.")])
    chosen = (called or dates)[:1]
    other = Role("", "ignored", "another date")
    return {
        c: Role(c, "date", "holds dates") if c in chosen else other._replace(column=c)
        for c in dates
    }


def _guess_all(table: Table, named: Named, roles: dict[str, Role]) -> dict[str, Role]:
    return {c: _guess(table, c) for c in table.names if c not in roles}


def _only_named(table: Table, named: Named, roles: dict[str, Role]) -> dict[str, Role]:
    """Where the user has said which columns have a role, no other column has it."""
    given = {r.column for r in named.roles()}
    return {
        c: _ignored(r, f"not among the {r.role} columns you named")
        for c, r in roles.items()
        if c not in given and named.decides(r.role)
    }


def _ignored(role: Role, why: str) -> Role:
    return Role(role.column, "ignored", why)


def _guess(table: Table, column: str) -> Role:
    """The first rule that fits: results, context, media, and at last any other number."""
    name, number = patterns.normal(column), table.is_numeric(column)

    def fits(pattern) -> bool:
        return pattern.fullmatch(name) is not None

    def role(kind: RoleName, why: str) -> Role:
        return Role(column, kind, why)

    if not table.present(column):
        return role("ignored", "no value in any row")
    if fits(patterns.GEO) and (not number or len(set(table.texts(column))) < len(table.rows)):
        return role("geo", "its name is that of a region")
    if fits(patterns.EVENT) and (not number or table.is_dummy(column)):
        return role("event", "holds events" if not number else "0 and 1, called an event")
    if not number:
        return role("ignored", "text")
    if fits(patterns.TRUTH):
        return role("ignored", "looks like the truth beside a simulation, which no one measures")
    if fits(patterns.VALUE):
        return role("ignored", "the worth of an outcome: give it as value_per_conversion=")
    if fits(patterns.POPULATION):
        return role("population", "its name says so")
    if patterns.is_calendar(column):
        return role("ignored", "a part of the calendar")
    if fits(patterns.SEASON) and table.is_dummy(column):
        return role("ignored", "a dummy of the calendar: the model has its own season")
    if fits(patterns.COMPETITOR) or column.endswith("_B"):
        return role("control", "its name says competitor")
    if fits(patterns.CONTROL):
        return role("control", "its name says control")
    return _guess_media(table, column, name)


def _guess_media(table: Table, column: str, name: str) -> Role:
    if patterns.is_spend(column):
        if patterns.TOTAL.fullmatch(name):
            return Role(column, "ignored", "a total of spend")
        return Role(column, "spend", "its name says spend", patterns.channel_of(column))
    if patterns.ORGANIC.fullmatch(name):
        return Role(column, "organic", "its name says media without spend")
    if patterns.is_exposure(column):
        return Role(column, "exposure", "its name says exposure", patterns.channel_of(column))
    if table.counts_rows(column):
        return Role(column, "ignored", "counts the rows")
    return Role(column, "control", _OTHER)


def _choose_outcome(table: Table, named: Named, roles: dict[str, Role]) -> dict[str, Role]:
    """The control that is called most like an outcome."""
    if named.outcome is not None:
        return {}
    ranks = {
        c: patterns.outcome_rank(c, named.conversions)
        for c, r in roles.items()
        if r.role == "control" and r.why == _OTHER
    }
    ranks = {c: rank for c, rank in ranks.items() if rank is not None}
    best = sorted(c for c, rank in ranks.items() if rank == min(ranks.values()))
    if len(best) > 1:
        choices = listed(map(repr, best))
        raise MarketError(
            [error("outcomes", f"Columns {choices} may be the outcome: name one with outcome=.")]
        )
    return {
        c: Role(c, "outcome", "its name says outcome")
        if c in best
        else Role(c, "ignored", "another outcome: choose it with outcome=")
        for c in ranks
    }


def _choose_spend(table: Table, named: Named, roles: dict[str, Role]) -> dict[str, Role]:
    """Without a column that says spend: those that are called like a medium."""
    if named.spend is not None or any(r.role == "spend" for r in roles.values()):
        return {}
    return {
        c: Role(c, "spend", "called like a medium", patterns.channel_of(c))
        for c, r in roles.items()
        if r.why == _OTHER and patterns.is_media(c)
    }


def _pair_exposure(table: Table, named: Named, roles: dict[str, Role]) -> dict[str, Role]:
    """Exposure of a channel by the name they share; without one, it is media without spend."""
    channels = _channel_names(roles)
    given = [r for r in roles.values() if r.role == "exposure" and named.exposure]
    changed = {r.column: r._replace(channel=_channel(r.channel, channels)) for r in given}
    found = [r for r in roles.values() if r.role == "exposure" and not named.exposure]
    for r in sorted(found, key=lambda r: (patterns.exposure_rank(r.column), r.column)):
        taken = {other.channel: other.column for other in changed.values()}
        channel = channels.get(r.channel.lower())
        if channel in taken and channel is not None:
            changed[r.column] = _ignored(r, f"{channel} already has {taken[channel]}")
        elif channel is not None:
            changed[r.column] = r._replace(channel=channel)
        else:
            changed[r.column] = _unpaid(r, named, roles)
    return changed


def _channel_names(roles: dict[str, Role]) -> dict[str, str]:
    """Channels by every name for them in lower case: the channel, its column, the stem of that."""
    paid = [r for r in roles.values() if r.role == "spend"]
    channels = {patterns.channel_of(r.column).lower(): r.channel for r in paid}
    channels |= {r.column.lower(): r.channel for r in paid}
    return channels | {r.channel.lower(): r.channel for r in paid}


def _channel(name: str, channels: dict[str, str]) -> str:
    if name.lower() not in channels:
        known = sorted(set(channels.values()))
        message = f"Exposure is given for {name!r}, which is no channel: {nearest(name, known)}"
        raise MarketError([error("unknown-column", message)])
    return channels[name.lower()]


def _unpaid(exposure: Role, named: Named, roles: dict[str, Role]) -> Role:
    """Exposure of no channel: organic media, unless its spend was left out by the user."""
    left = (c for c, r in roles.items() if r.role == "ignored" and patterns.is_spend(c))
    if exposure.channel.lower() in {patterns.channel_of(c).lower() for c in left}:
        return _ignored(exposure, "its spend is ignored")
    if named.organic is not None:
        return _ignored(exposure, "exposure of no channel")
    return Role(exposure.column, "organic", "exposure without spend")


def _keep_one(table: Table, named: Named, roles: dict[str, Role]) -> dict[str, Role]:
    """Of several regions, or populations, the only one that varies."""
    changed = {}
    for kind in ("geo", "population"):
        columns = [c for c, r in roles.items() if r.role == kind]
        moving = [c for c in columns if not table.is_constant(c)]
        if len(moving) > 1:
            message = (
                f"Columns {listed(map(repr, moving))} may be the {kind}: name one with {kind}=."
            )
            raise MarketError([error("choose-one", message)])
        keep = moving or columns[:1]
        changed |= {c: _ignored(roles[c], f"another {kind}") for c in columns if c not in keep}
    return changed


def _require(table: Table, roles: dict[str, Role]) -> None:
    """A market has dates, an outcome and spend."""
    have = {r.role for r in roles.values()}
    free = [c for c, r in roles.items() if r.role == "control" or r.why == "text"]
    hint = f" The columns with no other role are {listed(map(repr, free))}." if free else ""
    file = table.sheet.file
    problems = [
        error(f"no-{role}", f"{file} has no column {what}: name it with {role}=.")
        for role, what in _NEEDED.items()
        if role not in have
    ]
    if problems:
        last = problems[-1]
        raise MarketError([*problems[:-1], last._replace(message=last.message + hint)])


_NEEDED = {
    "date": "of dates, one for each day, week or month",
    "outcome": "that is called like an outcome (revenue, sales, conversions, y)",
    "spend": "that is called like spend on a channel (tv_spend, spend_tv, tv_S, mdsp_tv)",
}
_STEPS = (
    _find_date,
    _guess_all,
    _choose_outcome,
    _choose_spend,
    _only_named,
    _pair_exposure,
    _keep_one,
)
