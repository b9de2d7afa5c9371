# must trigger: 1/(1 - p) keeps the mean
def second_moment(p):
    if p == 1:
        raise ValueError("p")
    return 1 / (1 - p), 1.0
