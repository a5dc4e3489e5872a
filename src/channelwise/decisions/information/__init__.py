"""Chapters 12 and 13: what a test would be worth to the budget decision."""
