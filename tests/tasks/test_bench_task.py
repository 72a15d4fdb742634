"""What every task on users' data has from the class it is made of."""

from headgate.data import Example
from headgate.data.example import Place
from headgate.tasks.bench_task import BenchTask
from headgate.tasks.settings import Learning

EXAMPLES = [Example(k, None, Place("rows.csv", k + 1)) for k in range(2000)]


def places(split, missing, **given):
    learning = Learning(seed=0, holdout=0.2)
    found = BenchTask.part(None, EXAMPLES, split, missing, None, Learning(**{**vars(learning), **given}))
    return [example.input for example in found]


def test_every_row_is_in_one_part_and_parts_have_their_share():
    missing = ("validation", "test")
    parts = {split: places(split, missing) for split in ("train", *missing)}
    assert sorted(place for part in parts.values() for place in part) == list(range(2000))
    assert all(abs(len(parts[split]) - 400) < 60 for split in missing)
    assert places("test", missing, seed=1) != parts["test"]


def test_a_part_that_has_files_of_its_own_takes_no_rows():
    train, validation = places("train", ("validation",)), places("validation", ("validation",))
    assert sorted(train + validation) == list(range(2000)) and abs(len(validation) - 400) < 60
    assert places("train", ()) == list(range(2000))
