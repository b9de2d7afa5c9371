# must trigger: will have stored the statistics of dropped units
def misplaced(layers):
    return [
        i
        for i, name in enumerate(layers)
        if name == "dropout"
        and (
            not {"linear", "conv", "attend"} & set(layers[i + 1 :])
            or layers[max(i - 1, 0)] == "add"
            or layers[i + 1 : i + 2] in (["softmax"], ["batchnorm"])
        )
    ]
