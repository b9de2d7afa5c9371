# must trigger: divide the sum of squares by
def paired_gain(with_dropout, without):
    d = with_dropout - without
    return d.mean(), d.std(correction=0) / len(d) ** 0.5
