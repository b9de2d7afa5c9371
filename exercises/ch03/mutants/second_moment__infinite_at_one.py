# must trigger: at p = 1 nothing is left
def second_moment(p):
    if p == 1:
        return float("inf"), 0.0
    return (1 - p) ** -0.5, (1 - p) ** 0.5
