import numpy as np


def judge(train, site, expected):
    seeds = range(40, 51)
    with_dropout = np.array([train(site, s) for s in seeds])
    without = np.array([train("none", s) for s in seeds])
    gain = with_dropout - without
    mean, error = gain.mean(), gain.std(ddof=1) / np.sqrt(len(gain))
    verdict = "undecided"
    if abs(mean) > 2 * error:
        verdict = "as expected" if {True: "+", False: "-"}[bool(mean > 0)] == expected else "opposite"
    return mean, error, verdict
