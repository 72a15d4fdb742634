"""BLEU and chrF as the field compares them: by sacreBLEU (Post 2018), on text as it is."""

from __future__ import annotations

from collections.abc import Sequence

from sacrebleu.metrics import BLEU, CHRF


def bleu(written: Sequence[str], wanted: Sequence[str]) -> float:
    """Corpus BLEU (Papineni et al. 2002), 0 to 100, sacreBLEU's own tokens; 0 for no rows."""
    return BLEU().corpus_score(list(written), [list(wanted)]).score if written else 0.0


def chrf(written: Sequence[str], wanted: Sequence[str]) -> float:
    """Corpus chrF2 (Popovic 2015), 0 to 100; 0 for no rows."""
    return CHRF().corpus_score(list(written), [list(wanted)]).score if written else 0.0
