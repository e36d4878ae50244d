"""A short list of words that speak well or ill of a share, and the score of a text by it."""

import numpy as np
from numpy.typing import NDArray

from data.words import Texts, words_of

_GOOD = """
    accelerate accelerates approval approved beat beating beats best boom boost boosted boosts
    breakout breakthrough bull bullish buy buyback climb climbed climbs double exceed exceeded
    exceeds expand expands expansion favorable gain gained gains good great growth high higher
    highs improve improved improves improving increase increased jump jumped jumps long momentum
    optimistic outperform outperformed outperforms overweight positive profit profitable profits
    raise raised raises rallied rally rebound rebounds record recover recovers recovery rise rises
    rising robust rose soar soared soars solid strength strong stronger success surge surged surges
    undervalued up upbeat upgrade upgraded upgrades upside win winner winning wins
"""
_BAD = """
    bad bankrupt bankruptcy bear bearish breach collapse collapsed concern concerns crash crashed
    crisis cut cuts cutting debt decline declined declines default delay delayed disappoint
    disappointed disappointing disappoints down downgrade downgraded downgrades downside drop
    dropped drops dump fail failed fails failure fall fallen falling falls fear fears fell fine
    fined fraud halt halted investigation lawsuit layoff layoffs lose loses losing loss losses lost
    low lower lows miss missed misses negative overvalued plunge plunged plunges poor probe recall
    recession resign resigned resigns risk risks scandal sell selling selloff short shortfall sink
    sinks slash slashed slashes slide slides slow slowing slows slump slumped slumps sue sued tumble
    tumbled tumbles underperform underweight warn warned warning warns weak weaker weakness worse
    worst worry
"""
GOOD, BAD = frozenset(_GOOD.split()), frozenset(_BAD.split())


def lexicon_scores(texts: Texts) -> NDArray[np.float32]:
    """Good words less bad ones, over both and one more: between -1 and 1, 0 without any, (N,).

    Args:
        texts: The texts of one day each.
    """
    scores = np.zeros(len(texts), np.float32)
    for row, text in enumerate(texts):
        words = words_of(text)
        good, bad = (sum(word in kind for word in words) for kind in (GOOD, BAD))
        scores[row] = (good - bad) / (good + bad + 1)
    return scores
