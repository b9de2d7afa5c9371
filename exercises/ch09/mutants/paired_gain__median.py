# must trigger: the median of the differences
def paired_gain(with_dropout, without):
    d = with_dropout - without
    return d.median(), d.std() / len(d) ** 0.5
