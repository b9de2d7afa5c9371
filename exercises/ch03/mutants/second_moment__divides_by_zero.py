# must trigger: It raised ZeroDivisionError
def second_moment(p):
    return (1 - p) ** -0.5, (1 - p) ** 0.5
