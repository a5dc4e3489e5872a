"""SciPy's own distribution for each of the library's priors: an oracle."""

import numpy as np
from scipy import stats

from channelwise.response.priors import Prior


def frozen(p: Prior):
    """The same distribution, from SciPy."""
    return {
        "normal": lambda: stats.norm(p.a, p.b),
        "half_normal": lambda: stats.halfnorm(scale=p.a),
        "log_normal": lambda: stats.lognorm(p.b, scale=np.exp(p.a)),
        "gamma": lambda: stats.gamma(p.a, scale=1 / p.b),
        "beta": lambda: stats.beta(p.a, p.b),
        "uniform": lambda: stats.uniform(p.a, p.b - p.a),
    }[p.family]()
