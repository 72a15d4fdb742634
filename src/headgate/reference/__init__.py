"""NumPy in float64: what is true, whatever the engines say."""

from headgate.reference.by_hand import BY_HAND as BY_HAND
from headgate.reference.case import Case as Case
from headgate.reference.case import random_case as random_case
from headgate.reference.differences import differences as differences
from headgate.reference.differences import value_and_gradients as value_and_gradients
from headgate.reference.traced import traced_gradients as traced_gradients
from headgate.reference.unroll import unroll as unroll
