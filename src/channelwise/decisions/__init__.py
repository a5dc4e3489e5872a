"""From response to decision: channel strength, experiments and budgets: chapters 10, 12 and 13."""
