"""Channelwise: what to train, and through which channels it should reach people."""

__version__ = "0.1.0"
