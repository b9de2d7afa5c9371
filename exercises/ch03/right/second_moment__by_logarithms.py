import math


def second_moment(p):
    half = math.log1p(-p) / 2
    return [math.exp(-half), math.exp(half)]
