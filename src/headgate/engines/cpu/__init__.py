"""Our own kernels: every cell's step, printed from its equations and compiled, with its products between.

Rows that have ended cost nothing, resets and reversal are part of the loop, and nothing is allocated per step. For half
precision, states and everything elementwise are float32, and so are products unless AMX makes those of bfloat16. Large
products of float32 are made by AMX, too, of three pieces of each number, which together are that number.
"""

from __future__ import annotations

from headgate.engines.contract import Call, Request, Result, in_transform, wide
from headgate.engines.cpu import library, printed
from headgate.engines.cpu.autograd import run_call

PRIORITY = 20
CAN = frozenset({"mean", "mask"})
ADVANTAGE = "compiled, all steps in one call"


def refusal(request: Request) -> str | None:
    """Why the compiled engine cannot do what is asked, or None."""
    if request.device.type != "cpu":
        return f"it runs on a CPU, and the input is on {request.device}"
    if wide(request.dtype) not in library.NUMBER:
        return f"it computes in float32 and float64, and the input is {request.dtype}"
    if library.library() is None:
        return "its library was not built when headgate was installed, for which a C++ compiler is needed"
    if in_transform():
        return "compiled kernels cannot be vmapped or differentiated forward"
    return printed.reason_against(request.cell)


def forward(call: Call) -> Result:
    """One layer in one direction, as the contract has it."""
    return run_call(call)
