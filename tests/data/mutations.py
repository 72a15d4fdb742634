"""Files with something wrong in them, by a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

HOSTILE = (b"\0", b'"', b"'", b"\t", b",", b":", b"\n", b"\r", b"\n\n", b"{", b"}", b"[", b"]", b"nan", b"1e999")
HOSTILE += (b"?", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b", b"@data", b"null", b"\\ud800", b"-inf", b"#")
HOSTILE += (b"__label__", b"-DOCSTART-", b"B-", b"\xe2\x80\xa8", b"1_0", b"[" * 3000, b"9" * 5000)


def mutations(files: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Each a file with one to four changes: a byte, a piece lost, doubled or moved, or something hostile put in."""
    chance = random.Random(seed)
    for k in range(count):
        changed = bytearray(files[k % len(files)])
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(changed) + 1)
            piece = changed[at : at + chance.choice((1, 2, 5, 40))]
            kind = chance.randrange(5)
            if kind == 0:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            elif kind == 1:
                del changed[at : at + len(piece)]
            elif kind == 2:
                changed[at:at] = piece
            elif kind == 3:
                to = chance.randrange(len(changed) + 1)
                changed[to:to] = piece
            else:
                changed[at:at] = chance.choice(HOSTILE)
        yield bytes(changed)
