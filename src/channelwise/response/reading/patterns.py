"""What the names of columns say about their role, and the name of the channel inside them."""

import re

TRUTH = re.compile(
    r"(contribution|effect|true)_.*|.*_(contribution|effect|true)|base_?(line)?(_sales)?|trend|"
    r"seasonal|intercept"
)
"""Columns that a simulation writes beside its data, which no one measures."""

COMPETITOR = re.compile(r"(.*_)?(competitors?|competition|competing|rivals?)(_.*)?")
CONTROL = re.compile(r"control_.*|.*_controls?|[cz]_?\d+(_.*)?")
VALUE = re.compile(r"(revenue|value|price|income)_per_(conversion|kpi|order|sale|unit)|aov")
POPULATION = re.compile(r"pop|population|inhabitants|(geo|region)_population")
GEO = re.compile(
    r"geo|geos|geo_(id|name|code)|regions?|dma|dma_(code|name)|states?|country|city|market|area|"
    r"territory|location|district|province"
)
SPEND = re.compile(
    r"((ad|media)_)?(spend|spends|spending|costs?|expenses?|expenditure|investment|budget)(_.+)?|"
    r".+_(spend|spends|spending|costs?|expenses?|expenditure|investment|budget)"
    r"(_(usd|eur|gbp|chf))?|mdsp_.+"
)
TOTAL = re.compile(r"(.*_)?(total|sum|overall|all)(_.*)?")
ORGANIC = re.compile(r"(.*_)?(organic|newsletters?)(_.*)?")
EXPOSURE = re.compile(
    r"mdip_.+|(.+_)?(impressions?|imps?|impr|grps?|trps?|reach|views?|clicks?|exposures?|opens|"
    r"sends)(_.+)?"
)
LONG = re.compile(r"(media_?)?(channels?|medium|media|campaigns?|platform|source|tactic)(_name)?")
"""Columns that name the channel in tables with a row for each channel."""

EVENT = re.compile(r"(hldy|holidays?|events?|is)(_.*)?|.*_(holidays?|events?)")
SEASON = re.compile(r"(seas|season|month|week|weekday|quarter|dow|day)_.+")
DATE = re.compile(
    r"(date|day|week|month|ds|time|timestamp|period|datum)|(.*_)?(date|dt|week_?start|week_?of|"
    r"week_?commencing)|(date|week|month)_.*"
)
NUMBERED = re.compile(r"x_?\d+(_.*)?|(channel|media|ch)_?\d+")

MEDIA = re.compile(
    r"tv|television|radio|print|newspapers?|magazines?|ooh|outdoor|billboards?|facebook|fb|meta|"
    r"instagram|google|youtube|tiktok|search|sem|ppc|display|social|video|podcasts?|influencers?|"
    r"affiliates?|banners?|cinema|snapchat|pinterest|linkedin|twitter|bing|programmatic|streaming|"
    r"ctv|ott|flyers?|directmail|retargeting|shopping|email"
)
"""Words that name a medium, for tables whose columns are called just that."""

REVENUE = ("outcome", "y", "kpi", "target", "response", "revenue", "sales", "turnover", "gmv")
CONVERSIONS = (
    "conversions",
    "conversion",
    "orders",
    "purchases",
    "transactions",
    "bookings",
    "signups",
    "subscriptions",
    "subscribers",
    "customers",
    "installs",
    "leads",
    "units",
)

_AFFIX = (
    r"((ad|media)[\W_]*)?(spends?|spending|costs?|expenses?|expenditure|investment|budget|"
    r"impressions?|imps?|impr|grps?|trps?|reach|views?|clicks?|exposures?|opens|sends)"
)
_CALENDAR = re.compile(
    r"t|time|index|idx|years?|yr|quarter|qtr|month|mth|mo|week|wk|day|weekday|dayofyear|dayofweek|"
    r"dayofmonth|weekofyear|doy|dow|prd|period|row|id|unnamed"
)
_FILLING = ("", "in", "of", "nbr", "num", "number", "no", "start", "strt", "end", "the")
_EXPOSURE_KINDS = (("impression", "imp", "mdip"), ("grp", "trp"), ("reach",), ("view",), ("click",))


def normal(name: str) -> str:
    """Lower case, words joined by underscores: "tvSpend" and "TV Spend" are "tv_spend"."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^\w.]+|_+", "_", words).strip("_").lower()


def is_calendar(name: str) -> bool:
    """Whether it names a part of the calendar or counts rows: yr_nbr, dayofyear, t, week 2."""
    words = [word for word in re.split(r"[_\d.]+", normal(name)) if word not in _FILLING]
    return bool(words) and all(_CALENDAR.fullmatch(word) for word in words)


def is_media(name: str) -> bool:
    """Whether a word of the name is a medium: TV, Facebook, x2, channel_1."""
    if NUMBERED.fullmatch(normal(name)):
        return True
    return any(MEDIA.fullmatch(word) for word in normal(name).split("_"))


def is_spend(name: str) -> bool:
    """Whether the name says spend: tv_spend, cost_tv, mdsp_tv, tv_S."""
    return bool(SPEND.fullmatch(normal(name)) or re.fullmatch(r".+_S", name))


def is_exposure(name: str) -> bool:
    """Whether the name says impressions, clicks, …: tv_impressions, mdip_tv, tv_I, search_P."""
    return bool(EXPOSURE.fullmatch(normal(name)) or re.fullmatch(r".+_[IP]", name))


def outcome_rank(name: str, conversions: bool) -> int | None:
    """How surely the name is that of an outcome, 0 the surest; None if it is not."""
    first, second = (CONVERSIONS, REVENUE) if conversions else (REVENUE, CONVERSIONS)
    known, words = [*first, *second], normal(name).split("_")
    if normal(name) in known:
        return known.index(normal(name))
    inside = [known.index(word) for word in words if word in known and len(word) > 1]
    return len(known) + min(inside) if inside else None


def counts_conversions(name: str) -> bool:
    """Whether the name says that conversions, not money, are counted."""
    return bool(set(normal(name).split("_")) & set(CONVERSIONS))


def channel_of(name: str) -> str:
    """The channel inside a column's name: tv for tv_spend, mdsp_tv, tvSpend, tv_S, x1_tv."""
    short = re.sub(r"(?<=[a-z0-9])(?=(Spend|Cost|Impressions|Clicks)$)", "_", name)
    short = re.sub(r"^(mdsp|mdip)_|^x\d+_(?=.)|_[SIP]$", "", short)
    short = re.sub(
        rf"^{_AFFIX}[\W_]+|[\W_]+{_AFFIX}([\W_](usd|eur|gbp|chf))?$", "", short, flags=re.I
    )
    return short or name


def exposure_rank(name: str) -> int:
    """Which of several exposures of a channel to use: impressions before reach before clicks."""
    if name.endswith("_I"):
        return 0
    ranks = [i for i, kind in enumerate(_EXPOSURE_KINDS) if any(k in normal(name) for k in kind)]
    return min(ranks, default=len(_EXPOSURE_KINDS))
