"""What a notebook cell calls: parameters, recorded results, tables, figures, controls.

This room knows no mathematics; nothing in it is specific to a chapter.
"""

from channelwise.notebook import figures
from channelwise.notebook.controls import explore
from channelwise.notebook.outputs import Claim, answer, claims, record, table
from channelwise.notebook.parameters import Schema, start
from channelwise.notebook.values import ParameterError

__all__ = [
    "Claim",
    "ParameterError",
    "Schema",
    "answer",
    "claims",
    "explore",
    "figures",
    "record",
    "start",
    "table",
]
