"""The compiled library's structures and numbers, as ctypes knows them."""

from __future__ import annotations

from ctypes import POINTER, Structure, c_int32, c_int64, c_uint32, c_uint64, c_void_p
from functools import cache

# Where a pass finds or puts a value, as in headgate.h.
PRODUCT, PACKED, SCRATCH, ROWLESS, OLD_STATE, NEW_STATE, LATER, EARLIER, INPUT, MEAN, MASK = range(11)
EACH, HANDED = 11, 12  # of adjoint.h
NOTHING = -(2**31)  # HG_NOTHING


class Place(Structure):
    """`hg_place` of headgate.h."""

    _fields_ = [
        ("where", c_int32),
        ("index", c_int32),
        ("block", c_int32),
        ("buffer", c_int32),
        ("start", c_int64),
        ("stride", c_int64),
        ("once", c_int32),
        ("padding", c_int32),
    ]


class Mask(Structure):
    """`hg_mask` of headgate.h."""

    _fields_ = [("state", c_uint32), ("below", c_uint32)]


class Product(Structure):
    """`hg_product` of headgate.h."""

    _fields_ = [
        ("vector", Place),
        ("segments", c_int32),
        ("blocks", c_int32),
        ("start", POINTER(c_int64)),
        ("length", POINTER(c_int64)),
        ("packed", c_int32),
        ("bias", c_int32),
    ]


class Pass(Structure):
    """`hg_pass` of headgate.h."""

    _fields_ = [
        ("point", c_void_p),
        ("units", c_int64),
        ("valid", c_int64),
        ("n_products", c_int32),
        ("n_in", c_int32),
        ("n_out", c_int32),
        ("barrier", c_int32),
        ("products", POINTER(Product)),
        ("in_", POINTER(Place)),
        ("out", POINTER(Place)),
    ]


class State(Structure):
    """`hg_state` of headgate.h."""

    _fields_ = [
        ("units", c_int64),
        ("initial", c_void_p),
        ("old_state", c_void_p),
        ("new_state", c_void_p),
        ("stride", c_int64),
        ("kept", c_int32),
        ("padding", c_int32),
        ("final", c_void_p),
        ("d_final", c_void_p),
        ("d_initial", c_void_p),
        ("d_state", c_void_p),
        ("rounded", c_void_p),
        ("rounded_stride", c_int64),
        ("rounded_units", c_int64),
    ]


class Run(Structure):
    """`hg_run` of headgate.h."""

    _fields_ = [
        ("T", c_int64),
        ("B", c_int64),
        ("offset", c_void_p),
        ("rows", c_void_p),
        ("fresh", c_void_p),
        ("descending", c_int32),
        ("back", c_int32),
        ("keep", c_int32),
        ("compose", c_int32),
        ("n_states", c_int32),
        ("n_passes", c_int32),
        ("states", POINTER(State)),
        ("passes", POINTER(Pass)),
        ("buffers", POINTER(c_void_p)),
        ("input", POINTER(Product)),
        ("input_units", c_int64),
        ("threads", c_int32),
        ("split", c_int32),
        ("weight_bytes", c_int64),
        ("turn", c_int32),
        ("n_means", c_int32),
        ("n_masks", c_int32),
        ("masks", POINTER(Mask)),
        ("row", c_void_p),
        ("seed", c_uint64),
    ]


class Local(Structure):
    """`hg_local` of adjoint.h."""

    _fields_ = [("values", c_void_p), ("set", c_int64), ("step", c_int64), ("row", c_int64), ("units", c_int64)]


class Following(Structure):
    """`hg_adjoint` of adjoint.h."""

    _fields_ = [
        ("run", POINTER(Run)),
        ("first", c_int64),
        ("last", c_int64),
        ("gradients", c_int32),
        ("every", c_int32),
        ("room", c_int32),
        ("lowest", c_int32),
        ("set", c_void_p),
        ("source", c_void_p),
        ("number", c_void_p),
        ("local", POINTER(Local)),
        ("scale", c_void_p),
        ("scale_after", c_void_p),
        ("scales", c_void_p),
        ("block", c_void_p),
        ("apart", c_int32),
        ("told", c_int32),
        ("cut", c_void_p),
        ("parts", c_void_p),
        ("parts_stride", c_int64),
        ("parts_start", c_void_p),
    ]


class Stretch(Structure):
    """`hg_stretch` of stack.h."""

    _fields_ = [("start", c_void_p), ("bytes", c_int64), ("sum", c_uint64)]


class Held(Structure):
    """`hg_held` of stack.h."""

    _fields_ = [
        ("places", c_void_p),
        ("values", c_void_p),
        ("count", c_int64),
        ("width", c_int64),
        ("checksum", c_void_p),
        ("stretches", c_void_p),
        ("n_stretches", c_int64),
        ("next", c_int64),
    ]


class Stack(Structure):
    """`hg_stack` of stack.h."""

    _fields_ = [
        ("run", c_void_p),
        ("parts", POINTER(Run)),
        ("sizes", POINTER(c_int64)),
        ("input_bytes", POINTER(c_int64)),
        ("held", c_void_p),
        ("n_layers", c_int32),
        ("n_directions", c_int32),
        ("n_states", c_int32),
        ("n_buffers", c_int32),
        ("x", c_int32),
        ("kept", c_int32),
        ("width", c_int32),
        ("rounds", c_int32),
        ("scratch", c_int64),
    ]


class Packing(Structure):
    """`hg_packing` of headgate.h."""

    _fields_ = [
        ("weight", c_void_p),
        ("bias", c_void_p),
        ("rows", c_int64),
        ("columns", c_int64),
        ("blocks", c_int32),
        ("back", c_int32),
        ("threads", c_int32),
        ("wide", c_int32),
        ("packed", c_void_p),
        ("packed_bias", c_void_p),
    ]


class Right(Structure):
    """`hg_right` of headgate.h."""

    _fields_ = [
        ("part", c_void_p * 2),
        ("stride", c_int64 * 2),
        ("first", c_int64),
        ("columns", c_int64),
    ]


class Block(Structure):
    """`hg_block` of headgate.h."""

    _fields_ = [
        ("from_", c_int64),
        ("units", c_int64),
        ("right", c_void_p),
        ("result", c_void_p),
        ("sum", c_void_p),
    ]


class Summing(Structure):
    """`hg_summing` of headgate.h."""

    _fields_ = [
        ("left", c_void_p),
        ("stride", c_int64),
        ("rows", c_int64),
        ("blocks", c_void_p),
        ("n_blocks", c_int32),
        ("threads", c_int32),
        ("segments", c_int32),
        ("padding", c_int32),
        ("start", POINTER(c_int64)),
        ("length", POINTER(c_int64)),
    ]


class Multiplying(Structure):
    """`hg_multiplying` of headgate.h."""

    _fields_ = [
        ("vector", c_void_p),
        ("stride", c_int64),
        ("rows", c_int64),
        ("segments", c_int32),
        ("threads", c_int32),
        ("start", POINTER(c_int64)),
        ("length", POINTER(c_int64)),
        ("packed", c_void_p),
        ("result", c_void_p),
        ("units", c_int64),
    ]


class Copying(Structure):
    """`hg_copying` of tape.h."""

    _fields_ = [
        ("from_", c_void_p),
        ("to", c_void_p),
        ("rows", c_int64),
        ("columns", c_int64),
        ("width", c_int64),
        ("from_stride", c_int64),
        ("to_stride", c_int64),
        ("parts", c_int64),
        ("apart", c_int64),
    ]


class Address(Structure):
    """`hg_address` of tape.h."""

    _fields_ = [("at", c_int64), ("offset", c_int64), ("base", c_int32), ("padding", c_int32)]


class Task(Structure):
    """`hg_task` of tape.h."""

    _fields_ = [("work", c_void_p), ("at", c_int64)]


class Tape(Structure):
    """`hg_tape` of tape.h."""

    _fields_ = [
        ("block", c_void_p),
        ("bytes", c_int64),
        ("addresses", POINTER(Address)),
        ("tasks", POINTER(Task)),
        ("n_addresses", c_int32),
        ("n_tasks", c_int32),
    ]


@cache
def array_of(kind: type, length: int) -> type:
    """The type of an array; ctypes forgets those that nobody holds, and makes one in the time of a short run."""
    return kind * length
