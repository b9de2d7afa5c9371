# must trigger: take differences first, then their deviation
def paired_gain(with_dropout, without):
    n = len(without)
    return with_dropout.mean() - without.mean(), ((with_dropout.var() + without.var()) / n) ** 0.5
