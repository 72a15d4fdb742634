"""Engines run a cell over a sequence: one contract, one module an engine.

An engine's module holds PRIORITY (the highest that can, runs), ADVANTAGE (why it is preferred, in a few words),
`refusal(request)` (why it cannot run a request, or None) and `forward(call)`. CAN names what it knows beyond arithmetic
on each unit by itself: "mean", "mask". Adding an engine is adding a file.
"""

from headgate.engines.contract import Call as Call
from headgate.engines.contract import Request as Request
from headgate.engines.contract import Result as Result
from headgate.engines.contract import as_dtype as as_dtype
from headgate.engines.contract import in_transform as in_transform
from headgate.engines.contract import is_answered_by_class as is_answered_by_class
from headgate.engines.contract import is_followed as is_followed
from headgate.engines.contract import step_masks as step_masks
from headgate.engines.contract import wide as wide
from headgate.engines.registry import choose as choose
from headgate.engines.registry import engine_named as engine_named
from headgate.engines.registry import explain as explain
from headgate.engines.registry import names as names
from headgate.engines.registry import refusal as refusal
