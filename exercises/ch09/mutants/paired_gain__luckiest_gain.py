# must trigger: the gain of the luckiest seed
def paired_gain(with_dropout, without):
    d = with_dropout - without
    return d.max(), d.std() / len(d) ** 0.5
