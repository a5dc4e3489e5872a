"""From a file to the columns of a market: texts, numbers, dates, roles, checks."""
