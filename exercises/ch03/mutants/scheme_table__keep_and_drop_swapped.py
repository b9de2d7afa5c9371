# must trigger: you keep with probability p
def scheme_table(x, p):
    return {"naive": (p * x, x), "vanilla": (p * x, p * x), "inverted": (x, x)}
