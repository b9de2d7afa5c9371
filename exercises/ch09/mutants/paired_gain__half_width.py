# must trigger: not the half-width of an interval
def paired_gain(with_dropout, without):
    d = with_dropout - without
    return d.mean(), 1.96 * d.std() / len(d) ** 0.5
