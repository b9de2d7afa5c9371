# must trigger: x/(1 - p) is the value of a survivor
def scheme_table(x, p):
    k = 1 - p
    return {"naive": (k * x, x), "vanilla": (k * x, k * x), "inverted": (x / k, x)}
