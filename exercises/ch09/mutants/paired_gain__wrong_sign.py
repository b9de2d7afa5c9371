# must trigger: the sign is the wrong way round
def paired_gain(with_dropout, without):
    d = without - with_dropout
    return d.mean(), d.std() / len(d) ** 0.5
