# must trigger: breaks none of the four rules
def misplaced(layers):
    return [
        i
        for i, name in enumerate(layers)
        if name == "dropout"
        and (
            not {"linear", "conv", "attend"} & set(layers[i + 1 :])
            or "add" in layers[:i]
            or layers[i + 1 : i + 2] == ["softmax"]
            or "batchnorm" in layers[i + 1 :]
        )
    ]
