# must trigger: by the root of their number
def paired_gain(with_dropout, without):
    d = with_dropout - without
    return d.mean(), d.std()
