"""Reading: users' files to examples, one file a format; and encoded rows kept on disk."""

from headgate.data.example import DataError as DataError
from headgate.data.example import Example as Example
from headgate.data.splits import Splits as Splits
from headgate.data.splits import find_splits as find_splits
from headgate.data.splits import held_out as held_out
from headgate.data.store import Store as Store
from headgate.data.text import lines as lines
