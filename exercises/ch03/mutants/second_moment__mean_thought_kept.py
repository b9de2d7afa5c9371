# must trigger: it does not keep the mean
def second_moment(p):
    if p == 1:
        raise ValueError("p")
    return (1 - p) ** -0.5, 1.0
