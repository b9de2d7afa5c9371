# must trigger: the inverted scheme divides by 1 - p in training
def scheme_table(x, p):
    k = 1 - p
    return {"naive": (k * x, x), "vanilla": (k * x, k * x), "inverted": (k * x, x)}
