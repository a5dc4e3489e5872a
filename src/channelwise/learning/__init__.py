"""Data, models, training and evaluation: chapters 4 to 9."""
