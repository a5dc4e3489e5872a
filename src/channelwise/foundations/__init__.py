"""Activations, losses and the closed forms behind training: chapters 1 to 3."""
