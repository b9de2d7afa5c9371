def misplaced(layers):
    weight = norm = False
    following, wrong = None, []
    for i in reversed(range(len(layers))):
        name = layers[i]
        if name == "dropout":
            previous = layers[i - 1] if i else None
            if not weight or norm or following == "softmax" or previous == "add":
                wrong.append(i)
        weight |= name in ("linear", "conv", "attend")
        norm |= name == "batchnorm"
        following = name
    return wrong[::-1]
