"""The one table of tolerances: how far each engine, and each witness, may be from the float64 truth.

The error meant is that of `comparing.assert_all_close`: the largest deviation in an entry over the largest magnitude
there. Float64 is for being right: it leaves room for rounding alone. The others are about four times the worst that
was measured over all cells and the cases of `engines/test_parity.py`.
"""

import torch

TOLERANCE: dict[tuple[str, torch.dtype], float] = {
    ("eager", torch.float64): 1e-10,
    ("eager", torch.float32): 1e-5,
    ("eager", torch.bfloat16): 4e-2,
    ("eager", torch.float16): 5e-3,
    ("cpu", torch.float64): 1e-10,
    ("cpu", torch.float32): 1e-5,
    ("cpu", torch.bfloat16): 4e-2,
    ("cpu", torch.float16): 5e-3,
    # The compiled engine's tiles beside float64 on the same rounded factors: the worst, which is a rounding that fell
    # the other way; what comes in bfloat16; and the median.
    ("tiles", torch.bfloat16): 3e-3,
    ("tiles, rounded", torch.bfloat16): 8e-3,
    ("tiles, usual", torch.bfloat16): 1e-6,
    ("stock", torch.float64): 1e-10,
    ("stock", torch.float32): 1e-5,
    ("traced", torch.float64): 1e-10,
    ("by hand", torch.float64): 1e-10,
    ("restated", torch.float64): 1e-12,
    ("central differences", torch.float64): 1e-7,
}
