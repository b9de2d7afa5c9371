# must trigger: a score of 0 is no missing score
def misplaced(layers):
    return [
        i
        for i, name in enumerate(layers)
        if name == "dropout"
        and (
            not {"linear", "conv", "attend"} & set(layers[i + 1 :])
            or layers[max(i - 1, 0)] == "add"
            or "batchnorm" in layers[i + 1 :]
        )
    ]
