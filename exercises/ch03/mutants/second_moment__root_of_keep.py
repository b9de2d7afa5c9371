# must trigger: c must make the survivors larger
def second_moment(p):
    if p == 1:
        raise ValueError("p")
    return (1 - p) ** 0.5, (1 - p) ** 1.5
