# must trigger: comparing two of them compares luck
def paired_gain(with_dropout, without):
    d = with_dropout - without
    return with_dropout.max() - without.max(), d.std() / len(d) ** 0.5
