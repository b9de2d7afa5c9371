# must trigger: a root is missing
def paired_gain(with_dropout, without):
    d = with_dropout - without
    return d.mean(), d.var() / len(d)
