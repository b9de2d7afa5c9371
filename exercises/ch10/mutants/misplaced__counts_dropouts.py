# must trigger: not among the dropouts
def misplaced(layers):
    places = [i for i, name in enumerate(layers) if name == "dropout"]
    wrong = []
    for number, i in enumerate(places):
        later = layers[i + 1 :]
        if (
            not {"linear", "conv", "attend"} & set(later)
            or (i and layers[i - 1] == "add")
            or later[:1] == ["softmax"]
            or "batchnorm" in later
        ):
            wrong.append(number)
    return wrong
