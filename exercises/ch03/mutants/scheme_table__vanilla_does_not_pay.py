# must trigger: the vanilla scheme of 2012 pays at evaluation
def scheme_table(x, p):
    k = 1 - p
    return {"naive": (k * x, x), "vanilla": (k * x, x), "inverted": (x, x)}
