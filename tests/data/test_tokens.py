import random
import sys
import unicodedata

import pytest

from headgate.data.tokens import join, places, tokenise

SEED = 20


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        ("  \n\t ", []),
        ("Don't stop.", ["Don't", "stop", "."]),
        ("a well-kept, 'old' one", ["a", "well-kept", ",", "'", "old", "'", "one"]),
        ("It cost $1,000.5 at 12:30!", ["It", "cost", "$", "1,000.5", "at", "12:30", "!"]),
        ("1.2b 3. 4", ["1", ".", "2b", "3", ".", "4"]),
        ("the <unk> of <b", ["the", "<unk>", "of", "<", "b"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("cafe\u0301 naïve", ["cafe\u0301", "naïve"]),
        ("snake_case --", ["snake_case", "-", "-"]),
    ],
)
def test_words_and_signs(text, tokens):
    assert tokenise(text) == tokens


def test_small_letters_where_asked():
    assert tokenise("Ein GROSSES Wort", lower=True) == ["ein", "grosses", "wort"]


def test_only_white_space_is_lost():
    draw = random.Random(SEED)
    for _ in range(3000):
        text = "".join(chr(draw.randrange(sys.maxunicode + 1)) for _ in range(draw.randrange(12)))
        text += "".join(draw.choices("ab1.,'\u2019-<> \n\u0301é", k=draw.randrange(20)))
        tokens = tokenise(text)
        # A mark that combines with nothing stands alone; everything but white space comes back in order.
        assert "".join(tokens) == "".join(text.split())
        assert [text[begin:end] for begin, end in places(text)] == tokens
        assert all(token and not any(c.isspace() for c in token) for token in tokens)


def test_every_combining_mark_stays_with_its_letter():
    marks = [k for k in range(sys.maxunicode + 1) if unicodedata.category(chr(k))[0] == "M"]
    assert all(len(tokenise(f"a{chr(k)}b")) == 1 for k in marks)


def test_joined_text_reads_as_english_is_set():
    text = "He said (twice, at least): it's 12:30! So?\nYes."
    assert join([*tokenise("He said (twice, at least): it's 12:30! So?"), "\n", *tokenise("Yes.")]) == text
    assert join([]) == ""
