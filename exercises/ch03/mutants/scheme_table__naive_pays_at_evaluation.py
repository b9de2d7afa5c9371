# must trigger: the naive scheme does nothing at evaluation
def scheme_table(x, p):
    k = 1 - p
    return {"naive": (k * x, k * x), "vanilla": (k * x, k * x), "inverted": (x, x)}
