"""Dialogues are divided whole, and a bag of words is judged on the test part alone."""

import json
import random

from benchmarks.dialogues import PARTS, bag_of_words, divide

WORDS = {"Bus_1": "ride bus seat ticket", "Food_1": "table menu eat drink"}


def test_dialogues_are_divided_whole_and_words_tell_their_service(tmp_path):
    chance = random.Random(0)
    dialogues = []
    for k in range(40):
        service = chance.choice(sorted(WORDS))
        turns = [{"utterance": " ".join(chance.choices(WORDS[service].split(), k=4))} for _ in range(3)]
        dialogues.append({"dialogue_id": k, "services": [service], "turns": turns})
    divide(dialogues, tmp_path)
    files = {part: (tmp_path / f"{part}.jsonl").read_text().splitlines() for part in PARTS}
    parts = {part: [json.loads(line) for line in lines] for part, lines in files.items()}
    assert {part: len(found) for part, found in parts.items()} == {"train": 32, "validation": 4, "test": 4}
    assert sorted(d["dialogue_id"] for found in parts.values() for d in found) == list(range(40))
    assert bag_of_words(tmp_path) == {"macro_f1": 1, "accuracy": 1}
    path = tmp_path / "test.jsonl"  # labels that changed places are seen
    path.write_text(path.read_text().replace("Bus_1", "x").replace("Food_1", "Bus_1").replace('"x"', '"Food_1"'))
    assert bag_of_words(tmp_path)["accuracy"] == 0
