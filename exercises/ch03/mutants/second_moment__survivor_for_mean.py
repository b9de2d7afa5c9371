# must trigger: c is the factor on a survivor
def second_moment(p):
    if p == 1:
        raise ValueError("p")
    return (1 - p) ** -0.5, (1 - p) ** -0.5
